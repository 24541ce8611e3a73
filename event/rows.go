package event

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// The constructors below turn a pointer to a value inside the event into a row
// that can read and write it.

func strField(name string, kinds KindSet, doc string, at func(*Event) *string) Field {
	return Field{Name: name, Type: String, Kinds: kinds, Doc: doc,
		Str: func(e *Event) string { return *at(e) },
		set: setter(func(e *Event, v string) error { *at(e) = v; return nil })}
}

func uintField[T uint16 | uint32 | uint64](name string, kinds KindSet, doc string, at func(*Event) *T) Field {
	return Field{Name: name, Type: Int, Kinds: kinds, Doc: doc,
		Int: func(e *Event) int64 { return int64(*at(e)) },
		set: func(e *Event, v any) error {
			n, err := asInt(v)
			if err == nil && (n < 0 || int64(T(n)) != n) {
				err = fmt.Errorf("%d is out of range", n)
			}
			*at(e) = T(n)
			return err
		}}
}

func boolField(name string, kinds KindSet, doc string, at func(*Event) *bool) Field {
	return derivedBool(name, kinds, doc, func(e *Event) bool { return *at(e) }, func(e *Event, v bool) { *at(e) = v })
}

func derivedBool(name string, kinds KindSet, doc string, read func(*Event) bool, write func(*Event, bool)) Field {
	return Field{Name: name, Type: Bool, Kinds: kinds, Doc: doc, Bool: read,
		set: func(e *Event, v any) error {
			b, ok := v.(bool)
			if !ok {
				return fmt.Errorf("want true or false, have %v", v)
			}
			write(e, b)
			return nil
		}}
}

func listField(name string, kinds KindSet, doc string, at func(*Event) *[]string) Field {
	return Field{Name: name, Type: Strings, Kinds: kinds, Doc: doc,
		Strs: func(e *Event) []string { return *at(e) },
		set:  func(e *Event, v any) (err error) { *at(e), err = asStrings(v); return err }}
}

func ipField(name string, kinds KindSet, doc string, at func(*Event) *netip.Addr) Field {
	return Field{Name: name, Type: IP, Kinds: kinds, Doc: doc,
		IP: func(e *Event) netip.Addr { return *at(e) },
		set: setter(func(e *Event, v string) (err error) {
			if v != "" {
				*at(e), err = netip.ParseAddr(v)
			}
			return err
		})}
}

func timeField(name string, kinds KindSet, doc string, at func(*Event) *int64) Field {
	return Field{Name: name, Type: Time, Kinds: kinds, Doc: doc, OmitZero: true,
		Int: func(e *Event) int64 { return *at(e) },
		set: func(e *Event, v any) (err error) { *at(e), err = asTime(v); return err }}
}

func derivedStr(name string, kinds KindSet, doc, from string, read func(*Event) string) Field {
	return Field{Name: name, Type: String, Kinds: kinds, Doc: doc, Str: read, derivedFrom: from}
}

func derivedInt(name string, kinds KindSet, doc, from string, read func(*Event) int64) Field {
	return Field{Name: name, Type: Int, Kinds: kinds, Doc: doc, Int: read, derivedFrom: from}
}

func capsField(name, doc string, at func(*Event) *uint64) Field {
	return Field{Name: name, Type: Strings, Doc: doc,
		Strs: func(e *Event) []string { return CapabilityNames(*at(e)) },
		set: func(e *Event, v any) error {
			names, err := asStrings(v)
			if err != nil {
				return err
			}
			*at(e), err = capabilityMask(names)
			return err
		}}
}

// late marks a field whose value arrives with the container's metadata.
func (f Field) late() Field { f.Known = metadataKnown; return f }

func (f Field) omitZero() Field { f.OmitZero = true; return f }

// own makes sure that a write does not reach a shared default.
func (f Field) own(ensure func(*Event)) Field {
	set := f.set
	f.set = func(e *Event, v any) error { ensure(e); return set(e, v) }
	return f
}

func setter(set func(*Event, string) error) func(*Event, any) error {
	return func(e *Event, v any) error {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("want a string, have %v", v)
		}
		return set(e, s)
	}
}

func setFlag(bit Flags) func(*Event, any) error {
	return func(e *Event, v any) error {
		b, ok := v.(bool)
		if !ok {
			return fmt.Errorf("want true or false, have %v", v)
		}
		e.Flags &^= bit
		if b {
			e.Flags |= bit
		}
		return nil
	}
}

func setAncestors(e *Event, v any) error {
	list, ok := v.([]any)
	if !ok {
		return fmt.Errorf("want a list of maps, have %v", v)
	}
	e.Process.Ancestors = nil
	for _, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			return fmt.Errorf("want a map with name, executable, …, have %v", item)
		}
		a := &Ancestor{Image: &Image{}}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if err := setAncestor(a, k, m[k]); err != nil {
				return fmt.Errorf("%s: %w", k, err)
			}
		}
		e.Process.Ancestors = append(e.Process.Ancestors, a)
	}
	return nil
}

func setAncestor(a *Ancestor, key string, v any) error {
	var err error
	switch key {
	case "args":
		a.Image.Args, err = asStrings(v)
		return err
	case "pid", "user_id":
		n, err := asInt(v)
		if key == "pid" {
			a.PID = uint32(n)
		} else {
			a.EUID = uint32(n)
		}
		return err
	}
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("want a string, have %v", v)
	}
	switch key {
	case "name":
		a.Image.Name = s
	case "executable":
		a.Image.Executable = s
	case "command_line":
		a.Image.CommandLine = s
	case "entity_id":
		a.EntityID = s
	default:
		return fmt.Errorf("ancestors have no such member")
	}
	return nil
}

func asInt(v any) (int64, error) {
	switch n := v.(type) {
	case int:
		return int64(n), nil
	case int64:
		return n, nil
	case uint64:
		return int64(n), nil
	}
	return 0, fmt.Errorf("want an integer, have %v", v)
}

func asStrings(v any) ([]string, error) {
	switch l := v.(type) {
	case []string:
		return l, nil
	case []any:
		out := make([]string, len(l))
		for i, item := range l {
			switch s := item.(type) {
			case string:
				out[i] = s
			case int:
				out[i] = strconv.Itoa(s)
			default:
				return nil, fmt.Errorf("want a list of strings, have %v", item)
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("want a list of strings, have %v", v)
}

func asMap(v any) (map[string]string, error) {
	switch m := v.(type) {
	case map[string]string:
		return m, nil
	case map[string]any:
		out := make(map[string]string, len(m))
		for k, item := range m {
			s, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("want a map of strings, have %v", item)
			}
			out[k] = s
		}
		return out, nil
	}
	return nil, fmt.Errorf("want a map of strings, have %v", v)
}

func asTime(v any) (int64, error) {
	switch t := v.(type) {
	case time.Time:
		return t.UnixNano(), nil
	case string:
		p, err := time.Parse(time.RFC3339Nano, t)
		if err != nil {
			return 0, fmt.Errorf("want a time such as 2026-01-31T12:00:00Z, have %q", t)
		}
		return p.UnixNano(), nil
	}
	return 0, fmt.Errorf("want a time such as 2026-01-31T12:00:00Z, have %v", v)
}

func indexOf(names []string, v string) (int, error) {
	if i := slices.Index(names, v); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("%q is not one of %q", v, names)
}

func mapKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
