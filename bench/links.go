package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// tracing is the set of BPF links that run a program at tracepoints, by id, with
// the program's name.
type tracing map[link.ID]string

// tracingLinks lists those attached to this kernel now. While another tool's are,
// "without the detector" is not without a detector.
func tracingLinks() (found tracing, err error) {
	for range 100 {
		// EAGAIN: a link is just being made or unmade.
		if found, err = listLinks(); !errors.Is(err, unix.EAGAIN) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("list BPF links: %w", err)
	}
	return found, nil
}

func listLinks() (tracing, error) {
	found := tracing{}
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		i, err := it.Link.Info()
		if err != nil {
			continue // it was detached meanwhile
		}
		switch i.Type {
		case link.RawTracepointType, link.TracingType, link.PerfEventType, link.KprobeMultiType:
			found[i.ID] = programName(i.Program)
		}
	}
	return found, it.Err()
}

func programName(id ebpf.ProgramID) string {
	p, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return fmt.Sprint("program ", id)
	}
	defer p.Close()
	i, err := p.Info()
	if err != nil {
		return fmt.Sprint("program ", id)
	}
	return i.Name
}

func (t tracing) String() string {
	return strings.Join(slices.Compact(slices.Sorted(maps.Values(t))), " ")
}

// foreignLinks lists those that none of the given processes holds.
func foreignLinks(own []int) (tracing, error) {
	all, err := tracingLinks()
	if err != nil {
		return nil, err
	}
	for _, pid := range own {
		for _, info := range fdinfos(fmt.Sprint(pid)) {
			for line := range strings.Lines(info) {
				if id, ok := strings.CutPrefix(line, "link_id:"); ok {
					n, err := strconv.ParseUint(strings.TrimSpace(id), 10, 32)
					if err != nil {
						return nil, fmt.Errorf("read link id: %w", err)
					}
					delete(all, link.ID(n))
				}
			}
		}
	}
	return all, nil
}

// fdinfos reads what the kernel says of a process's descriptors.
func fdinfos(pid string) []string {
	var out []string
	names, _ := filepath.Glob("/proc/" + pid + "/fdinfo/*") // the pattern is right
	for _, name := range names {
		if data, err := os.ReadFile(name); err == nil { // else it was closed meanwhile
			out = append(out, string(data))
		}
	}
	return out
}

// untraced runs f while nothing but the processes in own traces this machine. It
// waits for that, and runs f again when it was otherwise afterwards.
func (l *lab) untraced(ctx context.Context, own []int, f func() error) error {
	const patience = 2 * time.Minute
	var others tracing
	for end := time.Now().Add(patience); time.Now().Before(end); {
		was := len(others)
		var err error
		if others, err = foreignLinks(own); err != nil {
			return err
		}
		if len(others) > 0 && !l.dirty {
			if was == 0 {
				l.progress("waiting, as other programs trace this machine: %s", others)
			}
			if err := sleep(ctx, 500*time.Millisecond); err != nil {
				return err
			}
			continue
		}
		if err := f(); err != nil {
			return err
		}
		if others, err = foreignLinks(own); err != nil || len(others) == 0 || l.dirty {
			return err
		}
		l.progress("once more, as other programs began to trace this machine: %s", others)
	}
	return fmt.Errorf("other programs trace this machine, so there is no baseline: stop them, or measure with -dirty (%s; %s)", others, strings.Join(linkHolders(), "; "))
}

// linkHolders names the processes that hold BPF links.
func linkHolders() []string {
	var out []string
	processes, _ := filepath.Glob("/proc/[0-9]*") // the pattern is right
	for _, dir := range processes {
		if slices.ContainsFunc(fdinfos(filepath.Base(dir)), func(info string) bool { return strings.Contains(info, "link_id:") }) {
			command, _ := os.ReadFile(dir + "/cmdline") // empty if it has ended
			out = append(out, fmt.Sprintf("process %s, %s", filepath.Base(dir), strings.TrimSpace(strings.ReplaceAll(string(command), "\x00", " "))))
		}
	}
	return out
}
