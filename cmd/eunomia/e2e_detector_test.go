package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"eunomia/internal/testutil"
)

// patience is how long the end-to-end test waits for what should come at once: its machine may have two busy cores.
const patience = 30 * time.Second

// buildDetector builds the binary under test, as make build does.
func buildDetector(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "eunomia")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the detector: %v\n%s", err, out)
	}
	return binary
}

// liveDetector is a running `eunomia server`, the real binary, and all that it has said.
type liveDetector struct {
	url    string // of its HTTP server
	cmd    *exec.Cmd
	stdout output // its alerts
	stderr output
	ended  chan struct{}
}

// startDetector starts the binary with a configuration and waits until it is ready. It ends with the test.
func startDetector(t *testing.T, binary, config string, flags ...string) *liveDetector {
	t.Helper()
	file := filepath.Join(t.TempDir(), "eunomia.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &liveDetector{ended: make(chan struct{}), stdout: output{json: true}}
	d.cmd = exec.Command(binary, append([]string{"server", "--config", file}, flags...)...)
	d.cmd.Stdout, d.cmd.Stderr = &d.stdout, &d.stderr
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.ended)
		_ = d.cmd.Wait() // stop judges how it ended
	}()
	t.Cleanup(func() {
		d.stop(t)
		if t.Failed() {
			t.Logf("the detector said:\n%s", d.stderr.text())
		}
	})
	d.url = d.said(t, `http=(http://\S+)`)
	testutil.Eventually(t, patience, func() bool {
		d.mustLive(t)
		reply, err := http.Get(d.url + "/readyz")
		if err != nil {
			return false
		}
		reply.Body.Close()
		return reply.StatusCode == http.StatusOK
	}, "/readyz")
	return d
}

// stop asks the detector to end and returns its exit code.
func (d *liveDetector) stop(t *testing.T) int {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("stop the detector: %v", err)
	}
	select {
	case <-d.ended:
	case <-time.After(patience):
		t.Errorf("the detector did not end within %s of SIGTERM", patience)
		_ = d.cmd.Process.Kill() // Wait tells
		<-d.ended
	}
	return d.cmd.ProcessState.ExitCode()
}

func (d *liveDetector) mustLive(t *testing.T) {
	t.Helper()
	select {
	case <-d.ended:
		t.Fatalf("the detector ended with %s", d.cmd.ProcessState)
	default:
	}
}

// said waits for a line on stderr that matches and returns the first group.
func (d *liveDetector) said(t *testing.T, pattern string) string {
	t.Helper()
	wanted := regexp.MustCompile(pattern)
	var match []string
	testutil.Eventually(t, patience, func() bool {
		d.mustLive(t)
		match = wanted.FindStringSubmatch(d.stderr.text())
		return match != nil
	}, "a line on stderr that matches "+pattern)
	return match[1]
}

// await waits for an alert on stdout.
func (d *liveDetector) await(t *testing.T, what string, wanted func(liveAlert) bool) liveAlert {
	t.Helper()
	var found liveAlert
	next := 0
	testutil.Eventually(t, patience, func() bool {
		d.mustLive(t)
		alerts := d.stdout.since(next)
		next += len(alerts)
		i := slices.IndexFunc(alerts, wanted)
		if i >= 0 {
			found = alerts[i]
		}
		return i >= 0
	}, "an alert: "+what)
	return found
}

// scrape reads /metrics: every series, written as there with its labels in alphabetical order.
func (d *liveDetector) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	reply, err := http.Get(d.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	page, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	if reply.StatusCode != http.StatusOK {
		t.Fatalf("/metrics: %s: %s", reply.Status, page)
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(page)) {
		if end := strings.LastIndexByte(line, ' '); line[0] != '#' && end > 0 {
			if all[line[:end]], err = strconv.ParseFloat(strings.TrimSpace(line[end:]), 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// metric scrapes one series, which must be there.
func (d *liveDetector) metric(t *testing.T, series string) float64 {
	t.Helper()
	value, ok := d.scrape(t)[series]
	if !ok {
		t.Errorf("/metrics has no %s", series)
	}
	return value
}

func matchesSeries(rule, severity string) string {
	return fmt.Sprintf("eunomia_rule_matches_total{rule=%q,severity=%q}", rule, severity)
}

func outputSeries(output, result string) string {
	return fmt.Sprintf("eunomia_output_alerts_total{output=%q,result=%q}", output, result)
}
