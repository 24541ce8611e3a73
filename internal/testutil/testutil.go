// Package testutil holds what the tests of several packages share: the conditions they need, and working peers to talk
// to (Docker containers, a webhook receiver, a NATS server). A new peer is a new file whose constructor takes the test,
// calls Require for what it needs, and registers its own cleanup.
package testutil

import (
	"testing"
	"time"
)

// Eventually polls cond until it holds, and fails the test when it still does not after timeout. The optional words say
// what was waited for.
func Eventually(t testing.TB, timeout time.Duration, cond func() bool, what ...string) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for pause := time.Millisecond; !cond(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			if len(what) == 0 {
				what = []string{"the condition"}
			}
			t.Fatalf("%s did not hold within %s", what[0], timeout)
		}
		time.Sleep(pause)
	}
}
