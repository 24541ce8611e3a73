package outputs

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"eunomia/event"
	"eunomia/internal/testutil"
)

const webhookSecret = "s3cret-of-the-webhook"

var webhookSubject = subject{
	label:  "webhook",
	secret: webhookSecret,
	start: func(t *testing.T, _ *world, c *Config, alive bool) func() []string {
		hook := testutil.WebhookServer(t)
		if !alive {
			hook.Script(slices.Repeat([]testutil.WebhookReply{{Delay: time.Hour}}, 1000)...)
			t.Cleanup(hook.CloseClientConnections)
		}
		url := strings.Replace(hook.URL, "http://", "http://user:"+webhookSecret+"@", 1) + "/hooks/" + webhookSecret + "?key=" + webhookSecret
		c.Webhook = []WebhookConfig{{URL: Secret(url), Headers: map[string]Secret{"X-Key": webhookSecret}}}
		return func() (list []string) {
			for _, r := range hook.Requests() {
				list = append(list, r.Header.Get("X-Eunomia-Event-Id"))
			}
			return list
		}
	},
}

// webhookTo starts a webhook to a URL, quick to repeat.
func webhookTo(t *testing.T, url string, change ...func(*WebhookConfig)) (*world, *Dispatcher) {
	t.Helper()
	c := WebhookConfig{URL: Secret(url)}
	fast(&c.Settings)
	for _, f := range change {
		f(&c)
	}
	w := newWorld()
	return w, w.start(t, only(func(all *Config) { all.Webhook = []WebhookConfig{c} }))
}

func TestWebhookRequestCarriesTheAlert(t *testing.T) {
	hook := testutil.WebhookServer(t)
	w, d := webhookTo(t, hook.URL+"/in", func(c *WebhookConfig) { c.Headers = map[string]Secret{"authorization": "Bearer abc"} })
	a := alert(7, event.High)
	d.Publish(a)
	w.waitFor(t, "webhook", delivered, 1)
	r := hook.Requests()[0]
	if r.Method != http.MethodPost || r.Path != "/in" || string(r.Body) != string(a.Document) {
		t.Errorf("%s %s %s", r.Method, r.Path, r.Body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "eunomia/1.2.3", "Authorization": "Bearer abc",
		"X-Eunomia-Event-Id": a.ID, "Idempotency-Key": a.ID,
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestWebhookRepeatsWhatMayPassAndDropsWhatWillNot(t *testing.T) {
	for name, test := range map[string]struct {
		replies  []testutil.WebhookReply
		want     result
		requests int
	}{
		"500 and 503":       {[]testutil.WebhookReply{{Status: 500}, {Status: 503}}, delivered, 3},
		"429":               {[]testutil.WebhookReply{{Status: 429}}, delivered, 2},
		"408":               {[]testutil.WebhookReply{{Status: 408}}, delivered, 2},
		"too slow":          {[]testutil.WebhookReply{{Delay: time.Hour}}, delivered, 2},
		"400":               {[]testutil.WebhookReply{{Status: 400}}, droppedPermanent, 1},
		"401":               {[]testutil.WebhookReply{{Status: 401}}, droppedPermanent, 1},
		"404":               {[]testutil.WebhookReply{{Status: 404}}, droppedPermanent, 1},
		"204":               {[]testutil.WebhookReply{{Status: 204}}, delivered, 1},
		"redirect":          {[]testutil.WebhookReply{{Status: 307, Header: http.Header{"Location": {"/elsewhere"}}}}, droppedPermanent, 1},
		"500 for ever":      {slices.Repeat([]testutil.WebhookReply{{Status: 500}}, 50), droppedExpired, 5},
		"Retry-After: 0":    {[]testutil.WebhookReply{{Status: 503, Header: http.Header{"Retry-After": {"0"}}}}, delivered, 2},
		"Retry-After: junk": {[]testutil.WebhookReply{{Status: 503, Header: http.Header{"Retry-After": {"-1 soon"}}}}, delivered, 2},
	} {
		t.Run(name, func(t *testing.T) {
			hook := testutil.WebhookServer(t)
			hook.Script(test.replies...)
			w, d := webhookTo(t, hook.URL, func(c *WebhookConfig) { c.MaxAttempts, c.Timeout = 5, Duration(300*time.Millisecond) })
			d.Publish(alert(1, event.High))
			w.waitFor(t, "webhook", test.want, 1)
			got := hook.Requests()
			if len(got) != test.requests {
				t.Errorf("%d requests, want %d", len(got), test.requests)
			}
			for _, r := range got {
				if r.Header.Get("Idempotency-Key") != "alert-00001" {
					t.Errorf("another id: %v", r.Header)
				}
			}
		})
	}
}

func TestWebhookHonoursRetryAfter(t *testing.T) {
	hook := testutil.WebhookServer(t)
	hook.Script(testutil.WebhookReply{Status: 429, Header: http.Header{"Retry-After": {"1"}}})
	w, d := webhookTo(t, hook.URL)
	d.Publish(alert(1, event.High))
	w.waitFor(t, "webhook", delivered, 1)
	got := hook.Requests()
	if pause := got[1].Time.Sub(got[0].Time); pause < time.Second {
		t.Errorf("came back after %s", pause)
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, "-5": 0, "soon": 0, "99999999999999999999": 0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2026 03:00:00 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func TestWebhookSurvivesAReceiverThatBreaksOffItsAnswer(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) > 2 {
			return
		}
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte("HTTP/1.1 200 O"))
		conn.Close()
	}))
	defer server.Close()
	w, d := webhookTo(t, server.URL)
	d.Publish(alert(1, event.High))
	w.waitFor(t, "webhook", delivered, 1)
	if n := requests.Load(); n < 3 {
		t.Errorf("%d requests", n)
	}
}

