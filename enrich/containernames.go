package enrich

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of reading containers' passwd files.
const (
	nameReaders  = 4
	nameBacklog  = 256
	maxNameReads = 8 // attempts per container: its first processes are the runtime's own
	nameTimeout  = 2 * time.Second
	maxNameWaits = 3 // times per container that events wait, each …
	nameWait     = 5 * time.Millisecond
)

// errHostRoot is returned for a process in the container's control group that has
// not changed to the container's file system yet: the runtime, before pivot_root.
var errHostRoot = errors.New("the process still has the host's root")

// nameReader reads the passwd and group files of containers, each once, through the
// root of one of its processes. Everything below that root is the container's to
// arrange: links lead nowhere outside (RESOLVE_IN_ROOT), FIFOs and devices are not
// opened, sizes are bounded, and a file system that never answers (FUSE) holds one
// of a few readers, not the rest of the detector.
type nameReader struct {
	proc     string
	requests chan nameRequest
	stats    *counters
}

type nameRequest struct {
	slot  *slot
	pid   uint32
	start uint64
	done  chan struct{}
}

func newNameReader(proc string, stats *counters) *nameReader {
	return &nameReader{proc: proc, requests: make(chan nameRequest, nameBacklog), stats: stats}
}

// ask has the files read through this process, unless they were read, too many
// attempts failed or too many requests wait; then it returns nil, else a channel
// that is closed when the attempt has ended.
func (r *nameReader) ask(s *slot, pid uint32, start uint64) <-chan struct{} {
	if s.names.Load() != nil || s.reads.Load() >= maxNameReads || s.reading.Load() {
		return nil
	}
	q := nameRequest{s, pid, start, make(chan struct{})}
	s.reading.Store(true) // so that a container holds one reader at most
	select {
	case r.requests <- q:
		s.reads.Add(1)
		return q.done
	default:
		s.reading.Store(false)
		r.stats.namesSkipped.Add(1)
		return nil
	}
}

// run serves requests until ctx is done. It does not wait for a reader that a
// container's file system holds.
func (r *nameReader) run(ctx context.Context) {
	var ready sync.WaitGroup
	defer ready.Wait()
	busy := make(chan struct{}, nameReaders)
	for {
		var q nameRequest
		select {
		case <-ctx.Done():
			return
		case q = <-r.requests:
		}
		select {
		case <-ctx.Done():
			return
		case busy <- struct{}{}:
		}
		ready.Add(1)
		free := sync.OnceFunc(ready.Done)
		giveUp := time.AfterFunc(nameTimeout, free)
		go func() {
			r.serve(q)
			<-busy
			giveUp.Stop()
			free()
		}()
	}
}

func (r *nameReader) serve(q nameRequest) {
	defer close(q.done)
	defer q.slot.reading.Store(false)
	n, err := r.read(q.pid, q.start)
	switch {
	case err == nil && r.stats.namesHeld.Load()+n.size() > maxHeld:
		r.stats.namesRefused.Add(1)
	case err == nil:
		if q.slot.names.CompareAndSwap(nil, n) {
			r.stats.namesRead.Add(1)
			r.stats.namesHeld.Add(n.size())
		}
	case errors.Is(err, errHostRoot), errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ESRCH):
		// the next process may do
	default:
		r.stats.namesRefused.Add(1)
	}
}

// read returns the names of the container that the process lives in.
func (r *nameReader) read(pid uint32, start uint64) (*names, error) {
	dir, err := unix.Open(fmt.Sprintf("%s/%d", r.proc, pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	// What is opened below dir belongs to the process that dir was opened for, or fails.
	var buf [1024]byte
	if st, err := readStat(dir, buf[:]); err != nil {
		return nil, err
	} else if !sameStart(st.start, start) {
		return nil, unix.ESRCH
	}
	root, err := unix.Openat(dir, "root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	var here, host unix.Stat_t
	if err := unix.Fstat(root, &here); err != nil {
		return nil, err
	}
	if unix.Stat(r.proc+"/1/root", &host) != nil && unix.Stat("/", &host) != nil {
		return nil, errHostRoot
	}
	if here.Dev == host.Dev && here.Ino == host.Ino {
		return nil, errHostRoot
	}
	n := &names{}
	if n.users, err = readTable(root, "etc/passwd"); err != nil {
		return nil, err
	}
	if n.groups, err = readTable(root, "etc/group"); err != nil {
		return nil, err
	}
	var maps [4096]byte
	n.uids = parseIDMap(readText(dir, "uid_map", maps[:]))
	n.gids = parseIDMap(readText(dir, "gid_map", maps[:]))
	return n, nil
}

func readTable(root int, name string) (map[uint32]string, error) {
	data, err := readRegular(root, name, maxContainerNames, &unix.OpenHow{Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) { // an image from scratch has no names
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseNames(data, maxEntries), nil
}
