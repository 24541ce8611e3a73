package engine

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"/etc/passwd", "/etc/passwd", true},
		{"/etc/passwd", "/etc/passwd2", false},
		{"/home/*/.ssh/**", "/home/eve/.ssh/authorized_keys", true},
		{"/home/*/.ssh/**", "/home/eve/x/.ssh/authorized_keys", false},
		{"/home/*/.ssh/**", "/home/eve/.ssh/", true},
		{"*/ssh", "/home/ssh/bin/ssh", false},
		{"**/ssh", "/home/ssh/bin/ssh", true}, // the literal occurs twice
		{"**.onion", "a.onion.onion", true},
		{"*.so.?", "libc.so.6", true},
		{"*.so.?", "libc.so./", false},
		{"lib[a-d]*", "libc.so", true},
		{"lib[!a-d]*", "libc.so", false},
		{"[]a]", "]", true},
		{"[a-]", "-", true},
		{`\*`, "*", true},
		{`\*`, "x", false},
		{"?", "é", true},
		{"?", "\xff", true},
		{"\uFFFD", "\xff", false}, // a broken byte is no character of the pattern
		{"**", "a/b", true},
		{"*", "a/b", false},
		{"a**b**c", "axbxbxc", true},
		{"a*b*c", "a/b/c", false},
		{"aa*aa", "aaa", false}, // the ends must not overlap
		{strings.Repeat("?", 200), strings.Repeat("x", 200), true},
		{"*" + strings.Repeat("ab", 90) + "*", "x" + strings.Repeat("ab", 90), true},
	} {
		g, err := compileGlob(c.pattern)
		if err != nil {
			t.Fatalf("%q: %v", c.pattern, err)
		}
		if got := g.match(c.s); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.s, got, c.want)
		}
	}
}

func TestGlobRefusesBrokenPatterns(t *testing.T) {
	for _, p := range []string{"[", "[a", "[z-a]", `a\`, "[!", "\xff", "*" + strings.Repeat("a", 300) + "*"} {
		if _, err := compileGlob(p); err == nil {
			t.Errorf("%q compiles", p)
		}
	}
}

func TestGlobTimeIsLinear(t *testing.T) {
	g, err := compileGlob(strings.Repeat("**a*", 40) + "b")
	if err != nil {
		t.Fatal(err)
	}
	s := strings.Repeat("a", 1<<20) + "c"
	begin := time.Now()
	if !g.match(s+"b") || g.match(s) {
		t.Error("wrong verdict")
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("two megabytes took %v", d)
	}
}

// reference is the same pattern as a regular expression.
func reference(tokens []globToken) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for _, t := range tokens {
		switch t.kind {
		case globChar:
			b.WriteString(regexp.QuoteMeta(string(t.char)))
		case globOne:
			b.WriteString(`[^/]`)
		case globStar:
			b.WriteString(`[^/]*`)
		case globStarStar:
			b.WriteString(`.*`)
		case globClass:
			b.WriteByte('(')
			for r := rune(0); r < 0x180; r++ {
				if t.accepts(r, utf8.RuneLen(r)) {
					fmt.Fprintf(&b, `\x{%x}|`, r)
				}
			}
			if t.accepts(0x180, 2) {
				b.WriteString(`[\x{180}-\x{10FFFF}]|`)
			}
			b.WriteString(`[^\x{0}-\x{10FFFF}])`)
		}
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{{"*a**b?", "xaybz"}, {"a*b*c", "abcbc"}, {"**/x", "a/x/x"}, {"[a-c]*[!x]", "bxy"}, {"ä*", "äö"}, {"**a*b**", "aab/ab"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		// The reference cannot tell a broken byte from U+FFFD; classes beyond Latin
		// are too large for it.
		if len(pattern) > 40 || len(s) > 200 || !utf8.ValidString(s) || strings.ContainsFunc(pattern, func(r rune) bool { return r >= 0x180 }) {
			t.Skip()
		}
		g, err := compileGlob(pattern)
		if err != nil {
			t.Skip()
		}
		tokens, _ := parseGlob(pattern)
		if got, want := g.match(s), reference(tokens).MatchString(s); got != want {
			t.Errorf("%q matches %q: %v, the reference says %v", pattern, s, got, want)
		}
	})
}
