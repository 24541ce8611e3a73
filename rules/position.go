package rules

import (
	"fmt"
	"sort"
)

// Position is a place in a rule file; lines and columns count from 1, columns in
// bytes.
type Position struct {
	File         string
	Line, Column int
}

func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Diagnostic is one mistake, or one thing worth knowing, in a rule file.
type Diagnostic struct {
	Pos     Position
	Check   string // short name of the check, e.g. "type", "unknown-field"
	Message string
	Hint    string // the remedy; may be empty
	Source  string // the source line at Pos
	Warning bool   // the rule still works
	Rule    string // id of the rule that cannot be used because of it; may be empty
}

// Origin maps byte offsets of an expanded expression to the files they came from.
type Origin struct {
	segments []segment // by offset
}

// segment says where the bytes of an expression from offset on came from.
type segment struct {
	offset int
	from   text
	fixed  bool // the bytes were generated: all of them are where from starts
	use    *use
}

// use is the place where a macro or list was named.
type use struct {
	what, name string // "macro" or "list"
	at         place
	outer      *use // the macro that held the place, if any
}

func (u *use) String() string {
	s := ""
	for ; u != nil; u = u.outer {
		if s != "" {
			s += ", in "
		}
		s += u.what + " " + u.name + ", used at " + u.at.position().String()
	}
	return s
}

// At returns the place in a file of the byte at offset, and how the expression
// came to hold it when that was through a macro or list: "macro in_container, used
// at a.yaml:3:9", innermost first.
func (o Origin) At(offset int) (pos Position, via string) {
	at, u := o.lookup(offset)
	return at.position(), u.String()
}

func (o Origin) lookup(offset int) (place, *use) {
	i := sort.Search(len(o.segments), func(i int) bool { return o.segments[i].offset > offset }) - 1
	if i < 0 {
		return place{}, nil
	}
	s := o.segments[i]
	if s.fixed {
		return s.from.at(0), s.use
	}
	return s.from.at(offset - s.offset), s.use
}

// Diagnose returns a mistake at the given byte of the expression, with position,
// source line and the macro or list it came through filled in.
func (e Expr) Diagnose(offset int, check, message, hint string) Diagnostic {
	at, u := e.Origin.lookup(offset)
	if u != nil {
		message += " (" + u.String() + ")"
	}
	return Diagnostic{Pos: at.position(), Check: check, Message: message, Hint: hint, Source: at.line()}
}
