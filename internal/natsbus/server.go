package natsbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// embed starts a server in this process, without JetStream, which may need seconds for a large
// store and is enabled by [Bus.OpenStreams].
func (b *Bus) embed() (err error) {
	if b.locked, err = lock(b.opts.Dir); err != nil {
		return err
	}
	auth := newAuthenticator(b.opts.Keys)
	opts := &server.Options{
		ServerName:                 "tally",
		DontListen:                 b.opts.Listen == "",
		NoSigs:                     true,
		MaxPayload:                 int32(b.opts.MaxPayload), //nolint:gosec // checked by the server
		StoreDir:                   b.opts.Dir,
		SyncInterval:               b.opts.SyncEvery,
		SyncAlways:                 b.opts.SyncAlways,
		CustomClientAuthentication: auth,
		AuthTimeout:                10,
	}
	if err := opts.ProcessConfigString(fmt.Sprintf(accountsConfig, "", "", "")); err != nil {
		return fmt.Errorf("the accounts of the NATS server: %w", err)
	}
	if b.opts.Listen != "" {
		if opts.Host, opts.Port, err = splitListen(b.opts.Listen); err != nil {
			return err
		}
	}
	if b.opts.ListenCert != "" {
		tls, err := server.GenTLSConfig(&server.TLSConfigOpts{CertFile: b.opts.ListenCert, KeyFile: b.opts.ListenKey})
		if err != nil {
			return fmt.Errorf("the certificate of the NATS listener: %w", err)
		}
		opts.TLSConfig, opts.TLS, opts.TLSTimeout = tls, true, 5
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("the NATS server: %w", err)
	}
	log := &serverLog{log: b.opts.Logger.With("part", "nats")}
	s.SetLoggerV2(log, false, false, false)
	auth.server = s
	b.server, b.auth = s, auth
	s.Start()
	if !b.ready(s, log) {
		return errors.Join(errors.New("the NATS server did not start"), log.fatal())
	}
	if b.books, err = b.inProcess(auth.books); err != nil {
		return err
	}
	b.door, err = b.inProcess(auth.door)
	return err
}

// ready waits until the server takes connections, and reports whether it does. It does not wait for one that has said why it cannot.
func (b *Bus) ready(s *server.Server, log *serverLog) bool {
	const step = 100 * time.Millisecond
	for waited := time.Duration(0); waited < b.opts.StartWithin; waited += step {
		if s.ReadyForConnections(step) {
			return true
		}
		if log.fatal() != nil {
			break
		}
	}
	return false
}

func (b *Bus) inProcess(token string) (*nats.Conn, error) {
	nc, err := b.connect(func(opts ...nats.Option) (*nats.Conn, error) {
		return nats.Connect("", opts...)
	}, nats.InProcessServer(b.server), nats.Token(token), nats.Timeout(connectTimeout))
	if err != nil {
		return nil, fmt.Errorf("connecting to the embedded NATS server: %w", err)
	}
	return nc, nil
}

// StartJetStream starts JetStream in the embedded server, if it has not been, and leaves the
// streams as they are: enough for who only reads them. [Bus.OpenStreams] does it too.
func (b *Bus) StartJetStream(ctx context.Context) error {
	if b.server == nil || b.server.JetStreamEnabled() {
		return nil
	}
	done := make(chan error, 1)
	b.enabling.Go(func() {
		done <- b.server.EnableJetStream(&server.JetStreamConfig{StoreDir: b.opts.Dir, MaxStore: b.opts.MaxStore})
	})
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("starting JetStream on %s: %w", b.opts.Dir, err)
		}
		b.started.Store(true)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serverLog carries what the embedded server logs to ours. Nothing it says ends the process.
type serverLog struct {
	log *slog.Logger

	mu   sync.Mutex // guards the field below
	last error      // that the server calls fatal
}

func (l *serverLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Noticef implements server.Logger, as do the methods below.
func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }

// Warnf implements server.Logger.
func (l *serverLog) Warnf(format string, v ...any) { l.log.Warn(fmt.Sprintf(format, v...)) }

// Errorf implements server.Logger. What clients try and may not do is logged so.
func (l *serverLog) Errorf(format string, v ...any) { l.log.Warn(fmt.Sprintf(format, v...)) }

// Debugf implements server.Logger.
func (l *serverLog) Debugf(string, ...any) {}

// Tracef implements server.Logger.
func (l *serverLog) Tracef(string, ...any) {}

// Fatalf implements server.Logger. It does not end the process.
func (l *serverLog) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	l.mu.Lock()
	l.last = err
	l.mu.Unlock()
	l.log.Error(err.Error())
}
