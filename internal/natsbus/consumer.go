package natsbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
)

// ConsumerRequest asks for a consumer (D22).
type ConsumerRequest struct {
	Stream StreamName // LEDGER, NOTIFY, REJECTED or CHECKPOINTS
	Slot   int        // which of the key's consumers: 1 to 4
	Filter string     // of the subject behind the merchant, such as "usage.>"; "" means all
	From   events.Seq // the first sequence in the stream; 0 means the oldest, unless Since or New says otherwise
	Since  time.Time  // the first to come is what was stored then or later
	New    bool       // only what is stored from now on
	Ack    bool       // each message is to be acknowledged, and comes again until it is
}

// Consumer is a pull consumer that a key may use: it requests messages at
// $JS.API.CONSUMER.MSG.NEXT.<stream>.<name> with a reply subject below its private inbox.
type Consumer struct {
	Stream StreamName `json:"stream"`
	Name   string     `json:"name"`
	Filter string     `json:"filter"`
}

// ErrConsumerRequest matches every refusal of a request.
var ErrConsumerRequest = errors.New("no such consumer can be had")

// OpenConsumer makes the consumer that is asked for and returns its name. What was the consumer
// of this slot before goes on where it stands, if it is of the same kind, and otherwise is replaced.
// It is filtered to what the key may read: for a merchant its own, for others everything.
func (b *Bus) OpenConsumer(ctx context.Context, id Identity, req ConsumerRequest) (Consumer, error) {
	if !slices.Contains(readable(), req.Stream) {
		return Consumer{}, fmt.Errorf("%w: there is no stream %.40q to read", ErrConsumerRequest, req.Stream)
	}
	if req.Slot < 1 || req.Slot > consumersPerKey {
		return Consumer{}, fmt.Errorf("%w: there are the slots 1 to %d", ErrConsumerRequest, consumersPerKey)
	}
	filter, err := filterFor(id, req)
	if err != nil {
		return Consumer{}, err
	}
	cfg := jetstream.ConsumerConfig{
		Durable:       ConsumerNames(id.Key)[req.Slot-1],
		Description:   "made for an API key",
		FilterSubject: filter,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckNonePolicy,
		MaxWaiting:    16,
		// The way back through the door is forgotten after 35 seconds in which nothing comes.
		MaxRequestExpires: 30 * time.Second,
		Replicas:          b.opts.replicas(),
	}
	if req.Ack {
		cfg.AckPolicy, cfg.MaxAckPending = jetstream.AckExplicitPolicy, 10_000
	}
	switch {
	case req.New:
		cfg.DeliverPolicy = jetstream.DeliverNewPolicy
	case !req.Since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &req.Since
	case req.From > 1:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, uint64(req.From)
	}
	if err := b.replace(ctx, string(req.Stream), cfg); err != nil {
		return Consumer{}, fmt.Errorf("opening the consumer %s on %s: %w", cfg.Durable, req.Stream, err)
	}
	return Consumer{req.Stream, cfg.Durable, filter}, nil
}

// replace makes the consumer, or leaves the one that is there if it is of the same kind.
func (b *Bus) replace(ctx context.Context, stream string, want jetstream.ConsumerConfig) error {
	c, err := b.js.Consumer(ctx, stream, want.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
	case err != nil:
		return err
	default:
		have := c.CachedInfo().Config
		if have.FilterSubject == want.FilterSubject && have.DeliverPolicy == want.DeliverPolicy && have.AckPolicy == want.AckPolicy &&
			have.OptStartSeq == want.OptStartSeq && sameTime(have.OptStartTime, want.OptStartTime) {
			return nil
		}
		if err := b.js.DeleteConsumer(ctx, stream, want.Durable); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return err
		}
	}
	_, err = b.js.CreateConsumer(ctx, stream, want)
	return err
}

func sameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}

// filterFor returns the subjects that a consumer may have: what the key may read, and of
// that what is asked for.
func filterFor(id Identity, req ConsumerRequest) (string, error) {
	base := req.Stream.public()
	if id.Role == events.MerchantKey && req.Stream != Checkpoints {
		base += "." + id.Merchant.String()
		if req.Stream == Rejected { // there is nothing behind the merchant
			if req.Filter != "" {
				return "", fmt.Errorf("%w: the messages of %s cannot be filtered", ErrConsumerRequest, Rejected)
			}
			return base, nil
		}
	}
	if req.Filter == "" {
		return base + ".>", nil
	}
	if !wellFormed(req.Filter) {
		return "", fmt.Errorf("%w: %.80q is no filter: want tokens with dots between them, * for any one, > for all behind", ErrConsumerRequest, req.Filter)
	}
	return base + "." + req.Filter, nil
}

// wellFormed reports whether s is tokens of letters, digits, _ and -, or *, and perhaps > as the
// last, with dots between them.
func wellFormed(s string) bool {
	tokens := strings.Split(s, ".")
	for i, token := range tokens {
		switch {
		case token == "*", token == ">" && i == len(tokens)-1:
		case token == "" || strings.ContainsFunc(token, func(r rune) bool {
			return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		}):
			return false
		}
	}
	return true
}

// CloseConsumers removes all consumers of a key.
func (b *Bus) CloseConsumers(ctx context.Context, key events.KeyID) error {
	for _, stream := range readable() {
		for _, name := range ConsumerNames(key) {
			err := b.js.DeleteConsumer(ctx, string(stream), name)
			if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, jetstream.ErrStreamNotFound) {
				return fmt.Errorf("closing the consumer %s on %s: %w", name, stream, err)
			}
		}
	}
	return nil
}
