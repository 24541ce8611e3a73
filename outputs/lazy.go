package outputs

import (
	"context"
	"errors"
	"sync"

	"eunomia/event"
)

var errClosed = errors.New("output is closed")

// lazy opens its sink at the first Send, and again at each further one until
// that works: a sink that cannot be opened fails like one that cannot deliver,
// and neither blocks nor ends the detector.
type lazy struct {
	open func(context.Context) (Output, error)

	mu     sync.Mutex
	sink   Output // nil until opened
	closed bool
}

func (l *lazy) Send(ctx context.Context, alerts []*event.Alert) (int, error) {
	sink := l.opened()
	if sink == nil {
		var err error
		if sink, err = l.reopen(ctx); err != nil {
			return 0, err
		}
	}
	if len(alerts) == 0 {
		return 0, nil
	}
	return sink.Send(ctx, alerts)
}

func (l *lazy) reopen(ctx context.Context) (Output, error) {
	sink, err := l.open(ctx)
	if err != nil {
		// Whatever keeps a sink from opening says nothing about the alert that waits.
		return nil, hinted(errors.New(err.Error()), hintOf(err))
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, errors.Join(errClosed, sink.Close(ctx))
	}
	l.sink = sink
	l.mu.Unlock()
	return sink, nil
}

// opened returns the sink, nil while there is none.
func (l *lazy) opened() Output {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sink
}

func (l *lazy) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	sink := l.sink
	l.mu.Unlock()
	if sink == nil {
		return nil
	}
	return sink.Close(ctx)
}
