package publisher

import (
	"encoding/json"
	"errors"
	"fmt"

	"tallystick/events"
)

// Wire carries records to the stream. One goroutine uses it.
type Wire interface {
	// Publish sends b to subject, to be stored only if the stream ends at last then, and
	// to be acknowledged if ack is set. It may stay in a buffer until Flush. It keeps
	// neither subject nor b.
	Publish(subject []byte, last events.Seq, b []byte, ack bool) error
	// Flush sends what is in the buffer.
	Flush() error
	// Close ends the wire; acked is not called any more when it returns.
	Close() error
}

// Acked is told what becomes of records, by a goroutine of the wire's own: the stream holds seq
// and all before it, or something went wrong and nothing more can be said on this
// wire. It must not call into the wire and must not wait.
type Acked func(seq events.Seq, err error)

// The header that each message carries, in its wire form: nothing but the sequence that
// the stream must end with.
const (
	headerStart = "NATS/1.0\r\nNats-Expected-Last-Sequence: "
	headerEnd   = "\r\n\r\n"
)

var (
	// ErrNoStream reports that nobody took a message: the stream is missing, or JetStream is down.
	ErrNoStream = errors.New("no stream takes the records")
	// ErrNotFound reports that the stream does not hold a record.
	ErrNotFound = errors.New("not in the stream")
	// ErrTakenOver reports that another instance has taken the stream.
	ErrTakenOver = errors.New("another instance has taken the stream over")
)

// parseAck reads the acknowledgement that JetStream sends.
func parseAck(b []byte) (events.Seq, error) {
	var ack struct {
		Seq   uint64 `json:"seq"`
		Error *struct {
			ErrCode     int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(b, &ack); err != nil {
		return 0, fmt.Errorf("reading an acknowledgement: %w", err)
	}
	if ack.Error != nil {
		return 0, fmt.Errorf("the stream refused a record: %s (%d)", ack.Error.Description, ack.Error.ErrCode)
	}
	return events.Seq(ack.Seq), nil
}
