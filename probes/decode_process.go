package probes

import (
	"net/netip"
	"strings"

	"eunomia/bpf"
	"eunomia/event"
)

func decodeExec(record []byte, t *tail, e *event.Event) {
	r := view[bpf.ProcessRecordExec](record)
	p := &e.Exec
	p.CgroupPath = t.string(r.CgroupLength)
	executable := walked(t.string(r.ExecutableLength), r.File.PathFlags)
	args := t.string(r.ArgsLength)
	filename := t.string(r.FilenameLength)
	interpreter := t.string(r.InterpreterLength)
	p.Image = event.Image{
		Name:             programName(filename, executable),
		Filename:         filename,
		Executable:       executable,
		ArgsTruncated:    r.ArgsFull != uint32(r.ArgsLength),
		WorkingDirectory: walked(t.string(r.CwdLength), r.CwdFlags),
		ExecTime:         e.Time,
		Exe:              executableFacts(r),
	}
	if interpreter != "" {
		p.Image.Script = filename
	}
	p.SetArgs(args)
	p.ArgsLength = r.ArgsFull
	p.TTY = t.string(r.TtyLength)
	if p.CgroupPath == "" {
		p.CgroupPath = "/"
	}
	p.SessionID, p.GroupID, p.LoginUID = r.Session, r.Group, r.LoginUid
	p.AuditSession, p.NamespacePID = r.AuditSession, r.NamespacePid
	p.Caps = event.Capabilities{
		Effective:   r.CapEffective,
		Permitted:   r.CapPermitted,
		Inheritable: r.CapInheritable,
		Ambient:     r.CapAmbient,
	}
	p.Namespaces = namespaces(&r.Namespaces)
	for i := range r.Streams {
		p.Streams[i] = stream(&r.Streams[i])
	}
}

// programName is the base name of the file given to exec; a descriptor that
// stands for it (execveat) says nothing, so then the executable's.
func programName(filename, executable string) string {
	if strings.HasPrefix(filename, "/dev/fd/") {
		filename = executable
	}
	return filename[strings.LastIndexByte(filename, '/')+1:]
}

func executableFacts(r *bpf.ProcessRecordExec) event.ExeFacts {
	return event.ExeFacts{
		Inode:      r.File.Inode,
		Device:     r.File.Device,
		Mode:       r.File.Mode,
		UID:        r.File.Uid,
		GID:        r.File.Gid,
		Links:      r.File.Links,
		Mtime:      r.Mtime,
		Ctime:      r.Ctime,
		Memfd:      r.File.Flags&fileMemfd != 0,
		Deleted:    r.File.Links == 0 || r.File.PathFlags&pathDeleted != 0,
		UpperLayer: r.File.Flags&(fileUpper|fileLower) == fileUpper,
		CopiedUp:   r.File.Flags&(fileUpper|fileLower) == fileUpper|fileLower,
		SetUID:     r.Secure != 0,
		PathCut:    r.File.PathFlags&(pathTruncated|pathFault) != 0,
	}
}

func namespaces(n *bpf.ProcessNamespaces) event.Namespaces {
	return event.Namespaces{
		PID: n.Pid, Mount: n.Mount, Net: n.Net, User: n.User, UTS: n.Uts, IPC: n.Ipc, Cgroup: n.Cgroup,
	}
}

var streamTypes = [...]event.StreamType{
	bpf.ProcessStreamTypeSTREAM_UNKNOWN: event.StreamUnknown,
	bpf.ProcessStreamTypeSTREAM_CLOSED:  event.StreamClosed,
	bpf.ProcessStreamTypeSTREAM_TTY:     event.StreamTTY,
	bpf.ProcessStreamTypeSTREAM_PIPE:    event.StreamPipe,
	bpf.ProcessStreamTypeSTREAM_FILE:    event.StreamFile,
	bpf.ProcessStreamTypeSTREAM_DEVICE:  event.StreamDevice,
	bpf.ProcessStreamTypeSTREAM_INET:    event.StreamInet,
	bpf.ProcessStreamTypeSTREAM_UNIX:    event.StreamUnix,
	bpf.ProcessStreamTypeSTREAM_OTHER:   event.StreamOther,
}

func stream(s *bpf.ProcessStream) event.Stream {
	if int(s.Type) >= len(streamTypes) {
		return event.Stream{}
	}
	out := event.Stream{Type: streamTypes[s.Type]}
	if out.Type == event.StreamInet {
		out.IP, out.Port = address(s.Family, s.Address), s.Port
	}
	return out
}

// address reads an internet address; a mapped IPv4 one is an IPv4 address.
func address(family uint16, b [16]byte) netip.Addr {
	switch family {
	case afInet:
		return netip.AddrFrom4([4]byte(b[:4]))
	case afInet6:
		return netip.AddrFrom16(b).Unmap()
	}
	return netip.Addr{}
}

func decodeFork(record []byte, _ *tail, e *event.Event) {
	r := view[bpf.ProcessRecordFork](record)
	e.Fork = event.ForkPayload{
		ParentComm: cString(r.ParentComm[:]),
		ParentEUID: r.ParentEuid,
		SessionID:  r.Session,
		GroupID:    r.Group,
		Namespaces: namespaces(&r.Namespaces),
	}
}

func decodeExit(record []byte, _ *tail, e *event.Event) {
	r := view[bpf.ProcessRecordExit](record)
	e.Exit = event.ExitPayload{
		Signal:     r.Status & 0x7f,
		CoreDumped: r.Status&0x80 != 0,
	}
	if e.Exit.Signal == 0 {
		e.Exit.Code = int32(r.Status >> 8 & 0xff)
	}
}

func decodeCgroup(record []byte, t *tail, e *event.Event) {
	r := view[bpf.CgroupRecordCgroup](record)
	e.Cgroup = event.CgroupPayload{ID: r.Id, Path: t.string(r.PathLength)}
}
