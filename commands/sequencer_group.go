package commands

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime/debug"
	"unicode/utf8"

	"tallystick/events"
	"tallystick/projections"
)

// group is what has been decided since the last Append.
type group struct {
	records []events.Record          // the log's from Append on
	bytes   int                      // of the records
	buf     []byte                   // memory for the bytes of records, of this group and the next ones
	keys    map[events.DedupeKey]int // of the records, by index
	room    int                      // how many keys the map has held
	calls   []*Call
	due     bool // there are records of due actions
}

// answer is calls that wait for a sequence to be durable.
type answer struct {
	calls []*Call
	seq   events.Seq
	due   bool // the group had records of due actions
}

// handOver gives the calls of the group to the answering goroutine and begins a new group.
func (s *Sequencer) handOver() {
	g := &s.group
	if call := s.current; call != nil { // it broke off in the middle
		s.current = nil
		if call.awaits == 0 {
			g.calls = append(g.calls, call)
		}
	}
	if s.Err() != nil {
		s.release()
	}
	due := g.due && s.eased != nil
	if due {
		s.dueUnder.Add(1)
	}
	if len(g.calls) > 0 || due {
		s.answers <- answer{g.calls, s.head.Seq, due}
	}
	g.calls, g.due = nil, false
	n := len(g.records)
	if n == 0 {
		return
	}
	g.records, g.bytes = make([]events.Record, 0, max(n+n/16, 4)), 0
	if g.room = max(g.room, n); g.room > 4*n+64 {
		g.keys, g.room = make(map[events.DedupeKey]int, n), n // to clear it costs what it has ever held
	} else {
		clear(g.keys)
	}
}

// release stops waiting for clocks to arrive: those who await them are answered as things stand.
func (s *Sequencer) release() {
	for clock := range s.running {
		s.arrived(clock)
		s.running[clock] = nil
	}
}

// arrived lets those who await a clock be answered with the group.
func (s *Sequencer) arrived(clock events.TestClockID) {
	for _, call := range s.running[clock] {
		if call.awaits--; call.awaits == 0 {
			s.group.calls = append(s.group.calls, call)
		}
	}
}

// answer answers calls, in order, once all that they were decided on is durable (D7).
func (s *Sequencer) answer(ctx context.Context) {
	for a := range s.answers {
		err := s.Err()
		if err == nil {
			err = s.opts.Log.WaitDurable(ctx, a.seq)
		}
		if err != nil {
			s.fail(err)
		}
		for _, call := range a.calls {
			if err != nil {
				unknown := Refusal(Reject(LedgerFailed, "the ledger has failed; outcome unknown: repeat with the same idempotency key"))
				for i := range call.receipts {
					call.receipts[i] = unknown
				}
			}
			s.queued.Add(-int64(len(call.Requests)))
			call.Done(call.receipts)
		}
		if a.due {
			s.dueUnder.Add(-1)
			select {
			case s.eased <- struct{}{}:
			default:
			}
		}
	}
}

// carryOut decides every request of a call.
func (s *Sequencer) carryOut(call *Call) {
	s.current = call
	call.receipts = make([]Receipt, len(call.Requests))
	amounts := make([]events.Sum, len(call.Requests))
	s.tick()
	for i := range call.Requests {
		if s.Err() != nil {
			break // answered as failed
		}
		if i%aheadOf == 0 {
			s.dec.usage.memos.readAhead(call.Requests[i:min(i+aheadOf, len(call.Requests))])
		}
		receipt, r := s.request(&call.Requests[i], &amounts[i])
		if r != nil {
			s.opts.Observer.Rejected(r.Code)
			receipt = Refusal(r)
		}
		call.receipts[i] = receipt
		if cmd, ok := call.Requests[i].Command.(AdvanceTestClock); ok {
			s.await(call, cmd.Clock, receipt.Seq)
		}
	}
	s.current = nil
	if call.awaits == 0 {
		s.group.calls = append(s.group.calls, call)
	}
}

// await lets a call be answered only when a clock has arrived, if the record at seq has set it going.
func (s *Sequencer) await(call *Call, clock events.TestClockID, seq events.Seq) {
	if row := s.books.Clocks.Get(clock); seq != 0 && row != nil && row.Started == seq {
		call.awaits++
		s.running[clock] = append(s.running[clock], call)
	}
}

// tick takes the time, for all that is decided until the next one.
func (s *Sequencer) tick() {
	now, _ := events.TimeOf(s.opts.Clock())
	s.now = max(now, s.head.RecordedAt)
	s.seed = s.opts.Seed()
}

func (s *Sequencer) newID() events.CommandID {
	return events.NextCommandID(s.head.Command, s.now, s.seed)
}

