package outputs

import (
	"context"
	"fmt"
	"io"

	"eunomia/event"
)

// StdoutConfig is [outputs.stdout].
type StdoutConfig struct {
	Settings
	Enabled bool `toml:"enabled"` // true
	// Format is auto (text on a terminal, json otherwise; the default), json or text.
	Format string `toml:"format"`
}

// The values of StdoutConfig.Format.
const (
	FormatAuto = "auto"
	FormatJSON = "json"
	FormatText = "text"
)

func (c *StdoutConfig) label() string { return "stdout" }

func (c *StdoutConfig) check(report reporter) {
	switch c.Format {
	case "", FormatAuto, FormatJSON, FormatText:
	default:
		report("format", fmt.Sprintf("%q is not a format", c.Format), "use auto, json or text")
	}
}

func (c *StdoutConfig) open(_ context.Context, env Env) (Output, error) {
	s := &stdout{to: env.Stdout, encode: appendLine}
	if c.Format == FormatText || c.Format != FormatJSON && env.Terminal {
		t := text{color: env.Terminal && !env.NoColor}
		s.encode = t.append
	}
	return s, nil
}

// stdout writes one line per alert, each with one Write.
type stdout struct {
	to     io.Writer
	encode func([]byte, *event.Alert) []byte

	line []byte       // of torn, or free for the next
	torn *event.Alert // an alert whose line was written in part
	rest int          // where its unwritten part begins
}

func (s *stdout) Send(_ context.Context, alerts []*event.Alert) (int, error) {
	for i, a := range alerts {
		if err := s.write(a); err != nil {
			return i, err
		}
	}
	return len(alerts), nil
}

func (s *stdout) write(a *event.Alert) error {
	if s.torn != a {
		s.line = s.line[:0]
		if s.torn != nil {
			s.line = append(s.line, '\n') // given up: keep the next from being glued to its beginning
		}
		s.line, s.torn, s.rest = s.encode(s.line, a), nil, 0
	}
	n, err := s.to.Write(s.line[s.rest:])
	if err != nil {
		if s.rest += n; s.rest > 0 {
			s.torn = a
		}
		return hinted(fmt.Errorf("write to standard output: %w", err), "is its reader gone, or the disk full?")
	}
	s.torn = nil
	return nil
}

// Close does nothing: standard output belongs to the process.
func (s *stdout) Close(context.Context) error { return nil }

func appendLine(dst []byte, a *event.Alert) []byte {
	return append(append(dst, a.Document...), '\n')
}
