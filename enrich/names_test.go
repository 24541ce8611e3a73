package enrich

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/internal/testutil"
)

func TestParseNames(t *testing.T) {
	text := "root:x:0:0:root:/root:/bin/sh\nadmin:x:0:0::/:/bin/sh\n\n# comment:x:5:\nbad\nalso:bad\nneg:x:-1:\nbig:x:4294967296:\nmax:x:4294967295:\n" +
		"+nis:x:7:\napp:x:1000:1000\nspace:x: 42 :\n" + strings.Repeat("l", 65) + ":x:9:\nlast:x:50"
	got := parseNames([]byte(text), 100)
	want := map[uint32]string{0: "root", 4294967295: "max", 1000: "app", 42: "space", 50: "last"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := len(parseNames([]byte(text), 2)); n != 2 {
		t.Errorf("%d entries, the limit was 2", n)
	}
}

func FuzzParseNames(f *testing.F) {
	f.Add([]byte("root:x:0:0\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range parseNames(data, 10) {
			if name == "" || len(name) > maxName {
				t.Fatalf("name %q", name)
			}
		}
	})
}

func TestUserNamespacesAreTranslated(t *testing.T) {
	n := &names{users: map[uint32]string{0: "root", 1000: "app"}, uids: parseIDMap("         0     100000      65536\n")}
	for id, want := range map[uint32]string{100000: "root", 101000: "app", 0: "", 1000: "", 165536: ""} {
		if got := n.user(id); got != want {
			t.Errorf("%d is %q, want %q", id, got, want)
		}
	}
	if parseIDMap("         0          0 4294967295\n") != nil {
		t.Error("the identity is not nil")
	}
}

func TestHostNamesAreReadAgainWhenTheyChange(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		file := filepath.Join(root, "etc", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("passwd", "root:x:0:0\nalice:x:1000:1000\n")
	write("group", "root:x:0:\nstaff:x:50:\n")
	n := newTest(t, func(o *Options) { o.HostRoot = root })
	w := newWorld(n)
	p := &proc{pid: 5, start: nsPerTick, euid: 1000}
	e := w.open(p)
	e.Task.EGID, e.Task.UID = 50, 77
	n.Enrich(e)
	if e.Users != (event.Users{Effective: "alice", Group: "staff", RealGroup: "root"}) {
		t.Errorf("users %+v", e.Users)
	}
	write("passwd", "root:x:0:0\nbob:x:1000:1000\n")
	n.reloadHostNames()
	if w.open(p); w.e.Users.Effective != "bob" {
		t.Errorf("users %+v", w.e.Users)
	}
	reads := n.Stats().HostReloads
	n.reloadHostNames()
	if n.Stats().HostReloads != reads {
		t.Error("read again although nothing changed")
	}
}

// chroot starts a process whose root is dir, as a container's process would have it.
func chroot(t *testing.T, dir string) (pid uint32, start uint64) {
	t.Helper()
	testutil.Require(t, "root")
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		testutil.Missing(t, "docker", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sleep"), busybox, 0o755); err != nil {
		t.Fatal(err)
	}
	pid = startChild(t, func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: dir}
		c.Dir = "/"
	}, "/sleep", "1000")
	eventually(t, "the exec", func() bool { return strings.HasSuffix(link("/proc/"+strconv.Itoa(int(pid))+"/exe"), "/sleep") })
	s, err := newProcReader("/proc", "").read(pid)
	if err != nil {
		t.Fatal(err)
	}
	return pid, s.start
}

