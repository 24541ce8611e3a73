package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"eunomia/engine"
	"eunomia/event"
	"eunomia/probes"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAHangupIsTakenFromTheStart(t *testing.T) {
	var asked []os.Signal
	var mu sync.Mutex
	e := &env{
		stdout: io.Discard, stderr: &bytes.Buffer{}, getenv: func(string) string { return "" }, ctx: t.Context(),
		signals: func(s ...os.Signal) (<-chan os.Signal, func()) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, s...)
			return nil, func() {}
		},
	}
	conf := defaultConfig()
	conf.DefaultRules = false
	if err := serve(e, conf); err == nil {
		t.Fatal("a detector without rules has started")
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Contains(asked, os.Signal(syscall.SIGHUP)) {
		t.Errorf("asked for %v before the rules were loaded", asked)
	}
}

// What a handler reads, the sensor's maps among it, is closed once HTTP has ended.
func TestHTTPEndsWhenTheScrapesUnderWayHaveEnded(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	var released atomic.Bool
	s := &server{registry: prometheus.NewRegistry()}
	s.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "slow"}, func() float64 {
		close(begun)
		<-release
		return 1
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool, 1)
	go func() {
		if err := s.serveHTTP(ctx, l); err != nil {
			t.Error(err)
		}
		ended <- released.Load()
	}()
	go func() {
		if r, err := http.Get("http://" + l.Addr().String() + "/metrics"); err == nil { //nolint:noctx // a test's
			r.Body.Close()
		}
	}()
	<-begun
	cancel()
	for { // until it has stopped listening
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		c.Close()
		runtime.Gosched()
	}
	released.Store(true)
	close(release)
	if !<-ended {
		t.Error("it ended while a scrape was under way")
	}
}

func TestScrapesAtTheSameTimeCountEachActOnce(t *testing.T) {
	var execs atomic.Uint64
	c := newContainerCollector(func() ([]probes.CgroupStats, error) {
		n := execs.Add(1)
		runtime.Gosched()
		return []probes.CgroupStats{{ID: 1, Exec: n}}, nil
	}, func(uint64) *event.Container { return nil })
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				scrape(t, c)
			}
		})
	}
	all.Wait()
	last := scrape(t, c)["container_events_total{,,exec}"]
	if want := float64(execs.Load()); last != want {
		t.Errorf("%v execs counted, there were %v", last, want)
	}
}

// When a part of the server fails, the lot ends before the sensor's last events.
func TestWhatIsParkedAfterTheLotHasEndedIsDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParking(time.Minute)
		p.refresh = func(*event.Event) {}
		decided := 0
		p.decide = func(_ *event.Event, _ engine.Pending, final bool) engine.Pending {
			if final {
				decided++
			}
			return engine.Pending{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p.run(ctx)
		e := event.New(event.Exec)
		e.Container = &event.Container{ID: "4f1c"}
		if !p.add(e, engine.Pending{}) {
			t.Fatal("no room")
		}
		p.decideAll()
		if decided != 1 || p.waiting() != 0 {
			t.Errorf("%d decided, %d wait", decided, p.waiting())
		}
	})
}
