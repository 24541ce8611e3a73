package event

import (
	"net/netip"
	"strings"
)

// Process is a process as enrichment knows it. A published Process is immutable:
// a change makes a new one.
type Process struct {
	PID       uint32
	Start     uint64 // start_boottime, ns since boot; with PID the identity
	StartTime int64  // the same as wall clock, Unix ns
	EntityID  string // stable over host, pid and start
	Image     *Image // the program it runs; shared by forks until they exec

	SessionID, GroupID uint32
	TTY                string // controlling terminal, e.g. "pts0"; empty if none
	LoginUID           uint32 // audit login uid; 0xffffffff when unset
	Caps               Capabilities
	Namespaces         Namespaces
	Stdin              Stream
	Stdout             Stream
	Stderr             Stream

	Ancestors   []*Ancestor // nearest first, at most MaxAncestors
	ContainerID string      // empty on the host
}

// MaxAncestors bounds the lineage that is kept for a process.
const MaxAncestors = 16

// Ancestor is an ancestor as it was when it forked.
type Ancestor struct {
	PID      uint32
	Start    uint64
	EntityID string
	Image    *Image
	EUID     uint32
}

// Image is a program as it was executed. Immutable once published.
type Image struct {
	Name             string   // base name of the file given to exec: what comm starts as, uncut
	Filename         string   // the file as given to exec
	Executable       string   // resolved path of the binary, as seen from the process's root
	Script           string   // path of the script as given to exec, when an interpreter runs it
	Args             []string // argv
	ArgsTruncated    bool
	CommandLine      string // argv joined with blanks; set by enrichment
	WorkingDirectory string
	Exe              ExeFacts
	ExecTime         int64 // Unix ns; 0 when it ran before the sensor started
}

// ExeFacts are facts about an executable's file.
type ExeFacts struct {
	Inode      uint64
	Device     uint32
	Mode       uint32
	UID, GID   uint32
	Links      uint32
	Mtime      int64 // Unix s
	Ctime      int64 // Unix s
	Memfd      bool
	Deleted    bool
	UpperLayer bool // on the container's writable overlay layer only: not in its image
	CopiedUp   bool // in the image, and changed since: copied to the writable layer
	SetUID     bool // the exec gained privilege (AT_SECURE)
	PathCut    bool
}

// Capabilities are bit masks, bit n being capability n of linux/capability.h.
type Capabilities struct {
	Effective, Permitted, Inheritable, Ambient uint64
}

// Namespaces are the inode numbers of a process's namespaces.
type Namespaces struct {
	PID, Mount, Net, User, UTS, IPC, Cgroup uint32
}

// StreamType is what a standard stream is connected to.
type StreamType uint8

// The types of a standard stream.
const (
	StreamUnknown StreamType = iota
	StreamClosed
	StreamTTY
	StreamPipe
	StreamFile
	StreamDevice
	StreamInet
	StreamUnix
	StreamOther
)

var streamNames = [...]string{"", "closed", "tty", "pipe", "file", "device", "inet", "unix", "other"}

func (t StreamType) String() string { return nameOf(streamNames[:], int(t)) }

// Stream is a standard stream at the last exec.
type Stream struct {
	Type StreamType
	IP   netip.Addr // remote address of an internet socket
	Port uint16
}

// ExecPayload is what the kernel tells of an exec; enrichment turns it into a Process.
type ExecPayload struct {
	Image        Image // strings alias the record
	argsStorage  []string
	SessionID    uint32
	GroupID      uint32
	LoginUID     uint32
	TTY          string
	Caps         Capabilities
	Namespaces   Namespaces
	Streams      [3]Stream
	CgroupPath   string // name chain of the chosen hierarchy, root first, leading "/"
	ArgsLength   uint32 // full length of argv in bytes, also when truncated
	NamespacePID uint32 // process id in its own pid namespace
	AuditSession uint32 // audit session; 0xffffffff when unset
}

func (p *ExecPayload) clone() ExecPayload {
	c := *p
	c.argsStorage = nil
	c.Image = p.Image.Clone()
	c.TTY = strings.Clone(p.TTY)
	c.CgroupPath = strings.Clone(p.CgroupPath)
	return c
}

// SetArgs splits argv, as the kernel keeps it (each argument ended by NUL), into
// Image.Args without copying the bytes.
func (p *ExecPayload) SetArgs(argv string) {
	p.argsStorage = p.argsStorage[:0]
	for argv != "" {
		a, rest, _ := strings.Cut(argv, "\x00")
		p.argsStorage = append(p.argsStorage, a)
		argv = rest
	}
	p.Image.Args = p.argsStorage
}

