package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/client"
	"tallystick/internal/natsbus"
	"tallystick/internal/server"
	"tallystick/internal/wire"
)

// Options say what is demonstrated.
type Options struct {
	Dir       string // an empty directory, or one that does not exist
	Rows      []Row  // at least one
	Customers int    // at least 1
	Clock     func() time.Time
	// Tell is given the story as it goes, for people.
	Tell func(format string, args ...any)
}

// Run runs the demonstration. It returns an error if something fails, and figures that are not
// [Figures.OK] if something does not add up.
func Run(ctx context.Context, o Options) (f *Figures, err error) {
	if len(o.Rows) == 0 || o.Customers < 1 {
		return nil, errors.New("a demonstration needs at least one row and one customer")
	}
	began := o.Clock()
	s, err := server.Open(ctx, server.Config{Dir: o.Dir, Create: true, Environment: events.Sandbox, Clock: o.Clock})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	if err := s.Serve(ctx, server.Doors{NATS: natsbus.Options{Listen: "127.0.0.1:0"}}); err != nil {
		return nil, err
	}
	f = new(Figures)
	if err := tell(ctx, s, o, f); err != nil {
		return nil, err
	}
	f.Seconds = o.Clock().Sub(began).Seconds()
	return f, nil
}

// tell goes through the story, step by step.
func tell(ctx context.Context, s *server.Server, o Options, f *Figures) error {
	st := &story{rows: o.Rows, expected: expect(o.Rows, o.Customers), start: first(o.Rows).Truncate(time.Hour)}
	merchant, caller, err := seller(ctx, s)
	if err != nil {
		return err
	}
	defer caller.Close()
	st.caller, st.operator = caller, asOperator{s, merchant}
	plan, err := st.catalogue(ctx, merchant.String())
	if err != nil {
		return err
	}
	o.Tell("A merchant sells an LLM API: input tokens at $2.50 a million, output tokens at $10 a million, paid as they are used.\n")
	if err := st.subscribe(ctx, merchant.String(), plan); err != nil {
		return err
	}
	o.Tell("%d customers have subscribed and put money in their wallets.\n", o.Customers)
	if err := st.advance(ctx, last(o.Rows).Add(time.Second)); err != nil {
		return err
	}
	sent := o.Clock()
	t, err := st.publish(ctx, merchant.String(), func(int) {})
	if err != nil {
		return fmt.Errorf("publishing usage: %w", err)
	}
	f.UsageAccepted, f.Duplicates = t.accepted, t.duplicates
	f.UsagePerSecond = float64(t.accepted) / o.Clock().Sub(sent).Seconds()
	o.Tell("%d requests were reported over NATS and billed at once, %.0f a second. %d of them came a second time, and were billed once.\n",
		t.accepted, f.UsagePerSecond, t.duplicates)
	if err := st.advance(ctx, st.start.AddDate(0, 1, 2)); err != nil {
		return err
	}
	caller.Saw(s.Sequencer.Applied())
	if err := st.collect(ctx, f); err != nil {
		return err
	}
	if f.MerchantWallet, err = earned(ctx, caller); err != nil {
		return err
	}
	f.compare(st.expected)
	o.Tell("The month is over: every customer has an invoice.\n\n")
	f.table(o.Tell)
	return audit(ctx, s, o, f)
}

// audit verifies everything, makes the views again, and looks at the tree.
func audit(ctx context.Context, s *server.Server, o Options, f *Figures) error {
	if err := s.WaitPublished(ctx, s.Sequencer.Applied()); err != nil {
		return fmt.Errorf("waiting for the stream: %w", err)
	}
	c, _, err := s.SignCheckpoint()
	if err != nil {
		return err
	}
	f.Ledger = LedgerFigures{c.Size, c.Root}
	report, err := s.Target().Verify(ctx, nil)
	if err != nil {
		return fmt.Errorf("verifying: %w", err)
	}
	f.Verify = "ok"
	if !report.OK {
		f.Verify = report.Problem()
	}
	rebuilt, err := s.Target().Rebuild(ctx, false, nil)
	if err != nil {
		return fmt.Errorf("rebuilding: %w", err)
	}
	f.Rebuild = "identical"
	if !rebuilt.Identical {
		f.Rebuild = rebuilt.Difference
	}
	o.Tell("\nVerified: %s. Every view thrown away and made again from %d records: %s.\n", f.Verify, f.Ledger.Size, f.Rebuild)
	o.Tell("The tree over all records has the root %s\n", f.Ledger.Root)
	for _, m := range f.Mismatches {
		o.Tell("MISMATCH: %s\n", m)
	}
	return nil
}

