package publisher

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
)

// TestEachRecordOnce publishes over either wire and looks at what is in the stream: the
// bytes, the public subject, and one header.
func TestEachRecordOnce(t *testing.T) {
	for _, wire := range []string{"our own", "the library's"} {
		t.Run(wire, func(t *testing.T) {
			s := natsServer(t, t.TempDir())
			js := connect(t, s)
			log := newLog(2500)
			target := &Stream{JetStream: js, Async: wire == "our own", Dialer: pipeDialer(func() *server.Server { return s })}
			if wire != "our own" {
				target.Dialer = libraryDialer(s)
			}
			p := New(Options{Log: log, Follow: log.follow, Target: target})
			stop := start(t, p)
			waitPublished(t, p, 2500)
			log.grow(1)
			waitPublished(t, p, 2501)
			log.grow(600)
			waitPublished(t, p, 3101)
			if got := p.Status(); got.Err != nil || got.Lag() != 0 {
				t.Errorf("status is %+v", got)
			}
			if err := stop(); err != nil {
				t.Errorf("Run returned %v", err)
			}
			if got := log.Cursor(CursorName); got != 3101 {
				t.Errorf("cursor is at %d, want 3101", got)
			}
			checkStream(t, js, log, 1)

			stream, err := js.Stream(t.Context(), StreamName)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []events.Seq{1, 2, 5, 10, 3101} {
				msg, err := stream.GetMsg(t.Context(), uint64(n))
				if err != nil {
					t.Fatal(err)
				}
				if want := subject(&log.records[n-1]); msg.Subject != want {
					t.Errorf("record %d has the subject %s, want %s", n, msg.Subject, want)
				}
				if len(msg.Header) != 1 || msg.Header.Get(jetstream.ExpectedLastSeqHeader) != strconv.Itoa(int(n-1)) {
					t.Errorf("record %d has the headers %v", n, msg.Header)
				}
			}
		})
	}
}

func TestSubject(t *testing.T) {
	merchant := events.OrganizationID{15: 1}
	for _, tt := range []struct {
		merchant events.OrganizationID
		event    events.Event
		want     string
	}{
		{merchant, &events.UsageReported{}, "tally.ledger.org_00000000000000000000000001.usage.UsageReported"},
		{events.OrganizationID{}, events.LedgerOpened{}, "tally.ledger._platform.ledger.LedgerOpened"},
		{events.OrganizationID{}, events.KeyCreated{}, "tally.ledger._platform.key.KeyCreated"},
		{events.OrganizationID{}, events.ConsumerCreated{}, "tally.ledger._consumer.consumer.ConsumerCreated"},
		{events.OrganizationID{}, events.WalletOpened{}, "tally.ledger._consumer.wallet.WalletOpened"},
		{merchant, events.WalletOpened{}, "tally.ledger.org_00000000000000000000000001.wallet.WalletOpened"},
	} {
		rec := &events.Record{Envelope: events.Envelope{Merchant: tt.merchant}, Event: tt.event}
		if got := subject(rec); got != tt.want {
			t.Errorf("subject is %s, want %s", got, tt.want)
		}
	}
	buf := make([]byte, 0, 256)
	rec := record(testLedger, 7, 0)
	if n := testing.AllocsPerRun(100, func() { buf = appendSubject(buf[:0], &rec) }); n != 0 {
		t.Errorf("making a subject allocates %v times", n)
	}
}

// TestStreamDeleted deletes the stream while it is published to: it is made again and
// gets everything.
func TestStreamDeleted(t *testing.T) {
	s := natsServer(t, t.TempDir())
	js := connect(t, s)
	log := newLog(3000)
	target := &Stream{JetStream: js, Async: true, Dialer: pipeDialer(func() *server.Server { return s })}
	p := New(Options{Log: log, Follow: log.follow, Target: target, After: atOnce})
	start(t, p)
	waitPublished(t, p, 3000)
	if err := js.DeleteStream(t.Context(), StreamName); err != nil {
		t.Fatal(err)
	}
	log.grow(10)
	waitPublished(t, p, 3010)
	checkStream(t, js, log, 1)
}

