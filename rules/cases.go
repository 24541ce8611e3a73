package rules

import (
	"fmt"
	"slices"
	"strings"

	"eunomia/event"

	"gopkg.in/yaml.v3"
)

// testCase is a Test before its values are checked, for which the rule's kinds must
// be known.
type testCase struct {
	name   string
	fires  bool
	values node
	at     place
	only   event.Kind // the kind that a test without one is of
}

// readTests reads tests. A mistake in a test is reported, but does not disarm the
// rule: only the test is left out.
func readTests(s *scope, n node) []testCase {
	own := &scope{report: s.report}
	var out []testCase
	for _, item := range own.sequence(n, "tests") {
		t := testCase{at: item.at()}
		verdicts := 0
		for _, p := range own.mapping(item, "a test") {
			switch p.name {
			case "name":
				name, _ := own.str(p.node, "the name")
				t.name = name.value
			case "fires", "silent":
				verdicts++
				t.fires, t.values = p.name == "fires", p.node
			default:
				own.unknownKey(p, "a test", []string{"name", "fires", "silent"})
			}
		}
		if verdicts != 1 {
			own.err(item.at(), "test", "a test needs either fires or silent", "write fires: {process.name: bash, …}")
			continue
		}
		out = append(out, t)
	}
	return out
}

func setTests(s *scope, n node) change {
	list := readTests(s, n)
	return func(d *definition) { d.tests = list }
}

func addTests(s *scope, n node) change {
	list := readTests(s, n)
	return func(d *definition) { d.tests = append(d.tests, list...) }
}

// settleTests fixes the kind of tests that do not name it, while the rule has only
// one: a later file may add others.
func (d *definition) settleTests() {
	for i := range d.tests {
		if len(d.on) == 1 && d.tests[i].only == event.KindNone {
			d.tests[i].only = d.on[0]
		}
	}
}

// dropTests removes the tests of kinds that the rule is no longer about.
func (d *definition) dropTests() {
	d.tests = slices.DeleteFunc(d.tests, func(t testCase) bool {
		k, _ := t.kind()
		return k != event.KindNone && !slices.Contains(d.on, k)
	})
}

// kind returns the kind of the test, KindNone if it names none or an unknown one, and
// where it is named.
func (t testCase) kind() (event.Kind, node) {
	if t.values.Kind != yaml.MappingNode {
		return t.only, t.values
	}
	for i := 0; i+1 < len(t.values.Content); i += 2 {
		if v := t.values.child(t.values.Content[i+1]); t.values.child(t.values.Content[i]).Value == "event.kind" {
			k, _ := event.KindNamed(v.Value)
			return k, v
		}
	}
	return t.only, t.values
}

// finishTests turns the values of tests into what event.FromFields takes.
func finishTests(r *report, d *definition) []Test {
	var out []Test
	for _, t := range d.tests {
		s := &scope{report: r}
		values := s.testValues(d, t)
		if !s.failed {
			if _, errs := event.FromFields(values); len(errs) > 0 {
				s.err(t.at, "test", errs[0].Error(), "")
			}
		}
		if !s.failed {
			out = append(out, Test{Name: t.name, Fires: t.fires, Values: values, Pos: t.at.position()})
		}
	}
	return out
}

func (s *scope) testValues(d *definition, t testCase) map[string]any {
	values := map[string]any{}
	kind, kindAt := t.kind()
	pairs := s.mapping(t.values, "the event of a test")
	if s.failed {
		return nil
	}
	named := slices.ContainsFunc(pairs, func(p pair) bool { return p.name == "event.kind" })
	switch {
	case !named && kind == event.KindNone:
		s.err(t.at, "test", "the event of the test has no event.kind", "add event.kind: "+d.on[0].String())
		return nil
	case !slices.Contains(d.on, kind):
		names := namesOf(d.on, event.Kind.String)
		s.err(kindAt.at(), "test", fmt.Sprintf("the rule is not about %s events", quoted(kindAt.Value)),
			s.didYouMean(kindAt.Value, names, "it is on "+strings.Join(names, ", ")))
		return nil
	}
	values["event.kind"] = kind.String()
	e := event.New(kind)
	for _, p := range pairs {
		if p.name == "event.kind" {
			continue
		}
		f := event.FieldNamed(p.name)
		switch {
		case f == nil:
			if p.Kind == yaml.MappingNode && len(p.Content) > 0 {
				s.err(p.key.at(), "unknown-field", quoted(p.name)+" is no field",
					"write fields with their full names, as in "+p.name+"."+p.Content[0].Value+": …")
				continue
			}
			s.unknownField(p.key.at(), p.name, kind)
			continue
		case !f.On(kind):
			s.err(p.key.at(), "unknown-field", fmt.Sprintf("%s events have no %s", kind, f.Name),
				"it exists on "+strings.Join(namesOf(f.Kinds.Kinds(), event.Kind.String), ", "))
			continue
		}
		v, ok := s.fieldValue(p.node, f)
		if !ok {
			continue
		}
		if err := f.Set(e, v); err != nil {
			s.err(p.at(), "test", err.Error(), "")
			continue
		}
		values[p.name] = v
	}
	return values
}

// unknownField reports a name that is no field.
func (s *scope) unknownField(at place, name string, kind event.Kind) {
	names := namesOf(event.FieldsOn(kind), func(f *event.Field) string { return f.Name })
	s.err(at, "unknown-field", quoted(name)+" is no field", s.didYouMean(name, names, "`eunomia fields` lists them"))
}
