package natsbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
	"tallystick/ledger/publisher"
)

// StreamName is the name of one of our streams.
type StreamName string

// The streams (design: names on NATS).
const (
	Ledger      StreamName = publisher.StreamName // every event; opened by the publisher
	Usage       StreamName = "USAGE"              // usage that waits to be billed
	Rejected    StreamName = "REJECTED"           // usage from USAGE that was refused
	Notify      StreamName = "NOTIFY"             // what a merchant's system reacts to
	Checkpoints StreamName = "CHECKPOINTS"        // signed checkpoints of the tree
)

// readable returns the streams that can be read through [Bus.OpenConsumer]. USAGE is not
// among them: what is read from it is gone.
func readable() []StreamName { return []StreamName{Ledger, Rejected, Notify, Checkpoints} }

// public returns the subjects that the messages of a stream have, without the tokens that
// tell them apart.
func (s StreamName) public() string {
	switch s {
	case Ledger:
		return publisher.Public
	case Usage:
		return "tally.usage"
	case Rejected:
		return "tally.rejected"
	case Notify:
		return "tally.notify"
	case Checkpoints:
		return "tally.checkpoint"
	}
	panic("natsbus: impossible stream " + string(s))
}

// DurableHeader stands on every notice and every rejection, and says what is not (D20).
const (
	DurableHeader = "Tally-Durable"
	durableNote   = "only a receipt means durable"
)

// OpenStreams starts JetStream in the embedded server, which takes seconds for a large store, and
// makes the streams that are missing, but for LEDGER, which the publisher opens. It may be
// called again, and must be after the streams were lost.
func (b *Bus) OpenStreams(ctx context.Context) error {
	if err := b.StartJetStream(ctx); err != nil {
		return err
	}
	if err := b.Connected(); err != nil {
		return err
	}
	if err := b.CheckPayload(); err != nil {
		return err
	}
	if err := b.checkDoor(ctx); err != nil {
		return err
	}
	for _, name := range []StreamName{Checkpoints, Rejected, Notify} { // USAGE needs CHECKPOINTS
		_, prefix, err := publisher.Private(ctx, b.js, b.config(name), name.public())
		if err != nil {
			return err
		}
		b.mu.Lock()
		b.prefixes[name] = prefix
		b.mu.Unlock()
	}
	if _, err := b.js.CreateOrUpdateStream(ctx, b.config(Usage)); err != nil {
		return fmt.Errorf("opening the stream %s: %w", Usage, err)
	}
	b.started.Store(true)
	return b.openKeys(ctx)
}

func (b *Bus) config(name StreamName) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name:      string(name),
		Storage:   jetstream.FileStorage,
		Replicas:  b.opts.replicas(),
		DenyPurge: true,
	}
	switch name {
	case Usage:
		cfg.Description = "usage that waits to be billed; an acknowledgement of it is no receipt"
		cfg.Subjects = []string{name.public() + ".*", name.public() + ".*.*"} // of a merchant, and of one of its keys
		cfg.Retention, cfg.Discard = jetstream.WorkQueuePolicy, jetstream.DiscardNew
		cfg.MaxBytes = b.opts.UsageBytes
		cfg.MaxMsgsPerSubject, cfg.DiscardNewPerSubject = b.opts.UsageCount, true
		// A stream that has a source is one without deduplication by Nats-Msg-Id, and there is no other way to
		// have none. The ids of all merchants are in one space, so usage of the one would be lost,
		// though acknowledged, under an id that another has used. Nothing ever comes from this source.
		cfg.Sources = []*jetstream.StreamSource{{Name: string(Checkpoints), FilterSubject: Checkpoints.public() + "._none"}}
	case Rejected:
		cfg.Description = "usage that was refused, with the reason and the original"
		cfg.MaxBytes, cfg.MaxMsgsPerSubject, cfg.MaxAge = b.opts.RejectBytes, 100_000, 90*24*time.Hour
	case Notify:
		cfg.Description = "what a merchant's system reacts to, as CloudEvents"
		cfg.MaxBytes, cfg.MaxMsgsPerSubject, cfg.MaxAge = b.opts.NotifyBytes, 100_000, 30*24*time.Hour
	case Checkpoints:
		cfg.Description = "signed checkpoints of the ledger's tree"
		cfg.DenyDelete = true
	case Ledger:
		panic("natsbus: impossible: LEDGER is opened by the publisher")
	}
	return cfg
}

// Post stores a message in REJECTED, NOTIFY or CHECKPOINTS and waits until it is. tail is what tells its
// subject from others: "<merchant>", "<merchant>.<type>" or "<ledger>". A message with the same id
// as one of the last two minutes is not stored again; id may be "".
func (b *Bus) Post(ctx context.Context, name StreamName, tail, id string, body []byte) error {
	msg, err := b.message(name, tail, id, body)
	if err != nil {
		return err
	}
	if _, err := b.js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("posting to %s: %w", name, err)
	}
	return nil
}

// PostAsync is Post without the waiting.
func (b *Bus) PostAsync(name StreamName, tail, id string, body []byte) (jetstream.PubAckFuture, error) {
	msg, err := b.message(name, tail, id, body)
	if err != nil {
		return nil, err
	}
	future, err := b.js.PublishMsgAsync(msg)
	if err != nil {
		return nil, fmt.Errorf("posting to %s: %w", name, err)
	}
	return future, nil
}

var (
	errNotOpen = errors.New("the streams are not open yet")
	// A message without content ends the way back through the door.
	errEmpty = errors.New("a message without content")
)

func (b *Bus) message(name StreamName, tail, id string, body []byte) (*nats.Msg, error) {
	b.mu.Lock()
	prefix := b.prefixes[name]
	b.mu.Unlock()
	if prefix == "" {
		return nil, fmt.Errorf("posting to %s: %w", name, errNotOpen)
	}
	if len(body) == 0 {
		return nil, fmt.Errorf("posting to %s: %w", name, errEmpty)
	}
	msg := &nats.Msg{Subject: prefix + "." + tail, Header: nats.Header{}, Data: body}
	if name != Checkpoints {
		msg.Header.Set(DurableHeader, durableNote)
	}
	if id != "" {
		msg.Header.Set(jetstream.MsgIDHeader, id)
	}
	return msg, nil
}

// PostCheckpoint publishes a signed checkpoint, for everybody to read.
func (b *Bus) PostCheckpoint(ctx context.Context, ledger events.LedgerID, note []byte) error {
	return b.Post(ctx, Checkpoints, ledger.String(), "", note)
}

// EachCheckpoint calls fn with every checkpoint that was published, the oldest first.
func (b *Bus) EachCheckpoint(ctx context.Context, fn func(note []byte) error) error {
	stream, err := b.js.Stream(ctx, string(Checkpoints))
	if err != nil {
		return fmt.Errorf("opening %s: %w", Checkpoints, err)
	}
	state := stream.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && seq > 0; seq++ {
		msg, err := stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", Checkpoints, err)
		}
		if err := fn(msg.Data); err != nil {
			return err
		}
	}
	return nil
}

// UsageConsumer returns what USAGE is consumed through: each message is acknowledged by
// itself, and comes again if it is not, for ever (D11).
func (b *Bus) UsageConsumer(ctx context.Context) (jetstream.Consumer, error) {
	c, err := b.js.CreateOrUpdateConsumer(ctx, string(Usage), jetstream.ConsumerConfig{
		Durable:       "tally",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       time.Minute,
		MaxAckPending: 20_000,
		MaxDeliver:    -1,
	})
	if err != nil {
		return nil, fmt.Errorf("consuming %s: %w", Usage, err)
	}
	return c, nil
}
