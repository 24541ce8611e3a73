package main

import (
	"sync"
	"sync/atomic"
	"time"

	"eunomia/engine"
	"eunomia/enrich"
	"eunomia/event"
)

// detector takes each event through enrichment and rules and publishes alerts. It
// is the middle of one event's life.
type detector struct {
	enricher *enrich.Enricher
	publish  func(*event.Alert)
	raw      func(*event.Event) // nil unless raw events are asked for
	lost     func() uint64      // events lost so far

	mu     sync.Mutex // guards engine: the sensor's goroutine and the parking lot use it
	engine *engine.Engine
	parked *parking

	evaluated [event.NumKinds]atomic.Uint64
	latency   func(time.Duration)                // observes the time from act to alert
	watch     atomic.Pointer[func(*event.Event)] // the self-test's, nil after it
}

// handle is called with every event, in order.
func (d *detector) handle(e *event.Event) {
	d.enricher.Enrich(e)
	if e.Kind.Info().Internal {
		return
	}
	if w := d.watch.Load(); w != nil {
		(*w)(e)
	}
	d.evaluated[e.Kind].Add(1)
	d.mu.Lock()
	matches, pending := d.engine.Evaluate(e)
	d.raise(e, matches)
	if !pending.Empty() && !d.parked.add(e, pending) {
		matches, _ = d.engine.Decide(e, pending.Clone(), true)
		d.raise(e, matches)
	}
	d.mu.Unlock()
	if d.raw != nil {
		d.raw(e)
	}
}

// decide evaluates a parked event again. It returns what is still pending.
func (d *detector) decide(e *event.Event, p engine.Pending, final bool) engine.Pending {
	d.mu.Lock()
	defer d.mu.Unlock()
	matches, pending := d.engine.Decide(e, p, final)
	d.raise(e, matches)
	return pending.Clone()
}

func (d *detector) raise(e *event.Event, matches []engine.Match) {
	for _, m := range matches {
		d.publish(event.NewAlert(e, m.Rule.Info, m.Message, event.Context{
			Lost: d.lost(), Version: version, Decided: m.Decided, Suppressed: m.Suppressed,
		}))
		d.latency(time.Duration(time.Now().UnixNano() - e.Time))
	}
}
