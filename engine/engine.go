// Package engine decides which rules an event matches: it type-checks the CEL
// expressions of rules against the field table, refuses what could cost too much,
// evaluates conditions and exceptions, writes alert messages and throttles.
//
// Use Compile to check a rule set and New to run it; Swap replaces the set between
// two events. The package needs no kernel and no privileges. It does not read rule
// files (package rules), raise alerts (event.NewAlert) or wait for container
// metadata: it tells the caller which rules could not be decided yet.
//
// An event makes of a condition true, false, unknown or an error, combined as CEL
// does: false && error is false, true || unknown is true. Unknown is what a field
// is until its value has arrived. An error never counts as false unseen: it is
// counted for the rule. In an exception it counts as "does not hold".
//
// To add a function for conditions, give it a row in functions (functions.go),
// and, unless one of CEL's libraries in env.go defines it, an option beside
// globOption. To add a field, add it to the field table of package event.
package engine

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"eunomia/event"
)

// Engine runs a program over a stream of events. Evaluate and Decide belong to one
// goroutine; Swap, Program and Stats may be called from any.
type Engine struct {
	current atomic.Pointer[loaded]
	swap    sync.Mutex // one Swap at a time
	seen    [event.NumKinds]atomic.Uint64

	in      *input
	matches []Match
	pending []*entry
	again   bool // the event under evaluation has been here before

	candidates []uint64 // of the event under evaluation; see bucket
}

// loaded is a program with what the engine remembers for its rules.
type loaded struct {
	program *Program
	states  []*state // as program.rules
	groups  [event.NumKinds]bucket
}

// entry is a rule in the group of a kind.
type entry struct {
	rule  *Rule
	plan  *plan
	state *state
}

// Match is a rule that an event matched.
type Match struct {
	Rule       *Rule
	Message    string
	Suppressed uint64 // matches that the throttle withheld since the last one; also in Message
	// Decided is empty when every field that mattered was known, else it says what
	// the verdict did without.
	Decided string
}

// Pending is the rules that an event left undecided, because a field they depend
// on, or that their message shows, has not arrived.
type Pending struct{ entries []*entry }

// Empty reports whether every rule is decided.
func (p Pending) Empty() bool { return len(p.entries) == 0 }

// Clone returns a copy that stays valid after the next call of Evaluate.
func (p Pending) Clone() Pending { return Pending{slices.Clone(p.entries)} }

// New returns an engine that runs p.
func New(p *Program) *Engine {
	x := &Engine{in: newInput()}
	x.Swap(p)
	return x
}

// Program returns what the engine runs now.
func (x *Engine) Program() *Program { return x.current.Load().program }

// Swap makes the engine run p from the next event on. Counters go on for rules of
// the same id, open throttle windows for rules that did not change.
func (x *Engine) Swap(p *Program) {
	x.swap.Lock()
	defer x.swap.Unlock()
	old := map[string]*state{}
	if l := x.current.Load(); l != nil {
		for _, s := range l.states {
			old[s.rule.Info.ID] = s
		}
	}
	l := &loaded{program: p}
	for _, r := range p.rules {
		s := newState(r, old[r.Info.ID], p.limits, &x.seen)
		l.states = append(l.states, s)
		for k, plan := range r.plans {
			if r.Enabled && plan != nil {
				l.groups[k].add(entry{rule: r, plan: plan, state: s})
			}
		}
	}
	for k := range l.groups {
		l.groups[k].index()
	}
	x.current.Store(l)
}

// sampleEvery is the share of events of a kind on which each rule's time is taken.
const sampleEvery = 512

// Evaluate returns the rules that e matches, all of them. What it returns is valid
// until the next call. Rules in Pending await a field: keep clones of both and call
// Decide when the field has arrived or time is up.
func (x *Engine) Evaluate(e *event.Event) ([]Match, Pending) {
	group := &x.current.Load().groups[e.Kind]
	n := x.seen[e.Kind].Add(1)
	if len(group.entries) == 0 {
		return nil, Pending{}
	}
	x.in.reset(e, false)
	x.matches, x.pending, x.again = x.matches[:0], x.pending[:0], false
	if n%sampleEvery == 0 {
		for i := range group.entries {
			begin := time.Now()
			x.run(&group.entries[i])
			group.entries[i].state.sample(time.Since(begin))
		}
		return x.matches, Pending{x.pending}
	}
	x.candidates = group.candidates(x.in, x.candidates)
	for word, set := range x.candidates {
		for ; set != 0; set &= set - 1 {
			x.run(&group.entries[word*64+bits.TrailingZeros64(set)])
		}
	}
	return x.matches, Pending{x.pending}
}

// Decide evaluates the rules that an event left pending again, as they were then,
// whatever has been swapped in since. With final, fields
// that are still not known are read as empty, no rule stays pending, and a match
// says what it was decided without.
func (x *Engine) Decide(e *event.Event, p Pending, final bool) ([]Match, Pending) {
	x.in.reset(e, final)
	x.matches, x.pending, x.again = x.matches[:0], x.pending[:0], true
	for _, en := range p.entries {
		x.run(en)
	}
	return x.matches, Pending{x.pending}
}

// run evaluates one rule on the event in x.in.
func (x *Engine) run(en *entry) {
	outcome, _ := en.plan.decide(x.in)
	if outcome == NoMatch {
		return
	}
	count := en.state.counters
	if x.in.err != nil {
		count.fail(x.in.err)
	}
	switch outcome {
	case Excepted:
		count.excepted.Add(1)
	case Undecided:
		x.await(en)
	case Matched:
		x.match(en)
	}
}

// await leaves a rule pending. It is counted once, however often it is looked at again.
func (x *Engine) await(en *entry) {
	if !x.again {
		en.state.counters.unknowns.Add(1)
	}
	x.pending = append(x.pending, en)
}

// match throttles and announces a match. Nothing is remembered before the message
// is complete, so that a match that waits for a field is judged anew.
func (x *Engine) match(en *entry) {
	in, t := x.in, en.state.throttle
	m := Match{Rule: en.rule}
	if len(in.missed) > 0 {
		m.Decided = strings.Join(in.missed, ", ") + " not known in time, taken as empty"
	}
	final := in.final
	if t != nil && !final && !t.known(in.event) {
		x.await(en)
		return
	}
	var key throttleKey
	if t != nil {
		key = t.key(in.event)
		if t.suppress(key, in.event.Time) {
			en.state.counters.suppressed.Add(1)
			return
		}
	}
	in.final = false // the message shows what is unknown
	var complete bool
	m.Message, complete = render(en.plan.message, in)
	in.final = final
	if !complete && !final {
		x.await(en)
		return
	}
	if t != nil {
		var evicted bool
		if m.Suppressed, evicted = t.pass(key, in.event.Time); evicted {
			en.state.counters.evicted.Add(1)
		}
		if m.Suppressed > 0 {
			m.Message += fmt.Sprintf(" (%d similar suppressed)", m.Suppressed)
		}
	}
	en.state.counters.matches.Add(1)
	x.matches = append(x.matches, m)
}
