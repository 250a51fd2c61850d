package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-json-experiment/json/jsontext"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
)

const (
	keyHeader      = "Idempotency-Key"
	merchantHeader = "Tally-Merchant" // whom an operator acts for
	maxKey         = 255
)

// call is one request being answered.
type call struct {
	ctx      context.Context //nolint:containedctx // a call lives as long as its request
	api      *API
	op       *operation
	request  *http.Request
	response http.ResponseWriter
	who      wire.Who
	merchant events.OrganizationID // whom it is for; zero where an operator names none
	body     []byte
	values   map[string]any // the parameters of the query
	fields   map[string]any // the body, where it was checked and is an object
	counted  bool           // what refuses it has been counted where it was decoded or decided
}

// serve answers a request.
func (a *API) serve(op *operation, schema *huma.Schema, ctx huma.Context) {
	r, w := humago.Unwrap(ctx)
	c := &call{ctx: r.Context(), api: a, op: op, request: r, response: w}
	defer func() {
		if p := recover(); p != nil {
			a.opts.Logger.Error("an operation broke", "operation", op.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			broken := &problem{rejection: commands.Reject(commands.Internal, "the operation broke; it is for the operator to look")}
			a.write(w, broken.result())
		}
	}()
	err := c.admit()
	if err == nil {
		err = c.check(schema)
	}
	var result answer
	if err == nil {
		result, err = op.handle(c)
	}
	if err != nil {
		if commands.CodeOf(err) == "" && r.Context().Err() == nil {
			a.opts.Logger.Error("a request could not be answered", "operation", op.id, "error", err)
		}
		p := problemOf(err)
		if !c.counted && r.Method != http.MethodGet {
			a.opts.Refused(p.rejection.Code)
		}
		p.status = op.known[p.rejection.Code]
		result = p.result()
	}
	a.write(w, result)
}

// admit finds out who asks, and whether it may ask now.
func (c *call) admit() error {
	scheme, secret, _ := strings.Cut(c.request.Header.Get("Authorization"), " ")
	who, ok := wire.Who{}, false
	if strings.EqualFold(scheme, "bearer") {
		who, ok = c.api.opts.Keys.Caller(strings.TrimSpace(secret))
	}
	if !ok {
		c.response.Header().Set("WWW-Authenticate", `Bearer realm="tally"`)
		return commands.Reject(commands.Unauthorized, "give a valid API key: Authorization: Bearer sk_…")
	}
	c.who, c.merchant = who, who.Merchant
	for _, l := range []*limiter{c.api.limits, c.op.limits} { // the tighter one's headers stay
		if p := l.allow(who.Key, c.api.opts.Clock(), c.response.Header()); p != nil {
			return p
		}
	}
	if named := c.request.Header.Get(merchantHeader); named != "" && who.Operator() {
		id, err := events.ParseID[events.OrganizationNoun](named)
		if err != nil {
			return commands.Reject(commands.NotFound, "no merchant %.40q", named)
		}
		c.merchant = id
	}
	return nil
}

// check reads the request and holds it against its description.
func (c *call) check(schema *huma.Schema) error {
	res := new(huma.ValidateResult)
	c.parameters(res)
	if key := c.request.Header.Get(keyHeader); len(key) > maxKey {
		res.Add(huma.NewPathBuffer([]byte(keyHeader), len(keyHeader)), nil, fmt.Sprintf("must have at most %d bytes", maxKey))
	}
	body, err := readBody(c.response, c.request, c.op.limit)
	if err != nil {
		return err
	}
	if c.body = body; schema != nil {
		value, err := parse(body)
		if err != nil {
			return err
		}
		if err := c.ours(value); err != nil {
			return err
		}
		huma.Validate(c.api.api.OpenAPI().Components.Schemas, schema, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, value, res)
	}
	if len(res.Errors) > 0 {
		return mistaken(res.Errors)
	}
	return nil
}

// ours refuses a request for another merchant than the key's, as if that one did not exist. For an operator it takes note of the
// merchant.
func (c *call) ours(body any) error {
	c.fields, _ = body.(map[string]any)
	named, _ := c.fields["merchantId"].(string)
	if named == "" {
		return nil
	}
	id, err := events.ParseID[events.OrganizationNoun](named)
	if err == nil && c.who.Operator() {
		c.merchant = id
	}
	if err == nil && c.who.Role == events.MerchantKey && id != c.merchant {
		return commands.Reject(commands.NotFound, "no merchant %s", id)
	}
	return nil
}

// write sends an answer.
func (a *API) write(w http.ResponseWriter, r answer) {
	if r.body == nil {
		w.WriteHeader(r.status)
		return
	}
	raw, ok := r.body.(jsontext.Value)
	if !ok {
		var buf bytes.Buffer
		if err := huma.DefaultJSONFormat.Marshal(&buf, r.body); err != nil {
			a.opts.Logger.Error("an answer could not be encoded", "error", err)
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		raw = buf.Bytes()
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(r.status)
	_, _ = w.Write(raw) // the client may have gone
}

// writes remembers the last sequence that each key was told of.
type writes struct {
	mu   *sync.Mutex // guards the field below
	last map[events.KeyID]events.Seq
}

func newWrites() writes { return writes{new(sync.Mutex), make(map[events.KeyID]events.Seq)} }

// maxWrites is how many keys' writes are remembered. When there are more, all are taken for the newest of them.
const maxWrites = 1 << 16

func (w *writes) note(key events.KeyID, seq events.Seq) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.last) >= maxWrites {
		newest := events.Seq(0)
		for _, s := range w.last {
			newest = max(newest, s)
		}
		clear(w.last)
		w.last[events.KeyID{}] = newest
	}
	w.last[key] = max(w.last[key], seq)
}

func (w *writes) of(key events.KeyID) events.Seq {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.last[key], w.last[events.KeyID{}])
}

