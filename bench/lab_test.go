package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// The loops use system calls that any user may make.
func TestLoopsDoWhatTheyCount(t *testing.T) {
	for name, prepare := range loops {
		l, err := prepare(t.TempDir())
		if err != nil {
			t.Errorf("%s: prepare: %v", name, err)
			continue
		}
		r, err := flatOut(l, 5*time.Millisecond)
		if err != nil || r.Ops == 0 || r.Made < r.Ops || r.Took < 5*time.Millisecond || r.nsPerOp() <= 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		for _, err := range l.close() {
			if err != nil {
				t.Errorf("%s: close: %v", name, err)
			}
		}
	}
}

func TestPacedLoopMakesTheOperationsOfItsRate(t *testing.T) {
	made := 0
	l := loop{do: func(n int) error { made += n; return nil }, close: nothing}
	for _, c := range []struct{ rate, want int }{{100_000, 2000}, {1000, 20}, {500, 10}} {
		made = 0
		r, err := paced(l, c.rate, 20*time.Millisecond)
		if err != nil || made != c.want || r.Made != made || r.Took < 15*time.Millisecond {
			t.Errorf("at %d a second: %d made, report %+v, %v", c.rate, made, r, err)
		}
	}
}

func TestChildReportsInJSON(t *testing.T) {
	var out bytes.Buffer
	if err := runChild(`{"load_rules": 3}`, &out); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Took <= 0 {
		t.Errorf("%s: %v", out.String(), err)
	}
	for _, bad := range []string{`{"loop": "nix"}`, `{`, `{"loop": "act"}`} {
		if err := runChild(bad, &out); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func TestStatIsReadWhateverTheCommandIsCalled(t *testing.T) {
	line := "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 7 7 20 0 9 0 12345 1000000 500 18446744073709551615"
	if got, err := parseStat([]byte(line)); err != nil || got != 2*time.Second {
		t.Errorf("parseStat = %v, %v", got, err)
	}
	if _, err := parseStat([]byte("42 (a S 1")); err == nil {
		t.Error("half a line has no error")
	}
	if d, err := processCPU(os.Getpid()); err != nil || d < 0 {
		t.Errorf("own CPU time: %v, %v", d, err)
	}
	if mb, err := residentMB(os.Getpid()); err != nil || mb < 1 {
		t.Errorf("own memory: %v, %v", mb, err)
	}
}

func TestBusyIsTheShareOfTimeThatWasNotIdle(t *testing.T) {
	if got := (cpuTimes{idle: 175, total: 300}).busySince(cpuTimes{idle: 100, total: 200}); got != 0.25 {
		t.Errorf("busy %v, want 0.25", got)
	}
	if _, err := readCPUTimes(); err != nil {
		t.Error(err)
	}
}

const scraped = `# TYPE eunomia_events_total counter
eunomia_events_total{kind="open",stage="seen"} 1000
eunomia_events_total{kind="open",stage="delivered"} 990
eunomia_events_total{kind="open",stage="evaluated"} 990
eunomia_events_total{kind="exec",stage="evaluated"} 5
# TYPE eunomia_events_lost_total counter
eunomia_events_lost_total{kind="open",reason="ring_full"} 200
eunomia_events_lost_total{kind="exec",reason="ring_full"} 1
eunomia_events_lost_total{kind="unknown",reason="decode"} 7
# TYPE eunomia_rule_matches_total counter
eunomia_rule_matches_total{rule="a",severity="low"} 2
# TYPE eunomia_rule_suppressed_total counter
eunomia_rule_suppressed_total{rule="a"} 3
eunomia_rule_suppressed_total{rule="b"} 0
`

func TestAccountOfOpensIsReadFromMetrics(t *testing.T) {
	m, err := parseMetrics([]byte(scraped))
	if err != nil {
		t.Fatal(err)
	}
	a := openAccount(m)
	if want := (account{seen: 1000, evaluated: 990, lost: 207, garbled: 7}); a != want {
		t.Fatalf("account %+v, want %+v", a, want)
	}
	if got := a.unread(); got != 3 {
		t.Errorf("%v unread, want 3", got)
	}
	if got := grown(map[string]float64{"a": 1}, m.matches()); strings.Join(got, " ") != "a 4 times" {
		t.Errorf("rules that matched: %v", got)
	}
	if _, err := parseMetrics([]byte("what {{{")); err == nil {
		t.Error("nonsense was parsed")
	}
}

func TestOpensThatNobodyAnswersForAreMissing(t *testing.T) {
	before := account{seen: 10, evaluated: 12, lost: 1} // read while it worked: evaluated is ahead
	for _, c := range []struct {
		name  string
		after account
		want  float64
	}{
		{"all evaluated", account{seen: 110, evaluated: 112, lost: 1}, 0},
		{"others open too", account{seen: 150, evaluated: 150, lost: 1}, 0},
		{"some lost and counted", account{seen: 80, evaluated: 82, lost: 31}, 0},
		{"some ended in the kernel", account{seen: 15, evaluated: 17, filtered: 95, lost: 1}, 0},
		{"never counted", account{seen: 105, evaluated: 107, lost: 1}, 5},
		{"counted by the kernel, seen by no rule", account{seen: 200, evaluated: 190, lost: 1}, 10},
	} {
		if got := missing(before, c.after, 100); got != c.want {
			t.Errorf("%s: %v missing, want %v", c.name, got, c.want)
		}
	}
}

func TestAlertsAreTimedByTheFileTheyAreAbout(t *testing.T) {
	r := &receiver{}
	r.begin("/tmp/acts/2")
	now := time.Unix(1, 5_000_000)
	for _, document := range []string{
		`{"file":{"path":"/tmp/acts/2/1000000000"}}`,
		`{"file":{"path":"/tmp/acts/1/1000000000"}}`, // of the run before
		`{"file":{"path":"/tmp/acts/2/other"}}`,
		`{"file":{}}`, `nonsense`,
	} {
		r.receive(now, []byte(document))
	}
	if got := r.take(); len(got) != 1 || got[0] != 5 {
		t.Errorf("times %v, want one of 5 ms", got)
	}
}

func TestPortsAreFreeAndDiffer(t *testing.T) {
	ports, err := freePorts(3)
	if err != nil || len(ports) != 3 || ports[0] == ports[1] || ports[1] == ports[2] || ports[0] == ports[2] {
		t.Errorf("ports %v, %v", ports, err)
	}
}
