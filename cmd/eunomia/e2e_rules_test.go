package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"eunomia/internal/testutil"

	"golang.org/x/sys/unix"
)

// provocation does what a rule is made to see, and returns how to know the alert that this must raise: others on this
// machine may do the same meanwhile.
type provocation func(t *testing.T) (mine func(liveAlert) bool)

// provocations holds one for every default rule, in a file for each group of tactics.
func provocations() map[string]provocation {
	all := map[string]provocation{}
	for _, part := range []map[string]provocation{
		provokeExecution, provokePersistence, provokePrivilege, provokeEvasion, provokeCredentials, provokeNetwork, provokeImpact,
	} {
		maps.Copy(all, part)
	}
	return all
}

// cannotProvoke lists the default rules that no test can provoke, each with its reason.
var cannotProvoke = map[string]string{}

// everyDefaultRuleFires provokes each rule of the embedded pack. A new rule without a provocation fails the test.
func (s *stage) everyDefaultRuleFires(t *testing.T) {
	_, program, diagnostics := ruleSources{defaults: true}.load()
	if n := broken(diagnostics); n > 0 {
		t.Fatalf("the default rules have %d mistakes; the first: %+v", n, diagnostics[0])
	}
	known := provocations()
	for _, rule := range infos(program) {
		provoke, reason := known[rule.ID], cannotProvoke[rule.ID]
		delete(known, rule.ID)
		if provoke == nil && reason == "" {
			t.Errorf("no provocation for rule %s: add one to a table in cmd/eunomia/e2e_provoke_*_test.go, or a reason to cannotProvoke", rule.ID)
		}
		if provoke == nil {
			continue
		}
		if reason != "" {
			t.Errorf("rule %s has a provocation and a reason in cannotProvoke", rule.ID)
		}
		t.Run(rule.ID, func(t *testing.T) {
			t.Parallel()
			mine := provoke(t)
			alert := s.await(t, rule.ID, func(a liveAlert) bool { return a.get("rule.id") == rule.ID && mine(a) })
			alert.want(t, map[string]string{
				"event.kind": "alert", "severity": rule.Severity.String(), "rule.name": rule.Title,
			})
			for _, member := range []string{"message", "rule.version", "process.executable", "threat.technique.id"} {
				if alert.get(member) == "" {
					t.Errorf("no %s in %s", member, alert.line)
				}
			}
		})
	}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		t.Errorf("a provocation for %s, which is no default rule", id)
	}
}

// prelude begins every script. The shell is busybox's, which runs its own applets without executing anything.
//
//	run NAME ARGUMENT...   executes a program of this name, which is busybox: what has no such applet ends at once
//	program NAME COMMANDS  makes a program of this name that runs commands, and is their parent
const prelude = `
run() { name=$1; shift; ln -sf /bin/busybox "/usr/local/bin/$name"; "/usr/local/bin/$name" "$@"; }
program() { printf '#!/bin/sh\n%s\n:\n' "$2" >"/usr/local/bin/$1"; chmod 755 "/usr/local/bin/$1"; }
`

// inContainer runs a script in a container of its own, which has no network but its loopback device.
func inContainer(script string, change ...func(*testutil.ContainerOptions)) provocation {
	return func(t *testing.T) func(liveAlert) bool {
		o := testutil.ContainerOptions{Network: "none", Cmd: []string{"sh", "-c", prelude + script}}
		for _, f := range change {
			f(&o)
		}
		id, _ := testutil.RunContainer(t, o)
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the container said: %s", testutil.ContainerLogs(t, id))
			}
		})
		return func(a liveAlert) bool { return a.get("container.id") == id }
	}
}

func inTerminal(o *testutil.ContainerOptions) { o.Tty = true }
func asApp(o *testutil.ContainerOptions)      { o.User = "app" }
func privileged(o *testutil.ContainerOptions) { o.Privileged = true }

// onHost runs a script on the host. Its root directory is one of its own, so that what it writes harms nobody, and
// /etc/passwd is called so all the same.
func onHost(script string, change ...func(*testing.T, *exec.Cmd)) provocation {
	return func(t *testing.T) func(liveAlert) bool {
		root := testutil.BusyboxRoot(t)
		if err := unix.Mknod(filepath.Join(root, "dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
			t.Fatal(err)
		}
		said, err := os.Create(filepath.Join(t.TempDir(), "output"))
		if err != nil {
			t.Fatal(err)
		}
		defer said.Close()
		c := exec.CommandContext(t.Context(), "/bin/sh", "-c", prelude+script)
		c.Dir, c.Env, c.Stdout, c.Stderr = "/", []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, said, said
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		for _, f := range change {
			f(t, c)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // most of what is provoked fails
		t.Cleanup(func() {
			if out, err := os.ReadFile(said.Name()); t.Failed() && err == nil {
				t.Logf("the script said: %s", out)
			}
		})
		return func(a liveAlert) bool { return a.get("container.id") == "" && a.descends(c.Process.Pid) }
	}
}

func asNobody(_ *testing.T, c *exec.Cmd) {
	c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
}

// onTerminal gives a command a terminal that controls it.
func onTerminal(t *testing.T, c *exec.Cmd) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr.Setsid, c.SysProcAttr.Setctty = true, true
}
