package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"eunomia/engine"
	"eunomia/internal/testutil"
	"eunomia/rules"
)

// startServer starts a detector with a configuration and waits until events flow.
func startServer(t *testing.T, config string, args ...string) *program {
	t.Helper()
	testutil.Require(t, "bpf")
	oneSensor.Lock()
	t.Cleanup(oneSensor.Unlock)
	dir := t.TempDir()
	p, err := startProgram(dir, append([]string{"eunomia", "server", "--listen", "127.0.0.1:0", "--state-dir", filepath.Join(dir, "state"), "--config", configFile(t, config)}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("its log:\n%s", p.log.String())
		}
	})
	testutil.Eventually(t, scriptPatience, func() bool { return !p.running() || strings.Contains(p.log.String(), "events flow") }, "events flow")
	if !p.running() {
		t.Fatalf("it ended: %v", p.err)
	}
	return p
}

// metric returns the value of a series, -1 if there is none.
func (p *program) metric(t *testing.T, series string) float64 {
	t.Helper()
	body, err := p.page("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(body)
	if m == nil {
		return -1
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Files are opened all the while the rules change a hundred times; a rule that is in
// all of them must have seen every one.
func TestNoEventIsLostWhileRulesReload(t *testing.T) {
	testutil.Require(t, "bpf")
	const reloads = 100
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules.yaml")
	write := func(n int) {
		text := fmt.Sprintf(`
rules:
  - {id: counted, title: Counted, on: [open], condition: 'file.path.startsWith("%s/mark")', severity: low}
  - {id: changing, title: Changing, on: [open], condition: 'file.path == "%s/%d"', severity: low}
`, dir, dir, n)
		err := os.WriteFile(rules+".new", []byte(text), 0o600)
		if err = errors.Join(err, os.Rename(rules+".new", rules)); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	p := startServer(t, "default_rules = false\nsensor.bulk_ring_bytes = 134217728\n[outputs]\nstdout.enabled = false\nnats.enabled = false\n", "--rules", rules)
	done := func() float64 {
		return p.metric(t, `eunomia_rules_reloads_total{result="success"}`)
	}

	stop, ended := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				ended <- n
				return
			default:
			}
			for range 10 {
				_, err := os.Open(filepath.Join(dir, "mark"+strconv.Itoa(n)))
				if err == nil {
					panic("the file exists")
				}
				n++
			}
			time.Sleep(2 * time.Millisecond)
		}
	}()
	for i := range reloads {
		write(i + 1)
		before := done()
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		testutil.Eventually(t, scriptPatience, func() bool { return done() > before }, "a reload")
	}
	close(stop)
	n := <-ended
	if n < reloads*10 {
		t.Errorf("only %d files were opened", n)
	}
	const series = `eunomia_rule_matches_total{rule="counted",severity="low"}`
	lost := func() float64 {
		return p.metric(t, `eunomia_events_lost_total{kind="open",reason="ring_full"}`)
	}
	testutil.Eventually(t, scriptPatience, func() bool { return p.metric(t, series) >= float64(n) || lost() > 0 }, fmt.Sprintf("%d matches", n))
	if lost := lost(); lost > 0 {
		t.Skipf("nothing can be said: this machine is so busy that the ring lost %v opens", lost)
	}
	if got := p.metric(t, series); got != float64(n) {
		t.Errorf("%v matches of %d opens", got, n)
	}
	if refused := p.metric(t, `eunomia_rules_reloads_total{result="refused"}`); refused != 0 {
		t.Errorf("%v reloads were refused", refused)
	}
	t.Logf("%d opens in %v reloads", n, done())
}

func TestTheSameMistakesAreToldOnce(t *testing.T) {
	load := func(text string) (*engine.Program, []rules.Diagnostic) {
		set, found := rules.LoadSources([]rules.Source{{Name: "a.yaml", Data: []byte(text)}}, rules.Options{})
		p, more := engine.Compile(set, engine.Limits{})
		return p, append(found, more...)
	}
	const wrong = "rules: [{id: one, title: One, on: [open], severity: low, condition: file.nam == 'x'}]\n"
	var r reloads
	p, found := load(wrong)
	if len(found) != 1 || !r.refuse(p, found, 1) {
		t.Fatalf("the first time, it is told: %v", found)
	}
	if p, found = load(wrong); r.refuse(p, found, 1) {
		t.Error("told again, though nothing changed")
	}
	if p, found = load("rules: [{id: one, title: One, on: [open], severity: low, condition: file.nme == 'x'}]\n"); !r.refuse(p, found, 1) {
		t.Error("another mistake is not told")
	}
	good, _ := load("rules: []\n")
	r.record(good, 0)
	if !r.refuse(p, found, 1) {
		t.Error("a mistake that came back is not told")
	}
}
