package natsdoor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/natsbus"
	"tallystick/internal/wire"

	"github.com/nats-io/nats.go"
)

// OperatorScope stands in subjects where a merchant's id would stand, for whoever acts for no merchant or names
// one in the body.
const OperatorScope = "_operator"

// Sequencer carries out commands. [*commands.Sequencer] is one.
type Sequencer interface {
	Submit(call *commands.Call) error
}

// Callers knows who sends a request.
type Callers interface {
	// Caller returns who has sent m, for a merchant or, if that is zero, in the name of none; false if m cannot have been
	// sent by anybody who may be answered on its reply subject. The key is zero where it cannot be told which of several has sent it.
	//
	// NATS does not check which reply subject a client names. So it must be one that only
	// the sender can receive on, or one that the server itself has put there. What it does check is who publishes to
	// a subject: a key is told by the subject that names it.
	Caller(m *nats.Msg, merchant events.OrganizationID) (wire.Who, bool)
}

// Querier answers questions in JSON. Its refusals are [*commands.Rejection].
type Querier interface {
	Query(ctx context.Context, who wire.Who, name string, args []byte) ([]byte, error)
}

// A Handler carries out a command or a query that is not the ledger's but the bus's, and returns its answer in JSON. Its refusals
// are [*commands.Rejection]. The caller is the merchant's, or an operator or an auditor; merchant is zero for none.
type Handler func(ctx context.Context, who wire.Who, merchant events.OrganizationID, body []byte) ([]byte, error)

// Options are what a [Door] works with. Those without a default must be given.
type Options struct {
	Conn       *nats.Conn // where requests come in; it may publish and subscribe to everything
	Sequencer  Sequencer
	NewDecoder func() *wire.Decoder // any goroutine may call it
	Callers    Callers
	Queries    Querier
	Handlers   map[string]Handler // further commands and queries, by name
	Clock      func() time.Time   // real time
	Logger     *slog.Logger

	Refused   func(commands.Code) // is told of each command that is refused before it is decoded or decided; default: nobody
	Operators *nats.Conn          // where operators are, who discover services; default Conn
	Later     bool                // requests are taken only from [Door.Listen] on

	ID      string // of this instance, for discovery; default: a random one
	Version string // for discovery; default "0.0.0"

	Lanes      int   // goroutines that decode; default 2
	MaxQueued  int   // requests that wait for each of them; default 4096
	MaxBytes   int64 // of requests under way; default 128 MiB
	MaxWaiting int   // requests that may wait for a key, the views or a query; default 256
}

func (o Options) withDefaults() Options {
	if o.Lanes == 0 {
		o.Lanes = 2
	}
	if o.MaxQueued == 0 {
		o.MaxQueued = 4096
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 128 << 20
	}
	if o.MaxWaiting == 0 {
		o.MaxWaiting = 256
	}
	if o.Operators == nil {
		o.Operators = o.Conn
	}
	if o.Version == "" {
		o.Version = "0.0.0"
	}
	if o.Refused == nil {
		o.Refused = func(commands.Code) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Door is open between [Open] and [Door.Close]. See the package comment.
type Door struct {
	opts     Options
	ctx      context.Context // of the goroutines that the door owns; ended by Close
	cancel   context.CancelFunc
	decoders sync.Pool // of *wire.Decoder, for waiters
	pool     sync.Pool // of *request

	lanes   []chan *request
	waiting chan struct{} // a place for each waiter
	bytes   atomic.Int64  // of requests under way
	dropped atomic.Int64  // requests that came without an inbox of ours

	commands, queries endpoint
	service           service

	listening sync.Mutex // guards the fields below
	ears      *ears      // nil while the door does not listen

	out     outbox
	under   sync.WaitGroup // requests that are to be answered
	running sync.WaitGroup // lanes and waiters
	replies sync.WaitGroup

	streams atomic.Pointer[streams] // nil until OpenStreams

	gate sync.RWMutex // guards the field below; held by the intake while it hands on a request
	shut bool         // nothing is handed on any more
}

// Open opens the door for requests. Streams come with [Door.OpenStreams], when there are any.
func Open(opts Options) (*Door, error) {
	opts = opts.withDefaults()
	d := &Door{opts: opts, waiting: make(chan struct{}, opts.MaxWaiting), out: newOutbox(), service: newService(&opts)}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.decoders.New = func() any { return opts.NewDecoder() }
	d.pool.New = func() any { return newRequest(d) }
	d.commands = endpoint{name: "commands", subject: "tally.cmd.*.*"}
	d.queries = endpoint{name: "queries", subject: "tally.query.*.*"}
	for range opts.Lanes {
		lane := make(chan *request, opts.MaxQueued)
		d.lanes = append(d.lanes, lane)
		d.running.Go(func() { d.lane(lane) })
	}
	d.replies.Go(d.reply)
	if opts.Later {
		return d, nil
	}
	if err := d.Listen(); err != nil {
		return nil, errors.Join(err, d.Close(context.Background()))
	}
	return d, nil
}

// ears is what the door hears with between [Door.Listen] and [Door.Deafen]. Once it is the door's it does not change.
type ears struct {
	subs   []*nats.Subscription
	closed []chan struct{} // of the subscriptions, once they have handed over everything
}

// Listen begins to take requests. It does nothing if the door does already. Of several instances of a ledger on one NATS server only that may listen
// which holds the streams: a request goes to any one of those that do.
func (d *Door) Listen() error {
	d.listening.Lock()
	other := d.ears != nil
	d.listening.Unlock()
	if other {
		return nil
	}
	e := new(ears)
	err := d.listen(e)
	d.listening.Lock()
	other = d.ears != nil // another goroutine may have begun meanwhile
	if err == nil && !other {
		d.ears = e
	}
	d.listening.Unlock()
	if other || err != nil {
		d.leave(e)
	}
	if other {
		return nil
	}
	if err == nil {
		if err = d.opts.Conn.Flush(); err == nil { // the server knows of them when the door is open
			return nil
		}
		d.Deafen()
	}
	return fmt.Errorf("opening the door for requests: %w", err)
}

// listen subscribes to everything that the door answers.
func (d *Door) listen(ears *ears) error {
	for _, e := range []struct {
		subject string
		take    nats.MsgHandler
	}{
		{d.commands.subject, d.command}, {d.commands.subject + ".*", d.command}, // of no key, and of the key that is named
		{d.queries.subject, d.query}, {d.queries.subject + ".*", d.query},
	} {
		if err := d.subscribe(ears, e.subject, e.take); err != nil {
			return err
		}
	}
	return d.discoverable(ears)
}

// Deafen ends what [Door.Listen] began. What NATS has given to the door before is answered, see [natsbus.Leave].
func (d *Door) Deafen() {
	d.listening.Lock()
	e := d.ears
	d.ears = nil
	d.listening.Unlock()
	if e != nil {
		d.leave(e)
	}
}

func (d *Door) leave(e *ears) { natsbus.Leave(d.opts.Conn, e.subs...) }

// add adds a subscription.
func (e *ears) add(sub *nats.Subscription) {
	closed := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(closed) })
	e.subs, e.closed = append(e.subs, sub), append(e.closed, closed)
}

