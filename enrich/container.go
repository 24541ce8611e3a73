package enrich

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"eunomia/event"
)

// Bounds of what is kept of containers.
const (
	maxContainers  = 16384
	maxNested      = 4096            // of those that others than the host's runtime made
	maxGone        = 1024            // ended containers whose metadata is kept …
	keepGone       = 5 * time.Minute // … this long, because late events refer to them
	requestBacklog = 1024
)

// slot is one container. The enricher reads current and names without a lock; the
// rest belongs to containers.mu.
type slot struct {
	key     string
	ref     CgroupRef
	current atomic.Pointer[event.Container]
	names   atomic.Pointer[names] // the container's own passwd and group files; nil until read
	reads   atomic.Int32          // attempts to read names
	reading atomic.Bool           // one is under way
	waits   int                   // of the enricher's goroutine, for names

	known    *event.Container // what the runtime said, nil if it has not
	groups   int              // live control groups
	listed   bool             // the runtime knows it, running or not
	gone     time.Time        // when it ended; zero while it lives
	deadline *time.Timer      // ends MetadataPending
	orphan   bool             // over the bound: not in byKey
}

// containers holds every container seen, in its control group or by its runtime.
type containers struct {
	mu       sync.Mutex
	byKey    map[string]*slot
	nested   int        // slots in byKey whose ref has a Within
	goneList []goneSlot // in the order of the ends

	wait     time.Duration
	notify   func(id string)
	requests chan *slot // to the runtime's client; a full queue leaves it to the deadline
	stats    *counters

	// own holds the values of CgroupRef.Within for which the runtime that is asked
	// can have made the container all the same: the sensor's own container, and the
	// user whose rootless runtime it is. Not changed after the start.
	own map[string]bool
	// absent is set while no runtime can be asked.
	absent atomic.Bool
}

type goneSlot struct {
	slot *slot
	at   time.Time
}

func newContainers(wait time.Duration, notify func(string), stats *counters) *containers {
	return &containers{
		byKey:    make(map[string]*slot),
		wait:     wait,
		notify:   notify,
		requests: make(chan *slot, requestBacklog),
		stats:    stats,
	}
}

// enter records that a control group of the container exists.
func (c *containers) enter(ref CgroupRef) *slot {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slot(ref, true)
	s.groups++
	s.gone = time.Time{}
	if s.ref.PodUID == "" && ref.PodUID != "" || s.ref.Runtime == "" && ref.Runtime != "" {
		s.ref.PodUID, s.ref.Runtime = ref.PodUID, ref.Runtime // learned from the runtime before; the path tells more
		c.publish(s, s.current.Load().State)
	}
	return s
}

// leave records that a control group of the container is gone.
func (c *containers) leave(s *slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.groups--; s.groups <= 0 {
		c.end(s)
	}
}

// seen returns the slot of a container of which a process is known.
func (c *containers) seen(ref CgroupRef) *slot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slot(ref, true)
}

// slot returns the container's slot, making one when it is new; ask says whether
// the runtime should then be asked. c.mu is held.
func (c *containers) slot(ref CgroupRef, ask bool) *slot {
	if c.own[ref.Within] {
		ref.Within = ""
	}
	key := ref.key()
	if s := c.byKey[key]; s != nil {
		return s
	}
	s := &slot{key: key, ref: ref}
	// Who may make control groups may make any number of names in them: they must not
	// take the room of the containers that the host's runtime makes.
	if (ref.Within == "" || c.nested < maxNested) && (len(c.byKey) < maxContainers || c.forget(1)) {
		c.byKey[key] = s
		if ref.Within != "" {
			c.nested++
		}
	} else {
		c.stats.containerOverflow.Add(1)
		s.orphan = true
	}
	if s.orphan || !askable(ref) || c.absent.Load() {
		c.publish(s, event.MetadataAbsent)
		return s
	}
	c.publish(s, event.MetadataPending)
	if ask {
		s.deadline = time.AfterFunc(c.wait, func() { c.expire(s) })
		select {
		case c.requests <- s:
		default:
			c.stats.requestOverflow.Add(1)
		}
	}
	return s
}

// askable reports whether the Docker API could know a container with this path.
func askable(ref CgroupRef) bool {
	return (ref.Runtime == "" || ref.Runtime == "docker") && ref.Within == "" && isHex(ref.ID, 64)
}