// request decides one request, and records what follows from it. amount is memory for the receipt.
func (s *Sequencer) request(r *Request, amount *events.Sum) (Receipt, *Rejection) {
	c := Context{Now: s.now, Merchant: s.businessOf(r), Actor: r.Actor, Operator: r.Operator}
	var key events.DedupeKey
	if _, ok := r.Command.(*ReportUsage); ok && r.Key == "" {
		return Receipt{}, Reject(Invalid, "idempotencyKey is required")
	}
	if _, ok := r.Command.(AdvanceTestClock); ok && !s.complete {
		return Receipt{}, Reject(Busy, "the ledger has just started; repeat in a moment")
	}
	if r.Key != "" {
		if len(r.Key) > maxKey || !utf8.ValidString(r.Key) {
			return Receipt{}, Reject(Invalid, "idempotencyKey must be valid UTF-8 of at most %d bytes", maxKey)
		}
		key = events.NewDedupeKey(c.Merchant, r.Command.main(), r.Key)
		rec, rejection := s.before(key)
		if rec != nil {
			return s.again(r, rec, amount)
		}
		if rejection != nil {
			return Receipt{}, rejection
		}
	}
	for {
		c.ID = s.newID()
		if rejection := s.decide(c, r.Command); rejection != nil {
			return Receipt{}, rejection
		}
		if s.dec.overdue.isZero() {
			break
		}
		s.carryOutDue(s.dec.overdue)
	}
	if s.dec.existing != nil {
		return *s.dec.existing, nil
	}
	first := len(s.group.records)
	if rejection := s.record(c, r, key); rejection != nil {
		return Receipt{}, rejection
	}
	return receiptOf(&s.group.records[first+s.dec.main], amount), nil
}

// maxKey is how many bytes an idempotency key may have.
const maxKey = 255

// businessOf returns the merchant whose business a request is, under which its idempotency key is kept. Operators
// need not name it where it follows from what the command is about. A merchant that is made under a key is named
// after the key: so the same key finds it again.
func (s *Sequencer) businessOf(r *Request) (m events.OrganizationID) {
	if !r.Operator {
		return r.Merchant
	}
	switch cmd := r.Command.(type) {
	case CreateMerchant:
		if r.Key != "" {
			sum := sha256.Sum256([]byte("tallystick merchant " + s.opts.Ledger.String() + " " + r.Key))
			copy(m[:], sum[:])
		}
		return m
	case CreateKey:
		if cmd.Role != events.MerchantKey {
			return m
		}
	case TopUp:
		if w := s.books.Wallets.Get(cmd.Wallet); w != nil {
			return w.Bound
		}
	case CreateAlert:
		if w := s.books.Wallets.Get(cmd.Wallet); w != nil {
			return w.Bound
		}
	case PaySession:
		return s.businessOfSession(cmd.Session)
	case CancelSession:
		return s.businessOfSession(cmd.Session)
	case CompleteAuthorization:
		return s.businessOfAuthorization(cmd.Authorization)
	case RefuseAuthorization:
		return s.businessOfAuthorization(cmd.Authorization)
	case CreatePortal:
		if row := s.books.Subscriptions.Get(cmd.Subscription); row != nil {
			return row.Merchant
		}
	case ResolveDispute:
		if row := s.books.Disputes.Get(cmd.Dispute); row != nil {
			return row.Merchant
		}
	case CreateDispute:
		return cmd.Merchant
	case RevokePortal:
		if row := s.books.Portals.Get(cmd.Portal); row != nil {
			return row.Merchant
		}
	case InviteUser, DeclineInvitation, UpdateUser, SignIn, SignOut, AddPasskey, RemovePasskey, UsePasskey:
		return m
	case SettleCharge:
		if row := s.books.Charges.Get(cmd.Charge); row != nil {
			return row.Merchant
		}
	case RevokeKey:
		if k := s.books.Keys.Get(cmd.Key); k != nil {
			return k.Merchant
		}
	case EraseConsumer:
		if row := s.books.Consumers.Get(cmd.Consumer); row != nil {
			return row.Manager
		}
	case *ReportUsage, *IngestEvent, *AttachEvent, DiscardEvents, UpdateMerchant, CreateProduct, CreateMetric, CreatePrice, CreatePlan, CreateCustomer,
		RefundUsage, CorrectUsage, ApproveInvoice, CancelInvoice, WriteOffInvoice, PayInvoice, CreateLineItem, RefundInvoice, VoidInvoiceRefund,
		UpdateProduct, UpdateMetric, CreateFee, UpdateFee, DeleteFee, UpdatePrice, DeletePrice, UpdatePlan,
		CreateSubscription, TerminateSubscription, CreateTestClock, AdvanceTestClock,
		CreateEntitlement, CreateFeature, UpdateFeature, DeleteFeature, IssueEntitlement, CreateGrant, PurchaseGrant, VoidGrant,
		CreateAuthorization, WithdrawAuthorization, UpdateCustomer, DeleteCustomer, CreateConsumer, UpdateConsumer, DeleteTestClock,
		CreatePayment, SetupPaymentMethod, RemovePaymentMethod, UpdateSubscription, CreateWallet:
		// must name it
	}
	return r.Merchant
}

func (s *Sequencer) businessOfSession(id events.SessionID) (m events.OrganizationID) {
	if row := s.books.Sessions.Get(id); row != nil {
		m = row.Merchant
	}
	return m
}

