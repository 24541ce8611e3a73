package main

import (
	"context"
	"fmt"
	"time"
)

const (
	cpuRate = 100_000 // opens per second
	cpuRuns = 3
	cpuTime = 4 * time.Second // of a run: the kernel tells CPU time in hundredths of a second
)

var cpuExperiment = experiment{
	name: "cpu", kernel: true,
	figures: []figure{
		{key: "cpu.openclose_100k", unit: "share", goal: "<= 0.02", what: "of a core, by the detector, at 100,000 opens/s that match nothing"},
		{key: "info.cpu_idle", unit: "share", what: "of a core, by the detector, when little happens"},
		{key: "info.cpu_rate", unit: "1/s", what: "opens per second that were really made"},
	},
	run: measureCPU,
}

// measureCPU reads the detector's own CPU time. What its programs cost those who
// are traced is in the overheads.
func measureCPU(ctx context.Context, l *lab, _ wanted) (map[string][]float64, error) {
	runs := map[string][]float64{}
	err := l.during(ctx, setup{}, func(d *detector) error {
		for i := range cpuRuns {
			l.progress("cpu: %d of %d", i+1, cpuRuns)
			share, err := cpuShare(d.pid(), func() error { return sleep(ctx, cpuTime/2) })
			if err != nil {
				return err
			}
			runs["info.cpu_idle"] = append(runs["info.cpu_idle"], share)
			var r report
			share, err = cpuShare(d.pid(), func() (err error) {
				r, err = l.child(ctx, task{Loop: "openclose", Rate: cpuRate, For: cpuTime})
				return err
			})
			if err != nil {
				return err
			}
			if r.rate() < 0.95*cpuRate {
				return fmt.Errorf("the load reached %.0f opens a second only: one core cannot make %d beside the detector", r.rate(), cpuRate)
			}
			runs["cpu.openclose_100k"] = append(runs["cpu.openclose_100k"], share)
			runs["info.cpu_rate"] = append(runs["info.cpu_rate"], r.rate())
		}
		return nil
	})
	return runs, err
}

// cpuShare returns the share of a core that a process used while f ran.
func cpuShare(pid int, f func() error) (float64, error) {
	began := time.Now()
	before, err := processCPU(pid)
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := processCPU(pid)
	if err != nil {
		return 0, err
	}
	return (after - before).Seconds() / time.Since(began).Seconds(), nil
}
