package main

import (
	"context"
	"errors"
	"time"
)

var lossExperiment = experiment{
	name: "loss", kernel: true,
	figures: []figure{
		{key: "loss.openclose", unit: "share", goal: "<= 0", of: worst, what: "opens of a flood that nobody accounts for"},
		{key: "info.lost_share_openclose", unit: "share", what: "opens of the flood lost and counted as lost"},
		{key: "info.flood_opens_per_s", unit: "1/s", what: "opens a second in that flood, on one core"},
		{key: "info.flood_foreign_share", unit: "share", what: "opens of others meanwhile ÷ the flood's: what they could hide"},
	},
	run: measureLoss,
}

const lossRuns = 3

// account is what the detector says of opens since its start.
type account struct {
	seen      float64 // handed over by the kernel
	evaluated float64
	filtered  float64 // ended by the kernel filter
	lost      float64 // and counted
	garbled   float64 // of the lost ones, those that had been handed over
}

func openAccount(m metrics) account {
	a := account{
		seen:      m.sum("eunomia_events_total", "kind", "open", "stage", "seen"),
		evaluated: m.sum("eunomia_events_total", "kind", "open", "stage", "evaluated"),
		filtered:  m.sum("eunomia_events_total", "kind", "open", "stage", "filtered"),
		garbled:   m.sum("eunomia_events_lost_total", "reason", "decode"),
	}
	for _, kind := range []string{"open", "unknown", ""} { // some reasons do not tell the kind
		a.lost += m.sum("eunomia_events_lost_total", "kind", kind)
	}
	return a
}

// unread returns the opens that were handed over and came to nothing.
func (a account) unread() float64 { return max(0, a.seen-a.evaluated-a.garbled) }

// accounted returns the opens whose fate the detector can tell.
func (a account) accounted() float64 { return a.evaluated + a.filtered + a.lost }

// missing returns how many of the opens that were made between two accounts nobody
// answers for: the kernel's programs did not count them, or no rule saw them.
func missing(before, after account, made int) float64 {
	return max(0, float64(made)-(after.accounted()-before.accounted()), after.unread())
}

// measureLoss compares what a loop of opens counted itself with what the detector
// accounts for.
func measureLoss(ctx context.Context, l *lab, _ wanted) (map[string][]float64, error) {
	runs := map[string][]float64{}
	err := l.during(ctx, setup{}, func(d *detector) error {
		for i := range lossRuns {
			l.progress("loss: flood %d of %d", i+1, lossRuns)
			before, err := d.settled(ctx)
			if err != nil {
				return err
			}
			r, err := l.child(ctx, task{Loop: "openclose", For: l.loop})
			if err != nil {
				return err
			}
			after, err := d.settled(ctx)
			if err != nil {
				return err
			}
			made := float64(r.Made)
			runs["loss.openclose"] = append(runs["loss.openclose"], missing(before, after, r.Made)/made)
			runs["info.lost_share_openclose"] = append(runs["info.lost_share_openclose"], (after.lost-before.lost)/made)
			runs["info.flood_opens_per_s"] = append(runs["info.flood_opens_per_s"], r.rate())
			runs["info.flood_foreign_share"] = append(runs["info.flood_foreign_share"], max(0, after.accounted()-before.accounted()-made)/made)
		}
		return nil
	})
	return runs, err
}

// settled reads the account when the pipeline has caught up: what the kernel handed
// over has been evaluated. A detector that never catches up is read after ten
// seconds, and what it owes is missing.
func (d *detector) settled(ctx context.Context) (account, error) {
	var a account
	for range 50 {
		m, err := d.scrape(ctx)
		if err != nil {
			return a, err
		}
		a = openAccount(m)
		if a.seen == 0 && a.filtered == 0 {
			return a, errors.New("the detector's metrics tell nothing of opens")
		}
		if a.unread() == 0 {
			return a, nil
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return a, err
		}
	}
	return a, nil
}
