package natsbus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The subjects of the services that checkDoor tries.
const (
	probeAsk   = "tally.probe.ask"
	probeHeard = "tally.probe.heard"
)

var (
	errOneAccount = errors.New("both our users are in one account of the NATS server, where merchants could reach the streams: it needs the accounts " + booksAccount + " and " + doorAccount)
	errNoDoor     = errors.New("the accounts " + booksAccount + " and " + doorAccount + " of the NATS server are not as they must be")
	errChains     = errors.New("the NATS server delivers an answer to where it was aimed at in another account: merchants could not be kept apart")
)

// checkDoor tries what keeps merchants from the books, as one of them would: the door must reach the
// services of the books, must have no JetStream of its own, and an answer from the books that is
// aimed at a service of the books must not arrive there.
func (b *Bus) checkDoor(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.StartWithin)
	defer cancel()
	answer, err := b.books.Subscribe(probeAsk, func(m *nats.Msg) { _ = m.Respond([]byte("answer")) })
	if err != nil {
		return fmt.Errorf("trying the door: %w", err)
	}
	defer func() { _ = answer.Unsubscribe() }()
	heard, err := b.books.SubscribeSync(probeHeard)
	if err != nil {
		return fmt.Errorf("trying the door: %w", err)
	}
	defer func() { _ = heard.Unsubscribe() }()
	if err := b.books.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("trying the door: %w", err)
	}
	if err := b.checkApart(ctx); err != nil {
		return err
	}
	if err := b.door.PublishRequest(probeAsk, probeHeard, []byte("aimed")); err != nil {
		return fmt.Errorf("trying the door: %w", err)
	}
	// The second request is answered behind the first, over the same connections.
	if _, err := b.door.RequestWithContext(ctx, probeAsk, []byte("plain")); err != nil {
		return fmt.Errorf("%w (%w)", errNoDoor, err)
	}
	if err := b.books.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("trying the door: %w", err)
	}
	if n, _, err := heard.Pending(); err != nil || n > 0 {
		return errors.Join(errChains, err)
	}
	js, err := jetstream.New(b.door)
	if err != nil {
		return err
	}
	if _, err := js.AccountInfo(ctx); err == nil {
		return fmt.Errorf("%w: %s must not have JetStream", errNoDoor, doorAccount)
	}
	return nil
}

// checkApart tries whether our two users are in two accounts.
func (b *Bus) checkApart(ctx context.Context) error {
	subject := "tally.apart." + rand.Text()
	sub, err := b.books.SubscribeSync(subject)
	if err != nil {
		return fmt.Errorf("trying the door: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	for _, step := range []func() error{
		func() error { return b.books.FlushWithContext(ctx) },
		func() error { return b.door.Publish(subject, nil) },
		func() error { return b.door.FlushWithContext(ctx) },
		func() error { return b.books.FlushWithContext(ctx) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("trying the door: %w", err)
		}
	}
	if n, _, err := sub.Pending(); err != nil || n > 0 {
		return errors.Join(errOneAccount, err)
	}
	return nil
}
