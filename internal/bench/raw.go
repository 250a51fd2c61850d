package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// rawServer starts a bare NATS server with JetStream on a free loopback port, as the raw limits need it.
func rawServer(dir string) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, fmt.Errorf("the bare NATS server did not start")
	}
	return s, nil
}

// RawPublish returns how many messages a second JetStream takes by asynchronous publishing, each with
// its expected last sequence as a header, until the last acknowledgement.
func RawPublish(ctx context.Context, dir string, messages [][]byte, subjects []string, clock func() time.Time) (perSecond float64, err error) {
	s, err := rawServer(dir)
	if err != nil {
		return 0, err
	}
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(16<<10))
	if err != nil {
		return 0, err
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "RAW", Subjects: []string{"tally.ledger.>"}}); err != nil {
		return 0, err
	}
	start := clock()
	var last jetstream.PubAckFuture
	for i, m := range messages {
		msg := &nats.Msg{Subject: subjects[i%len(subjects)], Data: m, Header: nats.Header{
			jetstream.ExpectedLastSeqHeader: []string{strconv.Itoa(i)},
		}}
		if last, err = js.PublishMsgAsync(msg, jetstream.WithStallWait(time.Minute)); err != nil {
			return 0, err
		}
	}
	select {
	case <-last.Ok():
	case err := <-last.Err():
		return 0, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	<-js.PublishAsyncComplete()
	return float64(len(messages)) / clock().Sub(start).Seconds(), nil
}

// Load is a closed loop of requests: always inFlight of them under way, until all are answered.
type Load struct {
	Requests int
	InFlight int
	Send     func(worker, request int) error // returns when the answer is there
}

// Run runs the load and returns its duration and the latency of each request, sorted.
func (l Load) Run(clock func() time.Time) (time.Duration, []time.Duration, error) {
	latencies := make([]time.Duration, l.Requests)
	var next struct {
		sync.Mutex
		n   int
		err error
	}
	start := clock()
	var workers sync.WaitGroup
	for w := range l.InFlight {
		workers.Go(func() {
			for {
				next.Lock()
				i := next.n
				next.n++
				stop := next.err != nil || i >= l.Requests
				next.Unlock()
				if stop {
					return
				}
				sent := clock()
				if err := l.Send(w, i); err != nil {
					next.Lock()
					next.err = err
					next.Unlock()
					return
				}
				latencies[i] = clock().Sub(sent)
			}
		})
	}
	workers.Wait()
	took := clock().Sub(start)
	slices.Sort(latencies)
	return took, latencies, next.err
}

// quantile returns the latency below which a part q of the sorted latencies lie.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// RawEcho returns how many requests a second a bare NATS echo service answers, over as many connections as given.
func RawEcho(payload []byte, requests, inFlight, connections int, clock func() time.Time) (perSecond float64, err error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		return 0, err
	}
	s.Start()
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	if !s.ReadyForConnections(10 * time.Second) {
		return 0, fmt.Errorf("the bare NATS server did not start")
	}
	echo, err := nats.Connect(s.ClientURL())
	if err != nil {
		return 0, err
	}
	defer echo.Close()
	if _, err := echo.Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
		return 0, err
	}
	if err := echo.Flush(); err != nil {
		return 0, err
	}
	clients := make([]*nats.Conn, connections)
	for i := range clients {
		if clients[i], err = nats.Connect(s.ClientURL()); err != nil {
			return 0, err
		}
		defer clients[i].Close()
	}
	took, _, err := Load{requests, inFlight, func(_, i int) error {
		_, err := clients[i%connections].Request("echo", payload, 30*time.Second)
		return err
	}}.Run(clock)
	return float64(requests) / took.Seconds(), err
}

// RawSync returns the median time that the disk takes to make a small write durable.
func RawSync(dir string, times int, clock func() time.Time) (median time.Duration, err error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return 0, err
	}
	defer func() { f.Close(); os.Remove(f.Name()) }()
	block := make([]byte, 4096)
	took := make([]time.Duration, times)
	for i := range took {
		start := clock()
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took[i] = clock().Sub(start)
	}
	slices.Sort(took)
	return quantile(took, 0.5), nil
}

// RawBatches returns how many records a second Pebble takes in synced batches of 1,000, and how many
// it then scans.
func RawBatches(dir string, record []byte, records int, clock func() time.Time) (written, scanned float64, err error) {
	db, err := pebble.Open(dir, &pebble.Options{Logger: quiet{}, MemTableSize: 64 << 20, FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if e := db.Close(); err == nil {
			err = e
		}
	}()
	start := clock()
	var key [8]byte
	for i := 0; i < records; {
		b := db.NewBatch()
		for range min(1000, records-i) {
			binary.BigEndian.PutUint64(key[:], uint64(i))
			if err := b.Set(key[:], record, nil); err != nil {
				return 0, 0, err
			}
			i++
		}
		if err := b.Commit(pebble.Sync); err != nil {
			return 0, 0, err
		}
	}
	written = float64(records) / clock().Sub(start).Seconds()
	if err := db.Flush(); err != nil {
		return 0, 0, err
	}
	scanned, err = rawScan(db, clock)
	return written, scanned, err
}

func rawScan(db *pebble.DB, clock func() time.Time) (perSecond float64, err error) {
	start := clock()
	it, err := db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	n, bytes := 0, 0
	for it.First(); it.Valid(); it.Next() {
		n++
		bytes += len(it.Value())
	}
	if err := it.Close(); err != nil {
		return 0, err
	}
	return float64(n) / clock().Sub(start).Seconds(), nil
}

// quiet drops what Pebble logs; a measurement that fails returns its error.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("pebble: "+format, args...))
}

// randomKeys returns n idempotency keys of 16 characters, in no order.
func randomKeys(n int) []string {
	const letters = "0123456789abcdefghijklmnopqrstuv"
	raw := make([]byte, 16*n)
	if _, err := rand.Read(raw); err != nil {
		panic(err) // the system has no randomness
	}
	for i := range raw {
		raw[i] = letters[raw[i]&31]
	}
	keys := make([]string, n)
	for i := range keys {
		keys[i] = string(raw[16*i : 16*i+16])
	}
	return keys
}
