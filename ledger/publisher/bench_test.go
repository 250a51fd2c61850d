package publisher

import (
	"encoding/binary"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
)

// usage makes n records of about 330 bytes as usage leaves them, of 100 merchants.
func usage(n int) []events.Record {
	records := make([]events.Record, n)
	usd := events.Currency{'U', 'S', 'D'}
	for i := range records {
		env := events.Envelope{
			Seq: events.Seq(i + 1), Ledger: testLedger, RecordedAt: events.Time(1.7e18), At: events.Time(1.7e18),
			Merchant: events.OrganizationID{0: 1, 14: byte(i % 100), 15: 1},
			Actor:    events.Actor{Kind: events.ActorKey, ID: [16]byte{15: 1}}, Key: "0123456789abcdef", Content: events.Digest{1},
		}
		binary.BigEndian.PutUint64(env.Command[:], uint64(i+1))
		rec, err := events.NewRecord(env, &events.UsageReported{
			Customer: events.CustomerID{1}, Subscription: events.SubscriptionID{1}, Wallet: events.WalletID{1},
			HappenedAt: events.Time(1.7e18), Period: 1, Currency: usd,
			Lines: []events.UsageLine{{Metric: events.MetricID{1}, Quantity: 100, Price: events.PriceID{1}, Revision: 1, Nanos: 250_000}},
		})
		if err != nil {
			panic(err)
		}
		records[i] = rec
	}
	return records
}

func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// meter reports the CPU and the bytes of one op, which is one record.
func meter(b *testing.B, records []events.Record) func() {
	b.SetBytes(int64(len(records[0].Bytes)))
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	return func() {
		b.StopTimer()
		b.ReportMetric(float64(cpu()-before)/1000/float64(b.N), "cpu-µs/op")
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	}
}

// BenchmarkPublisher publishes b.N records that are at hand, until the last is
// acknowledged. One op is one record; the CPU is that of the publisher and the
// server together. Run it with -benchtime=300000x: the records are made before.
func BenchmarkPublisher(b *testing.B) {
	run := func(b *testing.B, async, library bool) {
		s := natsServer(b, b.TempDir())
		js := connect(b, s)
		target := &Stream{JetStream: js, Async: async, Dialer: pipeDialer(func() *server.Server { return s })}
		if library {
			target.Dialer = libraryDialer(s)
		}
		records := usage(b.N)
		log := &memLog{raised: make(chan struct{}), records: records}
		p := New(Options{Log: log, Follow: log.follow, Target: target})
		done := meter(b, records)
		start(b, p)
		waitPublished(b, p, events.Seq(b.N))
		done()
	}
	b.Run("own wire", func(b *testing.B) { run(b, true, false) })
	b.Run("own wire, default persistence", func(b *testing.B) { run(b, false, false) })
	b.Run("library wire", func(b *testing.B) { run(b, true, true) })
}

// BenchmarkRaw is the limit to compare with: the library's PublishMsgAsync of the same
// bytes with the same header, each acknowledged. One op is one record.
func BenchmarkRaw(b *testing.B) {
	s := natsServer(b, b.TempDir())
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.Token("secret"))
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(16<<10))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: StreamName, Subjects: []string{Public + ".>"}}); err != nil {
		b.Fatal(err)
	}
	records := usage(b.N)
	subjects := make([]string, 100)
	for i := range subjects {
		subjects[i] = subject(&records[i%b.N])
	}
	done := meter(b, records)
	for i := range records {
		msg := &nats.Msg{Subject: subjects[i%100], Data: records[i].Bytes, Header: nats.Header{
			jetstream.ExpectedLastSeqHeader: []string{strconv.Itoa(i)},
		}}
		if _, err := js.PublishMsgAsync(msg, jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	done()
}