func (s *Sequencer) businessOfAuthorization(id events.AuthorizationID) (m events.OrganizationID) {
	if row := s.books.Authorizations.Get(id); row != nil {
		m = row.Merchant
	}
	return m
}

// before returns the record that was made under a key, or nil (D8).
func (s *Sequencer) before(key events.DedupeKey) (*events.Record, *Rejection) {
	if i, ok := s.group.keys[key]; ok {
		return &s.group.records[i], nil
	}
	stored, ok, err := s.opts.Log.Lookup(key)
	if err != nil {
		s.fail(fmt.Errorf("looking up an idempotency key: %w", err))
		return nil, Reject(LedgerFailed, "the ledger has failed")
	}
	if !ok {
		return nil, nil
	}
	rec := stored // which needs memory that outlives the call only here
	return &rec, nil
}

// again answers a request whose key was used for rec.
func (s *Sequencer) again(r *Request, rec *events.Record, amount *events.Sum) (Receipt, *Rejection) {
	if rec.Content != r.Content {
		return Receipt{}, Reject(IdempotencyConflict, "idempotencyKey %.60q was used for other content, at sequence %d", r.Key, rec.Seq)
	}
	receipt := receiptOf(rec, amount)
	receipt.Status = Duplicate
	return receipt, nil
}

// decide answers a command from the books into s.dec. A rule that breaks refuses this one command, and
// does not halt the ledger: deciding changes nothing, so it is safe to go on.
func (s *Sequencer) decide(c Context, cmd Command) (r *Rejection) {
	defer func() {
		if p := recover(); p != nil {
			s.opts.Logger.Error("a rule broke", "command", cmd.main(), "error", broken(p), "stack", string(debug.Stack()))
			r = Reject(Internal, "the ledger cannot decide this: a fault of its own")
		}
	}()
	s.dec.reset()
	if r = decide(s.books, c, cmd, &s.dec); r == nil {
		emptyWallets(s.books, &s.dec)
		raiseAlerts(s.books, &s.dec)
	}
	return r
}

// broken returns what a rule panicked with. The loss of the stored books is not a matter of the rules: it
// goes on panicking.
func broken(p any) error {
	if lost, ok := p.(*projections.SourceError); ok {
		panic(lost)
	}
	return asError(p)
}

// record numbers, encodes and hashes what was decided, applies it to the books, and adds it to the group.
// Nothing is recorded if one of the events is too large, or has a value that no reader would accept. r is nil for a
// due action.
func (s *Sequencer) record(c Context, r *Request, key events.DedupeKey) *Rejection {
	g := &s.group
	first := len(g.records)
	for i := range s.dec.drafts {
		d := &s.dec.drafts[i]
		env := events.Envelope{
			Seq: s.head.Seq + 1 + events.Seq(i), Ledger: s.opts.Ledger, RecordedAt: c.Now, At: d.at,
			Merchant: d.merchant, Actor: c.Actor, Command: c.ID, Cause: d.cause,
		}
		if key != "" && i == s.dec.main {
			env.Key, env.Content = r.Key, r.Content
		}
		rec, err := events.AppendRecord(g.memory(), env, d.event)
		if err != nil {
			clear(g.records[first:])
			g.records = g.records[:first]
			if errors.Is(err, events.ErrTooLarge) {
				return Reject(TooLarge, "%v", err)
			}
			return Reject(Invalid, "%v", err)
		}
		g.add(rec)
	}
	if key != "" {
		g.keys[key] = first + s.dec.main
	}
	for i := range g.records[first:] {
		rec := &g.records[first+i]
		if err := s.books.Apply(rec); err != nil {
			panic(err)
		}
		s.noteDue(rec.Event)
	}
	if last := len(g.records) - 1; last >= first {
		s.head = Head{g.records[last].Seq, g.records[last].RecordedAt, g.records[last].Command}
		s.applied.Store(uint64(s.head.Seq))
	}
	return nil
}

// mustRecord is record for what carries nothing that a client sent, and so cannot be refused.
func (s *Sequencer) mustRecord(c Context) {
	if r := s.record(c, nil, ""); r != nil {
		panic(fmt.Errorf("impossible: an event of our own: %w", r))
	}
}

const (
	memoryBytes = 64 << 10 // that bytes of records are cut from
	memorySlack = 1 << 10  // that most records do not need more of
)

// memory returns where the bytes of the next record are to be appended.
func (g *group) memory() []byte {
	if cap(g.buf)-len(g.buf) < memorySlack {
		g.buf = make([]byte, 0, memoryBytes)
	}
	return g.buf
}

// add adds a record whose bytes were appended to memory.
func (g *group) add(rec events.Record) {
	if n := len(g.buf) + len(rec.Bytes); n <= cap(g.buf) {
		g.buf = g.buf[:n] // else they have got memory of their own
	}
	g.bytes += len(rec.Bytes)
	g.records = append(g.records, rec)
}
