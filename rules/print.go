package rules

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"eunomia/event"
)

// sourceWidth is how much of a long source line is shown.
const sourceWidth = 120

// Print writes diagnostics by file and line: message, source line, caret, remedy.
// Control characters of rule files never reach w.
func Print(w io.Writer, diagnostics []Diagnostic) error {
	list := slices.Clone(diagnostics)
	sortDiagnostics(list)
	var b strings.Builder
	for _, d := range list {
		printOne(&b, d)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String returns the diagnostic without its source line, on one line.
func (d Diagnostic) String() string {
	level := "error"
	if d.Warning {
		level = "warning"
	}
	s := level + ": " + d.Message
	if d.Pos.File != "" {
		s = d.Pos.String() + ": " + s
	}
	if d.Check != "" {
		s += " [" + d.Check + "]"
	}
	return printable(s)
}

func printOne(b *strings.Builder, d Diagnostic) {
	fmt.Fprintln(b, d.String())
	if d.Source != "" && d.Pos.Line > 0 {
		number := strconv.Itoa(d.Pos.Line)
		gutter := strings.Repeat(" ", len(number)+1)
		before, marked, after := window(d.Source, d.Pos.Column-1)
		fmt.Fprintf(b, "%s|\n%s | %s%s%s\n", gutter, number, before, marked, after)
		fmt.Fprintf(b, "%s| %s^%s\n", gutter, strings.Repeat(" ", utf8.RuneCountInString(before)),
			strings.Repeat("~", max(utf8.RuneCountInString(marked)-1, 0)))
	}
	if d.Hint != "" {
		fmt.Fprintf(b, "  hint: %s\n", printable(d.Hint))
	}
}

// window cuts a line to what is near at, and splits it into what comes before at,
// the word there, and the rest.
func window(line string, at int) (before, marked, after string) {
	at = min(max(at, 0), len(line))
	for at > 0 && at < len(line) && !utf8.RuneStart(line[at]) {
		at--
	}
	end := at
	for end < len(line) && (isNameStart(line[end]) || isDigit(line[end]) || line[end] == '.') && end-at < sourceWidth/2 {
		end++
	}
	from, to := 0, len(line)
	if len(line) > sourceWidth {
		from = max(0, min(at-sourceWidth/2, len(line)-sourceWidth))
		to = min(len(line), max(from+sourceWidth, end))
	}
	for from > 0 && !utf8.RuneStart(line[from]) {
		from--
	}
	for to < len(line) && !utf8.RuneStart(line[to]) {
		to++
	}
	before, marked, after = printable(line[from:at]), printable(line[at:end]), printable(line[end:to])
	if from > 0 {
		before = "…" + before
	}
	if to < len(line) {
		after += "…"
	}
	return before, marked, after
}

// printable escapes what a terminal would obey; a tab becomes a blank.
func printable(s string) string { return event.Printable(strings.ReplaceAll(s, "\t", " ")) }
