package main

import (
	"context"
	"errors"
	"time"
)

var memoryExperiment = experiment{
	name: "rss", kernel: true,
	figures: []figure{
		{key: "rss.idle_mb", unit: "MiB", goal: "<= 80", what: "resident memory, ten seconds after the start"},
		{key: "rss.loaded_mb", unit: "MiB", goal: "<= 120", of: worst, what: "the most it was while programs started, files opened and connections came"},
	},
	run: measureMemory,
}

const (
	idleAfter  = 10 * time.Second
	idleRuns   = 5
	loadedTime = 3 * time.Second // for each loop
)

// measureMemory reads the resident memory of a detector that was left alone, and
// then of the same one under load. The second figure is the largest of all samples.
func measureMemory(ctx context.Context, l *lab, _ wanted) (map[string][]float64, error) {
	runs := map[string][]float64{}
	sample := func(d *detector, key string) error {
		mb, err := residentMB(d.pid())
		if err == nil {
			runs[key] = append(runs[key], mb)
		}
		return err
	}
	err := l.during(ctx, setup{}, func(d *detector) error {
		l.progress("rss: idle")
		if err := sleep(ctx, idleAfter-settleTime); err != nil {
			return err
		}
		for range idleRuns {
			if err := errors.Join(sample(d, "rss.idle_mb"), sleep(ctx, 200*time.Millisecond)); err != nil {
				return err
			}
		}
		for _, name := range []string{"forkexec", "openclose", "connect"} {
			l.progress("rss: loaded by %s", name)
			c, err := l.startChild(ctx, task{Loop: name, For: loadedTime})
			if err != nil {
				return err
			}
			var most []float64
			for end := time.Now().Add(loadedTime); time.Now().Before(end); {
				mb, err := residentMB(d.pid())
				if err == nil {
					err = sleep(ctx, 100*time.Millisecond)
				}
				if err != nil {
					_, waitErr := c.wait()
					return errors.Join(err, waitErr)
				}
				most = append(most, mb)
			}
			if _, err := c.wait(); err != nil {
				return err
			}
			runs["rss.loaded_mb"] = append(runs["rss.loaded_mb"], worst(most))
		}
		return nil
	})
	return runs, err
}
