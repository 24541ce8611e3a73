package testutil

import (
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
)

func TestBusyboxImageIsLabelledAndMadeOnce(t *testing.T) {
	name := BusyboxImage(t)
	docker := Docker(t)
	first, err := docker.ImageInspect(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	rootfs, err := busyboxRootfs()
	if err != nil {
		t.Fatal(err)
	}
	again, err := busyboxRootfs()
	if err != nil {
		t.Fatal(err)
	}
	if string(rootfs) != string(again) {
		t.Error("the root file system differs from one making to the next")
	}
	if len(first.Config.Labels[ImageLabel]) != 64 {
		t.Errorf("labels %v", first.Config.Labels)
	}
}

func TestRunContainerRunsItsCommandToTheEnd(t *testing.T) {
	id, _ := RunContainer(t, ContainerOptions{Cmd: []string{"sh", "-c", "id -un; echo $HOME >&2; exit 3"}, User: "app", Env: []string{"HOME=/h"}})
	if code := WaitContainer(t, id, 20*time.Second); code != 3 {
		t.Errorf("exit code %d", code)
	}
	if logs := ContainerLogs(t, id); !strings.Contains(logs, "app\n") || !strings.Contains(logs, "/h\n") {
		t.Errorf("logs %q", logs)
	}
}

func TestExecInARunningContainer(t *testing.T) {
	dir := t.TempDir()
	id, remove := RunContainer(t, ContainerOptions{
		Name: "eunomia-test-exec", Labels: map[string]string{"team": "a"}, Mounts: []string{dir + ":/mnt:ro"},
	})
	for _, test := range []struct {
		cmd, output string
		code        int
	}{
		{"echo out; exit 7", "out\n", 7},
		{"echo err >&2", "err\n", 0},
		{"touch /mnt/x 2>/dev/null", "", 1},
		{"tty", "not a tty\n", 1},
		{"stat -c %a /tmp", "1777\n", 0},
		{"ls /etc", "cron.d\ngroup\nhostname\nhosts\nmtab\npasswd\nresolv.conf\nshadow\n", 0},
		{"cat /sys/class/net/eth0/operstate", "up\n", 0},
	} {
		if output, code := Exec(t, id, "sh", "-c", test.cmd); output != test.output || code != test.code {
			t.Errorf("%s: %q, exit code %d", test.cmd, output, code)
		}
	}
	if output, code := ExecTTY(t, id, "tty"); output != "/dev/pts/0\r\n" || code != 0 {
		t.Errorf("tty: %q, exit code %d", output, code)
	}
	about, err := Docker(t).ContainerInspect(t.Context(), "eunomia-test-exec")
	if err != nil {
		t.Fatal(err)
	}
	if about.ID != id || about.Config.Labels["team"] != "a" {
		t.Errorf("container %s with labels %v", about.ID, about.Config.Labels)
	}
	remove()
	if _, err := Docker(t).ContainerInspect(t.Context(), id); !errdefs.IsNotFound(err) {
		t.Errorf("after its removal: %v", err)
	}
}

func TestPrivilegedContainerOnTheHostNetworkWithATerminal(t *testing.T) {
	id, _ := RunContainer(t, ContainerOptions{Privileged: true, Network: "host", Tty: true, Cmd: []string{"sh"}})
	if output, code := Exec(t, id, "mount", "-t", "tmpfs", "none", "/tmp"); code != 0 {
		t.Errorf("mount: %s", output)
	}
	if output, _ := Exec(t, id, "sh", "-c", "readlink /proc/1/fd/0"); output != "/dev/pts/0\n" {
		t.Errorf("standard input is %q", output)
	}
}
