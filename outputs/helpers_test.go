package outputs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/internal/testutil"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const patience = 10 * time.Second // bounds every wait; reached only by a failure

// world is an Env whose every word can be read.
type world struct {
	Env
	log     *buffer
	metrics *prometheus.Registry
}

func newWorld() *world {
	w := &world{log: &buffer{}, metrics: prometheus.NewRegistry()}
	w.Env = Env{
		Stdout: io.Discard, Metrics: w.metrics, Node: "node.example", Version: "1.2.3",
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return w
}

// start runs outputs until the end of the test.
func (w *world) start(t *testing.T, c Config) *Dispatcher {
	t.Helper()
	if problems := c.Validate(); len(problems) > 0 {
		t.Fatalf("configuration of the test: %v", problems)
	}
	d, err := New(c, w.Env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeWithin(d, 100*time.Millisecond) })
	return d
}

func closeWithin(d *Dispatcher, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return d.Close(ctx)
}

// only is a configuration without any output, for the test to add its own.
func only(change func(*Config)) Config {
	c := DefaultConfig()
	c.Stdout.Enabled, c.NATS.Enabled = false, false
	change(&c)
	return c
}

// fast makes an output repeat quickly.
func fast(s *Settings) {
	s.Backoff, s.MaxBackoff = Duration(time.Millisecond), Duration(20*time.Millisecond)
}

// value reads one counter or gauge; labels as "key=value".
func (w *world) value(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	m := w.metric(t, name, labels...)
	if m == nil {
		t.Fatalf("no metric %s %v", name, labels)
	}
	if h := m.GetHistogram(); h != nil {
		return float64(h.GetSampleCount())
	}
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

func (w *world) metric(t *testing.T, name string, labels ...string) *dto.Metric {
	t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	metrics:
		for _, m := range f.GetMetric() {
			has := make(map[string]bool)
			for _, l := range m.GetLabel() {
				has[l.GetName()+"="+l.GetValue()] = true
			}
			for _, l := range labels {
				if !has[l] {
					continue metrics
				}
			}
			return m
		}
	}
	return nil
}

func (w *world) result(t *testing.T, output string, r result) int {
	t.Helper()
	return int(w.value(t, "eunomia_output_alerts_total", "output="+output, "result="+resultNames[r]))
}

// waitFor waits until n alerts have had a result.
func (w *world) waitFor(t *testing.T, output string, r result, n int) {
	t.Helper()
	testutil.Eventually(t, patience, func() bool { return w.result(t, output, r) >= n },
		fmt.Sprintf("%s: %d alerts %s; log:\n%s", output, n, resultNames[r], w.log))
}

// waitForLog waits until the log has a text.
func (w *world) waitForLog(t *testing.T, text string) {
	t.Helper()
	testutil.Eventually(t, patience, func() bool { return strings.Contains(w.log.String(), text) }, fmt.Sprintf("a log with %q", text))
}

// settled adds up the results of an output.
func (w *world) settled(t *testing.T, output string) int {
	t.Helper()
	sum := 0
	for r := range numResults {
		sum += w.result(t, output, r)
	}
	return sum
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// alert makes an alert of a severity; n tells it from the others.
func alert(n int, s event.Severity) *event.Alert {
	id := fmt.Sprintf("alert-%05d", n)
	return &event.Alert{
		ID: id, Time: time.Now().UnixNano(), Node: "node.example", Kind: event.Exec,
		Rule: event.RuleInfo{ID: "test_rule", Title: "Test", Severity: s}, Message: "message of " + id,
		Document: fmt.Appendf(nil, `{"event":{"id":%q},"rule":{"id":"test_rule"}}`, id),
	}
}

func alerts(n int) []*event.Alert {
	list := make([]*event.Alert, n)
	for i := range list {
		list[i] = alert(i, event.High)
	}
	return list
}

func ids(list []*event.Alert) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.ID
	}
	return out
}

// idIn finds the id of an alert in a document or a line.
func idIn(s string) string {
	if i := strings.Index(s, "alert-"); i >= 0 {
		return s[i : i+len("alert-00000")]
	}
	return ""
}

// fakeSink is an Output that does what its function says and keeps what it settled.
type fakeSink struct {
	mu   sync.Mutex
	got  []string
	send func(ctx context.Context, a *event.Alert) error
}

func (f *fakeSink) Send(ctx context.Context, alerts []*event.Alert) (int, error) {
	for i, a := range alerts {
		if err := f.send(ctx, a); err != nil {
			return i, err
		}
		f.mu.Lock()
		f.got = append(f.got, a.ID)
		f.mu.Unlock()
	}
	return len(alerts), nil
}

func (f *fakeSink) Close(context.Context) error { return nil }

func (f *fakeSink) ids() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.got...)
}

var errAway = errors.New("receiver is away")
