package engine

import (
	"strings"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/rules"
)

func throttled(t testing.TB) *Program {
	return load(t, rule("r", "exec", "true", `    message: "saw {process.name}"`, `    throttle: {by: [process.name, process.args, process.interactive], every: 1m}`))
}

func named(t testing.TB, name string, at int64) *event.Event {
	e := testEvents(t, map[string]any{"event.kind": "exec", "process.name": name})
	e.Time = at * int64(time.Second)
	return e
}

func TestThrottleGoesByTheEventsOwnTime(t *testing.T) {
	x := New(throttled(t))
	for _, c := range []struct {
		name    string
		at      int64
		message string
	}{
		{"a", 1000, "saw a"},
		{"a", 1030, ""},
		{"b", 1031, "saw b"},
		{"a", 1059, ""},
		{"a", 995, ""}, // from another CPU, slightly late
		{"a", 1060, "saw a (3 similar suppressed)"},
		{"a", 1061, ""},
		{"a", 10, "saw a (1 similar suppressed)"}, // the clock was set back
		{"b", 2000, "saw b"},
	} {
		m, _ := x.Evaluate(named(t, c.name, c.at))
		got := ""
		if len(m) > 0 {
			got = m[0].Message
		}
		if got != c.message {
			t.Errorf("%s at %d: %q, want %q", c.name, c.at, got, c.message)
		}
	}
	if s := x.Stats()[0]; s.Matches != 5 || s.Suppressed != 4 {
		t.Errorf("%+v", s)
	}
}

func TestThrottleIsBounded(t *testing.T) {
	p := throttled(t)
	p.limits.ThrottleKeys = 3
	x := New(p)
	for _, name := range []string{"a", "b", "c", "d"} {
		x.Evaluate(named(t, name, 1))
	}
	if m, _ := x.Evaluate(named(t, "b", 2)); len(m) != 0 {
		t.Error("b was forgotten, but a was the oldest")
	}
	if m, _ := x.Evaluate(named(t, "a", 2)); len(m) != 1 {
		t.Error("a was not forgotten")
	}
	th := x.current.Load().states[0].throttle
	n := 0
	for w := th.first; w != nil; w = w.next {
		n++
	}
	if n != 3 || len(th.windows) != 3 || x.Stats()[0].Evicted != 2 {
		t.Errorf("%d in the list, %d in the map, %d evicted", n, len(th.windows), x.Stats()[0].Evicted)
	}
}

func TestThrottleSurvivesAReload(t *testing.T) {
	x := New(throttled(t))
	x.Evaluate(named(t, "a", 1))
	x.Swap(throttled(t))
	if m, _ := x.Evaluate(named(t, "a", 2)); len(m) != 0 {
		t.Error("an unchanged rule forgot its window")
	}
	x.Swap(load(t, rule("r", "exec", "true && true", `    message: "saw {process.name}"`, `    throttle: {by: [process.name, process.args, process.interactive], every: 1m}`)))
	if m, _ := x.Evaluate(named(t, "a", 3)); len(m) != 1 {
		t.Error("a changed rule kept its window")
	}
	if s := x.Stats()[0]; s.Matches != 2 || s.Suppressed != 1 || s.Evaluations != 3 {
		t.Errorf("%+v: counters go on over reloads", s)
	}
}

func TestThrottleKeysAreUnambiguous(t *testing.T) {
	th := newThrottle([]*event.Field{event.FieldNamed("process.args"), event.FieldNamed("process.name")}, 1, 1)
	seen := map[throttleKey]string{}
	for _, v := range []struct {
		args []any
		name string
	}{{[]any{"a", "b"}, "c"}, {[]any{"a"}, "bc"}, {[]any{"ab"}, "c"}, {[]any{}, "abc"}, {[]any{"a", "b", "c"}, ""}} {
		k := th.key(testEvents(t, map[string]any{"event.kind": "exec", "process.args": v.args, "process.name": v.name}))
		if other, ok := seen[k]; ok {
			t.Errorf("%v and %s have the same key", v, other)
		}
		seen[k] = v.name
	}
}

func TestThrottleFieldsAreChecked(t *testing.T) {
	for name, want := range map[string]string{
		"process.nmae": "no field process.nmae", "file.path": "exists on open", "process.ancestors": "cannot go by", "container.labels": "cannot go by",
	} {
		_, found := Compile(&rules.Set{Rules: []*rules.Rule{{ID: "r", On: []event.Kind{event.Exec}, Condition: rules.Expr{Text: "true"},
			Throttle: &rules.Throttle{By: []string{name}, Every: time.Minute}}}}, Limits{})
		if len(found) != 1 || !strings.Contains(found[0].Message, want) {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

func TestThrottleWaitsForItsFields(t *testing.T) {
	x := New(load(t, rule("r", "exec", "true", `    throttle: {by: [container.name], every: 1m}`)))
	e := named(t, "a", 1)
	e.Container = &event.Container{ID: "4f1c", State: event.MetadataPending}
	if m, p := x.Evaluate(e); len(m) != 0 || p.Empty() {
		t.Errorf("%v, pending %v", m, p)
	}
}
