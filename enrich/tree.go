package enrich

import (
	"unsafe"

	"eunomia/event"
)

// node is one process in the tree.
type node struct {
	process *event.Process // published: replaced, never changed
	image   *image
	lineage *lineage // of its ancestors
	heirs   *lineage // what its children get: itself, then its ancestors

	exact bool // the start is the kernel's own, not cut to ticks by /proc
	stub  bool // only the header of an event is known
	dead  bool
	used  bool // since the clock's hand passed
	euid  uint32

	// slot is the container for cgroupID, so that an event of a process that stays in
	// its group needs no lookup; settled when the group's path was known.
	cgroupID uint64
	slot     *slot
	settled  bool

	users *users

	older      *node // an earlier process with this pid
	next, prev *node // the clock's ring
	bytes      int64
}

// tree holds processes by pid and start. It belongs to the enricher's goroutine.
type tree struct {
	byPID    map[uint32]*node
	hand     *node // of the clock
	dead     []deadNode
	bytes    int64
	maxBytes int64
	stats    *counters
	strings  interner
}

type deadNode struct {
	node *node
	at   int64
}

// What an entry costs beside its strings and lists; the map's share is an estimate.
const nodeBytes = int64(unsafe.Sizeof(node{})+unsafe.Sizeof(event.Process{})) + 64

func newTree(maxBytes int64, stats *counters) *tree {
	return &tree{byPID: make(map[uint32]*node), maxBytes: maxBytes, stats: stats, strings: interner{}}
}

// find returns the process that had this pid since start, or nil.
func (t *tree) find(pid uint32, start uint64) *node {
	for n := t.byPID[pid]; n != nil; n = n.older {
		if n.process.Start == start {
			return n
		}
		if !n.exact && sameStart(n.process.Start, start) {
			t.correct(n, start)
			return n
		}
	}
	return nil
}

// correct replaces a start that /proc cut to ticks by the kernel's own.
func (t *tree) correct(n *node, start uint64) {
	p := *n.process
	p.StartTime += int64(start - p.Start)
	p.Start = start
	n.process, n.exact = &p, true
	t.dropHeirs(n)
}

// add puts a process into the tree, after making room. The caller's reference to
// image and lineage goes to the node.
func (t *tree) add(n *node, now int64) {
	pid, start := n.process.PID, n.process.Start
	head := t.byPID[pid]
	switch {
	case head == nil || head.process.Start <= start:
		if head != nil && !head.dead {
			t.stats.lostExits.Add(1)
			t.exit(head, now)
		}
		n.older = t.byPID[pid] // exit may have dropped it
		t.byPID[pid] = n
	default: // a late event of a process whose pid is in use again
		n.older = head.older
		head.older = n
		defer t.exit(n, now)
	}
	n.used = true
	n.bytes = nodeBytes + int64(len(n.process.EntityID)+len(n.process.TTY))
	t.grow(n.bytes)
	t.link(n)
	t.stats.processes.Add(1)
	t.reclaim(n, now)
}

func (t *tree) grow(by int64) {
	t.bytes += by
	t.stats.bytes.Store(t.bytes)
}

// remove drops a process. Published values live on where they are referred to.
func (t *tree) remove(n *node) {
	if head := t.byPID[n.process.PID]; head == n {
		if n.older == nil {
			delete(t.byPID, n.process.PID)
		} else {
			t.byPID[n.process.PID] = n.older
		}
	} else {
		for ; head != nil; head = head.older {
			if head.older == n {
				head.older = n.older
				break
			}
		}
	}
	t.unlink(n)
	if n.dead {
		t.stats.dead.Add(-1)
	}
	t.stats.processes.Add(-1)
	t.grow(-n.bytes)
	t.dropHeirs(n)
	t.releaseImage(n.image)
	t.releaseLineage(n.lineage)
	n.image, n.lineage, n.older = nil, nil, nil
}

// run gives the process a new program. The caller's reference goes to the node.
func (t *tree) run(n *node, i *image) {
	t.releaseImage(n.image)
	n.image, n.stub = i, false
	t.dropHeirs(n)
}

// heirsOf returns the lineage that a child of n gets, with a reference for it.
func (t *tree) heirsOf(n *node) *lineage {
	if n.heirs != nil && n.heirs.euid == n.euid {
		n.heirs.refs++
		return n.heirs
	}
	t.dropHeirs(n)
	n.heirs = t.newLineage(n)
	n.heirs.refs++
	return n.heirs
}

func (t *tree) dropHeirs(n *node) {
	t.releaseLineage(n.heirs)
	n.heirs = nil
}
