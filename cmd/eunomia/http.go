package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// serveHTTP answers metrics and health until ctx ends.
func (s *server) serveHTTP(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Registry: s.registry}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := s.readiness()
		status := http.StatusOK
		if !r.Ready {
			status = http.StatusServiceUnavailable
		}
		reply(w, status, r)
	})
	h := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if h.Shutdown(grace) != nil {
			h.Close()
		}
	})
	defer stop()
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ended // what a scrape under way reads must not be closed
	return nil
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // the client is gone: nobody to tell
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready        bool   `json:"ready"`
	ProbesOK     bool   `json:"probes_attached"`
	RulesLoaded  int    `json:"rules_loaded"`
	RuleMistakes int    `json:"rule_mistakes"` // in the files on disk; the rules that run have none
	EventsFlow   bool   `json:"events_flow"`
	EventsLost   uint64 `json:"events_lost"`
}

func (s *server) readiness() readiness {
	_, mistakes := s.reloads.state()
	r := readiness{
		ProbesOK:     true, // the server does not start without them, and ends with them
		RulesLoaded:  len(infos(s.detector.engine.Program())),
		RuleMistakes: mistakes,
		EventsFlow:   s.test.ok.Load(),
		EventsLost:   s.lost.Load(),
	}
	r.Ready = r.ProbesOK && r.RulesLoaded > 0 && r.EventsFlow
	return r
}
