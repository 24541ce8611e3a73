package rules

import (
	"fmt"
	"strings"
)

// maxMacroDepth bounds how deep macros nest, maxTotal the files of a set, and
// its expanded CEL.
const (
	maxMacroDepth = 32
	maxTotal      = 64 << 20
)

// expander writes the expansion of one expression.
type expander struct {
	*loader
	scope *scope
	out   strings.Builder
	segs  []segment
}

// expand returns the clauses as one expression, macros and lists written out and
// comments left out.
func (l *loader) expand(s *scope, clauses []clause) (Expr, bool) {
	x := expander{loader: l, scope: s}
	for _, c := range clauses {
		if !l.checkVariables(s, c.program) {
			return Expr{}, false
		}
	}
	if !x.join(clauses, nil, 0) {
		return Expr{}, false
	}
	l.expanded += x.out.Len()
	return Expr{Text: x.out.String(), Origin: Origin{x.segs}}, true
}

// join writes clauses with their operators; parentheses keep each whole.
func (x *expander) join(clauses []clause, u *use, depth int) bool {
	if len(clauses) == 1 {
		return x.write(clauses[0].program, u, depth)
	}
	x.generate(strings.Repeat("(", len(clauses)), clauses[0].slice(0, 0), u)
	for i, c := range clauses {
		if i > 0 {
			x.generate(" "+c.operator+" (", c.slice(0, 0), u)
		}
		if !x.write(c.program, u, depth) {
			return false
		}
		x.generate(")", c.slice(0, 0), u)
		if i > 0 {
			x.generate(")", c.slice(0, 0), u)
		}
	}
	return true
}

// write writes p, which use u led to.
func (x *expander) write(p program, u *use, depth int) bool {
	copied := 0 // p up to here is written
	at := 0     // in p.tokens
	for _, t := range lex(p.value) {
		if t.kind == spaceToken {
			continue
		}
		if t.kind == commentToken {
			x.copy(p.slice(copied, t.start), u)
			copied = t.end
			continue
		}
		i := at
		at++
		if t.kind != nameToken || !p.names(i) {
			continue
		}
		name := p.token(i)
		m, li := x.macros[name], x.lists[name]
		if m == nil && li == nil {
			continue
		}
		x.copy(p.slice(copied, t.start), u)
		copied = t.end
		named := p.slice(t.start, t.end)
		if li != nil && !x.writeList(li, named, u) || m != nil && !x.writeMacro(m, named, u, depth+1) {
			return false
		}
	}
	x.copy(p.slice(copied, len(p.value)), u)
	return x.fits(p.at(0))
}

func (x *expander) writeMacro(m *macro, named text, outer *use, depth int) bool {
	if m.broken {
		return x.unusable("macro", m.name, m.at, named)
	}
	if depth > maxMacroDepth {
		x.scope.err(named.at(0), "limit", fmt.Sprintf("macros nest more than %d deep", maxMacroDepth), "")
		return false
	}
	if !x.fits(named.at(0)) {
		return false
	}
	x.generate("(", named, outer)
	if !x.join(m.clauses, &use{"macro", m.name, named.at(0), outer}, depth) {
		return false
	}
	x.generate(")", named, outer)
	return true
}

func (x *expander) writeList(l *list, named text, outer *use) bool {
	if l.broken {
		return x.unusable("list", l.name, l.at, named)
	}
	u := &use{"list", l.name, named.at(0), outer}
	x.generate("[", named, outer)
	for i, item := range l.literals {
		code := item.code
		if i+1 < len(l.literals) {
			code += ", "
		}
		x.generate(code, item.from, u)
		if !x.fits(named.at(0)) {
			return false
		}
	}
	x.generate("]", named, outer)
	return true
}

func (x *expander) unusable(what, name string, at place, named text) bool {
	x.scope.err(named.at(0), "unusable", fmt.Sprintf("the %s %s cannot be used", what, name), "correct it first, at "+at.position().String())
	return false
}

func (x *expander) fits(at place) bool {
	switch {
	case x.out.Len() > MaxExpanded:
		x.scope.err(at, "limit", fmt.Sprintf("with macros and lists written out the expression is longer than %d KiB", MaxExpanded>>10),
			"use shorter lists, or split the rule")
	case x.expanded+x.out.Len() > maxTotal:
		x.scope.err(at, "limit", fmt.Sprintf("with macros and lists written out all rules together are longer than %d MiB", maxTotal>>20),
			"use shorter lists, or fewer rules with long ones")
	default:
		return true
	}
	return false
}

// copy writes a piece of a file as it is.
func (x *expander) copy(t text, u *use) {
	if t.value != "" {
		x.segs = append(x.segs, segment{offset: x.out.Len(), from: t, use: u})
		x.out.WriteString(t.value)
	}
}

// generate writes code that stands for t.
func (x *expander) generate(code string, t text, u *use) {
	x.segs = append(x.segs, segment{offset: x.out.Len(), from: t, fixed: true, use: u})
	x.out.WriteString(code)
}
