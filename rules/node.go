package rules

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// node is a YAML value in its file.
type node struct {
	*yaml.Node
	file *file
}

func (n node) at() place {
	p := n.file.yamlPlace(n.Line, n.Column)
	return place{n.file, skipProperties(n.file.text, p.offset)}
}

func (n node) text() text { return newText(n.file, n.Node) }

// child returns what c, a part of n, stands for.
func (n node) child(c *yaml.Node) node {
	if c.Kind == yaml.AliasNode {
		c = c.Alias
	}
	return node{c, n.file}
}

func (n node) isNull() bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// what names the kind of value for messages.
func (n node) what() string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "a boolean"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	}
	return "a string"
}

// pair is one key of a mapping with its value.
type pair struct {
	name string
	key  node
	node // the value
}

// mapping returns the pairs of n. Keys given twice and keys that are no words are
// reported; nothing counts as an empty mapping.
func (s *scope) mapping(n node, name string) []pair {
	if n.isNull() {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		s.err(n.at(), "type", fmt.Sprintf("%s must be a mapping, not %s", name, n.what()), "")
		return nil
	}
	var pairs []pair
	seen := map[string]place{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.child(n.Content[i])
		if key.Kind != yaml.ScalarNode || key.Value == "" {
			s.err(key.at(), "type", "a key must be a word, not "+key.what(), "put a value that starts with a brace or bracket in quotes")
			continue
		}
		if first, dup := seen[key.Value]; dup {
			s.err(key.at(), "duplicate", fmt.Sprintf("%s is given twice, first at %s", quoted(key.Value), first.position()), "keep one of them")
			continue
		}
		seen[key.Value] = key.at()
		pairs = append(pairs, pair{key.Value, key, n.child(n.Content[i+1])})
	}
	return pairs
}

// one reports keys that stand together although their order would matter.
func (s *scope) one(pairs []pair, names ...string) {
	first := ""
	for _, p := range pairs {
		if !slices.Contains(names, p.name) {
			continue
		}
		if first != "" {
			s.err(p.key.at(), "order", fmt.Sprintf("%s and %s cannot stand together", first, p.name), "make one change per document; the order of keys means nothing in YAML")
		}
		first = p.name
	}
}

// unknownKey reports a key that the format does not have.
func (s *scope) unknownKey(p pair, owner string, known []string) {
	s.err(p.key.at(), "unknown-key", fmt.Sprintf("%s has no key %s", owner, quoted(p.name)),
		s.didYouMean(p.name, known, "its keys are "+strings.Join(known, ", ")))
}

// sequence returns the items of a list; nothing counts as an empty one.
func (s *scope) sequence(n node, name string) []node {
	if n.isNull() {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		hint := ""
		if n.Kind == yaml.ScalarNode {
			hint = "write [" + strings.Trim(quoted(n.Value), `"`) + "]"
		}
		s.err(n.at(), "type", fmt.Sprintf("%s must be a list, not %s", name, n.what()), hint)
		return nil
	}
	items := make([]node, len(n.Content))
	for i, c := range n.Content {
		items[i] = n.child(c)
	}
	return items
}

// str returns a scalar that is not empty.
func (s *scope) str(n node, name string) (t text, ok bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		hint := ""
		if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 || n.Kind == yaml.SequenceNode && n.Style&yaml.FlowStyle != 0 {
			hint = "put text that starts with a brace or bracket in quotes"
		}
		s.err(n.at(), "type", fmt.Sprintf("%s must be a string, not %s", name, n.what()), hint)
	case n.Style&yaml.TaggedStyle != 0:
		s.err(n.file.yamlPlace(n.Line, n.Column), "type", "YAML takes the "+quoted(n.Tag)+" that "+name+" starts with for a tag",
			"put the whole value in quotes, or below its key after |")
	case n.isNull() || strings.TrimSpace(n.Value) == "":
		s.err(n.at(), "empty", name+" is empty", "")
	default:
		return n.text(), true
	}
	return text{}, false
}

// strs returns the scalars of a list.
func (s *scope) strs(n node, name string) []text {
	var out []text
	for _, item := range s.sequence(n, name) {
		if t, ok := s.str(item, "an item of "+name); ok {
			out = append(out, t)
		}
	}
	return out
}

func (s *scope) boolean(n node, name string) (value, ok bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Decode(&value) != nil {
		s.err(n.at(), "type", fmt.Sprintf("%s must be true or false, not %s", name, n.what()), "")
		return false, false
	}
	return value, true
}
