package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// figure is one row of the report.
type figure struct {
	key  string // "overhead.getppid"; "info.…" has no goal
	unit string
	goal string                  // "<= 1.35", ">= 1e6"; empty for information
	what string                  // in a few words
	of   func([]float64) float64 // makes the value of the runs; nil: their median
}

// experiment measures figures that share their preparation.
type experiment struct {
	name    string
	figures []figure
	kernel  bool // needs root, BPF and the detector
	// run returns the runs of every wanted figure, by key.
	run func(ctx context.Context, l *lab, want wanted) (map[string][]float64, error)
}

// wanted is the set of keys that an experiment is asked for.
type wanted map[string]bool

// choose returns the keys that the comma-separated list selects: whole keys, or
// their first parts. The empty list selects all.
func choose(all []experiment, list string) (wanted, error) {
	want := wanted{}
	var known []string
	for _, x := range all {
		for _, f := range x.figures {
			known = append(known, f.key)
		}
	}
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimSuffix(strings.TrimSpace(part), ".")
		found := false
		for _, key := range known {
			if part == "" || key == part || strings.HasPrefix(key, part+".") {
				want[key], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("no figure has the key %q; there are:\n  %s", part, strings.Join(known, "\n  "))
		}
	}
	return want, nil
}

// only returns the wanted keys of the experiment.
func (x experiment) only(want wanted) wanted {
	mine := wanted{}
	for _, f := range x.figures {
		if want[f.key] {
			mine[f.key] = true
		}
	}
	return mine
}

// result is a figure as measured.
type result struct {
	figure
	runs    []float64
	value   float64
	verdict verdict
	reason  string // why there is no value
}

type verdict string

const (
	met     verdict = "ok"
	missed  verdict = "MISSED"
	info    verdict = "info"
	skipped verdict = "skipped"
	failed  verdict = "FAILED" // it should have been measured and was not
)

// results judges the runs. Every wanted figure that has a goal gets a row;
// information gets one when there is any. After an error no figure of the
// experiment has a value: the runs that it had time for may be the good ones.
func (x experiment) results(want wanted, runs map[string][]float64, skip string, err error) []result {
	var out []result
	for _, f := range x.figures {
		r := result{figure: f, runs: runs[f.key]}
		switch {
		case f.goal == "" && (len(r.runs) == 0 || err != nil):
			continue
		case f.goal != "" && !want[f.key]:
			continue
		case skip != "":
			r.verdict, r.reason = skipped, skip
		case err != nil:
			r.verdict, r.reason = failed, strings.ReplaceAll(err.Error(), "\n", "; ")
		case len(r.runs) == 0:
			r.verdict, r.reason = failed, "it was not measured"
		default:
			r.judge()
		}
		out = append(out, r)
	}
	return out
}

func (r *result) judge() {
	of := r.of
	if of == nil {
		of = median
	}
	r.value = of(r.runs)
	switch ok, err := meets(r.value, r.goal); {
	case err != nil:
		r.verdict, r.reason = failed, err.Error()
	case r.goal == "":
		r.verdict = info
	case ok:
		r.verdict = met
	default:
		r.verdict = missed
	}
}

// meets compares a value with a goal.
func meets(value float64, goal string) (bool, error) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return false, errors.New("the measurement gave no number")
	}
	if goal == "" {
		return true, nil
	}
	op, number, _ := strings.Cut(goal, " ")
	bound, err := strconv.ParseFloat(number, 64)
	if err != nil || !slices.Contains([]string{"<=", ">="}, op) {
		return false, fmt.Errorf("the goal %q is neither \"<= n\" nor \">= n\"", goal)
	}
	if op == "<=" {
		return value <= bound, nil
	}
	return value >= bound, nil
}
