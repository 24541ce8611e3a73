package rules

import (
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// text is a string from a rule file each byte of which knows its place there.
type text struct {
	value  string
	scalar *scalar
	start  int // of value in the scalar's value
}

func (t text) slice(from, to int) text {
	return text{value: t.value[from:to], scalar: t.scalar, start: t.start + from}
}

// trim returns t without the blanks around it.
func (t text) trim() text {
	const blanks = " \t\r\n"
	end := len(strings.TrimRight(t.value, blanks))
	return t.slice(len(t.value[:end])-len(strings.TrimLeft(t.value[:end], blanks)), end)
}

func (t text) at(i int) place {
	if t.scalar == nil {
		return place{}
	}
	return t.scalar.at(t.start + i)
}

// scalar maps the bytes of a YAML scalar's value to those of its source.
type scalar struct {
	file  *file
	plain bool  // written without quotes or indicator
	runs  []run // by value; never empty
}

// run says that from value on, value and source go in step.
type run struct{ value, source int }

func (s *scalar) at(i int) place {
	n := sort.Search(len(s.runs), func(n int) bool { return s.runs[n].value > i }) - 1
	r := s.runs[max(n, 0)]
	return place{s.file, min(r.source+i-r.value, len(s.file.text))}
}

// newText returns the value of a scalar node, aligned with its source.
func newText(f *file, n *yaml.Node) text {
	a := aligner{source: f.text, value: n.Value, style: n.Style &^ (yaml.TaggedStyle | yaml.FlowStyle)}
	a.s = skipProperties(f.text, f.yamlPlace(n.Line, n.Column).offset)
	a.align()
	if len(a.runs) == 0 {
		a.runs = []run{{0, a.s}}
	}
	return text{value: n.Value, scalar: &scalar{f, a.style == 0, a.runs}}
}

// skipProperties returns the offset of what follows anchors and tags.
func skipProperties(s string, at int) int {
	for at < len(s) && (s[at] == '&' || s[at] == '!') {
		for at < len(s) && blankLength(s, at) == 0 {
			at++
		}
		for at < len(s) && (blankLength(s, at) > 0 || s[at] == '#') {
			if s[at] == '#' {
				at += len(firstLine(s[at:]))
				continue
			}
			at += blankLength(s, at)
		}
	}
	return at
}

func firstLine(s string) string {
	if i := strings.IndexAny(s, "\r\n\u0085\u2028\u2029"); i >= 0 {
		return s[:i]
	}
	return s
}

// blankLength returns the length of the blank or line break at s[at], or 0.
func blankLength(s string, at int) int {
	switch s[at] {
	case ' ', '\t', '\r', '\n':
		return 1
	case 0xc2, 0xe2:
		for _, b := range []string{"\u0085", "\u2028", "\u2029"} {
			if strings.HasPrefix(s[at:], b) {
				return len(b)
			}
		}
	}
	return 0
}

// aligner walks a scalar's source and value together. What YAML does to a scalar
// is to undo escapes and to change, drop or fold blanks; every other byte is equal
// on both sides. Where they part nevertheless, it stops: what follows is then
// placed as if it were in step.
type aligner struct {
	source, value string
	style         yaml.Style
	s, v          int
	runs          []run
}

func (a *aligner) align() {
	switch a.style {
	case yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle:
		a.s++
	case yaml.LiteralStyle, yaml.FoldedStyle:
		a.s += len(firstLine(a.source[a.s:])) // the indicator
	}
	for a.v < len(a.value) && a.s < len(a.source) {
		c := a.source[a.s]
		_, size := utf8.DecodeRuneInString(a.value[a.v:])
		switch {
		case c == '\\' && a.style == yaml.DoubleQuotedStyle:
			a.escape()
		case c == '\'' && a.style == yaml.SingleQuotedStyle:
			a.take(1)
			a.s += 2
		case strings.HasPrefix(a.source[a.s:], a.value[a.v:a.v+size]):
			a.copy(size)
		case blankLength(a.source, a.s) > 0 || blankLength(a.value, a.v) > 0:
			a.blanks()
		default:
			return
		}
	}
}

// copy places the next n bytes of the value at the source's next n.
func (a *aligner) copy(n int) {
	for range n {
		a.take(1)
		a.s++
	}
}

// take places the next n bytes of the value at the source's offset.
func (a *aligner) take(n int) {
	for range n {
		if last := len(a.runs) - 1; last < 0 || a.s-a.runs[last].source != a.v-a.runs[last].value {
			a.runs = append(a.runs, run{a.v, a.s})
		}
		a.v++
	}
}

// blanks passes the blanks on both sides. In a block scalar everything blank
// belongs together; in the other styles one line break becomes a blank, and more
// become one line break less, so that blanks written as escapes stay.
func (a *aligner) blanks() {
	at, breaks := a.s, 0
	for at < len(a.source) {
		n := blankLength(a.source, at)
		if n == 0 {
			break
		}
		if n > 1 || a.source[at] == '\n' || a.source[at] == '\r' && !strings.HasPrefix(a.source[at:], "\r\n") {
			breaks++
		}
		at += n
	}
	limit := len(a.value)
	if a.style == 0 || a.style == yaml.DoubleQuotedStyle || a.style == yaml.SingleQuotedStyle {
		limit = min(limit, a.v+max(breaks-1, 1))
	}
	for a.v < limit {
		n := blankLength(a.value, a.v)
		if n == 0 {
			break
		}
		a.take(n)
	}
	a.s = at
}

func (a *aligner) escape() {
	decoded, length := decodeEscape(a.source[a.s:])
	if strings.HasPrefix(a.value[a.v:], decoded) {
		a.take(len(decoded))
	}
	a.s += length
}

var simpleEscapes = map[byte]string{'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", '\t': "\t", 'n': "\n", 'v': "\v",
	'f': "\f", 'r': "\r", 'e': "\x1b", 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029"}

// decodeEscape returns what the escape that s starts with stands for, and its length.
func decodeEscape(s string) (string, int) {
	if len(s) < 2 {
		return "", len(s)
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
	if digits > 0 && len(s) >= 2+digits {
		n, _ := strconv.ParseUint(s[2:2+digits], 16, 32)
		return string(rune(n)), 2 + digits
	}
	if n := blankLength(s, 1); n > 0 && s[1] != ' ' && s[1] != '\t' {
		end := 1 + n
		for end < len(s) && blankLength(s, end) > 0 {
			end++
		}
		return "", end
	}
	if d, ok := simpleEscapes[s[1]]; ok {
		return d, 2
	}
	return s[1:2], 2
}
