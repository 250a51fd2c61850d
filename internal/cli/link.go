package cli

import (
	"context"
	"errors"
	"sync"

	"github.com/nats-io/nats.go"

	"tallystick/commands"
)

// errLost reports a request whose answer cannot come any more.
var errLost = errors.New("the connection to the server is lost: what was asked for may have been done, and a repeat with the same idempotency key tells")

// link says whether the connection to a server stands. What was sent on one that is lost is never answered, so nobody should wait for it.
type link struct {
	mu   sync.Mutex      // guards the fields below
	ctx  context.Context //nolint:containedctx // it ends when the connection is lost
	lose context.CancelCauseFunc
}

func newLink() *link {
	l := new(link)
	l.up()
	return l
}

// up notes that the connection stands, again.
func (l *link) up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ctx, l.lose = context.WithCancelCause(context.Background())
}

// down notes that the connection is lost.
func (l *link) down() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose(errLost)
}

// while returns a context that ends when the connection that stands now is lost; it has ended if none stands.
func (l *link) while() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx
}

// away reports whether err says that a server cannot be reached now, or ends.
func away(err error) bool {
	for _, target := range []error{errLost, nats.ErrNoResponders, nats.ErrNoServers, nats.ErrConnectionClosed} {
		if errors.Is(err, target) {
			return true
		}
	}
	return commands.CodeOf(err) == commands.ShuttingDown
}

// reconnect connects to the server again that a command was talking to. A directory is not opened in its place: the server could not come back then.
func (a *app) reconnect() (Backend, error) {
	c, err := a.settle()
	if err != nil || c.server != "" {
		return connect(c)
	}
	if !c.endpoint() {
		return nil, errLost
	}
	b, err := connect(c)
	if errors.Is(err, nats.ErrAuthorization) { // the key is that of the server before
		err = errLost
	}
	return b, err
}

// returning is a running server that is found again after the connection to it was lost: one that has started again has another key for whoever may
// read its directory, and may be elsewhere. A request that was lost is lost; the next one may find the server. Any goroutine may use it.
type returning struct {
	app  *app
	turn chan struct{} // holds a token while somebody connects

	mu  sync.Mutex // guards the field below
	now Backend
}

// returning returns b, which is found again if it is a running server. What it returns must be closed, and b as well.
func (a *app) returning(b Backend) Backend {
	if _, ok := b.(remote); !ok {
		return b
	}
	return &returning{app: a, turn: make(chan struct{}, 1), now: b}
}

func (r *returning) current() Backend {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// Command implements [Backend].
func (r *returning) Command(ctx context.Context, name string, body []byte) ([]byte, error) {
	b := r.current()
	answer, err := b.Command(ctx, name, body)
	r.look(ctx, b, err)
	return answer, err
}

// Query implements [Backend].
func (r *returning) Query(ctx context.Context, name string, args []byte) ([]byte, error) {
	b := r.current()
	answer, err := b.Query(ctx, name, args)
	r.look(ctx, b, err)
	return answer, err
}

// look connects again if err says that the connection of was is lost. Where that fails things stay as they are: was may come back by itself.
func (r *returning) look(ctx context.Context, was Backend, err error) {
	if !errors.Is(err, errLost) && !errors.Is(err, nats.ErrConnectionClosed) {
		return
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return
	}
	if r.current() != was {
		return // another goroutine has done it
	}
	next, err := r.app.reconnect()
	if err != nil {
		return
	}
	r.mu.Lock()
	r.now = next
	r.mu.Unlock()
	_ = was.Close() // it is lost
}

// Close implements [Backend].
func (r *returning) Close() error { return r.current().Close() }
