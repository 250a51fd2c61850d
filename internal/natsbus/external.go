package natsbus

import (
	"bytes"
	"fmt"
	"os"
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
		opts = append(append(opts, nats.Timeout(connectTimeout)), more...)
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
		return c.fromFile()
	case c.Seed != "":
		pair, err := nkeys.FromSeed([]byte(c.Seed))
		if err != nil {
			return nil, fmt.Errorf("the seed of our NATS user: %w", err)
		}
		return withPair(pair)
	case c.User != "":
		return []nats.Option{nats.UserInfo(c.User, c.Password)}, nil
	}
	return nil, nil
}

// fromFile looks into a file of credentials: a JWT is for servers that trust an operator's, an nkey seed alone for
// servers that have the public key in their configuration.
func (c Credentials) fromFile() ([]nats.Option, error) {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return nil, fmt.Errorf("the credentials of our NATS user: %w", err)
	}
	if bytes.Contains(text, []byte("BEGIN NATS USER JWT")) {
		return []nats.Option{nats.UserCredentials(c.File)}, nil
	}
	pair, err := nkeys.ParseDecoratedUserNKey(text)
	if err != nil {
		return nil, fmt.Errorf("the credentials of our NATS user in %s: %w", c.File, err)
	}
	return withPair(pair)
}

func withPair(pair nkeys.KeyPair) ([]nats.Option, error) {
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("the key of our NATS user: %w", err)
	}
	return []nats.Option{nats.Nkey(public, pair.Sign)}, nil
}
