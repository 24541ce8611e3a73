package engine

import (
	"slices"
	"strings"
	"testing"

	"eunomia/event"
)

func execScope() scope {
	return scope{on: []event.Kind{event.Exec}, maxCost: DefaultMaxCost, macros: []string{"in_container", "shells"}}
}

func TestEveryFieldHasItsType(t *testing.T) {
	fields := event.Fields()
	for i := range fields {
		f := &fields[i]
		kinds := f.Kinds.Kinds()
		if f.Kinds == 0 {
			kinds = []event.Kind{event.Exec, event.Open, event.Listen}
		}
		c, problems := check(f.Name, scope{on: kinds, maxCost: DefaultMaxCost})
		if problems != nil {
			t.Errorf("%s: %+v", f.Name, problems)
			continue
		}
		if got := plainType(c.typ.String()); got != f.Type.String() {
			t.Errorf("%s is a %s to CEL, a %s in the field table", f.Name, got, f.Type)
		}
		if _, problems := check("has("+f.Name+")", scope{on: kinds, maxCost: DefaultMaxCost}); problems != nil {
			t.Errorf("has(%s): %+v", f.Name, problems)
		}
	}
	for _, f := range event.AncestorFields {
		if _, problems := check("process.ancestors.exists(a, has(a."+f.Name+"))", execScope()); problems != nil {
			t.Errorf("%s: %+v", f.Name, problems)
		}
	}
}

func TestNoFieldIsAlsoAGroup(t *testing.T) {
	names := map[string]bool{}
	for _, f := range event.Fields() {
		names[f.Name] = true
	}
	for _, g := range groups() {
		if names[g.name] {
			t.Errorf("%s is a field and the beginning of others; CEL cannot have both: rename it", g.name)
		}
	}
}

func TestEveryFunctionsExampleChecks(t *testing.T) {
	for _, f := range Functions() {
		s := scope{on: []event.Kind{event.Exec}, maxCost: DefaultMaxCost}
		switch {
		case strings.Contains(f.Example, "file."):
			s.on = []event.Kind{event.Open}
		case strings.Contains(f.Example, "destination."), strings.Contains(f.Example, "source."):
			s.on = []event.Kind{event.Connect}
		}
		c, problems := check(f.Example, s)
		if problems != nil {
			t.Errorf("%s: %s: %+v", f.Name, f.Example, problems)
			continue
		}
		if _, err := planProgram(c.tree); err != nil {
			t.Errorf("%s: %s: %v", f.Name, f.Example, err)
		}
		if f.Doc == "" {
			t.Errorf("%s has no doc", f.Name)
		}
	}
}

