package engine

import (
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"eunomia/event"
)

// ancestor is an element of process.ancestors as a CEL value, its members turned
// into CEL values when asked for.
type ancestor struct {
	of    *event.Ancestor
	slots []ref.Val // by index in event.AncestorFields
}

func (in *input) boxAncestors(list []*event.Ancestor) ref.Val {
	in.ancestors = slices.Grow(in.ancestors[:0], len(list))[:len(list)]
	elems := make([]ref.Val, len(list))
	for i, a := range list {
		box := &in.ancestors[i]
		box.of = a
		if box.slots == nil {
			box.slots = make([]ref.Val, len(event.AncestorFields))
		}
		clear(box.slots)
		elems[i] = box
	}
	return types.NewRefValList(types.DefaultTypeAdapter, elems)
}

func (a *ancestor) value(slot int) ref.Val {
	if v := a.slots[slot]; v != nil {
		return v
	}
	var v ref.Val
	switch f := &event.AncestorFields[slot]; f.Type {
	case event.Int:
		v = types.Int(f.Int(a.of))
	case event.Strings:
		v = types.NewStringList(types.DefaultTypeAdapter, f.Strs(a.of))
	default:
		v = types.String(f.Str(a.of))
	}
	a.slots[slot] = v
	return v
}

// ConvertToNative implements ref.Val.
func (a *ancestor) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a process cannot become a %v", t)
}

// ConvertToType implements ref.Val.
func (a *ancestor) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return processType
	}
	return types.NewErr("a process cannot become a %s", t.TypeName())
}

// Equal implements ref.Val: two are equal when they are the same process.
func (a *ancestor) Equal(other ref.Val) ref.Val {
	b, ok := other.(*ancestor)
	return types.Bool(ok && a.of.PID == b.of.PID && a.of.Start == b.of.Start && a.of.EntityID == b.of.EntityID)
}

// Type implements ref.Val.
func (a *ancestor) Type() ref.Type { return processType }

// Value implements ref.Val.
func (a *ancestor) Value() any { return a }

var ancestorFields = sync.OnceValue(func() map[string]*types.FieldType {
	m := map[string]*types.FieldType{}
	for i, f := range event.AncestorFields {
		m[f.Name] = &types.FieldType{
			Type:    celType(f.Type),
			IsSet:   func(any) bool { return true },
			GetFrom: func(obj any) (any, error) { return obj.(*ancestor).value(i), nil },
		}
	}
	return m
})

func ancestorField(name string) (*types.FieldType, bool) {
	f, ok := ancestorFields()[name]
	return f, ok
}

func ancestorNames() []string {
	var names []string
	for _, f := range event.AncestorFields {
		names = append(names, f.Name)
	}
	return names
}
