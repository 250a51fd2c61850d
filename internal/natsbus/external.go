package natsbus

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// dial connects to a server elsewhere. If it cannot be reached, the client library goes on trying.
func (b *Bus) dial() (err error) {
	e := b.opts.External
	retry := []nats.Option{nats.RetryOnFailedConnect(true), nats.ReconnectWait(time.Second)}
	if b.books, err = b.connect(e.connect(e.Creds), retry...); err != nil {
		return err
	}
	b.door, err = b.connect(e.connect(e.Door), retry...)
	return err
}

// connect returns what connects with the given credentials, and options.
func (e *External) connect(c Credentials) func(...nats.Option) (*nats.Conn, error) {
	return func(opts ...nats.Option) (*nats.Conn, error) {
		more, err := c.options()
		if err != nil {
			return nil, err
		}
		opts = append(opts, more...)
		if e.CA != "" {
			opts = append(opts, nats.RootCAs(e.CA))
		}
		if e.Cert != "" {
			opts = append(opts, nats.ClientCert(e.Cert, e.Key))
		}
		nc, err := nats.Connect(e.URL, opts...)
		if err != nil {
			return nil, fmt.Errorf("connecting to NATS at %s: %w", e.URL, err)
		}
		return nc, nil
	}
}

func (c Credentials) options() ([]nats.Option, error) {
	switch {
	case c.File != "":
		return []nats.Option{nats.UserCredentials(c.File)}, nil
	case c.Seed != "":
		pair, err := nkeys.FromSeed([]byte(c.Seed))
		if err != nil {
			return nil, fmt.Errorf("the seed of our NATS user: %w", err)
		}
		public, err := pair.PublicKey()
		if err != nil {
			return nil, fmt.Errorf("the seed of our NATS user: %w", err)
		}
		return []nats.Option{nats.Nkey(public, pair.Sign)}, nil
	case c.User != "":
		return []nats.Option{nats.UserInfo(c.User, c.Password)}, nil
	}
	return nil, nil
}
