package event

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Type is the type of a rule field.
type Type uint8

// The field types. IP is a string to rules; Processes a list of objects.
const (
	String Type = iota + 1
	Int
	Bool
	Strings
	Map
	IP
	Time
	Processes
)

var typeNames = [...]string{"", "string", "int", "bool", "list(string)", "map(string, string)", "string", "timestamp", "list(process)"}

func (t Type) String() string { return nameOf(typeNames[:], int(t)) }

// Field is one row of the field table. Exactly one getter, the one of its Type,
// is set; getters need e.Process and e.Host to be non-nil.
type Field struct {
	Name     string
	Type     Type
	Kinds    KindSet // kinds that have the field; 0: all
	Doc      string
	Document string // path in JSON documents, where it differs from Name
	OmitZero bool   // a zero value means "not known" and is left out of documents

	Str       func(*Event) string
	Int       func(*Event) int64 // also Time, in Unix ns
	Bool      func(*Event) bool
	Strs      func(*Event) []string
	Map       func(*Event) map[string]string
	IP        func(*Event) netip.Addr
	Processes func(*Event) []*Ancestor

	// Known reports whether the value has arrived; nil means always. An unknown
	// field is CEL-unknown, not empty.
	Known func(*Event) bool

	set         func(*Event, any) error
	derivedFrom string
}

// On reports whether events of kind k have the field.
func (f *Field) On(k Kind) bool { return f.Kinds == 0 || f.Kinds.Has(k) }

// IsKnown reports whether the field's value has arrived for e.
func (f *Field) IsKnown(e *Event) bool { return f.Known == nil || f.Known(e) }

// Set gives the field a value in e, as test events and recordings need it. It
// takes what YAML yields: strings, bools, integers, lists, maps.
func (f *Field) Set(e *Event, v any) error {
	if f.set == nil {
		return fmt.Errorf("%s is derived from %s; set that instead", f.Name, f.derivedFrom)
	}
	if err := f.set(e, v); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return nil
}

// Value returns the field's value as string, int64, bool, []string,
// map[string]string, time.Time or []*Ancestor.
func (f *Field) Value(e *Event) any {
	switch f.Type {
	case String:
		return f.Str(e)
	case Int:
		return f.Int(e)
	case Bool:
		return f.Bool(e)
	case Strings:
		return f.Strs(e)
	case Map:
		return f.Map(e)
	case IP:
		return FormatIP(f.IP(e))
	case Time:
		return time.Unix(0, f.Int(e)).UTC()
	case Processes:
		return f.Processes(e)
	}
	return nil
}

// FormatIP formats an address as rules see it: empty when there is none, an
// IPv4-mapped IPv6 address as IPv4.
func FormatIP(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().WithZone("").String()
}

