package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"eunomia/internal/testutil"

	"golang.org/x/sys/unix"
)

// brokenStage is a detector whose receivers are all broken but stdout and one webhook, and that may not ask Docker.
type brokenStage struct {
	*liveDetector
	good *testutil.Webhook
}

func newBrokenStage(t *testing.T, binary string) *brokenStage {
	hanging := testutil.WebhookServer(t)
	hanging.Script(slices.Repeat([]testutil.WebhookReply{{Delay: time.Hour}}, 100)...)
	s := &brokenStage{good: testutil.WebhookServer(t)}
	s.liveDetector = startDetector(t, binary, fmt.Sprintf(`
listen = "127.0.0.1:0"
state_dir = %q
default_rules = false
rules = [%q]
[containers]
docker = false
[outputs.stdout]
format = "json"
[outputs.nats]
servers = ["nats://%s"]
queue = 4
[[outputs.webhook]]
name = "good"
url = "%s/alerts"
[[outputs.webhook]]
name = "dead"
url = "http://%s/"
queue = 4
max_attempts = 2
backoff = "10ms"
max_backoff = "10ms"
[[outputs.webhook]]
name = "hanging"
url = "%s/alerts"
queue = 4
timeout = "1h"
`, t.TempDir(), writeRules(t), deadAddress(t), s.good.URL, deadAddress(t), hanging.URL))
	return s
}

// deadAddress is one where nobody listens: the port is bound, so nobody else can, and connections are refused.
func deadAddress(t *testing.T) string {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(socket) })
	if err := unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	address, err := unix.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", address.(*unix.SockaddrInet4).Port)
}

// goodReceiversAreServed raises more alerts than the broken outputs can hold.
func (s *brokenStage) goodReceiversAreServed(t *testing.T) {
	const runs = 10 // each is a fork or two, an exec, opens, and an exit
	var last liveAlert
	for i := range runs {
		mark := mark(fmt.Sprintf("broken-%d", i))
		began := time.Now()
		if err := exec.Command("/bin/cat", "/dev/null", "--", "/proc/self/stat", "/dev/null", mark).Run(); err == nil {
			t.Fatal("cat found the mark")
		}
		last = s.await(t, mark, func(a liveAlert) bool {
			return a.get("eunomia.kind") == "exit" && strings.Contains(a.get("process.command_line"), mark)
		})
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the alerts of run %d came after %s", i, took)
		}
	}
	testutil.Eventually(t, 10*time.Second, func() bool {
		return slices.ContainsFunc(s.good.Requests(), func(r testutil.WebhookRequest) bool { return string(r.Body) == last.line })
	}, "the last alert at the good webhook")

	raised := float64(len(s.stdout.since(0)))
	if raised <= 4*runs {
		t.Fatalf("%v alerts are too few to fill queues", raised)
	}
	for output, dropped := range map[string][]string{
		"nats":            {"dropped_queue_full"},
		"webhook/dead":    {"dropped_expired"},
		"webhook/hanging": {"dropped_queue_full"},
	} {
		testutil.Eventually(t, patience, func() bool {
			sum := 0.0
			for _, result := range dropped {
				n := s.metric(t, outputSeries(output, result))
				if n == 0 {
					return false
				}
				sum += n
			}
			return sum > 0
		}, fmt.Sprintf("%s counts %v", output, dropped))
		// Every alert is somewhere.
		testutil.Eventually(t, patience, func() bool {
			sum := s.metric(t, fmt.Sprintf("eunomia_output_queue_alerts{output=%q}", output))
			for _, result := range []string{"dropped_queue_full", "dropped_expired", "dropped_permanent"} {
				sum += s.metric(t, outputSeries(output, result))
			}
			return sum == float64(len(s.stdout.since(0)))
		}, output+" accounts for every alert")
		if n := s.metric(t, outputSeries(output, "delivered")); n != 0 {
			t.Errorf("%s says that it delivered %v alerts", output, n)
		}
	}
}

// containerWithoutDocker looks at a container whose metadata nobody can be asked for.
func (s *brokenStage) containerWithoutDocker(t *testing.T) {
	id, _ := testutil.RunContainer(t, testutil.ContainerOptions{
		Name: unique("nameless"), Cmd: []string{"true", mark("nameless")},
	})
	alert := s.await(t, "act in a container", func(a liveAlert) bool {
		return a.get("eunomia.kind") == "exec" && strings.Contains(a.get("process.command_line"), mark("nameless"))
	})
	alert.want(t, map[string]string{
		"rule.id": "e2e_act", "container.id": id, "container.name": "", "container.image.name": "",
		"eunomia.container_metadata": "absent", "eunomia.decided": "",
	})
	if n := s.metric(t, matchesSeries("e2e_named", "info")); n != 0 {
		t.Errorf("a rule on the image matched %v times though no image is known", n)
	}
}

// undeliveredIsSaid stops the detector, whose outputs hold alerts that nobody took.
func (s *brokenStage) undeliveredIsSaid(t *testing.T) {
	if code := s.stop(t); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	for _, output := range []string{"nats", "webhook/hanging"} {
		if !strings.Contains(s.stderr.text(), output) {
			t.Errorf("stderr does not name %s", output)
		}
	}
}
