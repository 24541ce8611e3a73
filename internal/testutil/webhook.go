package testutil

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// Webhook is an HTTP receiver that keeps what it was sent and answers as it was told.
type Webhook struct {
	*httptest.Server

	mu       sync.Mutex
	requests []WebhookRequest
	replies  []WebhookReply
}

// WebhookRequest is one request as it arrived.
type WebhookRequest struct {
	Time   time.Time
	Method string
	Path   string
	Header http.Header
	Body   []byte
}

// WebhookReply is one answer: a status (200 when zero), headers, and how long to wait before it.
type WebhookReply struct {
	Status int
	Header http.Header
	Delay  time.Duration
}

// WebhookServer starts a receiver on a loopback port that answers 200 unless Script says otherwise. A configure function
// sees it before it starts; one that sets TLS makes it speak TLS.
func WebhookServer(t testing.TB, configure ...func(*httptest.Server)) *Webhook {
	t.Helper()
	w := &Webhook{}
	w.Server = httptest.NewUnstartedServer(w)
	for _, f := range configure {
		f(w.Server)
	}
	if w.TLS != nil {
		w.StartTLS()
	} else {
		w.Start()
	}
	t.Cleanup(w.Close)
	return w
}

// Script queues answers, one for each request to come; after the last one the receiver answers 200 again.
func (w *Webhook) Script(replies ...WebhookReply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replies = append(w.replies, replies...)
}

// Requests are those received so far, in the order of their arrival.
func (w *Webhook) Requests() []WebhookRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.requests)
}

func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away in the middle of its request
	}
	reply := w.record(WebhookRequest{Time: time.Now(), Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Body: body})
	select {
	case <-time.After(reply.Delay):
	case <-r.Context().Done():
		return
	}
	for k, v := range reply.Header {
		rw.Header()[k] = v
	}
	rw.WriteHeader(reply.Status)
}

func (w *Webhook) record(r WebhookRequest) WebhookReply {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = append(w.requests, r)
	var reply WebhookReply
	if len(w.replies) > 0 {
		reply, w.replies = w.replies[0], w.replies[1:]
	}
	if reply.Status == 0 {
		reply.Status = http.StatusOK
	}
	return reply
}
