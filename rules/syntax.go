package rules

import (
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

var (
	yamlLine  = regexp.MustCompile(`^yaml: (line (\d+): )?`)
	yamlAlias = regexp.MustCompile(`^unknown anchor '(.*)' referenced`)
	yamlValue = regexp.MustCompile(`^[ \t-]*([^\s"'#]+:[ \t]+)?`)
)

// reportSyntax reports what the YAML parser did not understand, in a line's terms.
func reportSyntax(f *file, r *report, err error) {
	m := yamlLine.FindStringSubmatch(err.Error())
	message := err.Error()[len(m[0]):]
	if alias := yamlAlias.FindStringSubmatch(message); alias != nil {
		at := max(strings.Index(f.text, "*"+alias[1]), 0)
		r.err(place{f, at}, "yaml", "there is no anchor "+quoted(alias[1]), "a value that starts with * must be in quotes")
		return
	}
	line, _ := strconv.Atoi(m[2])
	line = min(max(line, 1), len(f.lines))
	if len(f.text) <= maxSearch {
		line = brokenLine(f)
	}
	start := f.lines[line-1]
	source := place{f, start}.line()
	value := len(yamlValue.FindString(source)) // of the key
	indent := len(source) - len(strings.TrimLeft(source, " \t"))
	tab := strings.IndexByte(source[:indent], '\t')
	second := -1
	if i := strings.Index(source, ": "); i >= 0 && strings.Contains(message, "mapping values") {
		second = strings.Index(source[i+2:], ": ") + i + 2
	}
	first := byte(' ')
	if value < len(source) {
		first = source[value]
	}
	column, hint := indent, "check the indentation, and that every key ends with a colon"
	switch {
	case tab >= 0:
		column, hint = tab, "indent with blanks, not tabs"
	case second >= 0:
		column, hint = second, `put a value that holds ": " in quotes, or below its key after |`
	case strings.Contains(message, "alphabetic or numeric") && strings.ContainsAny(source, "&*"):
		column, hint = strings.IndexAny(source, "&*"), "put a value that starts with & or *, or with !, in quotes"
	case strings.Contains(message, "',' or"):
		column, hint = value, "close the bracket, or put text that starts with one in quotes"
	case strings.IndexByte(`"'{[!`, first) >= 0:
		column, hint = value, "put a value that starts with "+string(first)+" in quotes as a whole, or below its key after |; check the indentation"
	case strings.IndexByte("&*%@`|>", first) >= 0:
		column, hint = value, "put a value that starts with "+string(first)+" in quotes"
	}
	r.err(place{f, start + column}, "yaml", "this is not YAML: "+message, hint)
}

// maxSearch bounds the size of files in which the broken line is searched for: each
// step reads the file once more.
const maxSearch = 256 << 10

// brokenLine returns the first line with which the file cannot be continued. The
// parser knows only where the value began that it could not read. A file is also
// broken where it is cut inside a value of several lines, so that a break counts
// only if the next lines do not mend it.
func brokenLine(f *file) int {
	const patience = 20
	broken := func(lines int) bool {
		text := f.text
		if lines < len(f.lines) {
			text = text[:f.lines[lines]]
		}
		return !isYAML(text)
	}
	good, bad := 0, len(f.lines)
	for good+1 < bad {
		middle := (good + bad) / 2
		mended := middle
		for mended < min(middle+patience, bad) && broken(mended) {
			mended++
		}
		if mended < min(middle+patience, bad) {
			good = mended
		} else {
			bad = middle
		}
	}
	return bad
}

func isYAML(text string) bool {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc yaml.Node
		if err := decoder.Decode(&doc); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}
