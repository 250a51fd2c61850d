package operate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
	"tallystick/internal/natsbus"
	"tallystick/internal/verify"
	"tallystick/ledger/publisher"
)

// StreamOf returns the stream LEDGER of a JetStream, to be compared with the log.
func StreamOf(js jetstream.JetStream) verify.Stream {
	return published{&publisher.Stream{JetStream: js, ReadOnly: true}}
}

// published is the stream as verification sees it.
type published struct{ *publisher.Stream }

// Range implements verify.Stream.
func (p published) Range(ctx context.Context) (first, last events.Seq, err error) {
	st, err := p.Ensure(ctx, 1)
	if errors.Is(err, publisher.ErrNoStream) {
		return 1, 0, nil
	}
	return st.First, st.Last, err
}

// Nobody has no API keys: it is for a NATS server that listens nowhere.
type Nobody struct{}

// Authenticate implements natsbus.Keys.
func (Nobody) Authenticate(string) (natsbus.Identity, bool) { return natsbus.Identity{}, false }

// OpenStream starts a NATS server on the streams in the ledger's directory, if there are any, for as long as they are
// verified. It listens nowhere. The ledger must not have doors of its own.
func (t *Target) OpenStream(ctx context.Context) (closeStream func(), err error) {
	dir := filepath.Join(t.Dir, "nats")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.NoStream = "nothing was published here: there is no " + dir
		return func() {}, nil
	}
	bus, err := natsbus.Open(natsbus.Options{Dir: dir, Keys: Nobody{}, Clock: t.Clock})
	if err != nil {
		return nil, fmt.Errorf("opening the streams in %s: %w", dir, err)
	}
	if err := bus.OpenStreams(ctx); err != nil {
		bus.Close()
		return nil, fmt.Errorf("opening the streams in %s: %w", dir, err)
	}
	t.Stream = StreamOf(bus.JetStream())
	return bus.Close, nil
}
