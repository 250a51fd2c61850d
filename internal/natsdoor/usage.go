package natsdoor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/natsbus"
	"tallystick/internal/wire"

	"github.com/nats-io/nats.go/jetstream"
)

// StreamOptions are what the streams of usage work with. JetStream must be given.
type StreamOptions struct {
	JetStream jetstream.JetStream // where the streams USAGE and REJECTED are

	Window   int           // usage events under way; default 16384
	Messages int           // messages asked for at a time; default 256
	Retry    time.Duration // until something is tried again that may pass; default 1 s
}

func (o StreamOptions) withDefaults() StreamOptions {
	if o.Window == 0 {
		o.Window = 16384
	}
	if o.Messages == 0 {
		o.Messages = 256
	}
	if o.Retry == 0 {
		o.Retry = time.Second
	}
	return o
}

const (
	usageStream    = string(natsbus.Usage)
	rejectedStream = string(natsbus.Rejected)

	consumerName = "tally"          // of the door on the stream of usage
	ackWait      = 30 * time.Second // until NATS takes a message for lost; a new door does not wait for it
	heartbeat    = 2 * time.Second  // how often the consumer says that there is no usage; without two of them in turn it is taken for lost
)

// streams is the part of a door that deals with usage from the stream.
type streams struct {
	door     *Door
	opts     StreamOptions
	consumer jetstream.Consumer
	window   window
	ctx      context.Context // of the goroutine usage; ended by stop
	cancel   context.CancelFunc
	running  sync.WaitGroup // usage
	refusing sync.WaitGroup // refusals
	refusals chan *delivery // bounded by the window

	acked          atomic.Int64
	refusedEntries atomic.Int64
}

// OpenStreams begins to take usage from its stream, and makes RedriveRejected work. It is called once, when the
// streams exist; requests are answered before.
//
// The consumer is made anew, so that what an earlier door took and did not finish is delivered at once.
func (d *Door) OpenStreams(ctx context.Context, opts StreamOptions) error {
	opts = opts.withDefaults()
	s := &streams{
		door: d, opts: opts, window: window{limit: opts.Window},
		refusals: make(chan *delivery, opts.Window+1), // each message is at least one of the window
	}
	err := opts.JetStream.DeleteConsumer(ctx, usageStream, consumerName)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("replacing the consumer of stream %s: %w", usageStream, err)
	}
	if err := s.consume(ctx); err != nil {
		return err
	}
	s.ctx, s.cancel = context.WithCancel(d.ctx)
	if !d.streams.CompareAndSwap(nil, s) {
		s.cancel()
		return errors.New("the streams are open already")
	}
	s.running.Go(s.run)
	s.refusing.Go(s.refuse)
	return nil
}

// consume opens the consumer, and makes it where it is missing.
func (s *streams) consume(ctx context.Context) error {
	c, err := s.opts.JetStream.CreateOrUpdateConsumer(ctx, usageStream, jetstream.ConsumerConfig{
		Durable: consumerName, Description: "takes usage into the ledger", AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: ackWait, MaxDeliver: -1, MaxAckPending: 4 * s.opts.Messages,
	})
	if err != nil {
		return fmt.Errorf("making the consumer of stream %s: %w", usageStream, err)
	}
	s.consumer = c
	return nil
}

// stop ends the taking of usage. What was taken goes on.
func (s *streams) stop() {
	s.cancel()
	s.running.Wait()
}

// end waits until every refusal is stored. Nothing may be answered any more.
func (s *streams) end() {
	close(s.refusals)
	s.refusing.Wait()
}

// run takes usage until stop, or until the ledger takes no more.
func (s *streams) run() {
	decoder := s.door.opts.NewDecoder()
	for s.ctx.Err() == nil {
		err := s.pull(decoder)
		switch {
		case s.ctx.Err() != nil:
		case commands.CodeOf(err) != "":
			s.door.opts.Logger.Error("no more usage is taken from the stream", "error", err)
			return
		default:
			s.door.opts.Logger.Warn("taking usage from the stream was interrupted", "error", err)
			s.pause(s.opts.Retry)
			if err := s.consume(s.ctx); err != nil && s.ctx.Err() == nil { // it is lost where the NATS server has lost its files
				s.door.opts.Logger.Warn("usage cannot be taken from the stream", "error", err)
			}
		}
	}
}

