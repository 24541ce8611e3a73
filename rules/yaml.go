package rules

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxDepth bounds how deep values nest, maxExpansion how many values the aliases of
// a document may stand for.
const (
	maxDepth     = 32
	maxExpansion = 1 << 20
)

// documents parses the YAML of a file. What comes after a syntax error is lost;
// the documents before it are not.
func documents(f *file, r *report) (docs []node) {
	// The parser is third-party code reading what anyone may have written.
	defer func() {
		if p := recover(); p != nil {
			r.err(place{f, 0}, "yaml", fmt.Sprintf("the YAML cannot be read: %v", p), "")
		}
	}()
	decoder := yaml.NewDecoder(strings.NewReader(f.text))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			reportSyntax(f, r, err)
			return docs
		}
		if len(doc.Content) == 0 {
			continue
		}
		n := node{doc.Content[0], f}
		if m := (measure{sizes: map[*yaml.Node]int{}, file: f, report: r}); m.size(n.Node, 1) >= 0 {
			docs = append(docs, n)
		}
	}
}

// measure finds out whether a document can be walked: aliases may form cycles, or
// stand for more than memory holds.
type measure struct {
	sizes  map[*yaml.Node]int // 0 while in progress
	file   *file
	report *report
}

// size returns how many values n stands for, or -1 after reporting why it cannot
// be walked.
func (m *measure) size(n *yaml.Node, depth int) int {
	at := func() place { return m.file.yamlPlace(n.Line, n.Column) }
	if depth > maxDepth {
		m.report.err(at(), "limit", fmt.Sprintf("values nest more than %d deep", maxDepth), "")
		return -1
	}
	if n.Kind == yaml.AliasNode {
		if size, seen := m.sizes[n.Alias]; seen && size == 0 {
			m.report.err(at(), "yaml", "the alias *"+n.Value+" is inside of what it stands for", "write the value out")
			return -1
		}
		return m.size(n.Alias, depth+1)
	}
	if len(n.Content) == 0 {
		return 1
	}
	if size, seen := m.sizes[n]; seen {
		return size
	}
	m.sizes[n] = 0
	total := 1
	for _, c := range n.Content {
		size := m.size(c, depth+1)
		if size < 0 {
			return -1
		}
		total += size
		if total > maxExpansion {
			m.report.err(at(), "limit", fmt.Sprintf("with its aliases written out this is more than %d values", maxExpansion),
				"use lists and macros instead of aliases")
			return -1
		}
	}
	m.sizes[n] = total
	return total
}
