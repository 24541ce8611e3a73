package probes

import (
	"errors"
	"fmt"
	"net"
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

	"golang.org/x/sys/unix"
)

func actWait() { _, _ = os.Stdin.Read(make([]byte, 1)) }

// actThreads ends a process that has many threads.
func actThreads() {
	for range 8 {
		go func() { time.Sleep(time.Minute) }()
	}
	os.Exit(7)
}

// actSibling makes a process that is its parent's child and prints its id.
func actSibling() {
	pid, _, errno := unix.RawSyscall(unix.SYS_CLONE, unix.CLONE_PARENT|uintptr(unix.SIGCHLD), 0, 0)
	if pid == 0 && errno == 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	fmt.Print(pid)
}

var processKinds = event.SetOf(event.Exec, event.Fork, event.Exit)

func TestExecTellsWhatProcTells(t *testing.T) {
	for _, direct := range []bool{true, false} {
		t.Run(fmt.Sprintf("direct reads %v", direct), func(t *testing.T) {
			w := watch(t, Options{Kinds: processKinds, NoDirectReads: !direct})
			cmd := actor(t, "wait")
			cmd.Args = append(cmd.Args, "an argument", "", strings.Repeat("x", 100))
			cmd.Dir = t.TempDir()
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = stdin.Close(); _ = cmd.Wait() }()
			e := w.expect(t, "exec", is(event.Exec, cmd.Process.Pid))
			compareWithProc(t, e, cmd)
			equal(t, "stdin", e.Exec.Streams[0].Type, event.StreamPipe)
			equal(t, "stdout", e.Exec.Streams[1].Type, event.StreamDevice) // /dev/null
		})
	}
}

func compareWithProc(t *testing.T, e *event.Event, cmd *exec.Cmd) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/", cmd.Process.Pid)
	p, image := &e.Exec, &e.Exec.Image
	executable, _ := os.Readlink(proc + "exe")
	cwd, _ := os.Readlink(proc + "cwd")
	equal(t, "action", e.Action, "sched_process_exec")
	equal(t, "executable", image.Executable, executable)
	equal(t, "filename", image.Filename, cmd.Path)
	equal(t, "name", image.Name, filepath.Base(cmd.Path))
	equal(t, "script", image.Script, "")
	equal(t, "cwd", image.WorkingDirectory, cwd)
	if !slices.Equal(image.Args, cmd.Args) {
		t.Errorf("args = %q, want %q", image.Args, cmd.Args)
	}
	equal(t, "args truncated", image.ArgsTruncated, false)

	var st unix.Stat_t
	if err := unix.Stat(executable, &st); err != nil {
		t.Fatal(err)
	}
	equal(t, "inode", image.Exe.Inode, st.Ino)
	equal(t, "device", image.Exe.Device, unix.Major(st.Dev)<<20|unix.Minor(st.Dev))
	equal(t, "mode", image.Exe.Mode, st.Mode)
	equal(t, "links", uint64(image.Exe.Links), uint64(st.Nlink)) //nolint:unconvert // 32 bits on arm64
	equal(t, "owner", image.Exe.UID, st.Uid)
	equal(t, "mtime", image.Exe.Mtime, st.Mtim.Sec)
	equal(t, "ctime", image.Exe.Ctime, st.Ctim.Sec)
	equal(t, "memfd", image.Exe.Memfd, false)
	equal(t, "deleted", image.Exe.Deleted, false)

	status := procStatus(t, cmd.Process.Pid)
	equal(t, "effective capabilities", fmt.Sprintf("%016x", p.Caps.Effective), status["CapEff"])
	equal(t, "permitted capabilities", fmt.Sprintf("%016x", p.Caps.Permitted), status["CapPrm"])
	equal(t, "inheritable capabilities", fmt.Sprintf("%016x", p.Caps.Inheritable), status["CapInh"])
	equal(t, "ambient capabilities", fmt.Sprintf("%016x", p.Caps.Ambient), status["CapAmb"])
	uids, gids := strings.Fields(status["Uid"]), strings.Fields(status["Gid"])
	equal(t, "uid", fmt.Sprint(e.Task.UID), uids[0])
	equal(t, "euid", fmt.Sprint(e.Task.EUID), uids[1])
	equal(t, "suid", fmt.Sprint(e.Task.SUID), uids[2])
	equal(t, "gid", fmt.Sprint(e.Task.GID), gids[0])
	equal(t, "egid", fmt.Sprint(e.Task.EGID), gids[1])
	nspids := strings.Fields(status["NSpid"])
	equal(t, "pid in its namespace", fmt.Sprint(p.NamespacePID), nspids[len(nspids)-1])
	if login, err := os.ReadFile(proc + "loginuid"); err == nil {
		equal(t, "login uid", fmt.Sprint(p.LoginUID), string(login))
	}

	for name, got := range map[string]uint32{
		"pid": p.Namespaces.PID, "mnt": p.Namespaces.Mount, "net": p.Namespaces.Net, "user": p.Namespaces.User,
		"uts": p.Namespaces.UTS, "ipc": p.Namespaces.IPC, "cgroup": p.Namespaces.Cgroup,
	} {
		link, _ := os.Readlink(proc + "ns/" + name)
		equal(t, "namespace "+name, fmt.Sprintf("%s:[%d]", name, got), link)
	}
	equal(t, "mount namespace of the task", e.Task.MountNS, p.Namespaces.Mount)

	stat := procStat(t, cmd.Process.Pid)
	equal(t, "parent", fmt.Sprint(e.Task.ParentPID), stat[1])
	equal(t, "group", fmt.Sprint(p.GroupID), stat[2])
	equal(t, "session", fmt.Sprint(p.SessionID), stat[3])
	// /proc gives start times in ticks of 10 ms.
	equal(t, "start", fmt.Sprint(e.Task.Start/1e7), stat[19])
	equal(t, "parent's start", fmt.Sprint(e.Task.ParentStart/1e7), procStat(t, os.Getpid())[19])
	if age := time.Since(e.When()); age < 0 || age > time.Minute {
		t.Errorf("event is %v old", age)
	}
	equal(t, "cgroup path", p.CgroupPath, cgroupPath(t, cmd.Process.Pid))
}

