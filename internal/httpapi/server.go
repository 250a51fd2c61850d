package httpapi

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Listen says where an API is served.
type Listen struct {
	Addr string // host:port; port 0 takes a free one
	Cert string // PEM file of the certificate; "" for HTTP without TLS
	Key  string // PEM file of its private key

	// The longest that things may take; zero is for the usual.
	HeaderTimeout time.Duration // until the headers of a request are there
	ReadTimeout   time.Duration // until all of a request is there
	IdleTimeout   time.Duration // between two requests of a connection
}

// Server is an API that listens. It ends with Close.
type Server struct {
	server *http.Server
	url    string
	done   chan struct{}
}

// The longest that things usually may take. A command is answered when it is on disk, well within writeTimeout.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 60 * time.Second
	idleTimeout   = 2 * time.Minute
)

// Serve serves h until Close.
func Serve(ctx context.Context, l Listen, h http.Handler, log *slog.Logger) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.Addr)
	if err != nil {
		return nil, fmt.Errorf("listening for HTTP: %w", err)
	}
	s := &Server{
		server: &http.Server{
			Handler: once(h), ReadHeaderTimeout: cmp.Or(l.HeaderTimeout, headerTimeout), ReadTimeout: cmp.Or(l.ReadTimeout, readTimeout),
			WriteTimeout: writeTimeout, IdleTimeout: cmp.Or(l.IdleTimeout, idleTimeout), MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
		url:  "http://" + listener.Addr().String(),
		done: make(chan struct{}),
	}
	if l.Cert != "" {
		cert, err := tls.LoadX509KeyPair(l.Cert, l.Key)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the certificate for HTTP: %w", err), listener.Close())
		}
		s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		s.url = "https://" + listener.Addr().String()
	}
	go func() {
		defer close(s.done)
		serve := s.server.Serve
		if l.Cert != "" {
			serve = func(l net.Listener) error { return s.server.ServeTLS(l, "", "") }
		}
		if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("HTTP", "error", err)
		}
	}()
	return s, nil
}

// once returns a handler that answers as h does, and ends the connection where a request said the length of its body by chunks: it may have said another
// one in Content-Length, which is gone when we see it, and what one of two servers takes for the rest of a body must not be a request to the other.
func once(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// URL returns where the server is.
func (s *Server) URL() string { return s.url }

// Close stops listening and waits for the requests under way, until ctx ends: then their connections are cut.
func (s *Server) Close(ctx context.Context) error {
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("ending HTTP: %w", err), s.server.Close())
	}
	<-s.done
	return err
}