// done is what became of a command.
type done struct {
	receipts []commands.Receipt
	key      string // idempotency key of a single command
	secret   string // of a key that was made just now
}

// carryOut carries out the command called name, with the request's body and what is given beside it. A refusal of a single
// command is an error.
func (c *call) carryOut(name string, beside ...wire.Given) (d done, err error) {
	if key := c.request.Header.Get(keyHeader); key != "" && name != "ReportUsage" {
		beside = append(beside, named("idempotencyKey", key))
	}
	decoder := c.api.decoders.Get().(*wire.Decoder)
	defer c.api.decoders.Put(decoder)
	work, err := decoder.Command(c.ctx, name, c.merchant, c.who, c.body, beside...)
	if err != nil {
		c.counted = true
		return d, err
	}
	defer work.Release()
	if work.Meters {
		return d, commands.Reject(commands.Invalid, "this operation takes usage events; a CloudEvent of another type is for /v0/events")
	}
	if !work.Batch {
		d.key = work.Requests[0].Key
	}
	if work.Batch != c.op.batch {
		return d, commands.Reject(commands.Invalid, "this operation takes one usage event, and /v0/usage/batch takes several, as {\"events\":[…]}")
	}
	var receipts []commands.Receipt
	if len(work.Requests) > 0 {
		answered := make(chan struct{})
		err := c.api.opts.Sequencer.Submit(&commands.Call{Requests: work.Requests, Done: func(rs []commands.Receipt) {
			receipts = append(receipts, rs...)
			close(answered)
		}})
		if err != nil {
			return d, err
		}
		<-answered // the sequencer answers whatever happens; to go before that would leave work in use
	}
	d.receipts = work.Receipts(receipts)
	c.api.writes.note(c.who.Key, c.api.opts.Head())
	if work.Batch {
		return d, nil
	}
	if r := &d.receipts[0]; r.Status == commands.Rejected {
		c.counted = true
		return d, &commands.Rejection{Code: r.Code, Message: r.Message, Field: r.Field, Blockers: r.Blockers}
	} else if r.Status == commands.Accepted {
		d.secret = work.Secret // a repeat has made one too, which is no key's
	}
	return d, nil
}

// one is the receipt of a single command.
func (d *done) one() *commands.Receipt { return &d.receipts[0] }

// status returns made for what was recorded now, and again for a repeat.
func (d *done) status(made, again int) int {
	if d.one().Status == commands.Duplicate {
		return again
	}
	return made
}
