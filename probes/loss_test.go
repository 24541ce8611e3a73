package probes

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/internal/testutil"

	"golang.org/x/sys/unix"
)

// actFlood opens a file as often as its argument says.
func actFlood() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	unix.Close(0)
	for range n {
		fd, err := unix.Open("/proc/sys/kernel/ostype", unix.O_RDONLY|unix.O_EXCL, 0)
		if err != nil {
			panic(err)
		}
		unix.Close(fd)
	}
}

const floodFlags = event.OpenRead | event.OpenExclusive

func TestFullRingIsCountedExactly(t *testing.T) {
	testutil.Require(t, "bpf")
	s, err := Open(Options{Kinds: event.SetOf(event.Open, event.Exit), BulkBytes: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// The rest of the machine opens files, too, between one reading and the next.
	outer := opens(t, s)
	before, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	counted := opens(t, s)
	const flood = 20000
	cmd := actor(t, "flood")
	cmd.Args = append(cmd.Args, strconv.Itoa(flood))
	if err := cmd.Run(); err != nil { // nobody reads meanwhile
		t.Fatal(err)
	}
	done := opens(t, s) - counted
	after, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	most := opens(t, s) - outer
	seen := after.Seen[event.Open] - before.Seen[event.Open]
	lost := lostOf(after, event.Open) - lostOf(before, event.Open)
	if done < flood || seen+lost < done || seen+lost > most {
		t.Errorf("%d to %d opens done, %d seen + %d lost", done, most, seen, lost)
	}
	if lost == 0 {
		t.Error("a ring of one page held all")
	}
	equal(t, "exits lost", lostOf(after, event.Exit), 0)
	if after.Seen[event.Exit] == 0 {
		t.Error("the exit was not seen")
	}
}

// opens is the number of calls that the kernel counted on its own.
func opens(t *testing.T, s *Sensor) uint64 {
	t.Helper()
	counts, err := s.SyscallCounts()
	if err != nil {
		t.Fatal(err)
	}
	var n uint64
	for _, c := range counts {
		if strings.HasPrefix(c.Name, "open") || c.Name == "creat" {
			n += c.Count
		}
	}
	return n
}

func lostOf(st Stats, k event.Kind) uint64 {
	var n uint64
	for _, l := range st.Losses {
		if l.Kind == k {
			n += l.Count
		}
	}
	return n
}

func TestFloodIsDeliveredWhole(t *testing.T) {
	w := watch(t, Options{Kinds: event.SetOf(event.Open)})
	const flood = 100000
	cmd := actor(t, "flood")
	cmd.Args = append(cmd.Args, strconv.Itoa(flood))
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	got := uint64(len(w.all(func(e *event.Event) bool {
		return is(event.Open, cmd.Process.Pid)(e) && e.File.Open == floodFlags
	})))
	st, err := w.sensor.Stats()
	if err != nil {
		t.Fatal(err)
	}
	lost := lostOf(st, event.Open)
	equal(t, "seen and lost", st.Seen[event.Open]+lost, opens(t, w.sensor))
	equal(t, "delivered", st.Delivered[event.Open], st.Seen[event.Open])
	if got > flood || got+lost < flood { // others' opens may be among the lost
		t.Errorf("%d of %d arrived, %d were lost", got, flood, lost)
	}
}

// BenchmarkOpen measures an open and close with the sensor, from the call to the
// decoded event; events/op tells how many arrived.
func BenchmarkOpen(b *testing.B) {
	testutil.Require(b, "bpf")
	s, err := Open(Options{Kinds: event.SetOf(event.Open), BulkBytes: 16 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var got atomic.Int64
	stop := run(b, s, func(e *event.Event) {
		if e.Task.PID == uint32(os.Getpid()) {
			got.Add(1)
		}
	})
	for b.Loop() {
		fd, err := unix.Open("/proc/sys/kernel/ostype", unix.O_RDONLY, 0)
		if err != nil {
			b.Fatal(err)
		}
		unix.Close(fd)
	}
	stop()
	b.ReportMetric(float64(got.Load())/float64(b.N), "events/op")
}

// BenchmarkDrain measures one event from the ring to the callback: the ring is
// filled while nobody reads, then drained.
func BenchmarkDrain(b *testing.B) {
	testutil.Require(b, "bpf")
	s, err := Open(Options{Kinds: event.SetOf(event.Open), BulkBytes: 16 << 20, NoCounters: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	n := 0
	r := reader{sensor: s, emit: func(*event.Event) { n++ }}
	var spent time.Duration
	var events int
	b.ReportAllocs()
	for b.Loop() {
		for range 10000 {
			fd, _ := unix.Open("/proc/sys/kernel/ostype", unix.O_RDONLY, 0)
			unix.Close(fd)
		}
		start := time.Now()
		events += r.round()
		spent += time.Since(start)
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(events), "ns/event")
}

// run reads a sensor in the background; the result ends that.
func run(b *testing.B, s *Sensor, emit func(*event.Event)) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx, emit) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}
