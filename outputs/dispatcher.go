package outputs

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"eunomia/event"

	"github.com/prometheus/client_golang/prometheus"
)

// Dispatcher hands alerts, and raw events where wanted, to all outputs.
type Dispatcher struct {
	head    Output // a spool goes here, in front of the fanout
	matches Matches
	events  []*eventQueue
}

// New starts the outputs of a configuration without problems (Validate). Outputs
// open in their own goroutines, so it neither blocks nor fails because a receiver
// is away; it fails when the metrics cannot be registered.
func New(c Config, env Env) (*Dispatcher, error) {
	m := newMetrics()
	d := &Dispatcher{}
	if err := register(env.Metrics, append(m.collectors(), &d.matches)); err != nil {
		return nil, err
	}
	var all fanout
	gauges := make(queueGauges)
	_, list := c.configs()
	for _, config := range list {
		chain := newChain(config, m, env)
		all = append(all, &filter{chain.queue, config.settings().withDefaults().MinSeverity, chain.tally})
		gauges[config.label()] = chain.queue
		if chain.events != nil {
			d.events = append(d.events, chain.events)
		}
	}
	d.head = all
	if err := register(env.Metrics, []prometheus.Collector{gauges}); err != nil {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		return nil, errors.Join(err, d.Close(ended))
	}
	return d, nil
}

func register(to prometheus.Registerer, collectors []prometheus.Collector) error {
	if to == nil {
		return nil
	}
	for _, c := range collectors {
		if err := to.Register(c); err != nil {
			return fmt.Errorf("register metrics of outputs: %w", err)
		}
	}
	return nil
}

// chain is one output: the line of the package comment, but for its filter.
type chain struct {
	queue  *queue
	events *eventQueue // nil unless it takes raw events
	tally  *tally
}

func newChain(config sinkConfig, m *metrics, env Env) chain {
	name, s := config.label(), config.settings().withDefaults()
	env.Log = env.Log.With("output", name)
	raw, takesEvents := config.(interface{ wantsEvents() bool })
	t := m.tally(name, takesEvents)
	sink := &lazy{open: func(ctx context.Context) (Output, error) { return config.open(ctx, env) }}
	hurry := make(chan struct{})
	c := chain{tally: t}
	c.queue = newQueue(name, s, t, hurry, newRetry(s, t, env.Log, hurry, &meter{sink, t}))
	if takesEvents && raw.wantsEvents() {
		c.events = newEventQueue(sink, t)
	}
	return c
}

// Publish hands an alert to every output. It never blocks.
func (d *Dispatcher) Publish(a *event.Alert) {
	d.matches.Count(a)
	_, _ = d.head.Send(context.Background(), []*event.Alert{a}) // queues settle everything: kept or counted
}

// SetRules tells which rules eunomia_rule_matches_total counts, at start and at
// each reload.
func (d *Dispatcher) SetRules(rules []event.RuleInfo) { d.matches.SetRules(rules) }

// WantsEvents tells whether any output takes raw events, so that the caller need
// not write their documents.
func (d *Dispatcher) WantsEvents() bool { return len(d.events) > 0 }

// PublishEvent hands a raw event's document to the outputs that want them: best
// effort, never blocking, counted. The document must not be changed afterwards.
func (d *Dispatcher) PublishEvent(kind event.Kind, document []byte) {
	for _, q := range d.events {
		q.add(kind, document)
	}
}

// Close stops the intake and gives the outputs until ctx ends to deliver what
// they hold. The error joins one *Undelivered for each that could not.
func (d *Dispatcher) Close(ctx context.Context) error {
	for _, q := range d.events {
		q.close()
	}
	return d.head.Close(ctx)
}

// fanout hands every alert to each of its outputs, which must not block.
type fanout []Output

func (f fanout) Send(ctx context.Context, alerts []*event.Alert) (int, error) {
	var errs []error
	for _, o := range f {
		if _, err := o.Send(ctx, alerts); err != nil {
			errs = append(errs, err)
		}
	}
	return len(alerts), errors.Join(errs...)
}

func (f fanout) Close(ctx context.Context) error {
	errs := make([]error, len(f))
	var wg sync.WaitGroup
	for i, o := range f {
		wg.Go(func() { errs[i] = o.Close(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