func procStatus(t *testing.T, pid int) map[string]string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(line, ":")
		out[k] = strings.TrimSpace(v)
	}
	return out
}

// procStat returns the fields after the command's name, state first.
func procStat(t *testing.T, pid int) []string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.Fields(rest)
}

// cgroupPath is the path that the sensor's rule chooses.
func cgroupPath(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	path := ""
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if f[1] == "" && path == "" {
			path = f[2]
		}
		if slices.Contains(strings.Split(f[1], ","), "memory") && f[2] != "/" {
			path = f[2]
		}
	}
	return path
}

func TestExecOfAScriptNamesScriptAndInterpreter(t *testing.T) {
	w := watch(t, Options{Kinds: processKinds})
	script := filepath.Join(t.TempDir(), "deploy.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(script, "now")
	_ = cmd.Run()
	e := w.expect(t, "exec", is(event.Exec, cmd.Process.Pid))
	shell, _ := filepath.EvalSymlinks("/bin/sh")
	equal(t, "script", e.Exec.Image.Script, script)
	equal(t, "name", e.Exec.Image.Name, "deploy.sh")
	equal(t, "executable", e.Exec.Image.Executable, shell)
	if want := []string{"/bin/sh", script, "now"}; !slices.Equal(e.Exec.Image.Args, want) {
		t.Errorf("args = %q, want %q", e.Exec.Image.Args, want)
	}
	exit := w.expect(t, "exit", is(event.Exit, cmd.Process.Pid))
	equal(t, "exit code", exit.Exit.Code, 3)
	equal(t, "exit signal", exit.Exit.Signal, 0)
}

func TestExecFromMemfd(t *testing.T) {
	w := watch(t, Options{Kinds: processKinds})
	fd, err := unix.MemfdCreate("payload", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	program, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, program); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd))
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	e := w.expect(t, "exec", is(event.Exec, cmd.Process.Pid))
	equal(t, "memfd", e.Exec.Image.Exe.Memfd, true)
	equal(t, "deleted", e.Exec.Image.Exe.Deleted, true)
	equal(t, "executable", e.Exec.Image.Executable, "/memfd:payload")
}

