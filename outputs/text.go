package outputs

import (
	"fmt"
	"time"

	"eunomia/event"
)

const maxText = 2000 // bytes of a message on a terminal; the document has all of it

// text writes alerts for people: time, severity, message, rule, container. All
// that comes from the watched processes is escaped, so that no alert can steer
// the terminal or pass for two.
type text struct{ color bool }

var severityColors = [...]string{
	event.Info:     "\x1b[2m",
	event.Low:      "\x1b[36m",
	event.Medium:   "\x1b[33m",
	event.High:     "\x1b[31m",
	event.Critical: "\x1b[1;37;41m",
}

const (
	dim   = "\x1b[2m"
	reset = "\x1b[0m"
)

func (t text) append(dst []byte, a *event.Alert) []byte {
	dst = time.Unix(0, a.Time).Local().AppendFormat(dst, "15:04:05.000")
	dst = append(dst, ' ')
	severity := fmt.Sprintf("%-8s", a.Rule.Severity)
	color := ""
	if int(a.Rule.Severity) < len(severityColors) {
		color = severityColors[a.Rule.Severity]
	}
	dst = t.painted(dst, color, severity)
	dst = append(dst, ' ', ' ')
	dst = append(dst, event.Printable(event.Shorten(a.Message, maxText))...)
	dst = append(dst, ' ', ' ')
	tail := "[" + event.Printable(a.Rule.ID) + "]"
	if a.Container != "" {
		tail += " container=" + event.Printable(event.Shorten(a.Container, maxText))
	}
	dst = t.painted(dst, dim, tail)
	return append(dst, '\n')
}

func (t text) painted(dst []byte, color, s string) []byte {
	if !t.color || color == "" {
		return append(dst, s...)
	}
	dst = append(dst, color...)
	dst = append(dst, s...)
	return append(dst, reset...)
}
