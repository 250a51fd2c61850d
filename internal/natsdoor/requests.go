package natsdoor

import (
	"context"
	"encoding/binary"
	"strings"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"

	"github.com/nats-io/nats.go"
)

// request is one request from its arrival to its answer. It is used again afterwards.
type request struct {
	door     *Door
	endpoint *endpoint
	call     commands.Call
	began    time.Time
	reply    string
	name     string
	merchant events.OrganizationID
	who      wire.Who
	body     []byte

	// The answer is one of these.
	work     *wire.Work         // with receipts
	receipts []commands.Receipt // of work's requests
	refusal  *commands.Rejection
	plain    []byte // as it is
}

func newRequest(d *Door) *request {
	r := &request{door: d}
	r.call.Done = func(receipts []commands.Receipt) {
		r.receipts = receipts
		d.out.put(r)
	}
	return r
}

// arrive returns the request that a message is, or nil if it is none or comes too late.
func (d *Door) arrive(e *endpoint, m *nats.Msg) *request {
	scope, name, ok := address(m.Subject)
	if !ok {
		d.dropped.Add(1)
		return nil
	}
	who, merchant, ok := d.caller(scope, m)
	if !ok {
		d.dropped.Add(1)
		return nil
	}
	if d.shut {
		refusal := commands.Reject(commands.ShuttingDown, "the ledger is shutting down")
		if e == &d.commands {
			d.opts.Refused(refusal.Code)
		}
		receipt := commands.Refusal(refusal)
		if err := d.respond(m.Reply, receipt.AppendJSON(nil), refusal); err != nil {
			d.opts.Logger.Warn("an answer could not be sent", "error", err)
		}
		return nil
	}
	r := d.pool.Get().(*request)
	r.endpoint, r.began, r.reply, r.name, r.body = e, d.opts.Clock(), m.Reply, name, m.Data
	r.merchant, r.who = merchant, who
	d.under.Add(1)
	d.bytes.Add(int64(len(m.Data)))
	return r
}

// address takes the scope and the name out of a subject such as tally.cmd.<scope>.<name>, behind which a key may stand.
func address(subject string) (scope, name string, ok bool) {
	_, rest, _ := strings.Cut(subject, ".")
	_, rest, _ = strings.Cut(rest, ".")
	scope, rest, ok = strings.Cut(rest, ".")
	name, _, _ = strings.Cut(rest, ".")
	return scope, name, ok && name != ""
}

// caller returns who asks, and for which merchant, if it can be told and the scope is that caller's.
func (d *Door) caller(scope string, m *nats.Msg) (who wire.Who, merchant events.OrganizationID, ok bool) {
	if m.Reply == "" {
		return who, merchant, false
	}
	if scope != OperatorScope {
		id, err := events.ParseID[events.OrganizationNoun](scope)
		if err != nil {
			return who, merchant, false
		}
		merchant = id
	}
	who, ok = d.opts.Callers.Caller(m, merchant)
	if !ok || who.Role == events.MerchantKey && (merchant.IsZero() || who.Merchant != merchant) {
		return who, merchant, false
	}
	return who, merchant, true
}

// command is the intake of commands. It never waits.
func (d *Door) command(m *nats.Msg) {
	d.gate.RLock()
	defer d.gate.RUnlock()
	r := d.arrive(&d.commands, m)
	if r == nil {
		return
	}
	switch handle := d.opts.Handlers[r.name]; {
	case d.bytes.Load() > d.opts.MaxBytes:
		r.refuse(commands.Reject(commands.Busy, "requests of %d bytes are under way already", d.opts.MaxBytes))
	case r.name == redriveRejected:
		d.wait(r, func(ctx context.Context) ([]byte, error) { return d.redrive(ctx, r.who, r.merchant, r.body) })
	case handle != nil:
		d.wait(r, r.by(handle))
	case wire.Waits(r.name):
		d.wait(r, nil)
	default:
		select {
		case d.lanes[laneOf(r.merchant, len(d.lanes))] <- r:
		default:
			r.refuse(commands.Reject(commands.Busy, "%d requests are waiting already", d.opts.MaxQueued))
		}
	}
}

