package probes

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// ring reads a BPF ring buffer in place: a third of the CPU time of copying each
// record out. A record stays valid until release.
type ring struct {
	fd                 int
	consumer, producer *uint64
	data               []byte // mapped twice in a row, so no record is split
	mask               uint64
	position           uint64 // consumed, perhaps not yet released
	end                uint64 // produced, as of the last refresh
	consumerPage, rest []byte
}

// The kernel's marks in the length word of a record.
const (
	ringBusy    = 1 << 31 // reserved, not yet committed
	ringDiscard = 1 << 30
	ringHeader  = 8
)

// releaseEvery bounds how much consumed space the producers wait for.
const releaseEvery = 64 << 10

func newRing(m *ebpf.Map) (*ring, error) {
	size, page := int(m.MaxEntries()), os.Getpagesize()
	consumer, err := unix.Mmap(m.FD(), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map ring buffer: %w", err)
	}
	rest, err := unix.Mmap(m.FD(), int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		_ = unix.Munmap(consumer)
		return nil, fmt.Errorf("map ring buffer: %w", err)
	}
	return &ring{
		fd:           m.FD(),
		consumer:     (*uint64)(unsafe.Pointer(&consumer[0])),
		producer:     (*uint64)(unsafe.Pointer(&rest[0])),
		data:         rest[page:],
		mask:         uint64(size - 1),
		consumerPage: consumer,
		rest:         rest,
	}, nil
}

func (r *ring) close() {
	_ = unix.Munmap(r.consumerPage)
	_ = unix.Munmap(r.rest)
}

// refresh looks how far the producers have come.
func (r *ring) refresh() { r.end = atomic.LoadUint64(r.producer) }

// empty reports whether everything produced until now is consumed.
func (r *ring) empty() bool { return r.position == atomic.LoadUint64(r.producer) }

// peek returns the next record without consuming it; nil at the end. busy says
// that a producer is still writing it.
func (r *ring) peek() (record []byte, busy bool) {
	for r.position < r.end {
		at := r.position & r.mask
		length := atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[at])))
		if length&ringBusy != 0 {
			return nil, true
		}
		if length&ringDiscard == 0 {
			return r.data[at+ringHeader : at+ringHeader+uint64(length)], false
		}
		r.skip(uint64(length &^ ringDiscard))
	}
	return nil, false
}

// next consumes the record that peek returned.
func (r *ring) next(record []byte) {
	r.skip(uint64(len(record)))
	if r.position-atomic.LoadUint64(r.consumer) >= releaseEvery {
		r.release()
	}
}

func (r *ring) skip(length uint64) { r.position += (length + ringHeader + 7) &^ 7 }

// release gives the consumed records' space back to the producers.
func (r *ring) release() { atomic.StoreUint64(r.consumer, r.position) }

// waker sleeps until a ring fills beyond its threshold, a deadline passes, or it
// is interrupted.
type waker struct {
	epoll, interruptFD int
}

func newWaker(fds ...int) (*waker, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	interrupt, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	w := &waker{epoll, interrupt}
	for _, fd := range append(fds, interrupt) {
		// Edge-triggered: a ring that merely holds records does not end the sleep.
		e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)}
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
			w.close()
			return nil, fmt.Errorf("watch ring buffer: %w", err)
		}
	}
	return w, nil
}

func (w *waker) wait(milliseconds int) {
	var events [4]unix.EpollEvent
	// An interrupted or failed wait is a short sleep: the caller looks at the rings anyway.
	_, _ = unix.EpollWait(w.epoll, events[:], milliseconds)
}

func (w *waker) interrupt() { _, _ = unix.Write(w.interruptFD, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func (w *waker) close() {
	_ = unix.Close(w.epoll)
	_ = unix.Close(w.interruptFD)
}