// Clone returns a deep copy of the image.
func (i *Image) Clone() Image {
	c := *i
	for _, s := range []*string{&c.Name, &c.Filename, &c.Executable, &c.Script, &c.CommandLine, &c.WorkingDirectory} {
		*s = strings.Clone(*s)
	}
	if i.Args != nil {
		c.Args = make([]string, len(i.Args))
		for n, a := range i.Args {
			c.Args[n] = strings.Clone(a)
		}
	}
	return c
}

// ForkPayload is what the kernel tells of a fork. Task is the child.
type ForkPayload struct {
	ParentComm string
	ParentEUID uint32
	SessionID  uint32
	GroupID    uint32
	Namespaces Namespaces
}

// ExitPayload is what the kernel tells of a process's end.
type ExitPayload struct {
	Code       int32  // status given to exit, 0 when a signal ended it
	Signal     uint32 // signal that ended it, 0 if none
	CoreDumped bool
}

var noAncestor = &Ancestor{Image: &Image{}}

// Parent returns the process's parent as it was at the fork, never nil.
func (p *Process) Parent() *Ancestor {
	if len(p.Ancestors) == 0 {
		return noAncestor
	}
	return p.Ancestors[0]
}

func image(e *Event) *Image       { return e.Process.Image }
func parentImage(e *Event) *Image { return e.Process.Parent().Image }
func parentOf(e *Event) *Ancestor { return e.Process.Parent() }
func commandLine(i *Image) string {
	if i.CommandLine != "" {
		return i.CommandLine
	}
	return strings.Join(i.Args, " ")
}

// ownParent returns a parent that a test event may write to.
func ownParent(e *Event) *Ancestor {
	if len(e.Process.Ancestors) == 0 {
		e.Process.Ancestors = []*Ancestor{{Image: &Image{}}}
	}
	return e.Process.Ancestors[0]
}

func stream(s func(*Event) *Stream) func(*Event) string {
	return func(e *Event) string { return s(e).Type.String() }
}

func setStream(s func(*Event) *Stream) func(*Event, string) error {
	return func(e *Event, v string) error {
		n, err := indexOf(streamNames[:], v)
		s(e).Type = StreamType(n)
		return err
	}
}

func stdin(e *Event) *Stream  { return &e.Process.Stdin }
func stdout(e *Event) *Stream { return &e.Process.Stdout }
func stderr(e *Event) *Stream { return &e.Process.Stderr }

const atExec = " Read at the last exec; empty for processes older than the sensor."

