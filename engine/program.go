package engine

import (
	"cmp"

	"eunomia/event"
	"eunomia/rules"
)

// Limits bound what rules may cost; a zero value means the default.
type Limits struct {
	Cost         uint64 // of one expression; DefaultMaxCost
	ThrottleKeys int    // remembered for each rule; DefaultThrottleKeys
}

// Program is a compiled set of rules. Immutable; any number of engines may run it.
type Program struct {
	Hash string // of the rule set

	rules  []*Rule
	limits Limits
}

// Compile checks every rule of a set against the field table and prepares the good
// ones. A rule with a mistake is left out; each mistake is in the diagnostics,
// with its place and a remedy. A set whose diagnostics are all warnings is whole.
func Compile(set *rules.Set, limits Limits) (*Program, []rules.Diagnostic) {
	limits.Cost = cmp.Or(limits.Cost, DefaultMaxCost)
	limits.ThrottleKeys = cmp.Or(limits.ThrottleKeys, DefaultThrottleKeys)
	p := &Program{Hash: set.Hash, limits: limits}
	var found []rules.Diagnostic
	s := scope{macros: set.Names(), maxCost: limits.Cost}
	for _, r := range set.Rules {
		compiled, problems := compileRule(r, s)
		found = append(found, problems...)
		if compiled != nil {
			p.rules = append(p.rules, compiled)
		}
	}
	return p, found
}

// Rules returns the compiled rules, enabled or not, in the order of the set. The
// caller must not change them.
func (p *Program) Rules() []*Rule { return p.rules }

// Kinds returns the event kinds that an enabled rule can match, so that the sensor
// may leave out the others.
func (p *Program) Kinds() event.KindSet {
	var kinds event.KindSet
	for _, r := range p.rules {
		for k, plan := range r.plans {
			if r.Enabled && plan != nil {
				kinds |= event.SetOf(event.Kind(k))
			}
		}
	}
	return kinds
}
