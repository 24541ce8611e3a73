package outputs

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/internal/testutil"
)

// subject is an output under the suite. start gives it a receiver: one that
// works, or one that takes connections and never answers. It enables the output
// in c with a queue and everything else as in the defaults, puts secret wherever
// the output takes one, and returns what arrived.
type subject struct {
	label  string
	secret string // "" for an output that takes none
	start  func(t *testing.T, w *world, c *Config, alive bool) (arrived func() []string)
}

// subjects has one row per row of Table.
var subjects = map[string]subject{
	"stdout":  stdoutSubject,
	"nats":    natsSubject,
	"webhook": webhookSubject,
}

func TestEveryOutputHasARowAndPassesTheSuite(t *testing.T) {
	rows := make(map[string]bool)
	for _, row := range Table {
		rows[row.Name] = true
		if _, ok := subjects[row.Name]; !ok {
			t.Errorf("output %s is not under the conformance suite: write its subject and add it to subjects", row.Name)
		}
	}
	fields := reflect.TypeFor[Config]()
	for i := range fields.NumField() {
		if name := fields.Field(i).Tag.Get("toml"); !rows[name] {
			t.Errorf("Config.%s has no row: add {%q, ...} to Table in outputs.go", fields.Field(i).Name, name)
		}
	}
	for name, s := range subjects {
		t.Run(name, func(t *testing.T) { conform(t, s) })
	}
}

func conform(t *testing.T, s subject) {
	t.Run("delivers in order, once, and counts", func(t *testing.T) {
		w, c := newWorld(), only(func(*Config) {})
		arrived := s.start(t, w, &c, true)
		d := w.start(t, c)
		sent := alerts(300)
		for _, a := range sent {
			d.Publish(a)
		}
		w.waitFor(t, s.label, delivered, len(sent))
		testutil.Eventually(t, patience, func() bool { return len(arrived()) >= len(sent) }, "all alerts at the receiver")
		if got := arrived(); !slices.Equal(got, ids(sent)) {
			t.Errorf("arrived %d: %v", len(got), got)
		}
		if n := w.value(t, "eunomia_output_delivery_seconds", "output="+s.label); n != float64(len(sent)) {
			t.Errorf("%v latencies for %d alerts", n, len(sent))
		}
		if err := closeWithin(d, patience); err != nil {
			t.Errorf("close: %v", err)
		}
	})

	t.Run("delivers on close what still waits", func(t *testing.T) {
		w, c := newWorld(), only(func(*Config) {})
		arrived := s.start(t, w, &c, true)
		d := w.start(t, c)
		w.settle(t, d, s.label)
		for _, a := range alerts(50) {
			d.Publish(a)
		}
		if err := closeWithin(d, patience); err != nil {
			t.Fatalf("close: %v", err)
		}
		testutil.Eventually(t, patience, func() bool { return len(arrived()) == 51 }, "all alerts at the receiver")
		d.Publish(alert(99, event.High))
		if n := w.result(t, s.label, droppedShutdown); n != 1 {
			t.Errorf("an alert after the close: counted %d times as %s", n, resultNames[droppedShutdown])
		}
		if err := closeWithin(d, patience); err != nil {
			t.Errorf("second close: %v", err)
		}
	})

	t.Run("filters by severity", func(t *testing.T) {
		w, c := newWorld(), only(func(*Config) {})
		arrived := s.start(t, w, &c, true)
		settingsOf(&c).MinSeverity = event.High
		d := w.start(t, c)
		for n, severity := range []event.Severity{event.Medium, event.High, event.Info, event.Critical} {
			d.Publish(alert(n, severity))
		}
		w.waitFor(t, s.label, delivered, 2)
		testutil.Eventually(t, patience, func() bool { return slices.Equal(arrived(), []string{"alert-00001", "alert-00003"}) }, "the two severe alerts")
		if n := w.result(t, s.label, filtered); n != 2 {
			t.Errorf("filtered: %d", n)
		}
	})

	t.Run("never blocks, counts and closes in time when the receiver is dead", func(t *testing.T) {
		w, c := newWorld(), only(func(*Config) {})
		s.start(t, w, &c, false)
		settingsOf(&c).Queue = 20
		d := w.start(t, c)
		const published = 500
		began := time.Now()
		for _, a := range alerts(published) {
			d.Publish(a)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("publishing took %s", took)
		}
		if n := w.value(t, "eunomia_output_queue_alerts", "output="+s.label); n != 20 {
			t.Errorf("the queue holds %v", n)
		}
		if w.value(t, "eunomia_output_queue_oldest_seconds", "output="+s.label) <= 0 {
			t.Error("the oldest alert in the queue has no age")
		}
		began = time.Now()
		err := closeWithin(d, 100*time.Millisecond)
		if took := time.Since(began); took > 100*time.Millisecond+2*closeGrace+time.Second {
			t.Errorf("closing took %s", took)
		}
		var left *Undelivered
		if !errors.As(err, &left) || left.Output != s.label || left.Alerts != 20 {
			t.Errorf("close: %v", err)
		}
		if n := w.settled(t, s.label); n != published {
			t.Errorf("%d alerts published, %d accounted for", published, n)
		}
		w.keepsSecret(t, s.secret, err)
	})

	t.Run("does not delay another output when its receiver is dead", func(t *testing.T) {
		w, c := newWorld(), only(func(*Config) {})
		s.start(t, w, &c, false)
		hook := testutil.WebhookServer(t)
		c.Webhook = append(c.Webhook, WebhookConfig{Name: "healthy", URL: Secret(hook.URL)})
		d := w.start(t, c)
		for _, a := range alerts(100) {
			d.Publish(a)
		}
		w.waitFor(t, "webhook/healthy", delivered, 100)
		if n := w.result(t, s.label, delivered); n != 0 {
			t.Errorf("the dead receiver has %d", n)
		}
	})

	t.Run("shows no secret when it fails", func(t *testing.T) {
		w, c := newWorld(), only(func(*Config) {})
		s.start(t, w, &c, false)
		settingsOf(&c).MaxAttempts = 1
		c.NATS.Timeout = Duration(50 * time.Millisecond)
		for i := range c.Webhook {
			c.Webhook[i].Timeout = Duration(50 * time.Millisecond)
		}
		d := w.start(t, c)
		d.Publish(alert(1, event.High))
		if s.secret != "" {
			w.waitForLog(t, "level=WARN")
		}
		err := closeWithin(d, 50*time.Millisecond)
		w.keepsSecret(t, s.secret, err, fmt.Sprintf("%v %+v", c, c), c.Validate())
	})
}

// settle delivers one alert, so that the output is known to be open.
func (w *world) settle(t *testing.T, d *Dispatcher, label string) {
	t.Helper()
	d.Publish(alert(99999, event.High))
	w.waitFor(t, label, delivered, 1)
}

// keepsSecret looks for a secret in the log, the metrics and whatever else is given.
func (w *world) keepsSecret(t *testing.T, secret string, also ...any) {
	t.Helper()
	if secret == "" {
		return
	}
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"log": w.log.String(), "metrics": fmt.Sprint(families), "error": fmt.Sprint(also...)} {
		if strings.Contains(text, secret) {
			t.Errorf("the secret is in the %s:\n%s", what, text)
		}
	}
}

// settingsOf returns the settings of the only output that is configured.
func settingsOf(c *Config) *Settings {
	_, list := c.configs()
	return list[0].settings()
}
