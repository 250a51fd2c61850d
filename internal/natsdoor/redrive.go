package natsdoor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"

	"github.com/nats-io/nats.go/jetstream"
)

// redriveRejected is the name of the command that tries a merchant's refused usage again.
const redriveRejected = "RedriveRejected"

// RedriveArgs is the body of RedriveRejected.
type RedriveArgs struct {
	Merchant events.OrganizationID `json:"merchantId,omitzero"` // where the scope names none
	After    uint64                `json:"after,omitzero"`      // begin behind this sequence of the stream of refused usage
	Limit    int                   `json:"limit,omitzero"`      // 1 to 1000 messages; default 1000
}

// Redriven is the answer to RedriveRejected. Usage that is accepted now, or turns out to have been, is removed from the stream; the
// rest stays as it is.
type Redriven struct {
	Driven     int    `json:"driven"`
	Accepted   int    `json:"accepted"`
	Duplicates int    `json:"duplicates"`
	Rejected   int    `json:"rejected"`
	Last       uint64 `json:"lastSequence,omitzero"` // of the stream of refused usage; to go on, give it as after
	More       bool   `json:"more"`                  // there is more behind Last
}

const maxRedrive = 1000

// redrive carries out RedriveRejected.
func (d *Door) redrive(ctx context.Context, who wire.Who, merchant events.OrganizationID, body []byte) ([]byte, error) {
	args := RedriveArgs{Limit: maxRedrive}
	if err := strictly(body, &args); err != nil {
		return nil, err
	}
	switch {
	case args.Limit < 1 || args.Limit > maxRedrive:
		return nil, commands.Reject(commands.Invalid, "limit is %d; it must be 1 to %d", args.Limit, maxRedrive)
	case merchant.IsZero():
		merchant = args.Merchant
	case !args.Merchant.IsZero() && args.Merchant != merchant:
		return nil, commands.Reject(commands.Invalid, "merchantId is not the merchant that this is sent for")
	}
	if merchant.IsZero() {
		return nil, commands.Reject(commands.Invalid, "merchantId is required")
	}
	if r := who.MayWrite(merchant); r != nil {
		return nil, r
	}
	s := d.streams.Load()
	if s == nil {
		return nil, commands.Reject(commands.Busy, "the streams are not open yet; repeat in a moment")
	}
	result, err := s.redrive(ctx, who, merchant, args)
	if err != nil {
		return nil, err
	}
	return json.Marshal(result)
}

// strictly reads JSON into args, and refuses what args does not have.
func strictly(body []byte, args any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(args)
	if err == nil {
		if _, end := dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows its end")
		}
	}
	if err != nil {
		return commands.Reject(commands.Invalid, "the body is not what this command takes: %v", err)
	}
	return nil
}

// redrive tries refused usage again, one message after another: there is seldom much, and each is decided on its own.
func (s *streams) redrive(ctx context.Context, who wire.Who, merchant events.OrganizationID, args RedriveArgs) (Redriven, error) {
	result := Redriven{Last: args.After}
	stream, err := s.opts.JetStream.Stream(ctx, rejectedStream)
	if err != nil {
		return result, unavailable(rejectedStream, err)
	}
	decoder := s.door.decoders.Get().(*wire.Decoder)
	defer s.door.decoders.Put(decoder)
	subject := jetstream.WithGetMsgSubject(rejectedSubject(merchant.String()))
	for {
		m, err := stream.GetMsg(ctx, result.Last+1, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return result, nil
		}
		if err != nil {
			return result, unavailable(rejectedStream, err)
		}
		if result.Driven == args.Limit {
			result.More = true
			return result, nil
		}
		status, err := s.again(ctx, decoder, who, merchant, m.Data)
		if err != nil {
			return result, err
		}
		result.Driven++
		result.Last = m.Sequence
		switch status {
		case commands.Accepted:
			result.Accepted++
		case commands.Duplicate:
			result.Duplicates++
		case commands.Rejected:
			result.Rejected++
			continue
		}
		if err := stream.DeleteMsg(ctx, m.Sequence); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return result, unavailable(rejectedStream, err)
		}
	}
}

// again reports one piece of refused usage again, and returns what became of it: of several entries the worst. Its
// error says that nothing can be decided now.
func (s *streams) again(ctx context.Context, decoder *wire.Decoder, who wire.Who, merchant events.OrganizationID, body []byte) (commands.ReceiptStatus, error) {
	work, err := decoder.Command(ctx, "ReportUsage", merchant, who, body)
	if commands.CodeOf(err) != "" {
		return commands.Rejected, nil
	}
	if err != nil {
		return "", err
	}
	var receipts []commands.Receipt
	if len(work.Requests) > 0 {
		done := make(chan []commands.Receipt, 1)
		call := &commands.Call{Requests: work.Requests, Done: func(rs []commands.Receipt) { done <- rs }}
		if err := s.door.opts.Sequencer.Submit(call); err != nil {
			work.Release()
			return "", err
		}
		receipts = <-done // it comes whatever happens
	}
	status := commands.Accepted
	for _, r := range work.Receipts(receipts) {
		switch {
		case r.Code == commands.LedgerFailed:
			return "", &commands.Rejection{Code: r.Code, Message: r.Message}
		case r.Status == commands.Rejected || status == commands.Rejected:
			status = commands.Rejected
		case r.Status == commands.Duplicate:
			status = commands.Duplicate
		}
	}
	work.Release()
	return status, nil
}

// unavailable returns the refusal of what a stream is needed for that does not answer.
func unavailable(stream string, err error) error {
	return commands.Reject(commands.Busy, "%s", fmt.Sprintf("stream %s does not answer; repeat in a moment: %v", stream, err))
}
