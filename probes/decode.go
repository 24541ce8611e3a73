package probes

import (
	"errors"
	"fmt"
	"unsafe"

	"eunomia/bpf"
	"eunomia/event"
)

// errRecord is what Decode's errors wrap.
var errRecord = errors.New("malformed record")

// Decoder turns records of the rings into events.
type Decoder struct {
	Offset int64 // from the time since boot to the wall clock, ns
	tail   tail  // here, as its address would move a local one to the heap
}

type header = bpf.ProcessRecordHeader

const headerSize = int(unsafe.Sizeof(header{}))

// decoders holds, per kind, the size of header and payload and what reads the
// payload. That size is also the record's version: an object of another build has
// another one.
var decoders = [event.NumKinds]struct {
	size   int
	action string // of kinds that no system call reports
	read   func(record []byte, tail *tail, e *event.Event)
}{
	event.Exec:         {sizeof[bpf.ProcessRecordExec](), "sched_process_exec", decodeExec},
	event.Fork:         {sizeof[bpf.ProcessRecordFork](), "sched_process_fork", decodeFork},
	event.Exit:         {sizeof[bpf.ProcessRecordExit](), "sched_process_exit", decodeExit},
	event.Open:         {sizeof[bpf.FileRecordOpen](), "", decodeOpen},
	event.Connect:      {sizeof[bpf.NetworkRecordNetwork](), "", decodeNetwork},
	event.Accept:       {sizeof[bpf.NetworkRecordNetwork](), "", decodeNetwork},
	event.Bind:         {sizeof[bpf.NetworkRecordNetwork](), "", decodeNetwork},
	event.Listen:       {sizeof[bpf.NetworkRecordNetwork](), "", decodeNetwork},
	event.CgroupMake:   {sizeof[bpf.CgroupRecordCgroup](), "cgroup_mkdir", decodeCgroup},
	event.CgroupRemove: {sizeof[bpf.CgroupRecordCgroup](), "cgroup_rmdir", decodeCgroup},
}

// Decode fills e from a record. The event's strings alias the record.
func (d *Decoder) Decode(record []byte, e *event.Event) error {
	if len(record) < headerSize {
		return fmt.Errorf("%w: %d bytes", errRecord, len(record))
	}
	h := view[header](record)
	if int(h.Length) != len(record) {
		return fmt.Errorf("%w: %d bytes where it says %d", errRecord, len(record), h.Length)
	}
	kind := event.Kind(h.Kind)
	if kind == event.KindNone || kind >= event.NumKinds || decoders[kind].read == nil {
		return fmt.Errorf("%w: unknown kind %d", errRecord, h.Kind)
	}
	row := &decoders[kind]
	if int(h.Fixed) != row.size || len(record) < row.size {
		return fmt.Errorf("%w: %s of %d fixed bytes, want %d", errRecord, kind, h.Fixed, row.size)
	}
	d.decodeHeader(h, e)
	if row.action != "" {
		e.Action, e.Source = row.action, event.SourceKernel
	} else {
		e.Action, e.Source = callName(h.Abi, h.Syscall), event.SourceSyscall
	}
	d.tail = tail{rest: record[row.size:]}
	row.read(record, &d.tail, e)
	if d.tail.short {
		return fmt.Errorf("%w: %s with strings beyond its end", errRecord, kind)
	}
	return nil
}

func (d *Decoder) decodeHeader(h *header, e *event.Event) {
	e.Kind = event.Kind(h.Kind)
	e.Time = int64(h.Time) + d.Offset
	e.Sequence = h.Sequence
	e.CPU = h.Cpu
	e.Return = h.Ret
	e.Flags = 0
	e.Provenance = event.ProvenanceKernel
	if h.Flags&uint8(bpf.ProcessRecordFlagRECORD_UNREADABLE) != 0 {
		e.Flags |= event.FlagUnreadable
	}
	if h.Flags&uint8(bpf.ProcessRecordFlagRECORD_SELF) != 0 {
		e.Flags |= event.FlagSelf
	}
	if h.Flags&uint8(bpf.ProcessRecordFlagRECORD_USER) != 0 {
		e.Provenance = event.ProvenanceUser
	}
	if h.Abi == abiCompat {
		e.Flags |= event.FlagCompat
	}
	e.Task = event.Task{
		PID:         h.Tgid,
		TID:         h.Tid,
		Start:       h.Start,
		ParentPID:   h.Parent,
		ParentStart: h.ParentStart,
		EUID:        h.Euid,
		UID:         h.Uid,
		SUID:        h.Suid,
		EGID:        h.Egid,
		GID:         h.Gid,
		CgroupID:    h.Cgroup,
		MountNS:     h.MountNs,
		Comm:        cString(h.Comm[:]),
	}
	// What enrichment sets must not survive from an earlier event.
	e.Users, e.Process, e.Container, e.Host = event.Users{}, nil, nil, nil
}

func recordTime(record []byte) uint64 {
	if len(record) < headerSize {
		return 0
	}
	return view[header](record).Time
}

// view reads a record's head as a T, which holds no pointers; the caller has
// checked the length.
func view[T any](record []byte) *T { return (*T)(unsafe.Pointer(unsafe.SliceData(record))) }

func sizeof[T any]() int { return int(unsafe.Sizeof(*new(T))) }

// tail hands out the strings behind a payload, without copying.
type tail struct {
	rest  []byte
	short bool
}

func (t *tail) string(length uint16) string {
	n := int(length)
	if n > len(t.rest) {
		t.short = true
		return ""
	}
	s := t.rest[:n]
	t.rest = t.rest[n:]
	return alias(s)
}

// alias returns the bytes as a string that shares their memory.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// cString returns the bytes before the first NUL.
func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return alias(b[:i])
		}
	}
	return alias(b)
}
