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
