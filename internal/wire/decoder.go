package wire

import (
	"context"
	"errors"
	"sync"

	"tallystick/commands"
	"tallystick/events"
)

// maxEntries is how many usage events a batch may have.
const maxEntries = 1000

// Decoder reads commands. See the package comment.
type Decoder struct {
	opts Options
	pool *sync.Pool // of *Work

	// What follows is used again by every call.
	call     call
	scan     scanner
	canon    []byte // the canonical form of what is being read
	keys     []byte // idempotency keys of the usage being read
	pairs    []pair // metadata of the usage event being read
	merchant []byte // the text of the merchant that the call is for
}

// NewDecoder returns a decoder for one goroutine.
func NewDecoder(opts Options) *Decoder {
	return &Decoder{opts: opts, pool: &sync.Pool{New: func() any { return new(Work) }}}
}

// Names returns the names of all commands.
func Names() []string {
	return []string{
		"ReportUsage", "CreateMerchant", "UpdateMerchant", "CreateKey", "RevokeKey", "CreateProduct", "CreateMetric",
		"CreatePrice", "CreatePlan", "CreateCustomer", "EraseConsumer", "TopUp",
		"CreatePayment", "SetupPaymentMethod", "SetupOffSessionMethod", "RemovePaymentMethod", "UpdateSubscription", "PaySession", "CancelSession",
		"CreateAuthorization", "CompleteAuthorization", "RefuseAuthorization", "WithdrawAuthorization", "InviteUser", "DeclineInvitation", "UpdateUser", "SignIn", "SignOut", "AddPasskey", "RemovePasskey", "UsePasskey", "CreatePortal", "RevokePortal", "CreateSubscription",
		"TerminateSubscription", "CreateTestClock", "AdvanceTestClock",
		"UpdateCustomer", "DeleteCustomer", "CreateConsumer", "UpdateConsumer", "DeleteTestClock",
		"RefundUsage", "CorrectUsage", "ApproveInvoice", "CancelInvoice", "WriteOffInvoice", "PayInvoice", "CreateLineItem", "RefundInvoice", "VoidInvoiceRefund",
		"UpdateProduct", "UpdateMetric", "CreateFee", "UpdateFee", "DeleteFee", "UpdatePrice", "DeletePrice", "UpdatePlan",
		"CreateEntitlement", "CreateFeature", "UpdateFeature", "DeleteFeature", "IssueEntitlement", "CreateGrant", "VoidGrant",
		"CreateDispute", "ResolveDispute", "CreateAlert", "IngestEvent", "DiscardEvents", "CreateWallet", "PurchaseGrant",
	}
}

// Waits reports whether reading a command may wait: for a key to be on disk, or for the views to hold what its
// sender was told. So a door can read the others meanwhile.
func Waits(name string) bool {
	switch name {
	case "CreatePayment", "UpdateSubscription", "SetupPaymentMethod", "PaySession", "CreateAuthorization", "CompleteAuthorization":
		return true
	case "RefundUsage", "CorrectUsage", "CreateDispute", "ResolveDispute", "CreateAlert", "WriteOffInvoice", "CreateLineItem", "RefundInvoice", "VoidInvoiceRefund":
		return true
	case "IngestEvent", "IssueEntitlement", "CreateCustomer", "UpdateCustomer", "CreateConsumer", "UpdateConsumer", "CreateSubscription", "TerminateSubscription", "AdvanceTestClock":
		return true
	}
	return false
}

// Given is a field of a command that a door has from elsewhere than the body, such as an identity in the path of a URL.
type Given struct {
	Name  string
	Value []byte // in JSON
}

// call is what one Command is about.
type call struct {
	ctx     context.Context  // it is not kept beyond the call that it was given to
	request commands.Request // everything but the command and its key
	work    *Work
	made    map[events.Digest]events.OrganizationID // keys for events that are held, by the digest of the external id
}

// Command reads the body of the command called name, which who wants carried out for merchant; an operator may
// leave merchant zero and name it in the body. The body must not change until the Work is released.
//
// A [*commands.Rejection] says that nothing of it can be carried out. Any other error is a failure of ours:
// of the keyring, of the directory, or ctx has ended; [RejectionOf] says how to answer it.
//
// What is given beside the body counts as fields of it, but for usage, which takes everything from the body.
func (d *Decoder) Command(ctx context.Context, name string, merchant events.OrganizationID, who Who, body []byte, beside ...Given) (*Work, error) {
	w, err := d.decode(ctx, name, merchant, who, body, beside)
	if d.opts.Refused == nil {
		return w, err
	}
	if err != nil {
		d.opts.Refused(RejectionOf(err).Code)
		return nil, err
	}
	for _, r := range w.Refused {
		d.opts.Refused(r.Rejection.Code)
	}
	return w, nil
}

