package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"sync"
	"time"

	"tallystick/commands"
	"tallystick/events"
)

// commander carries out commands for one merchant. A refused one comes with its receipt and a [*commands.Rejection].
type commander interface {
	Command(ctx context.Context, name string, body any) (commands.Receipt, error)
}

// caller is a connection of one merchant.
type caller interface {
	commander
	ReportUsage(ctx context.Context, body []byte) ([]commands.Receipt, error)
	Query(ctx context.Context, name string, args map[string]any, out any) error
}

// story is the demonstration under way.
type story struct {
	rows      []Row
	expected  []expectation
	start     time.Time // what the test clock shows first
	caller    caller    // the merchant's own key, over NATS
	operator  commander // may start a test clock in the past
	clock     string
	metrics   [2]string
	customers []party
}

// party is one customer, as the ledger knows it.
type party struct {
	name, customer, wallet, subscription string
}

type object = map[string]any

// must carries out commands until one fails, and remembers why.
type must struct {
	ctx context.Context
	err error
}

func (m *must) do(c commander, name string, body object) string {
	if m.err != nil {
		return ""
	}
	receipt, err := c.Command(m.ctx, name, body)
	if err != nil {
		m.err = fmt.Errorf("%s: %w", name, err)
	}
	return receipt.ID.String()
}

// catalogue makes what the merchant sells: an LLM API, metered in tokens in and out.
func (s *story) catalogue(ctx context.Context, merchant string) (plan string, err error) {
	m := &must{ctx: ctx}
	product := m.do(s.caller, "CreateProduct", object{
		"merchantId": merchant, "name": "LLM API", "description": "A large language model, by the token",
	})
	var prices []string
	for i, kind := range []struct{ name, price string }{{"Input tokens", "0.0000025"}, {"Output tokens", "0.00001"}} {
		s.metrics[i] = m.do(s.caller, "CreateMetric", object{
			"merchantId": merchant, "productId": product, "name": kind.name, "description": kind.name + " of the LLM API",
			"unit": "tokens", "aggregation": "SUM",
		})
		prices = append(prices, m.do(s.caller, "CreatePrice", object{
			"billableMetricId": s.metrics[i], "model": "standard", "paymentTerm": "instant",
			"invoiceDisplayName": kind.name, "properties": object{"unitPrice": kind.price},
		}))
	}
	plan = m.do(s.caller, "CreatePlan", object{
		"merchantId": merchant, "productId": product, "name": "Pay as you go", "currency": "USD",
		"billingCadence": "P1M", "prices": prices,
	})
	s.clock = m.do(s.operator, "CreateTestClock", object{"currentTime": s.start, "name": "demo", "merchantId": merchant})
	return plan, m.err
}

// subscribe makes every customer, with money in the wallet and a subscription.
func (s *story) subscribe(ctx context.Context, merchant, plan string) error {
	s.customers = make([]party, len(s.expected))
	return parallel(ctx, len(s.customers), func(i int) error {
		m := &must{ctx: ctx}
		p := &s.customers[i]
		p.name = customerName(i)
		p.customer = m.do(s.caller, "CreateCustomer", object{"merchantId": merchant, "consumer": object{
			"name": p.name, "email": fmt.Sprintf("billing-%d@example.com", i+1),
			"address": object{"country": "US", "state": "CA", "zipCode": "94105"},
		}})
		p.subscription = m.do(s.caller, "CreateSubscription", object{
			"customerId": p.customer, "planId": plan, "name": p.name + " - LLM API", "startedAt": s.start, "testClockId": s.clock,
		})
		if m.err != nil {
			return m.err
		}
		var sub struct {
			Wallet string `json:"walletId"`
		}
		if err := s.caller.Query(ctx, "Subscription", object{"subscriptionId": p.subscription}, &sub); err != nil {
			return err
		}
		p.wallet = sub.Wallet
		m.do(s.caller, "TopUp", object{
			"walletId": p.wallet, "amount": strconv.FormatInt(s.expected[i].topUp, 10), "method": "sandbox",
		})
		return m.err
	})
}

// customerName returns a name for the ith customer, from 0.
func customerName(i int) string {
	names := []string{
		"Acorn Analytics", "Birch Robotics", "Cedar Health", "Dogwood Games", "Elm Logistics",
		"Fir Finance", "Ginkgo Education", "Hazel Media", "Ivy Insurance", "Juniper Travel",
	}
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s %d", names[i%len(names)], i/len(names)+1)
}

// tally counts what became of published usage.
type tally struct {
	mu                   sync.Mutex // guards the fields below
	accepted, duplicates int
}