func TestWebhookReusesItsConnectionAndReadsNoEndlessAnswer(t *testing.T) {
	var connections atomic.Int32
	var size atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 1<<10)
		for range size.Load() >> 10 {
			if _, err := rw.Write(block); err != nil {
				return
			}
		}
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	w, d := webhookTo(t, server.URL)
	size.Store(16 << 10)
	for _, a := range alerts(20) {
		d.Publish(a)
	}
	w.waitFor(t, "webhook", delivered, 20)
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for 20 alerts", n)
	}
	size.Store(1 << 40)
	began := time.Now()
	d.Publish(alert(21, event.High))
	w.waitFor(t, "webhook", delivered, 21)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("an endless answer took %s", took)
	}
}

func TestWebhookSpeaksTLSWithOwnAuthorityAndClientCertificate(t *testing.T) {
	pki := newPKI(t)
	hook := testutil.WebhookServer(t, func(s *httptest.Server) {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{pki.server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pki.pool}
		s.Config.ErrorLog = discardLog
	})
	for name, test := range map[string]struct {
		tls  TLS
		hint string // of the failure; "" for success
	}{
		"all of it":             {TLS{CAFile: pki.ca, CertFile: pki.cert, KeyFile: pki.key, ServerName: "receiver.test"}, ""},
		"unknown authority":     {TLS{ServerName: "receiver.test"}, "tls.ca_file"},
		"another name":          {TLS{CAFile: pki.ca}, "tls.server_name"},
		"no client certificate": {TLS{CAFile: pki.ca, ServerName: "receiver.test"}, "tls.cert_file"},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := webhookTo(t, hook.URL, func(c *WebhookConfig) { c.TLS = test.tls })
			d.Publish(alert(1, event.High))
			if test.hint == "" {
				w.waitFor(t, "webhook", delivered, 1)
				return
			}
			w.waitForLog(t, test.hint)
			if n := w.result(t, "webhook", delivered); n != 0 {
				t.Error("delivered all the same")
			}
		})
	}
}

func TestTwoWebhooksAreTwoOutputs(t *testing.T) {
	one, two := testutil.WebhookServer(t), testutil.WebhookServer(t)
	w := newWorld()
	d := w.start(t, only(func(c *Config) {
		c.Webhook = []WebhookConfig{{Name: "one", URL: Secret(one.URL)}, {Name: "two", URL: Secret(two.URL)}}
	}))
	d.Publish(alert(1, event.High))
	w.waitFor(t, "webhook/one", delivered, 1)
	w.waitFor(t, "webhook/two", delivered, 1)
	if got := fmt.Sprint(len(one.Requests()), len(two.Requests())); got != "1 1" {
		t.Error(got)
	}
}
