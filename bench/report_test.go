package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var someResults = []result{
	{figure: figure{key: "overhead.getppid", unit: "ratio", goal: "<= 1.20", what: "a call"}, runs: []float64{1.1, 1.3}, value: 1.2, verdict: met},
	{figure: figure{key: "ring.events_per_s", unit: "1/s", goal: ">= 1e6", what: "events"}, runs: []float64{876543.2}, value: 876543.2, verdict: missed},
	{figure: figure{key: "latency.nats_p99_ms", unit: "ms", goal: "<= 20"}, runs: []float64{math.Inf(1)}, verdict: failed, reason: "alerts were lost"},
	{figure: figure{key: "info.ready_s", unit: "s"}, runs: []float64{0.25}, value: 0.25, verdict: info},
}

func TestResultsFileHasValueUnitGoalAndRunsByKey(t *testing.T) {
	name := filepath.Join(t.TempDir(), "new", "results.json")
	if err := writeResults(name, someResults); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]struct {
		Value         *float64
		Unit, Goal    string
		Verdict       string
		Runs          []float64
		Reason        string
		UnknownMember any
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if len(got) != len(someResults) {
		t.Errorf("%d results, want %d", len(got), len(someResults))
	}
	g := got["overhead.getppid"]
	if g.Value == nil || *g.Value != 1.2 || g.Unit != "ratio" || g.Goal != "<= 1.20" || len(g.Runs) != 2 || g.Verdict != "ok" {
		t.Errorf("overhead.getppid is %+v", g)
	}
	if g := got["ring.events_per_s"]; g.Verdict != "missed" {
		t.Errorf("a missed goal is %+v", g)
	}
	if g := got["latency.nats_p99_ms"]; g.Value != nil || g.Reason != "alerts were lost" || g.Runs == nil {
		t.Errorf("what could not be measured is %+v", g)
	}
}

func TestTableShowsEveryFigureAndWhyOneHasNoValue(t *testing.T) {
	var b bytes.Buffer
	if err := printTable(&b, someResults); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"overhead.getppid     1.2     ratio  <= 1.20  ok       2: 1.1 to 1.3  a call",
		"ring.events_per_s    876543  1/s    >= 1e6   MISSED   1              events",
		"latency.nats_p99_ms  -       ms     <= 20    FAILED",
		"FAILED: alerts were lost\n  latency.nats_p99_ms",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, b.String())
		}
	}
	if got, want := summary(someResults), "1 of 3 goals met, 1 missed, 1 failed"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
}
