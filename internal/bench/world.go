package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/server"
)

// world is the parties that a measurement bills: merchants with one metric each, and customers with a wallet and a
// subscription each.
type world struct {
	s         *server.Server
	merchants []seller
}

type seller struct {
	id        events.OrganizationID
	metric    events.MetricID
	plan      events.PlanID
	customers []events.CustomerID
	reserved  []events.ReservationID // of each customer, that pays its usage; none in a plain trade
	clock     events.TestClockID     // that its subscriptions are on; zero for none
}

// trade says how the merchants of a world sell.
type trade struct {
	term    events.Term
	rich    bool // with tax, a platform's fee, and reservations that pay
	clocked bool // on a test clock
	first   int  // number of the first merchant: the worlds of one ledger need different ones
}

var usd = events.Currency{'U', 'S', 'D'}

// build makes merchants with customers each, the wallets filled. Commands go to the sequencer directly, many to a call.
func build(ctx context.Context, s *server.Server, merchants, customers int, t trade) (*world, error) {
	w := &world{s: s, merchants: make([]seller, merchants)}
	for i := range w.merchants {
		if err := w.merchant(ctx, &w.merchants[i], t.first+i, t); err != nil {
			return nil, err
		}
		if err := w.subscribe(ctx, &w.merchants[i], t.first+i, customers); err != nil {
			return nil, err
		}
		if t.rich {
			if err := w.reserve(ctx, &w.merchants[i]); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

func (w *world) merchant(ctx context.Context, m *seller, i int, t trade) error {
	do := func(cmd commands.Command) (commands.Ref, error) {
		r, err := w.s.Sequencer.Do(ctx, commands.Request{Command: cmd, Merchant: m.id, Operator: true, Actor: operator})
		if err == nil && r.Status != commands.Accepted {
			err = fmt.Errorf("%T: %s: %s", cmd, r.Code, r.Message)
		}
		return r.ID, err
	}
	settings, tax := events.Settings{ManagedPrepaid: true}, events.TaxRate(0)
	if t.rich {
		settings.FeeBasisPoints, tax = 250, 887_500
	}
	id, err := do(commands.CreateMerchant{Profile: events.Profile{Name: "Merchant " + strconv.Itoa(i)}, Settings: settings, Currency: usd})
	if err != nil {
		return err
	}
	if m.id, err = events.ParseID[events.OrganizationNoun](id.String()); err != nil {
		return err
	}
	if id, err = do(commands.CreateProduct{Name: "API", Description: "API"}); err != nil {
		return err
	}
	product, err := events.ParseID[events.ProductNoun](id.String())
	if err != nil {
		return err
	}
	if id, err = do(commands.CreateMetric{Product: product, Name: "Tokens", Description: "Tokens", Unit: "tokens", Aggregation: events.AggregateSum}); err != nil {
		return err
	}
	if m.metric, err = events.ParseID[events.MetricNoun](id.String()); err != nil {
		return err
	}
	if id, err = do(commands.CreatePrice{Metric: m.metric, Model: events.Standard, Term: t.term, DisplayName: "Tokens", UnitPrice: 2500}); err != nil {
		return err
	}
	price, err := events.ParseID[events.PriceNoun](id.String())
	if err != nil {
		return err
	}
	if id, err = do(commands.CreatePlan{
		Product: product, Name: "Plan", Currency: usd, Cadence: events.Monthly, Prices: []events.PriceID{price}, TaxRate: tax,
	}); err != nil {
		return err
	}
	if m.plan, err = events.ParseID[events.PlanNoun](id.String()); err != nil || !t.clocked {
		return err
	}
	now, _ := events.TimeOf(w.s.Now())
	if id, err = do(commands.CreateTestClock{Now: now, Name: "bench"}); err != nil {
		return err
	}
	m.clock, err = events.ParseTestClockID(id.String())
	return err
}

var operator = events.Actor{Kind: events.ActorOperator}

// subscribe makes n customers of a merchant. All that it needs of the ledger's answers is the customers' ids.
func (w *world) subscribe(ctx context.Context, m *seller, which, n int) error {
	now, _ := events.TimeOf(w.s.Now())
	requests := make([]commands.Request, n)
	for i := range requests {
		consumer := consumerID(which, i)
		requests[i] = w.request(m, commands.CreateCustomer{
			Candidate: consumer, Email: events.Digest(consumer), Profile: sealed(consumer),
		})
	}
	receipts, err := w.call(ctx, requests)
	if err != nil {
		return err
	}
	m.customers = make([]events.CustomerID, n)
	for i, r := range receipts {
		if m.customers[i], err = events.ParseID[events.CustomerNoun](r.ID.String()); err != nil {
			return err
		}
		requests[i] = w.request(m, commands.CreateSubscription{
			Customer: m.customers[i], Plan: m.plan, Name: sealed(consumerID(which, i)), StartedAt: now, Clock: m.clock,
		})
	}
	if _, err := w.call(ctx, requests); err != nil {
		return err
	}
	return w.topUp(ctx, m, n)
}

// reserve sets money aside for each customer of a merchant, enough for all that is measured.
func (w *world) reserve(ctx context.Context, m *seller) error {
	requests := make([]commands.Request, len(m.customers))
	for i := range requests {
		requests[i] = w.request(m, commands.CreateEntitlement{
			Customer: m.customers[i], Data: []commands.UsageProperty{{Metric: m.metric, Quantity: 4_000_000}}, MaxUses: 1000,
		})
	}
	receipts, err := w.call(ctx, requests)
	if err != nil {
		return err
	}
	m.reserved = make([]events.ReservationID, len(receipts))
	for i, r := range receipts {
		if m.reserved[i], err = events.ParseID[events.ReservationNoun](r.ID.String()); err != nil {
			return err
		}
	}
	return nil
}

// topUp fills the wallets that customers of a merchant got with their subscriptions.
func (w *world) topUp(ctx context.Context, m *seller, n int) error {
	if err := w.s.Views.WaitFor(ctx, w.s.Sequencer.Applied()); err != nil {
		return err
	}
	wallets, err := w.s.Wallets(ctx, m.customers)
	if err != nil {
		return err
	}
	requests := make([]commands.Request, n)
	for i := range requests {
		requests[i] = w.request(m, commands.TopUp{Wallet: wallets[i], Amount: 1_000_000 * events.NanosPerUnit, Method: "sandbox"})
	}
	_, err = w.call(ctx, requests)
	return err
}

func (w *world) request(m *seller, cmd commands.Command) commands.Request {
	return commands.Request{Command: cmd, Merchant: m.id, Operator: true, Actor: operator}
}

// call carries out requests, many together, and fails unless all are accepted.
func (w *world) call(ctx context.Context, requests []commands.Request) (receipts []commands.Receipt, err error) {
	const together = 10_000 // the queue holds some more
	for some := range slices.Chunk(requests, together) {
		done := make(chan []commands.Receipt, 1)
		if err := w.s.Sequencer.Submit(&commands.Call{Requests: some, Done: func(rs []commands.Receipt) { done <- rs }}); err != nil {
			return nil, err
		}
		select {
		case got := <-done:
			for i := range got {
				if r := &got[i]; r.Status != commands.Accepted {
					return nil, fmt.Errorf("%T: %s: %s", some[i].Command, r.Code, r.Message)
				}
			}
			receipts = append(receipts, got...)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return receipts, nil
}

// consumerID returns an identity that no other consumer of the world has.
func consumerID(merchant, i int) (id events.OrganizationID) {
	copy(id[:], fmt.Sprintf("%07d%09d", merchant, i))
	return id
}

// sealed stands for personal data: the measurements have none, and read none.
func sealed(consumer events.OrganizationID) events.Sealed {
	return events.Sealed{Key: consumer, Box: []byte("nobody lives here; 40 bytes, as a name..")}
}

// preload records n usage events by the sequencer directly, with random keys: the fast way to a large ledger.
func (w *world) preload(ctx context.Context, n int, progress func(done int)) error {
	const batch, inFlight = 1000, 8
	rnd := rand.New(rand.NewPCG(11, 13))
	slots := make(chan error, inFlight)
	for range inFlight {
		slots <- nil
	}
	now, _ := events.TimeOf(w.s.Now())
	for done := 0; done < n; done += batch {
		size := min(batch, n-done)
		keys := randomKeys(size)
		requests := make([]commands.Request, size)
		for i := range requests {
			m := &w.merchants[rnd.IntN(len(w.merchants))]
			requests[i] = w.request(m, &commands.ReportUsage{
				Customer: m.customers[rnd.IntN(len(m.customers))], HappenedAt: now.Add(time.Duration(done+i) * time.Microsecond),
				Properties: []commands.UsageProperty{{Metric: m.metric, Quantity: 1 + rnd.Int64N(2000)}},
			})
			requests[i].Key = keys[i]
			copy(requests[i].Content[:], keys[i])
		}
		select {
		case err := <-slots:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		err := w.s.Sequencer.Submit(&commands.Call{Requests: requests, Done: func(rs []commands.Receipt) { slots <- refused(rs) }})
		if err != nil {
			return err
		}
		progress(done + size)
	}
	for range inFlight {
		if err := <-slots; err != nil {
			return err
		}
	}
	return nil
}

// refused returns an error if a receipt is not an acceptance.
func refused(rs []commands.Receipt) error {
	for i := range rs {
		if rs[i].Status != commands.Accepted {
			return fmt.Errorf("usage was refused: %s: %s", rs[i].Code, rs[i].Message)
		}
	}
	return nil
}
