package main

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
)

// budgeted are the keys of design.md's budgets that this program measures. A key
// that has been published stays.
var budgeted = []string{
	"overhead.openclose", "overhead.getppid", "overhead.readwrite", "overhead.connect", "overhead.forkexec",
	"loss.openclose", "cpu.openclose_100k", "ring.events_per_s", "ring.cpu_ns", "rss.idle_mb", "rss.loaded_mb",
	"latency.nats_p99_ms", "latency.webhook_p99_ms",
	"engine.load_100_ms", "engine.load_1000_ms", "engine.allocs_miss", "engine.rules_1000_vs_100",
}

func TestEveryBudgetHasOneFigureWithAGoal(t *testing.T) {
	seen := map[string]figure{}
	for _, x := range experiments {
		for _, f := range x.figures {
			if _, twice := seen[f.key]; twice {
				t.Errorf("%s: two figures have this key", f.key)
			}
			seen[f.key] = f
			if f.unit == "" || f.what == "" {
				t.Errorf("%s: a figure needs a unit and words", f.key)
			}
			if strings.HasPrefix(f.key, "info.") != (f.goal == "") {
				t.Errorf("%s: what has no goal is called info.…, and nothing else is", f.key)
			}
			if _, err := meets(1, f.goal); err != nil {
				t.Errorf("%s: %v", f.key, err)
			}
		}
	}
	for _, key := range budgeted {
		if seen[key].goal == "" {
			t.Errorf("%s: no experiment measures this budget", key)
		}
	}
}

func TestEveryOverheadHasItsLoop(t *testing.T) {
	for _, o := range overheads {
		if loops[o.loop] == nil {
			t.Errorf("add a row to loops for %s", o.loop)
		}
	}
}

func TestKeysSelectFiguresByTheirFirstParts(t *testing.T) {
	all := []experiment{{figures: []figure{{key: "over.a"}, {key: "over.b"}, {key: "overt.c"}}}, {figures: []figure{{key: "info.x"}}}}
	for _, c := range []struct {
		list string
		want string
	}{
		{"", "over.a over.b overt.c info.x"},
		{"over", "over.a over.b"},
		{"over.", "over.a over.b"},
		{"over.b, info", "over.b info.x"},
	} {
		got, err := choose(all, c.list)
		if err != nil {
			t.Errorf("%q: %v", c.list, err)
		}
		if want := strings.Fields(c.want); len(got) != len(want) {
			t.Errorf("%q selects %v, want %v", c.list, got, want)
		} else {
			for _, key := range want {
				if !got[key] {
					t.Errorf("%q does not select %s", c.list, key)
				}
			}
		}
	}
	if _, err := choose(all, "over,ove"); err == nil || !strings.Contains(err.Error(), `"ove"`) || !strings.Contains(err.Error(), "overt.c") {
		t.Errorf("a key that does not exist: %v", err)
	}
}

func TestGoalsAreMetOrMissedNeverLeftOut(t *testing.T) {
	x := experiment{figures: []figure{
		{key: "a", goal: "<= 1.35"},
		{key: "b", goal: ">= 1e6"},
		{key: "c", goal: "<= 0", of: worst},
		{key: "d", goal: "<= 1"},
		{key: "e", goal: "<= 1"},
		{key: "info.f"},
		{key: "info.g"},
		{key: "unwanted", goal: "<= 1"},
	}}
	want := wanted{"a": true, "b": true, "c": true, "d": true, "e": true, "info.f": true, "info.g": true}
	runs := map[string][]float64{
		"a": {1, 1.35, 2}, "b": {999_999}, "c": {0, 0, 0.1}, "d": {math.Inf(1)}, "info.f": {7}, "unwanted": {1},
	}
	verdicts := map[string]verdict{}
	for _, r := range x.results(want, runs, "", nil) {
		verdicts[r.key] = r.verdict
	}
	expect := map[string]verdict{"a": met, "b": missed, "c": missed, "d": failed, "e": failed, "info.f": info}
	if len(verdicts) != len(expect) {
		t.Errorf("rows %v, want %v", verdicts, expect)
	}
	for key, v := range expect {
		if verdicts[key] != v {
			t.Errorf("%s: %q, want %q", key, verdicts[key], v)
		}
	}
	for _, r := range x.results(want, runs, "", errors.New("it broke")) {
		if r.verdict != failed || r.reason != "it broke" {
			t.Errorf("after an error %s is %q: %s", r.key, r.verdict, r.reason)
		}
	}
	for _, r := range x.results(want, nil, "not root", nil) {
		if r.verdict != skipped || r.reason != "not root" {
			t.Errorf("skipped, %s is %q: %s", r.key, r.verdict, r.reason)
		}
	}
}

func TestWithoutTheKernelTheEngineIsStillMeasured(t *testing.T) {
	if engineExperiment.kernel {
		t.Error("the engine needs no kernel")
	}
	events, err := packEvents()
	if err != nil {
		t.Fatal(err)
	}
	p, err := loadPack(24)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) == 0 || len(p.Rules()) != 24 {
		t.Errorf("%d events, %d rules", len(events), len(p.Rules()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := evaluateAll(ctx, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted measurement: %v", err)
	}
}
