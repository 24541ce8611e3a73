package main

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"eunomia/engine"
	"eunomia/event"
	"eunomia/rules"
)

// lot is a detector around a parking lot, with containers whose metadata arrives
// when a test says so. It must be made inside a synctest bubble.
type lot struct {
	*detector
	t     *testing.T
	known sync.Map // id → *event.Container
	stop  context.CancelFunc
	ended chan struct{}

	mu     sync.Mutex
	alerts []string // the rules that raised them, in order
}

const parkingRules = `
rules:
  - {id: nginx, title: Image nginx, on: [open], condition: 'container.image.name == "nginx"', severity: low}
  - {id: not_ours, title: Image not ours, on: [open], condition: 'container.id != "" && container.image.name != "ours"', severity: low}
`

func newLot(t *testing.T, wait time.Duration) *lot {
	t.Helper()
	set, mistakes := rules.LoadSources([]rules.Source{{Name: "parking.yaml", Data: []byte(parkingRules)}}, rules.Options{})
	program, more := engine.Compile(set, engine.Limits{})
	if mistakes = append(mistakes, more...); len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	l := &lot{t: t, ended: make(chan struct{})}
	l.detector = &detector{
		engine: engine.New(program), parked: newParking(wait),
		lost: func() uint64 { return 0 }, latency: func(time.Duration) {},
		publish: func(a *event.Alert) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.alerts = append(l.alerts, a.Rule.ID)
		},
	}
	l.parked.decide = l.decide
	l.parked.refresh = func(e *event.Event) {
		if c, ok := l.known.Load(e.Container.ID); ok {
			e.Container = c.(*event.Container)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	l.stop = func() { cancel(); <-l.ended }
	go func() {
		defer close(l.ended)
		l.parked.run(ctx)
	}()
	return l
}

// open lets a container whose metadata is pending open a file.
func (l *lot) open(container string) bool {
	e := event.New(event.Open)
	e.Container = &event.Container{ID: container, State: event.MetadataPending}
	matches, pending := l.engine.Evaluate(e)
	if len(matches) > 0 || pending.Empty() {
		l.t.Fatalf("decided without the image's name: %v", matches)
	}
	return l.parked.add(e, pending)
}

// arrive tells what a container's image is.
func (l *lot) arrive(container, image string) {
	l.known.Store(container, &event.Container{ID: container, State: event.MetadataKnown, ImageName: image})
}

// raised returns the rules that raised alerts, once everything has come to rest.
func (l *lot) raised() []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.alerts)
}

func expect(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestAnEventIsDecidedAsSoonAsItsMetadataArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, 3*time.Second)
		start := time.Now()
		l.open("a")
		l.open("b")
		expect(t, "before", l.raised(), nil)
		l.arrive("a", "nginx")
		l.parked.notify("a")
		expect(t, "after", l.raised(), []string{"nginx", "not_ours"})
		if waited := time.Since(start); waited != 0 {
			t.Errorf("it took %s", waited)
		}
		if n := l.parked.waiting(); n != 1 {
			t.Errorf("%d wait, want b alone", n)
		}
		l.arrive("b", "ours")
		l.parked.notify("b")
		expect(t, "a silent one adds nothing", l.raised(), []string{"nginx", "not_ours"})
		if n := l.parked.waiting(); n != 0 {
			t.Errorf("%d wait, want none", n)
		}
		l.stop()
	})
}

func TestAnEventIsDecidedOnWhatIsKnownWhenTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, 3*time.Second)
		l.open("a")
		time.Sleep(3 * time.Second)
		expect(t, "in time", l.raised(), nil)
		time.Sleep(200 * time.Millisecond)
		expect(t, "late", l.raised(), []string{"not_ours"}) // an image without a name is not "ours"
		if n := l.parked.timeouts.Load(); n != 1 {
			t.Errorf("%d timeouts were counted", n)
		}
		l.stop()
	})
}

func TestAMissedNoticeIsMadeGoodByTheSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, 3*time.Second)
		l.open("a")
		l.arrive("a", "ours")
		time.Sleep(150 * time.Millisecond)
		if n := l.parked.waiting(); n != 0 {
			t.Errorf("%d wait, want none", n)
		}
		expect(t, "raised", l.raised(), nil)
		l.stop()
	})
}

func TestANoticeThatTellsNothingNewDoesNotExtendTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, time.Second)
		l.open("a")
		for range 9 {
			time.Sleep(100 * time.Millisecond)
			l.parked.notify("a")
		}
		expect(t, "in time", l.raised(), nil)
		if n := l.parked.waiting(); n != 1 {
			t.Errorf("%d wait, want 1", n)
		}
		time.Sleep(300 * time.Millisecond)
		expect(t, "late", l.raised(), []string{"not_ours"})
		l.stop()
	})
}

func TestEventsOfAContainerAreDecidedInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, time.Minute)
		var order []int64
		l.publish = func(*event.Alert) {}
		inner := l.parked.decide
		l.parked.decide = func(e *event.Event, p engine.Pending, final bool) engine.Pending {
			order = append(order, e.Time)
			return inner(e, p, final)
		}
		for i := range int64(3) {
			e := event.New(event.Open)
			e.Container = &event.Container{ID: "a", State: event.MetadataPending}
			e.Time = i
			_, pending := l.engine.Evaluate(e)
			l.parked.add(e, pending)
			l.parked.notify("a") // it is looked at, and stays
			synctest.Wait()
		}
		order = nil
		l.arrive("a", "nginx")
		l.parked.notify("a")
		synctest.Wait()
		if !slices.Equal(order, []int64{0, 1, 2}) {
			t.Errorf("order %v", order)
		}
		l.stop()
	})
}

func TestTheLotIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, time.Minute)
		for i := range maxParked {
			if !l.open(strconv.Itoa(i % 7)) {
				t.Fatalf("no room for event %d", i)
			}
		}
		if l.open("more") {
			t.Error("there was room for one more")
		}
		if n := l.parked.overflow.Load(); n != 1 {
			t.Errorf("%d overflows were counted", n)
		}
		l.arrive("0", "ours")
		l.parked.notify("0")
		synctest.Wait()
		if !l.open("more") {
			t.Error("no room after some have left")
		}
		l.stop()
	})
}

func TestANoticeNeverBlocks(t *testing.T) {
	p := newParking(time.Second) // nobody runs it
	for range 2 * cap(p.arrived) {
		p.notify("a")
	}
}

func TestWhatStillWaitsIsDecidedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, time.Hour)
		l.open("a")
		l.arrive("b", "nginx")
		l.open("b")
		l.stop()
		got := l.raised()
		slices.Sort(got)
		expect(t, "raised", got, []string{"nginx", "not_ours", "not_ours"})
		if n := l.parked.waiting(); n != 0 {
			t.Errorf("%d wait, want none", n)
		}
	})
}

func TestAParkedEventIsACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLot(t, time.Minute)
		e := event.New(event.Open)
		e.Container = &event.Container{ID: "a", State: event.MetadataPending}
		_, pending := l.engine.Evaluate(e)
		l.parked.add(e, pending)
		e.Container = &event.Container{ID: "z", State: event.MetadataKnown, ImageName: "ours"} // the next event reuses it
		l.arrive("a", "nginx")
		l.parked.notify("a")
		expect(t, "raised", l.raised(), []string{"nginx", "not_ours"})
		l.stop()
	})
}
