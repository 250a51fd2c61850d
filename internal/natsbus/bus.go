package natsbus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallystick/ledger/publisher"
)

// Bus is an open way to NATS. See the package comment.
type Bus struct {
	opts     Options
	server   *server.Server // nil if it is elsewhere
	auth     *authenticator // of the embedded server
	locked   *os.File       // the lock of its store
	enabling sync.WaitGroup // for JetStream's start
	closed   sync.WaitGroup // for the closing of the connections
	books    *nats.Conn
	door     *nats.Conn
	js       jetstream.JetStream
	started  atomic.Bool // whether JetStream was, by us

	mu       sync.Mutex // guards the fields below
	prefixes map[StreamName]string
	callouts *nats.Subscription // nil while we answer none
}

// Open starts the embedded server, without JetStream, and connects to it; or connects
// to a server elsewhere, and returns too when that cannot be reached yet:
// see [Bus.Connected].
func Open(opts Options) (*Bus, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Bus{opts: opts, prefixes: map[StreamName]string{}}
	if opts.External != nil {
		err = b.dial()
	} else {
		err = b.embed()
	}
	if err == nil {
		b.js, err = jetstream.New(b.books)
	}
	if err == nil && opts.External != nil && opts.External.IssuerSeed != "" && opts.Clock == nil {
		err = errNoClock
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close ends the connections and stops the embedded server. It waits until both have ended.
func (b *Bus) Close() {
	b.settle()
	for _, nc := range []*nats.Conn{b.door, b.books} {
		if nc != nil {
			nc.Close()
		}
	}
	b.closed.Wait()
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
	b.enabling.Wait()
	if b.locked != nil {
		_ = b.locked.Close() // nothing was written to it
	}
}

// settle waits until the embedded server has done what it does some tenths of a second after it has
// opened USAGE, which is to look for the stream's source: stopped in the midst of it, it
// leaves a goroutine behind for half a minute.
func (b *Bus) settle() {
	if b.server == nil || !b.started.Load() || !b.books.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for {
		stream, err := b.js.Stream(ctx, string(Usage))
		if err != nil {
			return
		}
		sources := stream.CachedInfo().Sources
		if len(sources) == 0 || sources[0].Active >= 0 {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

// connectTimeout is how long a connection may take to be made. The client library's own limit of 2 s is short for a server that is
// busy, and would have it begin again what it had almost done.
const connectTimeout = 5 * time.Second

// connect opens a connection of ours, which Close waits for.
func (b *Bus) connect(dial func(...nats.Option) (*nats.Conn, error), more ...nats.Option) (*nats.Conn, error) {
	b.closed.Add(1)
	nc, err := dial(append([]nats.Option{
		nats.Name("tally"),
		nats.CustomInboxPrefix(inboxRoot + rand.Text()),
		nats.MaxReconnects(-1),
		nats.ClosedHandler(func(*nats.Conn) { b.closed.Done() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			b.opts.Logger.Warn("NATS", "error", err)
		}),
	}, more...)...)
	if err != nil {
		b.closed.Done()
	}
	return nc, err
}

// Books returns our connection to the account that has the streams, in which operators are too.
func (b *Bus) Books() *nats.Conn { return b.books }

// Door returns our connection to the account that has the merchants and auditors. Commands
// and queries are answered there, those of operators too.
func (b *Bus) Door() *nats.Conn { return b.door }

// JetStream returns JetStream of the books.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// URL returns where clients can connect, "" if the embedded server listens nowhere.
func (b *Bus) URL() string {
	switch {
	case b.server == nil:
		return b.opts.External.URL
	case b.opts.Listen == "":
		return ""
	}
	return b.server.ClientURL()
}

// Connected returns nil while both connections stand.
func (b *Bus) Connected() error {
	for _, nc := range []*nats.Conn{b.books, b.door} {
		if !nc.IsConnected() {
			return fmt.Errorf("the connection to NATS is %s", nc.Status())
		}
	}
	return nil
}

// CheckPayload returns nil if the server lets a message be as large as our largest (D5).
func (b *Bus) CheckPayload() error {
	if most := b.books.MaxPayload(); most < needPayload {
		return fmt.Errorf("the NATS server lets a message have %d bytes; set its max_payload to %d or more", most, needPayload)
	}
	return nil
}

// Ledger returns the stream LEDGER for the publisher. claimed says whether the stream is
// still ours, see [publisher.Stream].
func (b *Bus) Ledger(claimed func(context.Context) error) *publisher.Stream {
	return &publisher.Stream{
		JetStream: b.js,
		Dialer:    b.wire,
		Claimed:   claimed,
		Keep:      b.opts.Keep,
		Replicas:  b.opts.replicas(),
		Async:     b.server != nil && !b.opts.SyncAlways,
	}
}

// wire opens a connection for the publisher alone.
func (b *Bus) wire(ctx context.Context, acked publisher.Acked) (publisher.Wire, error) {
	if b.server == nil {
		return publisher.NewWire(b.opts.External.connect(b.opts.External.Creds), acked)
	}
	conn, err := b.server.InProcessConn()
	if err != nil {
		return nil, errors.Join(nats.ErrNoServers, err)
	}
	return publisher.NewConnWire(ctx, conn, b.auth.books, acked)
}
