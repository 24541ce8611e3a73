package event_test

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"eunomia/event"
)

func TestKindsTableFollowsTheConstants(t *testing.T) {
	if len(event.Kinds) != int(event.NumKinds)-1 {
		t.Fatalf("Kinds has %d rows for %d constants: add a row for every kind", len(event.Kinds), event.NumKinds-1)
	}
	names := map[string]bool{}
	for i, row := range event.Kinds {
		if row.Kind != event.Kind(i+1) {
			t.Errorf("row %d is of kind %d: rows stand in the order of the constants", i, row.Kind)
		}
		if row.Name == "" || row.Doc == "" || row.Hook == "" || names[row.Name] {
			t.Errorf("row %d (%q) needs a name of its own, a sentence and a hook", i, row.Name)
		}
		names[row.Name] = true
		if !row.Internal && (len(row.Category) == 0 || len(row.Type) == 0) {
			t.Errorf("%s needs ECS event.category and event.type", row.Name)
		}
		k, ok := event.KindNamed(row.Name)
		if ok == row.Internal || ok && k != row.Kind {
			t.Errorf("KindNamed(%q) = %v, %t", row.Name, k, ok)
		}
	}
}

func getters(f event.Field) map[event.Type]bool {
	return map[event.Type]bool{
		event.String: f.Str != nil, event.Int: f.Int != nil && f.Type != event.Time, event.Time: f.Int != nil && f.Type == event.Time,
		event.Bool: f.Bool != nil, event.Strings: f.Strs != nil, event.Map: f.Map != nil, event.IP: f.IP != nil, event.Processes: f.Processes != nil,
	}
}

func TestEveryFieldHasOneGetterADocumentationAndANameOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range event.Fields() {
		if seen[f.Name] {
			t.Errorf("%s stands twice in the table", f.Name)
		}
		seen[f.Name] = true
		if !strings.HasSuffix(f.Doc, ".") {
			t.Errorf("%s needs a sentence of documentation, ended by a full stop", f.Name)
		}
		for typ, has := range getters(f) {
			if has != (typ == f.Type) {
				t.Errorf("%s is of type %s: getter for %s present: %t", f.Name, f.Type, typ, has)
			}
		}
		for other := range seen {
			if strings.HasPrefix(f.Name, other+".") {
				t.Errorf("%s cannot be a value and hold %s", other, f.Name)
			}
		}
	}
}

// sample holds a value for each type, as YAML yields it, and what it reads as.
func sample(f event.Field) (in, out any) {
	switch f.Name {
	case "event.outcome":
		return "failure", "failure"
	case "event.error":
		return "ENOENT", "ENOENT"
	case "event.source":
		return "io_uring", "io_uring"
	case "event.provenance":
		return "user", "user"
	case "file.type":
		return "symlink", "symlink"
	case "file.mode":
		return "4755", "4755"
	case "file.device":
		return "8:1", "8:1"
	case "network.type":
		return "ipv6", "ipv6"
	case "network.transport":
		return "udp", "udp"
	case "process.stdin.type", "process.stdout.type", "process.stderr.type":
		return "inet", "inet"
	case "process.capabilities.effective", "process.capabilities.permitted":
		return []any{"CAP_CHOWN", "CAP_SYS_ADMIN"}, []string{"CAP_CHOWN", "CAP_SYS_ADMIN"}
	}
	switch f.Type {
	case event.Int:
		return 7, int64(7)
	case event.Bool:
		return true, true
	case event.Strings:
		return []any{"a", "b"}, []string{"a", "b"}
	case event.Map:
		return map[string]any{"k": "v"}, map[string]string{"k": "v"}
	case event.IP:
		return "2001:db8::1", "2001:db8::1"
	case event.Time:
		at := time.Date(2026, 1, 31, 12, 0, 0, 5, time.UTC)
		return at, at
	}
	return "text", "text"
}