func (d *Decoder) decode(ctx context.Context, name string, merchant events.OrganizationID, who Who, body []byte, beside []Given) (*Work, error) {
	if merchant.IsZero() && who.Operator() {
		named, err := d.namedMerchant(body)
		if err != nil {
			return nil, err
		}
		merchant = named
	}
	if r := who.MayWrite(merchant); r != nil {
		return nil, r
	}
	d.merchant = d.merchant[:0]
	if !merchant.IsZero() {
		d.merchant = merchant.AppendText(d.merchant)
	}
	w := d.pool.Get().(*Work)
	w.pool, w.body = d.pool, body
	c := &d.call
	*c = call{ctx: ctx, request: commands.Request{Merchant: merchant, Actor: who.Actor(), Operator: who.Operator()}, work: w}
	defer func() { *c = call{} }()
	var err error
	if name == "ReportUsage" {
		err = d.reportUsage(c, body)
	} else {
		err = d.single(c, name, body, beside)
	}
	if err != nil {
		w.Release()
		return nil, err
	}
	return w, nil
}

// namedMerchant returns the merchant that a body names, zero if it names none. What else is wrong with the body is not
// found here.
func (d *Decoder) namedMerchant(body []byte) (id events.OrganizationID, err error) {
	s := &d.scan
	s.reset(body)
	if s.next() != '{' {
		return id, nil
	}
	s.i++
	for first := true; s.bad == nil; first = false {
		name, ok := s.member(first)
		if !ok {
			break
		}
		if string(name) == "merchantId" {
			if s.id("merchantId", "org_", (*[16]byte)(&id)); s.bad != nil {
				return id, s.bad.refusal()
			}
			return id, nil
		}
		s.skip(1)
	}
	return id, nil
}

// RejectionOf returns the refusal to answer with after an error of Command.
func RejectionOf(err error) *commands.Rejection {
	if r, ok := errors.AsType[*commands.Rejection](err); ok {
		return r
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return commands.Reject(commands.Busy, "it could not be read in time; repeat in a moment")
	}
	return commands.Reject(commands.LedgerFailed, "the command could not be read, and nothing was done: %v", err)
}

// refusal returns the rejection of what has a fault.
func (f *fault) refusal() *commands.Rejection {
	switch {
	case f.syntax:
		return commands.Reject(commands.Invalid, "%s", f.want)
	case f.path == "":
		return commands.Reject(commands.Invalid, "the body %s", f.want)
	}
	r := commands.Reject(commands.Invalid, "%s %s", f.path, f.want)
	r.Field = f.path
	return r
}

// Work is what a body asks for. The zero Work asks for nothing.
type Work struct {
	Requests []commands.Request // to be carried out, in the order of the body
	Refused  []Refused          // what cannot be, in the order of the body
	Batch    bool               // the answer is a list of receipts
	Meters   bool               // of a report of usage: some of it are meter events
	Secret   string             // the text of the API key that the one request makes; shown once, kept nowhere

	pool    *sync.Pool
	body    []byte
	sources []source // of a batch: where in the body each entry stands
	usage   []commands.ReportUsage
	props   []commands.UsageProperty
	spans   []usageSpans
}

// Refused is an entry of a batch that is refused before it reaches the rules.
type Refused struct {
	At        int // its place in the body, from 0
	Rejection *commands.Rejection
}

// source is where an entry stands in the body.
type source struct{ start, end int }

// Len returns how many receipts the answer has.
func (w *Work) Len() int { return len(w.Requests) + len(w.Refused) }

// Source returns the JSON of the ith entry of the body, from 0: of a batch the entry alone, else the whole body.
func (w *Work) Source(i int) []byte {
	if !w.Batch {
		return w.body
	}
	return w.body[w.sources[i].start:w.sources[i].end]
}

// Receipts returns the receipts of the whole body in its order: those of Requests, which are given, and those of Refused.
func (w *Work) Receipts(receipts []commands.Receipt) []commands.Receipt {
	if len(w.Refused) == 0 {
		return receipts
	}
	all := make([]commands.Receipt, 0, len(receipts)+len(w.Refused))
	for _, r := range w.Refused {
		n := r.At - len(all)
		all = append(append(all, receipts[:n]...), commands.Refusal(r.Rejection))
		receipts = receipts[n:]
	}
	return append(all, receipts...)
}

// AppendAnswer appends the answer in JSON, given the receipts of Requests: a receipt, with the secret of a key that was
// made just now, or {"receipts":[…]}.
func (w *Work) AppendAnswer(b []byte, receipts []commands.Receipt) []byte {
	receipts = w.Receipts(receipts)
	if w.Batch {
		return commands.AppendReceipts(b, receipts)
	}
	b = receipts[0].AppendJSON(b)
	if w.Secret != "" && receipts[0].Status == commands.Accepted {
		b = append(append(append(b[:len(b)-1], `,"secret":"`...), w.Secret...), `"}`...)
	}
	return b
}

// Release gives w's memory back to the decoder. Neither w nor its requests may be used afterwards, so it is for whoever has
// got the receipts. It is no fault to forget it.
func (w *Work) Release() {
	pool := w.pool
	if pool == nil {
		return
	}
	clear(w.Requests)
	clear(w.usage)
	*w = Work{
		Requests: w.Requests[:0], sources: w.sources[:0], usage: w.usage[:0], props: w.props[:0], spans: w.spans[:0],
	}
	pool.Put(w)
}
