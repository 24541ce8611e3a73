package engine

import (
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/common/types"

	"eunomia/event"
)

// processType is the CEL type of the elements of process.ancestors.
var processType = types.NewObjectType("process")

// node is a place in the tree of dotted field names: a field, or the group of the
// fields below it. process.parent.name makes process and process.parent groups.
type node struct {
	name     string // dotted
	slot     int    // index into event.Fields() for a field, -1 for a group
	children map[string]*node
	typ      *types.Type
	read     *types.FieldType // how CEL reads it from the input
}

func (n *node) isGroup() bool { return n.slot < 0 }

func (n *node) field() *event.Field { return &event.Fields()[n.slot] }

// schema is the tree of all fields of all kinds; a rule's use of a field that its
// kinds lack is refused when its names are checked.
var schema = sync.OnceValue(func() *node {
	root := group("")
	fields := event.Fields()
	for i := range fields {
		at := root
		parts := strings.Split(fields[i].Name, ".")
		for n, part := range parts[:len(parts)-1] {
			next := at.children[part]
			if next == nil {
				next = group(strings.Join(parts[:n+1], "."))
				at.children[part] = next
			}
			at = next
		}
		at.children[parts[len(parts)-1]] = leaf(i, &fields[i])
	}
	return root
})

func group(name string) *node {
	typ := types.NewObjectType(name + ".*")
	return &node{name: name, slot: -1, children: map[string]*node{}, typ: typ, read: &types.FieldType{
		Type:    typ,
		IsSet:   func(any) bool { return true },
		GetFrom: func(obj any) (any, error) { return obj, nil },
	}}
}

func leaf(slot int, f *event.Field) *node {
	typ := celType(f.Type)
	return &node{name: f.Name, slot: slot, typ: typ, read: &types.FieldType{
		Type:    typ,
		IsSet:   func(any) bool { return true }, // has() is rewritten to a comparison, which can be unknown
		GetFrom: func(obj any) (any, error) { return obj.(*input).value(slot), nil },
	}}
}

func celType(t event.Type) *types.Type {
	switch t {
	case event.Int:
		return types.IntType
	case event.Bool:
		return types.BoolType
	case event.Strings:
		return types.NewListType(types.StringType)
	case event.Map:
		return types.NewMapType(types.StringType, types.StringType)
	case event.Time:
		return types.TimestampType
	case event.Processes:
		return types.NewListType(processType)
	default: // String and IP
		return types.StringType
	}
}

// groups holds every group by the name of its CEL type.
var groups = sync.OnceValue(func() map[string]*node {
	all := map[string]*node{}
	var add func(*node)
	add = func(n *node) {
		if n.isGroup() {
			all[n.typ.TypeName()] = n
			for _, c := range n.children {
				add(c)
			}
		}
	}
	add(schema())
	return all
})

// provider tells CEL the types of groups and of processes; the rest it knows.
type provider struct{ types.Provider }

func (p provider) FindStructType(name string) (*types.Type, bool) {
	if name == processType.TypeName() {
		return types.NewTypeTypeWithParam(processType), true
	}
	if g, ok := groups()[name]; ok {
		return types.NewTypeTypeWithParam(g.typ), true
	}
	return p.Provider.FindStructType(name)
}

func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	if name == processType.TypeName() {
		return ancestorNames(), true
	}
	if g, ok := groups()[name]; ok {
		var names []string
		for n := range g.children {
			names = append(names, n)
		}
		slices.Sort(names)
		return names, true
	}
	return p.Provider.FindStructFieldNames(name)
}

func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if name == processType.TypeName() {
		return ancestorField(field)
	}
	if g, ok := groups()[name]; ok {
		c, ok := g.children[field]
		if !ok {
			return nil, false
		}
		return c.read, true
	}
	return p.Provider.FindStructFieldType(name, field)
}
