package query

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
)

// Record is a record as people and other programs read it. Amounts are strings of digits, and
// sealed data stays sealed.
type Record struct {
	events.Envelope
	Type  events.Kind    `json:"type"`
	Event jsontext.Value `json:"event"`
	Hash  events.Hash    `json:"leafHash"`
	Bytes []byte         `json:"bytes,omitempty"` // as stored, if asked for
}

// Records is a part of the log.
type Records struct {
	Sequence events.Seq `json:"sequence"` // the last durable record
	Records  []Record   `json:"records"`
	Next     events.Seq `json:"next"` // where to go on: the first record that was not looked at
}

// RecordsArgs say which records are wanted. All conditions must hold.
type RecordsArgs struct {
	AtLeast  events.Seq            `json:"atLeast,omitzero"` // wait until there is this record
	From     events.Seq            `json:"from,omitzero"`    // default 1
	To       events.Seq            `json:"to,omitzero"`      // default the last
	Limit    int                   `json:"limit,omitzero"`   // 1 to 1000; default 100
	Type     string                `json:"type,omitempty"`   // "usage.reported.v1", "usage.reported", "usage" or "UsageReported"
	Merchant events.OrganizationID `json:"merchantId,omitzero"`
	Subject  string                `json:"subject,omitempty"` // any identity: records that name it
	Raw      bool                  `json:"raw,omitempty"`     // with their bytes as stored
}

// maxScanned bounds how many records one question looks at. Whoever wants more asks again, from Next.
const maxScanned = 500_000

// maxAnswer bounds the bytes of the records of an answer, so that it fits into a message as JSON.
const maxAnswer = 192 << 10

// Records answers which records there are.
func (s *Service) Records(ctx context.Context, who wire.Who, args RecordsArgs) (rs Records, err error) {
	merchant, err := asker(who).merchant(args.Merchant)
	if err != nil {
		return rs, err
	}
	page := Page{Limit: args.Limit}
	if err := page.check(); err != nil {
		return rs, err
	}
	match, err := newMatcher(merchant, args)
	if err != nil {
		return rs, err
	}
	if err := s.await(ctx, args.AtLeast); err != nil {
		return rs, err
	}
	durable := s.opts.Log.Durable()
	from := max(args.From, 1)
	to := min(durable, from+maxScanned-1)
	if args.To != 0 {
		to = min(to, args.To)
	}
	rs = Records{Sequence: durable, Records: []Record{}, Next: max(from, to+1)}
	if from > to {
		return rs, nil
	}
	size := 0
	err = s.opts.Log.ScanBytes(ctx, from, to, func(seq events.Seq, b []byte) error {
		rec, ok, err := match.record(seq, b)
		if err != nil || !ok {
			return err
		}
		if size += len(b); len(rs.Records) == page.Limit || size > maxAnswer && len(rs.Records) > 0 {
			rs.Next = seq
			return errStop
		}
		rs.Records = append(rs.Records, RenderRecord(&rec, args.Raw))
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return rs, err
}

// A matcher finds records. It looks at their bytes before it decodes them: an identity that a
// record names stands in it as 16 raw bytes.
type matcher struct {
	merchant events.OrganizationID
	subject  []byte
	kind     string
	kinds    map[events.Kind]bool // nil means all
}

func newMatcher(merchant events.OrganizationID, args RecordsArgs) (*matcher, error) {
	m := &matcher{merchant: merchant}
	if args.Subject != "" {
		var err error
		if m.subject, err = rawID(args.Subject); err != nil {
			return nil, err
		}
	}
	if args.Type == "" {
		return m, nil
	}
	m.kinds = make(map[events.Kind]bool)
	for _, k := range events.Kinds() {
		if isType(k, args.Type) {
			m.kinds[k] = true
			m.kind = string(k)
		}
	}
	if len(m.kinds) == 0 {
		return nil, commands.Reject(commands.Invalid, "there are no events of type %.60q", args.Type)
	}
	if len(m.kinds) > 1 {
		m.kind = ""
	}
	return m, nil
}

// isType reports whether k is meant by typ: its whole name, the name without the version, its
// first word, or the name in a NATS subject.
func isType(k events.Kind, typ string) bool {
	name, _, _ := strings.Cut(string(k), ".v")
	aggregate, event, _ := strings.Cut(name, ".")
	camel := strings.ReplaceAll(aggregate+"_"+event, "_", "")
	return typ == string(k) || typ == name || typ == aggregate || strings.EqualFold(typ, camel)
}

// rawID returns the bytes of any identity.
func rawID(s string) ([]byte, error) {
	if strings.HasPrefix(s, "tc_") {
		id, err := events.ParseTestClockID(s)
		if err != nil {
			return nil, commands.Reject(commands.Invalid, "subject: %v", err)
		}
		return id[:], nil
	}
	prefix, body, _ := strings.Cut(s, "_")
	id, err := events.ParseID[events.CommandNoun]("cmd_" + body) // the prefix changes nothing about the bytes
	if err != nil || prefix == "" {
		return nil, commands.Reject(commands.Invalid, "subject: %.40q is no identity", s)
	}
	return id[:], nil
}

func (m *matcher) record(seq events.Seq, b []byte) (rec events.Record, ok bool, err error) {
	if !m.merchant.IsZero() && !bytes.Contains(b, m.merchant[:]) ||
		!bytes.Contains(b, m.subject) || !bytes.Contains(b, []byte(m.kind)) {
		return rec, false, nil
	}
	rec, err = events.DecodeRecord(bytes.Clone(b))
	if err != nil {
		return rec, false, fmt.Errorf("record %d: %w", seq, err)
	}
	if !m.merchant.IsZero() && rec.Merchant != m.merchant || m.kinds != nil && !m.kinds[rec.Event.Kind()] {
		return rec, false, nil
	}
	return rec, true, nil
}

// RenderRecord returns a record as people and programs read it, with its bytes as stored if raw is set.
func RenderRecord(rec *events.Record, raw bool) Record {
	event, err := json.Marshal(rec.Event, renderOptions())
	if err != nil {
		panic(fmt.Sprintf("query: impossible: rendering %T: %v", rec.Event, err))
	}
	r := Record{Envelope: rec.Envelope, Type: rec.Event.Kind(), Event: event, Hash: rec.Hash}
	if raw {
		r.Bytes = rec.Bytes
	}
	return r
}

// renderOptions make amounts strings of digits, so that no reader rounds them, and name the parts of sealed data.
func renderOptions() json.Options {
	return json.JoinOptions(json.Deterministic(true), json.WithMarshalers(json.JoinMarshalers(
		json.MarshalToFunc(func(enc *jsontext.Encoder, n events.Nanos) error {
			return enc.WriteToken(jsontext.String(events.SumOf(n).Digits()))
		}),
		json.MarshalToFunc(func(enc *jsontext.Encoder, s events.Sealed) error {
			return json.MarshalEncode(enc, struct {
				Consumer events.OrganizationID `json:"consumerId"`
				Box      []byte                `json:"sealed"`
			}{s.Key, s.Box})
		}),
	)))
}
