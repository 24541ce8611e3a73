package testutil

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
)

// verdict is a testing.TB that keeps how the function under test ended the test.
type verdict struct {
	testing.TB
	outcome string
}

func (v *verdict) Helper() {}
func (v *verdict) Skipf(format string, args ...any) {
	v.end("skip", format, args)
}
func (v *verdict) Fatalf(format string, args ...any) {
	v.end("fail", format, args)
}
func (v *verdict) end(outcome, format string, args []any) {
	v.outcome = outcome + ": " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func judge(f func(testing.TB)) string {
	v := &verdict{outcome: "pass"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(v)
	}()
	<-done
	return v.outcome
}

func TestRequire(t *testing.T) {
	requirements["luck"] = func() error { return errors.New("none today") }
	requirements["air"] = func() error { return nil }
	t.Cleanup(func() { delete(requirements, "luck"); delete(requirements, "air") })

	for name, test := range map[string]struct{ env, need, want string }{
		"what is there passes":                {"luck", "air", "pass"},
		"what is missing skips":               {"", "luck", "skip: needs luck: none today"},
		"what is missing and not named skips": {"air,bpf", "luck", "skip: needs luck: none today"},
		"what is missing and named fails":     {"bpf,luck", "luck", "fail: EUNOMIA_REQUIRE names luck: none today"},
		"what nobody knows fails in any case": {"", "fame", `fail: Require("fame"): no such requirement; add it to requirements`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("EUNOMIA_REQUIRE", test.env)
			if got := judge(func(t testing.TB) { Require(t, test.need) }); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestEventually(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		after := func(d time.Duration) func() bool { return func() bool { return time.Since(start) >= d } }
		if got := judge(func(t testing.TB) { Eventually(t, time.Minute, after(time.Second)) }); got != "pass" {
			t.Errorf("a condition that comes to hold: %q", got)
		}
		want := "fail: rain did not hold within 1s"
		if got := judge(func(t testing.TB) { Eventually(t, time.Second, after(time.Hour), "rain") }); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestWebhookAnswersByItsScriptAndKeepsTheRequests(t *testing.T) {
	w := WebhookServer(t)
	w.Script(WebhookReply{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}})
	for i, want := range []int{http.StatusTooManyRequests, http.StatusOK} {
		reply, err := http.Post(w.URL+"/alerts", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		reply.Body.Close()
		if reply.StatusCode != want {
			t.Errorf("request %d: status %d, want %d", i, reply.StatusCode, want)
		}
		if i == 0 && reply.Header.Get("Retry-After") != "1" {
			t.Errorf("request %d: headers %v", i, reply.Header)
		}
	}
	requests := w.Requests()
	if len(requests) != 2 || requests[1].Method != "POST" || requests[1].Path != "/alerts" || string(requests[1].Body) != "hello" {
		t.Errorf("received %+v", requests)
	}
}

func TestWebhookSpeaksTLSWhenConfigured(t *testing.T) {
	w := WebhookServer(t, func(s *httptest.Server) { s.TLS = &tls.Config{} })
	reply, err := w.Client().Get(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	if reply.TLS == nil {
		t.Error("answered without TLS")
	}
}

func TestEmbeddedNATSKeepsAStream(t *testing.T) {
	nc, err := nats.Connect(EmbeddedNATS(t).ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: "s", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	ack, err := js.Publish("s.one", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	if ack.Sequence != 1 {
		t.Errorf("sequence %d", ack.Sequence)
	}
}
