package main

import (
	"sync"
	"time"

	"eunomia/event"
	"eunomia/probes"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of the label sets of container metrics. What does not fit is counted
// under "other".
const (
	maxContainerSeries = 256
	maxSyscallSeries   = 4096
	keepContainer      = 5 * time.Minute // after its last control group is gone
)

var (
	containerEvents   = desc("container_events_total", "Acts counted in the kernel, by container and kind; container_id is empty for the host.", "container_id", "container", "kind")
	containerBytes    = desc("container_io_bytes_total", "Bytes that system calls read and wrote, by container.", "container_id", "container", "direction")
	containerSyscalls = desc("container_syscalls_total", "System calls by container and name.", "container_id", "syscall")
)

// containerCollector sums the kernel's counters of control groups by container.
// The kernel's counts end with their group, a container's must not fall: it keeps
// totals and adds what has grown since the last look.
type containerCollector struct {
	groups      func() ([]probes.CgroupStats, error)
	containerOf func(cgroup uint64) *event.Container // nil for the host's

	mu     sync.Mutex
	last   map[uint64]probes.CgroupStats
	totals map[string]*containerTotals // by container id; "" is the host
	pairs  map[[2]string]bool          // (container, syscall) that have a series
}

func newContainerCollector(groups func() ([]probes.CgroupStats, error), containerOf func(uint64) *event.Container) *containerCollector {
	return &containerCollector{groups: groups, containerOf: containerOf, totals: map[string]*containerTotals{}, pairs: map[[2]string]bool{}}
}

type containerTotals struct {
	id, name string
	group    uint64 // its last control group, for a name that comes after the last counts
	events   map[string]uint64
	bytes    [2]uint64 // read, written
	syscalls map[string]uint64
	seen     time.Time
}

// Describe sends nothing: the collector is unchecked.
func (c *containerCollector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the kernel's counters.
func (c *containerCollector) Collect(out chan<- prometheus.Metric) {
	// Read under the lock: with counters older than those of a scrape at the same time,
	// everything would seem to have begun anew.
	c.mu.Lock()
	defer c.mu.Unlock()
	groups, err := c.groups()
	if err != nil {
		return
	}
	now := time.Now()
	next := make(map[uint64]probes.CgroupStats, len(groups))
	for _, g := range groups {
		if g.ID == 0 && len(g.Syscalls) == 0 && g.Open+g.ReadBytes+g.WriteBytes == 0 {
			continue // nothing had to go under "other"
		}
		c.total(g, now).add(c, g, c.last[g.ID])
		if !g.Removed {
			next[g.ID] = g
		}
	}
	c.last = next
	for id, t := range c.totals {
		if id != "" && id != "other" && now.Sub(t.seen) > keepContainer {
			c.forget(id)
			continue
		}
		t.baptize(c.containerOf)
		for kind, n := range t.events {
			out <- prometheus.MustNewConstMetric(containerEvents, prometheus.CounterValue, float64(n), id, t.name, kind)
		}
		for i, direction := range []string{"read", "write"} {
			out <- prometheus.MustNewConstMetric(containerBytes, prometheus.CounterValue, float64(t.bytes[i]), id, t.name, direction)
		}
		for name, n := range t.syscalls {
			out <- prometheus.MustNewConstMetric(containerSyscalls, prometheus.CounterValue, float64(n), id, name)
		}
	}
}

// total returns the totals of the container that a control group belongs to.
func (c *containerCollector) total(g probes.CgroupStats, now time.Time) *containerTotals {
	id, name := "", ""
	if g.ID == 0 {
		id = "other"
	} else if ct := c.containerOf(g.ID); ct != nil {
		id, name = short(ct), ct.Name
	}
	t := c.totals[id]
	if t == nil && len(c.totals) >= maxContainerSeries {
		id, name = "other", ""
		t = c.totals[id]
	}
	if t == nil {
		t = &containerTotals{id: id, events: map[string]uint64{}, syscalls: map[string]uint64{}}
		c.totals[id] = t
	}
	if name != "" {
		t.name = name
	}
	t.seen, t.group = now, g.ID
	return t
}

// baptize asks again for a name that was not known at the last counts: a container can
// end before the runtime has told of it.
func (t *containerTotals) baptize(containerOf func(uint64) *event.Container) {
	if t.name != "" || t.id == "" || t.id == "other" {
		return
	}
	if ct := containerOf(t.group); ct != nil {
		t.name = ct.Name
	}
}

func short(c *event.Container) string { return c.ID[:min(12, len(c.ID))] }

// add adds what has grown between two looks at a control group.
func (t *containerTotals) add(c *containerCollector, now, before probes.CgroupStats) {
	for _, x := range []struct {
		kind        event.Kind
		now, before uint64
	}{
		{event.Exec, now.Exec, before.Exec},
		{event.Fork, now.Fork, before.Fork},
		{event.Exit, now.Exit, before.Exit},
		{event.Open, now.Open, before.Open},
		{event.Connect, now.Connect, before.Connect},
		{event.Accept, now.Accept, before.Accept},
	} {
		t.events[x.kind.String()] += grown(x.now, x.before)
	}
	t.bytes[0] += grown(now.ReadBytes, before.ReadBytes)
	t.bytes[1] += grown(now.WriteBytes, before.WriteBytes)
	for nr, n := range now.Syscalls {
		var b uint64
		if nr < len(before.Syscalls) {
			b = before.Syscalls[nr]
		}
		if d := grown(n, b); d > 0 {
			t.syscalls[c.syscallLabel(t.id, probes.SyscallName(nr))] += d
		}
	}
}

// syscallLabel gives a (container, syscall) pair its series while there is room.
func (c *containerCollector) syscallLabel(id, name string) string {
	pair := [2]string{id, name}
	if c.pairs[pair] {
		return name
	}
	if len(c.pairs) >= maxSyscallSeries {
		return "other"
	}
	c.pairs[pair] = true
	return name
}

func (c *containerCollector) forget(id string) {
	for name := range c.totals[id].syscalls {
		delete(c.pairs, [2]string{id, name})
	}
	delete(c.totals, id)
}

// grown returns how much a counter grew; a counter that began anew grew by itself.
func grown(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}
