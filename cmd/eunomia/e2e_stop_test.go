package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"eunomia/internal/testutil"

	"github.com/cilium/ebpf/link"
	"github.com/nats-io/nats.go"
)

// nothingWentWrong looks at the counters of what must not happen.
func (s *stage) nothingWentWrong(t *testing.T) {
	if noise := s.stdout.noise(); len(noise) > 0 {
		t.Errorf("stdout has %d lines that are no alert; the first: %s", len(noise), noise[0])
	}
	found := 0
	for series, value := range s.scrape(t) {
		name, labels, _ := strings.Cut(series, "{")
		switch {
		case name == "eunomia_rule_errors_total", name == "eunomia_self_test_failures_total", name == "eunomia_docker_failures_total",
			name == "eunomia_events_lost_total" && strings.Contains(labels, `kind="unknown"`),
			name == "eunomia_output_alerts_total" && strings.Contains(labels, `result="dropped_`):
			found++
			if value != 0 {
				t.Errorf("%s is %v", series, value)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d of the counters are there", found)
	}
}

// stopsWithoutTrace ends the detector and starts it again where it was.
func (s *stage) stopsWithoutTrace(t *testing.T, binary string) {
	links := heldLinks(t, s.cmd.Process.Pid)
	if len(links) == 0 {
		t.Fatal("the detector holds no links: how is it attached?")
	}
	for _, id := range links {
		if !linkExists(t, id) {
			t.Errorf("link %d of the running detector is not found", id)
		}
	}
	if code := s.stop(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	for _, id := range links {
		testutil.Eventually(t, patience, func() bool { return !linkExists(t, id) }, fmt.Sprintf("the end of link %d", id))
	}

	// Every alert of stdout is in the stream, and outlives the detector.
	again := startDetector(t, binary, s.config, "--rules", s.rules)
	connection, err := nats.Connect(again.said(t, `\burl=(nats://\S+)`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	var stored inbox
	consumeStream(t, connection, &stored)
	for _, a := range s.stdout.since(0) {
		testutil.Eventually(t, patience, func() bool {
			_, found := stored.get(a.get("event.id"))
			return found
		}, "alert "+a.get("event.id")+" in the stream after the restart")
	}
	if code := again.stop(t); code != exitOK {
		t.Errorf("exit code %d of the second detector", code)
	}
}

// heldLinks lists the BPF links that a process holds. They are asked of the process, as another detector may run.
func heldLinks(t *testing.T, pid int) []link.ID {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile(`(?m)^link_id:\s*(\d+)$`)
	var ids []link.ID
	for _, file := range files {
		info, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // closed meanwhile
		}
		if err != nil {
			t.Fatal(err)
		}
		if m := pattern.FindSubmatch(info); m != nil {
			id, err := strconv.ParseUint(string(m[1]), 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, link.ID(id))
		}
	}
	return ids
}

func linkExists(t *testing.T, id link.ID) bool {
	t.Helper()
	l, err := link.NewFromID(id)
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	if err != nil {
		t.Fatalf("look for link %d: %v", id, err)
	}
	return l.Close() == nil
}
