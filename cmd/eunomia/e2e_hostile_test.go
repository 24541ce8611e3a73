package main

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"eunomia/internal/testutil"
)

// hostileText clears a terminal, ends lines, forges an alert, reorders text and is not UTF-8 all through. The daemon takes
// only UTF-8 in labels, and no NUL anywhere.
const (
	hostileText = "\x1b[2J\x1b]0;owned\x07\r\n{\"rule\":{\"id\":\"forged\"}}\n\u202e\u2028\u0085\x7f\"\\"
	maxArgument = 4095 // bytes of all arguments that the sensor reads
)

// hostileTextIsHarmless lets a container put hostile text wherever it can.
func (s *stage) hostileTextIsHarmless(t *testing.T) {
	id, _ := testutil.RunContainer(t, testutil.ContainerOptions{
		Name: unique("hostile"), Labels: map[string]string{"team": hostileText, hostileText: "key"},
		Env: []string{"H=" + hostileText, "L=" + strings.Repeat("long ", 2048)},
	})
	// From the shell, as the daemon would mend what is not UTF-8: as an argument, a program's name, a file's name, and
	// as an argument of 10 kB.
	raw := `printf '\377\376\303('`
	testutil.Exec(t, id, "sh", "-c", `h="$H$(`+raw+`)"; f="/tmp/$h"
		/bin/true `+mark("argument")+` "$h"
		cp /bin/busybox "$f"; "$f" `+mark("program")+`
		/bin/cat "$f" `+mark("file")+` >/dev/null
		/bin/true `+mark("long")+` "$L"`)

	marked := func(name, kind string) func(liveAlert) bool {
		return func(a liveAlert) bool {
			args, _ := a.flat["process.args"].([]any)
			return a.get("rule.id") == "e2e_named" && a.get("eunomia.kind") == kind && slices.Contains(args, any(mark(name)))
		}
	}
	// What is not UTF-8 reads as replacement characters; everything else is whole, as JSON can escape it.
	mended := strings.ToValidUTF8(hostileText, "\ufffd") + "\ufffd\ufffd\ufffd("

	argument := s.await(t, "hostile argument", marked("argument", "exec"))
	argument.want(t, map[string]string{
		"process.args": "[/bin/true " + mark("argument") + " " + mended + "]", "process.args_truncated": "",
		"container.id": id, "container.labels.team": hostileText,
	})
	program := s.await(t, "hostile program", marked("program", "exec"))
	program.want(t, map[string]string{"process.name": mended, "process.executable": "/tmp/" + mended})
	file := s.await(t, "hostile file", func(a liveAlert) bool {
		return marked("file", "open")(a) && strings.HasPrefix(a.get("file.path"), "/tmp/")
	})
	file.want(t, map[string]string{"file.name": mended, "file.path": "/tmp/" + mended})
	long := s.await(t, "long argument", marked("long", "exec"))
	long.want(t, map[string]string{"process.args_truncated": "true"})
	if n := len(long.get("process.command_line")); n < maxArgument/2 || n > maxArgument {
		t.Errorf("the cut command line has %d bytes, want up to %d", n, maxArgument)
	}

	for _, a := range []liveAlert{argument, program, file, long} {
		mustBeHarmless(t, a.line)
		s.mustArrive(t, a, 0)
	}
	if noise := s.stdout.noise(); len(noise) > 0 {
		t.Errorf("stdout has %d lines that are no alert; the first: %s", len(noise), noise[0])
	}
	mustBeHarmless(t, s.stderr.text())
}

// mustBeHarmless fails the test for text that could steer a terminal.
func mustBeHarmless(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("not UTF-8: %q", text)
	}
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			t.Errorf("%U is not escaped in %q", r, text)
		}
	}
}
