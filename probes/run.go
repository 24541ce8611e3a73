package probes

import (
	"context"
	"errors"
	"time"

	"eunomia/event"

	"golang.org/x/sys/unix"
)

// How long the reader sleeps between two looks at the rings. Waking it costs the
// traced program 24 µs, so it wakes by itself: seldom when little happens, often
// when much does.
const (
	idleSleep  = 10 // ms
	quietSleep = 5
	busySleep  = 1
	// busyRound is the number of records in a round above which it counts as busy.
	busyRound = 512
)

// Run calls emit with every event, in the order of time over both rings, until ctx
// ends. It then detaches the programs, delivers what the rings still hold and
// returns nil. The event is reused: it and its strings are valid during the call
// only; event.Event.Clone makes a copy.
func (s *Sensor) Run(ctx context.Context, emit func(*event.Event)) error {
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("run sensor: it runs already")
	}
	defer s.running.Store(false)
	stop := context.AfterFunc(ctx, s.wake.interrupt)
	defer stop()
	r := reader{sensor: s, emit: emit}
	for ctx.Err() == nil {
		switch n := r.round(); {
		case n == 0:
			s.wake.wait(idleSleep)
		case n < busyRound:
			s.wake.wait(quietSleep)
		case n < 8*busyRound:
			s.wake.wait(busySleep)
		}
	}
	s.detach()
	r.drain()
	return nil
}

// reader turns records into events.
type reader struct {
	sensor  *Sensor
	emit    func(*event.Event)
	decoder Decoder
	event   event.Event
}

// round delivers what both rings hold up to now and returns how many records that
// was.
//
// Only records from before the round began are taken, the older of the two rings'
// heads first. What caused a record was committed before that record was begun, so
// its time is smaller and it is in the rings by now, and so is everything before it
// in its own ring: a fork comes before what the child does, an exit after what the
// process did.
func (r *reader) round() int {
	now, wall := clocks()
	r.decoder.Offset = wall - now
	priority, bulk := r.sensor.priority, r.sensor.bulk
	priority.refresh()
	bulk.refresh()
	n := 0
	var oldest uint64
	for {
		p, waitP := priority.peek()
		b, waitB := bulk.peek()
		// A record that is still being written may be what another depends on. It
		// takes the writer less than a microsecond; the next round will see it.
		if waitP || waitB {
			break
		}
		from, record := priority, p
		if p == nil || (b != nil && recordTime(b) < recordTime(p)) {
			from, record = bulk, b
		}
		t := recordTime(record)
		if record == nil || t > uint64(now) {
			break
		}
		if n == 0 {
			oldest = t
		}
		r.deliver(record)
		from.next(record)
		n++
	}
	priority.release()
	bulk.release()
	if n > 0 {
		r.sensor.counts.lag.Store(now - int64(oldest))
	}
	return n
}

// drain delivers what is left after detaching. A program that was running then may
// still be writing its record, for microseconds; the bound is for a stopped CPU.
func (r *reader) drain() {
	for range 1000 {
		if r.round() == 0 {
			if r.sensor.priority.empty() && r.sensor.bulk.empty() {
				return
			}
			r.sensor.wake.wait(busySleep)
		}
	}
}

func (r *reader) deliver(record []byte) {
	c := &r.sensor.counts
	if err := r.decoder.Decode(record, &r.event); err != nil {
		c.decodeErrors.Add(1)
		r.sensor.log.Debug("decode record", "error", err)
		return
	}
	c.delivered[r.event.Kind].Add(1)
	if r.event.Kind == event.CgroupRemove {
		r.sensor.forget(r.event.Cgroup.ID)
	}
	r.emit(&r.event)
}

// clocks returns the time since boot and the wall clock's, both in nanoseconds.
func clocks() (boot, wall int64) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err) // every kernel that has ring buffers has the clock
	}
	return ts.Nano(), time.Now().UnixNano()
}
