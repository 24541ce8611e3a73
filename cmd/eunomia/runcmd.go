package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"eunomia/event"
	"eunomia/probes"

	"github.com/spf13/cobra"
)

// watchOptions are the flags of `eunomia run`.
type watchOptions struct {
	pid       uint32
	container string
	comm      string
	duration  time.Duration
	output    formatFlag
}

func runCommand(e *env) *cobra.Command {
	o := watchOptions{output: formatFlag{value: "table", allowed: []string{"table", "json", "csv"}}}
	var help strings.Builder
	help.WriteString("Show one family of events live, without rules. Trackers:\n")
	var names []string
	for _, t := range trackers {
		fmt.Fprintf(&help, "\n  %-9s %s", t.name, t.doc)
		names = append(names, t.name)
	}
	c := &cobra.Command{
		Use:       "run TRACKER",
		Short:     "Show one family of events live: " + strings.Join(names, ", "),
		Long:      help.String(),
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && trackerNamed(args[0]) != nil {
				return nil
			}
			err := errors.New("run wants one tracker")
			if len(args) == 1 {
				err = fmt.Errorf("no tracker %q", args[0])
			}
			return usageError{hinted{err, "one of " + strings.Join(names, ", ")}}
		},
		RunE: func(_ *cobra.Command, args []string) error { return watch(e, trackerNamed(args[0]), o) },
	}
	c.Flags().Uint32Var(&o.pid, "pid", 0, "only this process")
	c.Flags().StringVar(&o.container, "container-id", "", "only this container: its id, or the beginning of it, or its name")
	c.Flags().StringVar(&o.comm, "comm", "", "only processes of this name")
	c.Flags().DurationVar(&o.duration, "duration", 0, "stop after this time, e.g. 30s")
	c.Flags().Var(&o.output, "output", o.output.usage())
	return c
}

func trackerNamed(name string) *tracker {
	for i := range trackers {
		if trackers[i].name == name {
			return &trackers[i]
		}
	}
	return nil
}

// wants reports whether the flags let an event through.
func (o *watchOptions) wants(e *event.Event) bool {
	if o.pid != 0 && e.Task.PID != o.pid {
		return false
	}
	if o.comm != "" && e.Process.Image.Name != o.comm && e.Task.Comm != o.comm {
		return false
	}
	if o.container != "" {
		c := e.Container
		if c == nil || c.ID == "" || !strings.HasPrefix(c.ID, o.container) && c.Name != o.container {
			return false
		}
	}
	return true
}

// watch shows a tracker's events until it is interrupted or time is up.
func watch(e *env, t *tracker, o watchOptions) (err error) {
	if o.duration < 0 {
		return usageError{hinted{fmt.Errorf("--duration %s is negative", o.duration), "write it as 30s or 5m; without it, the tracker runs until it is interrupted"}}
	}
	ctx, stop := e.untilInterrupted()
	defer stop()
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	if err := probes.Check(ctx).Err(); err != nil {
		return err
	}
	logger := e.logger(slog.LevelWarn)
	// Process events are always needed: they keep the tree true.
	kinds := t.kinds | event.SetOf(event.Exec, event.Fork, event.Exit, event.CgroupMake, event.CgroupRemove)
	sensor, err := probes.Open(probes.Options{Kinds: kinds, NoCounters: true, BulkBytes: 8 << 20, Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sensor.Close()) }()
	enricher, err := newEnricher(sensor, defaultConfig(), logger, nil)
	if err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- enricher.Run(background) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-done)
	}()

	out := newEventWriter(e, t, o.output.value)
	if err := out.head(); err != nil {
		return err
	}
	flushing := out.flushEvery(background, 200*time.Millisecond)
	err = sensor.Run(ctx, func(ev *event.Event) {
		enricher.Enrich(ev)
		if t.kinds.Has(ev.Kind) && o.wants(ev) && out.write(ev) != nil {
			stop() // nobody reads any more
		}
	})
	cancel()
	<-flushing
	return errors.Join(err, out.flush(), reportLosses(e, sensor))
}

// reportLosses says on stderr what was not shown.
func reportLosses(e *env, s *probes.Sensor) error {
	st, err := s.Stats()
	if err != nil {
		return err
	}
	for _, l := range st.Losses {
		if l.Reason != probes.LostMapFull {
			fmt.Fprintf(e.stderr, "lost: %d %s events, %s\n", l.Count, l.Kind, l.Reason)
		}
	}
	return nil
}

// eventWriter writes events in one of the formats.
type eventWriter struct {
	tracker *tracker
	format  string

	mu  sync.Mutex // the flusher is a second writer
	out *bufio.Writer
	csv *csv.Writer
	doc []byte
	row []string
}

func newEventWriter(e *env, t *tracker, format string) *eventWriter {
	w := &eventWriter{tracker: t, format: format, out: bufio.NewWriterSize(e.stdout, 64<<10)}
	w.csv = csv.NewWriter(w.out)
	return w
}

func (w *eventWriter) head() error {
	if w.format == "json" {
		return nil
	}
	w.row = w.row[:0]
	for _, c := range w.tracker.columns {
		w.row = append(w.row, c.title)
	}
	if w.format == "csv" {
		for i := range w.row {
			w.row[i] = strings.ToLower(w.row[i])
		}
	}
	return w.writeRow()
}

func (w *eventWriter) write(e *event.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.format == "json" {
		w.doc = append(e.AppendDocument(w.doc[:0]), '\n')
		_, err := w.out.Write(w.doc)
		return err
	}
	w.row = w.row[:0]
	for _, c := range w.tracker.columns {
		value := c.value(e)
		if w.format == "csv" && c.title == timeColumn.title {
			value = e.When().Format("2006-01-02T15:04:05.000000000Z07:00")
		}
		w.row = append(w.row, value)
	}
	return w.writeRow()
}

func (w *eventWriter) writeRow() error {
	if w.format == "csv" {
		for i, v := range w.row {
			w.row[i] = event.Printable(v)
		}
		return w.csv.Write(w.row)
	}
	for i, v := range w.row {
		v = event.Printable(v)
		if width := w.tracker.columns[i].width; width > 0 {
			if r := []rune(v); len(r) > width {
				v = string(r[:width-1]) + "…"
			}
			fmt.Fprintf(w.out, "%-*s ", width, v)
		} else {
			_, _ = w.out.WriteString(v) // a bufio.Writer keeps its error
		}
	}
	return w.out.WriteByte('\n')
}

func (w *eventWriter) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.csv.Flush()
	return errors.Join(w.csv.Error(), w.out.Flush())
}

// flushEvery shows what was written while nothing new comes. The channel it returns
// is closed when it has ended with ctx.
func (w *eventWriter) flushEvery(ctx context.Context, every time.Duration) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if w.flush() != nil {
					return // the next write tells
				}
			}
		}
	}()
	return ended
}
