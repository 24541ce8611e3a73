package enrich

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"eunomia/event"
)

// Bounds of what is read of a process.
const (
	maxArgs   = 4095 // bytes of argv, as much as the sensor reads at an exec
	maxStatus = 8192
)

// nsPerTick is the unit of starttime in /proc/<pid>/stat: USER_HZ is 100 on every
// architecture that the sensor supports.
const nsPerTick = 10_000_000

const kernelThread = 0x00200000 // PF_KTHREAD of linux/sched.h

// sameStart compares a start read from /proc, which is cut to ticks, with the
// kernel's own, to the precision that both have.
func sameStart(a, b uint64) bool { return a/nsPerTick == b/nsPerTick }

// stat is what /proc/<pid>/stat tells.
type stat struct {
	comm                   string
	parent, group, session uint32
	tty                    uint32
	flags                  uint64
	start                  uint64 // ns since boot, cut to ticks
}

// scanned is a process as /proc shows it.
type scanned struct {
	stat
	pid       uint32
	process   event.Process // without Image and Ancestors
	image     event.Image
	euid      uint32
	container CgroupRef
	sockets   [3]uint64 // inodes of standard streams that are sockets
}

// procReader reads processes from /proc. Not safe for concurrent use.
type procReader struct {
	root       string
	controller string // of the chosen v1 hierarchy
	buf        []byte
}

func newProcReader(root, controller string) *procReader {
	return &procReader{root: root, controller: controller, buf: make([]byte, 16384)}
}

// read returns the process with this pid. All of it comes from one process: the
// directory stays that of the process for which it was opened.
func (r *procReader) read(pid uint32) (*scanned, error) {
	dir, err := unix.Open(r.root+"/"+strconv.FormatUint(uint64(pid), 10), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	defer unix.Close(dir)
	st, err := readStat(dir, r.buf)
	if err != nil {
		return nil, err
	}
	s := &scanned{stat: st, pid: pid}
	s.process = event.Process{PID: pid, Start: st.start, SessionID: st.session, GroupID: st.group, TTY: ttyName(st.tty), LoginUID: math.MaxUint32}
	r.status(dir, s)
	s.container = containerOf(readText(dir, "cgroup", r.buf), r.controller)
	r.program(dir, s)
	if st.flags&kernelThread == 0 {
		if id, err := strconv.ParseUint(readText(dir, "loginuid", r.buf), 10, 32); err == nil {
			s.process.LoginUID = uint32(id)
		}
		r.namespaces(dir, &s.process.Namespaces)
		r.streams(dir, s)
	}
	return s, nil
}

func readStat(dir int, buf []byte) (stat, error) {
	text := readText(dir, "stat", buf)
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')') // comm may hold both
	if open < 0 || end < open {
		return stat{}, unix.ESRCH
	}
	s := stat{comm: strings.Clone(text[open+1 : end])}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 20 {
		return stat{}, unix.ESRCH
	}
	number := func(field int) uint64 { // numbered as in proc(5)
		n, _ := strconv.ParseInt(fields[field-3], 10, 64) // -1 for no group
		return uint64(n)
	}
	s.parent, s.group, s.session, s.tty = uint32(number(4)), uint32(number(5)), uint32(number(6)), uint32(number(7))
	s.flags = number(9)
	s.start = number(22) * nsPerTick
	return s, nil
}

func (r *procReader) status(dir int, s *scanned) {
	hex := func(v string) uint64 { n, _ := strconv.ParseUint(v, 16, 64); return n }
	for line := range strings.Lines(readText(dir, "status", r.buf[:maxStatus])) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Uid":
			if f := strings.Fields(value); len(f) > 1 {
				n, _ := strconv.ParseUint(f[1], 10, 32)
				s.euid = uint32(n)
			}
		case "CapInh":
			s.process.Caps.Inheritable = hex(value)
		case "CapPrm":
			s.process.Caps.Permitted = hex(value)
		case "CapEff":
			s.process.Caps.Effective = hex(value)
		case "CapAmb":
			s.process.Caps.Ambient = hex(value)
		}
	}
}

func (r *procReader) namespaces(dir int, ns *event.Namespaces) {
	for _, n := range []struct {
		name string
		to   *uint32
	}{{"pid", &ns.PID}, {"mnt", &ns.Mount}, {"net", &ns.Net}, {"user", &ns.User}, {"uts", &ns.UTS}, {"ipc", &ns.IPC}, {"cgroup", &ns.Cgroup}} {
		*n.to = uint32(bracketed(r.link(dir, "ns/"+n.name)))
	}
}

// bracketed returns the number in names such as net:[4026531840] and socket:[1234].
func bracketed(link string) uint64 {
	_, number, _ := strings.Cut(link, ":[")
	n, _ := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
	return n
}

// statQuietly asks for what the kernel has in memory: a dead network file system
// must not hold the sensor.
func statQuietly(dir int, name string) (unix.Statx_t, error) {
	var st unix.Statx_t
	err := unix.Statx(dir, name, unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS, &st)
	return st, err
}

func (r *procReader) link(dir int, name string) string {
	n, err := unix.Readlinkat(dir, name, r.buf)
	if err != nil {
		return ""
	}
	return string(r.buf[:n])
}

// readText returns what fits buf of a small file of /proc, without the last newline.
func readText(dir int, name string, buf []byte) string {
	return string(bytes.TrimSuffix(buf[:readInto(dir, name, buf)], []byte{'\n'}))
}

func readInto(dir int, name string, buf []byte) int {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	total := 0
	for total < len(buf) {
		n, err := unix.Read(fd, buf[total:])
		if n <= 0 || err != nil {
			break
		}
		total += n
	}
	return total
}