var processFields = []Field{
	uintField("process.pid", 0, "Process id (thread group id) in the initial pid namespace.", func(e *Event) *uint32 { return &e.Process.PID }),
	uintField("process.thread.id", 0, "Id of the acting thread.", func(e *Event) *uint32 { return &e.Task.TID }),
	strField("process.thread.name", 0, "Name of the acting thread (comm), at most 15 bytes. The thread can change it at will.", func(e *Event) *string { return &e.Task.Comm }),
	strField("process.name", 0, "Base name of the file that was executed, uncut: `sh` where /bin/sh is a link to busybox, `deploy.py` for a script. The process cannot change it, but may have chosen the file's name; for processes older than the sensor it is read from /proc and as good as their word.", func(e *Event) *string { return &image(e).Name }),
	strField("process.executable", 0, "Resolved path of the binary as seen from the process's root; for a script, the interpreter's.", func(e *Event) *string { return &image(e).Executable }),
	strField("process.script", 0, "Path of the script as given to exec, when an interpreter runs it; else empty.", func(e *Event) *string { return &image(e).Script }),
	listField("process.args", 0, "Arguments, the program's name first.", func(e *Event) *[]string { return &image(e).Args }),
	derivedInt("process.args_count", 0, "Number of arguments in process.args.", "process.args", func(e *Event) int64 { return int64(len(image(e).Args)) }),
	boolField("process.args_truncated", 0, "The arguments were longer than the sensor reads (4095 bytes), or partly unreadable.", func(e *Event) *bool { return &image(e).ArgsTruncated }),
	derivedStr("process.command_line", 0, "Arguments joined with blanks.", "process.args", func(e *Event) string { return commandLine(image(e)) }),
	strField("process.working_directory", 0, "Working directory at the last exec.", func(e *Event) *string { return &image(e).WorkingDirectory }),
	strField("process.entity_id", 0, "Identity of the process, unique over hosts, pids and time.", func(e *Event) *string { return &e.Process.EntityID }),
	timeField("process.start", 0, "When the process was created.", func(e *Event) *int64 { return &e.Process.StartTime }),
	derivedBool("process.interactive", 0, "The process has a controlling terminal.", func(e *Event) bool { return e.Process.TTY != "" },
		func(e *Event, v bool) {
			e.Process.TTY = ""
			if v {
				e.Process.TTY = "pts0"
			}
		}),
	strField("process.tty", 0, "Controlling terminal, e.g. pts0; empty if none.", func(e *Event) *string { return &e.Process.TTY }),
	uintField("process.user.id", 0, "Effective user id at the moment of the act.", func(e *Event) *uint32 { return &e.Task.EUID }),
	strField("process.user.name", 0, "Name of process.user.id; in a container from the container's own passwd file, which the container controls.", func(e *Event) *string { return &e.Users.Effective }),
	uintField("process.real_user.id", 0, "Real user id.", func(e *Event) *uint32 { return &e.Task.UID }),
	strField("process.real_user.name", 0, "Name of process.real_user.id.", func(e *Event) *string { return &e.Users.Real }),
	uintField("process.group.id", 0, "Effective group id.", func(e *Event) *uint32 { return &e.Task.EGID }),
	strField("process.group.name", 0, "Name of process.group.id.", func(e *Event) *string { return &e.Users.Group }),
	uintField("process.real_group.id", 0, "Real group id.", func(e *Event) *uint32 { return &e.Task.GID }),
	{Name: "process.login_user.id", Type: Int, Doc: "Audit login user id: who logged in at first, unchanged by su and sudo; -1 when nobody did.",
		Int: func(e *Event) int64 { return int64(int32(e.Process.LoginUID)) },
		set: func(e *Event, v any) error { n, err := asInt(v); e.Process.LoginUID = uint32(n); return err }},
	strField("process.login_user.name", 0, "Name of process.login_user.id.", func(e *Event) *string { return &e.Users.Login }),
	uintField("process.session_leader.pid", 0, "Process id of the session leader.", func(e *Event) *uint32 { return &e.Process.SessionID }),
	uintField("process.group_leader.pid", 0, "Process id of the process group's leader.", func(e *Event) *uint32 { return &e.Process.GroupID }),
	capsField("process.capabilities.effective", "Effective capabilities, e.g. CAP_SYS_ADMIN."+atExec, func(e *Event) *uint64 { return &e.Process.Caps.Effective }),
	capsField("process.capabilities.permitted", "Permitted capabilities."+atExec, func(e *Event) *uint64 { return &e.Process.Caps.Permitted }),
	uintField("process.namespace.pid", 0, "Inode number of the pid namespace; 0 if not known.", func(e *Event) *uint32 { return &e.Process.Namespaces.PID }).omitZero(),
	uintField("process.namespace.mount", 0, "Inode number of the mount namespace at the moment of the act.", func(e *Event) *uint32 { return &e.Task.MountNS }).omitZero(),
	uintField("process.namespace.net", 0, "Inode number of the network namespace; 0 if not known.", func(e *Event) *uint32 { return &e.Process.Namespaces.Net }).omitZero(),
	uintField("process.namespace.user", 0, "Inode number of the user namespace; 0 if not known.", func(e *Event) *uint32 { return &e.Process.Namespaces.User }).omitZero(),
	uintField("process.exe.inode", 0, "Inode number of the executable.", func(e *Event) *uint64 { return &image(e).Exe.Inode }).omitZero(),
	boolField("process.exe.memfd", 0, "The program runs from anonymous memory (memfd_create)."+atExec, func(e *Event) *bool { return &image(e).Exe.Memfd }),
	boolField("process.exe.deleted", 0, "The program's file has no name any more."+atExec, func(e *Event) *bool { return &image(e).Exe.Deleted }),
	boolField("process.exe.upper_layer", 0, "The program is not in the container's image: it lies on the writable layer only."+atExec, func(e *Event) *bool { return &image(e).Exe.UpperLayer }),
	boolField("process.exe.copied_up", 0, "The program is in the container's image and was changed since the start: its contents, owner or mode."+atExec, func(e *Event) *bool { return &image(e).Exe.CopiedUp }),
	boolField("process.exe.setuid", 0, "The exec gained privilege from a set-uid, set-gid or capability-bearing file.", func(e *Event) *bool { return &image(e).Exe.SetUID }),
	{Name: "process.stdin.type", Type: String, Doc: "What standard input is: closed, tty, pipe, file, device, inet, unix, other." + atExec, Str: stream(stdin), set: setter(setStream(stdin))},
	{Name: "process.stdout.type", Type: String, Doc: "What standard output is; values as for process.stdin.type." + atExec, Str: stream(stdout), set: setter(setStream(stdout))},
	{Name: "process.stderr.type", Type: String, Doc: "What standard error is; values as for process.stdin.type." + atExec, Str: stream(stderr), set: setter(setStream(stderr))},
	ipField("process.stdin.ip", 0, "Remote address when standard input is an internet socket."+atExec, func(e *Event) *netip.Addr { return &e.Process.Stdin.IP }),
	uintField("process.stdin.port", 0, "Remote port when standard input is an internet socket."+atExec, func(e *Event) *uint16 { return &e.Process.Stdin.Port }).omitZero(),

	uintField("process.parent.pid", 0, "The parent's process id.", func(e *Event) *uint32 { return &parentOf(e).PID }).own(func(e *Event) { ownParent(e) }),
	strField("process.parent.entity_id", 0, "The parent's identity.", func(e *Event) *string { return &parentOf(e).EntityID }).own(func(e *Event) { ownParent(e) }),
	strField("process.parent.name", 0, "The parent's process.name, when it forked.", func(e *Event) *string { return &parentImage(e).Name }).own(func(e *Event) { ownParent(e) }),
	strField("process.parent.executable", 0, "The parent's process.executable, when it forked.", func(e *Event) *string { return &parentImage(e).Executable }).own(func(e *Event) { ownParent(e) }),
	strField("process.parent.script", 0, "The parent's process.script.", func(e *Event) *string { return &parentImage(e).Script }).own(func(e *Event) { ownParent(e) }),
	listField("process.parent.args", 0, "The parent's process.args.", func(e *Event) *[]string { return &parentImage(e).Args }).own(func(e *Event) { ownParent(e) }),
	derivedStr("process.parent.command_line", 0, "The parent's arguments joined with blanks.", "process.parent.args", func(e *Event) string { return commandLine(parentImage(e)) }),
	uintField("process.parent.user.id", 0, "The parent's effective user id, when it forked.", func(e *Event) *uint32 { return &parentOf(e).EUID }).own(func(e *Event) { ownParent(e) }),
	{Name: "process.ancestors", Type: Processes, Doc: "Ancestors, the parent first, at most 16; each has pid, entity_id, name, executable, args, command_line, user_id. E.g. `process.ancestors.exists(a, a.name == \"sshd\")`.",
		Processes: func(e *Event) []*Ancestor { return e.Process.Ancestors }, set: setAncestors},

	{Name: "process.exit_code", Type: Int, Kinds: SetOf(Exit), Doc: "Status given to exit; 0 when a signal ended the process.",
		Int: func(e *Event) int64 { return int64(e.Exit.Code) },
		set: func(e *Event, v any) error { n, err := asInt(v); e.Exit.Code = int32(n); return err }},
	uintField("process.exit.signal", SetOf(Exit), "Signal that ended the process; 0 if none.", func(e *Event) *uint32 { return &e.Exit.Signal }),
	boolField("process.exit.core_dumped", SetOf(Exit), "The process left a core dump.", func(e *Event) *bool { return &e.Exit.CoreDumped }),
}

