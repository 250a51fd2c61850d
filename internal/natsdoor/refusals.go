package natsdoor

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"tallystick/commands"
	"tallystick/internal/natsbus"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The headers of refused usage.
const (
	HeaderCode     = "Tally-Code"           // why it was refused
	HeaderMessage  = "Tally-Message"        // the same, for people
	HeaderSequence = "Tally-Usage-Sequence" // of the message in the stream of usage
	HeaderEntry    = "Tally-Usage-Entry"    // which entry of the message it is, from 0; absent for the whole message
	HeaderCut      = "Tally-Cut"            // how many bytes the original has; present where it was too large to be kept whole
)

// maxRefusalBatch is how many messages the goroutine refusals takes at a time.
const maxRefusalBatch = 256

// refuse stores refused usage and then acknowledges the messages that it came in, until end.
func (s *streams) refuse() {
	var batch []*delivery
	for d := range s.refusals {
		batch = append(batch[:0], d)
		for more := true; more && len(batch) < maxRefusalBatch; {
			select {
			case next, ok := <-s.refusals:
				if more = ok; ok {
					batch = append(batch, next)
				}
			default:
				more = false
			}
		}
		s.settle(batch)
	}
}

// settle stores the refusals of some messages, again and again until they are stored, and acknowledges the messages. When the door
// closes it gives up: the messages come again.
func (s *streams) settle(batch []*delivery) {
	for {
		err := s.store(batch)
		if err == nil {
			for _, d := range batch {
				d.ack()
			}
			return
		}
		s.door.opts.Logger.Warn("refused usage could not be stored; it is tried again", "error", err)
		if s.pause(s.opts.Retry); s.ctx.Err() != nil {
			for _, d := range batch {
				d.leave()
			}
			return
		}
	}
}

// rejectedSubject returns the subject under which a merchant's refused usage is stored.
func rejectedSubject(token string) string { return "tally.rejected." + token }

// rejectedPrefix returns the subject to publish refused usage to, without the merchant: the private one that the stream
// listens on (D21). It is looked up each time, for the stream may have been lost and made again.
func (s *streams) rejectedPrefix(ctx context.Context) (string, error) {
	stream, err := s.opts.JetStream.Stream(ctx, rejectedStream)
	if err != nil {
		return "", err
	}
	subjects := stream.CachedInfo().Config.Subjects
	if len(subjects) != 1 {
		return "", fmt.Errorf("stream %s listens on %q, and was not made by this program", rejectedStream, subjects)
	}
	return strings.TrimRight(subjects[0], "*>"), nil
}

// store publishes the refusals of some messages and waits until all are stored.
func (s *streams) store(batch []*delivery) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), ackWait/4)
	defer cancel()
	prefix, err := s.rejectedPrefix(ctx)
	if err != nil {
		return err
	}
	var stored []jetstream.PubAckFuture
	for _, d := range batch {
		for _, m := range d.refused(prefix) {
			future, err := s.opts.JetStream.PublishMsgAsync(m)
			if err != nil {
				return err
			}
			stored = append(stored, future)
		}
	}
	for _, future := range stored {
		select {
		case <-future.Ok():
		case err := <-future.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.refusedEntries.Add(int64(len(stored)))
	return nil
}

// refused returns a message for each entry that is refused.
func (d *delivery) refused(prefix string) []*nats.Msg {
	if d.whole != nil {
		return []*nats.Msg{d.refusal(prefix, d.m.Data(), d.whole.Code, d.whole.Message, -1)}
	}
	var all []*nats.Msg
	for i, r := range d.work.Receipts(d.receipts) {
		if r.Status == commands.Rejected {
			all = append(all, d.refusal(prefix, d.work.Source(i), r.Code, r.Message, i))
		}
	}
	return all
}

// refusal returns the message that keeps one refused entry; entry is -1 for the whole message. It has an identity, so that
// storing it twice soon after another stores it once.
func (d *delivery) refusal(prefix string, original []byte, code commands.Code, message string, entry int) *nats.Msg {
	m := &nats.Msg{Subject: prefix + d.token, Data: original, Header: nats.Header{
		HeaderCode: []string{string(code)}, HeaderMessage: []string{headline(message)},
		natsbus.DurableHeader: []string{"only a receipt means durable"}, // D20
	}}
	if meta, err := d.m.Metadata(); err == nil {
		sequence := strconv.FormatUint(meta.Sequence.Stream, 10)
		m.Header.Set(HeaderSequence, sequence)
		m.Header.Set(jetstream.MsgIDHeader, fmt.Sprintf("%s-%s-%d", usageStream, sequence, entry))
	}
	if entry >= 0 {
		m.Header.Set(HeaderEntry, strconv.Itoa(entry))
	}
	const headers = 4 << 10 // more than they take
	if most := int(d.streams.opts.JetStream.Conn().MaxPayload()) - headers; len(original) > most {
		m.Header.Set(HeaderCut, strconv.Itoa(len(original)))
		m.Data = original[:max(most, 0)]
	}
	return m
}