var eventFields = []Field{
	{Name: "event.kind", Document: "eunomia.kind", Type: String, Doc: "What happened, e.g. exec, open or connect.", derivedFrom: "the test's event.kind",
		Str: func(e *Event) string { return e.Kind.String() }},
	strField("event.action", 0, "Name of the system call or tracepoint, e.g. openat2.", func(e *Event) *string { return &e.Action }),
	{Name: "event.outcome", Type: String, Doc: "success, failure, or unknown: the call returned before its outcome was known, as a connection in progress does.",
		Str: func(e *Event) string {
			switch {
			case e.Failed():
				return "failure"
			case e.Undecided():
				return "unknown"
			}
			return "success"
		},
		set: setter(func(e *Event, v string) error {
			switch v {
			case "success":
				e.Return = 0
			case "failure":
				e.Return = -1
			case "unknown":
				e.Return = -115
			default:
				return fmt.Errorf("%q is none of success, failure, unknown", v)
			}
			return nil
		})},
	{Name: "event.error", Type: String, Doc: "Name of the error, e.g. ENOENT; empty on success.",
		Str: func(e *Event) string {
			if !e.Failed() && !e.Undecided() {
				return ""
			}
			return ErrnoName(-e.Return)
		},
		set: setter(func(e *Event, v string) error {
			n, ok := errnoNamed(v)
			if !ok {
				return fmt.Errorf("%q is not the name of an errno such as ENOENT", v)
			}
			e.Return = -n
			return nil
		})},
	{Name: "event.return", Type: Int, Doc: "Return value of the system call; a negative errno on failure.",
		Int: func(e *Event) int64 { return e.Return },
		set: func(e *Event, v any) (err error) { e.Return, err = asInt(v); return err }},
	{Name: "event.time", Document: "@timestamp", Type: Time, Doc: "When it happened.",
		Int: func(e *Event) int64 { return e.Time },
		set: func(e *Event, v any) (err error) { e.Time, err = asTime(v); return err }},
	uintField("event.sequence", 0, "Number of the event on its CPU.", func(e *Event) *uint64 { return &e.Sequence }),
	{Name: "event.source", Document: "eunomia.source", Type: String, Doc: "Mechanism that reported it: syscall, io_uring, kernel, runtime, sensor.",
		Str: func(e *Event) string { return e.Source.String() },
		set: setter(func(e *Event, v string) error {
			n, err := indexOf(sourceNames[:], v)
			e.Source = Source(n)
			return err
		})},
	{Name: "event.provenance", Document: "eunomia.provenance", Type: String, Doc: "kernel: the arguments were read from kernel objects after the act; user: from the caller's memory, which the caller can forge.",
		Str: func(e *Event) string { return e.Provenance.String() },
		set: setter(func(e *Event, v string) error {
			n, err := indexOf(provenanceNames[:], v)
			e.Provenance = Provenance(n)
			return err
		})},
	{Name: "event.unreadable", Document: "eunomia.unreadable", Type: Bool, Doc: "A part of the arguments could not be read.",
		Bool: func(e *Event) bool { return e.Flags&FlagUnreadable != 0 }, set: setFlag(FlagUnreadable)},
	{Name: "event.compat", Document: "eunomia.compat", Type: Bool, Doc: "The system call came through the 32-bit entry.",
		Bool: func(e *Event) bool { return e.Flags&FlagCompat != 0 }, set: setFlag(FlagCompat)},
	{Name: "event.self", Document: "eunomia.self", Type: Bool, Doc: "The detector itself acted.",
		Bool: func(e *Event) bool { return e.Flags&FlagSelf != 0 }, set: setFlag(FlagSelf)},
	strField("host.name", 0, "Name of the node.", func(e *Event) *string { return &e.Host.Name }),
}

// Fields returns the field table, sorted by name. The caller must not change it.
var Fields = sync.OnceValue(func() []Field {
	all := slices.Concat(eventFields, processFields, fileFields, networkFields, containerFields)
	slices.SortFunc(all, func(a, b Field) int { return cmp.Compare(a.Name, b.Name) })
	return all
})

var fieldIndex = sync.OnceValue(func() map[string]*Field {
	fields := Fields()
	m := make(map[string]*Field, len(fields))
	for i := range fields {
		m[fields[i].Name] = &fields[i]
	}
	return m
})

// FieldNamed returns the field called name, or nil.
func FieldNamed(name string) *Field { return fieldIndex()[name] }

// FieldsOn returns the fields that events of kind k have, sorted by name.
func FieldsOn(k Kind) []*Field {
	var out []*Field
	fields := Fields()
	for i := range fields {
		if fields[i].On(k) {
			out = append(out, &fields[i])
		}
	}
	return out
}

// FromFields builds an event from field values, as the tests of rules give them.
// "event.kind" is required. Every mistake is reported, joined in one error.
func FromFields(values map[string]any) (*Event, []error) {
	name, _ := values["event.kind"].(string)
	k, ok := KindNamed(name)
	if !ok {
		return nil, []error{fmt.Errorf("event.kind: %q is not an event kind", name)}
	}
	e := New(k)
	var errs []error
	for _, n := range slices.Sorted(mapKeys(values)) {
		if n == "event.kind" {
			continue
		}
		f := FieldNamed(n)
		switch {
		case f == nil:
			errs = append(errs, fmt.Errorf("%s: no such field", n))
		case !f.On(k):
			errs = append(errs, fmt.Errorf("%s: %s events have no such field", n, k))
		default:
			if err := f.Set(e, values[n]); err != nil {
				errs = append(errs, err)
			}
		}
	}
	// As enrichment leaves them.
	image(e).CommandLine = commandLine(image(e))
	for _, a := range e.Process.Ancestors {
		a.Image.CommandLine = commandLine(a.Image)
	}
	if e.Container.ID == "" && strings.TrimSpace(e.Container.Name) == "" {
		e.Container.State = MetadataAbsent
	}
	return e, errs
}
