package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"

	"eunomia/event"
	"eunomia/rules"
)

// Rule is a rule that passed every check.
type Rule struct {
	Info    event.RuleInfo
	Enabled bool
	Kinds   event.KindSet
	Cost    uint64 // bound of the steps that its condition and exceptions take
	Slow    int    // parts of condition and exceptions that are not compiled but run on cel-go
	Source  *rules.Rule

	condition  *checked
	exceptions []*checked
	message    []*checked // nil where the part is literal
	throttleBy []*event.Field
	plans      [event.NumKinds]*plan // nil where the rule can never match
}

// plan is a rule ready to be evaluated on events of one kind.
type plan struct {
	condition  predicate
	exceptions []exception
	message    []part
	clauses    []clause
	possible   bool // the condition is not false whatever the fields are
}

type exception struct {
	name    string
	expires int64 // Unix ns; 0: never
	holds   predicate
}

// Outcome is what a rule makes of an event.
type Outcome uint8

// The outcomes.
const (
	NoMatch Outcome = iota
	Matched
	Excepted  // the condition holds, and so does an exception
	Undecided // it depends on a field whose value has not arrived
	Failed    // the condition could not be computed
)

var outcomeNames = [...]string{"no match", "match", "excepted", "undecided", "failed"}

func (o Outcome) String() string { return outcomeNames[o] }

// decide evaluates the condition and then the exceptions; exception is the name
// of the one that holds. An exception that fails does not hold: what it reads is
// in an attacker's hand, and must not silence a rule. Its error stays in in.err.
func (p *plan) decide(in *input) (outcome Outcome, exception string) {
	in.err = nil
	in.missed = in.missed[:0]
	switch p.condition.test(in) {
	case isFalse:
		return NoMatch, ""
	case isError:
		return Failed, ""
	case isTrue:
		outcome = Matched
	case isUnknown:
		outcome = Undecided
	}
	for i := range p.exceptions {
		x := &p.exceptions[i]
		if x.expires != 0 && in.event.Time >= x.expires {
			continue
		}
		switch x.holds.test(in) {
		case isTrue:
			return Excepted, x.name
		case isUnknown:
			outcome = Undecided
		}
	}
	return outcome, ""
}

// compileRule checks and plans one rule.
func compileRule(r *rules.Rule, s scope) (*Rule, []rules.Diagnostic) {
	s.on = r.On
	out := &Rule{Enabled: r.Enabled, Kinds: event.SetOf(r.On...), Source: r, Info: event.RuleInfo{
		ID: r.ID, Title: r.Title, Description: r.Description, Version: r.Version,
		Severity: r.Severity, Attack: r.Attack, Tags: r.Tags}}
	var found []rules.Diagnostic
	report := func(e rules.Expr, problems ...problem) {
		for _, p := range problems {
			found = append(found, diagnostic(r.ID, e, p))
		}
	}
	at := func(pos rules.Position, check, message, hint string) {
		found = append(found, rules.Diagnostic{Pos: pos, Check: check, Message: message, Hint: hint, Rule: r.ID})
	}
	if len(r.On) == 0 {
		at(r.Pos, "kinds", "the rule names no event kind", "add `on: [exec]` or another kind; `eunomia events` lists them")
		return nil, found
	}
	checkBool := func(e rules.Expr, what string) *checked {
		c, problems := check(e.Text, s)
		if c != nil && c.typ != types.BoolType {
			typ := plainType(c.typ.String())
			problems = append(problems, problem{check: "type", message: fmt.Sprintf("the %s is a %s, not true or false", what, typ),
				hint: remedyForTruth(shorten(e.Text, 40), typ)})
		}
		report(e, problems...)
		if c != nil {
			out.Cost += c.cost
		}
		return c
	}
	out.condition = checkBool(r.Condition, "condition")
	for _, x := range r.Exceptions {
		out.exceptions = append(out.exceptions, checkBool(x.Condition, "exception"))
	}
	for _, p := range r.Message.Parts {
		var c *checked
		if p.Expr.Text != "" {
			var problems []problem
			c, problems = check(p.Expr.Text, s)
			if c != nil && !printable(c.typ) {
				problems = append(problems, problem{check: "type", message: fmt.Sprintf("a %s cannot be written into a message", plainType(c.typ.String())),
					hint: "name a member, as in process.ancestors.map(a, a.name)"})
			}
			report(p.Expr, problems...)
		}
		out.message = append(out.message, c)
	}
	if t := r.Throttle; t != nil {
		for _, name := range t.By {
			f, message, hint := throttleField(name, r.On)
			if message != "" {
				at(t.Pos, "throttle", message, hint)
			}
			out.throttleBy = append(out.throttleBy, f)
		}
		if t.Every <= 0 {
			at(t.Pos, "throttle", "throttle has no duration", "add `every: 1m`")
		}
	}
	if len(found) > 0 {
		return nil, found
	}
	if err := out.plan(); err != nil {
		report(r.Condition, problem{check: "type", message: "a constant part of the rule cannot be computed: " + err.Error()})
		return nil, found
	}
	if slices.Equal(out.plans[:], make([]*plan, event.NumKinds)) {
		d := diagnostic(r.ID, r.Condition, problem{check: "constant", message: "the condition can never be true", hint: "the rule has no effect"})
		d.Warning = true
		found = append(found, d)
	}
	return out, found
}

