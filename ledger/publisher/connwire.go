package publisher

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"

	"tallystick/events"
)

const (
	wireBuffer = 64 << 10  // bytes gathered before they are written
	maxAck     = 64 << 10  // bytes of a message to us that is taken for sane
	lineBuffer = 128 << 10 // bytes of a line from the server, INFO being the longest
)

// connWire speaks the client protocol of NATS itself, as much of it as publishing needs.
type connWire struct {
	conn  net.Conn
	in    *bufio.Reader // of conn; belongs to the reader
	inbox string
	acked Acked
	wait  sync.WaitGroup // for the reader

	buf []byte // belongs to the publisher

	mu sync.Mutex // held while writing to conn
}

// NewConnWire returns a wire over conn, a fresh connection to a NATS server, and takes
// conn over. token is what the server knows us by. It is made for the pipe to a server in
// the same process: it knows no TLS, no reconnecting and no other credentials.
//
// One goroutine, the reader, lives until Close.
func NewConnWire(ctx context.Context, conn net.Conn, token string, acked Acked) (Wire, error) {
	w := &connWire{
		conn: conn, in: bufio.NewReaderSize(conn, lineBuffer),
		inbox: "_INBOX_" + rand.Text() + ".ack", acked: acked,
		buf: make([]byte, 0, 2*wireBuffer),
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends the greeting
	err := w.greet(token)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("greeting the NATS server: %w", errors.Join(err, conn.Close()))
	}
	w.wait.Go(w.read)
	return w, nil
}

// greet introduces us and subscribes to acknowledgements.
func (w *connWire) greet(token string) error {
	info, err := w.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(info, []byte("INFO ")) {
		return fmt.Errorf("it began with %.40q", info)
	}
	connect, err := json.Marshal(map[string]any{
		"verbose": false, "pedantic": false, "headers": true, "no_responders": true, "echo": false,
		"protocol": 1, "lang": "go", "name": "tally publisher", "auth_token": token,
	})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w.conn, "CONNECT %s\r\nSUB %s 1\r\nPING\r\n", connect, w.inbox); err != nil {
		return err
	}
	for {
		line, err := w.in.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case bytes.HasPrefix(line, []byte("PONG")):
			return nil
		case bytes.HasPrefix(line, []byte("-ERR")):
			return fmt.Errorf("it refused: %s", bytes.TrimSpace(line[4:]))
		}
	}
}

// Publish implements [Wire].
func (w *connWire) Publish(subject []byte, last events.Seq, b []byte, ack bool) error {
	var scratch [20]byte
	digits := strconv.AppendUint(scratch[:0], uint64(last), 10)
	header := len(headerStart) + len(digits) + len(headerEnd)

	buf := append(append(w.buf, "HPUB "...), subject...)
	if ack {
		buf = append(append(buf, ' '), w.inbox...)
	}
	buf = strconv.AppendInt(append(buf, ' '), int64(header), 10)
	buf = strconv.AppendInt(append(buf, ' '), int64(header+len(b)), 10)
	buf = append(append(buf, "\r\n"+headerStart...), digits...)
	buf = append(append(buf, headerEnd...), b...)
	w.buf = append(buf, "\r\n"...)
	if len(w.buf) < wireBuffer {
		return nil
	}
	return w.Flush()
}

// Flush implements [Wire].
func (w *connWire) Flush() error {
	err := w.write(w.buf)
	if cap(w.buf) > 8*wireBuffer { // a very large record was in it
		w.buf = make([]byte, 0, 2*wireBuffer)
	}
	w.buf = w.buf[:0]
	return err
}

func (w *connWire) write(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.conn.Write(b)
	return err
}

// Close implements [Wire].
func (w *connWire) Close() error {
	err := w.conn.Close()
	w.wait.Wait()
	return err
}

// read is the reader: it hands on acknowledgements and answers pings, until the
// connection ends.
func (w *connWire) read() {
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			w.acked(0, fmt.Errorf("the connection to the NATS server ended: %w", err))
			return
		}
		switch {
		case bytes.HasPrefix(line, []byte("MSG ")), bytes.HasPrefix(line, []byte("HMSG ")):
			w.acked(w.message(line))
		case bytes.HasPrefix(line, []byte("PING")):
			err = w.write([]byte("PONG\r\n"))
		case bytes.HasPrefix(line, []byte("-ERR")):
			err = fmt.Errorf("the NATS server said: %s", bytes.TrimSpace(line[4:]))
		}
		if err != nil {
			w.acked(0, err)
		}
	}
}

// message reads the message that line announces, which is an acknowledgement.
func (w *connWire) message(line []byte) (events.Seq, error) {
	withHeader := line[0] == 'H'
	fields := bytes.Fields(line)
	size, err := strconv.Atoi(string(fields[len(fields)-1]))
	if err != nil || size < 0 || size > maxAck {
		return 0, fmt.Errorf("the NATS server announced %.80q", line)
	}
	header := 0
	if withHeader {
		header, err = strconv.Atoi(string(fields[len(fields)-2]))
		if err != nil || header > size {
			return 0, fmt.Errorf("the NATS server announced %.80q", line)
		}
	}
	body := make([]byte, size+2)
	if _, err := io.ReadFull(w.in, body); err != nil {
		return 0, err
	}
	if withHeader && bytes.HasPrefix(body, []byte("NATS/1.0 503")) {
		return 0, ErrNoStream
	}
	if len(body) == header+2 {
		return 0, errors.New("an acknowledgement without content")
	}
	return parseAck(body[header:size])
}
