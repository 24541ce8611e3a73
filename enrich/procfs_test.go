package enrich

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/internal/testutil"
)

// startChild runs a command that lives until the test ends.
func startChild(t *testing.T, change func(*exec.Cmd), name string, args ...string) uint32 {
	t.Helper()
	cmd := exec.Command(name, args...)
	if change != nil {
		change(cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return uint32(cmd.Process.Pid)
}

func realEnricher(t *testing.T, change ...func(*Options)) *Enricher {
	t.Helper()
	o := Options{NoDocker: true}
	for _, c := range change {
		c(&o)
	}
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestScanDescribesTheTestsOwnChildren(t *testing.T) {
	dir := t.TempDir()
	dir, _ = filepath.EvalSymlinks(dir)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	pid := startChild(t, func(c *exec.Cmd) {
		c.Dir, c.Stdin, c.Stdout = dir, r, out
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}, "sleep", "1000")
	eventually(t, "the exec", func() bool { return strings.HasSuffix(link("/proc/"+strconv.Itoa(int(pid))+"/exe"), "sleep") })

	n := realEnricher(t)
	x := n.tree.byPID[pid]
	if x == nil {
		t.Fatal("the child is not in the tree")
	}
	p, i := x.process, x.process.Image
	exe, _ := exec.LookPath("sleep")
	exe, _ = filepath.EvalSymlinks(exe)
	var st syscall.Stat_t
	if err := syscall.Stat(exe, &st); err != nil {
		t.Fatal(err)
	}
	if i.Name != "sleep" || i.Executable != exe || i.CommandLine != "sleep 1000" || !slices.Equal(i.Args, []string{"sleep", "1000"}) || i.WorkingDirectory != dir {
		t.Errorf("image %+v", i)
	}
	if i.Exe.Inode != st.Ino || i.Exe.Mode != st.Mode&0o7777 || i.Exe.Mtime != st.Mtim.Sec || i.Exe.Deleted || i.Exe.Memfd || i.ExecTime != 0 {
		t.Errorf("executable %+v", i.Exe)
	}
	if p.SessionID != pid || p.GroupID != pid || p.TTY != "" || p.Stdin.Type != event.StreamPipe || p.Stdout.Type != event.StreamFile || p.Stderr.Type != event.StreamDevice {
		t.Errorf("process %+v", p)
	}
	if got := strings.TrimSpace(os.Getenv("_unset") + link("/proc/self/ns/net")); bracketed(got) != uint64(p.Namespaces.Net) || p.Namespaces.PID == 0 || p.Namespaces.Cgroup == 0 {
		t.Errorf("namespaces %+v", p.Namespaces)
	}
	if p.Parent().PID != uint32(os.Getpid()) || len(p.Ancestors) < 2 {
		t.Errorf("ancestors %+v", p.Parent())
	}
	if age := time.Since(time.Unix(0, p.StartTime)); age < -time.Second || age > time.Minute {
		t.Errorf("started %v ago", age)
	}
	if os.Geteuid() == 0 && p.Caps.Effective == 0 {
		t.Error("no capabilities")
	}
	checkTree(t, n)

	again := realEnricher(t)
	if id := again.tree.byPID[pid].process.EntityID; id != p.EntityID || len(id) != 20 {
		t.Errorf("a second detector says %q, the first %q", id, p.EntityID)
	}

	e := event.New(event.Open) // the kernel's start is exact
	e.Task = event.Task{PID: pid, Start: p.Start + 1_234_567, Comm: "sleep"}
	n.Enrich(e)
	if e.Process.Start != p.Start+1_234_567 || e.Process.EntityID != p.EntityID || e.Process.StartTime != p.StartTime+1_234_567 {
		t.Errorf("after an event: %+v", e.Process)
	}
	checkTree(t, n)
}

func TestAProcessWhoseForkWasLostIsReadFromProc(t *testing.T) {
	n := realEnricher(t)
	pid := startChild(t, nil, "sleep", "1000")
	eventually(t, "the exec", func() bool { return strings.HasSuffix(link("/proc/"+strconv.Itoa(int(pid))+"/exe"), "sleep") })
	s, err := n.reader.read(pid)
	if err != nil {
		t.Fatal(err)
	}
	e := event.New(event.Open)
	e.Time = time.Now().UnixNano()
	e.Task = event.Task{PID: pid, Start: s.start + 5, Comm: "x"}
	n.Enrich(e)
	if e.Process.Image.Name != "sleep" || e.Process.Start != s.start+5 || e.Process.Parent().PID != uint32(os.Getpid()) || n.Stats().ProcReads != 1 {
		t.Errorf("process %+v, %+v", e.Process, n.Stats())
	}
	e.Task = event.Task{PID: pid, Start: s.start - 7*nsPerTick, Comm: "before"} // its pid's former owner
	n.Enrich(e)
	if e.Process.Image.Name != "before" || n.Stats().Stubs != 1 || n.Stats().Dead != 1 {
		t.Errorf("process %+v, %+v", e.Process.Image, n.Stats())
	}
	checkTree(t, n)
}

func TestProcReadsAreBounded(t *testing.T) {
	n := newTest(t)
	w := newWorld(n)
	for i := range uint32(maxProcReads + 10) {
		w.now -= 900 // stays within one second
		w.open(&proc{pid: 1 + i, start: 1 + uint64(i)*nsPerTick, comm: "x"})
	}
	if s := n.Stats(); s.ProcThrottled == 0 || s.ProcThrottled > 20 {
		t.Errorf("throttled %d", s.ProcThrottled)
	}
}

func TestTheTimeOfProcReadsIsBounded(t *testing.T) {
	n := newTest(t)
	now := 1_700_000_100 * second
	n.throttle.allow(now)
	n.throttle.spent = maxProcTime
	if n.throttle.allow(now + second - 1) {
		t.Error("reads on, though the second's share is used up")
	}
	if !n.throttle.allow(now + second) {
		t.Error("does not read in the next second")
	}
}

func TestDeletedAndMemfdPrograms(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a-copy-of-sleep-with-a-long-name")
	exe, _ := exec.LookPath("sleep")
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o755); err != nil {
		t.Fatal(err)
	}
	pid := startChild(t, nil, file, "1000")
	eventually(t, "the exec", func() bool { return link("/proc/"+strconv.Itoa(int(pid))+"/exe") == file })
	os.Remove(file)
	s, err := newProcReader("/proc", "").read(pid)
	if err != nil {
		t.Fatal(err)
	}
	if s.image.Executable != file || !s.image.Exe.Deleted || s.image.Name != filepath.Base(file) {
		t.Errorf("image %+v", s.image)
	}
}

func TestStandardStreamsThatAreSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	unixEnd := os.NewFile(uintptr(pair[0]), "unix")
	defer unixEnd.Close()
	defer syscall.Close(pair[1])
	pid := startChild(t, func(c *exec.Cmd) { c.Stdin, c.Stdout = file, unixEnd }, "sleep", "1000")
	eventually(t, "the exec", func() bool { return strings.HasSuffix(link("/proc/"+strconv.Itoa(int(pid))+"/exe"), "sleep") })
	p := realEnricher(t).tree.byPID[pid].process
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	if want := (event.Stream{Type: event.StreamInet, IP: netip.MustParseAddr("127.0.0.1"), Port: port}); p.Stdin != want {
		t.Errorf("stdin %+v, want %+v", p.Stdin, want)
	}
	if p.Stdout.Type != event.StreamUnix {
		t.Errorf("stdout %v", p.Stdout.Type)
	}
}

func TestSocketAddresses(t *testing.T) {
	tests := []struct {
		text, ip string
		port     uint16
	}{
		{"0100007F:1F90", "127.0.0.1", 8080},
		{"00000000000000000000000001000000:0050", "::1", 80},
		{"0000000000000000FFFF00000100007F:0050", "127.0.0.1", 80},
		{"00000000:0000", "invalid IP", 0},
		{"rubbish", "invalid IP", 0},
		{"0100:1", "invalid IP", 0},
	}
	for _, test := range tests {
		ip, port := parseSocketAddress(test.text)
		if ip.String() != test.ip || port != test.port {
			t.Errorf("%s: %s %d", test.text, ip, port)
		}
	}
}

func TestNamesAreLengthenedFromTheirFirst15Bytes(t *testing.T) {
	tests := []struct {
		comm, exe string
		args      []string
		want      string
	}{
		{"sleep", "/usr/bin/sleep", nil, "sleep"},
		{"systemd-resolve", "/usr/lib/systemd/systemd-resolved", nil, "systemd-resolved"},
		{"a-link-to-a-lon", "/bin/busybox", []string{"/opt/a-link-to-a-long-one"}, "a-link-to-a-long-one"},
		{"a-script-with-a", "/usr/bin/python3", []string{"python3", "/srv/a-script-with-a-name.py"}, "a-script-with-a-name.py"},
		{"renamed-itself!", "/usr/bin/python3", []string{"python3"}, "renamed-itself!"},
	}
	for _, test := range tests {
		if got := fullName(test.comm, test.exe, test.args); got != test.want {
			t.Errorf("%s: %s, want %s", test.comm, got, test.want)
		}
	}
}

func TestTerminalNames(t *testing.T) {
	for number, want := range map[uint32]string{0: "", 136<<8 | 3: "pts3", 137<<8 | 1: "pts257", 4<<8 | 1: "tty1", 4<<8 | 64: "ttyS0", 229 << 8: "hvc0", 136<<8 | 44 | 1<<20: "pts300"} {
		if got := ttyName(number); got != want {
			t.Errorf("%#x: %q, want %q", number, got, want)
		}
	}
}

func TestStatOfAHostileName(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "12")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("stat", "12 (a) R 1 (b) S 7 8 9 34816 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 168661 3133440\n")
	write("cgroup", "4:memory:/docker/"+idA+"\n0::/\n")
	write("cmdline", "nginx: master\x00\x00\x00\x00")
	s, err := newProcReader(root, "memory").read(12)
	if err != nil {
		t.Fatal(err)
	}
	if s.comm != "a) R 1 (b" || s.parent != 7 || s.session != 9 || s.start != 168661*nsPerTick || s.process.TTY != "pts0" || s.container.ID != idA || len(s.image.Args) != 1 {
		t.Errorf("%+v", s)
	}
	for _, text := range []string{"", "12", "12 (x", "12 (x) R 1 2", ")("} {
		write("stat", text)
		if _, err := newProcReader(root, "").read(12); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestContainerOfProcCgroup(t *testing.T) {
	other := "1:name=systemd:/docker/" + idB
	tests := []struct{ name, text, want string }{
		{"v2", "0::/system.slice/docker-" + idA + ".scope", idA},
		{"v1, the chosen hierarchy first", other + "\n4:memory:/docker/" + idA + "\n0::/", idA},
		{"v1, several controllers in one", "4:cpu,memory:/docker/" + idA, idA},
		{"hybrid: only systemd's", other + "\n4:memory:/\n0::/", idB},
		{"v2 before other v1 hierarchies", other + "\n0::/docker/" + idA, idA},
		{"host", "4:memory:/user.slice\n0::/", ""},
		{"empty", "", ""},
	}
	for _, test := range tests {
		if got := containerOf(test.text, "memory").ID; got != test.want {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}

func BenchmarkReadProcess(b *testing.B) {
	r := newProcReader("/proc", "")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.read(uint32(os.Getpid())); err != nil {
			b.Fatal(err)
		}
	}
}

func TestScanFindsTheContainersProcesses(t *testing.T) {
	id, _ := testutil.RunContainer(t, testutil.ContainerOptions{Network: "none", Cmd: []string{"sleep", "1000"}})
	n := realEnricher(t)
	for _, x := range n.tree.byPID {
		if x.process.ContainerID == id && x.process.Image.Name == "sleep" && x.slot.current.Load().ID == id {
			return
		}
	}
	t.Error("no process of the container in the tree")
}