// The most that NATS holds of what the intake has not seen yet; it drops what is above.
const (
	maxPendingMessages = 1 << 20
	maxPendingBytes    = 256 << 20
)

func (d *Door) subscribe(ears *ears, subject string, fn nats.MsgHandler) error {
	sub, err := d.opts.Conn.QueueSubscribe(subject, queueGroup, fn)
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", subject, err)
	}
	ears.add(sub)
	if err := sub.SetPendingLimits(maxPendingMessages, maxPendingBytes); err != nil {
		return fmt.Errorf("subscribing to %s: %w", subject, err)
	}
	return nil
}

// queueGroup is the group in which every instance of the ledger's door listens: a request goes to one of them.
const queueGroup = "tally"

// flushTimeout is how long Close waits for the last answers to be on their way.
const flushTimeout = 10 * time.Second

// Close stops taking requests, answers what was taken, and waits for the door's goroutines. The sequencer must still
// run, or have failed, so that it answers. If ctx ends first, what waits for a key or for the views is refused, and
// Close returns an error once the rest is answered.
func (d *Door) Close(ctx context.Context) error {
	stop := context.AfterFunc(ctx, d.cancel)
	defer stop()
	var errs []error
	d.listening.Lock()
	heard := d.ears
	d.listening.Unlock()
	if heard == nil {
		heard = new(ears)
	}
	for i, sub := range heard.subs {
		if err := sub.Drain(); err != nil {
			if !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
				errs = append(errs, fmt.Errorf("draining %s: %w", sub.Subject, err))
			}
			continue
		}
		select {
		case <-heard.closed[i]:
		case <-ctx.Done(): // what comes late finds the gate shut
		}
	}
	d.gate.Lock()
	again := d.shut
	d.shut = true
	d.gate.Unlock()
	if again {
		return nil
	}
	if s := d.streams.Load(); s != nil {
		s.stop()
	}
	for _, lane := range d.lanes {
		close(lane)
	}
	d.running.Wait()
	d.under.Wait()
	d.out.close()
	d.replies.Wait()
	if s := d.streams.Load(); s != nil {
		s.end()
	}
	d.cancel()
	flush, done := context.WithTimeout(ctx, flushTimeout)
	defer done()
	if err := d.opts.Conn.FlushWithContext(flush); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		errs = append(errs, fmt.Errorf("sending the last answers: %w", err))
	}
	if err := ctx.Err(); err != nil {
		errs = append(errs, fmt.Errorf("closing the door: %w", err))
	}
	return errors.Join(errs...)
}
