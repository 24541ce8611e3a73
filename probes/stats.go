package probes

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"eunomia/bpf"
	"eunomia/event"

	"github.com/cilium/ebpf"
)

// Loss reasons, the values of Loss.Reason.
const (
	LostRingFull  = "ring_full"  // the reader was too slow for the ring
	LostMapFull   = "map_full"   // more control groups than counters: counted under "other"
	LostReadFault = "read_fault" // the record could not be built
	LostRecursion = "recursion"  // the kernel skipped a program that it interrupted
	LostDecode    = "decode"     // the record was not understood
)

var lossReasons = [...]string{LostRingFull, LostMapFull, LostReadFault}

// counts are what the reader counts, beside what the kernel does.
type counts struct {
	delivered    [event.NumKinds]atomic.Uint64
	decodeErrors atomic.Uint64
	lag          atomic.Int64
}

// Stats is the account since Open. For each kind, acts done = Seen + lost.
type Stats struct {
	Seen      map[event.Kind]uint64 // put into a ring by the kernel
	Delivered map[event.Kind]uint64 // handed to Run's callback
	Losses    []Loss                // only those that happened
	Lag       time.Duration         // age of the oldest record in the last round
}

// Loss is a number of events that were lost for one reason. Kind is KindNone where
// the reason does not tell it.
type Loss struct {
	Kind   event.Kind
	Reason string
	CPU    int // -1: not of one CPU
	Count  uint64
}

// Stats reads the account.
func (s *Sensor) Stats() (Stats, error) {
	st := Stats{
		Seen:      map[event.Kind]uint64{},
		Delivered: map[event.Kind]uint64{},
		Lag:       time.Duration(s.counts.lag.Load()),
	}
	var ledgers []bpf.ProcessLedger
	if err := s.maps[bpf.ProcessMapLedgers].Lookup(uint32(0), &ledgers); err != nil {
		return st, fmt.Errorf("read ledger: %w", err)
	}
	for k := range event.NumKinds {
		for cpu := range ledgers {
			if n := ledgers[cpu].Seen[k]; n > 0 {
				st.Seen[k] += n
			}
			for i, reason := range lossReasons {
				if n := ledgers[cpu].Lost[k][i]; n > 0 {
					st.Losses = append(st.Losses, Loss{k, reason, cpu, n})
				}
			}
		}
		if n := s.counts.delivered[k].Load(); n > 0 {
			st.Delivered[k] = n
		}
	}
	if n := s.counts.decodeErrors.Load(); n > 0 {
		st.Losses = append(st.Losses, Loss{event.KindNone, LostDecode, -1, n})
	}
	for _, f := range families {
		for _, h := range f.hooks {
			if n := recursions(s.programs[h.program]); n > 0 {
				st.Losses = append(st.Losses, Loss{hookKind(h), LostRecursion, -1, n})
			}
		}
	}
	return st, nil
}

// recursions returns how often the kernel skipped a program; 0 where it does not
// count that (before 5.12).
func recursions(p *ebpf.Program) uint64 {
	if p == nil {
		return 0
	}
	st, err := p.Stats()
	if err != nil {
		return 0
	}
	return st.RecursionMisses
}

// hookKind returns the kind of a hook that serves one only.
func hookKind(h hook) event.Kind {
	for k := range event.NumKinds {
		if h.kinds == event.SetOf(k) {
			return k
		}
	}
	return event.KindNone
}

// CgroupStats are the raw metrics of one control group.
type CgroupStats struct {
	ID                    uint64 // as Task.CgroupID; 0: those that found no room
	Exec, Fork, Exit      uint64
	Open, Connect, Accept uint64 // calls, failed ones included
	ReadBytes, WriteBytes uint64
	Syscalls              []uint64 // by native number; names by SyscallName
	Removed               bool     // the group is gone: this is its last report
}

const totalsSize = int(unsafe.Sizeof(bpf.SyscallsCgroupTotals{}))

