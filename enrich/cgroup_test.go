package enrich

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"eunomia/event"
	"eunomia/internal/testutil"
)

// The original Eunomia's five failures, each of which put a container's process on
// the host.
func TestEveryEventOfAContainerCarriesIt(t *testing.T) {
	n := newTest(t)
	w := newWorld(n)
	shim := &proc{pid: 10, start: nsPerTick, comm: "containerd-shim", cgroup: 1}
	w.makeCgroup(1, "/system.slice/docker.service")
	w.exec(shim, "/usr/bin/containerd-shim-runc-v2")
	if id := containerID(w.open(shim)); id != "" {
		t.Fatalf("the shim is in %q", id)
	}

	w.makeCgroup(77, "/docker/"+idA)
	runc := &proc{pid: 20, start: 2 * nsPerTick, parent: shim, comm: "runc", cgroup: 1}
	w.fork(runc)
	w.exec(runc, "/usr/bin/runc", "init")
	runc.cgroup, runc.mounts = 77, 4026532000 // joined the group, not yet the program
	if id := containerID(w.open(runc)); id != idA {
		t.Errorf("the runtime in the group: %q", id)
	}
	if e := w.exec(runc, "/bin/nginx"); containerID(e) != idA || e.Process.ContainerID != idA {
		t.Errorf("a new container's first process: %q", containerID(e))
	}
	worker := &proc{pid: 21, start: 3 * nsPerTick, parent: runc, cgroup: 77, mounts: 4026532000}
	if e := w.fork(worker); containerID(e) != idA || e.Process.ContainerID != idA {
		t.Errorf("a fork-only worker: %q", containerID(e))
	}
	if id := containerID(w.open(worker)); id != idA {
		t.Errorf("an event of the worker: %q", id)
	}
	child := &proc{pid: 22, start: 4 * nsPerTick, parent: worker, cgroup: 77, mounts: 4026532000}
	w.fork(child)
	if id := containerID(w.exec(child, "/bin/sh")); id != idA {
		t.Errorf("a child: %q", id)
	}
	for _, p := range []*proc{child, worker, runc} {
		if id := containerID(w.exit(p)); id != idA {
			t.Errorf("the exit of %d: %q", p.pid, id)
		}
	}

	// Lives for milliseconds: group removed and pid gone when the event is read.
	w.makeCgroup(78, "/docker/"+idB)
	w.removeCgroup(78, "/docker/"+idB)
	brief := &proc{pid: 30, start: 5 * nsPerTick, parent: shim, cgroup: 78, mounts: 4026532001}
	if id := containerID(w.exec(brief, "/bin/true")); id != idB {
		t.Errorf("a short-lived container: %q", id)
	}
	if id := containerID(w.exit(brief)); id != idB {
		t.Errorf("its exit: %q", id)
	}
	checkTree(t, n)
}

func TestTheExecRecordsPathServesWhereNoOtherIsKnown(t *testing.T) {
	w := newWorld(newTest(t))
	p := &proc{pid: 30, start: 5 * nsPerTick, cgroup: 79}
	w.e.Exec.CgroupPath = "" // begin does not touch it
	e := w.begin(event.Exec, p)
	e.Exec.Image = event.Image{Filename: "/bin/true"}
	e.Exec.CgroupPath = "/docker/" + idA
	w.n.Enrich(e)
	if containerID(e) != idA {
		t.Errorf("container %q", containerID(e))
	}
	// A path of as many names as the sensor reads may lack its head, here the outer container.
	e.Task.CgroupID = 80
	e.Exec.CgroupPath = strings.Repeat("/x", cgroupLevels-1) + "/" + idB
	w.n.Enrich(e)
	if containerID(e) == idB {
		t.Error("a path that may be cut was believed")
	}
}

func TestAGroupIsFoundByItsNumber(t *testing.T) {
	testutil.Require(t, "root")
	mount := findV2("")
	if mount == "" {
		testutil.Missing(t, "docker", errors.New("no cgroup2 mount"))
	}
	base := filepath.Join(mount, "eunomia-test-"+fmt.Sprint(os.Getpid()))
	dir := filepath.Join(base, "docker-"+idA+".scope")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(base)
	defer os.Remove(dir)
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	n := newTest(t)
	w := newWorld(n)
	p := &proc{pid: 30, start: 5 * nsPerTick, cgroup: st.Ino}
	if id := containerID(w.open(p)); id != idA {
		t.Errorf("container %q", id)
	}
	w.open(p)
	if s := n.Stats(); s.CgroupLookups != 1 || s.CgroupUnknown != 0 {
		t.Errorf("%d lookups, %d failed", s.CgroupLookups, s.CgroupUnknown)
	}
}

