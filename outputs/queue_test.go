package outputs

import (
	"context"
	"slices"
	"testing"

	"eunomia/event"
	"eunomia/internal/testutil"
)

// stuckQueue is a queue whose goroutine waits in its sink with one alert until release.
func stuckQueue(t *testing.T, s Settings) (q *queue, sink *fakeSink, count func(result) int, release func()) {
	t.Helper()
	w := newWorld()
	m := newMetrics()
	w.metrics.MustRegister(m.alerts)
	entered, gate := make(chan struct{}), make(chan struct{})
	first := true
	sink = &fakeSink{send: func(ctx context.Context, _ *event.Alert) error {
		if first {
			first = false
			close(entered)
			select {
			case <-gate:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}}
	q = newQueue("test", s.withDefaults(), m.tally("test", false), make(chan struct{}), sink)
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = q.Close(ended)
	})
	_, _ = q.Send(t.Context(), []*event.Alert{alert(0, event.High)})
	<-entered
	return q, sink, func(r result) int { return w.result(t, "test", r) }, func() { close(gate) }
}

func TestFullQueueDropsByItsPolicy(t *testing.T) {
	for policy, want := range map[string][]string{
		DropNewest: {"alert-00000", "alert-00001", "alert-00002"},
		DropOldest: {"alert-00000", "alert-00008", "alert-00009"}, // the first is under way and stays
	} {
		t.Run(policy, func(t *testing.T) {
			q, sink, count, release := stuckQueue(t, Settings{Queue: 3, WhenFull: policy})
			_, _ = q.Send(t.Context(), alerts(10)[1:])
			if n := count(droppedQueueFull); n != 7 {
				t.Errorf("counted %d drops", n)
			}
			if n, age := q.backlog(); n != 3 || age <= 0 {
				t.Errorf("backlog %d, %s", n, age)
			}
			release()
			testutil.Eventually(t, patience, func() bool { return slices.Equal(sink.ids(), want) }, "the alerts that fit")
		})
	}
}

func TestQueueIsBoundedInBytes(t *testing.T) {
	size := len(alert(0, event.High).Document)
	q, sink, count, release := stuckQueue(t, Settings{QueueBytes: 2 * size})
	_, _ = q.Send(t.Context(), alerts(5)[1:])
	if n := count(droppedQueueFull); n != 3 {
		t.Errorf("counted %d drops", n)
	}
	release()
	testutil.Eventually(t, patience, func() bool { n, _ := q.backlog(); return n == 0 }, "an empty queue")
	_, _ = q.Send(t.Context(), []*event.Alert{alert(7, event.High)})
	testutil.Eventually(t, patience, func() bool { return slices.Contains(sink.ids(), "alert-00007") }, "room again")
}

func TestQueueTakesAnAlertThatIsLargerThanItsBound(t *testing.T) {
	sink := &fakeSink{send: func(context.Context, *event.Alert) error { return nil }}
	q := newQueue("test", Settings{QueueBytes: 1}.withDefaults(), newMetrics().tally("test", false), make(chan struct{}), sink)
	defer q.Close(t.Context())
	_, _ = q.Send(t.Context(), alerts(1))
	testutil.Eventually(t, patience, func() bool { return len(sink.ids()) == 1 }, "the alert")
}