// pause waits, or until stop.
func (s *streams) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// pull takes usage until there is an error. A [*commands.Rejection] says that the ledger takes no more.
func (s *streams) pull(decoder *wire.Decoder) error {
	it, err := s.consumer.Messages(jetstream.PullMaxMessages(s.opts.Messages), jetstream.PullHeartbeat(heartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return fmt.Errorf("asking for usage: %w", err)
	}
	defer it.Stop()
	for {
		m, err := it.Next(jetstream.NextContext(s.ctx))
		if err != nil {
			return fmt.Errorf("awaiting usage: %w", err)
		}
		if err := s.take(decoder, m); err != nil {
			return err
		}
	}
}

// delivery is a message of the usage stream from its arrival to its acknowledgement.
type delivery struct {
	streams  *streams
	m        jetstream.Msg
	token    string // of the merchant, in its subject
	weight   int    // of the window
	call     commands.Call
	work     *wire.Work
	receipts []commands.Receipt
	whole    *commands.Rejection // the message itself is refused
}

// merchantToken returns the token of the merchant in tally.usage.<merchantId> or tally.usage.<merchantId>.<keyId>.
func merchantToken(subject string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(subject, "tally."), ".")
	token, _, _ := strings.Cut(rest, ".")
	return token
}

// take decodes a message and gives it to the sequencer. It waits while there is no room for it.
func (s *streams) take(decoder *wire.Decoder, m jetstream.Msg) error {
	d := &delivery{streams: s, m: m, token: merchantToken(m.Subject()), weight: 1}
	merchant, err := events.ParseID[events.OrganizationNoun](d.token)
	if err != nil {
		d.whole = commands.Reject(commands.Invalid, "the subject names no merchant: %v", err)
	} else {
		// The subject says for whom, and may name the key. Whether that is revoked meanwhile does not matter: the usage was sent before.
		who := wire.Who{Role: events.MerchantKey, Merchant: merchant}
		who.Key, _ = natsbus.UsageKey(m.Subject())
		d.work, err = decoder.Command(s.ctx, "ReportUsage", merchant, who, m.Data())
		switch {
		case commands.CodeOf(err) != "":
			d.whole = wire.RejectionOf(err)
		case err != nil:
			s.door.opts.Logger.Error("usage could not be read; it is tried again", "error", err)
			s.later(m, s.opts.Retry)
			s.pause(s.opts.Retry)
			return nil
		default:
			d.weight = d.work.Len()
		}
	}
	if !s.window.enter(s.ctx, d.weight) {
		return s.ctx.Err()
	}
	s.door.under.Add(1)
	if d.whole != nil || len(d.work.Requests) == 0 {
		s.door.out.put(d)
		return nil
	}
	d.call = commands.Call{Requests: d.work.Requests, Done: func(receipts []commands.Receipt) {
		d.receipts = receipts
		s.door.out.put(d)
	}}
	if err := s.submit(&d.call); err != nil {
		d.leave()
		return err
	}
	return nil
}

// submit gives a call to the sequencer, again and again while that is busy.
func (s *streams) submit(call *commands.Call) error {
	const longest = 50 * time.Millisecond
	for wait := time.Millisecond; ; wait = min(2*wait, longest) {
		err := s.door.opts.Sequencer.Submit(call)
		if commands.CodeOf(err) != commands.Busy {
			return err
		}
		if s.pause(wait); s.ctx.Err() != nil {
			return s.ctx.Err()
		}
	}
}

// later has a message delivered again after some time.
func (s *streams) later(m jetstream.Msg, after time.Duration) {
	if err := m.NakWithDelay(after); err != nil {
		s.door.opts.Logger.Warn("usage could not be given back to the stream; it comes again by itself", "error", err)
	}
}

// send answers a message: it is acknowledged, given back, or handed to the goroutine refusals first.
func (d *delivery) send(buf []byte) []byte {
	s := d.streams
	refused := d.whole != nil
	if d.work != nil && d.whole == nil {
		for _, r := range d.work.Receipts(d.receipts) {
			switch r.Code {
			case "":
			case commands.LedgerFailed: // unknown: it comes again, when there is a ledger
				d.leave()
				return buf
			case commands.ClockAdvancing, commands.Busy, commands.StreamUnchecked:
				s.later(d.m, s.opts.Retry) // those that were accepted are duplicates then
				d.leave()
				return buf
			default:
				refused = true
			}
		}
	}
	if refused {
		s.refusals <- d // has room for the whole window
		return buf
	}
	d.ack()
	return buf
}

// ack acknowledges a message and ends it.
func (d *delivery) ack() {
	if err := d.m.Ack(); err != nil {
		d.streams.door.opts.Logger.Warn("usage could not be acknowledged; it comes again, as a duplicate", "error", err)
	} else {
		d.streams.acked.Add(1)
	}
	d.leave()
}

// leave ends a message.
func (d *delivery) leave() {
	if d.work != nil {
		d.work.Release()
	}
	d.streams.window.leave(d.weight)
	d.streams.door.under.Done()
}
