package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/copies"
	"tallystick/internal/httpapi"
	"tallystick/internal/mail"
	"tallystick/internal/natsbus"
	"tallystick/internal/natsdoor"
	"tallystick/internal/pages"
	"tallystick/ledger/publisher"
)

// Doors says through which doors a ledger is talked to.
type Doors struct {
	NATS            natsbus.Options // Dir, Keys, Clock and Logger are put in
	API             httpapi.Listen  // where the HTTP API is; no Addr means nowhere
	APILimit        httpapi.Limit   // of each key
	Proxies         []netip.Prefix  // before the API and the pages that are believed who came to them
	Mail            mail.Options    // how mail is sent; no URL means that it is not
	HTTP            string          // host:port of health and metrics; "" means none
	TakeOver        bool            // take the streams from another instance that will not come back
	StartUnchecked  bool            // with NATS elsewhere: take commands before the stream was compared with the log
	CheckpointEvery time.Duration   // how often the tree is signed, if it has grown; default 10 s
	Version         string          // for discovery
}

// doors is what Serve opens.
type doors struct {
	s     *Server
	opts  Doors
	bus   *natsbus.Bus
	door  *natsdoor.Door
	http  *httpDoor
	api   *httpapi.Server
	pages *pages.Pages

	secret    string // of an operator's key that lasts as long as the doors
	publisher atomic.Pointer[publisher.Publisher]
	ready     chan struct{} // closed when the streams are open and the publisher runs
	unchecked atomic.Bool   // the stream must be compared with the log before anything is appended
	streamErr atomic.Pointer[error]
	mirrored  uint64 // revision of the keyring that the streams hold: of the goroutine that mirrors, and, when that has ended, of close

	stop    context.CancelFunc
	running sync.WaitGroup
}

// restored reports whether the directory was made from a copy, and its log was not compared with the stream since: it may
// lack what the stream holds, which must not be recorded a second time (D18).
func (s *Server) restored() bool {
	_, err := os.Stat(filepath.Join(s.cfg.Dir, copies.RestoredFile))
	return err == nil
}