func TestExecOfADeletedFile(t *testing.T) {
	w := watch(t, Options{Kinds: processKinds})
	program, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "gone")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()))
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	e := w.expect(t, "exec", is(event.Exec, cmd.Process.Pid))
	equal(t, "deleted", e.Exec.Image.Exe.Deleted, true)
	equal(t, "memfd", e.Exec.Image.Exe.Memfd, false)
	equal(t, "executable", e.Exec.Image.Executable, path)
}

func TestExecWithASocketAsStdin(t *testing.T) {
	w := watch(t, Options{Kinds: processKinds})
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f, err := conn.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command("/bin/true")
	cmd.Stdin, cmd.Stdout = f, f
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	e := w.expect(t, "exec", is(event.Exec, cmd.Process.Pid))
	for i, s := range e.Exec.Streams[:2] {
		equal(t, fmt.Sprintf("stream %d", i), s.Type, event.StreamInet)
		equal(t, "remote end", fmt.Sprintf("%s:%d", s.IP, s.Port), l.Addr().String())
	}
	equal(t, "stderr", e.Exec.Streams[2].Type, event.StreamDevice)
}

func TestExecWithLongArgumentsIsFlagged(t *testing.T) {
	w := watch(t, Options{Kinds: processKinds})
	cmd := exec.Command("/bin/true", strings.Repeat("y", 6000))
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	e := w.expect(t, "exec", is(event.Exec, cmd.Process.Pid))
	equal(t, "truncated", e.Exec.Image.ArgsTruncated, true)
	equal(t, "full length", e.Exec.ArgsLength, uint32(len("/bin/true")+1+6000+1))
	equal(t, "kept", len(strings.Join(e.Exec.Image.Args, " ")), 4095)
}

func TestExecOfAForeignUser(t *testing.T) {
	w := watch(t, Options{Kinds: processKinds})
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234, Gid: 4321}}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	e := w.expect(t, "exec", is(event.Exec, cmd.Process.Pid))
	equal(t, "uid", e.Task.UID, 1234)
	equal(t, "euid", e.Task.EUID, 1234)
	equal(t, "egid", e.Task.EGID, 4321)
	equal(t, "capabilities", e.Exec.Caps.Effective, 0)
}

func TestForkNamesParentAndChild(t *testing.T) {
	w := watch(t, Options{Kinds: processKinds})
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	fork := w.expect(t, "fork", is(event.Fork, cmd.Process.Pid))
	exec := w.expect(t, "exec", is(event.Exec, cmd.Process.Pid))
	equal(t, "parent", fork.Task.ParentPID, uint32(os.Getpid()))
	equal(t, "parent's start", fmt.Sprint(fork.Task.ParentStart/1e7), procStat(t, os.Getpid())[19])
	equal(t, "start", fork.Task.Start, exec.Task.Start)
	equal(t, "mount namespace", fork.Fork.Namespaces.Mount, exec.Exec.Namespaces.Mount)
	equal(t, "session", fork.Fork.SessionID, exec.Exec.SessionID)
	if fork.Sequence >= exec.Sequence && fork.CPU == exec.CPU {
		t.Errorf("fork has sequence %d, the later exec %d", fork.Sequence, exec.Sequence)
	}
}

// A process that gives its child to its own parent must not give it the parent's
// program, too: it would act under a name that it chose by how it was started.
func TestForkOfASiblingNamesItsMaker(t *testing.T) {
	w := watch(t, Options{Kinds: processKinds})
	cmd := actor(t, "sibling")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(out))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
		t.Fatalf("the sibling is not our child: %v", err)
	}
	maker := w.expect(t, "fork", is(event.Fork, cmd.Process.Pid))
	fork := w.expect(t, "fork", is(event.Fork, pid))
	equal(t, "parent", fork.Task.ParentPID, maker.Task.PID)
	equal(t, "parent's start", fork.Task.ParentStart, maker.Task.Start)
	exit := w.expect(t, "exit", is(event.Exit, pid))
	equal(t, "parent at the exit", exit.Task.ParentPID, uint32(os.Getpid()))
}

