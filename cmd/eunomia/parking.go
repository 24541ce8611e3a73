package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"eunomia/engine"
	"eunomia/event"
)

// maxParked bounds the events that wait for container metadata. Beyond it an event
// is decided at once, on what is known.
const maxParked = 4096

// parking holds events whose verdict depends on metadata that has not arrived.
type parking struct {
	wait    time.Duration
	refresh func(*event.Event)
	decide  func(e *event.Event, p engine.Pending, final bool) engine.Pending
	arrived chan string // ids of containers whose metadata changed

	mu    sync.Mutex
	byID  map[string][]*parked
	count int

	total, overflow, timeouts atomic.Uint64
}

type parked struct {
	event    *event.Event
	pending  engine.Pending
	deadline time.Time
}

func newParking(wait time.Duration) *parking {
	return &parking{wait: wait, arrived: make(chan string, 1024), byID: make(map[string][]*parked)}
}

// add parks an event; false when there is no room, and the caller decides now.
func (p *parking) add(e *event.Event, pending engine.Pending) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count >= maxParked || e.Container == nil {
		p.overflow.Add(1)
		return false
	}
	p.total.Add(1)
	p.count++
	id := e.Container.ID
	p.byID[id] = append(p.byID[id], &parked{event: e.Clone(), pending: pending.Clone(), deadline: time.Now().Add(p.wait)})
	return true
}

// notify says that a container's metadata has changed. It never blocks: a missed
// notice is made good by the sweep.
func (p *parking) notify(id string) {
	select {
	case p.arrived <- id:
	default:
	}
}

// run decides parked events when their metadata arrives or their time is up, until
// ctx ends; then it decides the rest on what is known.
func (p *parking) run(ctx context.Context) {
	sweep := time.NewTicker(100 * time.Millisecond)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			p.decideAll()
			return
		case id := <-p.arrived:
			p.settle(id, p.take(id), func(*parked) bool { return false })
		case now := <-sweep.C:
			p.each(func(x *parked) bool { return now.After(x.deadline) })
		}
	}
}

func (p *parking) take(id string) []*parked {
	p.mu.Lock()
	defer p.mu.Unlock()
	items := p.byID[id]
	delete(p.byID, id)
	p.count -= len(items)
	return items
}

// decideAll decides everything on what is known.
func (p *parking) decideAll() { p.each(func(*parked) bool { return true }) }

func (p *parking) each(final func(*parked) bool) {
	p.mu.Lock()
	ids := make([]string, 0, len(p.byID))
	for id := range p.byID {
		ids = append(ids, id)
	}
	p.mu.Unlock()
	for _, id := range ids {
		p.settle(id, p.take(id), final)
	}
}

// settle decides items again and parks what is still pending.
func (p *parking) settle(id string, items []*parked, final func(*parked) bool) {
	var left []*parked
	for _, x := range items {
		p.refresh(x.event)
		last := final(x)
		if last {
			p.timeouts.Add(1)
		}
		if x.pending = p.decide(x.event, x.pending, last); !x.pending.Empty() {
			left = append(left, x)
		}
	}
	if len(left) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byID[id] = append(left, p.byID[id]...)
	p.count += len(left)
}

// waiting returns how many events are parked.
func (p *parking) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}
