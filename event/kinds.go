package event

// Kind is what happened.
type Kind uint8

// The event kinds. Their order is the wire format of recordings: append only.
const (
	KindNone Kind = iota
	Exec
	Fork
	Exit
	Open
	Connect
	Accept
	Bind
	Listen
	CgroupMake   // internal: a control group was created
	CgroupRemove // internal: a control group was removed
	NumKinds
)

// KindInfo is one row of the kinds table.
type KindInfo struct {
	Kind     Kind
	Name     string
	Doc      string
	Hook     string   // where the sensor sees it
	Category []string // ECS event.category
	Type     []string // ECS event.type
	Internal bool     // feeds enrichment; not offered to rules
	Priority bool     // travels in the ring that a flood of file events cannot fill
}

// Kinds lists every kind, in the order of the constants.
var Kinds = []KindInfo{
	{Kind: Exec, Name: "exec", Doc: "A process replaced its program (execve, execveat).",
		Hook: "tp_btf/sched_process_exec", Category: []string{"process"}, Type: []string{"start"}, Priority: true},
	{Kind: Fork, Name: "fork", Doc: "A process was created (fork, vfork, clone, clone3); threads are not reported.",
		Hook: "tp_btf/sched_process_fork", Category: []string{"process"}, Type: []string{"start"}, Priority: true},
	{Kind: Exit, Name: "exit", Doc: "A process ended: its last thread is gone.",
		Hook: "tp_btf/sched_process_exit", Category: []string{"process"}, Type: []string{"end"}, Priority: true},
	{Kind: Open, Name: "open", Doc: "A file was opened, or the attempt failed (open, openat, openat2, creat, open_by_handle_at).",
		Hook: "tp_btf/sys_exit", Category: []string{"file"}, Type: []string{"access"}},
	{Kind: Connect, Name: "connect", Doc: "A socket was connected, or the attempt failed or is in progress.",
		Hook: "tp_btf/sys_exit", Category: []string{"network"}, Type: []string{"connection", "start"}},
	{Kind: Accept, Name: "accept", Doc: "A connection was accepted (accept, accept4).",
		Hook: "tp_btf/sys_exit", Category: []string{"network"}, Type: []string{"connection", "start"}},
	{Kind: Bind, Name: "bind", Doc: "A socket was given a local address, or the attempt failed.",
		Hook: "tp_btf/sys_exit", Category: []string{"network"}, Type: []string{"info"}},
	{Kind: Listen, Name: "listen", Doc: "A socket began to accept connections, or the attempt failed.",
		Hook: "tp_btf/sys_exit", Category: []string{"network"}, Type: []string{"info"}},
	{Kind: CgroupMake, Name: "cgroup_make", Doc: "A control group was created.",
		Hook: "tp_btf/cgroup_mkdir", Internal: true, Priority: true},
	{Kind: CgroupRemove, Name: "cgroup_remove", Doc: "A control group was removed.",
		Hook: "tp_btf/cgroup_rmdir", Internal: true, Priority: true},
}

// Info returns the kind's row; the zero row for an unknown kind.
func (k Kind) Info() KindInfo {
	if k == KindNone || int(k) > len(Kinds) {
		return KindInfo{Name: "unknown"}
	}
	return Kinds[k-1]
}

func (k Kind) String() string { return k.Info().Name }

// KindNamed returns the kind that rules call name; false for internal kinds.
func KindNamed(name string) (Kind, bool) {
	for _, i := range Kinds {
		if i.Name == name && !i.Internal {
			return i.Kind, true
		}
	}
	return KindNone, false
}

// KindSet is a set of kinds, one bit each.
type KindSet uint64

// AllKinds holds every kind.
const AllKinds KindSet = ^KindSet(0)

// SetOf returns the set of the given kinds.
func SetOf(kinds ...Kind) KindSet {
	var s KindSet
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// Has reports whether k is in the set.
func (s KindSet) Has(k Kind) bool { return s&(1<<k) != 0 }

// Kinds returns the members that rules may name, in table order.
func (s KindSet) Kinds() []Kind {
	var out []Kind
	for _, i := range Kinds {
		if s.Has(i.Kind) && !i.Internal {
			out = append(out, i.Kind)
		}
	}
	return out
}
