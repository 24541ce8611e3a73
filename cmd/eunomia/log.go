package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// Bounds of a steadyLog.
const (
	maxLogLines = 1024        // that wait for the log's reader; beyond, the newest is dropped
	logPatience = time.Second // for the reader to take the last of them
)

// steadyLog writes from a goroutine of its own: a reader of the log that has stopped
// reading must keep neither alerts from being delivered nor the detector from ending.
// It counts what it drops, and says so once the reader is back.
type steadyLog struct {
	to    io.Writer
	lines chan []byte
	done  chan struct{}

	mu     sync.Mutex
	closed bool
	lost   int
}

func newSteadyLog(to io.Writer) *steadyLog {
	l := &steadyLog{to: to, lines: make(chan []byte, maxLogLines), done: make(chan struct{})}
	go l.run()
	return l
}

// Write never blocks and never fails.
func (l *steadyLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(p), nil
	}
	select {
	case l.lines <- bytes.Clone(p):
	default:
		l.lost++
	}
	return len(p), nil
}

func (l *steadyLog) run() {
	defer close(l.done)
	for line := range l.lines {
		_, _ = l.to.Write(line) // where else to complain
		l.mu.Lock()
		lost := l.lost
		l.lost = 0
		l.mu.Unlock()
		if lost > 0 {
			_, _ = fmt.Fprintf(l.to, "warning: %d lines of this log are missing here or below: its reader was too slow\n", lost)
		}
	}
}

// close writes what is left, unless the reader does not take it.
func (l *steadyLog) close() {
	l.mu.Lock()
	l.closed = true
	close(l.lines)
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-time.After(logPatience):
	}
}
