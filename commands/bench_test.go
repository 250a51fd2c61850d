package commands

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"testing"

	"tallystick/events"
	"tallystick/projections"
)

// nowhere is a log that keeps nothing and knows of no key.
type nowhere struct{}

func (nowhere) Append([]events.Record) error { return nil }

func (nowhere) Lookup(events.DedupeKey) (events.Record, bool, error) {
	return events.Record{}, false, nil
}

func (nowhere) WaitDurable(context.Context, events.Seq) error { return nil }

// market is a ledger of many merchants with many customers, for benchmarks.
type market struct {
	seq       *Sequencer
	customers []events.CustomerID
	merchants []events.OrganizationID // of the customers
	metrics   [][]events.MetricID     // of the customers
}

// newMarket makes a ledger whose plans have so many prices.
func newMarket(tb testing.TB, merchants, customers, prices int) *market {
	m := &market{seq: NewSequencer(Options{
		Books: projections.NewBooks(projections.ForRules), Log: nowhere{}, Ledger: events.LedgerID{1},
		Clock: begin.Std, Seed: func() uint64 { return 42 }, Logger: quiet(),
	})}
	if err := m.seq.Genesis(events.LedgerOpened{Environment: events.Sandbox}); err != nil {
		tb.Fatal(err)
	}
	do := func(r Request) Ref {
		tb.Helper()
		call := &Call{Requests: []Request{r}}
		m.seq.turn(call)
		if <-m.seq.answers; call.receipts[0].Status != Accepted {
			tb.Fatalf("%T is refused: %s", r.Command, call.receipts[0].Message)
		}
		return call.receipts[0].ID
	}
	for i := range merchants {
		org := events.OrganizationID(do(Request{Operator: true, Command: CreateMerchant{Profile: events.Profile{Name: "m"}, Settings: seller, Currency: usd}}).id)
		product := do(Request{Merchant: org, Command: CreateProduct{Name: "p", Description: "d"}}).id
		card := CreatePlan{Product: product, Name: "n", Currency: usd, Cadence: events.Monthly}
		var metrics []events.MetricID
		for range prices {
			metric := do(Request{Merchant: org, Command: CreateMetric{Product: product, Name: "n", Description: "d", Unit: "u", Aggregation: events.AggregateSum}}).id
			metrics = append(metrics, metric)
			card.Prices = append(card.Prices, do(Request{Merchant: org, Command: CreatePrice{
				Metric: metric, Model: events.Standard, Term: events.Instant, DisplayName: "n", UnitPrice: 2500,
			}}).id)
		}
		plan := do(Request{Merchant: org, Command: card}).id
		for j := range customers / merchants {
			name := fmt.Sprint(i, "-", j)
			id := do(Request{Merchant: org, Command: CreateCustomer{Candidate: orgOf(name), Email: digestOf(name), Profile: sealedFor(orgOf(name), "n")}}).id
			wallet := m.seq.books.Consumers.Get(orgOf(name)).Wallets[0].Wallet
			do(Request{Merchant: org, Command: TopUp{Wallet: wallet, Amount: 1e18, Method: "sandbox"}})
			do(Request{Merchant: org, Command: CreateSubscription{Customer: id, Plan: plan, StartedAt: m.seq.now}})
			m.customers, m.merchants, m.metrics = append(m.customers, id), append(m.merchants, org), append(m.metrics, metrics)
		}
	}
	return m
}

// calls returns n calls of 100 reports of usage each, as a door makes them, with keys of 16 bytes. In rounds 0, 1, 2…
// customers come one after another, in an order that no memory foresees.
func (m *market) calls(n, round int) []*Call {
	calls := make([]*Call, n)
	for i := range calls {
		requests := make([]Request, 100)
		commands := make([]ReportUsage, len(requests))
		for j := range requests {
			k := (((round*n+i)*len(requests) + j) * 7919) % len(m.customers)
			properties := make([]UsageProperty, len(m.metrics[k]))
			for l, metric := range m.metrics[k] {
				properties[l] = UsageProperty{Metric: metric, Quantity: int64(j + 1)}
			}
			commands[j] = ReportUsage{Customer: m.customers[k], HappenedAt: begin, Properties: properties}
			requests[j] = Request{
				Command: &commands[j], Merchant: m.merchants[k], Actor: events.Actor{Kind: events.ActorKey, ID: [16]byte{1}},
				Key: fmt.Sprintf("%08x%08x", round, i*len(requests)+j), Content: events.Digest{1, byte(j)},
			}
		}
		calls[i] = &Call{Requests: requests}
	}
	return calls
}

// cpuNanos returns how much processor time the process has used, which other processes do not disturb.
func cpuNanos() int64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}

// BenchmarkSequencer carries out batches of 100 reports of usage by 10,000 customers of 100 merchants, all included: decide,
// encode, hash, evolve and receipt, without a disk. One op is one usage event.
func BenchmarkSequencer(b *testing.B) {
	for _, bb := range []struct{ lines, customers int }{{1, 100}, {1, 10_000}, {2, 10_000}} {
		b.Run(fmt.Sprintf("lines=%d/customers=%d", bb.lines, bb.customers), func(b *testing.B) {
			m := newMarket(b, 100, bb.customers, bb.lines)
			m.seq.complete = true
			const perRound = 20
			b.ReportAllocs()
			var calls []*Call
			left, round := 0, 0
			var used int64
			for b.Loop() {
				if left > 0 {
					left--
					continue
				}
				b.StopTimer()
				calls = m.calls(perRound, round)
				round++
				b.StartTimer()
				used -= cpuNanos()
				for _, call := range calls {
					m.seq.turn(call)
					<-m.seq.answers
				}
				used += cpuNanos()
				b.StopTimer()
				for _, call := range calls {
					for i := range call.receipts {
						if call.receipts[i].Status != Accepted {
							b.Fatal(call.receipts[i].Message)
						}
					}
				}
				b.StartTimer()
				left = perRound*100 - 1
			}
			b.ReportMetric(float64(used)/float64(round*perRound*100), "cpu-ns/usage")
		})
	}
}

// BenchmarkWorkingState makes 100,000 customers, each with a wallet, money and a subscription, and measures what the sequencer keeps of
// one. All of it is in memory: nothing was taken from a store that could be read again.
func BenchmarkWorkingState(b *testing.B) {
	const customers = 100_000
	for b.Loop() {
		empty := liveHeap()
		m := newMarket(b, 100, customers, 1)
		m.customers, m.merchants, m.metrics = nil, nil, nil
		b.ReportMetric(float64(liveHeap()-empty)/customers, "heap-B/customer")
		runtime.KeepAlive(m)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
