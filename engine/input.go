package engine

import (
	"slices"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"

	"eunomia/event"
)

// input is the event under evaluation as conditions see it: each field is turned
// into a CEL value when the first condition asks for it and kept until the next
// event. One input belongs to one goroutine.
type input struct {
	event *event.Event
	frame *interpreter.ExecutionFrame // reused by every evaluation
	slots []ref.Val                   // by index in event.Fields()

	// final makes fields whose value has not arrived read as empty; missed then
	// collects their names.
	final  bool
	missed []string

	ancestors []ancestor
	err       error // of the last evaluation that failed

	loop    [maxNestedLoops]loopValue // of the loops that a closure is in
	failure error                     // of the part of a closure that failed last
}

func newInput() *input {
	in := &input{slots: make([]ref.Val, len(event.Fields()))}
	frame, err := interpreter.NewExecutionFrame(in)
	if err != nil {
		panic(err) // an input is an Activation, which is all that is checked
	}
	in.frame = frame
	return in
}

// reset makes the input show e.
func (in *input) reset(e *event.Event, final bool) {
	in.event = e
	in.final = final
	clear(in.slots)
	in.missed = in.missed[:0]
	in.ancestors = in.ancestors[:0]
}

// ResolveName implements cel.Activation: every variable is a group of fields, and
// the groups read from the input itself.
func (in *input) ResolveName(string) (any, bool) { return in, true }

// Parent implements cel.Activation.
func (in *input) Parent() cel.Activation { return nil }

// value returns the field with the given index in event.Fields().
func (in *input) value(slot int) ref.Val {
	if v := in.slots[slot]; v != nil {
		return v
	}
	f := &event.Fields()[slot]
	if !f.IsKnown(in.event) {
		if in.final {
			if !slices.Contains(in.missed, f.Name) {
				in.missed = append(in.missed, f.Name)
			}
			return emptyValues()[f.Type]
		}
		return unknowns()[slot] // not kept: a message asks again after final is lifted
	}
	v := in.box(f)
	in.slots[slot] = v
	return v
}

func (in *input) box(f *event.Field) ref.Val {
	switch f.Type {
	case event.Int:
		return types.Int(f.Int(in.event))
	case event.Bool:
		return types.Bool(f.Bool(in.event))
	case event.Strings:
		return types.NewStringList(types.DefaultTypeAdapter, f.Strs(in.event))
	case event.Map:
		return types.NewStringStringMap(types.DefaultTypeAdapter, f.Map(in.event))
	case event.IP:
		return types.String(event.FormatIP(f.IP(in.event)))
	case event.Time:
		return types.Timestamp{Time: time.Unix(0, f.Int(in.event)).UTC()}
	case event.Processes:
		return in.boxAncestors(f.Processes(in.event))
	default:
		return types.String(f.Str(in.event))
	}
}

// emptyValues holds what a field that is not known reads as in the end, by type.
var emptyValues = sync.OnceValue(func() map[event.Type]ref.Val {
	return map[event.Type]ref.Val{
		event.String:    types.String(""),
		event.IP:        types.String(""),
		event.Int:       types.IntZero,
		event.Bool:      types.False,
		event.Strings:   types.NewStringList(types.DefaultTypeAdapter, nil),
		event.Map:       types.NewStringStringMap(types.DefaultTypeAdapter, nil),
		event.Time:      types.Timestamp{Time: time.Unix(0, 0).UTC()},
		event.Processes: types.NewRefValList(types.DefaultTypeAdapter, nil),
	}
})

// unknowns holds the CEL-unknown value of each field.
var unknowns = sync.OnceValue(func() []ref.Val {
	fields := event.Fields()
	all := make([]ref.Val, len(fields))
	for i := range fields {
		all[i] = types.NewUnknown(int64(i), types.NewAttributeTrail(fields[i].Name))
	}
	return all
})

// allUnknown shows an event of which nothing is known.
func allUnknown(e *event.Event) *input {
	in := newInput()
	in.reset(e, false)
	copy(in.slots, unknowns())
	return in
}
