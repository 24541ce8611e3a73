package engine

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxGlobTokens bounds what stands between the first and the last wildcard of a
// pattern; globWords is the same as bit words.
const (
	globWords     = 4
	maxGlobTokens = globWords*64 - 1
)

// glob matches a whole string against a pattern: * is any run of characters but
// /, ** any run, ? one character but /, [a-z] and [!a-z] one of a class, never /;
// \ takes the next character as it is. Time is linear in the string, whatever the
// pattern: a set of states walks along, nothing is tried twice.
type glob struct {
	prefix, suffix string // literal ends, compared as bytes
	exact          bool   // the pattern is prefix and nothing else
	tokens         []globToken
	words          int // of state in use
	ascii          [utf8.RuneSelf]globState
	runs           globState // positions of * and **
}

// globState is a set of positions in the pattern.
type globState [globWords]uint64

type globToken struct {
	kind   globKind
	char   rune
	class  []runeRange
	negate bool
}

type globKind uint8

const (
	globChar globKind = iota
	globOne           // ?
	globClass
	globStar     // *
	globStarStar // **
)

type runeRange struct{ low, high rune }

// compileGlob returns the matcher of a pattern.
func compileGlob(pattern string) (*glob, error) {
	tokens, err := parseGlob(pattern)
	if err != nil {
		return nil, err
	}
	g := &glob{}
	g.prefix, tokens = literalPrefix(tokens)
	if len(tokens) == 0 {
		g.exact = true
		return g, nil
	}
	g.suffix, g.tokens = literalSuffix(tokens)
	if len(g.tokens) > maxGlobTokens {
		return nil, fmt.Errorf("more than %d characters between the first and the last wildcard", maxGlobTokens)
	}
	g.words = len(g.tokens)/64 + 1
	for i, t := range g.tokens {
		if t.kind == globStar || t.kind == globStarStar {
			g.runs.set(i)
		}
		for c := range g.ascii {
			if t.accepts(rune(c), 1) {
				g.ascii[c].set(i)
			}
		}
	}
	return g, nil
}

// match reports whether all of s matches the pattern.
func (g *glob) match(s string) bool {
	if g.exact {
		return s == g.prefix
	}
	if len(s) < len(g.prefix)+len(g.suffix) || !strings.HasPrefix(s, g.prefix) || !strings.HasSuffix(s, g.suffix) {
		return false
	}
	s = s[len(g.prefix) : len(s)-len(g.suffix)]
	if len(g.tokens) == 1 && g.tokens[0].kind == globStarStar {
		return true
	}
	var at globState
	at.set(0)
	g.skipRuns(&at)
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		var accept globState
		if r < utf8.RuneSelf {
			accept = g.ascii[r]
		} else {
			r, n = utf8.DecodeRuneInString(s[i:])
			for t := range g.tokens {
				if g.tokens[t].accepts(r, n) {
					accept.set(t)
				}
			}
		}
		i += n
		var alive, carry uint64
		for w := range g.words {
			moved := at[w] & accept[w]
			stay := moved & g.runs[w]
			step := moved &^ g.runs[w]
			at[w] = stay | step<<1 | carry
			carry = step >> 63
			alive |= at[w]
		}
		if alive == 0 {
			return false
		}
		g.skipRuns(&at)
	}
	return at.has(len(g.tokens))
}

// skipRuns adds the positions behind each * and **, which may match nothing. Two
// of them never stand side by side.
func (g *glob) skipRuns(at *globState) {
	var carry uint64
	for w := range g.words {
		next := at[w] & g.runs[w]
		at[w] |= next<<1 | carry
		carry = next >> 63
	}
}

func (s *globState) set(i int)      { s[i/64] |= 1 << (i % 64) }
func (s *globState) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// accepts reports whether the token can take the character r, n bytes wide in the
// string. A byte that is not UTF-8 is a character equal to no other.
func (t *globToken) accepts(r rune, n int) bool {
	invalid := r == utf8.RuneError && n == 1
	switch t.kind {
	case globChar:
		return r == t.char && !invalid
	case globStarStar:
		return true
	case globClass:
		in := false
		for _, c := range t.class {
			in = in || !invalid && r >= c.low && r <= c.high
		}
		return in != t.negate && r != '/'
	default:
		return r != '/'
	}
}

func parseGlob(pattern string) ([]globToken, error) {
	if !utf8.ValidString(pattern) {
		return nil, fmt.Errorf("the pattern is not UTF-8")
	}
	var tokens []globToken
	p := []rune(pattern)
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '*':
			run := i
			for i+1 < len(p) && p[i+1] == '*' {
				i++
			}
			kind := globStar
			if i > run {
				kind = globStarStar
			}
			tokens = append(tokens, globToken{kind: kind})
		case '?':
			tokens = append(tokens, globToken{kind: globOne})
		case '[':
			t, end, err := parseClass(p, i)
			if err != nil {
				return nil, err
			}
			tokens, i = append(tokens, t), end
		case '\\':
			if i++; i == len(p) {
				return nil, fmt.Errorf("the pattern ends in \\")
			}
			tokens = append(tokens, globToken{char: p[i]})
		default:
			tokens = append(tokens, globToken{char: p[i]})
		}
	}
	return tokens, nil
}

// parseClass reads the class that begins at p[i] and returns the index of its ].
func parseClass(p []rune, i int) (globToken, int, error) {
	t := globToken{kind: globClass}
	i++
	if i < len(p) && (p[i] == '!' || p[i] == '^') {
		t.negate = true
		i++
	}
	next := func() (rune, bool) {
		if i < len(p) && p[i] == '\\' {
			i++
		}
		if i >= len(p) {
			return 0, false
		}
		i++
		return p[i-1], true
	}
	for first := true; ; first = false {
		if i < len(p) && p[i] == ']' && !first {
			return t, i, nil
		}
		low, ok := next()
		high := low
		if ok && i+1 < len(p) && p[i] == '-' && p[i+1] != ']' {
			i++
			high, ok = next()
		}
		if !ok {
			return t, 0, fmt.Errorf("a [ has no ]")
		}
		if high < low {
			return t, 0, fmt.Errorf("the range %c-%c is empty", low, high)
		}
		t.class = append(t.class, runeRange{low, high})
	}
}

func literalPrefix(tokens []globToken) (string, []globToken) {
	var b strings.Builder
	for len(tokens) > 0 && tokens[0].kind == globChar {
		b.WriteRune(tokens[0].char)
		tokens = tokens[1:]
	}
	return b.String(), tokens
}

func literalSuffix(tokens []globToken) (string, []globToken) {
	end := len(tokens)
	for end > 0 && tokens[end-1].kind == globChar {
		end--
	}
	suffix, _ := literalPrefix(tokens[end:])
	return suffix, tokens[:end]
}
