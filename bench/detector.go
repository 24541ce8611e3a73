package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	readyWithin = 30 * time.Second
	stopWithin  = 15 * time.Second
	// settleTime lets the work of starting up end before anything is measured.
	settleTime = time.Second
)

// setup is how a detector differs from the default one.
type setup struct {
	rules  string // rule file, merged after the default rules
	config string // TOML, after what every run needs
}

// detector is a running `eunomia server`.
type detector struct {
	cmd   *exec.Cmd
	url   string // of its HTTP server
	nats  int    // port of its embedded NATS server
	ready time.Duration
	log   *bytes.Buffer // its stderr; read it when ended is closed
	ended chan struct{}
	err   error // how it ended
}

// start runs a detector as a user would: default rules, alerts written (to
// /dev/null), metrics and NATS on loopback; only ports and the state directory are
// its own. It returns when the detector says that events flow.
func (l *lab) start(ctx context.Context, s setup) (*detector, error) {
	dir, err := os.MkdirTemp(l.dir, "detector-")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "eunomia.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "%s\n[outputs.nats.embedded]\nport = %d\n", s.config, ports[1]), 0o600); err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	args := []string{"server", "--config", config, "--listen", address, "--state-dir", filepath.Join(dir, "state")}
	if s.rules != "" {
		args = append(args, "--rules", s.rules)
	}
	d := &detector{url: "http://" + address, nats: ports[1], log: new(bytes.Buffer), ended: make(chan struct{})}
	d.cmd = exec.CommandContext(ctx, l.detector, args...)
	d.cmd.Stderr = d.log // and its stdout is /dev/null
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(syscall.SIGTERM) }
	d.cmd.WaitDelay = stopWithin
	began := time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start detector: %w", err)
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.ended)
	}()
	if err := d.waitReady(ctx); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	d.ready = time.Since(began)
	if err := sleep(ctx, settleTime); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

func (d *detector) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		if status, _, err := get(ctx, d.url+"/readyz"); err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case <-d.ended:
			return fmt.Errorf("the detector ended at once: %w: %s", d.err, lastLines(d.log.String(), 3))
		case <-ctx.Done():
			return fmt.Errorf("the detector was not ready: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stop ends the detector and waits until it has detached.
func (d *detector) stop() error {
	select {
	case <-d.ended:
		return fmt.Errorf("the detector ended by itself: %w: %s", d.err, lastLines(d.log.String(), 3))
	default:
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended this moment
	select {
	case <-d.ended:
	case <-time.After(stopWithin):
		_ = d.cmd.Process.Kill()
		<-d.ended
		return fmt.Errorf("the detector did not stop within %s", stopWithin)
	}
	if d.err != nil {
		return fmt.Errorf("stop detector: %w: %s", d.err, lastLines(d.log.String(), 3))
	}
	return nil
}

func (d *detector) pid() int { return d.cmd.Process.Pid }

// during runs f beside a detector and stops it.
func (l *lab) during(ctx context.Context, s setup, f func(d *detector) error) error {
	d, err := l.start(ctx, s)
	if err != nil {
		return err
	}
	return errors.Join(f(d), d.stop())
}

// metrics are a scrape.
type metrics map[string]*dto.MetricFamily

func (d *detector) scrape(ctx context.Context) (metrics, error) {
	status, body, err := get(ctx, d.url+"/metrics")
	if err != nil {
		return nil, fmt.Errorf("scrape: %w", err)
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("scrape: status %d: %s", status, lastLines(string(body), 3))
	}
	return parseMetrics(body)
}

func parseMetrics(text []byte) (metrics, error) {
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("parse metrics: %w", err)
	}
	return families, nil
}

// sum adds up the samples of a counter or gauge whose labels are as given: name
// and value in turn.
func (m metrics) sum(name string, labels ...string) float64 {
	var sum float64
	for _, s := range m[name].GetMetric() {
		if hasLabels(s, labels) {
			sum += s.GetCounter().GetValue() + s.GetGauge().GetValue() + s.GetUntyped().GetValue()
		}
	}
	return sum
}

func hasLabels(s *dto.Metric, labels []string) bool {
	for i := 0; i+1 < len(labels); i += 2 {
		found := false
		for _, l := range s.GetLabel() {
			found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}

// matches returns how often each rule has matched, throttled matches included.
func (m metrics) matches() map[string]float64 {
	out := map[string]float64{}
	for _, name := range []string{"eunomia_rule_matches_total", "eunomia_rule_suppressed_total"} {
		for _, s := range m[name].GetMetric() {
			for _, l := range s.GetLabel() {
				if l.GetName() == "rule" {
					out[l.GetValue()] += s.GetCounter().GetValue()
				}
			}
		}
	}
	return out
}

func get(ctx context.Context, url string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(response.Body)
	return response.StatusCode, b.Bytes(), err
}

// freePorts returns loopback ports that nobody uses now.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() // held until all are found, so that they differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " / ")
}
