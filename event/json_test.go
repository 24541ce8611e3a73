package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"eunomia/event"
)

// full returns an event of kind k in which every field that can be set is set.
func full(t *testing.T, k event.Kind) *event.Event {
	t.Helper()
	e := event.New(k)
	for _, f := range event.FieldsOn(k) {
		in, _ := sample(*f)
		if f.Type == event.Processes {
			in = []any{map[string]any{"name": "sshd", "pid": 1}}
		}
		if err := f.Set(e, in); err != nil && !strings.Contains(err.Error(), "derived from") {
			t.Fatal(err)
		}
	}
	return e
}

func at(doc map[string]any, path string) any {
	var v any = doc
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func parse(t *testing.T, doc []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(doc, &m); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	if strings.ContainsAny(string(doc), "\n\r\x1b") {
		t.Fatalf("a document is one line without control characters: %q", doc)
	}
	return m
}

func TestDocumentsHoldEveryFieldAtItsPlace(t *testing.T) {
	for _, info := range event.Kinds {
		if info.Internal {
			continue
		}
		e := full(t, info.Kind)
		doc := parse(t, e.AppendDocument(nil))
		if at(doc, "event.kind") != "event" || at(doc, "eunomia.kind") != info.Name || at(doc, "eunomia.schema_version") != event.SchemaVersion {
			t.Errorf("%s: wrong head: %v", info.Name, doc)
		}
		for _, f := range event.FieldsOn(info.Kind) {
			path := f.Document
			if path == "" {
				path = f.Name
			}
			if f.Type == event.Int && f.Int(e) == 0 && f.OmitZero || f.Type == event.String && f.Str(e) == "" {
				continue
			}
			if at(doc, path) == nil {
				t.Errorf("%s: %s is missing in %s", info.Name, f.Name, doc)
			}
		}
	}
}

func TestAlertsCarryRuleEvidenceAndLoss(t *testing.T) {
	e := full(t, event.Exec)
	e.Host.Name = "node-1"
	rule := event.RuleInfo{ID: "shell_in_container", Title: "Shell", Version: "abc", Severity: event.High, Attack: []string{"T1059.004"}, Tags: []string{"container"}}
	a := event.NewAlert(e, rule, "shell \x1b[31m", event.Context{Lost: 3, Version: "1.0", Decided: "no name", Suppressed: 4})
	doc := parse(t, a.Document)
	for path, want := range map[string]any{
		"@timestamp": "2026-01-31T12:00:00.000000005Z", "event.kind": "alert", "event.id": a.ID, "event.severity": 4.0, "severity": "high",
		"rule.id": "shell_in_container", "rule.name": "Shell", "rule.version": "abc", "message": "shell \x1b[31m", "eunomia.lost_events": 3.0,
		"eunomia.decided": "no name", "eunomia.suppressed": 4.0, "host.name": "node-1", "process.parent.name": "text", "agent.type": "eunomia",
		"ecs.version": event.ECSVersion, "container.name": "text", "eunomia.container_metadata": "known",
	} {
		if got := at(doc, path); got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
	if ids, _ := at(doc, "threat.technique.id").([]any); len(ids) != 1 || ids[0] != "T1059.004" {
		t.Errorf("threat.technique.id = %v", ids)
	}
	if a.Container != "text" || a.Node != "node-1" || a.Kind != event.Exec {
		t.Errorf("alert %+v", a)
	}
}

func TestUnknownMetadataIsLeftOutOfDocuments(t *testing.T) {
	e := event.New(event.Open)
	e.Container = &event.Container{ID: strings.Repeat("ab", 32), Name: "not said yet", State: event.MetadataPending}
	doc := parse(t, e.AppendDocument(nil))
	if at(doc, "container.name") != nil || at(doc, "container.id") == nil || at(doc, "eunomia.container_metadata") != "pending" {
		t.Fatal(doc)
	}
}

func TestCloneSurvivesTheRecordBuffer(t *testing.T) {
	buffer := []byte("original")
	alias := func() string { return unsafe.String(unsafe.SliceData(buffer), len(buffer)) }
	e := event.New(event.Exec)
	e.Action, e.Task.Comm = alias(), alias()
	e.File = event.File{Path: alias(), Filesystem: alias()}
	e.Network.UnixPath, e.Cgroup.Path, e.Fork.ParentComm = alias(), alias(), alias()
	e.Exec.SetArgs(alias())
	e.Exec.TTY, e.Exec.CgroupPath = alias(), alias()
	i := &e.Exec.Image
	i.Name, i.Filename, i.Executable, i.Script, i.WorkingDirectory, i.CommandLine = alias(), alias(), alias(), alias(), alias(), alias()
	c := e.Clone()
	copy(buffer, "SCRIBBLE")
	ci := c.Exec.Image
	for _, s := range []string{c.Action, c.Task.Comm, c.File.Path, c.File.Filesystem, c.Network.UnixPath, c.Cgroup.Path, c.Fork.ParentComm,
		ci.Args[0], c.Exec.TTY, c.Exec.CgroupPath, ci.Name, ci.Filename, ci.Executable, ci.Script, ci.WorkingDirectory, ci.CommandLine} {
		if s != "original" {
			t.Fatalf("a string of the clone changed with the buffer: %q", s)
		}
	}
}

func TestArgumentsKeepEmptyOnes(t *testing.T) {
	var p event.ExecPayload
	p.SetArgs("a\x00\x00b c\x00")
	if got := p.Image.Args; len(got) != 3 || got[1] != "" || got[2] != "b c" {
		t.Fatalf("%q", got)
	}
}

func TestIDsSortByTimeAndAreUUIDs(t *testing.T) {
	now := time.Now()
	a, b := event.NewID(now), event.NewID(now.Add(time.Second))
	if len(a) != 36 || a[14] != '7' || a >= b || a == event.NewID(now) {
		t.Fatal(a, b)
	}
}

func TestPrintableEscapesWhatCouldSteerATerminal(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 漢字":         "plain ü 漢字",
		"\x1b]0;title\x07":   `\x1b]0;title\a`,
		"two\nlines\r":       `two\nlines\r`,
		"\u009b2J":           `\u009b2J`,
		"abc\u202etxt.exe":   `abc\u202etxt.exe`,
		"zero\u200bwidth":    `zero\u200bwidth`,
		"bad \xff\xfe bytes": `bad \xff\xfe bytes`,
		"a\u2028b":           `a\u2028b`,
		"\U000e0041":         `\U000e0041`,
	} {
		if got := event.Printable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestShortenKeepsCharactersWhole(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{{"short", 5, "short"}, {"shorter", 5, "short…"}, {"aüü", 2, "a…"}, {"\x80\x80\x80\x80\x80\x80\x80\x80", 6, "\x80\x80…"}} {
		if got := event.Shorten(c.in, c.n); got != c.want {
			t.Errorf("%q cut to %d: %q, want %q", c.in, c.n, got, c.want)
		}
	}
}

func FuzzStringsStayHarmless(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b]0;title\x07\n\"\\\u2028\u202e\x80\xff\u009b")
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		doc := event.AppendString(nil, s)
		if err := json.Unmarshal(doc, &back); err != nil {
			t.Fatalf("%v in %q", err, doc)
		}
		if utf8.ValidString(s) && back != s {
			t.Fatalf("%q became %q", s, back)
		}
		for _, out := range []string{string(doc), event.Printable(s)} {
			for _, r := range out {
				if r < 0x20 || r >= 0x7f && r <= 0x9f || r == 0x202e || r == 0x2028 {
					t.Fatalf("%q lets %U through", out, r)
				}
			}
			if !utf8.ValidString(out) {
				t.Fatalf("%q is not UTF-8", out)
			}
		}
	})
}

func BenchmarkAlertDocument(b *testing.B) {
	e := event.New(event.Exec)
	e.Process.Image.Args = []string{"curl", "-s", "http://198.51.100.7/x"}
	rule := event.RuleInfo{ID: "r", Title: "t", Severity: event.High}
	for b.Loop() {
		event.NewAlert(e, rule, "message", event.Context{})
	}
}