// addOther makes the entry that takes the counts of groups beyond the map's size.
func addOther(m *ebpf.Map) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	if err := m.Put(uint64(0), make([]bpf.SyscallsCgroupTotals, cpus)); err != nil {
		return fmt.Errorf("prepare cgroup counters: %w", err)
	}
	return nil
}

// CgroupStats reads the counters of all control groups. A removed group is
// reported once more and then forgotten.
func (s *Sensor) CgroupStats() ([]CgroupStats, error) {
	m := s.maps[bpf.SyscallsMapCgroupStats]
	s.mu.Lock()
	removed := s.removed
	s.removed = nil
	s.mu.Unlock()

	var out []CgroupStats
	var id uint64
	var perCPU []bpf.SyscallsCgroupTotals
	entries := m.Iterate()
	for entries.Next(&id, &perCPU) {
		c := sumCgroup(id, perCPU)
		c.Removed = slices.Contains(removed, id)
		out = append(out, c)
	}
	// Entries that come and go can end an iteration early: what was read still holds.
	if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return out, fmt.Errorf("read cgroup counters: %w", err)
	}
	for _, id := range removed {
		if err := m.Delete(id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return out, fmt.Errorf("drop cgroup counters: %w", err)
		}
	}
	return out, nil
}

func sumCgroup(id uint64, perCPU []bpf.SyscallsCgroupTotals) CgroupStats {
	c := CgroupStats{ID: id, Syscalls: make([]uint64, slots)}
	var sum [len(perCPU[0].Counters)]uint64
	for i := range perCPU {
		for n, v := range perCPU[i].Counters {
			sum[n] += v
		}
		for n, v := range perCPU[i].Syscalls {
			c.Syscalls[n] += v
		}
	}
	c.Exec = sum[bpf.SyscallsCgroupCounterCOUNT_EXEC]
	c.Fork = sum[bpf.SyscallsCgroupCounterCOUNT_FORK]
	c.Exit = sum[bpf.SyscallsCgroupCounterCOUNT_EXIT]
	c.Open, c.Connect, c.Accept = sum[countOpen], sum[countConnect], sum[countAccept]
	c.ReadBytes, c.WriteBytes = sum[countRead], sum[countWrite]
	return c
}

// maxRemoved bounds the groups that wait for their last report. Beyond it nobody
// reads the counters, and the oldest are dropped so that new groups find room.
const maxRemoved = 256

func (s *Sensor) forget(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed = append(s.removed, id); len(s.removed) <= maxRemoved {
		return
	}
	if err := s.maps[bpf.SyscallsMapCgroupStats].Delete(s.removed[0]); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		s.log.Warn("drop cgroup counters", "error", err)
	}
	s.removed = slices.Delete(s.removed, 0, 1)
}

// SyscallCount is how often a system call was made on this host.
type SyscallCount struct {
	Name   string
	Compat bool // through the 32-bit entry
	Count  uint64
}

// SyscallCounts reads the calls counted since Open, those that were made.
func (s *Sensor) SyscallCounts() ([]SyscallCount, error) {
	m := s.collectionMap(bpf.SyscallsMapSyscallCounts)
	if m == nil {
		return nil, nil
	}
	var perCPU []bpf.SyscallsSyscallTotals
	if err := m.Lookup(uint32(0), &perCPU); err != nil {
		return nil, fmt.Errorf("read syscall counters: %w", err)
	}
	var out []SyscallCount
	for slot := range 2 * slots {
		c := SyscallCount{Name: SyscallName(slot % slots), Compat: slot >= slots}
		if c.Compat {
			c.Name = callName(abiCompat, uint16(slot%slots))
		}
		for i := range perCPU {
			c.Count += perCPU[i].Calls[slot]
		}
		if c.Count > 0 {
			out = append(out, c)
		}
	}
	return out, nil
}

// SyscallName returns the name of a native system call, as CgroupStats.Syscalls is
// indexed; "unknown" for numbers that the tables do not have.
func SyscallName(number int) string { return callName(abiNative, uint16(number)) }

func (s *Sensor) collectionMap(name string) *ebpf.Map {
	for _, c := range s.collections {
		if m := c.Maps[name]; m != nil {
			return m
		}
	}
	return nil
}
