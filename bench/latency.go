package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"
)

const (
	alertRate  = 1000 // per second
	alertRuns  = 5
	alertTime  = 2 * time.Second // of a run
	alertGrace = 5 * time.Second // after it; what has not arrived by then counts as never
)

var latencyExperiment = experiment{
	name: "latency", kernel: true,
	figures: []figure{
		{key: "latency.nats_p99_ms", unit: "ms", goal: "<= 20", what: "from before the system call to a NATS subscriber, at 1,000 alerts/s"},
		{key: "latency.webhook_p99_ms", unit: "ms", goal: "<= 20", what: "the same to a webhook's receiver"},
		{key: "info.nats_p50_ms", unit: "ms", what: "median of the same"},
		{key: "info.webhook_p50_ms", unit: "ms", what: "median of the same"},
	},
	run: measureLatency,
}

const actRule = `rules:
  - id: bench_act
    title: Act of the benchmark
    description: Matches what the benchmark does so that its alerts can be timed.
    on: [open]
    condition: file.path.startsWith(%q)
    message: "act {file.path}"
    severity: medium
    tests:
      - fires: {event.kind: open, file.path: %q}
      - silent: {event.kind: open, file.path: /etc/hostname}
`

// receiver keeps how long alerts took. An alert tells by the name of the file that
// it is about when the act was made, and by its directory in which run.
type receiver struct {
	mu    sync.Mutex
	run   string
	times []float64 // ms
}

func (r *receiver) begin(run string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run, r.times = run, nil
}

func (r *receiver) take() []float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.times
}

func (r *receiver) receive(now time.Time, document []byte) {
	var alert struct {
		File struct {
			Path string `json:"path"`
		} `json:"file"`
	}
	if json.Unmarshal(document, &alert) != nil {
		return // not an alert of ours; if it was, it will be missing
	}
	made, err := strconv.ParseInt(path.Base(alert.File.Path), 10, 64)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && path.Dir(alert.File.Path) == r.run {
		r.times = append(r.times, float64(now.UnixNano()-made)/1e6)
	}
}

// ServeHTTP is the webhook.
func (r *receiver) ServeHTTP(_ http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err == nil {
		r.receive(time.Now(), body)
	}
}

// measureLatency lets a loop make acts that a rule matches, and listens at the
// outputs. Both figures come from the same alerts.
func measureLatency(ctx context.Context, l *lab, _ wanted) (map[string][]float64, error) {
	acts := filepath.Join(l.dir, "acts")
	rules := filepath.Join(l.dir, "act.yaml")
	if err := errors.Join(os.Mkdir(acts, 0o755), os.WriteFile(rules, fmt.Appendf(nil, actRule, acts+"/", acts+"/1/1"), 0o600)); err != nil {
		return nil, err
	}
	viaNATS, viaWebhook := &receiver{}, &receiver{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	hook := &http.Server{Handler: viaWebhook, ReadHeaderTimeout: 5 * time.Second}
	var serving errgroup.Group
	serving.Go(func() error { return hook.Serve(listener) })
	defer func() {
		_ = hook.Close()
		_ = serving.Wait() // http.ErrServerClosed
	}()

	runs := map[string][]float64{}
	s := setup{rules: rules, config: fmt.Sprintf("[[outputs.webhook]]\nurl = \"http://%s/\"\n", listener.Addr())}
	err = l.during(ctx, s, func(d *detector) error {
		conn, err := nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", d.nats))
		if err != nil {
			return fmt.Errorf("subscribe to alerts: %w", err)
		}
		defer conn.Close()
		if _, err := conn.Subscribe("eunomia.alerts.>", func(m *nats.Msg) { viaNATS.receive(time.Now(), m.Data) }); err != nil {
			return fmt.Errorf("subscribe to alerts: %w", err)
		}
		if err := conn.Flush(); err != nil {
			return fmt.Errorf("subscribe to alerts: %w", err)
		}
		for i := range alertRuns + 1 { // the first one warms up
			dir := filepath.Join(acts, strconv.Itoa(i))
			if err := os.Mkdir(dir, 0o755); err != nil {
				return err
			}
			viaNATS.begin(dir)
			viaWebhook.begin(dir)
			l.progress("latency: %d of %d", i, alertRuns)
			r, err := l.child(ctx, task{Loop: "act", Rate: alertRate, For: alertTime, Target: dir})
			if err != nil {
				return err
			}
			for _, o := range []struct {
				name string
				from *receiver
			}{{"nats", viaNATS}, {"webhook", viaWebhook}} {
				times, err := o.from.wait(ctx, r.Made)
				if err != nil {
					return err
				}
				if len(times) < r.Made {
					l.progress("latency: %d of %d alerts have not arrived by %s", r.Made-len(times), r.Made, o.name)
				}
				if i > 0 {
					runs["latency."+o.name+"_p99_ms"] = append(runs["latency."+o.name+"_p99_ms"], percentile(times, 0.99, r.Made))
					runs["info."+o.name+"_p50_ms"] = append(runs["info."+o.name+"_p50_ms"], percentile(times, 0.5, r.Made))
				}
			}
		}
		return nil
	})
	return runs, err
}

// wait returns the times of the alerts of this run, when all have arrived or the
// grace is over.
func (r *receiver) wait(ctx context.Context, made int) ([]float64, error) {
	for end := time.Now().Add(alertGrace); len(r.take()) < made && time.Now().Before(end); {
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return r.take(), nil
}
