package engine

import (
	"strings"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/rules"
)

// exec is a set of one rule on exec with the given condition.
func exec(condition string) *rules.Set {
	return &rules.Set{Rules: []*rules.Rule{{ID: "r", Enabled: true, On: []event.Kind{event.Exec}, Condition: rules.Expr{Text: condition}}}}
}

func TestDiagnosticsPointIntoTheFile(t *testing.T) {
	set, found := rules.LoadSources([]rules.Source{{Name: "a.yaml", Data: []byte(`macros:
  is_shell: process.nmae in shells
lists:
  shells: [bash, sh]
rules:
  - id: bad_macro
    title: T
    on: [exec]
    severity: low
    condition: process.pid == 1 && is_shell
  - id: bad_type
    title: T
    on: [exec]
    severity: low
    condition: >-
      process.pid == 1
      && process.name == 7
    exceptions:
      - {name: e, reason: r, condition: file.path == "x"}
    message: "saw {process.foo}"
  - id: good
    title: T
    on: [exec]
    severity: low
    condition: process.pid == 1
`)}}, rules.Options{})
	if len(found) > 0 {
		t.Fatalf("%+v", found)
	}
	p, found := Compile(set, Limits{})
	if rules := p.Rules(); len(rules) != 1 || rules[0].Info.ID != "good" {
		t.Errorf("%d rules are left", len(rules))
	}
	want := []struct{ pos, message, source, rule string }{
		{"a.yaml:2:13", "no field process.nmae on exec (macro is_shell, used at a.yaml:10:36)", "process.nmae", "bad_macro"},
		{"a.yaml:17:10", "cannot compare process.name (string) with 7 (int)", "process.name == 7", "bad_type"},
		{"a.yaml:19:41", "file.path exists on open, not on exec", "file.path", "bad_type"},
		{"a.yaml:20:20", "no field process.foo on exec", "process.foo", "bad_type"},
	}
	if len(found) != len(want) {
		t.Fatalf("%+v", found)
	}
	for i, w := range want {
		d := found[i]
		if d.Pos.String() != w.pos || d.Message != w.message || !strings.Contains(d.Source, w.source) || d.Rule != w.rule {
			t.Errorf("%s: %s [%s] %q", d.Pos, d.Message, d.Rule, d.Source)
		}
	}
}

func TestARuleThatCanNeverMatchIsKeptWithAWarning(t *testing.T) {
	p, found := Compile(exec(`process.pid == 1 && event.kind == "open"`), Limits{})
	if len(found) != 1 || !found[0].Warning || len(p.Rules()) != 1 || p.Kinds() != 0 {
		t.Errorf("%+v, %d rules", found, len(p.Rules()))
	}
}

func TestConstantsThatCannotBeComputed(t *testing.T) {
	_, found := Compile(exec(`int("x") == 1 || true`), Limits{})
	if len(found) != 1 || !strings.Contains(found[0].Message, "constant") {
		t.Errorf("%+v", found)
	}
}

func TestCostLimitIsAdjustable(t *testing.T) {
	set := exec(`process.args.exists(a, a.matches("x.*y"))`)
	if _, found := Compile(set, Limits{Cost: 100}); len(found) != 1 || found[0].Check != "cost" {
		t.Errorf("%+v", found)
	}
	p, found := Compile(set, Limits{})
	if len(found) != 0 || p.Rules()[0].Cost < 100 {
		t.Errorf("%+v", found)
	}
}

func TestConstantPatternsAreCompiledOnce(t *testing.T) {
	for _, condition := range []string{`process.name.glob("a*[b-c]d")`, `cidr("10.0.0.0/8").containsIP("10.0.0.1")`, `process.name in ["a", "b"]`} {
		p, found := Compile(exec(condition), Limits{})
		if found != nil {
			t.Fatalf("%+v", found)
		}
		x, e := New(p), event.New(event.Exec)
		x.Evaluate(e)
		if n := testing.AllocsPerRun(100, func() { x.Evaluate(e) }); n > 2 {
			t.Errorf("%s: %.0f allocations for each event", condition, n)
		}
	}
}

