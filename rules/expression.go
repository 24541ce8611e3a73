package rules

import "fmt"

// maxExpression bounds the CEL of one expression as written, MaxExpanded what it
// comes to with macros and lists expanded.
const (
	maxExpression = 64 << 10
	MaxExpanded   = 256 << 10
)

// expression reads a scalar that holds CEL.
func (s *scope) expression(n node, name string) (program, bool) {
	if s.rejectSize(n, name, maxExpression) {
		return program{}, false
	}
	t, ok := s.str(n, name)
	if !ok {
		return program{}, false
	}
	return s.program(t, name)
}

// program checks that t can stand in parentheses wherever an expression can.
func (s *scope) program(t text, name string) (program, bool) {
	p := parseTokens(t)
	if len(p.tokens) == 0 {
		s.err(t.at(0), "empty", name+" is empty", "write a CEL expression")
		return p, false
	}
	if message, hint, at := p.unbalanced(); message != "" {
		s.err(t.at(at), "syntax", message, hint)
		return p, false
	}
	return p, true
}

// rejectSize reports a scalar that is longer than limit.
func (s *scope) rejectSize(n node, name string, limit int) bool {
	if len(n.Value) <= limit {
		return false
	}
	s.err(n.at(), "limit", fmt.Sprintf("%s is %d bytes long; at most %d are allowed", name, len(n.Value), limit), "split it into several rules or macros")
	return true
}
