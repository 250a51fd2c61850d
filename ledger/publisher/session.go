package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tallystick/events"
)

// askBytes is the most bytes to an acknowledgement.
const askBytes = 1 << 20

// noteEvery is how many records the cursor in the log may be behind while records flow.
const noteEvery = 4096

var errSilent = errors.New("no acknowledgement within the time allowed")

// session publishes on one wire, from the end of the stream, until something goes wrong.
type session struct {
	p      *Publisher
	prefix string
	wire   Wire
	give   context.CancelCauseFunc // ends the session

	subject []byte     // scratch
	sent    events.Seq // the last record on the wire
	bytes   int        // that were sent in all
	asked   asked      // what sent and bytes were when an acknowledgement was asked for last

	mu    sync.Mutex // guards the fields below
	asks  []asked    // not answered yet, in order
	acked asked      // the last that was answered
	over  bool       // nobody listens any more

	moved chan struct{} // room for one: acked has changed
}

// asked is an acknowledgement that was asked for.
type asked struct {
	seq   events.Seq
	bytes int // sent in all, up to and with seq
}

// session publishes behind state.Last until something goes wrong. It reports whether
// that is final.
func (p *Publisher) session(ctx context.Context, state State) (final bool, err error) {
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	s := &session{
		p: p, prefix: state.Prefix, give: give, moved: make(chan struct{}, 1),
		sent: state.Last, asked: asked{seq: state.Last}, acked: asked{seq: state.Last},
	}
	s.wire, err = p.opts.Target.Dial(ctx, s.ack)
	if err != nil {
		return false, fmt.Errorf("connecting: %w", err)
	}
	var watchdog sync.WaitGroup
	watchdog.Go(func() { s.watch(ctx) })
	defer func() {
		give(nil)
		s.mu.Lock()
		s.over = true
		s.mu.Unlock()
		if cerr := s.wire.Close(); cerr != nil {
			p.opts.Logger.Debug("closing the publisher's connection", "error", cerr)
		}
		watchdog.Wait()
	}()

	follower := p.opts.Follow(state.Last + 1)
	for {
		records, err := follower.Next(ctx)
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if err != nil {
			return true, fmt.Errorf("reading the log: %w", err)
		}
		if err := s.publish(ctx, records); err != nil {
			return false, err
		}
		p.note(noteEvery)
	}
}

// publish sends records, and asks for the acknowledgement of the last. Where nothing is
// on its way it sends the first alone and waits: if somebody else has taken its place
// since, it is refused, while those behind it would be taken.
func (s *session) publish(ctx context.Context, records []events.Record) error {
	opts := &s.p.opts
	if s.idle() {
		if err := s.send(ctx, &records[0], true); err != nil {
			return err
		}
		if err := s.window(ctx, 1); err != nil {
			return err
		}
		records = records[1:]
	}
	for i := range records {
		rec := &records[i]
		ask := i == len(records)-1 || rec.Seq-s.asked.seq >= events.Seq(opts.AckEvery) || s.bytes-s.asked.bytes >= askBytes
		if err := s.send(ctx, rec, ask); err != nil {
			return err
		}
		if ask {
			if err := s.window(ctx, opts.WindowCount); err != nil {
				return err
			}
		}
	}
	return s.cause(ctx, s.wire.Flush())
}

// send puts rec on the wire, and asks for its acknowledgement if ask is set.
func (s *session) send(ctx context.Context, rec *events.Record, ask bool) error {
	if rec.Seq != s.sent+1 {
		panic(fmt.Sprintf("publisher: impossible: the log gave record %d after %d", rec.Seq, s.sent))
	}
	s.subject = appendSubject(append(s.subject[:0], s.prefix...), rec)
	s.bytes += len(rec.Bytes)
	if ask {
		s.expect(asked{rec.Seq, s.bytes})
	}
	if err := s.wire.Publish(s.subject, s.sent, rec.Bytes, ask); err != nil {
		return s.cause(ctx, err)
	}
	s.sent = rec.Seq
	return nil
}

// cause returns why the session ends: what its reader said, if it did, rather than
// that writing failed then.
func (s *session) cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// idle reports whether all that was sent has been acknowledged.
func (s *session) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acked.seq == s.sent
}

func (s *session) expect(a asked) {
	s.asked = a
	s.mu.Lock()
	s.asks = append(s.asks, a)
	s.mu.Unlock()
}

// window waits until fewer than most records, and few enough bytes, are not acknowledged.
func (s *session) window(ctx context.Context, most int) error {
	for {
		s.mu.Lock()
		records, bytes := s.sent-s.acked.seq, s.bytes-s.acked.bytes
		s.mu.Unlock()
		if int(records) < most && bytes < s.p.opts.WindowBytes {
			return nil
		}
		if err := s.wire.Flush(); err != nil {
			return s.cause(ctx, err)
		}
		select {
		case <-s.moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ack is the session's [Acked]. Acknowledgements come in the order in which they were
// asked for; any other says that the stream is not what we take it for.
func (s *session) ack(seq events.Seq, err error) {
	if err != nil {
		s.give(err)
		return
	}
	if !s.answer(seq) {
		s.give(fmt.Errorf("acknowledgement of record %d, which was not asked for", seq))
		return
	}
	select {
	case s.moved <- struct{}{}:
	default:
	}
}

// answer takes the acknowledgement of seq, and reports whether it is the one that is due.
func (s *session) answer(seq events.Seq) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || len(s.asks) == 0 || s.asks[0].seq != seq {
		return s.over
	}
	s.acked = s.asks[0]
	s.asks = s.asks[1:]
	s.p.change(func() { s.p.published, s.p.known = seq, seq })
	return true
}

// watch is the watchdog: it ends the session when an acknowledgement that was asked for
// stays away, and meanwhile notes how far the stream has come when nothing else happens.
func (s *session) watch(ctx context.Context) {
	var oldest events.Seq // that was not answered at the last look
	for {
		select {
		case <-s.p.opts.After(s.p.opts.Patience):
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		var now events.Seq
		if len(s.asks) > 0 {
			now = s.asks[0].seq
		}
		s.mu.Unlock()
		if now != 0 && now == oldest {
			s.give(fmt.Errorf("record %d: %w", now, errSilent))
			return
		}
		oldest = now
		s.p.note(1)
	}
}
