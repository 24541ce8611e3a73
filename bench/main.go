// Command bench measures what Eunomia costs and how fast it is, against the
// budgets that the project has set itself. `make bench` runs all of it, `make bench
// KEY=overhead` a part; docs/performance.md explains the method.
//
// It decides only what is measured and how; a budget that is missed is reported as
// missed, one that could not be measured as failed, and neither is left out.
//
// To add a figure, add it to an experiment's figures and return its runs there. To
// add an experiment, write one file and add its row to experiments. To add a loop
// to the overheads, add a row to loops and one to overheads.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// experiments lists what can be measured, in the order in which it runs.
var experiments = []experiment{
	overheadExperiment,
	lossExperiment,
	cpuExperiment,
	memoryExperiment,
	latencyExperiment,
	ringExperiment,
	engineExperiment,
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == childFlag {
		if err := runChild(os.Args[2], os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %v\n", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	var o options
	var key string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&key, "key", "", "measure only these `keys`: whole ones, or their first parts, as in overhead,ring.cpu_ns")
	f.StringVar(&o.detector, "detector", "bin/eunomia", "the detector's `program`")
	f.StringVar(&o.out, "out", "bench/out/results.json", "`file` that the results are written to")
	f.IntVar(&o.pairs, "pairs", 5, "runs with the detector, between as many and one without, for each overhead")
	f.DurationVar(&o.loop, "loop", time.Second, "how long one run of a loop takes")
	f.BoolVar(&o.dirty, "dirty", false, "measure even while other programs trace this machine, which spoils the overheads")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	wants, err := choose(experiments, key)
	if err == nil && f.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q; did you mean -key %[1]s?", f.Arg(0))
	}
	if err == nil && (o.pairs < 1 || o.loop < 10*time.Millisecond) {
		err = errors.New("-pairs must be 1 at least and -loop 10ms")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, o, wants); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}

// measure runs the experiments that have a wanted figure and reports. The error
// says that something could not be measured; a missed budget is none.
func measure(ctx context.Context, o options, wants map[string]bool) error {
	l, err := newLab(o)
	if err != nil {
		return err
	}
	defer l.close()
	fmt.Println(l.describe(ctx))
	l.warnIfBusy(ctx)
	var results []result
	var failed error
	for _, x := range experiments {
		mine := x.only(wants)
		if len(mine) == 0 {
			continue
		}
		var runs map[string][]float64
		var skip string
		var err error
		if x.kernel {
			skip = l.unfit
		}
		if skip == "" {
			runs, err = x.run(ctx, l, mine)
		}
		if ctx.Err() != nil {
			return errors.New("interrupted: nothing is reported")
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", x.name, err))
		}
		results = append(results, x.results(mine, runs, skip, err)...)
	}
	l.sayDone()
	if err := printTable(os.Stdout, results); err != nil {
		return err
	}
	if err := writeResults(o.out, results); err != nil {
		return err
	}
	fmt.Printf("\n%s\nwritten to %s\n", summary(results), o.out)
	return failed
}