// query is the intake of queries. It never waits.
func (d *Door) query(m *nats.Msg) {
	d.gate.RLock()
	defer d.gate.RUnlock()
	r := d.arrive(&d.queries, m)
	if r == nil {
		return
	}
	if handle := d.opts.Handlers[r.name]; handle != nil {
		d.wait(r, r.by(handle))
		return
	}
	d.wait(r, func(ctx context.Context) ([]byte, error) { return d.opts.Queries.Query(ctx, r.who, r.name, r.body) })
}

// by returns a function that has the request carried out by handle.
func (r *request) by(handle Handler) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) { return handle(ctx, r.who, r.merchant, r.body) }
}

// laneOf spreads merchants over lanes; a merchant stays in its lane, so that its commands keep their order.
func laneOf(merchant events.OrganizationID, lanes int) int {
	mixed := binary.LittleEndian.Uint64(merchant[:8]) ^ binary.LittleEndian.Uint64(merchant[8:])
	return int(mixed * 0x9E3779B97F4A7C15 >> 32 % uint64(lanes))
}

// lane decodes requests until the door is closed.
func (d *Door) lane(requests <-chan *request) {
	decoder := d.opts.NewDecoder()
	for r := range requests {
		r.submit(d.ctx, decoder)
	}
}

// wait carries out a request that may have to wait, on a goroutine of its own: by fn, or, if that is nil, as a command of
// the ledger.
func (d *Door) wait(r *request, fn func(context.Context) ([]byte, error)) {
	select {
	case d.waiting <- struct{}{}:
	default:
		r.refuse(commands.Reject(commands.Busy, "%d requests are waiting already", d.opts.MaxWaiting))
		return
	}
	d.running.Go(func() {
		defer func() { <-d.waiting }()
		if fn != nil {
			r.answer(fn(d.ctx))
			return
		}
		decoder := d.decoders.Get().(*wire.Decoder)
		r.submit(d.ctx, decoder)
		d.decoders.Put(decoder)
	})
}

// submit decodes a command and gives it to the sequencer.
func (r *request) submit(ctx context.Context, decoder *wire.Decoder) {
	work, err := decoder.Command(ctx, r.name, r.merchant, r.who, r.body)
	if err != nil {
		r.refused(r.door.rejectionOf(err)) // which the decoder has counted
		return
	}
	r.work, r.call.Requests = work, work.Requests
	if len(work.Requests) == 0 { // a batch of which nothing is left
		r.door.out.put(r)
		return
	}
	if err := r.door.opts.Sequencer.Submit(&r.call); err != nil {
		r.refuse(r.door.rejectionOf(err))
	}
}

// rejectionOf returns how to answer an error. Failures of ours are logged, for nobody else hears of them in full.
func (d *Door) rejectionOf(err error) *commands.Rejection {
	r := wire.RejectionOf(err)
	if commands.CodeOf(err) == "" {
		d.opts.Logger.Error("a request could not be read", "error", err)
	}
	return r
}

// refuse answers a request with a refusal of this door's.
func (r *request) refuse(rejection *commands.Rejection) {
	if r.endpoint == &r.door.commands {
		r.door.opts.Refused(rejection.Code)
	}
	r.refused(rejection)
}

// refused answers a request with a refusal.
func (r *request) refused(rejection *commands.Rejection) {
	r.refusal = rejection
	r.door.out.put(r)
}

// answer answers a request with what a handler has returned.
func (r *request) answer(plain []byte, err error) {
	if err != nil {
		r.refuse(r.door.rejectionOf(err))
		return
	}
	r.plain = plain
	r.door.out.put(r)
}

// done ends a request that is answered.
func (r *request) done(refused *commands.Rejection) {
	d := r.door
	r.endpoint.count(d.opts.Clock().Sub(r.began), refused)
	d.bytes.Add(-int64(len(r.body)))
	if r.work != nil {
		r.work.Release()
	}
	*r = request{door: d, call: commands.Call{Done: r.call.Done}}
	d.pool.Put(r)
	d.under.Done()
}
