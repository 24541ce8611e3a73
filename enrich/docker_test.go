package enrich

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"eunomia/event"
	"eunomia/internal/testutil"
)

func runEnricher(t *testing.T, n *Enricher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run did not end")
		}
	})
	t.Cleanup(stop)
	return stop
}

// withDocker returns an enricher that asks the fake daemon, the ids for which
// OnContainer was called, and the log.
func withDocker(t *testing.T, d *fakeDocker, change ...func(*Options)) (*world, *calls, *syncBuffer) {
	t.Helper()
	told, log := &calls{}, &syncBuffer{}
	n := newTest(t, append([]func(*Options){func(o *Options) {
		o.NoDocker, o.DockerHost, o.OnContainer = false, "unix://"+d.socket, told.add
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
	}}, change...)...)
	return newWorld(n), told, log
}

type calls struct {
	mu  sync.Mutex
	ids []string
}

func (c *calls) add(id string) { c.mu.Lock(); defer c.mu.Unlock(); c.ids = append(c.ids, id) }
func (c *calls) has(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, have := range c.ids {
		if have == id {
			return true
		}
	}
	return false
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func inContainer(id string) *proc { return &proc{pid: 100, start: nsPerTick, cgroup: cgroupFor(id)} }

func cgroupFor(id string) uint64 {
	var n uint64
	for _, c := range id {
		n = n*31 + uint64(c)
	}
	return n &^ V1Cgroup
}

func TestMetadataIsPendingUntilTheRuntimeAnswers(t *testing.T) {
	d := newFakeDocker(t)
	d.delay = 100 * time.Millisecond
	d.add(idA, "web", "nginx:1.27", map[string]string{"app": "shop", "io.kubernetes.pod.uid": uid})
	d.start()
	w, told, _ := withDocker(t, d)
	w.makeCgroup(cgroupFor(idA), "/docker/"+idA)
	p := inContainer(idA)
	before := w.open(p).Container
	if before.ID != idA || before.State != event.MetadataPending || before.Runtime != "docker" {
		t.Fatalf("at first: %+v", before)
	}
	runEnricher(t, w.n)
	eventually(t, "metadata", func() bool { return w.open(p).Container.State == event.MetadataKnown })
	c := w.e.Container
	if c.Name != "web" || c.ImageName != "docker.io/library/nginx" || c.ImageTag != "1.27" || c.Digest != "sha256:"+fakeID(9) ||
		c.Labels["app"] != "shop" || !c.Privileged || len(c.Mounts) != 1 || c.Mounts[0] != "/srv:/data:ro" || c.PodUID != uid ||
		c.Start != time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC).UnixNano() || c.ID != idA {
		t.Errorf("container %+v", c)
	}
	if before.State != event.MetadataPending || before.Name != "" {
		t.Error("a published container was changed")
	}
	eventually(t, "the call of OnContainer", func() bool { return told.has(idA) })
}

func TestAContainerUnknownToTheRuntimeIsAbsent(t *testing.T) {
	d := newFakeDocker(t)
	d.start()
	w, told, _ := withDocker(t, d)
	runEnricher(t, w.n)
	eventually(t, "the connection", func() bool { return w.n.Stats().DockerConnected })
	w.makeCgroup(cgroupFor(idA), "/docker/"+idA)
	eventually(t, "absence", func() bool { return w.open(inContainer(idA)).Container.State == event.MetadataAbsent })
	if !told.has(idA) {
		t.Error("nobody was told")
	}
	d.add(idA, "late", "busybox", nil) // it appears after all
	d.tell("create", idA)
	eventually(t, "metadata", func() bool { return w.open(inContainer(idA)).Container.Name == "late" })
}

func TestARuntimeThatDoesNotAnswerInTime(t *testing.T) {
	d := newFakeDocker(t)
	d.delay = 20 * time.Second
	d.add(idA, "slow", "busybox", nil)
	d.start()
	w, told, _ := withDocker(t, d, func(o *Options) { o.MetadataWait = 50 * time.Millisecond })
	w.makeCgroup(cgroupFor(idA), "/docker/"+idA)
	runEnricher(t, w.n)
	eventually(t, "the deadline", func() bool { return told.has(idA) })
	if c := w.open(inContainer(idA)).Container; c.State != event.MetadataAbsent || w.n.Stats().MetadataTimeouts != 1 {
		t.Errorf("container %+v", c)
	}
}