// TestKeep makes a stream that is to keep the latest records only: it starts so that their
// sequences are right.
func TestKeep(t *testing.T) {
	s := natsServer(t, t.TempDir())
	js := connect(t, s)
	log := newLog(3000)
	target := &Stream{JetStream: js, Keep: 500, Dialer: pipeDialer(func() *server.Server { return s })}
	p := New(Options{Log: log, Follow: log.follow, Target: target, Keep: 500})
	start(t, p)
	waitPublished(t, p, 3000)
	checkStream(t, js, log, 2501)
	log.grow(100)
	waitPublished(t, p, 3100)
	checkStream(t, js, log, 2601)
	if c, err := p.Compare(t.Context()); err != nil || c.Relation != Equal {
		t.Errorf("Compare = %+v, %v", c, err)
	}
}

// TestServerRestart stops the server under load and starts it again on the same
// directory, then on an older copy of it, then on an empty one.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var current atomic.Pointer[server.Server]
	var js atomic.Value
	boot := func() {
		s := natsServer(t, dir)
		current.Store(s)
		js.Store(connect(t, s))
	}
	halt := func() {
		js.Load().(jetstream.JetStream).Conn().Close() // what is asked of it fails at once
		current.Load().Shutdown()
		current.Load().WaitForShutdown()
	}
	boot()
	log := newLog(5000)
	target := targetFunc(func() Target {
		return &Stream{JetStream: js.Load().(jetstream.JetStream), Async: true, Dialer: pipeDialer(current.Load)}
	})
	p := New(Options{Log: log, Follow: log.follow, Target: target, RetryFirst: time.Millisecond, RetryMost: 10 * time.Millisecond})
	start(t, p)
	waitPublished(t, p, 1)
	halt()
	older := t.TempDir()
	if err := os.CopyFS(older, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	log.grow(5000)
	boot()
	waitPublished(t, p, 10_000)
	checkStream(t, js.Load().(jetstream.JetStream), log, 1)

	halt()
	dir = older
	log.grow(1)
	boot()
	waitPublished(t, p, 10_001)
	checkStream(t, js.Load().(jetstream.JetStream), log, 1)

	halt()
	if err := os.RemoveAll(filepath.Join(dir, "jetstream")); err != nil {
		t.Fatal(err)
	}
	log.grow(1)
	boot()
	waitPublished(t, p, 10_002)
	checkStream(t, js.Load().(jetstream.JetStream), log, 1)
}

// targetFunc is a target that may be another each time.
type targetFunc func() Target

func (f targetFunc) Ensure(ctx context.Context, first events.Seq) (State, error) {
	return f().Ensure(ctx, first)
}

func (f targetFunc) Bytes(ctx context.Context, seq events.Seq) ([]byte, error) {
	return f().Bytes(ctx, seq)
}

func (f targetFunc) Scan(ctx context.Context, from, to events.Seq, fn func(events.Seq, []byte) error) error {
	return f().Scan(ctx, from, to, fn)
}

func (f targetFunc) Dial(ctx context.Context, acked Acked) (Wire, error) { return f().Dial(ctx, acked) }

// TestForeignRecord lets somebody else write the next record: the publisher stops for
// good and says so, and does not write behind it.
func TestForeignRecord(t *testing.T) {
	s := natsServer(t, t.TempDir())
	js := connect(t, s)
	log := newLog(100)
	target := &Stream{JetStream: js, Dialer: pipeDialer(func() *server.Server { return s })}
	p := New(Options{Log: log, Follow: log.follow, Target: target, After: atOnce})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	waitPublished(t, p, 100)
	stream, err := js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	prefix := strings.TrimSuffix(stream.CachedInfo().Config.Subjects[0], ".>")
	foreign := record(testLedger, 101, 1)
	if _, err := js.Publish(t.Context(), prefix+".x.y.z", foreign.Bytes); err != nil {
		t.Fatal(err)
	}
	log.grow(50)
	err = <-done
	conflict, ok := errors.AsType[*ConflictError](err)
	if !ok || conflict.Seq != 101 {
		t.Fatalf("Run returned %v, want a conflict at record 101", err)
	}
	if st := p.Status(); !st.Failed || st.Published != 100 || st.Err == nil || st.Lag() != 50 {
		t.Errorf("status is %+v", st)
	}
	if err := p.WaitPublished(t.Context(), 150); !errors.Is(err, error(conflict)) {
		t.Errorf("WaitPublished returned %v", err)
	}
	reader := &Stream{JetStream: js, ReadOnly: true}
	if state, err := reader.Ensure(t.Context(), 1); err != nil || state.Last != 101 {
		t.Errorf("the stream ends at %d (%v), want 101", state.Last, err)
	}
}

