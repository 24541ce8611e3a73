package engine

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"eunomia/event"
)

// DefaultThrottleKeys is how many sets of values a rule's throttle remembers.
const DefaultThrottleKeys = 4096

// throttle lets a rule's first match for the same values of its fields pass and
// suppresses the following ones for a time, by the clock of the events. What it
// remembers is bounded: beyond the bound the window that began first is forgotten,
// so that a flood of values makes more alerts, never fewer.
type throttle struct {
	by      []*event.Field
	every   int64
	limit   int
	seeds   [2]maphash.Seed
	windows map[throttleKey]*window
	first   *window // the list of windows by their beginning
	last    *window
	scratch []byte
}

// throttleKey is a hash of the values, of a fixed size whatever an attacker puts
// into them, and with a seed that cannot be guessed.
type throttleKey [2]uint64

type window struct {
	key        throttleKey
	begin      int64 // time of the match that passed, Unix ns
	suppressed uint64
	prev, next *window
}

func newThrottle(by []*event.Field, every int64, limit int) *throttle {
	return &throttle{by: by, every: every, limit: limit,
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, windows: map[throttleKey]*window{}}
}

// sameAs reports whether t's windows mean the same to o.
func (t *throttle) sameAs(o *throttle) bool {
	return o != nil && t.every == o.every && t.limit == o.limit && slices.Equal(t.by, o.by)
}

// known reports whether every field of the key has arrived.
func (t *throttle) known(e *event.Event) bool {
	for _, f := range t.by {
		if !f.IsKnown(e) {
			return false
		}
	}
	return true
}

func (t *throttle) key(e *event.Event) throttleKey {
	b := t.scratch[:0]
	str := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, f := range t.by {
		if !f.IsKnown(e) {
			b = append(b, 0)
			continue
		}
		b = append(b, 1)
		switch f.Type {
		case event.Int, event.Time:
			b = binary.AppendVarint(b, f.Int(e))
		case event.Bool:
			if f.Bool(e) {
				b = append(b, 1)
			} else {
				b = append(b, 0)
			}
		case event.Strings:
			list := f.Strs(e)
			b = binary.AppendUvarint(b, uint64(len(list)))
			for _, s := range list {
				str(s)
			}
		case event.IP:
			b, _ = f.IP(e).AppendBinary(b) // never fails
		default:
			str(f.Str(e))
		}
	}
	t.scratch = b
	return throttleKey{maphash.Bytes(t.seeds[0], b), maphash.Bytes(t.seeds[1], b)}
}

// suppress reports whether a match at the given time falls into an open window,
// and counts it there. Events of several CPUs come slightly out of order, so that
// a match just before the window's beginning belongs to it.
func (t *throttle) suppress(k throttleKey, time int64) bool {
	w := t.windows[k]
	if w == nil || time-w.begin >= t.every || w.begin-time >= t.every {
		return false
	}
	w.suppressed++
	return true
}

// pass opens a window. It returns how many matches the key's last one suppressed,
// and whether another key's was forgotten for it.
func (t *throttle) pass(k throttleKey, time int64) (suppressed uint64, evicted bool) {
	w := t.windows[k]
	if w != nil {
		t.unlink(w)
		suppressed = w.suppressed
	} else {
		if len(t.windows) >= t.limit {
			delete(t.windows, t.first.key)
			t.unlink(t.first)
			evicted = true
		}
		w = &window{key: k}
		t.windows[k] = w
	}
	w.begin, w.suppressed = time, 0
	t.push(w)
	return suppressed, evicted
}

func (t *throttle) push(w *window) {
	w.prev, w.next = t.last, nil
	if t.last != nil {
		t.last.next = w
	} else {
		t.first = w
	}
	t.last = w
}

func (t *throttle) unlink(w *window) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		t.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		t.last = w.prev
	}
}