func TestEveryFieldReadsWhatWasSet(t *testing.T) {
	for _, f := range event.Fields() {
		t.Run(f.Name, func(t *testing.T) {
			for _, info := range event.Kinds {
				if !f.On(info.Kind) {
					continue
				}
				e := event.New(info.Kind)
				f.Value(e) // on an empty event: must not panic
				in, want := sample(f)
				if f.Type == event.Processes {
					in = []any{map[string]any{"name": "sh", "pid": 3, "user_id": 0, "executable": "/bin/sh", "args": []any{"sh"}, "command_line": "sh", "entity_id": "x"}}
				}
				if err := f.Set(e, in); err != nil {
					if strings.Contains(err.Error(), "derived from") {
						continue
					}
					t.Fatal(err)
				}
				if f.Type == event.Processes {
					if a := f.Processes(e); len(a) != 1 || a[0].Image.Name != "sh" || a[0].PID != 3 {
						t.Fatalf("read %+v", a)
					}
					continue
				}
				if got := f.Value(e); !reflect.DeepEqual(got, want) {
					t.Fatalf("on %s: set %v, read %v", info.Name, in, got)
				}
				if !f.IsKnown(e) {
					t.Fatal("a field that was set is known")
				}
			}
		})
	}
}

func TestFieldsOfAHostEventAreEmptyAndKnown(t *testing.T) {
	e := event.New(event.Open)
	e.Container = nil
	for _, f := range event.FieldsOn(event.Open) {
		if !f.IsKnown(e) {
			t.Errorf("%s is unknown on the host", f.Name)
		}
		f.Value(e)
	}
}

func TestPendingMetadataIsUnknownAndTheIDIsNot(t *testing.T) {
	e := event.New(event.Open)
	e.Container = &event.Container{ID: "4f1c", State: event.MetadataPending}
	if f := event.FieldNamed("container.name"); f.IsKnown(e) {
		t.Error("the name cannot be known before the runtime answers")
	}
	if f := event.FieldNamed("container.id"); !f.IsKnown(e) || f.Str(e) != "4f1c" {
		t.Error("the id is known from the control group")
	}
}

func TestFromFieldsReportsEveryMistake(t *testing.T) {
	_, errs := event.FromFields(map[string]any{
		"event.kind": "exec", "file.path": "/x", "process.nmae": "sh", "process.pid": "many", "process.command_line": "a b", "process.user.id": -1,
	})
	if len(errs) != 5 {
		t.Fatalf("want 5 mistakes, have %v", errs)
	}
	if _, errs := event.FromFields(map[string]any{"process.name": "sh"}); len(errs) == 0 {
		t.Error("an event without a kind is a mistake")
	}
	if _, errs := event.FromFields(map[string]any{"event.kind": "cgroup_make"}); len(errs) == 0 {
		t.Error("internal kinds are not offered")
	}
}

func TestSettingAParentDoesNotReachOtherEvents(t *testing.T) {
	a, _ := event.FromFields(map[string]any{"event.kind": "exec", "process.parent.name": "sshd"})
	b, _ := event.FromFields(map[string]any{"event.kind": "exec"})
	if a.Process.Parent().Image.Name != "sshd" || b.Process.Parent().Image.Name != "" {
		t.Fatal("events share a parent")
	}
}

func TestACallThatGoesOnHasNotFailed(t *testing.T) {
	outcome, name := event.FieldNamed("event.outcome"), event.FieldNamed("event.error")
	for ret, want := range map[int64][2]string{0: {"success", ""}, 3: {"success", ""}, -2: {"failure", "ENOENT"}, -115: {"unknown", "EINPROGRESS"}, -512: {"unknown", "ERESTARTSYS"}, -5000: {"success", ""}} {
		e := event.New(event.Connect)
		e.Return = ret
		if got := [2]string{outcome.Str(e), name.Str(e)}; got != want {
			t.Errorf("%d: %q, want %q", ret, got, want)
		}
	}
}

func TestIPv4MappedAddressesReadAsIPv4(t *testing.T) {
	if got := event.FormatIP(netip.MustParseAddr("::ffff:10.1.2.3")); got != "10.1.2.3" {
		t.Fatal(got)
	}
	if got := event.FormatIP(netip.Addr{}); got != "" {
		t.Fatal(got)
	}
}
