package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tallystick/events"
)

// openHTTP listens for health and metrics. Nothing there enters Pebble, so that it answers when a disk has failed (D15).
func openHTTP(ctx context.Context, s *Server, addr string) (*httpDoor, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for HTTP: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", s.health)
	h := &httpDoor{
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute},
		url:    "http://" + l.Addr().String(),
		done:   make(chan struct{}),
	}
	go func() {
		defer close(h.done)
		if err := h.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.cfg.Logger.Error("HTTP", "error", err)
		}
	}()
	return h, nil
}

func (h *httpDoor) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := h.server.Shutdown(ctx)
	<-h.done
	return err
}

// health answers 200 while commands are taken, 503 otherwise, with the reason.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	state := struct {
		Status    string     `json:"status"` // "ok" or "failed"
		Error     string     `json:"error,omitempty"`
		Stream    string     `json:"stream,omitempty"` // why nothing is published, if so
		Durable   events.Seq `json:"durableSequence"`
		Published events.Seq `json:"publishedSequence"`
		Viewed    events.Seq `json:"viewsSequence"`
	}{Status: "ok", Durable: s.Log.Durable(), Published: s.published(), Viewed: s.viewed()}
	status := http.StatusOK
	if err := s.Err(); err != nil {
		state.Status, state.Error, status = "failed", err.Error(), http.StatusServiceUnavailable
	}
	if d := s.doors.Load(); d != nil {
		if err := d.streamErr.Load(); err != nil {
			state.Stream = (*err).Error()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(state) // the client may have gone
}
