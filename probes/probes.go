// Package probes is the sensor: it decides what the running kernel can offer,
// loads and attaches the programs of package bpf, reads their rings and turns
// records into events. It decides nothing about what is suspicious.
//
//	s, err := probes.Open(probes.Options{Kinds: event.AllKinds})
//	…
//	err = s.Run(ctx, func(e *event.Event) { … })
//	s.Close()
//
// To add a kind of event: a payload and a row in package event; a record and a
// program in package bpf; here a decoder, its row in the decoders table
// (decode.go), the row of its hook in the families table (families.go), and, for
// a system call, the rows of the calls table (classes.go). Tests make the act for
// real and compare the event with what the caller knows.
package probes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"os"
	"sync"
	"sync/atomic"

	"eunomia/bpf"
	"eunomia/event"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
)

// Options choose what a Sensor observes; the zero value observes everything.
type Options struct {
	Kinds         event.KindSet // 0: all
	PriorityBytes int           // ring of process lifecycle and cgroups; 0: 1 MiB
	BulkBytes     int           // ring of files and network; 0: 4 MiB
	NoCounters    bool          // leave out the raw metrics of system calls and control groups
	NoDirectReads bool          // use the kernel reads of old kernels, for tests
	Logger        *slog.Logger  // nil: discard
}

// Sensor is a set of attached programs and the rings they fill.
type Sensor struct {
	log         *slog.Logger
	kinds       event.KindSet
	mode        cgroupMode
	maps        map[string]*ebpf.Map // shared by all families
	collections []*ebpf.Collection
	programs    map[string]*ebpf.Program // attached or tail-called, by name
	wake        *waker

	mu    sync.Mutex // guards links and removed
	links []link.Link
	// removed holds control groups that are gone: their counters are reported
	// once more, then dropped.
	removed []uint64

	priority, bulk *ring
	counts         counts
	running        atomic.Bool
}

// Open loads and attaches what o asks for, or nothing at all.
func Open(o Options) (*Sensor, error) {
	if o.Kinds == 0 {
		o.Kinds = event.AllKinds
	}
	if o.PriorityBytes == 0 {
		o.PriorityBytes = 1 << 20
	}
	if o.BulkBytes == 0 {
		o.BulkBytes = 4 << 20
	}
	o.PriorityBytes, o.BulkBytes = ringSize(o.PriorityBytes), ringSize(o.BulkBytes)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := Check(context.Background()).Err(); err != nil {
		return nil, err
	}
	types, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, fmt.Errorf("read kernel types: %w", err)
	}
	direct := !o.NoDirectReads && hasDirectReads(types)
	s, err := open(o, types, direct)
	var refused *ebpf.VerifierError
	if direct && errors.As(err, &refused) {
		// A verifier that does not take direct loads still takes the older programs.
		o.Logger.Warn("direct kernel reads refused; using helper reads", "error", err)
		return open(o, types, false)
	}
	return s, err
}

func open(o Options, types *btf.Spec, direct bool) (s *Sensor, err error) {
	s = &Sensor{
		log:      o.Logger,
		kinds:    o.Kinds,
		maps:     map[string]*ebpf.Map{},
		programs: map[string]*ebpf.Program{},
	}
	defer func() {
		if err != nil {
			s.Close()
			s = nil
		}
	}()
	if s.mode, err = detectCgroups(types); err != nil {
		return nil, err
	}
	if err = s.load(o, direct); err != nil {
		return nil, err
	}
	if s.priority, err = newRing(s.maps[bpf.ProcessMapRingPriority]); err != nil {
		return nil, err
	}
	if s.bulk, err = newRing(s.maps[bpf.ProcessMapRingBulk]); err != nil {
		return nil, err
	}
	if s.wake, err = newWaker(s.priority.fd, s.bulk.fd); err != nil {
		return nil, err
	}
	if err = s.attach(); err != nil {
		return nil, err
	}
	return s, nil
}

// ringSize rounds up to what the kernel accepts: a power of two, whole pages.
func ringSize(n int) int {
	return max(1<<bits.Len(uint(n-1)), os.Getpagesize())
}

// detach ends the production of records; those in the rings stay readable.
func (s *Sensor) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if err := l.Close(); err != nil {
			s.log.Warn("detach", "error", err)
		}
	}
	s.links = nil
}

// Close detaches the programs and frees what the kernel holds. Run must have
// returned.
func (s *Sensor) Close() error {
	if s.running.Load() {
		return errors.New("close sensor: Run has not returned")
	}
	s.detach()
	if s.wake != nil {
		s.wake.close()
	}
	for _, r := range []*ring{s.priority, s.bulk} {
		if r != nil {
			r.close()
		}
	}
	for _, c := range s.collections {
		c.Close()
	}
	for _, m := range s.maps {
		m.Close()
	}
	s.collections, s.maps, s.programs, s.priority, s.bulk, s.wake = nil, nil, nil, nil, nil, nil
	return nil
}

// hostPID returns the detector's process id in the initial pid namespace, or 0
// when it runs in another one, where the kernel's numbers mean nothing here.
func hostPID() uint32 {
	const initialPIDNamespace = "pid:[4026531836]"
	if ns, err := os.Readlink("/proc/self/ns/pid"); err != nil || ns != initialPIDNamespace {
		return 0
	}
	return uint32(os.Getpid())
}
