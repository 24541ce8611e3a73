package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// output keeps what a process writes, by lines.
type output struct {
	json bool // every line is an alert

	mu     sync.Mutex
	rest   []byte
	lines  []string
	alerts []liveAlert
	broken []string // lines that are no document
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rest = append(o.rest, p...)
	for {
		line, rest, found := bytes.Cut(o.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		if !o.json {
			o.lines = append(o.lines, string(line))
		} else if a, err := parseAlert(line); err != nil {
			o.broken = append(o.broken, fmt.Sprintf("%v: %q", err, line))
		} else {
			o.alerts = append(o.alerts, a)
		}
		o.rest = rest
	}
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.lines, "\n")
}

// since returns the alerts but for the first n.
func (o *output) since(n int) []liveAlert {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.alerts[n:])
}

// noise returns what is on the stream beside alerts.
func (o *output) noise() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.broken)
}

// liveAlert is one alert as a receiver sees it.
type liveAlert struct {
	line string
	flat map[string]any // by the path of each member
}

func parseAlert(line []byte) (liveAlert, error) {
	var document map[string]any
	if err := json.Unmarshal(line, &document); err != nil {
		return liveAlert{}, err
	}
	a := liveAlert{line: string(line), flat: map[string]any{}}
	flatten(a.flat, "", document)
	return a, nil
}

func flatten(to map[string]any, prefix string, from map[string]any) {
	for name, value := range from {
		if below, ok := value.(map[string]any); ok {
			flatten(to, prefix+name+".", below)
		} else {
			to[prefix+name] = value
		}
	}
}

// get returns a member as text: a list in brackets, "" for one that is not there.
func (a liveAlert) get(path string) string {
	value, ok := a.flat[path]
	if !ok {
		return ""
	}
	if n, ok := value.(float64); ok {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

// want compares members of the alert.
func (a liveAlert) want(t *testing.T, members map[string]string) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(members)) {
		if got := a.get(path); got != members[path] {
			t.Errorf("%s: %s is %q, want %q", a.get("rule.id"), path, got, members[path])
		}
	}
	if t.Failed() {
		t.Logf("the alert: %s", a.line)
	}
}

// descends reports whether the alert's process is the one with this pid or descends from it.
func (a liveAlert) descends(pid int) bool {
	if a.get("process.pid") == strconv.Itoa(pid) {
		return true
	}
	ancestors, _ := a.flat["process.ancestors"].([]any)
	return slices.ContainsFunc(ancestors, func(x any) bool {
		m, _ := x.(map[string]any)
		return m["pid"] == float64(pid)
	})
}
