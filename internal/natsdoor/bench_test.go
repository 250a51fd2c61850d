package natsdoor_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/natsdoor"

	"github.com/nats-io/nats.go"
)

// accepting is a sequencer that accepts everything at once, on a goroutine of its own: what is left is the cost of the door.
type accepting struct{ calls chan *commands.Call }

func (a accepting) Submit(call *commands.Call) error {
	a.calls <- call
	return nil
}

func (a accepting) run() {
	amount, balance := events.SumOf(3_000_000_000), events.SumOf(97_000_000_000)
	id := commands.ReceiptOf(&events.Record{Event: events.KeyRevoked{Key: events.KeyID{1}}}).ID
	one := commands.Receipt{
		Status: commands.Accepted, Seq: 123456, ID: id, Currency: events.Currency{'U', 'S', 'D'}, Amount: &amount, Balance: &balance,
	}
	var answered []commands.Receipt
	for call := range a.calls {
		for len(answered) < len(call.Requests) {
			answered = append(answered, one)
		}
		call.Done(answered[:len(call.Requests)])
	}
}

// BenchmarkRequests measures usage by request from the client to its receipt, server and client included. One op is one
// usage event. "door" has a sequencer that accepts everything, "ledger" the real one with its log on disk, "echo" answers
// the same number of bytes and does nothing else.
func BenchmarkRequests(b *testing.B) {
	for _, size := range []int{1, 100} {
		for _, what := range []string{"echo", "door", "ledger"} {
			b.Run(fmt.Sprintf("%s/batch=%d", what, size), func(b *testing.B) { benchmarkRequests(b, what, size) })
		}
	}
}

func benchmarkRequests(b *testing.B, what string, size int) {
	seq := accepting{make(chan *commands.Call, 4096)}
	go seq.run()
	defer close(seq.calls)
	w := open(b)
	w.found()
	w.merchant.do("TopUp", `{"walletId":"%s","amount":"9000000000","method":"sandbox"}`, w.wallet)
	subject := "tally.cmd." + w.merchantID + ".ReportUsage"
	switch what {
	case "door":
		w.replaceDoor(seq)
	case "echo":
		subject = "echo"
		answer := []byte(strings.Repeat("x", 150*size))
		if _, err := w.conn.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond(answer) }); err != nil {
			b.Fatal(err)
		}
		if err := w.conn.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	window := make(chan struct{}, max(2000/size, 20))
	var refused atomic.Int64
	inbox := w.merchant.nc.NewInbox()
	sub, err := w.merchant.nc.Subscribe(inbox, func(m *nats.Msg) {
		if what != "echo" && !strings.Contains(string(m.Data[:min(len(m.Data), 60)]), `"accepted"`) {
			refused.Add(1)
		}
		<-window
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		b.Fatal(err)
	}
	bodies := w.bodies(b.N, size)
	b.ResetTimer()
	before := cpu()
	for _, body := range bodies {
		window <- struct{}{}
		if err := w.merchant.nc.PublishMsg(&nats.Msg{Subject: subject, Reply: inbox, Data: body}); err != nil {
			b.Fatal(err)
		}
	}
	for range cap(window) {
		window <- struct{}{}
	}
	b.StopTimer()
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "usage/s")
	if n := refused.Load(); n > 0 {
		b.Fatalf("%d requests were refused", n)
	}
}

// bodies returns requests with n usage events.
func (w *world) bodies(n, size int) (bodies [][]byte) {
	for i := 0; i < n; i += size {
		var entries []string
		for j := i; j < i+size; j++ {
			entries = append(entries, w.usage(fmt.Sprintf("key-%012d", j), 1))
		}
		body := entries[0]
		if size > 1 {
			body = `{"events":[` + strings.Join(entries, ",") + `]}`
		}
		bodies = append(bodies, []byte(body))
	}
	return bodies
}

// cpu returns the processor time of this process so far, in nanoseconds.
func cpu() int64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}

var _ natsdoor.Sequencer = accepting{}
