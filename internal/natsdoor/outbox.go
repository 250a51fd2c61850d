package natsdoor

import (
	"errors"
	"sync"

	"tallystick/commands"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// answered is something that can be answered now: a request, or a message of the usage stream.
type answered interface {
	// send answers it. It may use buf, and returns it for the next one.
	send(buf []byte) []byte
}

// outbox holds what can be answered until the goroutine replies has done it. It needs no bound of its own: everything in it
// was bounded on its way in.
type outbox struct {
	wake chan struct{} // holds a token while there may be something

	mu      sync.Mutex // guards the fields below
	waiting []answered
	closed  bool
}

func newOutbox() outbox { return outbox{wake: make(chan struct{}, 1)} }

// put leaves something to be answered. It does not wait.
func (o *outbox) put(a answered) {
	o.mu.Lock()
	o.waiting = append(o.waiting, a)
	first := len(o.waiting) == 1
	o.mu.Unlock()
	if first {
		o.token()
	}
}

func (o *outbox) token() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take returns what waits, which is nothing only when the outbox is closed and empty. It leaves spare to collect the next.
func (o *outbox) take(spare []answered) []answered {
	for {
		o.mu.Lock()
		all, closed := o.waiting, o.closed
		if len(all) > 0 || closed {
			o.waiting = spare[:0]
			o.mu.Unlock()
			return all
		}
		o.mu.Unlock()
		<-o.wake
	}
}

func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.token()
}

// reply answers what can be answered, until the outbox is closed.
func (d *Door) reply() {
	var buf []byte
	var all []answered
	for {
		all = d.out.take(all)
		if len(all) == 0 {
			return
		}
		for i, a := range all {
			buf = a.send(buf[:0])
			all[i] = nil
		}
	}
}

// send sends the answer of a request.
func (r *request) send(buf []byte) []byte {
	refused := r.refusal
	switch {
	case refused != nil:
		receipt := commands.Refusal(refused)
		buf = receipt.AppendJSON(buf)
	case r.work != nil:
		buf = r.work.AppendAnswer(buf, r.receipts)
		if !r.work.Batch && len(r.receipts) > 0 && r.receipts[0].Status == commands.Rejected {
			refused = &commands.Rejection{Code: r.receipts[0].Code, Message: r.receipts[0].Message}
		}
	default:
		buf = append(buf, r.plain...)
	}
	err := r.door.respond(r.reply, buf, refused)
	if errors.Is(err, nats.ErrMaxPayload) {
		refused = commands.Reject(commands.TooLarge, "the answer has %d bytes; ask for less at a time", len(buf))
		receipt := commands.Refusal(refused)
		err = r.door.respond(r.reply, receipt.AppendJSON(nil), refused)
	}
	if err != nil { // the caller repeats the request under its key
		r.door.opts.Logger.Warn("an answer could not be sent", "error", err)
	}
	r.done(refused)
	return buf
}

// respond sends one reply, with the headers of a service error if it is a refusal.
func (d *Door) respond(reply string, data []byte, refused *commands.Rejection) error {
	if refused == nil {
		return d.opts.Conn.Publish(reply, data)
	}
	return d.opts.Conn.PublishMsg(&nats.Msg{Subject: reply, Data: data, Header: nats.Header{
		micro.ErrorHeader: []string{headline(refused.Message)}, micro.ErrorCodeHeader: []string{string(refused.Code)},
	}})
}

// maxHeadline is the most of a message that goes into a header.
const maxHeadline = 512

// headline returns a message as it fits into a header.
func headline(message string) string { return message[:min(len(message), maxHeadline)] }
