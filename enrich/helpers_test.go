package enrich

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"eunomia/event"
)

const second = int64(time.Second)

// hostMounts is the mount namespace that the tests' host processes live in.
const hostMounts = 4026531841

// newTest returns an enricher that sees neither real processes nor a runtime.
func newTest(t testing.TB, change ...func(*Options)) *Enricher {
	t.Helper()
	o := Options{ProcRoot: t.TempDir(), NoDocker: true, Node: "node", BootTime: 1_700_000_000 * second}
	for _, c := range change {
		c(&o)
	}
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	n.initMounts = hostMounts
	n.onHost(hostMounts)
	return n
}

// world makes the events that a kernel would.
type world struct {
	n   *Enricher
	now int64
	e   event.Event // reused, as the probes do
}

func newWorld(n *Enricher) *world { return &world{n: n, now: 1_700_000_100 * second} }

type proc struct {
	pid    uint32
	start  uint64
	parent *proc
	cgroup uint64
	euid   uint32
	mounts uint32
	comm   string
}

func (w *world) begin(k event.Kind, p *proc) *event.Event {
	w.now += 1000
	w.e.Kind, w.e.Time = k, w.now
	mounts := p.mounts
	if mounts == 0 {
		mounts = hostMounts
	}
	w.e.Task = event.Task{PID: p.pid, TID: p.pid, Start: p.start, CgroupID: p.cgroup, Comm: p.comm, EUID: p.euid, UID: p.euid, MountNS: mounts}
	if p.parent != nil {
		w.e.Task.ParentPID, w.e.Task.ParentStart = p.parent.pid, p.parent.start
	}
	return &w.e
}

func (w *world) fork(p *proc) *event.Event {
	e := w.begin(event.Fork, p)
	e.Fork = event.ForkPayload{SessionID: 7, GroupID: 8}
	if p.parent != nil {
		e.Fork.ParentComm, e.Fork.ParentEUID = p.parent.comm, p.parent.euid
		if p.comm == "" {
			p.comm, e.Task.Comm = p.parent.comm, p.parent.comm
		}
	}
	w.n.Enrich(e)
	return e
}

// exec runs file; the strings it gives are overwritten afterwards, as the ring's are.
func (w *world) exec(p *proc, file string, args ...string) *event.Event {
	e := w.begin(event.Exec, p)
	record := []byte(file)
	e.Exec.Image = event.Image{Name: "stale", Filename: alias(record), Executable: alias(record), WorkingDirectory: "/"}
	argv := ""
	for _, a := range append([]string{file}, args...) {
		argv += a + "\x00"
	}
	raw := []byte(argv)
	e.Exec.SetArgs(alias(raw))
	e.Exec.LoginUID = 0xffffffff
	w.n.Enrich(e)
	for i := range record {
		record[i] = '!'
	}
	for i := range raw {
		raw[i] = '!'
	}
	return e
}

func (w *world) open(p *proc) *event.Event {
	e := w.begin(event.Open, p)
	w.n.Enrich(e)
	return e
}

func (w *world) exit(p *proc) *event.Event {
	e := w.begin(event.Exit, p)
	w.n.Enrich(e)
	return e
}

// makeCgroup overwrites the path afterwards, as the ring's is.
func (w *world) makeCgroup(id uint64, path string) {
	w.now++
	record := []byte(path)
	w.e.Kind, w.e.Time, w.e.Task = event.CgroupMake, w.now, event.Task{PID: 1, Start: 1}
	w.e.Cgroup = event.CgroupPayload{ID: id, Path: alias(record)}
	w.n.Enrich(&w.e)
	for i := range record {
		record[i] = '!'
	}
}

func (w *world) removeCgroup(id uint64, path string) {
	w.now++
	w.e.Kind, w.e.Time, w.e.Task = event.CgroupRemove, w.now, event.Task{PID: 1, Start: 1}
	w.e.Cgroup = event.CgroupPayload{ID: id, Path: path}
	w.n.Enrich(&w.e)
}

func containerID(e *event.Event) string {
	if e.Container == nil {
		return ""
	}
	return e.Container.ID
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("did not happen: " + what)
}

// checkTree holds the tree's books against what is in it.
func checkTree(t testing.TB, n *Enricher) {
	t.Helper()
	var count, dead, bytes int64
	images := map[*image]int{}
	lineages := map[*lineage]int{}
	ancestors := map[*ancestor]int{}
	for pid, x := range n.tree.byPID {
		for ; x != nil; x = x.older {
			count++
			if x.dead {
				dead++
			}
			if x.process.PID != pid || x.process.Image != x.image.Image {
				t.Fatalf("process %d is filed under %d", x.process.PID, pid)
			}
			bytes += x.bytes
			images[x.image]++
			for _, l := range []*lineage{x.lineage, x.heirs} {
				if l != nil {
					lineages[l]++
				}
			}
		}
	}
	for l, refs := range lineages {
		if l.refs != refs {
			t.Fatalf("a lineage counts %d references, has %d", l.refs, refs)
		}
		bytes += l.size()
		for _, a := range l.owned {
			ancestors[a]++
		}
	}
	for a, refs := range ancestors {
		if a.refs != refs {
			t.Fatalf("an ancestor counts %d references, has %d", a.refs, refs)
		}
		bytes += ancestorBytes
		images[a.image]++
	}
	for i, refs := range images {
		if i.refs != refs {
			t.Fatalf("image %s counts %d references, has %d", i.Name, i.refs, refs)
		}
		bytes += i.bytes
	}
	ring := int64(0)
	if n.tree.hand != nil {
		for x := n.tree.hand; ; x = x.next {
			ring++
			if x.next == n.tree.hand {
				break
			}
		}
	}
	s := n.Stats()
	if s.Processes != count || s.Dead != dead || s.Bytes != bytes || s.Images != int64(len(images)) || ring != count || len(n.tree.dead) != int(dead) {
		t.Fatalf("books: %d processes (found %d, in the ring %d), %d dead (%d, queued %d), %d bytes (%d), %d images (%d)",
			s.Processes, count, ring, s.Dead, dead, len(n.tree.dead), s.Bytes, bytes, s.Images, len(images))
	}
}

func fakeID(i int) string { return fmt.Sprintf("%064x", i) }

func inode(st os.FileInfo) uint64 { return st.Sys().(*syscall.Stat_t).Ino }

func link(path string) string { l, _ := os.Readlink(path); return l }
