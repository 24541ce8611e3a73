package enrich

import (
	"sync"
	"time"

	"eunomia/event"
)

// V1Cgroup marks, in Task.CgroupID and in the keys of Cgroups.Paths, an id of the
// chosen cgroup v1 hierarchy.
const V1Cgroup = 1 << 63

// Cgroups says where the control groups are that events refer to.
type Cgroups struct {
	// V1 and V2 are the mount points of the chosen v1 hierarchy, e.g.
	// /sys/fs/cgroup/memory, and of v2, e.g. /sys/fs/cgroup; empty where there is none.
	// When both are empty, the usual places are tried.
	V1, V2 string
	Paths  map[uint64]string // the groups that exist at the start, by id, as the probes' scan found them
}

// Bounds of the table of control groups.
const (
	maxCgroups     = 65536
	maxCgroupsGone = 4096
	keepCgroup     = 5 * time.Minute // a removed group's late events, and its counters at the next scrape
	retryCgroup    = time.Second
	maxRetries     = 3
)

// cgroup is what is known of one control group. Processes point to it, so it is
// completed in place.
type cgroup struct {
	slot    *slot // nil when it is no container's
	found   bool  // the path is known
	removed bool
	tries   int
	retry   int64 // event time before which the id is not looked up again
}

// cgroups maps control group ids to containers. An id is never used twice: kernfs
// numbers are 64 bits wide. Only the enricher's goroutine changes it, with mu held,
// so that goroutine alone may read without.
type cgroups struct {
	mu         sync.RWMutex
	byID       map[uint64]*cgroup
	gone       []goneCgroup
	containers *containers
	stats      *counters
	where      Cgroups
	proc       string
}

type goneCgroup struct {
	id uint64
	at int64
}

func newCgroups(where Cgroups, proc string, containers *containers, stats *counters) *cgroups {
	c := &cgroups{byID: make(map[uint64]*cgroup, len(where.Paths)), containers: containers, stats: stats, where: where, proc: proc}
	for id, path := range where.Paths {
		c.made(id, path, 0)
	}
	c.where.Paths = nil
	return c
}

// find returns the group with this id. The acting process helps when no record has
// announced the id.
func (c *cgroups) find(id uint64, pid uint32, now int64) *cgroup {
	g := c.byID[id]
	if g != nil && (g.found || g.tries >= maxRetries || now < g.retry) {
		return g
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if g == nil {
		g = &cgroup{}
		c.insert(id, g)
	}
	g.tries++
	g.retry = now + int64(retryCgroup)
	c.stats.cgroupLookups.Add(1)
	if path, ok := c.lookup(id, pid); ok {
		c.set(g, path)
	} else {
		c.stats.cgroupUnknown.Add(1)
	}
	return g
}

// container returns the container of a group that is known. Any goroutine may ask.
func (c *cgroups) container(id uint64) *event.Container {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if g := c.byID[id]; g != nil && g.slot != nil {
		return g.slot.current.Load()
	}
	return nil
}

func (c *cgroups) has(id uint64) bool {
	g := c.byID[id]
	return g != nil && g.found
}

// made records the path of a group that is new or was not known.
func (c *cgroups) made(id uint64, path string, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.byID[id]
	if g == nil {
		g = &cgroup{}
		c.insert(id, g)
	}
	if !g.found {
		c.set(g, path)
	}
	c.expire(now)
}

func (c *cgroups) set(g *cgroup, path string) {
	g.found = true
	if ref := ParseCgroup(path); ref.ID != "" {
		g.slot = c.containers.enter(ref.clone())
	}
}

func (c *cgroups) insert(id uint64, g *cgroup) {
	if len(c.byID) >= maxCgroups {
		c.evict()
	}
	c.byID[id] = g
	c.stats.cgroupGroups.Store(int64(len(c.byID)))
}

// evict makes room for one group. Processes that point to it keep it; only the way
// from the id is lost, and found again by a lookup.
func (c *cgroups) evict() {
	c.stats.cgroupEvicted.Add(1)
	if len(c.gone) > 0 {
		c.dropOldest()
		return
	}
	for id := range c.byID {
		c.drop(id)
		return
	}
}

// removed records that a group is gone; it is remembered for a while.
func (c *cgroups) removed(id uint64, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.byID[id]; g != nil && !g.removed {
		g.removed = true
		c.gone = append(c.gone, goneCgroup{id, now})
	}
	c.expire(now)
}

func (c *cgroups) expire(now int64) {
	for len(c.gone) > 0 && (len(c.gone) > maxCgroupsGone || now-c.gone[0].at > int64(keepCgroup)) {
		c.dropOldest()
	}
}

func (c *cgroups) dropOldest() {
	c.drop(c.gone[0].id)
	c.gone = c.gone[1:]
}

func (c *cgroups) drop(id uint64) {
	g := c.byID[id]
	if g == nil {
		return
	}
	delete(c.byID, id)
	c.stats.cgroupGroups.Store(int64(len(c.byID)))
	if g.slot != nil {
		c.containers.leave(g.slot)
	}
}