// publish sends every row as usage, in batches, several under way at once, and rows 0, 10, 20… a second time.
func (s *story) publish(ctx context.Context, merchant string, progress func(rows int)) (t *tally, err error) {
	const batch = 100
	var order []int
	for i := range s.rows {
		if s.rows[i].Input == 0 && s.rows[i].Output == 0 {
			continue // nothing was used
		}
		order = append(order, i)
		if i%10 == 0 {
			order = append(order, i)
		}
	}
	t = new(tally)
	err = parallel(ctx, (len(order)+batch-1)/batch, func(n int) error {
		part := order[n*batch : min((n+1)*batch, len(order))]
		receipts, err := s.caller.ReportUsage(ctx, s.usage(merchant, part))
		if err != nil {
			return err
		}
		if len(receipts) != len(part) {
			return fmt.Errorf("%d receipts for %d usage events: %+v", len(receipts), len(part), receipts[0])
		}
		progress(len(part))
		t.mu.Lock()
		defer t.mu.Unlock()
		for i, r := range receipts {
			switch r.Status {
			case commands.Accepted:
				t.accepted++
			case commands.Duplicate:
				t.duplicates++
			case commands.Rejected:
				return fmt.Errorf("row %d was refused: %s: %s", part[i], r.Code, r.Message)
			}
		}
		return nil
	})
	return t, err
}

// usage returns rows as a batch of usage events.
func (s *story) usage(merchant string, rows []int) []byte {
	list := make([]object, len(rows))
	for n, i := range rows {
		row := &s.rows[i]
		properties := make([]object, 0, 2)
		for k, tokens := range []int64{row.Input, row.Output} {
			if tokens > 0 {
				properties = append(properties, object{"billableMetricId": s.metrics[k], "quantity": tokens})
			}
		}
		list[n] = object{
			"customerId": s.customers[i%len(s.customers)].customer, "merchantId": merchant,
			"idempotencyKey": fmt.Sprintf("row-%d", i), "timestamp": row.At.Format(time.RFC3339Nano), "properties": properties,
		}
	}
	b, err := json.Marshal(object{"events": list})
	if err != nil {
		panic(err) // strings and numbers can be encoded
	}
	return b
}

// advance moves the test clock; what falls due on the way happens.
func (s *story) advance(ctx context.Context, to time.Time) error {
	if _, err := s.operator.Command(ctx, "AdvanceTestClock", object{"testClockId": s.clock, "currentTime": to}); err != nil {
		return fmt.Errorf("advancing the test clock to %s: %w", to, err)
	}
	return nil
}

// collect reads what the ledger says of every customer.
func (s *story) collect(ctx context.Context, f *Figures) error {
	f.Customers = make([]Customer, len(s.customers))
	return parallel(ctx, len(s.customers), func(i int) error {
		p, c := &s.customers[i], &f.Customers[i]
		c.CustomerID, c.Name = p.customer, p.name
		var usage struct {
			Totals []struct {
				Metric   string     `json:"billableMetricId"`
				Quantity events.Sum `json:"quantity"`
				Nanos    events.Sum `json:"amountNanos"`
			} `json:"totals"`
		}
		if err := s.caller.Query(ctx, "Usage", object{"customerId": p.customer}, &usage); err != nil {
			return err
		}
		total := new(big.Int)
		for _, t := range usage.Totals {
			total.Add(total, t.Nanos.Big())
			if t.Metric == s.metrics[0] {
				c.InputTokens = t.Quantity.Big().Int64()
			} else {
				c.OutputTokens = t.Quantity.Big().Int64()
			}
		}
		c.UsageTotal = dollars(total)
		invoiced, err := s.invoiced(ctx, p)
		if err != nil {
			return err
		}
		c.InvoiceTotal = dollars(invoiced)
		var wallet struct {
			Balance events.Sum `json:"balanceNanos"`
		}
		if err := s.caller.Query(ctx, "Wallet", object{"walletId": p.wallet}, &wallet); err != nil {
			return err
		}
		c.WalletBalance = dollars(wallet.Balance.Big())
		return nil
	})
}

// invoiced returns the sum of the totals of a customer's issued invoices.
func (s *story) invoiced(ctx context.Context, p *party) (*big.Int, error) {
	var invoices struct {
		Items []struct {
			Number uint64     `json:"sequenceNumber"`
			Total  events.Sum `json:"totalNanos"`
		} `json:"items"`
	}
	if err := s.caller.Query(ctx, "Invoices", object{"subscriptionId": p.subscription}, &invoices); err != nil {
		return nil, err
	}
	sum := new(big.Int)
	for _, inv := range invoices.Items {
		if inv.Number != 0 {
			sum.Add(sum, inv.Total.Big())
		}
	}
	return sum, nil
}

// parallel calls fn for 0 to n-1, some at once, until one fails.
func parallel(ctx context.Context, n int, fn func(i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(n, 16) {
		workers.Go(func() {
			for i := range next {
				if err := fn(i); err != nil {
					cancel(err)
				}
			}
		})
	}
feed:
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}