// plan prepares the rule for each of its kinds; one plan serves all of them unless
// an expression reads event.kind.
func (r *Rule) plan() error {
	perKind := r.condition.kind
	for _, c := range slices.Concat(r.exceptions, r.message) {
		perKind = perKind || c != nil && c.kind
	}
	var shared *plan
	for _, k := range r.Source.On {
		p := shared
		if p == nil {
			var err error
			if p, err = r.planFor(k); err != nil {
				return err
			}
			if !perKind {
				shared = p
			}
		}
		if p.possible {
			r.plans[k] = p
		}
	}
	return nil
}

func (r *Rule) planFor(k event.Kind) (*plan, error) {
	p := &plan{}
	whole, err := planProgram(r.condition.forKind(k))
	if err != nil {
		return nil, err
	}
	p.clauses = clausesOf(r.condition.forKind(k))
	p.possible = celProgram{whole}.test(allUnknown(event.New(k))) != isFalse
	var errs []error
	predicateOf := func(c *checked) predicate {
		p, slow, err := compileCondition(c.forKind(k))
		errs = append(errs, err)
		r.Slow += slow
		return p
	}
	p.condition = predicateOf(r.condition)
	for i, x := range r.Source.Exceptions {
		e := exception{name: x.Name, holds: predicateOf(r.exceptions[i])}
		if !x.Expires.IsZero() {
			e.expires = x.Expires.UnixNano()
		}
		p.exceptions = append(p.exceptions, e)
	}
	for i, m := range r.Source.Message.Parts {
		if r.message[i] == nil {
			p.message = append(p.message, part{literal: m.Literal})
			continue
		}
		program, err := planProgram(r.message[i].forKind(k))
		errs = append(errs, err)
		p.message = append(p.message, part{value: program, field: r.message[i].tree.Expr().Kind() == ast.SelectKind})
	}
	return p, errors.Join(errs...)
}

func throttleField(name string, on []event.Kind) (f *event.Field, message, hint string) {
	n := names{scope: scope{on: on}}
	f = event.FieldNamed(name)
	if f == nil {
		n.unknownField(0, name)
	} else {
		n.kinds(0, f)
		if f.Type == event.Processes || f.Type == event.Map {
			return nil, fmt.Sprintf("throttle cannot go by %s, a %s", name, f.Type), "name a field with a single value"
		}
	}
	if len(n.problems) > 0 {
		return nil, n.problems[0].message, n.problems[0].hint
	}
	return f, "", ""
}

// printable reports whether a message can hold values of the type.
func printable(t *types.Type) bool {
	switch t.Kind() {
	case types.StructKind:
		return false
	case types.ListKind:
		return printable(t.Parameters()[0]) && t.Parameters()[0].Kind() != types.ListKind
	}
	return true
}
