package publisher

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"tallystick/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memLog is a log in memory.
type memLog struct {
	mu      sync.Mutex
	records []events.Record
	raised  chan struct{}
	cursor  events.Seq
}

func newLog(n int) *memLog {
	l := &memLog{raised: make(chan struct{})}
	l.grow(n)
	return l
}

var testLedger = events.LedgerID{0: 1, 15: 42}

// record makes the record n of ledger; mark makes it differ from others of the same number.
func record(ledger events.LedgerID, n events.Seq, mark byte) events.Record {
	env := events.Envelope{
		Seq: n, Ledger: ledger, RecordedAt: events.Time(n), At: events.Time(n),
		Actor: events.Actor{Kind: events.ActorOperator},
	}
	binary.BigEndian.PutUint64(env.Command[:], uint64(n))
	env.Command[15] = mark
	if n%5 != 0 {
		env.Merchant = events.OrganizationID{0: 1, 14: byte(n % 100), 15: 1}
	}
	var event events.Event = events.KeyRevoked{Key: events.KeyID{15: byte(n)}}
	if n%2 == 0 {
		event = events.WalletOpened{Wallet: events.WalletID{15: 1}, Owner: events.OrganizationID{15: 1}, Currency: events.Currency{'U', 'S', 'D'}}
	}
	rec, err := events.NewRecord(env, event)
	if err != nil {
		panic(err)
	}
	return rec
}

func (l *memLog) grow(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		l.records = append(l.records, record(testLedger, events.Seq(len(l.records)+1), 0))
	}
	close(l.raised)
	l.raised = make(chan struct{})
}

func (l *memLog) Durable() events.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	return events.Seq(len(l.records))
}

func (l *memLog) Record(seq events.Seq) (events.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq == 0 || int(seq) > len(l.records) {
		return events.Record{}, fmt.Errorf("no record %d", seq)
	}
	return l.records[seq-1], nil
}

func (l *memLog) SetCursor(_ string, seq events.Seq) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cursor = seq
	return nil
}

func (l *memLog) Cursor(string) events.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cursor
}

type memFollower struct {
	log  *memLog
	next events.Seq
	most int
}

func (l *memLog) follow(from events.Seq) Follower { return &memFollower{l, from, 1000} }

func (f *memFollower) Next(ctx context.Context) ([]events.Record, error) {
	for {
		f.log.mu.Lock()
		rest, raised := f.log.records[f.next-1:], f.log.raised
		f.log.mu.Unlock()
		if len(rest) > 0 {
			rest = rest[:min(len(rest), f.most)]
			f.next += events.Seq(len(rest))
			return rest, nil
		}
		select {
		case <-raised:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// start runs p until the test ends or stop is called, and returns what Run returned.
func start(t testing.TB, p *Publisher) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	return stop
}

// limit is how long anything may take on a machine that is busy with other things.
const limit = time.Minute

func waitPublished(t testing.TB, p *Publisher, seq events.Seq) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := p.WaitPublished(ctx, seq); err != nil {
		t.Fatalf("waiting for record %d: %v (status %+v)", seq, err, p.Status())
	}
}

// atOnce is an Options.After that does not wait, except for the watchdog.
func atOnce(d time.Duration) <-chan time.Time {
	if d >= time.Second {
		return nil
	}
	c := make(chan time.Time, 1)
	c <- time.Time{}
	return c
}

// natsServer starts a NATS server with JetStream in dir that listens nowhere.
func natsServer(t testing.TB, dir string) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true, Authorization: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(limit) {
		t.Fatal("the NATS server did not start")
	}
	return s
}

func connect(t testing.TB, s *server.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.Token("secret"), nats.Timeout(limit))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// pipeDialer dials wires of our own to whatever server currently returns.
func pipeDialer(current func() *server.Server) func(context.Context, Acked) (Wire, error) {
	return func(ctx context.Context, acked Acked) (Wire, error) {
		conn, err := current().InProcessConn()
		if err != nil {
			return nil, err
		}
		return NewConnWire(ctx, conn, "secret", acked)
	}
}

func libraryDialer(s *server.Server) func(context.Context, Acked) (Wire, error) {
	return func(_ context.Context, acked Acked) (Wire, error) {
		return NewWire(func(opts ...nats.Option) (*nats.Conn, error) {
			return nats.Connect("", append(opts, nats.InProcessServer(s), nats.Token("secret"))...)
		}, acked)
	}
}

// checkStream fails t unless the stream holds the records of log from first on, and nothing else.
func checkStream(t testing.TB, js jetstream.JetStream, log *memLog, first events.Seq) {
	t.Helper()
	s, err := js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	state := s.CachedInfo().State
	if events.Seq(state.FirstSeq) != first || events.Seq(state.LastSeq) != log.Durable() || state.NumDeleted != 0 {
		t.Fatalf("stream holds %d to %d without %d, want %d to %d", state.FirstSeq, state.LastSeq, state.NumDeleted, first, log.Durable())
	}
	target := &Stream{JetStream: js}
	err = target.Scan(t.Context(), first, log.Durable(), func(seq events.Seq, b []byte) error {
		if want := log.records[seq-1].Bytes; string(b) != string(want) {
			return fmt.Errorf("record %d is %x, want %x", seq, b, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
