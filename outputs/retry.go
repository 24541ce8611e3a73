package outputs

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"eunomia/event"

	"github.com/cenkalti/backoff/v5"
)

const (
	maxRetryAfter = 5 * time.Minute        // longer requests of a receiver are cut to this
	hurriedPause  = 250 * time.Millisecond // longest pause while the detector is stopping
	logEvery      = time.Minute            // how often a lasting failure is repeated in the log
)

var errNoProgress = errors.New("output settled nothing and gave no reason") // a bug in a sink

// retry repeats what failed until it is delivered, refused, or tried for too
// long. Its Send returns an error only when ctx has ended.
type retry struct {
	next        Output
	tally       *tally
	log         *slog.Logger // knows the output's name
	pause       *backoff.ExponentialBackOff
	retryFor    time.Duration
	maxAttempts int
	hurry       <-chan struct{}

	failures int // since the last success
	logged   time.Time
	hints    []string // already in the log since then
	unlogged int      // refused alerts since the last line in the log
	refused  time.Time
}

func newRetry(s Settings, t *tally, log *slog.Logger, hurry <-chan struct{}, next Output) *retry {
	return &retry{
		next: next, tally: t, log: log, hurry: hurry,
		retryFor: time.Duration(s.RetryFor), maxAttempts: s.MaxAttempts,
		pause: &backoff.ExponentialBackOff{
			InitialInterval: time.Duration(s.Backoff), MaxInterval: time.Duration(s.MaxBackoff),
			Multiplier: 2, RandomizationFactor: backoff.DefaultRandomizationFactor,
		},
	}
}

func (r *retry) Send(ctx context.Context, alerts []*event.Alert) (int, error) {
	settled, attempts := 0, 0
	var began time.Time // of the attempts at alerts[settled]
	for {
		if attempts == 0 {
			began = time.Now()
		}
		n, err := r.next.Send(ctx, alerts[settled:])
		settled += n
		if n > 0 {
			attempts, began = 0, time.Now()
		}
		if n > 0 || err == nil {
			r.recovered()
		}
		if settled == len(alerts) && err == nil {
			return settled, nil
		}
		if ctx.Err() != nil {
			return settled, ctx.Err()
		}
		if err == nil {
			err = errNoProgress
		}
		attempts++
		if settled < len(alerts) {
			switch {
			case isPermanent(err):
				r.refuse(alerts[settled], err)
				r.tally.count(droppedPermanent, 1)
				settled, attempts = settled+1, 0
				r.pause.Reset()
				continue
			case time.Since(began) >= r.retryFor || r.maxAttempts > 0 && attempts >= r.maxAttempts:
				r.log.Warn("an alert is given up", "alert", alerts[settled].ID, "rule", alerts[settled].Rule.ID, "attempts", attempts, "error", err)
				r.tally.count(droppedExpired, 1)
				settled, attempts = settled+1, 0
				if settled == len(alerts) {
					return settled, nil
				}
			}
		}
		if err := r.wait(ctx, err); err != nil {
			return settled, err
		}
	}
}

// wait pauses before the next attempt, for as long as the receiver asked or
// longer each time. When the detector is stopping it does not wait long.
func (r *retry) wait(ctx context.Context, cause error) error {
	pause := r.pause.NextBackOff()
	if after := waitOf(cause); after > 0 {
		pause = min(after, maxRetryAfter)
	}
	hurry := r.hurry
	select {
	case <-hurry:
		pause, hurry = min(pause, hurriedPause), nil
	default:
	}
	r.tally.retries.Inc()
	r.failed(cause, pause)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-hurry:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// failed tells the log of a failure: the first, each that has another remedy, and
// then one each minute.
func (r *retry) failed(err error, pause time.Duration) {
	r.failures++
	hint := hintOf(err)
	known := slices.Contains(r.hints, hint)
	if known && time.Since(r.logged) < logEvery {
		return
	}
	if !known {
		r.hints = append(r.hints, hint)
	}
	r.logged = time.Now()
	r.log.Warn("an output fails", "error", err, "hint", hint, "failures", r.failures, "next_attempt", pause.Round(time.Millisecond))
}

func (r *retry) recovered() {
	r.pause.Reset()
	if r.failures > 0 {
		r.log.Info("an output works again", "failures", r.failures)
	}
	r.failures, r.hints = 0, nil
}

// refuse tells the log of an alert that the receiver does not want, at most once
// each minute.
func (r *retry) refuse(a *event.Alert, err error) {
	r.unlogged++
	if time.Since(r.refused) < logEvery {
		return
	}
	r.log.Warn("a receiver refused an alert", "alert", a.ID, "rule", a.Rule.ID, "error", err, "hint", hintOf(err), "refused", r.unlogged)
	r.refused, r.unlogged = time.Now(), 0
}

func (r *retry) Close(ctx context.Context) error { return r.next.Close(ctx) }
