package engine

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/rules"
)

// load compiles rules given as YAML; any diagnostic fails the test.
func load(t testing.TB, yaml string) *Program {
	t.Helper()
	set, found := rules.LoadSources([]rules.Source{{Name: "test.yaml", Data: []byte(yaml)}}, rules.Options{Now: time.Unix(0, 0)})
	p, more := Compile(set, Limits{})
	for _, d := range append(found, more...) {
		t.Errorf("%s: %s (%s)", d.Pos, d.Message, d.Hint)
	}
	if t.Failed() {
		t.FailNow()
	}
	return p
}

// rule is the YAML of a rule with the given condition.
func rule(id, on, condition string, more ...string) string {
	return fmt.Sprintf("rules:\n  - id: %s\n    title: Test\n    on: [%s]\n    severity: low\n    condition: %s\n%s", id, on, quote(condition), strings.Join(more, "\n"))
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func testEvents(t testing.TB, values map[string]any) *event.Event {
	t.Helper()
	e, errs := event.FromFields(values)
	if errs != nil {
		t.Fatal(errs)
	}
	return e
}

// ids returns the rules that matched.
func ids(matches []Match) []string {
	var out []string
	for _, m := range matches {
		out = append(out, m.Rule.Info.ID)
	}
	return out
}

func TestConditions(t *testing.T) {
	exec := map[string]any{
		"event.kind": "exec", "process.name": "bash", "process.pid": 42, "process.args": []any{"bash", "-i"}, "process.interactive": true,
		"process.parent.name": "sshd", "container.id": "4f1c", "container.labels": map[string]any{"app": "web", "io.x/y": "1"},
		"process.start": "2026-01-31T12:00:00Z", "event.time": "2026-01-31T12:00:05Z",
		"process.ancestors": []any{map[string]any{"name": "sshd", "pid": 7, "args": []any{"sshd", "-D"}}, map[string]any{"name": "systemd", "user_id": 0}},
	}
	connect := map[string]any{"event.kind": "connect", "destination.ip": "10.1.2.3", "destination.port": 443, "network.type": "ipv4"}
	unix := map[string]any{"event.kind": "connect", "network.type": "unix", "unix.path": "/run/docker.sock"}
	for _, c := range []struct {
		event     map[string]any
		condition string
		want      Outcome
	}{
		{exec, `process.name == "bash"`, Matched},
		{exec, `process.name in ["sh", "bash"]`, Matched},
		{exec, `!(process.name in ["sh", "bash"])`, NoMatch},
		{exec, `process.pid + 1 == 43 && process.pid % 2 == 0`, Matched},
		{exec, `process.interactive ? process.pid == 42 : false`, Matched},
		{exec, `process.args[1] == "-i" && size(process.args) == 2`, Matched},
		{exec, `process.args.exists(a, a.matches("^-[a-z]$"))`, Matched},
		{exec, `process.args.join(" ").contains("bash -i")`, Matched},
		{exec, `process.name.upperAscii() == "BASH"`, Matched},
		{exec, `process.name.glob("b*h")`, Matched},
		{exec, `process.ancestors.exists(a, a.name == "sshd")`, Matched},
		{exec, `process.ancestors.exists(a, a.args.exists(x, x == "-D"))`, Matched},
		{exec, `process.ancestors.map(a, a.name) == ["sshd", "systemd"]`, Matched},
		{exec, `process.ancestors.filter(a, a.pid == 7).size() == 1`, Matched},
		{exec, `process.ancestors.all(a, a.user_id == 0)`, Matched},
		{exec, `process.ancestors[0] == process.ancestors[0] && process.ancestors[0] != process.ancestors[1]`, Matched},
		{exec, `process.parent.name == process.ancestors[0].name`, Matched},
		{exec, `container.labels["app"] == "web" && container.labels.app == "web"`, Matched},
		{exec, `"io.x/y" in container.labels && has(container.labels.app) && !has(container.labels.nope)`, Matched},
		{exec, `container.labels.exists(k, k.startsWith("io."))`, Matched},
		{exec, `has(process.name) && has(process.args) && has(container.labels) && has(process.start) && has(process.pid) && has(process.interactive)`, Matched},
		{exec, `has(process.script) || has(container.start)`, NoMatch},
		{exec, `process.ancestors.exists(a, has(a.args) && !has(a.executable))`, Matched},
		{exec, `event.time - process.start < duration("10s")`, Matched},
		{exec, `event.time > timestamp("2026-01-01T00:00:00Z") && event.time.getHours() == 12`, Matched},
		{exec, `sets.intersects(process.args, ["-i", "-x"])`, Matched},
		{exec, `event.kind == "exec"`, Matched},
		{exec, `process.name.size() == 4`, Matched},

		{exec, `container.labels["nope"] == "x"`, Failed},
		{exec, `process.args[9] == "x"`, Failed},
		{exec, `1 / (process.pid - 42) == 1`, Failed},
		{exec, `process.pid + 9223372036854775807 > 0`, Failed},
		{exec, `container.labels["nope"] == "x" || process.pid == 42`, Matched},
		{exec, `process.pid == 42 || container.labels["nope"] == "x"`, Matched},
		{exec, `container.labels["nope"] == "x" && process.pid == 1`, NoMatch},
		{exec, `container.labels["nope"] == "x" && process.pid == 42`, Failed},
		{exec, `!(container.labels["nope"] == "x")`, Failed},
		{exec, `process.args.exists(a, process.args[9] == a || a == "-i")`, Matched},

		{connect, `cidr("10.0.0.0/8").containsIP(destination.ip)`, Matched},
		{connect, `cidr("10.0.0.0/8").containsIP(ip(destination.ip)) && !ip(destination.ip).isLoopback()`, Matched},
		{connect, `["192.168.0.0/16", "10.0.0.0/8"].exists(r, isIP(destination.ip) && r != "")`, Matched},
		{connect, `ip(destination.ip).family() == 4`, Matched},
		{unix, `cidr("10.0.0.0/8").containsIP(destination.ip)`, Failed},
		{unix, `isIP(destination.ip) && cidr("10.0.0.0/8").containsIP(destination.ip)`, NoMatch},
		{unix, `unix.path == "/run/docker.sock"`, Matched},
	} {
		e := testEvents(t, c.event)
		p := load(t, rule("r", e.Kind.String(), c.condition))
		in := newInput()
		in.reset(e, false)
		got, why := p.Rules()[0].explain(in)
		if got != c.want {
			t.Errorf("%s: %s (%s), want %s", c.condition, got, why, c.want)
		}
	}
}

func TestUnknownFields(t *testing.T) {
	for _, c := range []struct {
		condition string
		want      Outcome // while container metadata is missing
		final     Outcome
	}{
		{`container.name == "web"`, Undecided, NoMatch},
		{`container.name == ""`, Undecided, Matched},
		{`has(container.name)`, Undecided, NoMatch},
		{`!has(container.labels)`, Undecided, Matched},
		{`container.labels["app"] == "web"`, Undecided, Failed},
		{`container.labels.app == "web"`, Undecided, Failed},
		{`has(container.labels.app)`, Undecided, NoMatch},
		{`"app" in container.labels`, Undecided, NoMatch},
		{`container.mounts.exists(m, m == "/")`, Undecided, NoMatch},
		{`container.name.startsWith("w") ? true : true`, Undecided, Matched},
		{`container.privileged`, Undecided, NoMatch},
		{`container.name == "web" || process.name == "bash"`, Matched, Matched},
		{`container.name == "web" && process.name == "sh"`, NoMatch, NoMatch},
		{`container.name == "web" && process.args[9] == "x"`, Undecided, NoMatch},
		{`container.name != "web" && process.name == "bash"`, Undecided, Matched},
		{`container.image.name.glob("*/debug")`, Undecided, NoMatch},
		{`k8s.namespace.name in ["kube-system"]`, Undecided, NoMatch},
		{`container.id == "4f1c"`, Matched, Matched},
	} {
		e := testEvents(t, map[string]any{"event.kind": "exec", "process.name": "bash", "container.id": "4f1c"})
		e.Container.State = event.MetadataPending
		e.Container.Name = "half-known" // must not be read before it is known
		p := load(t, rule("r", "exec", c.condition))
		x := New(p)
		plan := p.Rules()[0].plans[event.Exec]
		x.in.reset(e, false)
		if got, _ := plan.decide(x.in); got != c.want {
			t.Errorf("%s: %s, want %s", c.condition, got, c.want)
		}
		x.in.reset(e, true)
		if got, _ := plan.decide(x.in); got != c.final {
			t.Errorf("%s: finally %s, want %s", c.condition, got, c.final)
		}
	}
}

func TestPendingRulesAreDecidedOnceAndOnlyThey(t *testing.T) {
	p := load(t, `
rules:
  - {id: sure, title: T, on: [exec], severity: low, condition: 'container.id != ""'}
  - {id: waits, title: T, on: [exec], severity: low, condition: 'container.name == "web"', message: "in {container.name}"}
  - {id: waits_for_message, title: T, on: [exec], severity: low, condition: 'container.id != ""', message: "in {container.name}"}
  - {id: otherwise, title: T, on: [exec], severity: low, condition: 'container.name != "web"', message: "in {container.name}"}
`)
	x := New(p)
	e := testEvents(t, map[string]any{"event.kind": "exec", "container.id": "4f1c"})
	e.Container.State = event.MetadataPending
	matches, pending := x.Evaluate(e)
	if got := ids(matches); !slices.Equal(got, []string{"sure"}) {
		t.Errorf("at first: %v", got)
	}
	kept := pending.Clone()
	x.Evaluate(event.New(event.Exec)) // another event between
	e = e.Clone()

	arrived := *e.Container
	arrived.State, arrived.Name = event.MetadataKnown, "web"
	e.Container = &arrived
	matches, pending = x.Decide(e, kept, false)
	if got := ids(matches); !slices.Equal(got, []string{"waits", "waits_for_message"}) || !pending.Empty() {
		t.Errorf("when the name has arrived: %v", got)
	}
	for _, m := range matches {
		if m.Decided != "" || m.Message != "in web" {
			t.Errorf("%+v", m)
		}
	}

	never := arrived
	never.State = event.MetadataPending
	e.Container = &never
	if _, still := x.Decide(e, kept, false); still.Empty() {
		t.Error("nothing has arrived, and nothing is pending")
	}
	matches, pending = x.Decide(e, kept, true)
	if got := ids(matches); !slices.Equal(got, []string{"waits_for_message", "otherwise"}) || !pending.Empty() {
		t.Errorf("when it never arrives: %v", got)
	}
	if m := matches[0]; m.Decided != "" || m.Message != "in <unknown>" {
		t.Errorf("%+v: the verdict did not depend on the name", m)
	}
	if m := matches[1]; !strings.Contains(m.Decided, "container.name") || m.Message != "in <unknown>" {
		t.Errorf("%+v", m)
	}
	if n := x.Stats()[1].Unknowns; n != 1 {
		t.Errorf("%d unknowns counted, want one however often it was looked at", n)
	}
}

func TestExceptions(t *testing.T) {
	p := load(t, rule("r", "exec", `process.name == "bash"`, `    exceptions:
      - {name: debug, reason: x, condition: 'container.labels["debug"] == "1"'}
      - {name: temporary, reason: x, condition: 'process.user.name == "eve"', expires: 2026-02-01}
      - {name: image, reason: x, condition: 'container.image.name == "tools"'}`))
	for _, c := range []struct {
		name    string
		values  map[string]any
		pending bool
		want    Outcome
	}{
		{"none holds, one fails", nil, false, Matched},
		{"one holds", map[string]any{"container.labels": map[string]any{"debug": "1"}}, false, Excepted},
		{"before it expires", map[string]any{"process.user.name": "eve", "event.time": "2026-01-31T23:59:59Z"}, false, Excepted},
		{"when it has expired", map[string]any{"process.user.name": "eve", "event.time": "2026-02-01T00:00:00Z"}, false, Matched},
		{"one is unknown", nil, true, Undecided},
		{"one is unknown, another holds", map[string]any{"process.user.name": "eve", "event.time": "2026-01-01T00:00:00Z"}, true, Excepted},
	} {
		values := map[string]any{"event.kind": "exec", "process.name": "bash", "container.id": "4f1c"}
		for k, v := range c.values {
			values[k] = v
		}
		e := testEvents(t, values)
		if c.pending {
			e.Container.State = event.MetadataPending
		}
		in := newInput()
		in.reset(e, false)
		if got, _ := p.Rules()[0].plans[event.Exec].decide(in); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	x := New(p)
	x.Evaluate(testEvents(t, map[string]any{"event.kind": "exec", "process.name": "bash"}))
	if s := x.Stats()[0]; s.Errors != 1 || s.Matches != 1 || !strings.Contains(s.LastError, "debug") {
		t.Errorf("%+v: the exception's error is counted and the rule fires", s)
	}
}

func TestAnExceptionsErrorIsCountedWhateverALaterOneAbsorbs(t *testing.T) {
	x := New(load(t, rule("r", "exec", `process.name == "bash"`, `    exceptions:
      - {name: fails, reason: x, condition: 'container.labels["debug"] == "1"'}
      - {name: absorbs, reason: x, condition: 'int(process.name) == 1 && process.pid == -1'}`)))
	x.Evaluate(testEvents(t, map[string]any{"event.kind": "exec", "process.name": "bash", "process.pid": 7}))
	if s := x.Stats()[0]; s.Errors != 1 || s.Matches != 1 {
		t.Errorf("%+v", s)
	}
}

func TestEveryMatchingRuleOfTheKindFires(t *testing.T) {
	p := load(t, `
rules:
  - {id: one, title: T, on: [exec], severity: low, condition: 'true'}
  - {id: two, title: T, on: [exec, open], severity: low, condition: 'true'}
  - {id: off, title: T, on: [exec, connect], severity: low, condition: 'true', enabled: false}
  - {id: opens, title: T, on: [exec, open], severity: low, condition: 'event.kind == "open"'}
`)
	x := New(p)
	if m, _ := x.Evaluate(event.New(event.Exec)); !slices.Equal(ids(m), []string{"one", "two"}) {
		t.Errorf("exec: %v", ids(m))
	}
	if m, _ := x.Evaluate(event.New(event.Open)); !slices.Equal(ids(m), []string{"two", "opens"}) {
		t.Errorf("open: %v", ids(m))
	}
	if got := p.Kinds(); got != event.SetOf(event.Exec, event.Open) {
		t.Errorf("kinds: %v", got.Kinds())
	}
	if n := len(x.current.Load().groups[event.Exec].entries); n != 2 {
		t.Errorf("%d rules are evaluated on exec; the one that can never match there should be left out", n)
	}
	for i, want := range []uint64{1, 2, 0, 1} {
		if got := x.Stats()[i].Evaluations; got != want {
			t.Errorf("rule %d: %d evaluations, want %d", i, got, want)
		}
	}
}

func TestSwapUnderLoad(t *testing.T) {
	a := load(t, rule("r", "exec", `process.pid == 0`, `    throttle: {by: [process.name], every: 1h}`))
	b := load(t, rule("r", "exec", `process.pid == 0 && true`, `    throttle: {by: [process.name], every: 1h}`))
	x := New(a)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			x.Swap([]*Program{a, b}[i%2])
			_ = x.Stats()
			_ = x.Program().Kinds()
		}
	})
	e := event.New(event.Exec)
	for range 20_000 {
		x.Evaluate(e)
	}
	close(stop)
	wg.Wait()
	s := x.Stats()[0]
	if s.Matches+s.Suppressed != 20_000 {
		t.Errorf("%d matches and %d suppressed of 20000", s.Matches, s.Suppressed)
	}
	if s.Samples == 0 {
		t.Error("no time was sampled")
	}
}