func TestMistakesAreExplained(t *testing.T) {
	for _, c := range []struct {
		text, at      string // at: the text from the reported offset on begins so
		check         string
		message, hint string // parts
	}{
		{`process.pid == 1 && process.nmae == "x"`, "process.nmae", "unknown-field", "no field process.nmae on exec", "did you mean process.name?"},
		{`"é" != "ü" && process.nmae == "x"`, "process.nmae", "unknown-field", "no field process.nmae", "process.name"},
		{"process.pid == 1 &&\n  process.nmae == \"x\"", "process.nmae", "unknown-field", "", ""},
		{`file.path == "x"`, "file.path", "unknown-field", "file.path exists on open, not on exec", "on: [open]"},
		{`in_contaner && process.pid == 1`, "in_contaner", "unknown-field", "no field in_contaner", "did you mean in_container?"},
		{`process == process`, "process", "unknown-field", "process is a group of fields", "process.name"},
		{`has(process.parent)`, "process.parent", "unknown-field", "group of fields", ""},
		{`process.name.foo == ""`, "process.name.foo", "unknown-field", "process.name is a string", ""},
		{`process.ancestors.exists(a, a.nam == "x")`, "a.nam", "unknown-field", "has no nam", "did you mean name?"},
		{`process.name.startswith("x")`, "startswith", "unknown-function", "no function startswith", "startsWith"},
		{`not (process.pid == 1)`, "not", "unknown-function", "no function not", "write !"},
		{`dyn(1) == 1`, "dyn", "unknown-function", "no function dyn", ""},
		{`process.pid == "1"`, "process.pid", "type", `cannot compare process.pid (int) with "1" (string)`, "write 1 without quotes"},
		{`process.name == 1`, "process.name", "type", "cannot compare", `write "1" in quotes`},
		{`process.interactive == "true"`, "process.interactive", "type", "cannot compare", "write process.interactive"},
		{`"x" == process.args`, `"x"`, "type", "cannot compare", `"x" in process.args`},
		{`process.name in "bash"`, "process.name", "type", "needs a list", `process.name == "bash"`},
		{`"sh" in process.name`, `"sh"`, "type", "needs a list", `process.name.contains("sh")`},
		{`process.args.startsWith("x")`, "process.args", "type", "does not work on process.args (list(string))", "process.args.exists(x, x.startsWith(…))"},
		{`process.name && true`, "process.name", "type", "where true or false is needed", `process.name == "…"`},
		{`process.name.exists(a, a == "x")`, "process.name", "type", "only a list or map", ""},
		{`1.5 < 2.0`, "1.5", "type", "no decimal numbers", "whole number"},
		{`process.pid == 1u`, "1u", "type", "no unsigned numbers", ""},
		{`{"a": 1}["a"] == 1`, "{", "syntax", "no meaning", ""},
		{`process.name = "x"`, `= "x"`, "syntax", "cannot read", "=="},
		{`process.pid == 1 and process.pid == 2`, "and", "syntax", `cannot read "and"`, "&&"},
		{`process.name &&`, "", "syntax", "ends too early", ""},
		{`process.name == "abc`, `"abc`, "syntax", "cannot read the string", "close the quote"},
		{``, "", "syntax", "empty", ""},
		{`process.name.matches("[")`, `"["`, "pattern", "missing closing ]", ""},
		{`process.name.matches("(a{1000}){1000}")`, `"(`, "pattern", "", ""},
		{`process.name.matches(process.tty)`, "matches", "pattern", "needs a constant", ""},
		{`process.name.glob("[a")`, `"[a"`, "pattern", "has no ]", ""},
		{`cidr("10.0.0.0").containsIP("10.0.0.1")`, `"10.0.0.0"`, "pattern", "not an address range", ""},
		{`event.time - process.start < duration("10 min")`, `"10 min"`, "pattern", "not a length of time", ""},
		{`process.args.exists(a, process.args.exists(b, a == b))`, "process.args", "cost", "could take", "loop inside a loop"},
		{`process.args.exists(a, process.args.exists(b, process.args.exists(c, a == c)))`, "", "cost", "more than 2 loops", ""},
		{`process.name.matches("(abc){1,900}")`, `"(abc`, "pattern", "steps", ""},
		{strings.Repeat("process.pid == 1 && ", 5000) + "true", "process.pid", "cost", "too large", "split"},
		{strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200), "", "cost", "too large", ""},
	} {
		_, problems := check(c.text, execScope())
		if len(problems) == 0 {
			t.Errorf("%s: accepted", c.text)
			continue
		}
		i := slices.IndexFunc(problems, func(p problem) bool { return p.check == c.check })
		if i < 0 {
			t.Errorf("%s: no %s problem in %+v", c.text, c.check, problems)
			continue
		}
		p := problems[i]
		if !strings.HasPrefix(c.text[p.offset:], c.at) {
			t.Errorf("%s: reported at %q, want at %q", c.text, c.text[p.offset:], c.at)
		}
		if !strings.Contains(p.message, c.message) || !strings.Contains(p.hint, c.hint) {
			t.Errorf("%s: %q (hint %q), want %q (hint %q)", c.text, p.message, p.hint, c.message, c.hint)
		}
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	_, problems := check(`process.nmae == "x" && process.pid == "1" && process.args.foo("x")`, execScope())
	if len(problems) != 3 {
		t.Errorf("%+v", problems)
	}
}

func TestAFieldThatSomeKindsLack(t *testing.T) {
	_, problems := check(`destination.port == 22`, scope{on: []event.Kind{event.Connect, event.Listen}, maxCost: DefaultMaxCost})
	if len(problems) != 1 || problems[0].message != "destination.port exists on connect, accept, not on listen" {
		t.Errorf("%+v", problems)
	}
}

func TestCountedRepetitionsAreAllowed(t *testing.T) {
	if c, problems := check(`process.name.matches("^[a-z]{2,3}$")`, scope{on: []event.Kind{event.Exec}, maxCost: DefaultMaxCost}); c == nil {
		t.Fatalf("%+v", problems)
	}
}
