package outputs

import (
	"testing"
	"time"

	"eunomia/event"
	"eunomia/internal/testutil"
)

func BenchmarkPublishToFullQueues(b *testing.B) {
	w := newWorld()
	d, err := New(only(func(c *Config) {
		c.Webhook = []WebhookConfig{{URL: "http://127.0.0.1:1", Settings: Settings{Queue: 1}}}
	}), w.Env)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = closeWithin(d, time.Millisecond) })
	a := alert(1, event.High)
	b.ReportAllocs()
	for b.Loop() {
		d.Publish(a)
	}
}

func BenchmarkEmbeddedNATS(b *testing.B) {
	w := newWorld()
	w.StateDir = b.TempDir()
	benchmark(b, w, only(func(c *Config) { c.NATS.Enabled, c.NATS.Embedded.Port = true, -1 }), "nats")
}

func BenchmarkWebhook(b *testing.B) {
	hook := testutil.WebhookServer(b)
	benchmark(b, newWorld(), only(func(c *Config) { c.Webhook = []WebhookConfig{{URL: Secret(hook.URL)}} }), "webhook")
}

// benchmark delivers alerts of 2 KiB, never more at once than the queue holds.
func benchmark(b *testing.B, w *world, c Config, label string) {
	d, err := New(c, w.Env)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = closeWithin(d, time.Second) })
	chain := d.head.(fanout)[0].(*filter).next.(*queue)
	wait := func(most int) {
		testutil.Eventually(b, time.Minute, func() bool { n, _ := chain.backlog(); return n <= most }, label+" to keep up")
	}
	d.Publish(alert(0, event.High))
	wait(0)
	n := 0
	for b.Loop() {
		a := alert(n, event.High)
		a.ID, a.Document = event.NewID(time.Now()), make([]byte, 2048)
		d.Publish(a)
		if n++; n%5000 == 0 {
			wait(2500)
		}
	}
	wait(0)
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "alerts/s")
}
