package rules

import (
	"fmt"
	"time"

	"eunomia/event"

	"gopkg.in/yaml.v3"
)

// fieldValue converts a YAML value to what the field takes. Where the field is text,
// the text counts, whatever else YAML takes it for.
func (s *scope) fieldValue(n node, f *event.Field) (v any, ok bool) {
	failed := s.failed
	s.failed = false
	switch f.Type {
	case event.String, event.IP:
		v = s.plain(n, f.Name)
	case event.Strings:
		v = s.plains(n, f.Name)
	case event.Map:
		m := map[string]any{}
		for _, p := range s.mapping(n, f.Name) {
			m[p.name] = s.plain(p.node, f.Name)
		}
		v = m
	case event.Processes:
		v = s.ancestors(n, f.Name)
	case event.Time:
		v = s.moment(n, f.Name)
	default:
		v = s.scalarValue(n, f.Name)
	}
	ok = !s.failed
	s.failed = s.failed || failed
	return v, ok
}

func (s *scope) plain(n node, name string) string {
	if n.Kind != yaml.ScalarNode || n.isNull() {
		s.err(n.at(), "type", fmt.Sprintf("%s must be a string, not %s", name, n.what()), "")
	}
	return n.Value
}

func (s *scope) plains(n node, name string) []any {
	out := []any{}
	for _, item := range s.sequence(n, name) {
		out = append(out, s.plain(item, name))
	}
	return out
}

// scalarValue returns an integer or a boolean.
func (s *scope) scalarValue(n node, name string) any {
	switch n.ShortTag() {
	case "!!int":
		var i int64
		if n.Decode(&i) == nil {
			return i
		}
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!str":
		s.err(n.at(), "type", fmt.Sprintf("%s must be of type %s, not a string", name, event.FieldNamed(name).Type), "write it without quotes")
		return nil
	}
	s.err(n.at(), "type", fmt.Sprintf("%s must be of type %s, not %s", name, event.FieldNamed(name).Type, n.what()), "")
	return nil
}

func (s *scope) moment(n node, name string) any {
	text := s.plain(n, name)
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	s.err(n.at(), "date", quoted(text)+" is not a time", "write it as 2026-01-31T12:00:00Z")
	return nil
}

func (s *scope) ancestors(n node, name string) []any {
	out := []any{}
	var members []string
	types := map[string]event.Type{}
	for _, f := range event.AncestorFields {
		members = append(members, f.Name)
		types[f.Name] = f.Type
	}
	for _, item := range s.sequence(n, name) {
		m := map[string]any{}
		for _, p := range s.mapping(item, "an ancestor") {
			switch types[p.name] {
			case event.String:
				m[p.name] = s.plain(p.node, p.name)
			case event.Strings:
				m[p.name] = s.plains(p.node, p.name)
			case event.Int:
				var i int64
				if p.Kind != yaml.ScalarNode || p.Decode(&i) != nil {
					s.err(p.at(), "type", fmt.Sprintf("%s must be of type int, not %s", p.name, p.what()), "")
				}
				m[p.name] = i
			default:
				s.unknownKey(p, "an ancestor", members)
			}
		}
		out = append(out, m)
	}
	return out
}
