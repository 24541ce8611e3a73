package enrich

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"eunomia/event"
)

func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func TestAChildRunsItsParentsProgramUntilItExecs(t *testing.T) {
	w := newWorld(newTest(t))
	shell := &proc{pid: 100, start: 5_000_000_001, comm: "bash", euid: 1000}
	w.exec(shell, "/bin/bash", "-l")
	child := &proc{pid: 101, start: 6_000_000_001, parent: shell, euid: 1000}
	p := w.fork(child).Process
	if p.Image != w.open(shell).Process.Image {
		t.Error("the child has a program of its own")
	}
	if p.Image.Name != "bash" || p.Image.CommandLine != "/bin/bash -l" || p.Image.Args[1] != "-l" {
		t.Errorf("image %+v", p.Image)
	}
	if p.Parent().PID != 100 || p.Parent().EUID != 1000 || p.Parent().EntityID != w.open(shell).Process.EntityID {
		t.Errorf("parent %+v", p.Parent())
	}
	if p.SessionID != 7 || p.GroupID != 8 || p.StartTime != 1_700_000_006*second+1 {
		t.Errorf("process %+v", p)
	}
	p = w.exec(child, "/usr/bin/id").Process
	if p.Image.Name != "id" || p.Parent().Image.Name != "bash" || p.Image.ExecTime != w.now {
		t.Errorf("after exec: %+v, parent %+v", p.Image, p.Parent().Image)
	}
	if q := w.open(child).Process; q != p {
		t.Error("an open changed the process")
	}
	checkTree(t, w.n)
}

func TestLineageIsASnapshotAtTheForkAndBounded(t *testing.T) {
	w := newWorld(newTest(t))
	p := &proc{pid: 1, start: 10_000_000, comm: "init"}
	w.exec(p, "/sbin/init")
	for i := uint32(2); i <= 40; i++ {
		p = &proc{pid: i, start: uint64(i) * 10_000_000, parent: p}
		w.fork(p)
		w.exec(p, fmt.Sprintf("/bin/p%d", i))
	}
	lineage := w.open(p).Process.Ancestors
	if len(lineage) != event.MaxAncestors {
		t.Fatalf("%d ancestors", len(lineage))
	}
	for i, a := range lineage {
		if want := fmt.Sprintf("p%d", 39-i); a.Image.Name != want {
			t.Errorf("ancestor %d is %s, want %s", i, a.Image.Name, want)
		}
	}
	w.exec(p.parent, "/bin/other")
	if name := w.open(p).Process.Parent().Image.Name; name != "p39" {
		t.Errorf("the parent's later exec rewrote history: %s", name)
	}
	sibling := &proc{pid: 50, start: 900_000_000, parent: p.parent}
	if name := w.fork(sibling).Process.Parent().Image.Name; name != "other" {
		t.Errorf("a later child has the parent %s", name)
	}
	checkTree(t, w.n)
}

func TestSiblingsShareTheirLineage(t *testing.T) {
	w := newWorld(newTest(t))
	parent := &proc{pid: 1, start: 10_000_000}
	w.exec(parent, "/sbin/nginx")
	a := w.fork(&proc{pid: 2, start: 20_000_000, parent: parent}).Process.Ancestors
	b := w.fork(&proc{pid: 3, start: 20_000_000, parent: parent}).Process.Ancestors
	if &a[0] != &b[0] {
		t.Error("two copies of one lineage")
	}
	parent.euid = 33
	if c := w.fork(&proc{pid: 4, start: 30_000_000, parent: parent}).Process.Parent(); c.EUID != 33 || a[0].EUID != 0 {
		t.Errorf("euid now %d, before %d", c.EUID, a[0].EUID)
	}
	checkTree(t, w.n)
}