// Serve opens the doors. Commands and queries are answered when it returns; the streams open
// beside, which takes JetStream some time if they are large. It is called once.
func (s *Server) Serve(ctx context.Context, o Doors) (err error) {
	if o.CheckpointEvery == 0 {
		o.CheckpointEvery = 10 * time.Second
	}
	s.fill()
	d := &doors{s: s, opts: o, ready: make(chan struct{}), secret: rand.Text() + rand.Text(), stop: func() {}}
	d.unchecked.Store((o.NATS.External != nil || s.restored()) && !o.StartUnchecked)
	if !d.unchecked.Load() {
		s.release()
	}
	s.keys.add(natsbus.Identity{Key: events.KeyID(s.newConsumer()), Role: events.OperatorKey}, commands.SecretHash(d.secret))
	if err := d.open(ctx); err != nil {
		return errors.Join(err, d.close(ctx))
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stop = stop
	d.running.Go(func() { d.openStreams(run) })
	d.running.Go(func() { d.checkpoint(run) })
	if o.Mail.URL != "" {
		sender, err := mail.New(o.Mail)
		if err != nil {
			return errors.Join(err, d.close(ctx))
		}
		d.running.Go(func() { newLetters(s, sender).run(run) })
	}
	revoked := make(chan events.KeyID, 64)
	disconnect := func(key events.KeyID) {
		select {
		case revoked <- key:
		case <-run.Done():
		}
	}
	d.running.Go(func() { d.disconnect(run, revoked) })
	s.effects.revoked.Store(&disconnect)
	s.doors.Store(d)
	return d.writeEndpoint()
}

// disconnect closes the connections of keys that are revoked, until ctx ends.
func (d *doors) disconnect(ctx context.Context, revoked <-chan events.KeyID) {
	for {
		select {
		case key := <-revoked:
			if err := d.bus.Disconnect(key); err != nil {
				d.s.cfg.Logger.Warn("closing the connections of a revoked key", "key", key, "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (d *doors) open(ctx context.Context) (err error) {
	s, n := d.s, d.opts.NATS
	n.Dir, n.Keys, n.Clock, n.Logger = filepath.Join(s.cfg.Dir, "nats"), s.keys, s.cfg.Clock, s.cfg.Logger
	if d.bus, err = natsbus.Open(n); err != nil {
		return err
	}
	d.door, err = natsdoor.Open(natsdoor.Options{
		Conn: d.bus.Door(), Sequencer: checkedSequencer{d}, NewDecoder: s.NewDecoder, Callers: s.keys, Queries: s.Queries,
		Refused:   s.metrics.Rejected,
		Handlers:  map[string]natsdoor.Handler{"OpenConsumer": natsdoor.OpenConsumer(d.bus)},
		Later:     n.External != nil, // others may be there
		Operators: d.bus.Books(), Clock: s.cfg.Clock, Logger: s.cfg.Logger, ID: s.Keyring.InstanceID(), Version: d.opts.Version,
	})
	if err == nil && d.opts.HTTP != "" {
		d.http, err = openHTTP(ctx, s, d.opts.HTTP)
	}
	if err == nil && d.opts.API.Addr != "" {
		err = d.openAPI(ctx)
	}
	return err
}

// checkedSequencer refuses commands while the stream may hold what the log does not (D18).
type checkedSequencer struct{ d *doors }

// Submit implements natsdoor.Sequencer.
func (c checkedSequencer) Submit(call *commands.Call) error {
	if c.d.unchecked.Load() {
		return commands.Reject(commands.StreamUnchecked, "the stream is not compared with the log yet: reads only, or start with --start-unchecked")
	}
	return c.d.s.Sequencer.Submit(call)
}

// openStreams opens the streams, trying again until it succeeds, and then publishes until ctx ends.
func (d *doors) openStreams(ctx context.Context) {
	log := d.s.cfg.Logger
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 10*time.Second) {
		p, err := d.tryStreams(ctx)
		if err == nil {
			d.streamErr.Store(nil)
			d.publisher.Store(p)
			close(d.ready)
			if err := p.Run(ctx); err != nil {
				d.streamFailed(err)
			}
			return
		}
		if ctx.Err() != nil {
			return
		}
		d.streamFailed(err)
		if final(err) {
			return
		}
		log.Warn("the streams cannot be opened yet", "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// final reports whether trying again will not help.
func final(err error) bool {
	_, claimed := errors.AsType[*natsbus.ClaimedError](err)
	_, conflict := errors.AsType[*publisher.ConflictError](err)
	_, ahead := errors.AsType[*AheadError](err)
	return claimed || conflict || ahead || errors.Is(err, publisher.ErrTakenOver)
}

// streamFailed notes why nothing is published. A stream that holds other records than the log, or that somebody else has
// taken, fails the ledger: what it would go on to record could not be published (D18). That waits for nobody. Then the instance leaves
// NATS to whoever holds the streams, and would take every other request from; what it was given before, it refuses. Its
// health says why nothing is published when nothing comes in any more.
func (d *doors) streamFailed(err error) {
	if final(err) {
		d.s.Sequencer.Fail(fmt.Errorf("publishing: %w", err))
		if d.opts.NATS.External != nil {
			d.door.Deafen()
			d.bus.StopCallouts()
		}
	}
	d.streamErr.Store(&err)
}

// watch fails the ledger as soon as another instance takes the streams, until ctx ends.
func (d *doors) watch(ctx context.Context, claim *natsbus.Claim) {
	for ctx.Err() == nil {
		err := claim.Lost(ctx)
		if errors.Is(err, publisher.ErrTakenOver) {
			d.streamFailed(err)
			return
		}
		select {
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
		}
	}
}

// An AheadError reports that the stream goes on where the log ends: the directory is an older copy.
type AheadError struct{ Log, Stream events.Seq }

func (e *AheadError) Error() string {
	return fmt.Sprintf("the stream goes on to record %d, and the log ends at %d: this directory is an older copy; stop, and take the rest with `tally restore --from-nats`", e.Stream, e.Log)
}

func (d *doors) tryStreams(ctx context.Context) (*publisher.Publisher, error) {
	if err := d.bus.OpenStreams(ctx); err != nil {
		return nil, err
	}
	claim, err := d.bus.Claim(ctx, d.s.Keyring.InstanceID(), d.s.Ledger(), d.opts.TakeOver)
	if err != nil {
		return nil, err
	}
	p := publisher.New(publisher.Options{
		Log: d.s.Log, Target: d.bus.Ledger(claim.Held), Keep: d.opts.NATS.Keep, Logger: d.s.cfg.Logger,
		Follow: func(from events.Seq) publisher.Follower { return d.s.Log.Follow(from) },
	})
	c, err := p.Compare(ctx)
	if err != nil {
		return nil, err
	}
	if c.Relation == publisher.Ahead {
		return nil, &AheadError{c.Log, c.Stream.Last}
	}
	if err := os.Remove(filepath.Join(d.s.cfg.Dir, copies.RestoredFile)); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	d.unchecked.Store(false)
	d.s.release()
	for _, step := range []func() error{
		d.bus.AnswerCallouts, d.door.Listen,
		func() error { return d.door.OpenStreams(ctx, natsdoor.StreamOptions{JetStream: d.bus.JetStream()}) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	d.running.Go(func() { d.watch(ctx, claim) })
	d.running.Go(func() { d.mirrorKeys(ctx, claim) })
	d.running.Go(func() { d.notify(ctx) })
	return p, nil
}

// published returns the last sequence that the stream is known to hold.
func (d *doors) published() events.Seq {
	if p := d.publisher.Load(); p != nil {
		return p.Published()
	}
	return 0
}

// close closes the doors: requests first, so that what was taken is answered; then the publisher gets a little time to catch up,
// and a last checkpoint is signed.
func (d *doors) close(ctx context.Context) error {
	var errs []error
	d.s.Queries.Leave()
	if d.api != nil {
		limit, cancel := context.WithTimeout(ctx, 10*time.Second)
		errs = append(errs, d.api.Close(limit))
		d.pages.Close()
		cancel()
	}
	if d.door != nil {
		limit, cancel := context.WithTimeout(ctx, 10*time.Second)
		errs = append(errs, d.door.Close(limit))
		cancel()
	}
	if p := d.publisher.Load(); p != nil && d.s.Err() == nil {
		limit, cancel := context.WithTimeout(ctx, 5*time.Second)
		_ = p.WaitPublished(limit, d.s.Log.Durable()) // what is left is published at the next start
		cancel()
	}
	d.stop()
	d.running.Wait()
	if d.publisher.Load() != nil && d.s.Err() == nil { // what is published is of no use to restore without the keys to it
		limit, cancel := context.WithTimeout(ctx, 5*time.Second)
		if err := d.mirrorRest(limit); err != nil {
			d.s.cfg.Logger.Warn("the last keys are not mirrored", "error", err)
		}
		cancel()
	}
	if d.door != nil && d.s.Err() == nil {
		limit, cancel := context.WithTimeout(ctx, 5*time.Second)
		if err := d.sign(limit); err != nil {
			d.s.cfg.Logger.Warn("the last checkpoint", "error", err)
		}
		cancel()
	}
	if d.http != nil {
		errs = append(errs, d.http.close(ctx))
	}
	if d.bus != nil {
		d.bus.Close()
	}
	if err := os.Remove(filepath.Join(d.s.cfg.Dir, endpointFile)); err != nil && !os.IsNotExist(err) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// NATSURL returns where clients connect, "" before Serve or if nothing listens.
func (s *Server) NATSURL() string {
	if d := s.doors.Load(); d != nil {
		return d.bus.URL()
	}
	return ""
}

// APIURL returns where the HTTP API is, "" if nowhere.
func (s *Server) APIURL() string {
	if d := s.doors.Load(); d != nil && d.api != nil {
		return d.api.URL()
	}
	return ""
}

// HTTPURL returns where health and metrics are, "" if nowhere.
func (s *Server) HTTPURL() string {
	if d := s.doors.Load(); d != nil && d.http != nil {
		return d.http.url
	}
	return ""
}

// WaitPublished returns nil when the stream holds all records up to seq.
func (s *Server) WaitPublished(ctx context.Context, seq events.Seq) error {
	d := s.doors.Load()
	if d == nil {
		return errors.New("there are no doors")
	}
	select {
	case <-d.ready:
		return d.publisher.Load().WaitPublished(ctx, seq)
	case <-s.Log.Failed():
		return s.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// OperatorKey returns the text of an operator's API key that lasts as long as the doors.
func (s *Server) OperatorKey() string {
	if d := s.doors.Load(); d != nil {
		return d.secret
	}
	return ""
}

// OperatorConn opens a connection with [Server.OperatorKey].
func (s *Server) OperatorConn(opts ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(s.NATSURL(), append([]nats.Option{nats.Token(s.OperatorKey())}, opts...)...)
}

// httpDoor is the local listener for health and metrics.
type httpDoor struct {
	server *http.Server
	url    string
	done   chan struct{}
}
