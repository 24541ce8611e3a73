package enrich

import "time"

// Bounds of what is kept of ended processes, whose events may still be on their way
// in the other ring.
const (
	maxDead  = 8192
	keepDead = 5 * time.Second
)

// link puts n into the clock's ring, just behind the hand: it is looked at last.
func (t *tree) link(n *node) {
	if t.hand == nil {
		n.next, n.prev = n, n
		t.hand = n
		return
	}
	n.next, n.prev = t.hand, t.hand.prev
	n.prev.next, n.next.prev = n, n
}

func (t *tree) unlink(n *node) {
	if n.next == n {
		t.hand = nil
	} else {
		if t.hand == n {
			t.hand = n.next
		}
		n.prev.next, n.next.prev = n.next, n.prev
	}
	n.next, n.prev = nil, nil
}

// exit marks a process as ended. It is removed a little later.
func (t *tree) exit(n *node, now int64) {
	if n.dead {
		return
	}
	n.dead = true
	t.stats.dead.Add(1)
	t.dead = append(t.dead, deadNode{n, now})
	t.bury(now)
}

// bury removes ended processes that are too old or too many.
func (t *tree) bury(now int64) {
	for len(t.dead) > 0 {
		switch {
		case now-t.dead[0].at > int64(keepDead):
			t.dropDead(evictDeadAge)
		case len(t.dead) > maxDead:
			t.dropDead(evictDeadCount)
		default:
			return
		}
	}
}

func (t *tree) dropDead(reason int) {
	n := t.dead[0].node
	t.dead[0] = deadNode{}
	t.dead = t.dead[1:]
	t.stats.evicted[reason].Add(1)
	t.remove(n)
}

// reclaim frees memory until the tree is within its bound: first ended processes,
// then living ones that have not acted since the clock's hand passed them. keep
// stays in any case.
func (t *tree) reclaim(keep *node, now int64) {
	t.bury(now)
	for t.bytes > t.maxBytes && len(t.dead) > 0 && t.dead[0].node != keep {
		t.dropDead(evictDeadBytes)
	}
	for steps := 2 * t.stats.processes.Load(); t.bytes > t.maxBytes && t.hand != nil && steps > 0; steps-- {
		n := t.hand
		t.hand = n.next
		switch {
		case n == keep || n.dead:
		case n.used:
			n.used = false
		default:
			t.stats.evicted[evictLive].Add(1)
			t.remove(n)
		}
	}
}
