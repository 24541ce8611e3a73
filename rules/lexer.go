package rules

import (
	"regexp"
	"slices"
	"strings"
)

// tokenKind is what a piece of CEL is, as far as expansion needs to know.
type tokenKind uint8

const (
	spaceToken tokenKind = iota
	commentToken
	nameToken
	stringToken // also bytes
	otherToken  // numbers, operators, brackets: see token.text
	brokenToken // a string without end
)

type token struct {
	kind       tokenKind
	start, end int
}

var (
	numberPattern = regexp.MustCompile(`^(0[xX][0-9a-fA-F]+|[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|\.[0-9]+([eE][+-]?[0-9]+)?)[uU]?`)
	prefixPattern = regexp.MustCompile(`^([bB]?[rR]?)("""|'''|"|')`)
)

// lex splits s into tokens that cover all of it.
func lex(s string) []token {
	var tokens []token
	for at := 0; at < len(s); {
		t := next(s, at)
		tokens = append(tokens, t)
		at = t.end
	}
	return tokens
}

// next returns the token that starts at s[at].
func next(s string, at int) token {
	rest := s[at:]
	c := rest[0]
	switch {
	case isSpace(c):
		n := 1
		for n < len(rest) && isSpace(rest[n]) {
			n++
		}
		return token{spaceToken, at, at + n}
	case strings.HasPrefix(rest, "//"):
		n := strings.IndexByte(rest, '\n')
		if n < 0 {
			n = len(rest)
		}
		return token{commentToken, at, at + n}
	case c == '"' || c == '\'' || strings.IndexByte("bBrR", c) >= 0:
		if m := prefixPattern.FindStringSubmatch(rest[:min(len(rest), 5)]); m != nil {
			return lexString(s, at, len(m[0]), m[2], strings.ContainsAny(m[1], "rR"))
		}
	case c == '`':
		if n := strings.IndexByte(rest[1:], '`'); n >= 0 {
			return token{otherToken, at, at + n + 2}
		}
	case isDigit(c) || c == '.' && len(rest) > 1 && isDigit(rest[1]):
		return token{otherToken, at, at + len(numberPattern.FindString(rest))}
	}
	if isNameStart(c) {
		n := 1
		for n < len(rest) && (isNameStart(rest[n]) || isDigit(rest[n])) {
			n++
		}
		return token{nameToken, at, at + n}
	}
	return token{otherToken, at, at + 1}
}

// lexString returns the string literal whose prefix and opening quote end at
// s[at+opening].
func lexString(s string, at, opening int, quote string, raw bool) token {
	for i := at + opening; i < len(s); i++ {
		switch {
		case s[i] == '\\' && !raw:
			i++
		case strings.HasPrefix(s[i:], quote):
			return token{stringToken, at, i + len(quote)}
		case s[i] == '\n' && len(quote) == 1:
			return token{brokenToken, at, i}
		}
	}
	return token{brokenToken, at, len(s)}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isNameStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
}

// program is CEL as a list of the tokens that mean something.
type program struct {
	text
	tokens []token
}

func parseTokens(t text) program {
	return program{t, slices.DeleteFunc(lex(t.value), func(k token) bool { return k.kind == spaceToken || k.kind == commentToken })}
}

func (p program) token(i int) string {
	if i < 0 || i >= len(p.tokens) {
		return ""
	}
	return p.value[p.tokens[i].start:p.tokens[i].end]
}

func (p program) isName(i int) bool {
	return i >= 0 && i < len(p.tokens) && p.tokens[i].kind == nameToken
}

// names reports whether token i stands alone as a name: it is no member, no
// function and no qualified name.
func (p program) names(i int) bool {
	if !p.isName(i) || p.token(i-1) == "." || p.token(i-1) == "?" && p.token(i-2) == "." {
		return false
	}
	return p.token(i+1) != "("
}

// comprehensions are the CEL macros whose first arguments name variables, with the
// most variables that each takes.
var comprehensions = map[string]int{"all": 2, "exists": 2, "exists_one": 2, "existsOne": 2, "map": 1, "filter": 1,
	"transformList": 2, "transformMap": 2, "transformMapEntry": 2, "bind": 1}

// declared returns the tokens that declare a variable of a comprehension.
func (p program) declared() []int {
	var out []int
	for i := range p.tokens {
		if p.token(i) != "." || p.token(i+2) != "(" {
			continue
		}
		for n := range comprehensions[p.token(i+1)] {
			at := i + 3 + 2*n
			if !p.isName(at) || p.token(at+1) != "," {
				break
			}
			out = append(out, at)
		}
	}
	return out
}

// unbalanced returns what keeps the expression from standing in parentheses, and
// where: a bracket without its partner or a string without end.
func (p program) unbalanced() (message, hint string, at int) {
	var open []int
	closing := map[string]string{"(": ")", "[": "]", "{": "}"}
	for i, t := range p.tokens {
		if t.kind == brokenToken {
			return "the string has no end", "close it with the quote it starts with; strings over several lines need three quotes", t.start
		}
		if t.kind != otherToken {
			continue
		}
		switch s := p.token(i); s {
		case "(", "[", "{":
			open = append(open, i)
		case ")", "]", "}":
			if len(open) == 0 || closing[p.token(open[len(open)-1])] != s {
				return "this " + s + " closes nothing", "remove it, or open it before", t.start
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		i := open[len(open)-1]
		return "this " + p.token(i) + " is not closed", "add the missing " + closing[p.token(i)], p.tokens[i].start
	}
	return "", "", 0
}
