package enrich

import (
	"sync/atomic"

	"eunomia/event"
)

// Reasons for which a process is dropped from the tree before or after its end.
const (
	evictDeadAge   = iota // ended, and kept long enough
	evictDeadCount        // ended, and too many of those
	evictDeadBytes        // ended, and memory was needed
	evictLive             // alive, least recently seen, and memory was needed
	numEvictReasons
)

// EvictReasons names the reasons in Stats.Evicted.
var EvictReasons = [numEvictReasons]string{"dead_age", "dead_count", "dead_bytes", "live_bytes"}

// counters are written on rare paths only: the path of an event of a known process
// touches none.
type counters struct {
	processes, dead, bytes, images atomic.Int64
	evicted                        [numEvictReasons]atomic.Uint64
	procReads, stubs, lostExits    atomic.Uint64
	procThrottled                  atomic.Uint64
	cgroupGroups                   atomic.Int64
	cgroupLookups, cgroupUnknown   atomic.Uint64
	cgroupEvicted, cgroupLeft      atomic.Uint64
	containerOverflow              atomic.Uint64
	requestOverflow                atomic.Uint64
	metadataTimeouts               atomic.Uint64
	containersForgotten            atomic.Uint64
	dockerConnects, dockerFailures atomic.Uint64
	dockerInspects, dockerErrors   atomic.Uint64
	namesRead, namesRefused        atomic.Uint64
	namesSkipped, namesHostReloads atomic.Uint64
	namesHeld                      atomic.Int64
	dockerConnected                atomic.Bool
}

// Stats is a snapshot for metrics. Totals only grow.
type Stats struct {
	Processes int64 // in the tree, ended ones included
	Dead      int64 // ended ones among them
	Images    int64 // distinct programs
	Bytes     int64 // estimate of what the tree holds
	MaxBytes  int64

	Evicted       map[string]uint64 // by reason, see EvictReasons
	ProcReads     uint64            // processes whose fork was not seen, read from /proc
	ProcThrottled uint64            // the same, not read because there were too many
	Stubs         uint64            // processes of which only the event's own header is known
	LostExits     uint64            // processes replaced by a new one with their pid before their exit was seen

	Cgroups       int64  // control groups known by id
	CgroupLookups uint64 // ids that no record had announced
	CgroupUnknown uint64 // of these, not found
	CgroupEvicted uint64 // dropped because there were too many
	CgroupLeft    uint64 // processes that left their container's group but not its file systems

	Containers          map[string]int // by state of the metadata
	ContainersForgotten uint64
	ContainerOverflow   uint64 // containers beyond the bound: without metadata
	RequestOverflow     uint64 // questions to the runtime dropped: the queue was full
	MetadataTimeouts    uint64 // containers whose metadata did not arrive in time

	DockerConnected bool
	DockerConnects  uint64
	DockerFailures  uint64 // sessions ended or not begun
	DockerInspects  uint64
	DockerErrors    uint64 // inspections that failed, other than "no such container"

	NamesRead    uint64 // passwd files of containers that were read
	NamesHeld    int64  // names of containers in memory
	NamesRefused uint64 // not regular, too large, or unreachable; or too many names in all
	NamesSkipped uint64 // not tried: readers busy
	HostReloads  uint64 // times that the host's passwd or group file was read
}

// Stats returns the current figures. It may be called from any goroutine.
func (n *Enricher) Stats() Stats {
	c := &n.stats
	s := Stats{
		Processes: c.processes.Load(), Dead: c.dead.Load(), Images: c.images.Load(), Bytes: c.bytes.Load(), MaxBytes: n.tree.maxBytes,
		Evicted:   make(map[string]uint64, numEvictReasons),
		ProcReads: c.procReads.Load(), ProcThrottled: c.procThrottled.Load(), Stubs: c.stubs.Load(), LostExits: c.lostExits.Load(),
		Cgroups: c.cgroupGroups.Load(), CgroupLookups: c.cgroupLookups.Load(), CgroupUnknown: c.cgroupUnknown.Load(),
		CgroupEvicted: c.cgroupEvicted.Load(), CgroupLeft: c.cgroupLeft.Load(),
		Containers:          make(map[string]int, 3),
		ContainersForgotten: c.containersForgotten.Load(), ContainerOverflow: c.containerOverflow.Load(),
		RequestOverflow: c.requestOverflow.Load(), MetadataTimeouts: c.metadataTimeouts.Load(),
		DockerConnected: c.dockerConnected.Load(), DockerConnects: c.dockerConnects.Load(), DockerFailures: c.dockerFailures.Load(),
		DockerInspects: c.dockerInspects.Load(), DockerErrors: c.dockerErrors.Load(),
		NamesRead: c.namesRead.Load(), NamesHeld: c.namesHeld.Load(), NamesRefused: c.namesRefused.Load(), NamesSkipped: c.namesSkipped.Load(),
		HostReloads: c.namesHostReloads.Load(),
	}
	for i, reason := range EvictReasons {
		s.Evicted[reason] = c.evicted[i].Load()
	}
	for _, state := range []event.Metadata{event.MetadataPending, event.MetadataKnown, event.MetadataAbsent} {
		s.Containers[state.String()] = 0
	}
	for _, slot := range n.containers.all() {
		s.Containers[slot.current.Load().State.String()]++
	}
	return s
}