func TestAReusedPidInheritsNothing(t *testing.T) {
	w := newWorld(newTest(t))
	first := &proc{pid: 100, start: 5_000_000_000, comm: "evil"}
	w.exec(first, "/tmp/evil")
	old := w.open(first).Process

	t.Run("after the exit", func(t *testing.T) {
		if w.exit(first).Process.Image.Name != "evil" {
			t.Error("the exit event lost its process")
		}
		second := &proc{pid: 100, start: 5_020_000_000, comm: "good"}
		p := w.exec(second, "/bin/good").Process
		if p.EntityID == old.EntityID || p.Image.Name != "good" || len(p.Ancestors) != 0 {
			t.Errorf("the new process is %+v", p)
		}
		if p := w.open(first).Process; p.Image.Name != "evil" || p.EntityID != old.EntityID {
			t.Errorf("a late event of the ended process found %+v", p.Image)
		}
		if p := w.open(second).Process; p.Image.Name != "good" {
			t.Errorf("the new process became %+v", p.Image)
		}
	})
	t.Run("when the exit was lost", func(t *testing.T) {
		third := &proc{pid: 100, start: 5_030_000_000, comm: "third"}
		p := w.open(third).Process
		if p.Image.Name != "third" || w.n.Stats().LostExits != 1 {
			t.Errorf("process %+v, lost exits %d", p.Image, w.n.Stats().LostExits)
		}
	})
	t.Run("late events of a process never seen, whose pid lives again", func(t *testing.T) {
		ghost := &proc{pid: 100, start: 4_000_000_000, comm: "ghost"}
		if p := w.open(ghost).Process; p.Image.Name != "ghost" || p.Start != ghost.start {
			t.Errorf("process %+v", p)
		}
		if p := w.open(&proc{pid: 100, start: 5_030_000_000}).Process; p.Image.Name != "third" {
			t.Errorf("the living process became %s", p.Image.Name)
		}
	})
	checkTree(t, w.n)
}

func TestEndedProcessesAreForgottenAfterAWhile(t *testing.T) {
	w := newWorld(newTest(t))
	for i := range uint32(20) {
		p := &proc{pid: 100 + i, start: uint64(i+1) * 1_000_000_000}
		w.exec(p, "/bin/true")
		w.exit(p)
	}
	if s := w.n.Stats(); s.Dead != 20 {
		t.Fatalf("%d dead", s.Dead)
	}
	w.now += 6 * second
	p := &proc{pid: 500, start: 100_000_000_000}
	w.exec(p, "/bin/true")
	w.exit(p)
	if s := w.n.Stats(); s.Processes != 1 || s.Dead != 1 || s.Evicted["dead_age"] != 20 || s.Images != 1 {
		t.Errorf("left: %+v", s)
	}
	checkTree(t, w.n)
}

func TestForkEventAfterTheChildsFirstEventCompletesTheStub(t *testing.T) {
	w := newWorld(newTest(t))
	parent := &proc{pid: 10, start: 1_000_000_000}
	w.exec(parent, "/usr/sbin/sshd")
	child := &proc{pid: 11, start: 2_000_000_000, parent: parent, comm: "sshd"}
	w.open(child)
	if w.n.Stats().Stubs != 1 {
		t.Fatal("no stub")
	}
	if p := w.fork(child).Process; p.Image.Executable != "/usr/sbin/sshd" || p.Parent().PID != 10 {
		t.Errorf("process %+v", p)
	}
	checkTree(t, w.n)
}

func TestForkOfAnUnknownParent(t *testing.T) {
	w := newWorld(newTest(t))
	parent := &proc{pid: 10, start: 1_000_000_000, comm: "cron", euid: 0}
	p := w.fork(&proc{pid: 11, start: 2_000_000_000, parent: parent}).Process
	if p.Image.Name != "cron" || p.Parent().PID != 10 || p.Parent().Image.Name != "cron" {
		t.Errorf("process %+v", p)
	}
	checkTree(t, w.n)
}

func TestEventsWithoutAProcess(t *testing.T) {
	n := newTest(t)
	for _, k := range []event.Kind{event.Open, event.Exec, event.Fork, event.Exit, event.CgroupMake, event.CgroupRemove} {
		e := event.Event{Kind: k}
		n.Enrich(&e)
		if e.Process == nil || e.Process.Image == nil || e.Host == nil {
			t.Errorf("%s: %+v", k, e.Process)
		}
	}
	checkTree(t, n)
}

