package rules_test

import (
	"strings"
	"testing"

	"eunomia/rules"
)

func TestPrintSortsAndEscapes(t *testing.T) {
	var b strings.Builder
	err := rules.Print(&b, []rules.Diagnostic{
		{Check: "limit", Message: "last"},
		{Pos: rules.Position{File: "b.yaml", Line: 10, Column: 3}, Message: "second", Source: "\tété: x", Warning: true},
		{Pos: rules.Position{File: "a\x1b[31m.yaml", Line: 1, Column: 2}, Check: "c", Message: "first\nline", Hint: "\u202e", Source: "\x07b\xff.c d"},
		{Pos: rules.Position{File: "b.yaml", Line: 9, Column: 5000}, Message: "long", Source: strings.Repeat("é", 100) + "\x00"},
	})
	want := `a\x1b[31m.yaml:1:2: error: first\nline [c]
  |
1 | \ab\xff.c d
  |   ^
  hint: \u202e
b.yaml:9:5000: error: long
  |
9 | …` + strings.Repeat("é", 60) + `\x00
  |  ` + strings.Repeat(" ", 64) + `^
b.yaml:10:3: warning: second
   |
10 |  été: x
   |  ^
error: last [limit]
`
	if err != nil || b.String() != want {
		t.Errorf("have\n%s\nwant\n%s", b.String(), want)
	}
}

func TestSuggestFindsTheNearestName(t *testing.T) {
	candidates := []string{"process.name", "process.executable", "file.path", "file.name", "exec"}
	for name, want := range map[string]string{
		"proces.name": "process.name", "process.nmae": "process.name", "file.pth": "file.path", "exce": "exec", "exec": "",
		"fd.name": "", "k8s.pod": "", "x": "", "": "", strings.Repeat("a", 100): "", "process.executables": "process.executable",
	} {
		if have := rules.Suggest(name, candidates); have != want {
			t.Errorf("%q: have %q, want %q", name, have, want)
		}
	}
}