func TestExitTellsCodeAndSignal(t *testing.T) {
	tests := []struct {
		name   string
		cmd    func() *exec.Cmd
		code   int32
		signal uint32
	}{
		{"success", func() *exec.Cmd { return exec.Command("/bin/true") }, 0, 0},
		{"failure", func() *exec.Cmd { return exec.Command("/bin/sh", "-c", "exit 42") }, 42, 0},
		{"killed", func() *exec.Cmd { return exec.Command("/bin/sh", "-c", "kill -9 $$") }, 0, 9},
		{"many threads", func() *exec.Cmd { return actor(t, "threads") }, 7, 0},
	}
	w := watch(t, Options{Kinds: processKinds})
	var pids []int
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cmd := test.cmd()
			var exit *exec.ExitError
			if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			pids = append(pids, cmd.Process.Pid)
			e := w.expect(t, "exit", is(event.Exit, cmd.Process.Pid))
			equal(t, "code", e.Exit.Code, test.code)
			equal(t, "signal", e.Exit.Signal, test.signal)
		})
	}
	for _, pid := range pids {
		equal(t, "exits of "+strconv.Itoa(pid), len(w.all(is(event.Exit, pid))), 1)
	}
}

func TestEventsComeInCausalOrder(t *testing.T) {
	w := watch(t, Options{})
	for range 50 {
		if err := exec.Command("/bin/sh", "-c", "/bin/cat /etc/hostname").Run(); err != nil {
			t.Fatal(err)
		}
	}
	alive := map[uint32]bool{uint32(os.Getpid()): true}
	born := map[uint32]bool{}
	for _, e := range w.all(func(*event.Event) bool { return true }) {
		pid := e.Task.PID
		switch e.Kind {
		case event.Fork:
			alive[pid], born[pid] = true, true
		case event.Exit:
			alive[pid] = false
		default:
			if born[pid] && !alive[pid] {
				t.Errorf("%s of %d after its exit", e.Kind, pid)
			}
			if alive[e.Task.ParentPID] && !born[pid] && pid != uint32(os.Getpid()) {
				t.Errorf("%s of %d before its fork", e.Kind, pid)
			}
		}
	}
}

func TestControlGroupIsKnownBeforeItsFirstProcess(t *testing.T) {
	w := watch(t, Options{})
	mode := w.sensor.mode
	mount := mode.mounts[len(mode.mounts)-1] // the v1 hierarchy where there is one
	dir := filepath.Join(mount.dir, fmt.Sprintf("eunomia-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		testutil.Missing(t, "bpf", err)
	}
	removed := false
	defer func() {
		if !removed {
			_ = os.Remove(dir)
		}
	}()
	path := filepath.Join("/", mount.root, filepath.Base(dir))
	made := w.expect(t, "cgroup_make", func(e *event.Event) bool {
		return e.Kind == event.CgroupMake && e.Cgroup.Path == path
	})
	groups, err := w.sensor.Cgroups()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "listed", slices.Contains(groups, made.Cgroup), true)

	script := fmt.Sprintf("echo $$ > %s/cgroup.procs && exec /bin/cat /etc/hostname", dir)
	cmd := exec.Command("/bin/sh", "-c", script)
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	inside := w.expect(t, "exec in the group", func(e *event.Event) bool {
		return e.Kind == event.Exec && e.Task.PID == uint32(cmd.Process.Pid) && e.Task.CgroupID == made.Cgroup.ID
	})
	equal(t, "path", inside.Exec.CgroupPath, path)
	counters, err := w.sensor.CgroupStats()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(counters, func(c CgroupStats) bool { return c.ID == made.Cgroup.ID })
	if i < 0 {
		t.Fatal("the group has no counters")
	}
	equal(t, "execs counted", counters[i].Exec, 1)
	hostname, _ := os.ReadFile("/etc/hostname")
	// The write that moved the shell ended in the group, too.
	written := len(fmt.Sprintln(cmd.Process.Pid)) + len(hostname)
	equal(t, "bytes written", counters[i].WriteBytes, uint64(written))
	if counters[i].Open < 2 {
		t.Errorf("counted %d opens", counters[i].Open)
	}
	removed = os.Remove(dir) == nil
	gone := w.expect(t, "cgroup_remove", func(e *event.Event) bool {
		return e.Kind == event.CgroupRemove && e.Cgroup.Path == path
	})
	equal(t, "removed id", gone.Cgroup.ID, made.Cgroup.ID)
}
