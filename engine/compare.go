package engine

import (
	"cmp"
	"math/bits"
	"net/netip"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"eunomia/event"
)

// compare compiles a comparison of strings, integers or booleans.
func (c *compiler) compare(operator string, a, b ast.Expr) closure {
	equality := operator == operators.Equals || operator == operators.NotEquals
	switch c.typeOf(a) {
	case types.StringKind:
		if equality {
			if run := c.compareAddress(a, b); run != nil {
				return negated(run, operator)
			}
			if literal, ok := stringLiteral(b); ok {
				if s := c.text(a); s != nil {
					return negated(equalsText(s, literal), operator)
				}
			}
		}
		return ordered(operator, c.text(a), c.text(b))
	case types.IntKind:
		if c.typeOf(b) != types.IntKind {
			return nil
		}
		return ordered(operator, c.number(a), c.number(b))
	case types.BoolKind:
		if !equality || c.typeOf(b) != types.BoolKind {
			return nil
		}
		x, ok1 := c.condition(a)
		y, ok2 := c.condition(b)
		if !ok1 || !ok2 || x == nil || y == nil {
			return nil
		}
		return negated(func(in *input) truth {
			t := x(in)
			if t == isError {
				return t
			}
			u := y(in)
			if c := calls(t, u); c != isTrue {
				return c
			}
			return truthOf(t == u)
		}, operator)
	}
	return nil
}

func negated(run closure, operator string) closure {
	if operator != operators.NotEquals {
		return run
	}
	return func(in *input) truth { return not(run(in)) }
}

func equalsText(s textOf, literal string) closure {
	return func(in *input) truth {
		v, t := s(in)
		if t != isTrue {
			return t
		}
		return truthOf(v == literal)
	}
}

// compareAddress compiles address == literal without writing the address out.
func (c *compiler) compareAddress(a, b ast.Expr) closure {
	f := c.field(a)
	literal, ok := stringLiteral(b)
	if f == nil || f.IP == nil || !ok {
		return nil
	}
	get := read(f, f.IP)
	if literal == "" {
		return func(in *input) truth {
			v, t := get(in)
			if t != isTrue {
				return t
			}
			return truthOf(!v.IsValid())
		}
	}
	want, canonical := isAddress(literal)
	return func(in *input) truth {
		v, t := get(in)
		if t != isTrue {
			return t
		}
		return truthOf(canonical && plainAddr(v) == want)
	}
}

// plainAddr is the address that event.FormatIP writes.
func plainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// ordered compiles a comparison of two operands, nil if one of them is.
func ordered[T cmp.Ordered](operator string, a, b func(*input) (T, truth)) closure {
	if a == nil || b == nil {
		return nil
	}
	var holds func(x, y T) bool
	switch operator {
	case operators.Equals:
		holds = func(x, y T) bool { return x == y }
	case operators.NotEquals:
		holds = func(x, y T) bool { return x != y }
	case operators.Less:
		holds = func(x, y T) bool { return x < y }
	case operators.LessEquals:
		holds = func(x, y T) bool { return x <= y }
	case operators.Greater:
		holds = func(x, y T) bool { return x > y }
	default:
		holds = func(x, y T) bool { return x >= y }
	}
	return func(in *input) truth {
		x, y, t := two(in, a, b)
		if t != isTrue {
			return t
		}
		return truthOf(holds(x, y))
	}
}

// in compiles element in list, for a list of literals or a list field.
func (c *compiler) in(element, list ast.Expr) closure {
	if list.Kind() == ast.ListKind {
		return c.inLiterals(element, list.AsList().Elements())
	}
	f := c.field(list)
	s := c.text(element)
	switch {
	case f == nil || s == nil:
	case f.Strs != nil:
		items := read(f, f.Strs)
		return func(in *input) truth {
			v, l, t := two(in, s, items)
			if t != isTrue {
				return t
			}
			for _, item := range l {
				if item == v {
					return isTrue
				}
			}
			return isFalse
		}
	case f.Map != nil:
		labels := read(f, f.Map)
		return func(in *input) truth {
			v, m, t := two(in, s, labels)
			if t != isTrue {
				return t
			}
			_, ok := m[v]
			return truthOf(ok)
		}
	}
	return nil
}

func (c *compiler) inLiterals(element ast.Expr, list []ast.Expr) closure {
	switch c.typeOf(element) {
	case types.IntKind:
		n := c.number(element)
		set := make(map[int64]bool, len(list))
		for _, item := range list {
			v, ok := intLiteral(item)
			if !ok {
				return nil
			}
			set[v] = true
		}
		if n == nil {
			return nil
		}
		return func(in *input) truth {
			v, t := n(in)
			if t != isTrue {
				return t
			}
			return truthOf(set[v])
		}
	case types.StringKind:
		names := make([]string, len(list))
		for i, item := range list {
			v, ok := stringLiteral(item)
			if !ok {
				return nil
			}
			names[i] = v
		}
		if f := c.field(element); f != nil && f.IP != nil {
			return inAddresses(f, names)
		}
		if s := c.text(element); s != nil {
			return inTexts(s, names)
		}
	}
	return nil
}

// inTexts tests membership in a set of strings. Most strings differ from all of
// them in length already.
func inTexts(s textOf, names []string) closure {
	set := make(map[string]bool, len(names))
	var lengths uint64
	for _, n := range names {
		set[n] = true
		lengths |= lengthBit(n)
	}
	if bits.OnesCount64(lengths) > 48 {
		lengths = ^uint64(0)
	}
	return func(in *input) truth {
		v, t := s(in)
		if t != isTrue {
			return t
		}
		return truthOf(lengths&lengthBit(v) != 0 && set[v])
	}
}

func lengthBit(s string) uint64 { return 1 << min(len(s), 63) }

func inAddresses(f *event.Field, names []string) closure {
	get := read(f, f.IP)
	set := make(map[netip.Addr]bool, len(names))
	none := false
	for _, n := range names {
		none = none || n == ""
		if a, ok := isAddress(n); ok {
			set[a] = true
		}
	}
	return func(in *input) truth {
		v, t := get(in)
		if t != isTrue {
			return t
		}
		if !v.IsValid() {
			return truthOf(none)
		}
		return truthOf(set[plainAddr(v)])
	}
}
