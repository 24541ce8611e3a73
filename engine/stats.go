package engine

import (
	"sync/atomic"
	"time"

	"eunomia/event"
)

// RuleStats is what an engine has counted for a rule since it began, over every
// version of the rule.
type RuleStats struct {
	Rule        *Rule
	Evaluations uint64
	Matches     uint64
	Suppressed  uint64 // by the throttle
	Excepted    uint64 // silenced by an exception
	Errors      uint64 // conditions and exceptions that could not be computed
	Unknowns    uint64 // times that the rule had to wait for a field
	Evicted     uint64 // throttle windows forgotten for want of room
	Samples     uint64 // evaluations whose time was taken
	SampledTime time.Duration
	LastError   string
}

// Stats returns the counters of every rule, in the order of the set.
func (x *Engine) Stats() []RuleStats {
	l := x.current.Load()
	out := make([]RuleStats, len(l.states))
	for i, s := range l.states {
		c := s.counters
		out[i] = RuleStats{Rule: s.rule, Evaluations: s.evaluations(&x.seen),
			Matches: c.matches.Load(), Suppressed: c.suppressed.Load(), Excepted: c.excepted.Load(), Errors: c.errors.Load(),
			Unknowns: c.unknowns.Load(), Evicted: c.evicted.Load(), Samples: c.samples.Load(), SampledTime: time.Duration(c.nanos.Load())}
		if err := c.lastError.Load(); err != nil {
			out[i].LastError = *err
		}
	}
	return out
}

// state is what an engine remembers for a rule.
type state struct {
	rule     *Rule
	counters *counters // shared by the versions of a rule
	throttle *throttle // nil without one; belongs to the evaluating goroutine

	// Evaluations are not counted one by one: each event of a kind is evaluated by
	// every rule of its group. joined is what had been seen when the rule joined.
	before uint64
	joined [event.NumKinds]uint64
}

type counters struct {
	matches, suppressed, excepted, errors, unknowns, evicted atomic.Uint64
	samples, nanos                                           atomic.Uint64
	lastError                                                atomic.Pointer[string]
}

func newState(r *Rule, old *state, limits Limits, seen *[event.NumKinds]atomic.Uint64) *state {
	s := &state{rule: r, counters: &counters{}}
	if t := r.Source.Throttle; t != nil {
		s.throttle = newThrottle(r.throttleBy, int64(t.Every), limits.ThrottleKeys)
	}
	for k := range seen {
		s.joined[k] = seen[k].Load()
	}
	if old == nil {
		return s
	}
	s.counters = old.counters
	s.before = old.evaluations(seen)
	if s.throttle != nil && old.rule.Info.Version == r.Info.Version && s.throttle.sameAs(old.throttle) {
		s.throttle = old.throttle
	}
	return s
}

func (s *state) evaluations(seen *[event.NumKinds]atomic.Uint64) uint64 {
	n := s.before
	for k, plan := range s.rule.plans {
		if s.rule.Enabled && plan != nil {
			n += seen[k].Load() - s.joined[k]
		}
	}
	return n
}

func (s *state) sample(d time.Duration) {
	s.counters.samples.Add(1)
	s.counters.nanos.Add(uint64(d))
}

// fail counts an error. Its text is written now, as it may speak of the event's
// strings, and not every time, as a condition may fail on every event.
func (c *counters) fail(err error) {
	if n := c.errors.Add(1); n&(n-1) == 0 {
		text := string(appendCut(nil, err.Error()))
		c.lastError.Store(&text)
	}
}
