package engine

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"eunomia/event"
	"eunomia/rules"
)

// TestResult is the outcome of one of a rule's tests.
type TestResult struct {
	Rule    string
	Name    string
	Pos     rules.Position
	Fires   bool // what the test expects
	Passed  bool
	Outcome Outcome
	Why     string // why the rule did what it did
}

// RunTests runs the tests of every rule, disabled ones too. Events without a time
// happen now, which decides whether exceptions have expired.
func (p *Program) RunTests(now time.Time) []TestResult {
	var out []TestResult
	in := newInput()
	for _, r := range p.rules {
		for _, t := range r.Source.Tests {
			res := TestResult{Rule: r.Info.ID, Name: t.Name, Pos: t.Pos, Fires: t.Fires}
			e, err := testEvent(r, t, now)
			if err != nil {
				res.Why = err.Error()
			} else {
				in.reset(e, false)
				res.Outcome, res.Why = r.explain(in)
				res.Passed = (res.Outcome == Matched) == t.Fires && res.Outcome != Failed
			}
			out = append(out, res)
		}
	}
	return out
}

func testEvent(r *Rule, t rules.Test, now time.Time) (*event.Event, error) {
	values := t.Values
	if _, ok := values["event.kind"]; !ok && len(r.Source.On) == 1 {
		values = maps.Clone(values)
		if values == nil {
			values = map[string]any{}
		}
		values["event.kind"] = r.Source.On[0].String()
	}
	e, errs := event.FromFields(values)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if !r.Kinds.Has(e.Kind) {
		return nil, fmt.Errorf("the rule is on %s, the test's event is %s", kindList(r.Source.On), e.Kind)
	}
	if e.Time == 0 {
		e.Time = now.UnixNano()
	}
	return e, nil
}

// explain evaluates the rule and says which part of it decided.
func (r *Rule) explain(in *input) (Outcome, string) {
	plan := r.plans[in.event.Kind]
	if plan == nil {
		return NoMatch, fmt.Sprintf("the condition can never be true on %s", in.event.Kind)
	}
	outcome, exception := plan.decide(in)
	switch outcome {
	case Matched:
		return outcome, "the condition holds and no exception does"
	case Excepted:
		return outcome, fmt.Sprintf("the condition holds, and so does the exception %s", exception)
	}
	var parts []string
	for _, c := range r.condition.clauses() {
		program, err := planProgram(c.forKind(in.event.Kind))
		if err != nil {
			continue
		}
		switch (celProgram{program}).test(in) {
		case isFalse:
			parts = append(parts, shorten(c.text, 200)+" is false")
		case isUnknown:
			parts = append(parts, shorten(c.text, 200)+" is not known yet")
		case isError:
			parts = append(parts, fmt.Sprintf("%s: %v", shorten(c.text, 200), in.err))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "an exception is not known yet")
	}
	return outcome, strings.Join(parts, "; ")
}
