package rules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// FuzzLoad holds for any two files: loading ends, reports places that exist, prints
// nothing a terminal obeys, and gives every byte of what it expands a true place.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/ok/*.yaml", "testdata/err/*.yaml"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(data), "rules: [{id: a, append: {and: x}}]")
		}
	}
	const head = "rules:\n  - id: a\n    title: x\n    on: [exec]\n    severity: low\n    condition: "
	for _, value := range []string{"a &&\n     b\n\n     c", `"\x41 \` + "\n" + `   b \" \n"`, "'a ''b''\n\n c'", "|\n      a\n\n       b", ">2-\n        a\n      b\n\n      c", "&x |+\n      é"} {
		f.Add(head+value+"\n", "macros: {a: b || c, b: 'c // d'}\nlists: {c: [x, \"y\\n\"]}")
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, one, two string) {
		sources := []Source{{"one.yaml", []byte(one)}, {"two.yaml", []byte(two)}}
		files := map[string]*file{"one.yaml": newFile("one.yaml", one), "two.yaml": newFile("two.yaml", two)}
		set, diagnostics := LoadSources(sources, Options{Now: now})
		checkPosition := func(p Position) *file {
			f := files[p.File]
			if f == nil || p.Line < 1 || p.Line > len(f.lines) || p.Column < 1 || f.lines[p.Line-1]+p.Column-1 > len(f.text) {
				t.Fatalf("%s does not exist", p)
			}
			return f
		}
		for _, d := range diagnostics {
			if d.Pos.File != "" {
				checkPosition(d.Pos)
			}
			if d.Message == "" || d.Check == "" {
				t.Errorf("incomplete: %+v", d)
			}
		}
		var b strings.Builder
		if err := Print(&b, diagnostics); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Fatalf("prints %q", r)
			}
		}
		for _, r := range set.Rules {
			expressions := []Expr{r.Condition}
			for _, x := range r.Exceptions {
				expressions = append(expressions, x.Condition)
			}
			for _, p := range r.Message.Parts {
				if p.Expr.Text != "" {
					expressions = append(expressions, p.Expr)
				}
			}
			for _, e := range expressions {
				checkExpression(t, e, checkPosition)
			}
			if r.Title == "" || len(r.On) == 0 || r.Severity == 0 || r.Version == "" {
				t.Errorf("incomplete: %+v", r)
			}
		}
		again, _ := LoadSources(sources, Options{Now: now})
		if again.Hash != set.Hash {
			t.Error("the hash differs when loaded again")
		}
	})
}

func checkExpression(t *testing.T, e Expr, checkPosition func(Position) *file) {
	t.Helper()
	p := parseTokens(text{value: e.Text})
	if message, _, at := p.unbalanced(); message != "" || !utf8.ValidString(e.Text) {
		t.Fatalf("%q: %s at %d", e.Text, message, at)
	}
	for i, s := 0, 0; i < len(e.Text); i++ {
		for s+1 < len(e.Origin.segments) && e.Origin.segments[s+1].offset <= i {
			s++
		}
		pos, _ := e.Origin.At(i)
		f := checkPosition(pos)
		at := f.lines[pos.Line-1] + pos.Column - 1
		if e.Origin.segments[s].fixed || unicode.IsSpace(rune(e.Text[i])) || e.Text[i] >= utf8.RuneSelf {
			continue
		}
		if at >= len(f.text) || f.text[at] != e.Text[i] && f.text[at] != '\\' && f.text[at] != '\'' {
			t.Fatalf("byte %d of %q is at %s, which is not the same", i, e.Text, pos)
		}
	}
}