func TestContainersOwnNames(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("stolen:x:0:0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		make  func(t *testing.T, etc string)
		want  string // name of uid 0
		fails bool
	}{
		{"a plain file", func(t *testing.T, etc string) { put(t, etc+"/passwd", "boss:x:0:0\n") }, "boss", false},
		{"no file", func(*testing.T, string) {}, "", false},
		{"a link inside", func(t *testing.T, etc string) {
			put(t, etc+"/real", "boss:x:0:0\n")
			symlink(t, "/etc/real", etc+"/passwd")
		}, "boss", false},
		{"a link to a file of the host", func(t *testing.T, etc string) { symlink(t, secret, etc+"/passwd") }, "", false},
		{"a link that climbs", func(t *testing.T, etc string) {
			symlink(t, strings.Repeat("../", 40)+secret, etc+"/passwd")
		}, "", false},
		{"a directory", func(t *testing.T, etc string) {
			if err := os.Mkdir(etc+"/passwd", 0o755); err != nil {
				t.Fatal(err)
			}
		}, "", true},
		{"a FIFO", func(t *testing.T, etc string) {
			if err := syscall.Mkfifo(etc+"/passwd", 0o644); err != nil {
				t.Fatal(err)
			}
		}, "", true},
		{"a device", func(t *testing.T, etc string) {
			if err := syscall.Mknod(etc+"/passwd", syscall.S_IFCHR|0o666, 5<<8); err != nil {
				testutil.Missing(t, "docker", err)
			}
		}, "", true},
		{"a huge file", func(t *testing.T, etc string) {
			put(t, etc+"/passwd", "boss:x:0:0\n")
			if err := os.Truncate(etc+"/passwd", 1<<40); err != nil {
				t.Fatal(err)
			}
		}, "", true},
		{"a loop", func(t *testing.T, etc string) { symlink(t, "passwd", etc+"/passwd") }, "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(dir+"/etc", 0o755); err != nil {
				t.Fatal(err)
			}
			test.make(t, dir+"/etc")
			pid, start := chroot(t, dir)
			begun := time.Now()
			n, err := newNameReader("/proc", &counters{}).read(pid, start)
			if (err != nil) != test.fails {
				t.Fatalf("error %v", err)
			}
			if err == nil && n.user(0) != test.want {
				t.Errorf("uid 0 is %q", n.user(0))
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
	t.Run("a process that still has the host's root", func(t *testing.T) {
		r := newProcReader("/proc", "")
		s, err := r.read(uint32(os.Getpid()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newNameReader("/proc", &counters{}).read(s.pid, s.start); err != errHostRoot { //nolint:errorlint // returned as it is
			t.Errorf("error %v", err)
		}
		if _, err := newNameReader("/proc", &counters{}).read(s.pid, s.start+5*nsPerTick); err == nil || err == errHostRoot { //nolint:errorlint // as above
			t.Errorf("another process's start: %v", err)
		}
	})
}

func TestContainersNamesReachEvents(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/etc", 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, dir+"/etc/passwd", "boss:x:0:0\napp:x:1000:1000\n")
	pid, start := chroot(t, dir)
	n := realEnricher(t)
	stop := runEnricher(t, n)
	defer stop()
	w := newWorld(n)
	w.makeCgroup(77, "/docker/"+idA)
	p := &proc{pid: pid, start: start, cgroup: 77, euid: 1000}
	w.exec(p, "/sleep")
	eventually(t, "the container's names", func() bool { return w.open(p).Users.Effective == "app" })
	if u := w.e.Users; u.Real != "app" || u.Group != "" {
		t.Errorf("users %+v", u)
	}
	for range 100 {
		w.exec(p, "/sleep")
	}
	if s := n.Stats(); s.NamesRead != 1 {
		t.Errorf("read %d times", s.NamesRead)
	}
}

func TestUntilTheFilesAreReadOnlyRootHasAName(t *testing.T) {
	w := newWorld(newTest(t))
	w.makeCgroup(77, "/docker/"+idA)
	p := &proc{pid: 5, start: nsPerTick, cgroup: 77}
	if u := w.open(p).Users; u.Effective != "root" || u.RealGroup != "root" {
		t.Errorf("users %+v", u)
	}
	p.euid = 1000
	if u := w.open(p).Users; u.Effective != "" {
		t.Errorf("users %+v", u)
	}
}

func TestAttemptsToReadNamesAreBounded(t *testing.T) {
	r := newNameReader("/proc", &counters{})
	s := &slot{}
	for range 100 {
		r.ask(s, 1, 1)
		s.reading.Store(false)
	}
	if len(r.requests) != maxNameReads {
		t.Errorf("%d requests", len(r.requests))
	}
}

// A file system that never answers costs a moment per container, and no more.
func TestEventsWaitForNamesAFewTimesOnly(t *testing.T) {
	n := newTest(t)
	n.running.Store(true) // and yet nobody reads
	w := newWorld(n)
	w.makeCgroup(77, "/docker/"+idA)
	p := &proc{pid: 5, start: nsPerTick, cgroup: 77}
	begun := time.Now()
	for range 100 {
		w.exec(p, "/bin/x")
		n.containers.byKey[idA].reading.Store(false)
	}
	if waits := n.containers.byKey[idA].waits; waits != maxNameWaits {
		t.Errorf("waited %d times", waits)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("took %v", took)
	}
}

func TestNamesOfAllContainersAreBounded(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/etc", 0o755); err != nil {
		t.Fatal(err)
	}
	var passwd strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&passwd, "user%d:x:%d:0\n", i, i)
	}
	put(t, dir+"/etc/passwd", passwd.String())
	pid, start := chroot(t, dir)
	c := newContainers(time.Minute, nil, &counters{})
	c.absent.Store(true)
	r := newNameReader("/proc", c.stats)
	var slots []*slot
	for i := range 40 {
		s := c.enter(CgroupRef{ID: fakeID(i)})
		r.serve(nameRequest{s, pid, start, make(chan struct{})})
		slots = append(slots, s)
	}
	if held, refused := c.stats.namesHeld.Load(), c.stats.namesRefused.Load(); held != maxHeld || refused != 40-maxHeld/maxEntries {
		t.Errorf("%d names held, %d files refused", held, refused)
	}
	for _, s := range slots {
		c.leave(s)
	}
	c.mu.Lock()
	c.forget(40)
	c.mu.Unlock()
	if held := c.stats.namesHeld.Load(); held != 0 || len(c.byKey) != 0 {
		t.Errorf("%d names held when all containers are forgotten", held)
	}
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}
