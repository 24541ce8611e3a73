package testutil

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
)

// ContainerLabel is on every container that RunContainer starts, so that what a killed test leaves can be found.
const ContainerLabel = "eunomia-test"

// ContainerOptions describes a container; the zero value sleeps in BusyboxImage on the bridge network.
type ContainerOptions struct {
	Name       string // of the container; a leftover with this name is removed first
	Image      string // BusyboxImage when empty
	Cmd        []string
	Env        []string
	User       string
	Labels     map[string]string
	Privileged bool
	Network    string   // "host", "none", …
	Tty        bool     // the command gets a terminal
	Mounts     []string // as in docker run -v: source:target[:ro]
}

// Docker is a client of the daemon, closed with the test.
func Docker(t testing.TB) *client.Client {
	t.Helper()
	Require(t, "docker")
	docker, err := newDocker()
	if err != nil {
		t.Fatalf("docker client: %v", err)
	}
	t.Cleanup(func() { docker.Close() })
	return docker
}

func newDocker() (*client.Client, error) {
	return client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
}

// RunContainer starts a container and returns its id and a function that kills and removes it, which otherwise happens
// at the end of the test.
func RunContainer(t testing.TB, o ContainerOptions) (id string, remove func()) {
	t.Helper()
	docker := Docker(t)
	if o.Image == "" {
		o.Image = BusyboxImage(t)
	}
	labels := map[string]string{ContainerLabel: ""}
	for k, v := range o.Labels {
		labels[k] = v
	}
	ctx := context.Background()
	force := container.RemoveOptions{Force: true, RemoveVolumes: true}
	if o.Name != "" {
		_ = docker.ContainerRemove(ctx, o.Name, force)
	}
	created, err := docker.ContainerCreate(ctx,
		&container.Config{Image: o.Image, Cmd: o.Cmd, Env: o.Env, User: o.User, Labels: labels, Tty: o.Tty, OpenStdin: o.Tty},
		&container.HostConfig{Privileged: o.Privileged, NetworkMode: container.NetworkMode(o.Network), Binds: o.Mounts},
		nil, nil, o.Name)
	if err != nil {
		t.Fatalf("create container: %v", err)
	}
	remove = sync.OnceFunc(func() {
		if err := docker.ContainerRemove(context.Background(), created.ID, force); err != nil && !errdefs.IsNotFound(err) {
			t.Errorf("remove container: %v", err)
		}
	})
	t.Cleanup(remove)
	if err := docker.ContainerStart(ctx, created.ID, container.StartOptions{}); err != nil {
		t.Fatalf("start container: %v", err)
	}
	return created.ID, remove
}

// WaitContainer waits until the container's command ends and returns its exit code.
func WaitContainer(t testing.TB, id string, timeout time.Duration) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	done, failed := Docker(t).ContainerWait(ctx, id, container.WaitConditionNotRunning)
	select {
	case status := <-done:
		return int(status.StatusCode)
	case err := <-failed:
		t.Fatalf("wait for container: %v", err)
		return -1
	}
}

// ContainerLogs is what the container has written so far, standard output and error together.
func ContainerLogs(t testing.TB, id string) string {
	t.Helper()
	docker := Docker(t)
	ctx := context.Background()
	about, err := docker.ContainerInspect(ctx, id)
	if err != nil {
		t.Fatalf("inspect container: %v", err)
	}
	logs, err := docker.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		t.Fatalf("container logs: %v", err)
	}
	defer logs.Close()
	return readStream(t, logs, about.Config.Tty)
}

// Exec runs cmd in the container and returns its exit code and its output: standard output and error together, in no
// certain order between the two.
func Exec(t testing.TB, id string, cmd ...string) (output string, code int) {
	t.Helper()
	return execIn(t, id, container.ExecOptions{Cmd: cmd})
}

// ExecTTY is Exec on a terminal, as docker exec -t.
func ExecTTY(t testing.TB, id string, cmd ...string) (output string, code int) {
	t.Helper()
	return execIn(t, id, container.ExecOptions{Cmd: cmd, Tty: true, AttachStdin: true})
}

func execIn(t testing.TB, id string, o container.ExecOptions) (string, int) {
	t.Helper()
	docker := Docker(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	o.AttachStdout, o.AttachStderr = true, true
	created, err := docker.ContainerExecCreate(ctx, id, o)
	if err != nil {
		t.Fatalf("exec %q: %v", o.Cmd, err)
	}
	stream, err := docker.ContainerExecAttach(ctx, created.ID, container.ExecAttachOptions{Tty: o.Tty})
	if err != nil {
		t.Fatalf("exec %q: %v", o.Cmd, err)
	}
	defer stream.Close()
	stop := context.AfterFunc(ctx, stream.Close)
	defer stop()
	output := readStream(t, stream.Reader, o.Tty)

	// The stream ends a moment before the daemon has noted the exit code.
	var about container.ExecInspect
	Eventually(t, 10*time.Second, func() bool {
		if about, err = docker.ContainerExecInspect(ctx, created.ID); err != nil {
			t.Fatalf("exec %q: %v", o.Cmd, err)
		}
		return !about.Running
	}, "the end of the command")
	return output, about.ExitCode
}

// readStream reads the daemon's framing of two streams, or the one of a terminal.
func readStream(t testing.TB, r io.Reader, tty bool) string {
	t.Helper()
	var out bytes.Buffer
	var err error
	if tty {
		_, err = out.ReadFrom(r)
	} else {
		_, err = stdcopy.StdCopy(&out, &out, r)
	}
	if err != nil {
		t.Fatalf("read output: %v", err)
	}
	return out.String()
}

func drain(r io.ReadCloser) error {
	_, err := io.Copy(io.Discard, r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return err
}
