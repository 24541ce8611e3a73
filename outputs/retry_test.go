package outputs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"eunomia/event"
)

// newTestRetry is a retry in front of a function.
func newTestRetry(s Settings, send func(context.Context, *event.Alert) error) (*retry, *fakeSink, *world, chan struct{}) {
	w := newWorld()
	m := newMetrics()
	w.metrics.MustRegister(m.alerts, m.retries)
	sink := &fakeSink{send: send}
	hurry := make(chan struct{})
	return newRetry(s.withDefaults(), m.tally("test", false), w.Log, hurry, sink), sink, w, hurry
}

func TestRetryWaitsLongerEachTimeAndKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Time
		r, sink, w, _ := newTestRetry(Settings{}, func(_ context.Context, a *event.Alert) error {
			if a.ID != "alert-00001" {
				return nil
			}
			if tries = append(tries, time.Now()); len(tries) < 9 {
				return errAway
			}
			return nil
		})
		if n, err := r.Send(t.Context(), alerts(3)); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		if got := sink.ids(); !slices.Equal(got, ids(alerts(3))) {
			t.Errorf("arrived: %v", got)
		}
		for i := range len(tries) - 1 {
			base := min(500*time.Millisecond<<i, 30*time.Second)
			if pause := tries[i+1].Sub(tries[i]); pause < base/2 || pause > base*3/2 {
				t.Errorf("pause %d is %s, want %s varied by half", i, pause, base)
			}
		}
		if n := w.value(t, "eunomia_output_retries_total"); n != 8 {
			t.Errorf("counted %v retries", n)
		}
		log := w.log.String()
		if n := strings.Count(log, "an output fails"); n < 1 || n > 2 {
			t.Errorf("%d lines about it in the log, want one a minute", n)
		}
		if !strings.Contains(log, "an output works again") {
			t.Error("the recovery is not in the log")
		}
	})
}

func TestRetryHonoursWhatTheReceiverAsksFor(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{7 * time.Second: 7 * time.Second, 24 * time.Hour: maxRetryAfter} {
		synctest.Test(t, func(t *testing.T) {
			first := true
			r, _, _, _ := newTestRetry(Settings{}, func(context.Context, *event.Alert) error {
				if first {
					first = false
					return &failure{err: errAway, after: asked}
				}
				return nil
			})
			began := time.Now()
			if _, err := r.Send(t.Context(), alerts(1)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("asked for %s, waited %s, want %s", asked, took, want)
			}
		})
	}
}

func TestRetryDropsOnlyTheAlertThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, sink, w, _ := newTestRetry(Settings{}, func(_ context.Context, a *event.Alert) error {
			if a.ID == "alert-00000" || a.ID == "alert-00003" {
				return permanent(errAway)
			}
			return nil
		})
		if n, err := r.Send(t.Context(), alerts(4)); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		if got := sink.ids(); !slices.Equal(got, []string{"alert-00001", "alert-00002"}) {
			t.Errorf("arrived: %v", got)
		}
		if n := w.result(t, "test", droppedPermanent); n != 2 {
			t.Errorf("counted %d", n)
		}
	})
}

func TestRetryGivesUpAfterItsTimeOrItsAttempts(t *testing.T) {
	for name, s := range map[string]Settings{"time": {RetryFor: Duration(time.Minute)}, "attempts": {MaxAttempts: 4}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				r, sink, w, _ := newTestRetry(s, func(_ context.Context, a *event.Alert) error {
					if a.ID == "alert-00000" {
						tries++
						return errAway
					}
					return nil
				})
				began := time.Now()
				if n, err := r.Send(t.Context(), alerts(2)); n != 2 || err != nil {
					t.Fatal(n, err)
				}
				if n := w.result(t, "test", droppedExpired); n != 1 || !slices.Equal(sink.ids(), []string{"alert-00001"}) {
					t.Errorf("%d expired; arrived: %v", n, sink.ids())
				}
				if s.MaxAttempts > 0 && tries != 4 {
					t.Errorf("tried %d times", tries)
				}
				if s.RetryFor > 0 && time.Since(began) < time.Minute {
					t.Errorf("gave up after %s", time.Since(began))
				}
			})
		})
	}
}

func TestRetryDoesNotSleepThroughAShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		r, _, _, hurry := newTestRetry(Settings{Backoff: Duration(time.Hour), MaxBackoff: Duration(time.Hour)}, func(context.Context, *event.Alert) error {
			if tries++; tries < 3 {
				return errAway
			}
			return nil
		})
		began := time.Now()
		time.AfterFunc(time.Second, func() { close(hurry) })
		if n, err := r.Send(t.Context(), alerts(1)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if took := time.Since(began); took > time.Second+2*hurriedPause {
			t.Errorf("took %s", took)
		}
	})
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, _, _, _ := newTestRetry(Settings{}, func(_ context.Context, a *event.Alert) error {
			if a.ID == "alert-00001" {
				return errAway
			}
			return nil
		})
		if n, err := r.Send(ctx, alerts(3)); n != 1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d, %v", n, err)
		}
	})
}

func TestLazyOpensAgainUntilItWorksAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &fakeSink{send: func(context.Context, *event.Alert) error { return nil }}
		opens := 0
		l := &lazy{open: func(context.Context) (Output, error) {
			if opens++; opens < 4 {
				return nil, &Problem{Message: "no room", Hint: "make room", Err: permanent(errAway)}
			}
			return sink, nil
		}}
		w := newWorld()
		r := newRetry(Settings{MaxAttempts: 50}.withDefaults(), newMetrics().tally("test", false), w.Log, make(chan struct{}), l)
		if n, err := r.Send(t.Context(), alerts(1)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if log := w.log.String(); !strings.Contains(log, `error="no room"`) || !strings.Contains(log, `hint="make room"`) {
			t.Errorf("log: %s", log)
		}
	})
}
