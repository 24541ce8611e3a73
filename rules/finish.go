package rules

import (
	"fmt"
	"strings"

	"eunomia/event"
)

// finish expands a definition into a Rule. A mistake costs the rule.
func (l *loader) finish(d *definition) *Rule {
	s := &scope{report: l.report, rule: d.id.value}
	r := &Rule{
		ID:          d.id.value,
		Title:       d.title,
		Description: d.description,
		On:          d.on,
		Severity:    d.severity,
		Attack:      unique(d.attack),
		Tags:        unique(d.tags),
		Enabled:     d.enabled,
		Pos:         d.id.at(0).position(),
		Extra:       Documentation{FalsePositives: unique(d.extra.FalsePositives), References: unique(d.extra.References)},
	}
	if len(d.condition) > 0 {
		r.Condition, _ = l.expand(s, d.condition)
	}
	r.Exceptions = l.finishExceptions(s, d.exceptions)
	r.Message = l.finishMessage(s, d)
	if len(d.on) > 0 {
		r.Throttle = finishThrottle(s, d)
		r.Tests = finishTests(l.report, d)
	}
	if s.failed || d.broken {
		return nil
	}
	r.Version = version(r)
	return r
}

// finishThrottle checks that the fields of a throttle exist on every kind of the rule.
func finishThrottle(s *scope, d *definition) *Throttle {
	if d.throttle == nil {
		return nil
	}
	t := &Throttle{Every: d.throttle.every, Pos: d.throttle.at.position()}
	for _, by := range d.throttle.by {
		f := event.FieldNamed(by.value)
		if f == nil {
			s.unknownField(by.at(0), by.value, d.on[0])
			continue
		}
		for _, k := range d.on {
			if !f.On(k) {
				s.err(by.at(0), "unknown-field", fmt.Sprintf("%s events have no %s", k, f.Name),
					"it exists on "+strings.Join(namesOf(f.Kinds.Kinds(), event.Kind.String), ", "))
			}
		}
		if f.Type == event.Map || f.Type == event.Processes {
			s.err(by.at(0), "type", fmt.Sprintf("%s is a %s, which throttle cannot compare", f.Name, f.Type), "use a field with a single value")
		}
		t.By = appendNew(t.By, f.Name)
	}
	return t
}
