package rules_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"eunomia/rules"
)

var mark = regexp.MustCompile(`mark[0-9]`)

// placeOf returns where a word that stands once in a file is.
func placeOf(t *testing.T, file, text, word string) string {
	t.Helper()
	text = strings.TrimPrefix(text, "\ufeff")
	if strings.Count(text, word) != 1 {
		t.Fatalf("%q stands %d times in\n%s", word, strings.Count(text, word), text)
	}
	before, _, _ := strings.Cut(text, word)
	return fmt.Sprintf("%s:%d:%d", file, strings.Count(before, "\n")+1, len(before)-strings.LastIndex(before, "\n"))
}

// checkMarks checks that each mark in an expression leads to where it stands in the file.
func checkMarks(t *testing.T, file, text string, e rules.Expr) {
	t.Helper()
	found := mark.FindAllStringIndex(e.Text, -1)
	if len(found) == 0 {
		t.Errorf("no mark in %q", e.Text)
	}
	for _, m := range found {
		word := e.Text[m[0]:m[1]]
		for i := range word {
			pos, via := e.Origin.At(m[0] + i)
			want := placeOf(t, file, text, word)
			pos.Column -= i
			if pos.String() != want || via != "" {
				t.Errorf("byte %d of %s is at %s (%s), want %s in\n%s", i, word, pos, via, want, text)
			}
		}
	}
}

const head = "rules:\n  - id: a\n    title: x\n    on: [exec]\n    severity: low\n"

func TestEveryByteOfAConditionKnowsItsPlace(t *testing.T) {
	for name, text := range map[string]string{
		"plain":                        head + "    condition: mark1 && mark2 # mark\n",
		"plain over lines":             head + "    condition: mark1 &&\n      mark2\n\n        && mark3\n",
		"plain on the next line":       head + "    condition:\n      mark1\n      && mark2\n",
		"after characters of 3 bytes":  head + "    condition: '\"日本語\" == mark1 || \"é\" == mark2'\n",
		"single quotes":                head + "    condition: 'x == ''it'' && mark1 && y == ''''\n\n      && mark2'\n",
		"double quotes":                head + `    condition: "x == \"\x41\u00e9\U0001F600\t\" && mark1 \` + "\n" + `         && mark2  ` + "\n\n" + `   \n && mark3\x20mark4"` + "\n",
		"literal":                      head + "    condition: |\n      mark1\n        && mark2\n\n      && mark3\n",
		"literal, stripped":            head + "    condition: |- # comment\n\n      mark1\n      && mark2",
		"literal with indent":          head + "    condition: |2+\n        mark1\n       && mark2\n\n",
		"folded":                       head + "    condition: >\n      mark1\n      && mark2\n\n      && mark3\n        && mark4\n\n\n      && mark5\n",
		"folded, kept":                 head + "    condition: >+\n      mark1\n\n      && mark2\n\n",
		"flow mapping":                 "rules: [{id: a, title: x, on: [exec], severity: low, condition: mark1\n  && mark2}]\n",
		"JSON":                         `{"rules": [{"id": "a", "title": "é", "on": ["exec"], "severity": "low", "condition":"mark1 == \"\\\"\" && mark2"}]}`,
		"CRLF":                         strings.ReplaceAll(head+"    condition: |\n      mark1\n      && mark2\n", "\n", "\r\n"),
		"CRLF, folded":                 strings.ReplaceAll(head+"    condition: >\n      mark1\n      && mark2\n\n      && mark3", "\n", "\r\n"),
		"byte order mark":              "\ufeff{rules: [{id: a, title: x, on: [exec], severity: low, condition: mark1}]}",
		"anchor":                       head + "    condition: &c\n      mark1 && mark2\n",
		"comments with line separator": "# a\u2028# b\u0085# c\n" + head + "    # é\n    condition: mark1\n",
		"CEL comments":                 head + "    condition: |\n      mark1 // one\n      // two\n      && mark2 // three\n",
		"second document":              "lists: {}\n---\n" + head + "    condition: mark1\n",
		"escaped key before":           "rules: [{\"\\x69d\": a, title: 'it''s', on: [exec], severity: low, condition: mark1}]\n",
		"tabs":                         head + "    condition:\tmark1\t&&  mark2\n",
	} {
		t.Run(name, func(t *testing.T) {
			checkMarks(t, "a.yaml", text, ruleNamed(t, mustLoad(t, "a.yaml", text), "a").Condition)
		})
	}
}

func TestExpressionsInMessagesKnowTheirPlace(t *testing.T) {
	text := head + "    condition: \"true\"\n    message: >-\n      {{é}} { mark1 } and\n      {mark2 + \"}\"}\n"
	for i, p := range ruleNamed(t, mustLoad(t, "a.yaml", text), "a").Message.Parts {
		if p.Expr.Text != "" {
			checkMarks(t, "a.yaml", text, p.Expr)
		} else if want := []string{"{é} ", "", " and "}[i]; p.Literal != want {
			t.Errorf("part %d is %q, want %q", i, p.Literal, want)
		}
	}
}

func TestExpandedTextTellsThroughWhatItCame(t *testing.T) {
	lib := "lists:\n  shells: [bash, \"z\\x73h\"]\nmacros:\n  inner: |\n    process.name in shells\n  outer: process.interactive && inner\n"
	text := head + "    condition: process.user.id == 0 && outer\n"
	e := ruleNamed(t, mustLoad(t, "lib.yaml", lib, "a.yaml", text), "a").Condition
	if want := `process.user.id == 0 && (process.interactive && (process.name in ["bash", "zsh"]` + "\n))"; e.Text != want {
		t.Fatalf("expanded to %q, want %q", e.Text, want)
	}
	outer := "macro outer, used at a.yaml:6:40"
	inner := "macro inner, used at lib.yaml:6:33, in " + outer
	for _, c := range []struct{ at, pos, via string }{
		{"process.user", "a.yaml:6:16", ""},
		{"(process.interactive", "a.yaml:6:40", ""},
		{"process.interactive", "lib.yaml:6:10", outer},
		{"process.name", "lib.yaml:5:5", inner},
		{"in [", "lib.yaml:5:18", inner},
		{"[", "lib.yaml:5:21", inner},
		{`"bash"`, "lib.yaml:2:12", "list shells, used at lib.yaml:5:21, in " + inner},
		{`"zsh"`, "lib.yaml:2:19", "list shells, used at lib.yaml:5:21, in " + inner},
	} {
		pos, via := e.Origin.At(strings.Index(e.Text, c.at))
		if pos.String() != c.pos || via != c.via {
			t.Errorf("%s is at %s (%s), want %s (%s)", c.at, pos, via, c.pos, c.via)
		}
	}
	d := e.Diagnose(strings.Index(e.Text, "process.interactive"), "type", "no such thing", "")
	if d.Source != "  outer: process.interactive && inner" || !strings.HasSuffix(d.Message, "("+outer+")") {
		t.Errorf("diagnosed as %+v", d)
	}
}

func TestAnExpressionWithoutOriginHasNoPlace(t *testing.T) {
	e := rules.Expr{Text: "true"}
	if pos, via := e.Origin.At(2); pos != (rules.Position{}) || via != "" {
		t.Errorf("at %v (%s)", pos, via)
	}
	if d := e.Diagnose(0, "type", "m", "h"); d.Message != "m" || d.Source != "" {
		t.Errorf("diagnosed as %+v", d)
	}
}