// learn publishes what the runtime said of a container.
func (c *containers) learn(id string, known *event.Container) {
	c.mu.Lock()
	s := c.slot(CgroupRef{ID: id, Runtime: known.Runtime}, false)
	s.known = known
	s.listed = true
	c.publish(s, event.MetadataKnown)
	c.mu.Unlock()
	c.tell(s)
}

// unknown publishes that the runtime does not know the container.
func (c *containers) unknown(s *slot) {
	c.mu.Lock()
	changed := s.current.Load().State == event.MetadataPending
	if changed {
		c.publish(s, event.MetadataAbsent)
	}
	c.mu.Unlock()
	if changed {
		c.tell(s)
	}
}

// find returns the container that the asked runtime can know by this id.
func (c *containers) find(id string) *event.Container {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.byKey[id]; s != nil {
		return s.current.Load()
	}
	return nil
}

// notFound is unknown, by id.
func (c *containers) notFound(id string) {
	c.mu.Lock()
	s := c.byKey[id]
	c.mu.Unlock()
	if s != nil {
		c.unknown(s)
	}
}

func (c *containers) expire(s *slot) {
	if s.current.Load().State == event.MetadataPending {
		c.stats.metadataTimeouts.Add(1)
		c.unknown(s)
	}
}

// lost says that no runtime can be asked: what is pending will not arrive.
func (c *containers) lost() {
	c.absent.Store(true)
	for _, s := range c.all() {
		c.unknown(s)
	}
}

// destroyed records that the runtime has removed the container.
func (c *containers) destroyed(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.byKey[id]; s != nil {
		s.listed = false
		if s.groups <= 0 {
			c.end(s)
		}
	}
}

// unlisted ends the containers that the runtime knew and that are not in ids any
// more: their removal was missed.
func (c *containers) unlisted(ids map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.byKey {
		if s.listed && s.groups <= 0 && !ids[s.key] {
			s.listed = false
			c.end(s)
		}
	}
}

// publish swaps in a new immutable value. c.mu is held.
func (c *containers) publish(s *slot, state event.Metadata) {
	v := &event.Container{}
	if s.known != nil {
		*v = *s.known
	}
	v.ID, v.State = s.ref.ID, state
	if v.Runtime == "" {
		v.Runtime = s.ref.Runtime
	}
	if s.ref.PodUID != "" {
		v.PodUID = s.ref.PodUID
	}
	s.current.Store(v)
	if state != event.MetadataPending && s.deadline != nil {
		s.deadline.Stop()
		s.deadline = nil
	}
}

func (c *containers) tell(s *slot) {
	if c.notify != nil {
		c.notify(s.ref.ID)
	}
}

// end starts the time for which an ended container is remembered. c.mu is held.
func (c *containers) end(s *slot) {
	if s.orphan || !s.gone.IsZero() {
		return
	}
	s.gone = time.Now()
	c.goneList = append(c.goneList, goneSlot{s, s.gone})
	c.forget(0)
}

// forget drops ended containers that are too many or too old, and at least want of
// them; it reports whether it could. c.mu is held.
func (c *containers) forget(want int) bool {
	now := time.Now()
	for len(c.goneList) > 0 {
		oldest := c.goneList[0]
		if stale := !oldest.slot.gone.Equal(oldest.at); !stale { // else it came back to life, or ended again
			if want <= 0 && len(c.goneList) <= maxGone && now.Sub(oldest.at) < keepGone {
				return true
			}
			if c.byKey[oldest.slot.key] == oldest.slot {
				delete(c.byKey, oldest.slot.key)
				if oldest.slot.ref.Within != "" {
					c.nested--
				}
				c.stats.containersForgotten.Add(1)
				want--
			}
			if had := oldest.slot.names.Swap(rootOnly); had != nil && had != rootOnly {
				c.stats.namesHeld.Add(-had.size())
			}
		}
		c.goneList[0] = goneSlot{}
		c.goneList = c.goneList[1:]
	}
	return want <= 0
}

func (c *containers) sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(0)
}

func (c *containers) all() []*slot {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]*slot, 0, len(c.byKey))
	for s := range maps.Values(c.byKey) {
		out = append(out, s)
	}
	return out
}
