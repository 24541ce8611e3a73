package enrich

import (
	"strings"
	"time"

	"eunomia/event"
)

// Enrich sets the event's process, container, users and host, and follows what the
// event says of them. The event's own strings are not kept.
func (n *Enricher) Enrich(e *event.Event) {
	e.Host = n.host
	switch e.Kind {
	case event.CgroupMake:
		n.cgroups.made(e.Cgroup.ID, e.Cgroup.Path, e.Time)
	case event.CgroupRemove:
		n.cgroups.removed(e.Cgroup.ID, e.Time)
	}
	x := n.tree.find(e.Task.PID, e.Task.Start)
	switch {
	case e.Kind == event.Exec:
		x = n.exec(e, x)
	case e.Kind == event.Fork:
		x = n.fork(e, x)
	case x == nil:
		x = n.missing(e.Task.PID, e.Task.Start, e)
	}
	if x.cgroupID != e.Task.CgroupID || !x.settled {
		n.place(x, e)
	}
	if e.Kind == event.Exec {
		n.firstNames(x, e)
	}
	x.used = true
	e.Process = x.process
	e.Container = nil
	if x.slot != nil {
		e.Container = x.slot.current.Load()
	}
	n.name(x, e)
	if e.Kind == event.Exit {
		n.tree.exit(x, e.Time)
	}
}

// exec gives the process a new program.
func (n *Enricher) exec(e *event.Event, x *node) *node {
	p := &event.Process{PID: e.Task.PID, Start: e.Task.Start}
	if x == nil {
		p.StartTime, p.EntityID = n.identity.wall(p.Start), n.identity.entity(p.PID, p.Start)
	} else {
		*p = *x.process
	}
	x2 := &e.Exec
	p.SessionID, p.GroupID, p.LoginUID, p.TTY = x2.SessionID, x2.GroupID, x2.LoginUID, n.tree.strings.of(x2.TTY)
	p.Caps, p.Namespaces = x2.Caps, x2.Namespaces
	p.Stdin, p.Stdout, p.Stderr = x2.Streams[0], x2.Streams[1], x2.Streams[2]
	i := n.tree.cloneImage(&x2.Image)
	i.Name = n.tree.strings.of(programName(&x2.Image, e.Task.Comm))
	if i.ExecTime == 0 {
		i.ExecTime = e.Time
	}
	p.Image = i
	program := n.tree.newImage(i)
	if x == nil {
		x = &node{process: p, image: program, exact: true}
		if parent := n.known(e.Task.ParentPID, e.Task.ParentStart, e.Time); parent != nil {
			x.lineage = n.tree.heirsOf(parent)
			p.Ancestors = x.lineage.ancestors()
		}
		n.tree.add(x, e.Time)
	} else {
		x.process = p
		n.tree.run(x, program)
		n.tree.reclaim(x, e.Time)
	}
	x.euid = e.Task.EUID
	if len(x2.CgroupPath) > 1 && !n.cgroups.has(e.Task.CgroupID) && strings.Count(x2.CgroupPath, "/") < cgroupLevels {
		n.cgroups.made(e.Task.CgroupID, x2.CgroupPath, e.Time)
	}
	return x
}

// cgroupLevels is how many names the sensor reads of a control group at an exec: a
// path of so many may lack its head.
const cgroupLevels = 10

// programName is the base of the file given to exec. Where that is a descriptor
// (fexecve) or the magic link by which a program runs itself again, it is the base
// of what it refers to, and where that has no name (a detached mount), what comm or
// the arguments say.
func programName(i *event.Image, comm string) string {
	given := i.Filename
	if rest, ok := strings.CutPrefix(given, "/dev/fd/"); ok {
		_, given, _ = strings.Cut(rest, "/") // not empty for execveat with a directory
	} else if rest, ok := strings.CutPrefix(given, "/proc/"); ok {
		if _, link, _ := strings.Cut(rest, "/"); link == "exe" || strings.HasPrefix(link, "fd/") {
			given = ""
		}
	}
	candidates := [...]string{given, i.Executable, comm, ""}
	if len(i.Args) > 0 {
		candidates[3] = i.Args[0]
	}
	if applet := candidates[3]; given == "" && applet != "" && multiCall[candidates[1][strings.LastIndexByte(candidates[1], '/')+1:]] {
		candidates[1] = applet
	}
	for n, c := range candidates {
		if c = c[strings.LastIndexByte(c, '/')+1:]; c != "" && (n != 2 || !isDigits(c)) { // older kernels: the descriptor
			return c
		}
	}
	return comm
}