// AncestorField is one member of the elements of a Processes field.
type AncestorField struct {
	Name string
	Type Type // Int, String or Strings
	Doc  string
	Str  func(*Ancestor) string
	Int  func(*Ancestor) int64
	Strs func(*Ancestor) []string
}

// AncestorFields lists the members of each element of process.ancestors.
var AncestorFields = []AncestorField{
	{Name: "pid", Type: Int, Doc: "Process id.", Int: func(a *Ancestor) int64 { return int64(a.PID) }},
	{Name: "entity_id", Type: String, Doc: "Identity.", Str: func(a *Ancestor) string { return a.EntityID }},
	{Name: "name", Type: String, Doc: "As process.name.", Str: func(a *Ancestor) string { return a.Image.Name }},
	{Name: "executable", Type: String, Doc: "As process.executable.", Str: func(a *Ancestor) string { return a.Image.Executable }},
	{Name: "args", Type: Strings, Doc: "As process.args.", Strs: func(a *Ancestor) []string { return a.Image.Args }},
	{Name: "command_line", Type: String, Doc: "As process.command_line.", Str: func(a *Ancestor) string { return commandLine(a.Image) }},
	{Name: "user_id", Type: Int, Doc: "Effective user id.", Int: func(a *Ancestor) int64 { return int64(a.EUID) }},
}
