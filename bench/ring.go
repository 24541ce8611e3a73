package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"eunomia"
	"eunomia/engine"
	"eunomia/enrich"
	"eunomia/event"
	"eunomia/probes"
	"eunomia/rules"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

var ringExperiment = experiment{
	name: "ring", kernel: true,
	figures: []figure{
		{key: "ring.events_per_s", unit: "1/s", goal: ">= 1e6", what: "opens that one reader takes from the ring and decodes"},
		{key: "ring.cpu_ns", unit: "ns", goal: "<= 500", what: "CPU per open: ring, decoder, enrichment, default rules"},
		{key: "info.ring_decode_ns", unit: "ns", what: "CPU per open: ring and decoder"},
		{key: "info.ring_enrich_ns", unit: "ns", what: "CPU per open: ring, decoder, enrichment"},
	},
	run: measureRing,
}

const (
	ringBytes  = 32 << 20
	ringEvents = 60_000 // held back and then read in one go; they must fit in the ring
	ringWarm   = 3      // rounds after which all of the ring has been used
	ringRuns   = 7
)

// measureRing holds the reader back until the ring is well filled, then lets it
// read: what it manages is the rate up to which it loses nothing, whoever makes the
// events. A loop on the one other core of a small machine could not make as many.
func measureRing(ctx context.Context, l *lab, want wanted) (map[string][]float64, error) {
	runs := map[string][]float64{}
	if want["ring.events_per_s"] || want["info.ring_decode_ns"] {
		perSecond, cpu, err := l.drains(ctx, "decode", func(*probes.Sensor) (func(*event.Event), error) {
			return func(*event.Event) {}, nil
		})
		runs["ring.events_per_s"], runs["info.ring_decode_ns"] = perSecond, cpu
		if err != nil {
			return runs, err
		}
	}
	if want["info.ring_enrich_ns"] {
		_, cpu, err := l.drains(ctx, "enrich", func(s *probes.Sensor) (func(*event.Event), error) {
			n, err := newEnricher(s)
			if err != nil {
				return nil, err
			}
			return n.Enrich, nil
		})
		runs["info.ring_enrich_ns"] = cpu
		if err != nil {
			return runs, err
		}
	}
	if !want["ring.cpu_ns"] {
		return runs, nil
	}
	_, cpu, err := l.drains(ctx, "evaluate", func(s *probes.Sensor) (func(*event.Event), error) {
		n, err := newEnricher(s)
		if err != nil {
			return nil, err
		}
		set, _ := rules.Load(nil, rules.Options{Before: []rules.Source{{Name: "default_rules.yaml", Data: eunomia.DefaultRules}}})
		program, _ := engine.Compile(set, engine.Limits{})
		if !program.Kinds().Has(event.Open) {
			return nil, errors.New("no default rule wants opens")
		}
		x := engine.New(program)
		return func(e *event.Event) {
			n.Enrich(e)
			x.Evaluate(e)
		}, nil
	})
	runs["ring.cpu_ns"] = cpu
	return runs, err
}

func newEnricher(s *probes.Sensor) (*enrich.Enricher, error) {
	groups, err := s.Cgroups()
	if err != nil {
		return nil, err
	}
	paths := make(map[uint64]string, len(groups))
	for _, g := range groups {
		paths[g.ID] = g.Path
	}
	v1, v2 := s.CgroupMounts()
	return enrich.New(enrich.Options{NoDocker: true, Cgroups: enrich.Cgroups{V1: v1, V2: v2, Paths: paths}})
}

// drains attaches a sensor of opens and times how it hands ringEvents to the
// handler, several times: events per second, and CPU time of each in ns.
func (l *lab) drains(ctx context.Context, name string, handler func(*probes.Sensor) (func(*event.Event), error)) (perSecond, cpu []float64, err error) {
	l.progress("ring: %s", name)
	s, err := probes.Open(probes.Options{Kinds: event.SetOf(event.Open), BulkBytes: ringBytes})
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	handle, err := handler(s)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g := &gate{open: make(chan struct{}, 1), done: make(chan drain, 1), handle: handle}
	var running errgroup.Group
	running.Go(func() error {
		return s.Run(ctx, func(e *event.Event) { g.pass(ctx, e) })
	})
	defer func() {
		cancel()
		err = errors.Join(err, running.Wait())
	}()
	for i := range ringWarm + ringRuns {
		d, err := l.fillAndDrain(ctx, s, g)
		if err != nil {
			return perSecond, cpu, err
		}
		if i >= ringWarm {
			perSecond = append(perSecond, float64(d.events)/d.took.Seconds())
			cpu = append(cpu, float64(d.cpu.Nanoseconds())/float64(d.events))
		}
	}
	return perSecond, cpu, nil
}

func (l *lab) fillAndDrain(ctx context.Context, s *probes.Sensor, g *gate) (drain, error) {
	g.shut.Store(true)
	c, err := l.startChild(ctx, task{Loop: "openclose", Count: ringEvents})
	if err != nil {
		return drain{}, err
	}
	g.pid.Store(uint32(c.cmd.Process.Pid))
	if _, err := c.wait(); err != nil {
		return drain{}, err
	}
	st, err := s.Stats()
	if err != nil {
		return drain{}, err
	}
	if len(st.Losses) > 0 {
		return drain{}, fmt.Errorf("the ring of %d bytes does not hold %d events: %+v", ringBytes, ringEvents, st.Losses)
	}
	g.open <- struct{}{}
	select {
	case d := <-g.done:
		return d, nil
	case <-time.After(30 * time.Second):
		return drain{}, errors.New("the sensor did not deliver the opens that were made")
	case <-ctx.Done():
		return drain{}, ctx.Err()
	}
}

// drain is one emptying of the ring.
type drain struct {
	events    int
	took, cpu time.Duration
}

// gate holds the sensor's goroutine back at its first event while it is shut, and
// takes the time from the next one to the last that the child made.
type gate struct {
	handle func(*event.Event)
	shut   atomic.Bool
	pid    atomic.Uint32
	open   chan struct{}
	done   chan drain

	timing bool
	made   int // by the child
	events int // since the time began
	began  time.Time
	cpu    time.Duration
}

func (g *gate) pass(ctx context.Context, e *event.Event) {
	if g.shut.Load() {
		select {
		case <-g.open:
		case <-ctx.Done():
		}
		g.shut.Store(false)
		g.timing, g.made, g.events = true, 0, 0
	} else if g.timing {
		if g.events == 0 {
			g.cpu, g.began = ownCPU(), time.Now()
		}
		g.events++
	}
	if g.timing && e.Task.PID == g.pid.Load() && e.File.Path == quietFile {
		if g.made++; g.made == ringEvents {
			g.handle(e)
			g.timing = false
			g.done <- drain{g.events, time.Since(g.began), ownCPU() - g.cpu}
			return
		}
	}
	g.handle(e)
}

// ownCPU returns the CPU time of this process, without its children's.
func ownCPU() time.Duration {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r) // cannot fail: the arguments are right
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