// multiCall names programs of many tools, which run the one that their first
// argument names. Their shells start applets by running themselves again.
var multiCall = map[string]bool{"busybox": true, "toybox": true}

// fork adds a child, which runs its parent's program.
func (n *Enricher) fork(e *event.Event, x *node) *node {
	if x != nil && !x.stub {
		return x // /proc was read after the fork
	}
	parent := n.tree.find(e.Task.ParentPID, e.Task.ParentStart)
	if parent == nil {
		parent = n.missingParent(e)
		x = n.tree.find(e.Task.PID, e.Task.Start) // making room may have dropped the stub
	}
	parent.euid = e.Fork.ParentEUID
	p := *parent.process
	p.PID, p.Start = e.Task.PID, e.Task.Start
	p.StartTime, p.EntityID = n.identity.wall(p.Start), n.identity.entity(p.PID, p.Start)
	p.SessionID, p.GroupID = e.Fork.SessionID, e.Fork.GroupID
	if e.Fork.Namespaces != (event.Namespaces{}) {
		p.Namespaces = e.Fork.Namespaces
	}
	line := n.tree.heirsOf(parent)
	p.Ancestors = line.ancestors()
	program := parent.image
	program.refs++
	if x != nil {
		n.tree.run(x, program)
		n.tree.releaseLineage(x.lineage)
		x.process, x.lineage = &p, line
	} else {
		x = &node{process: &p, image: program, lineage: line, exact: true}
		if parent.settled && parent.cgroupID == e.Task.CgroupID {
			x.cgroupID, x.slot, x.settled = parent.cgroupID, parent.slot, true
		} else {
			x.slot = parent.slot
		}
		n.tree.add(x, e.Time)
	}
	x.euid = e.Task.EUID
	return x
}

// firstNames has the container's own passwd file read when its first programs start,
// and waits a moment for it, a few times per container.
func (n *Enricher) firstNames(x *node, e *event.Event) {
	s := x.slot
	if s == nil {
		if x.settled {
			n.onHost(x.process.Namespaces.Mount)
		}
		return
	}
	n.notOnHost(e.Task.MountNS)
	if s.names.Load() != nil {
		return
	}
	done := n.names.ask(s, e.Task.PID, e.Task.Start)
	if done == nil || s.waits == maxNameWaits || !n.running.Load() {
		return
	}
	s.waits++
	select {
	case <-done:
	case <-time.After(nameWait):
	}
}

// maxHostMounts bounds the mount namespaces that are known to be the host's.
const maxHostMounts = 4096

// onHost notes a mount namespace in which a process runs that is in no container:
// pid 1's, and those of services that have their own. Any user can make some.
func (n *Enricher) onHost(mounts uint32) {
	if mounts == 0 || n.hostMounts[mounts] {
		return
	}
	if len(n.hostMounts) >= maxHostMounts {
		clear(n.hostMounts)
		n.hostMounts[n.initMounts] = true
	}
	n.hostMounts[mounts] = true
}

// notOnHost notes a mount namespace in which a container runs a program: the number
// of one that ended is given to the next that is made.
func (n *Enricher) notOnHost(mounts uint32) {
	if mounts != n.initMounts {
		delete(n.hostMounts, mounts)
	}
}

// place finds the container of a process that is new or has changed its group.
func (n *Enricher) place(x *node, e *event.Event) {
	g := n.cgroups.find(e.Task.CgroupID, e.Task.PID, e.Time)
	s := g.slot
	if s == nil && x.slot != nil {
		switch {
		case !g.found:
			s = x.slot // nothing better is known
		case e.Task.MountNS != 0 && len(n.hostMounts) > 0 && !n.hostMounts[e.Task.MountNS]:
			// A privileged process can leave its group; while it keeps the
			// container's file systems it is still in there.
			s = x.slot
			n.stats.cgroupLeft.Add(1)
		}
	}
	x.cgroupID, x.settled = e.Task.CgroupID, g.found
	id := ""
	if s != nil {
		id = s.ref.ID
		if e.Kind != event.Exec { // see firstNames
			n.names.ask(s, e.Task.PID, e.Task.Start)
		}
	}
	x.slot = s
	if x.process.ContainerID != id {
		p := *x.process
		p.ContainerID = id
		x.process = &p
	}
}
