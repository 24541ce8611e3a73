package outputs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"eunomia/event"
)

var stdoutSubject = subject{
	label: "stdout",
	start: func(t *testing.T, w *world, c *Config, alive bool) func() []string {
		c.Stdout.Enabled = true
		to := &buffer{}
		w.Stdout = to
		if !alive {
			r, stuck := io.Pipe()
			t.Cleanup(func() { r.Close() })
			w.Stdout = stuck
		}
		return func() (list []string) {
			for line := range strings.Lines(to.String()) {
				list = append(list, idIn(line))
			}
			return list
		}
	},
}

func TestStdoutFormatFollowsTheTerminalUnlessItIsSet(t *testing.T) {
	for name, test := range map[string]struct {
		format            string
		terminal, noColor bool
		json, color       bool
	}{
		"pipe":                   {format: FormatAuto, json: true},
		"terminal":               {format: FormatAuto, terminal: true, color: true},
		"terminal with NO_COLOR": {format: FormatAuto, terminal: true, noColor: true},
		"json on a terminal":     {format: FormatJSON, terminal: true, json: true},
		"text into a pipe":       {format: FormatText},
		"no format":              {json: true},
	} {
		t.Run(name, func(t *testing.T) {
			var to bytes.Buffer
			c := StdoutConfig{Format: test.format}
			o, err := c.open(t.Context(), Env{Stdout: &to, Terminal: test.terminal, NoColor: test.noColor})
			if err != nil {
				t.Fatal(err)
			}
			a := alert(1, event.Critical)
			a.Container = "web"
			if n, err := o.Send(t.Context(), []*event.Alert{a}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			got := to.String()
			if test.json != (got == string(a.Document)+"\n") {
				t.Errorf("wrote %q", got)
			}
			if test.color != strings.Contains(got, "\x1b[") {
				t.Errorf("colours in %q", got)
			}
			if !test.json && !test.color && !strings.HasSuffix(got, " critical  message of alert-00001  [test_rule] container=web\n") {
				t.Errorf("wrote %q", got)
			}
		})
	}
}

func TestStdoutContinuesALineThatWasWrittenInPart(t *testing.T) {
	to := &tearing{limit: 10}
	s := &stdout{to: to, encode: appendLine}
	list := alerts(2)
	if n, err := s.Send(context.Background(), list); n != 0 || err == nil {
		t.Fatal(n, err)
	}
	to.limit = 1 << 20
	if n, err := s.Send(context.Background(), list); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if want := string(list[0].Document) + "\n" + string(list[1].Document) + "\n"; to.String() != want {
		t.Errorf("wrote %q", to.String())
	}
}

func TestStdoutBeginsANewLineAfterOneThatWasGivenUp(t *testing.T) {
	to := &tearing{limit: 10}
	s := &stdout{to: to, encode: appendLine}
	list := alerts(2)
	if _, err := s.Send(context.Background(), list); err == nil {
		t.Fatal("no error")
	}
	to.limit = 1 << 20
	if n, err := s.Send(context.Background(), list[1:]); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if want := string(list[0].Document[:10]) + "\n" + string(list[1].Document) + "\n"; to.String() != want {
		t.Errorf("wrote %q", to.String())
	}
}

// tearing is a writer that has room for limit bytes.
type tearing struct {
	bytes.Buffer
	limit int
}

func (w *tearing) Write(p []byte) (int, error) {
	if room := w.limit - w.Len(); len(p) > room {
		n, _ := w.Buffer.Write(p[:room])
		return n, errors.New("no room")
	}
	return w.Buffer.Write(p)
}

func TestTextCutsLongMessages(t *testing.T) {
	a := alert(1, event.High)
	a.Message = strings.Repeat("ü", 5000)
	line := string(text{}.append(nil, a))
	if len(line) > maxText+200 || !strings.Contains(line, "ü…  [test_rule]") || !utf8.ValidString(line) {
		t.Errorf("wrote %d bytes: …%s", len(line), line[len(line)-80:])
	}
}

func FuzzTextIsOneHarmlessLine(f *testing.F) {
	f.Add("message", "rule", "container")
	f.Add("\x1b[2J\n\u202e", "a\tb", "\xff\u2066")
	f.Fuzz(func(t *testing.T, message, rule, container string) {
		a := alert(1, event.High)
		a.Message, a.Rule.ID, a.Container = message, rule, container
		line, newline := strings.CutSuffix(string(text{}.append(nil, a)), "\n")
		if !newline || !utf8.ValidString(line) {
			t.Fatalf("%q", line)
		}
		for _, r := range line {
			if r != ' ' && !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
				t.Fatalf("%U in %q", r, line)
			}
		}
	})
}
