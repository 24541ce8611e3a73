package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"eunomia/internal/testutil"
)

// actsCarryTheirContainer holds the five failures of the first Eunomia, which learned of a container from the runtime
// and thus too late: a container's first process, its children, its workers that fork and never exec, the end of each
// of them, and a container that lives for milliseconds.
func (s *stage) actsCarryTheirContainer(t *testing.T) {
	t.Run("its first process, children and workers, from fork to exit", func(t *testing.T) {
		c := s.markedContainer(t, "family", "/bin/true MARK; ( : </etc/hostname ) & ( : </etc/passwd; : </etc/group ) & wait; exit 3")
		acts := c.acts(t)

		first := acts.only("exec", func(a liveAlert) bool { return a.get("process.name") == "sh" })
		if len(first) != 1 || !strings.HasPrefix(first[0].get("process.parent.name"), "runc") {
			t.Fatalf("the first process is not seen to be executed by the runtime: %s", lines(first))
		}
		shell := first[0].get("process.pid")
		ofShell := func(a liveAlert) bool { return a.get("process.parent.pid") == shell }

		child := acts.only("exec", ofShell)
		if len(child) != 1 || child[0].get("process.name") != "true" || child[0].get("process.parent.name") != "sh" {
			t.Errorf("the child is not seen to be executed by the shell: %s", lines(child))
		}
		forked := pids(acts.only("fork", ofShell))
		if len(forked) != 3 {
			t.Errorf("the shell forked %v, want a child and two workers", forked)
		}
		opened := map[string]string{} // by path
		for _, a := range acts.only("open", ofShell) {
			opened[a.get("file.path")] = a.get("process.pid")
			if a.get("process.name") != "sh" {
				t.Errorf("a worker is called %q, want its parent's name", a.get("process.name"))
			}
		}
		worker1, worker2 := opened["/etc/hostname"], opened["/etc/passwd"]
		if worker1 == "" || worker2 == "" || worker1 == worker2 || opened["/etc/group"] != worker2 ||
			!forked[worker1] || !forked[worker2] {
			t.Errorf("the workers' files were opened by %v; forked were %v", opened, forked)
		}
		exited := acts.only("exit", func(liveAlert) bool { return true })
		want := maps.Clone(forked)
		want[shell] = true
		if got := pids(exited); !maps.Equal(got, want) || len(exited) != len(want) {
			t.Errorf("%v exited, want %v, each once", got, want)
		}
		for _, a := range exited {
			if a.get("process.pid") == shell {
				a.want(t, map[string]string{"process.exit_code": "3"})
			}
		}
	})

	t.Run("counted in the kernel, after it has ended too", func(t *testing.T) {
		c := s.markedContainer(t, "counted", "/bin/true MARK; cat /etc/passwd >/dev/null")
		testutil.WaitContainer(t, c.id, patience)
		series := func(metric, label, value string) string {
			return fmt.Sprintf("eunomia_container_%s{container=%q,container_id=%q,%s=%q}", metric, c.name, c.id[:12], label, value)
		}
		var all map[string]float64
		defer func() {
			for name, value := range all {
				if t.Failed() && strings.Contains(name, c.id[:12]) {
					t.Log(name, value)
				}
			}
		}()
		testutil.Eventually(t, patience, func() bool {
			all = s.scrape(t)
			return all[series("events_total", "kind", "exec")] >= 2 && all[series("events_total", "kind", "fork")] >= 2 &&
				all[series("events_total", "kind", "exit")] >= 3 && all[series("events_total", "kind", "open")] >= 1 &&
				all[series("io_bytes_total", "direction", "read")] > 0
		}, "the container's acts on /metrics")
	})

	t.Run("containers that live for milliseconds", func(t *testing.T) {
		for i := range 5 {
			c := s.markedContainer(t, fmt.Sprintf("short-%d", i), ": MARK")
			testutil.WaitContainer(t, c.id, patience)
			c.remove()
			acts := c.acts(t)
			if len(acts.only("exec", func(liveAlert) bool { return true })) != 1 {
				t.Errorf("not one exec: %s", lines(acts))
			}
			// What waited for the container's name has it, though the container is gone.
			c.awaitNamed(t, "exec", "exit")
		}
	})

	t.Run("what is executed in a container that runs", func(t *testing.T) {
		c := s.markedContainer(t, "exec", "exec sleep 1000")
		testutil.Exec(t, c.id, "sh", "-c", "( : </etc/hostname ) & wait; true "+c.mark)
		c.awaitNamed(t, "exec", "fork", "open", "exit")
	})
}