func TestRunTests(t *testing.T) {
	p := load(t, rule("r", "exec", `process.name == "bash" && process.interactive && container.labels["x"] == "1"`, `    exceptions:
      - {name: eve, reason: x, condition: process.user.name == "eve", expires: 2026-02-01}
    tests:
      - fires: {process.name: bash, process.interactive: true, container.labels: {x: "1"}}
      - fires: {process.name: sh, process.interactive: false, container.labels: {x: "1"}}
      - silent: {process.name: bash, process.interactive: true, container.labels: {x: "1"}}
      - silent: {process.name: bash, process.interactive: true, container.labels: {x: "1"}, process.user.name: eve}
      - silent: {process.name: bash, process.interactive: true}
      - silent: {process.name: sh}`))
	for i, want := range []struct {
		passed  bool
		outcome Outcome
		why     string
	}{
		{true, Matched, "the condition holds"},
		{false, NoMatch, `process.name == "bash" is false; process.interactive is false`},
		{false, Matched, "the condition holds"},
		{true, Excepted, "the exception eve"},
		{false, Failed, `container.labels["x"] == "1": no such key`},
		{true, NoMatch, `process.name == "bash" is false`},
	} {
		got := p.RunTests(time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC))[i]
		if got.Passed != want.passed || got.Outcome != want.outcome || !strings.Contains(got.Why, want.why) || got.Pos.Line == 0 {
			t.Errorf("test %d: %+v", i, got)
		}
	}
	if got := p.RunTests(time.Date(2026, 2, 15, 0, 0, 0, 0, time.UTC))[3]; got.Outcome != Matched {
		t.Errorf("an expired exception holds: %+v", got)
	}
}

func TestBrokenTestEventsFail(t *testing.T) {
	set := exec("true")
	set.Rules[0].Tests = []rules.Test{{Values: map[string]any{"event.kind": "open"}}, {Values: map[string]any{"process.nmae": "x"}}, {}}
	p, _ := Compile(set, Limits{})
	res := p.RunTests(time.Now())
	if res[0].Passed || !strings.Contains(res[0].Why, "on exec") || res[1].Passed || !strings.Contains(res[1].Why, "process.nmae") || res[2].Passed {
		t.Errorf("%+v", res)
	}
}

// FuzzCompile: no text of a condition may panic or hang, and what compiles can be
// evaluated.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`process.name == "x"`, `process.args.exists(a, a.glob("x*"))`, `has(container.labels.x) ? 1 == 2 : true`, `cidr("::/0").containsIP(process.name)`,
		`process.ancestors.map(a, a.args.filter(b, b != "")).size() > 1`, `-(-9223372036854775808) == 1`, `process.name.substring(1, 0) == ""`, `{`, `"\u00e9" in ["é"]`,
		`event.time.getHours("Nowhere") == 1`, `process.args.join(process.name).split("").size() == 3`, "a\n.b", `process[0]`, `sets.contains([1], ["a"])`, `int(process.name) == 1`,
		`process.ancestors.exists(process, process.name == "x")`, `has(process.ancestors[0].name)`, `ip.isCanonical("1")`, `process.ancestors[0]`,
	} {
		f.Add(s)
	}
	e := event.New(event.Exec)
	f.Fuzz(func(t *testing.T, condition string) {
		set := exec(condition)
		set.Rules[0].Message.Parts = []rules.MessagePart{{Expr: rules.Expr{Text: condition}}}
		p, found := Compile(set, Limits{})
		if len(p.Rules()) == 0 {
			if len(found) == 0 {
				t.Error("the rule is left out without a reason")
			}
			return
		}
		x := New(p)
		x.Evaluate(e)
		if s := x.Stats()[0]; strings.Contains(s.LastError, "internal error") {
			t.Errorf("%s: %s", condition, s.LastError)
		}
		for _, c := range p.Rules()[0].condition.clauses() {
			if _, err := planProgram(c.tree); err != nil {
				t.Errorf("%s: clause %s: %v", condition, c.text, err)
			}
		}
	})
}
