package enrich

import (
	"math"
	"time"

	"eunomia/event"
)

// missingParent makes a node for a parent that was never seen.
func (n *Enricher) missingParent(e *event.Event) *node {
	of := event.Event{Time: e.Time}
	of.Task = event.Task{PID: e.Task.ParentPID, Start: e.Task.ParentStart, EUID: e.Fork.ParentEUID, Comm: e.Fork.ParentComm}
	return n.missing(of.Task.PID, of.Task.Start, &of)
}

// known returns a process of the tree, or one that /proc still shows.
func (n *Enricher) known(pid uint32, start uint64, now int64) *node {
	if x := n.tree.find(pid, start); x != nil || pid == 0 {
		return x
	}
	x, _ := n.fromProc(pid, start, now)
	return x
}

// missing makes a node for a process whose fork was not seen: from /proc, or from
// the event's header.
func (n *Enricher) missing(pid uint32, start uint64, e *event.Event) *node {
	x, gone := n.fromProc(pid, start, e.Time)
	if x != nil {
		return x
	}
	n.stats.stubs.Add(1)
	i := &event.Image{Name: n.tree.strings.of(e.Task.Comm)}
	p := &event.Process{PID: pid, Start: start, StartTime: n.identity.wall(start), EntityID: n.identity.entity(pid, start), Image: i, LoginUID: math.MaxUint32}
	x = &node{process: p, image: n.tree.newImage(i), exact: true, stub: true, euid: e.Task.EUID}
	if parent := n.tree.find(e.Task.ParentPID, e.Task.ParentStart); parent != nil && e.Task.ParentPID != 0 {
		x.lineage = n.tree.heirsOf(parent)
		p.Ancestors = x.lineage.ancestors()
	}
	n.tree.add(x, e.Time)
	if gone {
		n.tree.exit(x, e.Time)
	}
	return x
}

// fromProc reads a process; gone is true when it does not exist any more.
func (n *Enricher) fromProc(pid uint32, start uint64, now int64) (x *node, gone bool) {
	if pid == 0 || start == 0 {
		return nil, false
	}
	if !n.throttle.allow(now) {
		n.stats.procThrottled.Add(1)
		return nil, false
	}
	begin := time.Now()
	defer func() { n.throttle.spent += time.Since(begin) }()
	s, err := n.reader.read(pid)
	if err != nil || !sameStart(s.start, start) {
		return nil, true
	}
	n.stats.procReads.Add(1)
	x = n.adopt(s, now)
	if x.process.Start != start {
		n.tree.correct(x, start)
	}
	x.exact = true
	return x, false
}

// throttle bounds how many processes are read from /proc in a second of event time,
// and how long that may take: a process can make itself slow to read.
type throttle struct {
	second int64
	count  int
	spent  time.Duration
}

const (
	maxProcReads = 2000
	maxProcTime  = 250 * time.Millisecond
)

func (t *throttle) allow(now int64) bool {
	if second := now / int64(time.Second); second != t.second {
		*t = throttle{second: second}
	}
	t.count++
	return t.count <= maxProcReads && t.spent < maxProcTime
}
