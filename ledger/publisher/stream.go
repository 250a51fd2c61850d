package publisher

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
)

// The stream that carries the ledger, and the subjects that its records have in it.
const (
	StreamName = "LEDGER"
	Public     = "tally.ledger"
)

// Stream is the JetStream stream LEDGER as a [Target]. One goroutine at a time may call Ensure.
//
// # Fencing
//
// An expected last sequence alone does not keep two writers apart: a record of the one may
// take the place of the other's, whose next records then follow it as if nothing had
// happened. So whoever opens the stream gives it a new private prefix, once: what another
// instance goes on sending to the old one is received by nobody.
type Stream struct {
	JetStream jetstream.JetStream
	Dialer    func(context.Context, Acked) (Wire, error) // opens a wire, [NewConnWire] or [NewWire]

	// Claimed says whether the stream is ours, by an error if not. It is asked before the stream is
	// given a new prefix. nil means that it is.
	Claimed  func(context.Context) error
	ReadOnly bool // for comparing only: a missing stream is an error, and nothing is changed

	Keep     uint64 // records that it keeps, the latest; 0 means all
	Replicas int    // in a cluster; 0 means 1

	// Async lets the server gather messages for some milliseconds before it hands them to the
	// operating system. A process that is killed loses the end of the stream then, which is
	// published again from the log. It spares one system call a record, a
	// third of what publishing costs. Not to be had with Replicas above 1.
	Async bool

	prefix string // that we gave to the stream; "" before
}

func (s *Stream) config(first events.Seq) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name:        StreamName,
		Description: "every event of the ledger; the sequence of a message is that of its record",
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		MaxMsgs:     int64(s.Keep), //nolint:gosec // far from the limit
		Replicas:    max(s.Replicas, 1),
		DenyDelete:  true,
		DenyPurge:   true,
	}
	if first > 1 {
		cfg.FirstSeq = uint64(first)
	}
	if s.Async && cfg.Replicas == 1 {
		cfg.PersistMode = jetstream.AsyncPersistMode
	}
	return cfg
}

// Ensure implements [Target].
func (s *Stream) Ensure(ctx context.Context, first events.Seq) (State, error) {
	stream, prefix, err := s.open(ctx, first)
	if err != nil {
		return State{}, err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return State{}, fmt.Errorf("asking where %s ends: %w", StreamName, err)
	}
	st := State{
		Prefix:  prefix,
		First:   events.Seq(max(info.State.FirstSeq, 1)),
		Last:    events.Seq(info.State.LastSeq),
		Missing: uint64(info.State.NumDeleted), //nolint:gosec // never negative
	}
	if info.State.Msgs == 0 {
		st.First = st.Last + 1
	}
	return st, nil
}

// open returns the stream with the prefix that is ours.
func (s *Stream) open(ctx context.Context, first events.Seq) (jetstream.Stream, string, error) {
	if s.ReadOnly {
		stream, err := s.JetStream.Stream(ctx, StreamName)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = fmt.Errorf("%s: %w", StreamName, ErrNoStream)
		}
		return stream, "", err
	}
	stream, prefix, err := Private(ctx, s.JetStream, s.config(first), Public)
	if err != nil || prefix == s.prefix {
		return stream, prefix, err
	}
	if s.Claimed != nil {
		if err := s.Claimed(ctx); err != nil {
			return nil, "", err
		}
	}
	cfg := stream.CachedInfo().Config
	prefix = listen(&cfg, Public)
	if stream, err = s.JetStream.UpdateStream(ctx, cfg); err != nil {
		return nil, "", fmt.Errorf("giving the stream %s a new prefix: %w", StreamName, err)
	}
	s.prefix = prefix
	return stream, prefix, nil
}

// Bytes implements [Target].
func (s *Stream) Bytes(ctx context.Context, seq events.Seq) ([]byte, error) {
	stream, err := s.JetStream.Stream(ctx, StreamName)
	if err != nil {
		return nil, err
	}
	msg, err := stream.GetMsg(ctx, uint64(seq))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, fmt.Errorf("record %d: %w", seq, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return msg.Data, nil
}

// scanBatch is how many messages are asked for at once.
const scanBatch = 500

// Scan implements [Target].
func (s *Stream) Scan(ctx context.Context, from, to events.Seq, fn func(events.Seq, []byte) error) error {
	stream, err := s.JetStream.Stream(ctx, StreamName)
	if err != nil {
		return err
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Description:   "a comparison with the log",
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   uint64(from),
		AckPolicy:     jetstream.AckNonePolicy,
		MemoryStorage: true,
		Replicas:      1,
	})
	if err != nil {
		return fmt.Errorf("reading %s from record %d: %w", StreamName, from, err)
	}
	defer func() {
		// It goes by itself soon if this fails.
		_ = stream.DeleteConsumer(context.WithoutCancel(ctx), consumer.CachedInfo().Name)
	}()
	for next := from; next <= to; {
		batch, err := consumer.Fetch(int(min(scanBatch, to-next+1)), jetstream.FetchContext(ctx))
		if err != nil {
			return fmt.Errorf("reading %s at record %d: %w", StreamName, next, err)
		}
		before := next
		for msg := range batch.Messages() {
			meta, err := msg.Metadata()
			if err != nil {
				return fmt.Errorf("reading %s at record %d: %w", StreamName, next, err)
			}
			if got := events.Seq(meta.Sequence.Stream); got != next {
				return fmt.Errorf("record %d (the next there is %d): %w", next, got, ErrNotFound)
			}
			if err := fn(next, msg.Data()); err != nil {
				return err
			}
			next++
		}
		if err := batch.Error(); err != nil || next == before {
			return fmt.Errorf("reading %s at record %d: %w", StreamName, next, errors.Join(err, ctx.Err()))
		}
	}
	return nil
}

// Dial implements [Target].
func (s *Stream) Dial(ctx context.Context, acked Acked) (Wire, error) { return s.Dialer(ctx, acked) }
