package rules

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// maxFileSize bounds one file, maxMarks the characters in it that can start a YAML
// node: each node costs a few hundred bytes while the file is read.
const (
	maxFileSize = 8 << 20
	maxMarks    = 1 << 21
)

// file is the text of a rule file. Offsets into it become lines and columns.
type file struct {
	name  string
	text  string
	lines []int // offset of each line's first byte

	// What YAML takes for lines and columns: it counts characters, and ends lines
	// also at CR, NEL, LS and PS.
	yamlLines []int // number of each line's first character
	runes     []int // offset of every runeStride-th character
}

const runeStride = 128

func newFile(name, content string) *file {
	f := &file{name: name, text: strings.TrimPrefix(content, "\ufeff"), lines: []int{0}, yamlLines: []int{0}}
	n := 0
	for i, r := range f.text {
		if n%runeStride == 0 {
			f.runes = append(f.runes, i)
		}
		n++
		switch r {
		case '\n':
			f.lines = append(f.lines, i+1)
			f.yamlLines = append(f.yamlLines, n)
		case '\r':
			if !strings.HasPrefix(f.text[i+1:], "\n") {
				f.yamlLines = append(f.yamlLines, n)
			}
		case '\u0085', '\u2028', '\u2029':
			f.yamlLines = append(f.yamlLines, n)
		}
	}
	return f
}

// yamlPlace returns the place that YAML calls line and column.
func (f *file) yamlPlace(line, column int) place {
	if line < 1 || line > len(f.yamlLines) {
		return place{f, len(f.text)}
	}
	n := f.yamlLines[line-1] + max(column-1, 0)
	if n/runeStride >= len(f.runes) {
		return place{f, len(f.text)}
	}
	offset := f.runes[n/runeStride]
	for range n % runeStride {
		if offset >= len(f.text) {
			break
		}
		_, size := utf8.DecodeRuneInString(f.text[offset:])
		offset += size
	}
	return place{f, offset}
}

// check reports what keeps the bytes of the file from being read as YAML at all.
func (f *file) check(r *report) bool {
	if len(f.text) > maxFileSize {
		r.err(place{f, 0}, "file", fmt.Sprintf("the file is larger than %d MiB", maxFileSize>>20), "split it into several files")
		return false
	}
	marks := 0
	for i, c := range f.text {
		bad := ""
		switch {
		case c == utf8.RuneError && !strings.HasPrefix(f.text[i:], "\ufffd"):
			bad = fmt.Sprintf("byte 0x%02x is not UTF-8", f.text[i])
		case c < ' ' && c != '\t' && c != '\n' && c != '\r', c == 0x7f, 0x80 <= c && c < 0xa0 && c != 0x85,
			c == '\ufeff', c == '\ufffe', c == '\uffff':
			bad = fmt.Sprintf("control character %U is not allowed", c)
		case c < 0x80 && strings.ContainsRune(",[{:-?\n", c):
			marks++
		}
		if bad != "" {
			r.err(place{f, i}, "file", bad, "save the file as UTF-8; write control characters as escapes in double quotes")
			return false
		}
	}
	if marks > maxMarks {
		r.err(place{f, 0}, "file", "the file has too many values", "split it into several files")
		return false
	}
	return true
}

// place is a byte of a file.
type place struct {
	file   *file
	offset int
}

func (p place) lineIndex() int {
	return sort.SearchInts(p.file.lines, p.offset+1) - 1
}

func (p place) position() Position {
	if p.file == nil {
		return Position{}
	}
	if p.file.lines == nil {
		return Position{File: p.file.name}
	}
	i := p.lineIndex()
	return Position{File: p.file.name, Line: i + 1, Column: p.offset - p.file.lines[i] + 1}
}

// line returns the text of the line that holds the place.
func (p place) line() string {
	if p.file == nil || p.file.lines == nil {
		return ""
	}
	s := p.file.text[p.file.lines[p.lineIndex()]:]
	if end := strings.IndexByte(s, '\n'); end >= 0 {
		s = s[:end]
	}
	return strings.TrimSuffix(s, "\r")
}
