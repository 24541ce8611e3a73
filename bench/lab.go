package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"eunomia/probes"

	"golang.org/x/sys/unix"
)

// options are the command line.
type options struct {
	detector string
	out      string
	pairs    int
	loop     time.Duration
	dirty    bool
}

// lab is what experiments work with.
type lab struct {
	options
	dir   string // for temporary files
	load  string // this program, where no rule minds its being run
	unfit string // why nothing that needs the kernel can be measured here; empty if it can
	cpu   int    // that loops are pinned to
	began time.Time
}

func newLab(o options) (*lab, error) {
	l := &lab{options: o, began: time.Now()}
	var err error
	if l.cpu, err = lastCPU(); err != nil {
		return nil, err
	}
	l.unfit = unfit(o.detector)
	if l.unfit != "" {
		fmt.Fprintf(os.Stderr, "bench: what needs the kernel is skipped: %s\n", l.unfit)
	}
	if l.dir, err = os.MkdirTemp("", "eunomia-bench-"); err != nil {
		return nil, err
	}
	if l.load, err = copySelf(filepath.Dir(o.out)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(l.dir))
	}
	return l, nil
}

// copySelf copies this program into a directory. `go run` leaves it below /tmp, and
// running programs from there raises alerts.
func copySelf(dir string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(self)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "load")
	return name, os.WriteFile(name, data, 0o755)
}

// unfit says why the detector cannot be measured, "" if it can.
func unfit(detector string) string {
	if err := probes.Check(context.Background()).Err(); err != nil {
		var p *probes.Error
		if errors.As(err, &p) && p.Hint != "" {
			return fmt.Sprintf("%v (%s)", err, p.Hint)
		}
		return err.Error()
	}
	if _, err := os.Stat(detector); err != nil {
		return fmt.Sprintf("%v (make build builds it)", err)
	}
	return ""
}

// close removes the temporary files; a failure leaves them for the next run or boot.
func (l *lab) close() {
	_ = os.RemoveAll(l.dir)
	_ = os.Remove(l.load)
}

// progress says on stderr what is being done.
func (l *lab) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "[%3.0fs] %s\n", time.Since(l.began).Seconds(), fmt.Sprintf(format, args...))
}

func (l *lab) sayDone() { l.progress("done") }

// lastCPU returns the last CPU this process may use: the first one serves most of
// a machine's interrupts.
func lastCPU() (int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, fmt.Errorf("find usable CPUs: %w", err)
	}
	last := -1
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			last = i
		}
	}
	if last < 0 {
		return 0, errors.New("find usable CPUs: there is none")
	}
	return last, nil
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// describe is the first line of a report: figures mean nothing without it.
func (l *lab) describe(ctx context.Context) string {
	var u unix.Utsname
	_ = unix.Uname(&u) // an empty release says as much
	version, err := exec.CommandContext(ctx, l.detector, "version").Output()
	if err != nil {
		version = []byte("no detector")
	}
	return fmt.Sprintf("%s, Linux %s, %d CPUs (%s), %s", time.Now().Format("2006-01-02 15:04"),
		unix.ByteSliceToString(u.Release[:]), runtime.NumCPU(), cpuModel(), firstLine(version))
}

func firstLine(b []byte) []byte {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return line
}

func cpuModel() string {
	data, _ := os.ReadFile("/proc/cpuinfo") // none on a machine without /proc
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// warnIfBusy waits for a quiet moment, and says so when there is none: alternation
// and medians lessen noise, they do not remove it.
func (l *lab) warnIfBusy(ctx context.Context) {
	const quiet = 0.06
	var busy float64
	for range 5 {
		before, err := readCPUTimes()
		if err != nil || sleep(ctx, 1500*time.Millisecond) != nil {
			return
		}
		after, err := readCPUTimes()
		if err != nil {
			return
		}
		if busy = after.busySince(before); busy < quiet {
			return
		}
	}
	fmt.Fprintf(os.Stderr, "bench: this machine is %.0f %% busy with other things: expect noise, and repeat it when it is quiet\n", 100*busy)
}
