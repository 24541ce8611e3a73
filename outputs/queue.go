package outputs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"eunomia/event"
)

const (
	maxBatch   = 64          // alerts handed on at once
	closeGrace = time.Second // for a sink to notice that its context has ended
)

// queue takes alerts without ever blocking and hands them on from a goroutine of
// its own. What it holds is bounded in alerts and in bytes, those under way
// included; beyond that it drops the newest or the oldest, and counts.
type queue struct {
	name       string
	next       Output
	tally      *tally
	limit      int
	limitBytes int
	dropOldest bool

	mu       sync.Mutex
	waiting  []entry
	underWay []entry
	bytes    int // documents of both
	closed   bool

	wake   chan struct{} // holds one token: something changed
	hurry  chan struct{} // closed when the output is told to end
	done   chan struct{} // closed when the goroutine has ended
	cancel context.CancelFunc
}

type entry struct {
	alert *event.Alert
	since time.Time
}

// newQueue starts a queue. hurry is closed when it is told to end, so that
// whoever is waiting behind it stops waiting.
func newQueue(name string, s Settings, t *tally, hurry chan struct{}, next Output) *queue {
	ctx, cancel := context.WithCancel(context.Background())
	q := &queue{
		name: name, next: next, tally: t,
		limit: s.Queue, limitBytes: s.QueueBytes, dropOldest: s.WhenFull == DropOldest,
		wake: make(chan struct{}, 1), hurry: hurry, done: make(chan struct{}), cancel: cancel,
	}
	go q.run(ctx)
	return q
}

// Send puts alerts in the queue. It settles all of them: kept or counted.
func (q *queue) Send(_ context.Context, alerts []*event.Alert) (int, error) {
	now := time.Now()
	q.mu.Lock()
	for _, a := range alerts {
		q.add(entry{a, now})
	}
	q.mu.Unlock()
	q.signal()
	return len(alerts), nil
}

func (q *queue) add(e entry) {
	if q.closed {
		q.tally.count(droppedShutdown, 1)
		return
	}
	size := len(e.alert.Document)
	full := func() bool {
		held := len(q.waiting) + len(q.underWay)
		return held >= q.limit || held > 0 && q.bytes+size > q.limitBytes
	}
	for q.dropOldest && full() && len(q.waiting) > 0 {
		q.bytes -= len(q.waiting[0].alert.Document)
		q.waiting = pop(q.waiting, 1)
		q.tally.count(droppedQueueFull, 1)
	}
	if full() {
		q.tally.count(droppedQueueFull, 1)
		return
	}
	q.waiting = append(q.waiting, e)
	q.bytes += size
}

func (q *queue) run(ctx context.Context) {
	defer close(q.done)
	if _, err := q.next.Send(ctx, nil); err != nil {
		return
	}
	for {
		batch := q.take(ctx)
		if batch == nil {
			return
		}
		n, err := q.next.Send(ctx, batch)
		q.settle(n)
		if err != nil {
			return // only the end of ctx stops a retry
		}
	}
}

// take waits for alerts and returns the oldest of them, nil when there will be none.
func (q *queue) take(ctx context.Context) []*event.Alert {
	for {
		q.mu.Lock()
		if n := min(len(q.waiting), maxBatch); n > 0 {
			q.underWay = append(q.underWay[:0], q.waiting[:n]...)
			q.waiting = pop(q.waiting, n)
			batch := make([]*event.Alert, n)
			for i, e := range q.underWay {
				batch[i] = e.alert
			}
			q.mu.Unlock()
			return batch
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return nil
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// settle forgets the first n of those under way; the others stay to be counted by Close.
func (q *queue) settle(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.underWay)) // Close has given up on them meanwhile
	for _, e := range q.underWay[:n] {
		q.bytes -= len(e.alert.Document)
	}
	q.underWay = pop(q.underWay, n)
}

// Close stops the intake, lets the goroutine deliver what is left until ctx ends,
// and counts the rest. The error says how many there were.
func (q *queue) Close(ctx context.Context) error {
	q.mu.Lock()
	again := q.closed
	q.closed = true
	idle := len(q.waiting)+len(q.underWay) == 0
	q.mu.Unlock()
	if again {
		return nil
	}
	close(q.hurry)
	q.signal()
	if idle {
		q.cancel() // it may be opening its sink, and nobody waits for that
	}
	ended := true
	select {
	case <-q.done:
	case <-ctx.Done():
		ended = false
	}
	q.cancel()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
	defer cancel()
	if !ended {
		select {
		case <-q.done:
		case <-grace.Done(): // the sink ignores its context, as a write to a stuck pipe does
		}
	}
	var errs []error
	if left := q.abandon(); left > 0 {
		errs = append(errs, &Undelivered{Output: q.name, Alerts: left})
	}
	if err := q.next.Close(grace); err != nil {
		errs = append(errs, fmt.Errorf("close output %s: %w", q.name, err))
	}
	return errors.Join(errs...)
}

func (q *queue) abandon() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := len(q.waiting) + len(q.underWay)
	q.waiting, q.underWay, q.bytes = nil, nil, 0
	q.tally.count(droppedShutdown, left)
	return left
}

// backlog returns how many alerts the queue holds and how long the oldest has
// been there.
func (q *queue) backlog() (int, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case len(q.underWay) > 0:
		return len(q.underWay) + len(q.waiting), time.Since(q.underWay[0].since)
	case len(q.waiting) > 0:
		return len(q.waiting), time.Since(q.waiting[0].since)
	}
	return 0, 0
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// pop removes the first n entries and lets go of their alerts.
func pop(list []entry, n int) []entry {
	clear(list[:n])
	return list[n:]
}

// Undelivered says how many alerts an output still held when it had to stop.
type Undelivered struct {
	Output string
	Alerts int
}

func (u *Undelivered) Error() string {
	return fmt.Sprintf("output %s: %d alerts were not delivered before the deadline", u.Output, u.Alerts)
}
