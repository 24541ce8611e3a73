package engine

import (
	"strings"
	"testing"
	"unicode/utf8"

	"eunomia/event"
	"eunomia/rules"
)

func message(t *testing.T, template string, values map[string]any) string {
	t.Helper()
	p := load(t, rule("r", "exec", "true", "    message: "+quote(template)))
	m, _ := New(p).Evaluate(testEvents(t, values))
	if len(m) != 1 {
		t.Fatalf("%d matches", len(m))
	}
	return m[0].Message
}

func TestMessages(t *testing.T) {
	values := map[string]any{"event.kind": "exec", "process.name": "ev\x1b[2Jil\n\u202etxt\xff", "process.pid": 7, "process.args": []any{"a", "b\t"},
		"container.labels": map[string]any{"b": "2", "a": "1\r"}, "event.time": "2026-01-31T12:00:00.5Z", "container.id": "x",
		"process.ancestors": []any{map[string]any{"name": "sshd"}, map[string]any{"name": "init"}}}
	for template, want := range map[string]string{
		"{process.name}": `ev\x1b[2Jil\n\u202etxt\xff`,
		"pid {process.pid}, {process.interactive}": "pid 7, false",
		"{process.args}":                                                   `a, b\t`,
		"{container.labels}":                                               `a=1\r, b=2`,
		"{container.labels.nope}":                                          "<none>",
		"{event.time}":                                                     "2026-01-31T12:00:00.5Z",
		`{process.ancestors.map(a, a.name)}`:                               "sshd, init",
		`{process.pid > 5 ? "big" : "small"} {{braces}}`:                   "big {braces}",
		`{duration("90s")} {cidr("10.0.0.0/8")} {ip("::1")}`:               "1m30s 10.0.0.0/8 ::1",
		`{process.ancestors.map(a, "\n" + a.name).filter(x, true)}`:        `\nsshd, \ninit`,
		`{event.kind}: {process.name.startsWith("x") || process.pid == 7}`: "exec: true",
	} {
		if got := message(t, template, values); got != want {
			t.Errorf("%s: %q, want %q", template, got, want)
		}
	}
}

func TestMessagesAreBounded(t *testing.T) {
	long := strings.Repeat("ä", 3000)
	got := message(t, "{process.name}|{process.args}", map[string]any{"event.kind": "exec", "process.name": long, "process.args": []any{long, long}})
	first, second, _ := strings.Cut(got, "|")
	for _, s := range []string{first, second} {
		if len(s) > maxValue+len("…") || !strings.HasSuffix(s, "…") || !utf8.ValidString(s) {
			t.Errorf("%d bytes: %q", len(s), s)
		}
	}
	got = message(t, strings.Repeat("{process.name}", 20), map[string]any{"event.kind": "exec", "process.name": strings.Repeat("\x01ä", 300)})
	if len(got) > maxMessage+len("…") || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
}

func TestMessagesNeedPrintableValues(t *testing.T) {
	for _, text := range []string{"process.ancestors", "process.ancestors[0]", "process.nmae"} {
		_, found := Compile(&rules.Set{Rules: []*rules.Rule{{ID: "r", On: []event.Kind{event.Exec}, Condition: rules.Expr{Text: "true"},
			Message: rules.Message{Parts: []rules.MessagePart{{Literal: "x"}, {Expr: rules.Expr{Text: text}}}}}}}, Limits{})
		if len(found) != 1 {
			t.Errorf("%s: %+v", text, found)
		}
	}
}
