package enrich

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
)

// scan fills the tree from /proc, parents before their children.
func (n *Enricher) scan() error {
	found, err := n.readAll()
	if err != nil {
		return err
	}
	sockets := socketTables{proc: n.options.ProcRoot, limit: maxSocketTable}
	var add func(s *scanned)
	add = func(s *scanned) {
		delete(found, s.pid)
		if parent := found[s.parent]; parent != nil {
			add(parent)
		}
		sockets.complete(s)
		n.insert(s, n.identity.wall(s.start))
	}
	for _, s := range found {
		if found[s.pid] != nil {
			add(s)
		}
	}
	return nil
}

// readAll reads every process, on all processors: a host may run 100,000.
func (n *Enricher) readAll() (map[uint32]*scanned, error) {
	dir, err := os.Open(n.options.ProcRoot)
	if err != nil {
		return nil, fmt.Errorf("read processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("read processes: %w", err)
	}
	pids := make(chan uint32, len(names))
	for _, name := range names {
		if pid, err := strconv.ParseUint(name, 10, 32); err == nil {
			pids <- uint32(pid)
		}
	}
	close(pids)
	found := make(map[uint32]*scanned, len(pids))
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			r := newProcReader(n.reader.root, n.reader.controller)
			for pid := range pids {
				if s, err := r.read(pid); err == nil { // else it ended meanwhile
					mu.Lock()
					found[pid] = s
					mu.Unlock()
				}
			}
		})
	}
	workers.Wait()
	return found, nil
}

// adopt adds a process that was found in /proc later on.
func (n *Enricher) adopt(s *scanned, now int64) *node {
	sockets := socketTables{proc: n.options.ProcRoot, limit: maxSocketTableLate}
	sockets.complete(s)
	return n.insert(s, now)
}

func (n *Enricher) insert(s *scanned, now int64) *node {
	p := s.process
	p.StartTime, p.EntityID = n.identity.wall(p.Start), n.identity.entity(p.PID, p.Start)
	if p.PID == 1 {
		n.initMounts = p.Namespaces.Mount
	}
	x := &node{process: &p, euid: s.euid}
	if s.container.ID != "" {
		x.slot = n.containers.seen(s.container)
		p.ContainerID = s.container.ID
	} else {
		n.onHost(p.Namespaces.Mount)
	}
	parent := n.tree.byPID[s.parent]
	if parent != nil && !parent.dead && parent.process.Start/nsPerTick <= s.start/nsPerTick && s.parent != 0 {
		x.lineage = n.tree.heirsOf(parent)
		p.Ancestors = x.lineage.ancestors()
		if sameProgram(parent, s) {
			x.image = parent.image
			x.image.refs++
		}
	}
	if x.image == nil {
		x.image = n.tree.newImage(n.tree.internImage(s))
	}
	p.Image = x.image.Image
	n.tree.add(x, now)
	return x
}

// sameProgram reports whether the process runs what its parent does: a worker that
// was forked, whose program is kept once.
func sameProgram(parent *node, s *scanned) bool {
	a, b := parent.process.Image, &s.image
	return a.Name == b.Name && a.CommandLine == b.CommandLine && a.Executable == b.Executable && a.Exe == b.Exe &&
		a.WorkingDirectory == b.WorkingDirectory && len(a.Args) == len(b.Args) && a.ExecTime == 0
}
