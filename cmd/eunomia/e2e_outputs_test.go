package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"eunomia/internal/testutil"
)

const nobody = 65534

// alertArrivesEverywhere does the two acts of the README and follows their alerts to every receiver.
func (s *stage) alertArrivesEverywhere(t *testing.T) {
	t.Run("of the host", func(t *testing.T) {
		const rule, severity = "shadow_file_read", "high"
		before := s.metric(t, matchesSeries(rule, severity))
		script := exec.Command("/bin/sh", "-c", "cat /etc/shadow; exit 7")
		script.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if out, err := script.CombinedOutput(); script.ProcessState.ExitCode() != 7 {
			t.Fatalf("script: %v: %s", err, out)
		}
		alert := s.await(t, rule, func(a liveAlert) bool {
			return a.get("rule.id") == rule && a.get("process.parent.pid") == strconv.Itoa(script.Process.Pid)
		})
		alert.want(t, map[string]string{
			"event.kind": "alert", "eunomia.kind": "open", "severity": severity, "event.severity": "4",
			"event.outcome": "failure", "event.error": "EACCES",
			"file.path":    "/etc/shadow",
			"process.name": "cat", "process.args": "[cat /etc/shadow]",
			"process.user.id": strconv.Itoa(nobody), "process.user.name": "nobody",
			"process.parent.name": "sh", "process.parent.args": "[/bin/sh -c cat /etc/shadow; exit 7]",
			"host.name": s.node, "container.id": "", "eunomia.container_metadata": "",
			"eunomia.decided": "", "ecs.version": "8.17.0", "eunomia.schema_version": "1.0",
		})
		s.mustArrive(t, alert, before)
	})

	t.Run("of a container", func(t *testing.T) {
		const rule, severity = "shell_in_container", "medium"
		before := s.metric(t, matchesSeries(rule, severity))
		name := unique("shell")
		id, _ := testutil.RunContainer(t, testutil.ContainerOptions{
			Name: name, Labels: map[string]string{"team": "e2e"}, Tty: true, Cmd: []string{"sh"},
		})
		alert := s.await(t, rule, func(a liveAlert) bool { return a.get("rule.id") == rule && a.get("container.id") == id })
		alert.want(t, map[string]string{
			"event.kind": "alert", "eunomia.kind": "exec", "severity": severity, "event.outcome": "success",
			"process.name": "sh", "process.executable": "/bin/busybox", "process.args": "[sh]", "process.tty": "pts0",
			"process.user.id": "0", "process.parent.name": "runc",
			"container.name": name, "container.image.name": "docker.io/eunomia-test/busybox", "container.image.tag": "1",
			"container.labels.team": "e2e", "container.runtime": "docker", "container.privileged": "",
			"eunomia.container_metadata": "known", "eunomia.decided": "",
		})
		if !strings.Contains(alert.get("message"), name) {
			t.Errorf("the message does not name the container: %q", alert.get("message"))
		}
		s.mustArrive(t, alert, before)
	})
}

// mustArrive follows one alert from stdout to the other receivers. before is what its rule's counter was before the act.
func (s *stage) mustArrive(t *testing.T, alert liveAlert, before float64) {
	t.Helper()
	id, rule, severity := alert.get("event.id"), alert.get("rule.id"), alert.get("severity")
	want := message{subject: fmt.Sprintf("eunomia.alerts.%s.%s.%s", s.node, severity, rule), body: alert.line}
	for name, box := range map[string]*inbox{"subscription": &s.subscribed, "stream": &s.stored} {
		var got message
		testutil.Eventually(t, patience, func() (found bool) {
			got, found = box.get(id)
			return found
		}, "the alert in the NATS "+name)
		if got != want {
			t.Errorf("NATS %s: got %+v, want %+v", name, got, want)
		}
	}

	var request testutil.WebhookRequest
	testutil.Eventually(t, patience, func() bool {
		for _, r := range s.webhook.Requests() {
			if r.Header.Get("X-Eunomia-Event-Id") == id {
				request = r
				return true
			}
		}
		return false
	}, "the alert at the webhook")
	if request.Method != "POST" || request.Path != "/alerts" || request.Header.Get("Content-Type") != "application/json" {
		t.Errorf("webhook: %s %s with %v", request.Method, request.Path, request.Header)
	}
	if string(request.Body) != alert.line {
		t.Errorf("webhook: got %s, want %s", request.Body, alert.line)
	}

	// Others act on this machine too: the counter must grow, and agree with what stdout has.
	if now := s.metric(t, matchesSeries(rule, severity)); now < before+1 {
		t.Errorf("%s is %v after the alert and was %v before it", matchesSeries(rule, severity), now, before)
	}
	testutil.Eventually(t, patience, func() bool {
		lines := 0
		for _, a := range s.stdout.since(0) {
			if a.get("rule.id") == rule {
				lines++
			}
		}
		return s.metric(t, matchesSeries(rule, severity)) == float64(lines)
	}, "the rule's counter agrees with the alerts on stdout")
	for _, output := range []string{"stdout", "nats", "webhook"} {
		testutil.Eventually(t, patience, func() bool { return s.metric(t, outputSeries(output, "delivered")) > 0 },
			"deliveries of "+output+" are counted")
	}
}
