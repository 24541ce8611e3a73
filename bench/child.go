package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// childFlag makes this program a load: `bench -child JSON`. Loads run in a process
// of their own, so that nothing the measurement does happens in them.
const childFlag = "-child"

// task is what a child is to do: a loop, or loading rules.
type task struct {
	Loop   string        `json:"loop,omitempty"`
	CPU    int           `json:"cpu"`
	For    time.Duration `json:"for,omitempty"`
	Count  int           `json:"count,omitempty"` // operations to make instead of For, unmeasured
	Rate   int           `json:"rate,omitempty"`  // operations a second; 0: as fast as possible
	Target string        `json:"target,omitempty"`

	LoadRules int `json:"load_rules,omitempty"` // time the loading of so many rules
}

// report is what a child has done.
type report struct {
	Ops  int           `json:"ops"`  // while time was taken
	Took time.Duration `json:"took"` // for these
	Made int           `json:"made"` // operations in all, warming up included
}

// nsPerOp returns nanoseconds per operation.
func (r report) nsPerOp() float64 { return float64(r.Took.Nanoseconds()) / float64(r.Ops) }

// rate returns operations per second.
func (r report) rate() float64 { return float64(r.Ops) / r.Took.Seconds() }

// child starts this program again for a task and returns what it did.
func (l *lab) child(ctx context.Context, t task) (report, error) {
	c, err := l.startChild(ctx, t)
	if err != nil {
		return report{}, err
	}
	return c.wait()
}

type child struct {
	cmd         *exec.Cmd
	out, stderr bytes.Buffer
}

func (l *lab) startChild(ctx context.Context, t task) (*child, error) {
	t.CPU = l.cpu
	text, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, l.load, childFlag, string(text))}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.stderr
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start load: %w", err)
	}
	return c, nil
}

func (c *child) wait() (r report, err error) {
	if err := c.cmd.Wait(); err != nil {
		return r, fmt.Errorf("run load: %w: %s", err, lastLines(c.stderr.String(), 1))
	}
	if err := json.Unmarshal(c.out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("read load's report: %w", err)
	}
	return r, nil
}

// runChild does a task in this process.
func runChild(text string, out io.Writer) error {
	var t task
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return fmt.Errorf("read task: %w", err)
	}
	var r report
	var err error
	if t.LoadRules > 0 {
		r, err = timeLoading(t.LoadRules)
	} else {
		r, err = runLoop(t)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}

// runLoop makes a loop's operations on one CPU.
func runLoop(t task) (r report, err error) {
	prepare, ok := loops[t.Loop]
	if !ok {
		return r, fmt.Errorf("no loop %q", t.Loop)
	}
	l, err := prepare(t.Target)
	if err != nil {
		return r, fmt.Errorf("prepare %s: %w", t.Loop, err)
	}
	// The thread keeps its CPU, also after the loop: it ends with the process.
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	var set unix.CPUSet
	set.Set(t.CPU)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return r, fmt.Errorf("pin to CPU %d: %w", t.CPU, err)
	}
	switch {
	case t.Count > 0:
		r.Ops, r.Made = t.Count, t.Count
		began := time.Now()
		err = l.do(t.Count)
		r.Took = time.Since(began)
	case t.Rate > 0:
		r, err = paced(l, t.Rate, t.For)
	default:
		r, err = flatOut(l, t.For)
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", t.Loop, err)
	}
	return r, errors.Join(l.close()...)
}

// flatOut makes operations as fast as they go. It looks at the clock about once a
// millisecond, and does not count the first tenth of a second at most.
func flatOut(l loop, d time.Duration) (r report, err error) {
	batch := 1
	for warm := time.Now(); ; {
		began := time.Now()
		if err := l.do(batch); err != nil {
			return r, err
		}
		r.Made += batch
		if time.Since(began) < time.Millisecond {
			batch *= 2
		} else if time.Since(warm) > min(d/10, 100*time.Millisecond) {
			break
		}
	}
	for began := time.Now(); r.Took < d; r.Took = time.Since(began) {
		if err := l.do(batch); err != nil {
			return r, err
		}
		r.Ops += batch
	}
	r.Made += r.Ops
	return r, nil
}

// paced makes operations at a rate, in bursts of a millisecond's worth. Where it
// falls behind it hurries, so that the report tells the rate it really had.
func paced(l loop, rate int, d time.Duration) (r report, err error) {
	every := time.Millisecond
	if rate < 1000 {
		every = time.Second / time.Duration(rate)
	}
	burst := int(int64(rate) * int64(every) / int64(time.Second))
	began := time.Now()
	for due := time.Duration(0); due < d; due += every {
		if pause := due - time.Since(began); pause > 0 {
			ts := unix.NsecToTimespec(pause.Nanoseconds())
			_ = unix.Nanosleep(&ts, nil) // cut short by a signal, the next burst comes early
		}
		if err := l.do(burst); err != nil {
			return r, err
		}
		r.Ops += burst
	}
	r.Took, r.Made = time.Since(began), r.Ops
	return r, nil
}