func TestAnUnknownGroupIsLookedUpAFewTimesOnly(t *testing.T) {
	n := newTest(t)
	w := newWorld(n)
	p := &proc{pid: 30, start: 5 * nsPerTick, cgroup: 1 << 60}
	for range 1000 {
		w.now += second / 100
		w.open(p)
	}
	if s := n.Stats(); s.CgroupLookups != maxRetries || s.CgroupUnknown != maxRetries {
		t.Errorf("%d lookups", s.CgroupLookups)
	}
	w.makeCgroup(1<<60, "/docker/"+idA) // announced late
	if e := w.open(p); containerID(e) != idA || e.Process.ContainerID != idA {
		t.Errorf("container %q", containerID(e))
	}
}

func TestOtherGoroutinesMayAskForContainers(t *testing.T) {
	n := newTest(t)
	w := newWorld(n)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 1000 {
			if c := n.ContainerOf(500); c != nil && c.ID != idA {
				t.Errorf("container %+v", c)
			}
			n.Container(idA)
			n.Stats()
		}
	}()
	for i := range 1000 {
		w.makeCgroup(uint64(i), "/docker/"+idA)
		w.open(&proc{pid: 5, start: nsPerTick, cgroup: uint64(2000 + i)})
		w.removeCgroup(uint64(i), "")
		w.now += second / 10
	}
	<-done
	w.makeCgroup(3000, "/docker/"+idA)
	if c := n.ContainerOf(3000); c == nil || c.ID != idA || n.Container(idA) != c || n.ContainerOf(4000) != nil || n.Container(idB) != nil {
		t.Errorf("container %+v", c)
	}
}

func TestV1AndV2NumbersDoNotMix(t *testing.T) {
	w := newWorld(newTest(t, func(o *Options) {
		o.Cgroups.Paths = map[uint64]string{5: "/docker/" + idA, 5 | V1Cgroup: "/docker/" + idB}
	}))
	if id := containerID(w.open(&proc{pid: 30, start: nsPerTick, cgroup: 5})); id != idA {
		t.Errorf("v2: %q", id)
	}
	if id := containerID(w.open(&proc{pid: 31, start: nsPerTick, cgroup: 5 | V1Cgroup})); id != idB {
		t.Errorf("v1: %q", id)
	}
}

func TestLeavingTheGroupIsNotLeavingTheContainer(t *testing.T) {
	n := newTest(t)
	w := newWorld(n)
	w.makeCgroup(1, "/")
	w.makeCgroup(77, "/docker/"+idA)
	p := &proc{pid: 30, start: nsPerTick, cgroup: 77, mounts: 4026532000}
	w.exec(p, "/bin/sh")
	p.cgroup = 1
	if id := containerID(w.open(p)); id != idA || n.Stats().CgroupLeft != 1 {
		t.Errorf("after writing to the root's cgroup.procs: %q", id)
	}
	child := &proc{pid: 31, start: 2 * nsPerTick, parent: p, cgroup: 1, mounts: 4026532000}
	if id := containerID(w.fork(child)); id != idA {
		t.Errorf("its child: %q", id)
	}
	q := &proc{pid: 32, start: nsPerTick, cgroup: 77} // a tool of the host that was in the group for a moment
	w.exec(q, "/usr/bin/cgexec")
	q.cgroup = 1
	if id := containerID(w.open(q)); id != "" {
		t.Errorf("a host process that left: %q", id)
	}
}

func TestANamespaceNumberInUseAgainIsNotTheHosts(t *testing.T) {
	n := newTest(t)
	w := newWorld(n)
	w.makeCgroup(1, "/")
	w.makeCgroup(77, "/docker/"+idA)
	n.onHost(4026532000) // of a service that has ended since
	p := &proc{pid: 30, start: nsPerTick, cgroup: 77, mounts: 4026532000}
	w.exec(p, "/bin/sh")
	p.cgroup = 1
	if id := containerID(w.open(p)); id != idA {
		t.Errorf("after leaving the group: %q", id)
	}
	for i := range uint32(2 * maxHostMounts) {
		n.onHost(1 + i)
	}
	if len(n.hostMounts) > maxHostMounts || !n.hostMounts[hostMounts] {
		t.Errorf("%d host namespaces, pid 1's among them: %v", len(n.hostMounts), n.hostMounts[hostMounts])
	}
}

