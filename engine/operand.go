package engine

import (
	"errors"
	"net/netip"
	"slices"
	"unicode/utf8"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"eunomia/event"
)

// Operands have a value when their truth is isTrue; else they are unknown or an
// error.
type (
	textOf   func(*input) (string, truth)
	numberOf func(*input) (int64, truth)
)

// presence is what a read of a field finds.
type presence uint8

const (
	present presence = iota
	empty            // not known, and read as its empty value because the verdict is final
	absent           // not known
)

// look finds whether a field that can be unknown is known. It does what
// input.value does for CEL's values.
func (in *input) look(f *event.Field) presence {
	switch {
	case f.Known(in.event):
		return present
	case !in.final:
		return absent
	}
	if !slices.Contains(in.missed, f.Name) {
		in.missed = append(in.missed, f.Name)
	}
	return empty
}

// read returns an operand or list that reads a field with get.
func read[T any](f *event.Field, get func(*event.Event) T) func(*input) (T, truth) {
	if f.Known == nil {
		return func(in *input) (T, truth) { return get(in.event), isTrue }
	}
	return func(in *input) (T, truth) {
		var zero T
		switch in.look(f) {
		case present:
			return get(in.event), isTrue
		case empty:
			return zero, isTrue
		default:
			return zero, isUnknown
		}
	}
}

func readBool(f *event.Field) closure {
	get := f.Bool
	if f.Known == nil {
		return func(in *input) truth { return truthOf(get(in.event)) }
	}
	value := read(f, get)
	return func(in *input) truth {
		b, t := value(in)
		if t != isTrue {
			return t
		}
		return truthOf(b)
	}
}

// field returns the field that a selection names, nil if it is none.
func (c *compiler) field(e ast.Expr) *event.Field {
	if n := c.place(e); n != nil && !n.isGroup() {
		return n.field()
	}
	return nil
}

// place follows a chain of selections from a variable through the groups.
func (c *compiler) place(e ast.Expr) *node {
	switch e.Kind() {
	case ast.IdentKind:
		if c.variable(e.AsIdent()) < 0 {
			return schema().children[e.AsIdent()]
		}
	case ast.SelectKind:
		if s := e.AsSelect(); !s.IsTestOnly() {
			if n := c.place(s.Operand()); n != nil && n.isGroup() {
				return n.children[s.FieldName()]
			}
		}
	}
	return nil
}

// variable returns the depth of a loop's variable, -1 if the name is none.
func (c *compiler) variable(name string) int {
	for i := len(c.vars) - 1; i >= 0; i-- {
		if c.vars[i].name == name {
			return i
		}
	}
	return -1
}

// member returns a member of a loop's process and the loop's depth, nil if the
// selection is none.
func (c *compiler) member(e ast.Expr) (*event.AncestorField, int) {
	if e.Kind() != ast.SelectKind || e.AsSelect().IsTestOnly() || e.AsSelect().Operand().Kind() != ast.IdentKind {
		return nil, 0
	}
	depth := c.variable(e.AsSelect().Operand().AsIdent())
	if depth < 0 || !c.vars[depth].process {
		return nil, 0
	}
	for i := range event.AncestorFields {
		if f := &event.AncestorFields[i]; f.Name == e.AsSelect().FieldName() {
			return f, depth
		}
	}
	return nil, 0
}

// text compiles a string expression, or returns nil.
func (c *compiler) text(e ast.Expr) textOf {
	switch e.Kind() {
	case ast.LiteralKind:
		if s, ok := stringLiteral(e); ok {
			return func(*input) (string, truth) { return s, isTrue }
		}
	case ast.IdentKind:
		if depth := c.variable(e.AsIdent()); depth >= 0 && !c.vars[depth].process {
			return func(in *input) (string, truth) { return in.loop[depth].text, isTrue }
		}
	case ast.SelectKind:
		if m, depth := c.member(e); m != nil && m.Str != nil {
			get := m.Str
			return func(in *input) (string, truth) { return get(in.loop[depth].process), isTrue }
		}
		f := c.field(e)
		switch {
		case f == nil:
		case f.Str != nil:
			return read(f, f.Str)
		case f.IP != nil:
			return read(f, func(e *event.Event) string { return event.FormatIP(f.IP(e)) })
		}
	case ast.CallKind:
		return c.textCall(e.AsCall())
	}
	return nil
}

func (c *compiler) textCall(call ast.CallExpr) textOf {
	switch call.FunctionName() {
	case "lowerAscii":
		if s := c.text(call.Target()); s != nil {
			return func(in *input) (string, truth) {
				v, t := s(in)
				return lowerASCII(v), t
			}
		}
	case operators.Index:
		f := c.field(call.Args()[0])
		key, ok := stringLiteral(call.Args()[1])
		if f == nil || f.Map == nil || !ok {
			return nil
		}
		labels := read(f, f.Map)
		missing := errors.New("no such key: " + key)
		return func(in *input) (string, truth) {
			m, t := labels(in)
			if t != isTrue {
				return "", t
			}
			v, ok := m[key]
			if !ok {
				in.failure = missing
				return "", isError
			}
			return v, isTrue
		}
	}
	return nil
}

// lowerASCII does what CEL's lowerAscii does, which turns bytes that are not UTF-8
// into U+FFFD.
func lowerASCII(s string) string {
	upper, ascii := false, true
	for i := range len(s) {
		upper = upper || s[i] >= 'A' && s[i] <= 'Z'
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	if ascii && !upper {
		return s
	}
	runes := []rune(s)
	for i, r := range runes {
		if r >= 'A' && r <= 'Z' {
			runes[i] = r + 'a' - 'A'
		}
	}
	return string(runes)
}

// number compiles an integer expression, or returns nil.
func (c *compiler) number(e ast.Expr) numberOf {
	switch e.Kind() {
	case ast.LiteralKind:
		if n, ok := intLiteral(e); ok {
			return func(*input) (int64, truth) { return n, isTrue }
		}
	case ast.SelectKind:
		if m, depth := c.member(e); m != nil && m.Int != nil {
			get := m.Int
			return func(in *input) (int64, truth) { return get(in.loop[depth].process), isTrue }
		}
		if f := c.field(e); f != nil && f.Type == event.Int {
			return read(f, f.Int)
		}
	case ast.CallKind:
		if call := e.AsCall(); call.FunctionName() == "size" {
			of := call.Target()
			if of == nil {
				of = call.Args()[0]
			}
			return c.size(of)
		}
	}
	return nil
}

func (c *compiler) size(of ast.Expr) numberOf {
	if s := c.text(of); s != nil {
		return func(in *input) (int64, truth) {
			v, t := s(in)
			return int64(utf8.RuneCountInString(v)), t
		}
	}
	f := c.field(of)
	switch {
	case f == nil:
	case f.Strs != nil:
		return length(read(f, f.Strs))
	case f.Processes != nil:
		return length(read(f, f.Processes))
	case f.Map != nil:
		m := read(f, f.Map)
		return func(in *input) (int64, truth) {
			v, t := m(in)
			return int64(len(v)), t
		}
	}
	return nil
}

func length[T any](list func(*input) ([]T, truth)) numberOf {
	return func(in *input) (int64, truth) {
		v, t := list(in)
		return int64(len(v)), t
	}
}

// isAddress returns the address that a literal is the canonical form of.
func isAddress(literal string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(literal)
	return a, err == nil && event.FormatIP(a) == literal
}

// typeOf returns the kind of an expression's type.
func (c *compiler) typeOf(e ast.Expr) types.Kind { return c.tree.GetType(e.ID()).Kind() }
