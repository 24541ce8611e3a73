package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"eunomia/engine"
	"eunomia/event"
)

var engineExperiment = experiment{
	name: "engine",
	figures: []figure{
		{key: "engine.load_100_ms", unit: "ms", goal: "<= 100", what: "read, check and compile 100 rules, in a new process"},
		{key: "engine.load_1000_ms", unit: "ms", goal: "<= 1000", what: "the same for 1,000 rules"},
		{key: "engine.allocs_miss", unit: "1/event", goal: "<= 0", of: worst, what: "allocations for an event that no rule matches"},
		{key: "engine.rules_1000_vs_100", unit: "ratio", goal: "<= 3", what: "time of an event with 1,000 rules ÷ with 100"},
		{key: "info.engine_ns_100", unit: "ns", what: "an event that matches none of 100 rules"},
		{key: "info.engine_ns_1000", unit: "ns", what: "an event that matches none of 1,000 rules"},
	},
	run: measureEngine,
}

const (
	engineRuns = 5
	engineTime = 300 * time.Millisecond // of a run, at least
)

// measureEngine needs no kernel: it feeds the engine a mixed stream in which
// nothing matches.
func measureEngine(ctx context.Context, l *lab, want wanted) (map[string][]float64, error) {
	runs := map[string][]float64{}
	for _, n := range []int{100, 1000} {
		key := fmt.Sprintf("engine.load_%d_ms", n)
		if !want[key] {
			continue
		}
		l.progress("engine: load %d rules", n)
		for range engineRuns {
			r, err := l.child(ctx, task{LoadRules: n})
			if err != nil {
				return runs, err
			}
			runs[key] = append(runs[key], r.Took.Seconds()*1e3)
		}
	}
	if !want["engine.allocs_miss"] && !want["engine.rules_1000_vs_100"] && !want["info.engine_ns_100"] && !want["info.engine_ns_1000"] {
		return runs, nil
	}
	events, err := packEvents()
	if err != nil {
		return runs, err
	}
	var engines []*engine.Engine
	for _, n := range []int{100, 1000} {
		p, err := loadPack(n)
		if err != nil {
			return runs, err
		}
		engines = append(engines, engine.New(p))
	}
	for i := range engineRuns + 1 { // the first one warms up
		l.progress("engine: evaluate, %d of %d", i, engineRuns)
		var ns [2]float64
		var allocs float64
		for j, x := range engines {
			var n float64
			if ns[j], n, err = evaluateAll(ctx, x, events); err != nil {
				return runs, err
			}
			allocs = max(allocs, n)
		}
		if i > 0 {
			runs["engine.allocs_miss"] = append(runs["engine.allocs_miss"], allocs)
			runs["info.engine_ns_100"] = append(runs["info.engine_ns_100"], ns[0])
			runs["info.engine_ns_1000"] = append(runs["info.engine_ns_1000"], ns[1])
			runs["engine.rules_1000_vs_100"] = append(runs["engine.rules_1000_vs_100"], ns[1]/ns[0])
		}
	}
	return runs, nil
}

// evaluateAll evaluates the stream over and over and returns the time and the
// number of allocations of one event. The count is whole: what else the process
// allocates, now and then, does not make a fraction of it.
func evaluateAll(ctx context.Context, x *engine.Engine, events []*event.Event) (ns, allocs float64, err error) {
	var before, after runtime.MemStats
	n := 0
	runtime.ReadMemStats(&before)
	began := time.Now()
	for time.Since(began) < engineTime {
		for _, e := range events {
			if m, p := x.Evaluate(e); len(m) > 0 || !p.Empty() {
				return 0, 0, errors.New("an event that should match nothing matched")
			}
		}
		n += len(events)
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	return float64(took.Nanoseconds()) / float64(n), float64((after.Mallocs - before.Mallocs) / uint64(n)), nil
}

// timeLoading times the loading of n rules in this process, which has loaded none.
func timeLoading(n int) (report, error) {
	began := time.Now()
	_, err := loadPack(n)
	return report{Ops: 1, Made: 1, Took: time.Since(began)}, err
}
