package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// overheads are the loops that run with and without the detector, and what their
// time with it may be, divided by that without.
var overheads = []struct{ loop, goal, what string }{
	{"openclose", "<= 1.35", "open and close a file"},
	{"getppid", "<= 1.20", "a system call that no rule needs"},
	{"readwrite", "<= 1.10", "read a byte and write it"},
	{"connect", "<= 1.15", "a TCP connection over loopback"},
	{"forkexec", "<= 1.03", "start a program and wait for it"},
}

var overheadExperiment = experiment{name: "overhead", kernel: true, figures: overheadFigures(), run: measureOverhead}

func overheadFigures() []figure {
	var out []figure
	for _, o := range overheads {
		out = append(out, figure{key: "overhead." + o.loop, unit: "ratio", goal: o.goal, what: o.what + ": time with the detector ÷ without"})
	}
	for _, o := range overheads {
		out = append(out, figure{key: "info.floor_" + o.loop, unit: "ratio", what: o.what + ": the same with an empty program at the exit of system calls"})
	}
	for _, o := range overheads {
		out = append(out, figure{key: "info.bare_ns_" + o.loop, unit: "ns", what: o.what + ", without the detector"})
	}
	return append(out, figure{key: "info.ready_s", unit: "s", what: "from starting the detector to its being ready"})
}

// measureOverhead runs the loops bare, with the detector, bare, with the detector, …
// bare: each run with it lies between two without it. Those with the empty program
// come before those with the detector.
func measureOverhead(ctx context.Context, l *lab, want wanted) (map[string][]float64, error) {
	var names []string
	for _, o := range overheads {
		if want["overhead."+o.loop] || want["info.floor_"+o.loop] || want["info.bare_ns_"+o.loop] || want["info.ready_s"] {
			names = append(names, o.loop)
		}
	}
	bare, floor, with := map[string][]float64{}, map[string][]float64{}, map[string][]float64{}
	runs := map[string][]float64{}
	for i := range l.pairs + 1 {
		l.progress("overhead: without the detector, %d of %d", i+1, l.pairs+1)
		if err := l.runLoops(ctx, nil, names, bare); err != nil {
			return nil, err
		}
		if i == l.pairs {
			break
		}
		l.progress("overhead: with an empty program, %d of %d", i+1, l.pairs)
		detach, err := attachFloor()
		if err != nil {
			return nil, err
		}
		if err := errors.Join(l.runLoops(ctx, []int{os.Getpid()}, names, floor), detach()); err != nil {
			return nil, err
		}
		l.progress("overhead: with the detector, %d of %d", i+1, l.pairs)
		err = l.during(ctx, setup{}, func(d *detector) error {
			runs["info.ready_s"] = append(runs["info.ready_s"], d.ready.Seconds())
			return l.runQuietly(ctx, d, names, with)
		})
		if err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		runs["overhead."+name] = ratios(with[name], bare[name])
		runs["info.floor_"+name] = ratios(floor[name], bare[name])
		runs["info.bare_ns_"+name] = bare[name]
	}
	return runs, nil
}

// runLoops adds the time of an operation of each loop to into, while only the
// processes in tracers trace.
func (l *lab) runLoops(ctx context.Context, tracers []int, names []string, into map[string][]float64) error {
	for _, name := range names {
		var r report
		err := l.untraced(ctx, tracers, func() (err error) {
			r, err = l.child(ctx, task{Loop: name, For: l.loop})
			return err
		})
		if err != nil {
			return err
		}
		into[name] = append(into[name], r.nsPerOp())
	}
	return nil
}

// runQuietly runs loops beside a detector and says when rules matched meanwhile:
// the overheads are those of acts that match nothing.
func (l *lab) runQuietly(ctx context.Context, d *detector, names []string, into map[string][]float64) error {
	before, err := d.scrape(ctx)
	if err != nil {
		return err
	}
	if err := l.runLoops(ctx, []int{d.pid()}, names, into); err != nil {
		return err
	}
	after, err := d.scrape(ctx)
	if err != nil {
		return err
	}
	if raised := grown(before.matches(), after.matches()); len(raised) > 0 {
		if n := len(raised) - 5; n > 0 {
			raised = append(raised[:5], fmt.Sprintf("and %d more", n))
		}
		fmt.Fprintf(os.Stderr, "bench: rules matched while the loops ran, by them or by others: %s\n", strings.Join(raised, ", "))
	}
	return nil
}

// grown lists the counters that rose, with by how much.
func grown(before, after map[string]float64) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if n := after[k] - before[k]; n > 0 {
			out = append(out, fmt.Sprintf("%s %.0f times", k, n))
		}
	}
	return out
}