func TestRemovedGroupsAreForgottenAndTheirContainersEnd(t *testing.T) {
	n := newTest(t)
	w := newWorld(n)
	for i := range 100 {
		w.makeCgroup(uint64(100+i), "/docker/"+fakeID(i))
		w.removeCgroup(uint64(100+i), "")
	}
	if s := n.Stats(); s.Cgroups != 101 { // and group 0 of the events' own process
		t.Fatalf("%d groups", s.Cgroups)
	}
	w.now += int64(keepCgroup) + second
	w.makeCgroup(1000, "/docker/"+idA)
	if s := n.Stats(); s.Cgroups != 2 || len(n.containers.goneList) != 100 {
		t.Errorf("%d groups, %d ended containers", s.Cgroups, len(n.containers.goneList))
	}
}

func TestTheTableOfGroupsIsBounded(t *testing.T) {
	n := newTest(t)
	w := newWorld(n)
	for i := range maxCgroups + 1000 {
		w.makeCgroup(uint64(100+i), "/a/b")
	}
	if s := n.Stats(); s.Cgroups > maxCgroups || s.CgroupEvicted < 1000 {
		t.Errorf("%d groups, %d evicted", s.Cgroups, s.CgroupEvicted)
	}
}

func TestFloodOfContainersIsBounded(t *testing.T) {
	c := newContainers(time.Minute, nil, &counters{})
	c.absent.Store(true)
	for i := range maxContainers + 100 {
		s := c.enter(CgroupRef{ID: fakeID(i)})
		if s.current.Load().ID != fakeID(i) {
			t.Fatal("a container beyond the bound has no id")
		}
	}
	if len(c.byKey) != maxContainers || c.stats.containerOverflow.Load() != 100 {
		t.Errorf("%d containers, overflow %d", len(c.byKey), c.stats.containerOverflow.Load())
	}
	for _, s := range c.all() {
		c.leave(s)
	}
	if len(c.byKey) != maxGone || len(c.goneList) != maxGone {
		t.Errorf("%d containers after all have ended", len(c.byKey))
	}
	c.enter(CgroupRef{ID: idA})
	if c.byKey[idA] == nil {
		t.Error("no room for a new container")
	}
}

func TestContainersInContainersLeaveRoomForOthers(t *testing.T) {
	c := newContainers(time.Minute, nil, &counters{})
	for i := range maxContainers + 100 {
		c.enter(CgroupRef{ID: fakeID(i), Within: "user@1000.service"})
	}
	if c.enter(CgroupRef{ID: idA}); c.byKey[idA] == nil || len(c.byKey) != maxNested+1 {
		t.Errorf("no room for a container of the host's runtime, of %d", len(c.byKey))
	}
	for _, s := range c.all() {
		c.leave(s)
	}
	if c.nested > maxGone {
		t.Errorf("%d nested ones after all have ended", c.nested)
	}
	if c.enter(CgroupRef{ID: idA, Within: idB}); c.byKey[idB+"/"+idA] == nil {
		t.Error("no room for a nested container")
	}
}

func TestARestartedContainerIsNotForgotten(t *testing.T) {
	c := newContainers(time.Minute, nil, &counters{})
	s := c.enter(CgroupRef{ID: idA})
	c.leave(s)
	if s.gone.IsZero() {
		t.Fatal("not ended")
	}
	c.enter(CgroupRef{ID: idA})
	c.mu.Lock()
	c.forget(1)
	c.mu.Unlock()
	if c.byKey[idA] != s {
		t.Error("a living container was forgotten")
	}
}

func TestNumbersOfRealGroupsAreFileHandles(t *testing.T) {
	testutil.Require(t, "root")
	mount := findV2("")
	if mount == "" {
		testutil.Missing(t, "docker", errors.New("no cgroup2 mount"))
	}
	if _, err := pathOfHandle(mount, 1<<62); err != unix.ESTALE { //nolint:errorlint // an errno as the kernel gives it
		t.Errorf("a group that does not exist: %v", err)
	}
}