// TestTakeOver lets a second instance open the stream while the first one publishes: nothing of
// the first arrives any more, and it stops for good.
func TestTakeOver(t *testing.T) {
	s := natsServer(t, t.TempDir())
	js := connect(t, s)
	log := newLog(100)
	var lost atomic.Bool
	first := &Stream{JetStream: js, Dialer: pipeDialer(func() *server.Server { return s }), Claimed: func(context.Context) error {
		if lost.Load() {
			return ErrTakenOver
		}
		return nil
	}}
	p := New(Options{Log: log, Follow: log.follow, Target: first, After: atOnce})
	done := make(chan error, 1)
	go func() { done <- p.Run(t.Context()) }()
	waitPublished(t, p, 100)

	lost.Store(true)
	second := &Stream{JetStream: js, Dialer: pipeDialer(func() *server.Server { return s })}
	state, err := second.Ensure(t.Context(), 1)
	if err != nil || state.Last != 100 {
		t.Fatalf("the second instance finds %+v, %v", state, err)
	}
	log.grow(10)
	if err := <-done; !errors.Is(err, ErrTakenOver) {
		t.Errorf("Run returned %v, want %v", err, ErrTakenOver)
	}
	if state, err := second.Ensure(t.Context(), 1); err != nil || state.Last != 100 {
		t.Errorf("the stream stands at %+v, %v", state, err)
	}
}

// TestPatience keeps the server away for ever: the publisher waits longer each time, up to
// its bound, and leaves when told.
func TestPatience(t *testing.T) {
	var mu sync.Mutex
	var waits []time.Duration
	enough := make(chan struct{})
	log := newLog(1)
	p := New(Options{
		Log: log, Follow: log.follow,
		Target: targetFunc(func() Target {
			return &memStream{down: true}
		}),
		After: func(d time.Duration) <-chan time.Time {
			mu.Lock()
			defer mu.Unlock()
			if waits = append(waits, d); len(waits) == 1000 {
				close(enough)
			}
			if len(waits) >= 1000 {
				return nil
			}
			return atOnce(0)
		},
	})
	stop := start(t, p)
	<-enough
	if p.Status().Err == nil || p.Status().Failed {
		t.Errorf("status is %+v, want an error that is not final", p.Status())
	}
	if err := stop(); err != nil {
		t.Errorf("Run returned %v", err)
	}
	want := 50 * time.Millisecond
	for i, got := range waits {
		if got != want {
			t.Fatalf("wait %d is %v, want %v", i, got, want)
		}
		want = min(2*want, 5*time.Second)
	}
}

// TestWrongCredential gives our wire a token that the server does not know.
func TestWrongCredential(t *testing.T) {
	s := natsServer(t, t.TempDir())
	conn, err := s.InProcessConn()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewConnWire(t.Context(), conn, "wrong", func(events.Seq, error) {}); err == nil {
		t.Error("the server let us in")
	}
}

// TestForeignStream finds a stream LEDGER that somebody else made.
func TestForeignStream(t *testing.T) {
	js := connect(t, natsServer(t, t.TempDir()))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: StreamName, Subjects: []string{"tally.ledger.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Stream{JetStream: js}).Ensure(t.Context(), 1); err == nil {
		t.Error("it was taken for ours")
	}
}

// subject returns the public subject of rec: tally.ledger.<merchant>.<aggregate>.<EventType>.
func subject(rec *events.Record) string { return string(appendSubject([]byte(Public), rec)) }
