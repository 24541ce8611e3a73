package probes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"eunomia/bpf"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// statsBudget bounds the memory of the per-cgroup counters over all CPUs.
const statsBudget = 16 << 20

// load puts the programs and maps into the kernel, without attaching anything.
func (s *Sensor) load(o Options, direct bool) error {
	// Before 5.11 the kernel counts maps against RLIMIT_MEMLOCK.
	if err := rlimit.RemoveMemlock(); err != nil {
		return fmt.Errorf("lift RLIMIT_MEMLOCK: %w", err)
	}
	entries, err := statsEntries(o)
	if err != nil {
		return err
	}
	sizes := map[string]uint32{
		bpf.ProcessMapRingPriority: uint32(o.PriorityBytes),
		bpf.ProcessMapRingBulk:     uint32(o.BulkBytes),
		bpf.SyscallsMapCgroupStats: entries,
	}
	cache := btf.NewCache() // the kernel's types, decoded once for all families
	for _, f := range families {
		spec, err := f.spec()
		if err != nil {
			return fmt.Errorf("read %s programs: %w", f.name, err)
		}
		for _, h := range f.hooks {
			if !h.wanted(o) {
				delete(spec.Programs, h.program)
			}
		}
		if len(spec.Programs) == 0 && f.name != "process" {
			continue
		}
		for name, size := range sizes {
			if m, ok := spec.Maps[name]; ok {
				m.MaxEntries = size
			}
		}
		if err := s.setConstants(spec, o, direct); err != nil {
			return fmt.Errorf("configure %s programs: %w", f.name, err)
		}
		if err := s.loadFamily(f, spec, cache); err != nil {
			return err
		}
	}
	if m, ok := s.maps[bpf.SyscallsMapCgroupStats]; ok {
		if err := addOther(m); err != nil {
			return err
		}
	}
	return s.setHandlers()
}

func (s *Sensor) loadFamily(f family, spec *ebpf.CollectionSpec, cache *btf.Cache) error {
	shared := map[string]*ebpf.Map{}
	for name, m := range spec.Maps {
		if !slices.Contains(sharedMaps, name) {
			continue
		}
		if s.maps[name] == nil {
			created, err := ebpf.NewMap(m)
			if err != nil {
				return fmt.Errorf("create map %s: %w", name, err)
			}
			s.maps[name] = created
		}
		shared[name] = s.maps[name]
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: shared, Cache: cache})
	if err != nil {
		return loadError(f.name, err)
	}
	s.collections = append(s.collections, c)
	for name, p := range c.Programs {
		s.programs[name] = p
	}
	return nil
}

// setConstants writes what the programs read as constants; the verifier removes
// the branches that they rule out.
func (s *Sensor) setConstants(spec *ebpf.CollectionSpec, o Options, direct bool) error {
	classes, counters := callTables(o.Kinds)
	hierarchy := int32(-1)
	if s.mode.V1 != "" {
		hierarchy = int32(s.mode.hierarchy)
	}
	for name, value := range map[string]any{
		"direct_reads":        direct,
		"self_tgid":           hostPID(),
		"wake_priority":       uint64(o.PriorityBytes / 8),
		"wake_bulk":           uint64(o.BulkBytes / 8),
		"cgroup_v1":           s.mode.V1 != "",
		"cgroup_v1_subsystem": s.mode.subsystem,
		"cgroup_v1_hierarchy": hierarchy,
		"count_cgroups":       !o.NoCounters,
		"count_syscalls":      !o.NoCounters,
		"syscall_classes":     classes,
		"syscall_counters":    counters,
	} {
		v, ok := spec.Variables[name]
		if !ok {
			continue // not every family reads it
		}
		if err := v.Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// setHandlers tells the dispatcher which program handles a class of calls.
func (s *Sensor) setHandlers() error {
	for _, c := range calls {
		p := s.programs[c.handler]
		if p == nil || s.maps[bpf.SyscallsMapHandlers] == nil {
			continue
		}
		if err := s.maps[bpf.SyscallsMapHandlers].Put(uint32(c.class), p); err != nil {
			return fmt.Errorf("register handler of %s: %w", c.name, err)
		}
	}
	return nil
}

func (s *Sensor) attach() error {
	for _, f := range families {
		for _, h := range f.hooks {
			p := s.programs[h.program]
			if p == nil || h.handler {
				continue
			}
			l, err := link.AttachTracing(link.TracingOptions{Program: p})
			if err != nil {
				return fmt.Errorf("attach %s: %w", h.program, err)
			}
			s.links = append(s.links, l) // an unreferenced link would detach itself
		}
	}
	return nil
}

// loadError keeps the verifier's last words, which say why, and drops its log.
func loadError(family string, err error) error {
	var v *ebpf.VerifierError
	if errors.As(err, &v) && len(v.Log) > 0 {
		tail := v.Log[max(0, len(v.Log)-5):]
		return &Error{
			What: fmt.Sprintf("the kernel refused the %s programs: %s", family, strings.Join(tail, " / ")),
			Hint: "run `eunomia doctor`; if it finds nothing, report the kernel version with this message",
			Err:  err,
		}
	}
	return fmt.Errorf("load %s programs: %w", family, err)
}

// statsEntries returns how many control groups fit in statsBudget.
func statsEntries(o Options) (uint32, error) {
	if o.NoCounters {
		return 1, nil // the programs refer to the map, but leave it alone
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return 0, fmt.Errorf("count CPUs: %w", err)
	}
	return uint32(min(max(statsBudget/(totalsSize*cpus), 64), 1024)), nil
}
