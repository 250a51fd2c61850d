package publisher

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
)

// natsWire publishes through the client library.
type natsWire struct {
	nc     *nats.Conn
	msg    nats.Msg // scratch
	value  []string // the header's, in msg
	inbox  string
	closed chan struct{}
}

// NewWire returns a wire over a connection of its own that dial opens with the options it is
// given. It ends with the connection: whether what was on its way arrived is found out by
// asking the stream, so nothing is gained by reconnecting.
func NewWire(dial func(...nats.Option) (*nats.Conn, error), acked Acked) (Wire, error) {
	w := &natsWire{value: []string{""}, inbox: "_INBOX_" + rand.Text() + ".ack", closed: make(chan struct{})}
	nc, err := dial(
		nats.Name("tally publisher"),
		nats.NoReconnect(),
		nats.ClosedHandler(func(nc *nats.Conn) {
			err := nc.LastError()
			if err == nil {
				err = nats.ErrConnectionClosed
			}
			acked(0, fmt.Errorf("the connection to the NATS server ended: %w", err))
			close(w.closed)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { acked(0, err) }),
	)
	if err != nil {
		return nil, err
	}
	w.nc = nc
	w.msg.Header = nats.Header{jetstream.ExpectedLastSeqHeader: w.value}
	_, err = nc.Subscribe(w.inbox, func(m *nats.Msg) {
		if m.Header.Get("Status") == "503" {
			acked(0, ErrNoStream)
			return
		}
		acked(parseAck(m.Data))
	})
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Publish implements [Wire].
func (w *natsWire) Publish(subject []byte, last events.Seq, b []byte, ack bool) error {
	w.msg.Subject, w.msg.Data, w.msg.Reply = string(subject), b, ""
	w.value[0] = strconv.FormatUint(uint64(last), 10)
	if ack {
		w.msg.Reply = w.inbox
	}
	return w.nc.PublishMsg(&w.msg)
}

// Flush implements [Wire]. The library sends by itself what it has gathered.
func (w *natsWire) Flush() error { return nil }

// Close implements [Wire].
func (w *natsWire) Close() error {
	w.nc.Close()
	<-w.closed
	return nil
}
