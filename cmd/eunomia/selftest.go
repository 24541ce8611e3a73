package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"eunomia/event"
)

// selfTest makes the sensor see an act of the detector's own: at the start until it
// did, then every half minute. Events flow while the last one was seen.
type selfTest struct {
	ok       atomic.Bool
	passed   atomic.Int64 // Unix ns of the last success
	failures atomic.Uint64
}

const (
	selfTestEvery = 30 * time.Second
	selfTestWait  = 5 * time.Second
)

func (t *selfTest) run(ctx context.Context, d *detector, logger *slog.Logger) {
	for n := 0; ctx.Err() == nil; n++ {
		seen := t.try(ctx, d, n)
		if ctx.Err() != nil {
			return
		}
		switch was := t.ok.Swap(seen); {
		case seen && !was:
			logger.Info("events flow: the sensor has seen the self-test")
		case !seen:
			t.failures.Add(1)
			logger.Error("the sensor did not see the self-test: events do not flow", "hint", "eunomia_events_lost_total tells what is lost; \"eunomia doctor\" what the kernel offers")
		}
		if !seen {
			continue
		}
		t.passed.Store(time.Now().UnixNano())
		select {
		case <-ctx.Done():
		case <-time.After(selfTestEvery):
		}
	}
}

// try opens a file that does not exist and waits for the event to come through
// enrichment.
func (t *selfTest) try(ctx context.Context, d *detector, n int) bool {
	name := fmt.Sprintf("/proc/self/eunomia-self-test-%d-%d", os.Getpid(), n)
	base := name[strings.LastIndexByte(name, '/')+1:]
	seen := make(chan struct{}, 1)
	watch := func(e *event.Event) {
		if e.Kind == event.Open && e.Task.PID == uint32(os.Getpid()) && strings.HasSuffix(e.File.Path, base) {
			select {
			case seen <- struct{}{}:
			default:
			}
		}
	}
	d.watch.Store(&watch)
	defer d.watch.Store(nil)
	deadline := time.NewTimer(selfTestWait)
	defer deadline.Stop()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		if f, err := os.Open(name); err == nil {
			f.Close()
		}
		select {
		case <-seen:
			return true
		case <-again.C:
		case <-deadline.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
