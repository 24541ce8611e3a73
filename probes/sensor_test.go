package probes

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/internal/testutil"
)

// The test binary runs itself again where a test needs a process of its own:
// ACT names what it does there.
const actVariable = "EUNOMIA_TEST_ACT"

var acts = map[string]func(){
	"wait":    actWait,
	"threads": actThreads,
	"chroot":  actChroot,
	"flood":   actFlood,
	"sibling": actSibling,
}

func TestMain(m *testing.M) {
	if act, ok := acts[os.Getenv(actVariable)]; ok {
		act()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// actor is the command that runs one of acts in a new process.
func actor(t *testing.T, act string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), actVariable+"="+act)
	cmd.Stderr = os.Stderr
	return cmd
}

// watcher holds copies of all events of a running sensor.
type watcher struct {
	sensor *Sensor
	mu     sync.Mutex
	events []*event.Event
	more   chan struct{}
	stop   func()
}

// watch runs a sensor until the test ends or stop is called.
func watch(t *testing.T, o Options) *watcher {
	t.Helper()
	testutil.Require(t, "bpf")
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{sensor: s, more: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx, w.add) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		w.stop()
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return w
}

func (w *watcher) add(e *event.Event) {
	w.mu.Lock()
	w.events = append(w.events, e.Clone())
	w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// expect returns the first event that matches, waiting for it.
func (w *watcher) expect(t *testing.T, what string, match func(*event.Event) bool) *event.Event {
	t.Helper()
	deadline := time.After(10 * time.Second)
	seen := 0
	for {
		w.mu.Lock()
		for ; seen < len(w.events); seen++ {
			if match(w.events[seen]) {
				defer w.mu.Unlock()
				return w.events[seen]
			}
		}
		w.mu.Unlock()
		select {
		case <-w.more:
		case <-deadline:
			t.Fatalf("no event: %s (of %d events)", what, seen)
		}
	}
}

// all returns the matching events of a stopped sensor.
func (w *watcher) all(match func(*event.Event) bool) []*event.Event {
	w.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []*event.Event
	for _, e := range w.events {
		if match(e) {
			out = append(out, e)
		}
	}
	return out
}

func is(kind event.Kind, pid int) func(*event.Event) bool {
	return func(e *event.Event) bool { return e.Kind == kind && e.Task.PID == uint32(pid) }
}

// equal reports what differs from what the caller or /proc knows.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}
