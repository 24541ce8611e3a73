package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"eunomia/event"
)

// shown returns what a tracker makes of events in a format.
func shown(t *testing.T, name, format string, events ...*event.Event) string {
	t.Helper()
	var out bytes.Buffer
	w := newEventWriter(&env{stdout: &out}, trackerNamed(name), format)
	if err := w.head(); err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if err := w.write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func fields(t *testing.T, values map[string]any) *event.Event {
	t.Helper()
	e, errs := event.FromFields(values)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return e
}

const hostile = "a,\"b\x1b[31m\nc\r\t\u202e\u2028\xff"

func TestEveryTrackerWritesOneRowForEachEventHoweverHostile(t *testing.T) {
	for _, tr := range trackers {
		for _, format := range []string{"table", "json", "csv"} {
			t.Run(tr.name+" "+format, func(t *testing.T) {
				var events []*event.Event
				for _, k := range tr.kinds.Kinds() {
					e := event.New(k)
					e.Container = &event.Container{ID: "4f1c", State: event.MetadataKnown, Name: hostile}
					e.Users.Effective = hostile
					e.Process.Image = &event.Image{Name: hostile, Executable: hostile, CommandLine: hostile}
					e.File.Path = hostile
					e.Network.UnixPath = hostile
					events = append(events, e)
				}
				out := shown(t, tr.name, format, events...)
				want := len(events)
				if format != "json" {
					want++ // the titles
				}
				lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
				if len(lines) != want {
					t.Errorf("%d lines, want %d:\n%q", len(lines), want, out)
				}
				if i := strings.IndexFunc(out, func(r rune) bool {
					return r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x202e && format != "json")
				}); i >= 0 {
					t.Errorf("%q is in the output", out[i:])
				}
				switch format {
				case "json":
					for _, l := range lines {
						if !json.Valid([]byte(l)) {
							t.Errorf("no JSON: %s", l)
						}
					}
				case "csv":
					rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
					if err != nil {
						t.Error(err)
					}
					for _, row := range rows {
						if len(row) != len(tr.columns) {
							t.Errorf("%d columns, want %d: %q", len(row), len(tr.columns), row)
						}
					}
				}
			})
		}
	}
}

func TestCSVHasLowerCaseTitlesAndFullTimes(t *testing.T) {
	e := fields(t, map[string]any{"event.kind": "open", "file.path": `/tmp/with,comma "and quotes"`, "file.flags.read": true, "file.flags.create": true,
		"process.name": "cat", "process.user.id": 1234})
	e.Task.PID = 42
	e.Time = time.Date(2026, 1, 31, 12, 0, 0, 5, time.UTC).UnixNano()
	rows, err := csv.NewReader(strings.NewReader(shown(t, "files", "csv", e))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"time", "pid", "user", "name", "container", "flags", "result", "path"},
		{"2026-01-31T12:00:00.000000005Z", "42", "1234", "cat", "-", "rc", "ok", `/tmp/with,comma "and quotes"`},
	}
	if !slices.EqualFunc(rows, want, slices.Equal) {
		t.Errorf("got %q, want %q", rows, want)
	}
}

func TestColumnsOfTheNetworkTracker(t *testing.T) {
	for name, test := range map[string]struct {
		network event.Network
		ret     int64
		want    string // protocol, result, source, destination
	}{
		"IPv4": {event.Network{Family: event.FamilyIPv4, Transport: event.TransportTCP,
			Source: event.Endpoint{IP: netip.MustParseAddr("10.0.0.1"), Port: 40000}, Dest: event.Endpoint{IP: netip.MustParseAddr("10.0.0.2"), Port: 80}},
			0, "tcp ipv4,ok,10.0.0.1:40000,10.0.0.2:80"},
		"IPv6 is in brackets": {event.Network{Family: event.FamilyIPv6, Transport: event.TransportUDP,
			Dest: event.Endpoint{IP: netip.MustParseAddr("::1"), Port: 53}}, 0, "udp ipv6,ok,-,[::1]:53"},
		"a failure has its name": {event.Network{Family: event.FamilyIPv4, Transport: event.TransportTCP,
			Dest: event.Endpoint{IP: netip.MustParseAddr("10.0.0.2"), Port: 1}}, -111, "tcp ipv4,ECONNREFUSED,-,10.0.0.2:1"},
		"a unix socket has a path": {event.Network{Family: event.FamilyUnix, Transport: event.TransportStream, UnixPath: "/run/x.sock"},
			0, "unix_stream,ok,-,/run/x.sock"},
	} {
		t.Run(name, func(t *testing.T) {
			e := event.New(event.Connect)
			e.Network, e.Return = test.network, test.ret
			_, row, _ := strings.Cut(shown(t, "network", "csv", e), "\n")
			if got := strings.TrimSpace(row); !strings.HasSuffix(got, ","+test.want) {
				t.Errorf("got %q, want it to end in %q", got, test.want)
			}
		})
	}
}

func TestFlagsOfRunSelectEvents(t *testing.T) {
	e := event.New(event.Exec)
	e.Task.PID, e.Task.Comm = 42, "comm"
	e.Process.Image = &event.Image{Name: "name"}
	e.Container = &event.Container{ID: "4f1c0123456789", State: event.MetadataKnown, Name: "web"}
	onHost := e.Clone()
	onHost.Container = nil
	for name, test := range map[string]struct {
		options      watchOptions
		inside, host bool
	}{
		"none":                              {watchOptions{}, true, true},
		"the pid":                           {watchOptions{pid: 42}, true, true},
		"another pid":                       {watchOptions{pid: 43}, false, false},
		"the program's name":                {watchOptions{comm: "name"}, true, true},
		"the task's name":                   {watchOptions{comm: "comm"}, true, true},
		"another name":                      {watchOptions{comm: "nam"}, false, false},
		"the beginning of the container id": {watchOptions{container: "4f1c"}, true, false},
		"the container's name":              {watchOptions{container: "web"}, true, false},
		"the beginning of its name":         {watchOptions{container: "we"}, false, false},
		"one of two does not hold":          {watchOptions{pid: 42, container: "db"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.options.wants(e); got != test.inside {
				t.Errorf("in the container: %t", got)
			}
			if got := test.options.wants(onHost); got != test.host {
				t.Errorf("on the host: %t", got)
			}
		})
	}
}