// seller makes the merchant and a key of its own, and connects with it.
func seller(ctx context.Context, s *server.Server) (merchant events.OrganizationID, c *client.Client, err error) {
	op := asOperator{s: s}
	receipt, err := op.Command(ctx, "CreateMerchant", object{
		"profile": object{"name": "Example Models, Inc."}, "currency": "USD", "settings": object{"managedPrepaid": true},
	})
	if err != nil {
		return merchant, nil, fmt.Errorf("making the merchant: %w", err)
	}
	if merchant, err = events.ParseID[events.OrganizationNoun](receipt.ID.String()); err != nil {
		return merchant, nil, err
	}
	op.merchant = merchant
	answer, err := op.send(ctx, "CreateKey", object{"role": "merchant", "name": "demo"})
	if err != nil {
		return merchant, nil, err
	}
	var key struct {
		ID      string `json:"id"`
		Secret  string `json:"secret"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(answer, &key); err != nil || key.Secret == "" {
		return merchant, nil, fmt.Errorf("making a key: %s: %w", key.Message, err)
	}
	c, err = client.Connect(s.NATSURL(), client.Options{
		Key: key.Secret, Inbox: "_INBOX_" + key.ID, Scope: merchant.String(),
	})
	return merchant, c, err
}

// asOperator carries out commands for a merchant as the operator, in this process.
type asOperator struct {
	s        *server.Server
	merchant events.OrganizationID
}

func (a asOperator) send(ctx context.Context, name string, body any) ([]byte, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return a.s.Command(ctx, wire.Who{Role: events.OperatorKey}, a.merchant, name, data)
}

// Command carries out a command.
func (a asOperator) Command(ctx context.Context, name string, body any) (r commands.Receipt, err error) {
	answer, err := a.send(ctx, name, body)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(answer, &r); err != nil {
		return r, err
	}
	if r.Status == commands.Rejected {
		err = &commands.Rejection{Code: r.Code, Message: r.Message}
	}
	return r, err
}

// earned returns what is in the merchant's wallet.
func earned(ctx context.Context, c *client.Client) (string, error) {
	var wallet struct {
		Balance events.Sum `json:"balanceNanos"`
	}
	if err := c.Query(ctx, "MerchantWallet", nil, &wallet); err != nil {
		return "", fmt.Errorf("reading the merchant's wallet: %w", err)
	}
	return wallet.Balance.String(), nil
}

// table prints the customers.
func (f *Figures) table(tell func(string, ...any)) {
	tell("%-24s %14s %14s %16s %16s %16s\n", "customer", "tokens in", "tokens out", "used", "invoiced", "left in wallet")
	for i := range f.Customers {
		c := &f.Customers[i]
		tell("%-24s %14d %14d %16s %16s %16s\n", c.Name, c.InputTokens, c.OutputTokens, "$"+c.UsageTotal, "$"+c.InvoiceTotal, "$"+c.WalletBalance)
	}
	tell("\nThe merchant has earned $%s.\n", f.MerchantWallet)
}

func first(rows []Row) time.Time {
	at := rows[0].At
	for i := range rows {
		if rows[i].At.Before(at) {
			at = rows[i].At
		}
	}
	return at
}

func last(rows []Row) time.Time {
	at := rows[0].At
	for i := range rows {
		if rows[i].At.After(at) {
			at = rows[i].At
		}
	}
	return at
}