// unique is a container's name that no other run of this test uses meanwhile.
func unique(name string) string { return fmt.Sprintf("eunomia-e2e-%s-%d", name, os.Getpid()) }

// mark is an argument that makes acts alerts, by ownRules.
func mark(name string) string { return markPrefix + name + "." }

var markPrefix = fmt.Sprintf("e2e-mark-%d-", os.Getpid())

// markedContainer is a container whose every act is an alert.
type markedContainer struct {
	stage          *stage
	id, name, mark string
	remove         func()
}

// markedContainer runs a shell script in a container; in the script, MARK becomes what marks the acts.
func (s *stage) markedContainer(t *testing.T, name, script string) markedContainer {
	t.Helper()
	c := markedContainer{stage: s, name: unique(name), mark: mark(name)}
	c.id, c.remove = testutil.RunContainer(t, testutil.ContainerOptions{
		Name: c.name, Cmd: []string{"sh", "-c", strings.ReplaceAll(script, "MARK", c.mark) + " # " + c.mark},
	})
	return c
}

// acts waits for the end of the container's first process and returns the acts up to then. One that bears the mark and
// not the container's id fails the test.
func (c markedContainer) acts(t *testing.T) acts {
	t.Helper()
	var found acts
	c.stage.await(t, "the end of "+c.name, func(a liveAlert) bool {
		if a.get("rule.id") != "e2e_act" || !strings.Contains(a.get("process.command_line"), c.mark) {
			return false
		}
		a.want(t, map[string]string{"container.id": c.id, "container.runtime": "docker"})
		found = append(found, a)
		return a.get("eunomia.kind") == "exit" && strings.HasPrefix(a.get("process.parent.name"), "runc")
	})
	return found
}

// awaitNamed waits until an act of each kind has raised an alert that needs the image's name.
func (c markedContainer) awaitNamed(t *testing.T, kinds ...string) {
	t.Helper()
	seen := map[string]bool{}
	c.stage.await(t, fmt.Sprintf("%v in %s, named", kinds, c.name), func(a liveAlert) bool {
		if a.get("rule.id") != "e2e_named" || !strings.Contains(a.get("process.command_line"), c.mark) {
			return false
		}
		a.want(t, map[string]string{
			"container.id": c.id, "container.name": c.name,
			"container.image.name": "docker.io/eunomia-test/busybox", "container.image.tag": "1",
			"eunomia.container_metadata": "known", "eunomia.decided": "",
		})
		seen[a.get("eunomia.kind")] = true
		return !slices.ContainsFunc(kinds, func(kind string) bool { return !seen[kind] })
	})
}

type acts []liveAlert

func (list acts) only(kind string, keep func(liveAlert) bool) acts {
	var out acts
	for _, a := range list {
		if a.get("eunomia.kind") == kind && keep(a) {
			out = append(out, a)
		}
	}
	return out
}

func pids(list acts) map[string]bool {
	out := map[string]bool{}
	for _, a := range list {
		out[a.get("process.pid")] = true
	}
	return out
}

func lines(list acts) string {
	var out []string
	for _, a := range list {
		out = append(out, a.line)
	}
	return strings.Join(slices.Insert(out, 0, fmt.Sprintf("%d alerts", len(list))), "\n")
}
