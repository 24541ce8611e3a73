package rules

import "strings"

const maxMessage = 4096

// messagePart is literal text, or the CEL of a pair of braces.
type messagePart struct {
	literal string
	program program
}

func setMessage(s *scope, n node) change {
	var parts []messagePart
	if !s.rejectSize(n, "the message", maxMessage) {
		if t, ok := s.str(n, "the message"); ok {
			parts = s.message(t)
		}
	}
	return func(d *definition) { d.message = parts }
}

// message splits a template into its parts.
func (s *scope) message(t text) []messagePart {
	var parts []messagePart
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			parts = append(parts, messagePart{literal: literal.String()})
			literal.Reset()
		}
	}
	for at := 0; at < len(t.value); {
		c := t.value[at]
		switch {
		case c != '{' && c != '}':
			literal.WriteByte(c)
			at++
		case strings.HasPrefix(t.value[at+1:], string(c)):
			literal.WriteByte(c)
			at += 2
		case c == '}':
			s.err(t.at(at), "message", "this } closes nothing", "write }} for a brace in the text")
			return nil
		default:
			end := closingBrace(t.value, at+1)
			if end < 0 {
				s.err(t.at(at), "message", "this { is not closed", "write {{ for a brace in the text")
				return nil
			}
			flush()
			if inner := t.slice(at+1, end).trim(); inner.value == "" {
				s.err(t.at(at), "message", "there is nothing between these braces", "name a field, as in {process.name}; write {{}} for braces in the text")
			} else if p, ok := s.program(inner, "the expression"); ok {
				parts = append(parts, messagePart{program: p})
			}
			at = end + 1
		}
	}
	flush()
	return parts
}

// closingBrace returns where the expression that starts at s[at] ends, or -1.
func closingBrace(s string, at int) int {
	depth := 0
	for at < len(s) {
		t := next(s, at)
		switch piece := s[t.start:t.end]; {
		case t.kind != otherToken:
		case piece == "{":
			depth++
		case piece == "}" && depth == 0:
			return at
		case piece == "}":
			depth--
		}
		at = t.end
	}
	return -1
}

// finishMessage expands the expressions of a message; without one, the title is the
// message.
func (l *loader) finishMessage(s *scope, d *definition) Message {
	if len(d.message) == 0 {
		return Message{Parts: []MessagePart{{Literal: d.title}}}
	}
	var m Message
	for _, p := range d.message {
		if p.program.tokens == nil {
			m.Parts = append(m.Parts, MessagePart{Literal: p.literal})
			continue
		}
		e, _ := l.expand(s, []clause{{"", p.program}})
		m.Parts = append(m.Parts, MessagePart{Expr: e})
	}
	return m
}