func TestContainersOfOtherRuntimesAreNotAskedFor(t *testing.T) {
	d := newFakeDocker(t)
	d.start()
	w, _, _ := withDocker(t, d)
	for name, path := range map[string]string{
		"podman": "/machine.slice/libpod-" + idA + ".scope", "cri-o": "/kubepods/pod" + uid + "/crio-" + idA,
		"nested in another container": "/docker/" + idB + "/docker/" + idA, "a user's": "/user.slice/user@1000.service/docker-" + idA + ".scope",
	} {
		w.makeCgroup(cgroupFor(path), path)
		if c := w.open(inContainer(path)).Container; c.ID != idA || c.State != event.MetadataAbsent {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// A container that can make control groups must not borrow another's name, image
// and labels by calling a group after it.
func TestANestedGroupDoesNotBorrowMetadata(t *testing.T) {
	d := newFakeDocker(t)
	d.add(idA, "trusted", "debug-tools", nil)
	d.add(idB, "evil", "evil", nil)
	d.start()
	w, _, _ := withDocker(t, d)
	runEnricher(t, w.n)
	w.makeCgroup(1, "/docker/"+idB+"/docker/"+idA)
	w.makeCgroup(2, "/docker/"+idA)
	eventually(t, "metadata", func() bool { return w.open(&proc{pid: 9, start: nsPerTick, cgroup: 2}).Container.Name == "trusted" })
	if c := w.open(&proc{pid: 8, start: nsPerTick, cgroup: 1}).Container; c.Name != "" || c.State != event.MetadataAbsent {
		t.Errorf("the fake is %+v", c)
	}
}

func TestTheDaemonIsAbsentRestartsAndComesBack(t *testing.T) {
	d := newFakeDocker(t)
	w, told, log := withDocker(t, d)
	w.makeCgroup(cgroupFor(idA), "/docker/"+idA)
	stop := runEnricher(t, w.n)
	eventually(t, "absence", func() bool { return told.has(idA) && w.open(inContainer(idA)).Container.State == event.MetadataAbsent })
	w.makeCgroup(cgroupFor(idB), "/docker/"+idB)
	if c := w.open(&proc{pid: 7, start: nsPerTick, cgroup: cgroupFor(idB)}).Container; c.State != event.MetadataAbsent {
		t.Errorf("while no daemon is there: %+v", c)
	}

	d.add(idA, "web", "nginx", nil)
	d.start()
	eventually(t, "metadata", func() bool { return w.open(inContainer(idA)).Container.Name == "web" })
	d.stop()
	eventually(t, "the loss", func() bool { return !w.n.Stats().DockerConnected })
	if c := w.open(inContainer(idA)).Container; c.Name != "web" {
		t.Errorf("what was known is forgotten: %+v", c)
	}
	failures := w.n.Stats().DockerFailures
	eventually(t, "more tries", func() bool { return w.n.Stats().DockerFailures > failures+1 })
	d.add(idB, "born meanwhile", "nginx", nil)
	os.Remove(d.socket)
	d.start()
	eventually(t, "the second connection", func() bool { return w.n.Stats().DockerConnected })
	eventually(t, "metadata of a container started meanwhile", func() bool {
		return w.open(&proc{pid: 7, start: nsPerTick, cgroup: cgroupFor(idB)}).Container.Name == "born meanwhile"
	})
	stop()
	if lost, found := strings.Count(log.String(), "not reachable"), strings.Count(log.String(), "docker connected"); lost != 2 || found != 2 {
		t.Errorf("logged %d losses and %d connections, want one per change:\n%s", lost, found, log)
	}
}

func TestCreateStartRenameAndDestroy(t *testing.T) {
	d := newFakeDocker(t)
	d.start()
	w, _, _ := withDocker(t, d)
	runEnricher(t, w.n)
	eventually(t, "the stream", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.events) > 0 })
	d.add(idA, "first", "nginx", nil)
	d.tell("create", idA)
	eventually(t, "the inspection at creation", func() bool { return w.n.Stats().Containers["known"] == 1 })
	w.makeCgroup(cgroupFor(idA), "/kubepods/pod"+uid+"/"+idA)
	if c := w.open(inContainer(idA)).Container; c.State != event.MetadataKnown || c.Name != "first" || c.PodUID != uid {
		t.Errorf("the first event: %+v", c)
	}
	d.tell("start", idA)
	eventually(t, "the inspection at the start", func() bool { return d.count(idA) == 2 })
	d.add(idA, "second", "nginx", nil)
	d.tell("rename", idA)
	eventually(t, "the new name", func() bool { return w.open(inContainer(idA)).Container.Name == "second" })
	d.tell("destroy", idA)
	w.removeCgroup(cgroupFor(idA), "")
	w.now += int64(keepCgroup) + second
	w.removeCgroup(0, "")
	eventually(t, "the end", func() bool {
		w.n.containers.mu.Lock()
		defer w.n.containers.mu.Unlock()
		return len(w.n.containers.goneList) == 1
	})
	if c := w.open(inContainer(idA)).Container; c.Name != "second" {
		t.Errorf("a late event: %+v", c)
	}
}

func TestHostileMetadataIsBounded(t *testing.T) {
	labelled := map[string]string{"io.kubernetes.pod.name": "web-0", "": "x", strings.Repeat("k", 1000): "v"}
	for i := range 300 {
		labelled[fmt.Sprintf("a%04d", i)] = strings.Repeat("ü", 2000)
	}
	d := newFakeDocker(t)
	d.add(idA, strings.Repeat("n", 10_000), "x"+strings.Repeat("/y", 10_000), labelled)
	d.start()
	w, _, _ := withDocker(t, d)
	w.makeCgroup(cgroupFor(idA), "/docker/"+idA)
	runEnricher(t, w.n)
	eventually(t, "metadata", func() bool { return w.open(inContainer(idA)).Container.State == event.MetadataKnown })
	c := w.e.Container
	if len(c.Labels) != maxLabels || c.Labels["io.kubernetes.pod.name"] != "web-0" || len(c.Name) > maxText || len(c.ImageName) > maxText {
		t.Errorf("%d labels, name of %d, image of %d bytes", len(c.Labels), len(c.Name), len(c.ImageName))
	}
	for k, v := range c.Labels {
		if len(k) > maxLabelKey || len(v) > maxLabelValue || !utf8.ValidString(v) {
			t.Errorf("label %.20q of %d and %d bytes", k, len(k), len(v))
		}
	}
}

func TestAnAnswerThatIsTooLongIsRefused(t *testing.T) {
	d := newFakeDocker(t)
	d.add(idA, "web", "nginx", map[string]string{"a": strings.Repeat("x", maxAnswer)})
	d.start()
	w, told, _ := withDocker(t, d)
	w.makeCgroup(cgroupFor(idA), "/docker/"+idA)
	runEnricher(t, w.n)
	eventually(t, "a decision", func() bool { return told.has(idA) })
	eventually(t, "the refusal", func() bool { return w.n.Stats().DockerErrors > 0 })
	if s := w.n.Stats(); s.Containers["absent"] != 1 || !s.DockerConnected {
		t.Errorf("%+v", s)
	}
}

func TestImageNames(t *testing.T) {
	id := "sha256:" + idA
	pulled := imageFacts{tags: []string{"nginx:1.27"}, digests: []string{"nginx@sha256:" + idB}}
	tests := []struct {
		name, given string
		image       imageFacts
		want        [3]string
	}{
		{"short", "nginx", pulled, [3]string{"docker.io/library/nginx", "latest", "sha256:" + idB}},
		{"tag", "nginx:1.27", pulled, [3]string{"docker.io/library/nginx", "1.27", "sha256:" + idB}},
		{"registry with a port", "registry:5000/team/app:v2", imageFacts{}, [3]string{"registry:5000/team/app", "v2", id}},
		{"digest", "ghcr.io/a/b@sha256:" + idB, imageFacts{}, [3]string{"ghcr.io/a/b", "", "sha256:" + idB}},
		{"tag and digest", "ghcr.io/a/b:3@sha256:" + idB, imageFacts{}, [3]string{"ghcr.io/a/b", "3", "sha256:" + idB}},
		{"another repository's digest", "other", pulled, [3]string{"docker.io/library/other", "latest", id}},
		{"image id", id, pulled, [3]string{"docker.io/library/nginx", "1.27", "sha256:" + idB}},
		{"short image id", idA[:12], pulled, [3]string{"docker.io/library/nginx", "1.27", "sha256:" + idB}},
		{"id of an untagged image", id, imageFacts{}, [3]string{"", "", id}},
		{"not a reference", "UPPER CASE", imageFacts{}, [3]string{"UPPER CASE", "", id}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			name, tag, digest := imageNames(test.given, id, test.image)
			if got := [3]string{name, tag, digest}; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestCutKeepsCharactersWhole(t *testing.T) {
	for text, want := range map[string]string{"abcdef": "abcd", "abcé": "abc", "aéé": "aé", "€€": "€", "ab": "ab", "abcd": "abcd", "abé": "abé", "abcdé": "abcd"} {
		if got := cut(text, 4); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// The real daemon: every process of a real container is found by its real control
// group, and the daemon's metadata arrives.
func TestRealDocker(t *testing.T) {
	testutil.Require(t, "docker", "root")
	told := &calls{}
	n := realEnricher(t, func(o *Options) {
		o.NoDocker, o.OnContainer, o.Cgroups.V1 = false, told.add, v1Mount()
	})
	runEnricher(t, n)
	eventually(t, "the connection", func() bool { return n.Stats().DockerConnected })
	dir := t.TempDir()
	id, remove := testutil.RunContainer(t, testutil.ContainerOptions{Name: "eunomia-enrich", Privileged: true, User: "app", Network: "none",
		Labels: map[string]string{"team": "shop"}, Mounts: []string{dir + ":/data:ro"}, Cmd: []string{"sh", "-c", "sleep 1000 & wait"}})
	r := newProcReader("/proc", filepath.Base(v1Mount()))
	var inside []*scanned
	eventually(t, "two processes", func() bool {
		inside = nil
		pids, _ := filepath.Glob("/proc/[0-9]*")
		for _, dir := range pids {
			var pid uint32
			_, _ = fmt.Sscan(filepath.Base(dir), &pid)
			if s, err := r.read(pid); err == nil && s.container.ID == id && (s.comm == "sh" || s.comm == "sleep") {
				inside = append(inside, s)
			}
		}
		return len(inside) == 2
	})
	w := newWorld(n)
	w.now = time.Now().UnixNano()
	for _, s := range inside {
		p := &proc{pid: s.pid, start: s.start + 77, cgroup: realCgroup(t, n, s.pid), mounts: s.process.Namespaces.Mount, euid: s.euid}
		e := w.open(p)
		if containerID(e) != id || e.Process.ContainerID != id || e.Process.Image.Name != s.comm {
			t.Errorf("%s: container %q, process %+v", s.comm, containerID(e), e.Process.Image)
		}
		eventually(t, "metadata", func() bool { return w.open(p).Container.State == event.MetadataKnown })
		eventually(t, "the user's name", func() bool { return w.open(p).Users.Effective == "app" })
	}
	c := w.e.Container
	if c.Name != "eunomia-enrich" || c.ImageName != "docker.io/eunomia-test/busybox" || c.ImageTag != "1" || !strings.HasPrefix(c.Digest, "sha256:") ||
		!c.Privileged || c.Labels["team"] != "shop" || c.Labels[testutil.ContainerLabel] != "" || c.Runtime != "docker" ||
		len(c.Mounts) != 1 || c.Mounts[0] != dir+":/data:ro" || time.Since(time.Unix(0, c.Start)) > time.Minute {
		t.Errorf("container %+v", c)
	}
	eventually(t, "OnContainer", func() bool { return told.has(id) })
	remove()
	if s := n.Stats(); s.Containers["known"] == 0 {
		t.Errorf("forgotten at once: %v", s.Containers)
	}
	brief, _ := testutil.RunContainer(t, testutil.ContainerOptions{Cmd: []string{"true"}, Network: "none"})
	eventually(t, "metadata of a container that has ended", func() bool {
		n.containers.mu.Lock()
		defer n.containers.mu.Unlock()
		s := n.containers.byKey[brief]
		return s != nil && s.current.Load().State == event.MetadataKnown
	})
	checkTree(t, n)
}

func v1Mount() string {
	for _, controller := range []string{"memory", "pids", "cpu"} {
		if dir := "/sys/fs/cgroup/" + controller; exists(dir + "/cgroup.procs") {
			return dir
		}
	}
	return ""
}

func exists(file string) bool { _, err := os.Stat(file); return err == nil }

// realCgroup returns the id that the kernel would send for the process.
func realCgroup(t *testing.T, n *Enricher, pid uint32) uint64 {
	t.Helper()
	for _, v1 := range []bool{true, false} {
		mount, mark := n.cgroups.where.V2, uint64(0)
		if v1 {
			mount, mark = n.cgroups.where.V1, V1Cgroup
		}
		for _, path := range n.cgroups.pathsOf(pid, v1) {
			if st, err := os.Stat(mount + path); mount != "" && err == nil && ParseCgroup(path).ID != "" {
				return inode(st) | mark
			}
		}
	}
	t.Fatal("no control group of a container")
	return 0
}
