// Package event holds what Eunomia says about the world: the Event that probes
// emit and enrichment completes, the Alert that a matching rule raises, and the
// field table, from which everything users see of them is derived: the CEL
// declarations, the JSON of events and alerts, `eunomia fields` and docs/fields.md.
//
// Use it to read or build events. Do not put behaviour here that needs a kernel,
// a rule or a container runtime; this package imports the standard library only.
//
// To add a rule field, add one row to the family's list (process.go, file.go, …).
// To add an event kind, add its payload with its rows in a new file and one row to
// Kinds in kinds.go. The completeness tests say what is missing.
package event

import (
	"strings"
	"time"
)

// Event is one normalized act. The decoder and the enricher reuse one Event per
// stream: its strings may alias a record buffer and are valid only until the next
// event is decoded. Clone makes a copy that lives on.
//
// Payloads that do not belong to Kind hold stale data of earlier events; the
// field table never reads them.
type Event struct {
	Kind       Kind
	Source     Source
	Provenance Provenance
	Action     string // syscall or tracepoint name, e.g. "openat2", "sched_process_exec"
	Time       int64  // wall clock, nanoseconds since the Unix epoch
	Sequence   uint64 // per CPU and monotonic; a gap is a loss
	CPU        uint32
	Return     int64 // syscall return value; a negative errno on failure
	Flags      Flags

	Task      Task       // the acting task as the kernel saw it at Time
	Users     Users      // names of the ids in Task
	Process   *Process   // set by enrichment, never nil after it
	Container *Container // nil on the host
	Host      *Host      // set by enrichment

	Exec    ExecPayload
	Fork    ForkPayload
	Exit    ExitPayload
	File    File
	Network Network
	Cgroup  CgroupPayload
}

// Source tells which mechanism reported an event.
type Source uint8

// The sources of events.
const (
	SourceSyscall Source = iota
	SourceIOURing
	SourceKernel
	SourceRuntime
	SourceSensor
)

var sourceNames = [...]string{"syscall", "io_uring", "kernel", "runtime", "sensor"}

func (s Source) String() string { return nameOf(sourceNames[:], int(s)) }

// Provenance tells where an event's arguments were read.
type Provenance uint8

// Arguments are read from kernel objects after the act, or, where no such object
// exists (a failed open), from the caller's memory, which the caller can change.
const (
	ProvenanceKernel Provenance = iota
	ProvenanceUser
)

var provenanceNames = [...]string{"kernel", "user"}

func (p Provenance) String() string { return nameOf(provenanceNames[:], int(p)) }

// Flags qualify the reading of an event.
type Flags uint8

// FlagUnreadable is set when a part of the arguments could not be read (a page
// was not resident); FlagCompat when the call came through the 32-bit entry.
const (
	FlagUnreadable Flags = 1 << iota
	FlagCompat
	FlagSelf // the detector itself acted
)

// Task identifies the acting thread and its credentials at the moment of the act,
// read from the kernel's task_struct.
type Task struct {
	PID       uint32 // thread group id, in the initial pid namespace
	TID       uint32
	Start     uint64 // start_boottime of the group leader, ns since boot; with PID unique
	ParentPID uint32
	// ParentStart is the parent's group leader's start_boottime.
	ParentStart uint64
	EUID, UID   uint32
	SUID        uint32
	EGID, GID   uint32
	CgroupID    uint64 // bit 63 set: id in the chosen cgroup v1 hierarchy
	MountNS     uint32
	Comm        string // thread name, at most 15 bytes; the thread can change it
}

// Users holds names for the ids of Task; empty where there is none.
type Users struct {
	Effective, Real, Login, Group, RealGroup string
}

// Host is the machine that the sensor watches.
type Host struct {
	Name   string
	Kernel string // release, e.g. "6.1.0-28-amd64"
	Arch   string // GOARCH
	BootID string
}

// CgroupPayload is the payload of the internal kinds CgroupMake and CgroupRemove.
type CgroupPayload struct {
	ID   uint64 // as Task.CgroupID
	Path string // from the hierarchy's root
}

// When returns the event's wall-clock time in UTC.
func (e *Event) When() time.Time { return time.Unix(0, e.Time).UTC() }

// Failed reports whether the act returned an error. A call that goes on in the
// background, or that a signal interrupted, has not failed: see Undecided.
func (e *Event) Failed() bool { return e.Return < 0 && e.Return >= -4095 && !e.Undecided() }

// Undecided reports whether the call returned before its outcome was known: a
// connection in progress (EINPROGRESS), or an interruption (the kernel's ERESTART
// codes, 512 to 516), after which a connection is made all the same.
func (e *Event) Undecided() bool {
	return e.Return == -115 || e.Return <= -512 && e.Return >= -516
}

// New returns an event of the given kind with every pointer set, as tests and
// offline evaluation need it.
func New(k Kind) *Event {
	return &Event{
		Kind:      k,
		Process:   &Process{Image: &Image{}},
		Container: &Container{State: MetadataKnown},
		Host:      &Host{},
	}
}

// Clone returns a deep copy that stays valid after the next event is decoded.
func (e *Event) Clone() *Event {
	c := *e
	c.Action = strings.Clone(c.Action)
	c.Task.Comm = strings.Clone(c.Task.Comm)
	// Users, Process, Container and Host come from enrichment, whose values are
	// immutable once published.
	c.Exec = e.Exec.clone()
	c.Fork.ParentComm = strings.Clone(c.Fork.ParentComm)
	c.File = e.File.clone()
	c.Network = e.Network.clone()
	c.Cgroup.Path = strings.Clone(c.Cgroup.Path)
	return &c
}

func nameOf(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return "unknown"
	}
	return names[i]
}