func TestProgramNames(t *testing.T) {
	tests := []struct{ name, filename, executable, comm, want string }{
		{"a link to busybox", "/bin/sh", "/bin/busybox", "sh", "sh"},
		{"a relative path", "./deploy.py", "/usr/bin/python3.11", "deploy.py", "deploy.py"},
		{"longer than comm", "/opt/a-very-long-program-name", "/opt/a-very-long-program-name", "a-very-long-pro", "a-very-long-program-name"},
		{"fexecve", "/dev/fd/3", "/usr/bin/id", "3", "id"},
		{"fexecve of a memfd", "/dev/fd/4", "/memfd:payload", "4", "memfd:payload"},
		{"execveat below a directory", "/dev/fd/5/sub/tool", "/srv/sub/tool", "tool", "tool"},
		{"running itself again", "/proc/self/exe", "/bin/busybox", "exe", "busybox"},
		{"a descriptor by /proc", "/proc/17/fd/6", "/usr/bin/runc", "6", "runc"},
		{"a file in /proc that is no link", "/proc/17/root/bin/sh", "/bin/dash", "sh", "sh"},
		{"a detached mount has no path", "/dev/fd/6", "/", "runc", "runc"},
		{"nothing but comm", "", "", "comm", "comm"},
		{"fexecve, executable unreadable", "/dev/fd/3", "", "3", "3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := programName(&event.Image{Filename: test.filename, Executable: test.executable}, test.comm); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestAnAppletThatBusyboxStartsIsCalledByItsName(t *testing.T) {
	i := &event.Image{Filename: "/proc/self/exe", Executable: "/bin/busybox", Args: []string{"nc", "-l"}}
	if got := programName(i, "exe"); got != "nc" {
		t.Errorf("got %q", got)
	}
	i.Executable = "/usr/bin/other" // argv[0] of anything else is only the caller's word
	if got := programName(i, "exe"); got != "other" {
		t.Errorf("got %q", got)
	}
}

func TestTheTreeStaysWithinItsBytes(t *testing.T) {
	n := newTest(t, func(o *Options) { o.MaxBytes = 200_000 })
	w := newWorld(n)
	busy := &proc{pid: 1, start: 10_000_000}
	w.exec(busy, "/sbin/init")
	for i := uint32(2); i < 5000; i++ {
		p := &proc{pid: i, start: uint64(i) * 10_000_000, parent: busy}
		w.fork(p)
		w.exec(p, fmt.Sprintf("/bin/p%d", i))
		if i%3 == 0 {
			w.exit(p)
		}
		w.open(busy)
		if s := n.Stats(); s.Bytes > s.MaxBytes {
			t.Fatalf("%d bytes", s.Bytes)
		}
	}
	s := n.Stats()
	if s.Evicted["dead_bytes"] == 0 || s.Evicted["live_bytes"] == 0 {
		t.Errorf("evicted %v", s.Evicted)
	}
	if n.tree.find(1, 10_000_000) == nil {
		t.Error("the process that acts all the time was evicted")
	}
	checkTree(t, n)
}

func TestHundredThousandProcesses(t *testing.T) {
	n := newTest(t)
	w := newWorld(n)
	root := &proc{pid: 1, start: 10_000_000}
	w.exec(root, "/sbin/init")
	const count = 100_000
	for i := uint32(2); i < count+2; i++ {
		w.fork(&proc{pid: i, start: uint64(i) * 1_000_000_00, parent: root})
	}
	s := n.Stats()
	if s.Processes != count+1 || s.Evicted["live_bytes"] != 0 {
		t.Errorf("%d processes in %d bytes, evicted %v", s.Processes, s.Bytes, s.Evicted)
	}
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	t.Logf("%d bytes each by the books, %d on the heap", s.Bytes/s.Processes, int64(mem.HeapAlloc)/s.Processes)
	for i := uint32(2); i < count+2; i++ {
		w.exec(&proc{pid: i, start: uint64(i) * 1_000_000_00, parent: root}, "/usr/bin/worker", "--number", fmt.Sprint(i))
	}
	if s = n.Stats(); s.Bytes > s.MaxBytes || s.Processes < count*2/3 {
		t.Errorf("%d processes in %d bytes, evicted %v", s.Processes, s.Bytes, s.Evicted)
	}
	runtime.GC()
	runtime.ReadMemStats(&mem)
	t.Logf("with a program of its own each: %d processes kept, %d bytes each by the books, %d on the heap", s.Processes, s.Bytes/s.Processes, int64(mem.HeapAlloc)/s.Processes)
	if over := float64(mem.HeapAlloc) / float64(s.Bytes); over > 1.3 {
		t.Errorf("the heap holds %.2f times what the books say", over)
	}
	checkTree(t, n)
}

// Random lives, with lost and late events, must neither break the books nor mix up
// identities.
func TestRandomLives(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := newTest(t, func(o *Options) { o.MaxBytes = int64(20_000 + r.IntN(200_000)) })
		w := newWorld(n)
		var all []*proc
		entity := map[string]*proc{}
		for step := range 4000 {
			w.now += int64(r.IntN(20)) * second / 100
			var p *proc
			if len(all) > 0 && r.IntN(3) > 0 {
				p = all[max(0, len(all)-1-r.IntN(30))]
			} else {
				p = &proc{pid: uint32(1 + r.IntN(60)), start: uint64(step+1) * nsPerTick, comm: fmt.Sprint("p", step), cgroup: uint64(r.IntN(5))}
				if len(all) > 0 {
					p.parent = all[r.IntN(len(all))]
				}
				all = append(all, p)
			}
			do := []func() *event.Event{
				func() *event.Event { return w.fork(p) }, func() *event.Event { return w.open(p) },
				func() *event.Event { return w.exec(p, "/bin/x") }, func() *event.Event { return w.exit(p) },
			}[r.IntN(4)]
			e := do()
			if e.Process.PID != p.pid || e.Process.Start != p.start {
				t.Fatalf("seed %d, step %d: event of %d/%d carries %d/%d", seed, step, p.pid, p.start, e.Process.PID, e.Process.Start)
			}
			if q := entity[e.Process.EntityID]; q != nil && q != p {
				t.Fatalf("one entity id for two processes")
			}
			entity[e.Process.EntityID] = p
			if s := n.Stats(); s.Bytes > s.MaxBytes {
				t.Fatalf("%d bytes", s.Bytes)
			}
			if step%100 == 0 {
				checkTree(t, n)
			}
		}
		checkTree(t, n)
	}
}

func TestAnOpenOfAKnownProcessAllocatesNothing(t *testing.T) {
	n := newTest(t)
	w := newWorld(n)
	w.makeCgroup(77, "/docker/"+idA)
	p := &proc{pid: 100, start: 5_000_000_000, cgroup: 77, comm: "app"}
	w.exec(p, "/bin/app")
	e := w.open(p)
	if got := testing.AllocsPerRun(1000, func() { n.Enrich(e) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, processes := range []int{100, 100_000} {
		b.Run(fmt.Sprint(processes, "-processes"), func(b *testing.B) {
			n := newTest(b)
			w := newWorld(n)
			w.makeCgroup(77, "/docker/"+idA)
			root := &proc{pid: 1, start: nsPerTick, cgroup: 77}
			w.exec(root, "/bin/app")
			for i := 2; i <= processes; i++ {
				w.fork(&proc{pid: uint32(i), start: uint64(i) * nsPerTick, parent: root, cgroup: 77})
			}
			e := w.open(root)
			b.ReportAllocs()
			x := uint32(1)
			for b.Loop() {
				x = x*1664525 + 1013904223
				e.Task.PID = 1 + x>>8%uint32(processes)
				e.Task.Start = uint64(e.Task.PID) * nsPerTick
				n.Enrich(e)
			}
		})
	}
}

func BenchmarkForkExecExit(b *testing.B) {
	w := newWorld(newTest(b))
	root := &proc{pid: 1, start: nsPerTick}
	w.exec(root, "/bin/sh")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p := &proc{pid: uint32(2 + i%30000), start: uint64(i+2) * nsPerTick, parent: root}
		w.fork(p)
		w.exec(p, "/usr/bin/cc", "-O2", "-c", "main.c")
		w.exit(p)
	}
}

func TestArgumentsOutliveTheirRecord(t *testing.T) {
	w := newWorld(newTest(t))
	for i, args := range [][]string{nil, {"-l"}, {""}} {
		p := &proc{pid: 30 + uint32(i), start: nsPerTick}
		w.exec(p, "/bin/bash", args...)
		want := append([]string{"/bin/bash"}, args...)
		if image := w.open(p).Process.Image; !slices.Equal(image.Args, want) || image.CommandLine != strings.Join(want, " ") {
			t.Errorf("%q: %q", want, image.Args)
		}
	}
}
