package outputs

import (
	"context"
	"sync"

	"eunomia/event"
)

// eventSink is a sink that also takes raw events.
type eventSink interface {
	SendEvent(kind event.Kind, document []byte) error
}

const maxEvents = 4096 // raw events that wait for one output; the newest is dropped beyond

// eventQueue carries raw events to a sink: best effort, nothing is repeated.
type eventQueue struct {
	sink  *lazy
	tally *tally
	queue chan rawEvent
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu     sync.RWMutex
	closed bool
}

type rawEvent struct {
	kind     event.Kind
	document []byte
}

func newEventQueue(sink *lazy, t *tally) *eventQueue {
	ctx, stop := context.WithCancel(context.Background())
	q := &eventQueue{sink: sink, tally: t, queue: make(chan rawEvent, maxEvents), stop: stop}
	q.done.Go(func() { q.run(ctx) })
	return q
}

func (q *eventQueue) add(kind event.Kind, document []byte) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		q.tally.events[eventDroppedShutdown].Inc()
		return
	}
	select {
	case q.queue <- rawEvent{kind, document}:
	default:
		q.tally.events[eventDroppedQueueFull].Inc()
	}
}

func (q *eventQueue) run(ctx context.Context) {
	for {
		select {
		case e := <-q.queue:
			q.send(e)
		case <-ctx.Done():
			return
		}
	}
}

func (q *eventQueue) send(e rawEvent) {
	sink, ok := q.sink.opened().(eventSink)
	if !ok || sink.SendEvent(e.kind, e.document) != nil {
		q.tally.events[eventDroppedDisconnected].Inc()
		return
	}
	q.tally.events[eventSent].Inc()
}

// close ends the goroutine and counts what waited. The sink bounds how long a
// SendEvent takes.
func (q *eventQueue) close() {
	q.mu.Lock()
	again := q.closed
	q.closed = true
	q.mu.Unlock()
	if again {
		return
	}
	q.stop()
	q.done.Wait()
	q.tally.events[eventDroppedShutdown].Add(float64(len(q.queue)))
}
