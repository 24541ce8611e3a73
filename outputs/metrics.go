package outputs

import (
	"context"
	"time"

	"eunomia/event"

	"github.com/prometheus/client_golang/prometheus"
)

// result is what became of an alert at one output.
type result int

// Every alert that is published ends at every output in one of these.
const (
	delivered        result = iota // the receiver has it
	filtered                       // below the output's min_severity
	droppedQueueFull               // the queue was full
	droppedPermanent               // the receiver refused it
	droppedExpired                 // retry_for or max_attempts ran out
	droppedShutdown                // the detector stopped before it was delivered
	numResults
)

var resultNames = [numResults]string{
	"delivered", "filtered", "dropped_queue_full", "dropped_permanent", "dropped_expired", "dropped_shutdown",
}

// eventResult is what became of a raw event.
type eventResult int

const (
	eventSent eventResult = iota // written to the connection; nobody acknowledges raw events
	eventDroppedQueueFull
	eventDroppedDisconnected // there was no connection, or it broke
	eventDroppedShutdown
	numEventResults
)

var eventResultNames = [numEventResults]string{"sent", "dropped_queue_full", "dropped_disconnected", "dropped_shutdown"}

// metrics are those of all outputs.
type metrics struct {
	alerts, retries, events *prometheus.CounterVec
	latency                 *prometheus.HistogramVec
}

func newMetrics() *metrics {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &metrics{
		alerts:  counters("eunomia_output_alerts_total", "Alerts by output and what became of them.", "output", "result"),
		retries: counters("eunomia_output_retries_total", "Attempts that failed and were or will be repeated.", "output"),
		events:  counters("eunomia_output_events_total", "Raw events by output and what became of them.", "output", "result"),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "eunomia_output_delivery_seconds",
			Help:    "From the act to the receiver's acknowledgement.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 10, 60, 600, 3600},
		}, []string{"output"}),
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.alerts, m.retries, m.events, m.latency}
}

// tally is one output's share of the metrics, all of it present at zero.
type tally struct {
	results [numResults]prometheus.Counter
	events  [numEventResults]prometheus.Counter // nil unless the output takes raw events
	retries prometheus.Counter
	latency prometheus.Observer
}

func (m *metrics) tally(output string, takesEvents bool) *tally {
	t := &tally{retries: m.retries.WithLabelValues(output), latency: m.latency.WithLabelValues(output)}
	for r, name := range resultNames {
		t.results[r] = m.alerts.WithLabelValues(output, name)
	}
	if takesEvents {
		for r, name := range eventResultNames {
			t.events[r] = m.events.WithLabelValues(output, name)
		}
	}
	return t
}

func (t *tally) count(r result, n int) { t.results[r].Add(float64(n)) }

// meter counts deliveries and times them.
type meter struct {
	next  Output
	tally *tally
}

func (m *meter) Send(ctx context.Context, alerts []*event.Alert) (int, error) {
	n, err := m.next.Send(ctx, alerts)
	now := time.Now().UnixNano()
	for _, a := range alerts[:n] {
		m.tally.latency.Observe(time.Duration(max(0, now-a.Time)).Seconds())
	}
	m.tally.count(delivered, n)
	return n, err
}

func (m *meter) Close(ctx context.Context) error { return m.next.Close(ctx) }

// filter passes on alerts of at least a severity.
type filter struct {
	next  Output
	min   event.Severity
	tally *tally
}

func (f *filter) Send(ctx context.Context, alerts []*event.Alert) (int, error) {
	for i, a := range alerts {
		if a.Rule.Severity < f.min {
			f.tally.count(filtered, 1)
			continue
		}
		if n, err := f.next.Send(ctx, alerts[i:i+1]); n == 0 {
			return i, err
		}
	}
	return len(alerts), nil
}

func (f *filter) Close(ctx context.Context) error { return f.next.Close(ctx) }

var (
	queueLength = prometheus.NewDesc("eunomia_output_queue_alerts", "Alerts that wait for an output, or are under way.", []string{"output"}, nil)
	queueOldest = prometheus.NewDesc("eunomia_output_queue_oldest_seconds", "How long the oldest of them has waited.", []string{"output"}, nil)
)

// queueGauges reads the queues when the metrics are scraped.
type queueGauges map[string]*queue

func (g queueGauges) Describe(out chan<- *prometheus.Desc) { out <- queueLength; out <- queueOldest }

func (g queueGauges) Collect(out chan<- prometheus.Metric) {
	for output, q := range g {
		n, age := q.backlog()
		out <- prometheus.MustNewConstMetric(queueLength, prometheus.GaugeValue, float64(n), output)
		out <- prometheus.MustNewConstMetric(queueOldest, prometheus.GaugeValue, age.Seconds(), output)
	}
}
