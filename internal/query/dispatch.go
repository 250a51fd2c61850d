package query

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"tallystick/commands"
	"tallystick/internal/wire"
)

// Names returns the names of all queries.
func Names() []string {
	names := []string{
		"Authorization", "Checkpoint", "Clocks", "Consistency", "Consumer", "Customer", "Customers", "Digests", "GetConsumer", "GetCustomer", "ListCustomers", "Invoice", "Invoices", "Keys", "ListHeldEvents", "MerchantWallet", "Merchants", "Metrics", "Parties",
		"Plans", "Portal", "Prices", "Products", "Proof", "Records", "Statement", "Status", "Subscription", "Subscriptions", "TrialBalance",
		"Usage", "UsageEvent", "UsageEvents", "User", "Users", "Wallet", "Wallets",
	}
	names = append(names, catalogQueries()...)
	names = append(names, invoiceQueries()...)
	names = append(names, entitlementQueries()...)
	names = append(names, paymentQueries()...)
	names = append(names, disputeQueries()...)
	names = append(names, alertQueries()...)
	slices.Sort(names)
	return names
}

// Query answers the query of a name. args is JSON, an object with the arguments' fields or nothing; so is the answer. A
// field that a query does not have is refused. The error is a [*commands.Rejection] where the question is at fault, or
// the asker may not ask it.
func (s *Service) Query(ctx context.Context, who wire.Who, name string, args []byte) ([]byte, error) {
	ask := s.query(name)
	if ask == nil {
		return nil, commands.Reject(commands.NotFound, "no query %.40q; there are %v", name, Names())
	}
	answer, err := ask(ctx, who, args)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("encoding the answer to %s: %w", name, err)
	}
	return b, nil
}

// asked is a query whose arguments are not read yet.
type asked func(ctx context.Context, who wire.Who, args []byte) (any, error)

func (s *Service) query(name string) asked { //nolint:funlen // a case for each query, and nothing else
	if op, ok := s.opts.Operations[name]; ok {
		return op.ask
	}
	if !slices.Contains(Names(), name) {
		return nil
	}
	if ask := s.catalogQuery(name); ask != nil {
		return ask
	}
	if ask := s.invoiceQuery(name); ask != nil {
		return ask
	}
	if ask := s.entitlementQuery(name); ask != nil {
		return ask
	}
	if ask := s.paymentQuery(name); ask != nil {
		return ask
	}
	if ask := s.disputeQuery(name); ask != nil {
		return ask
	}
	if ask := s.alertQuery(name); ask != nil {
		return ask
	}
	switch name {
	case "GetConsumer":
		return answering(s.GetConsumer)
	case "GetCustomer":
		return answering(s.GetCustomer)
	case "ListCustomers":
		return answering(s.ListCustomers)
	case "ListHeldEvents":
		return answering(s.ListHeldEvents)
	case "Authorization":
		return answering(s.Authorization)
	case "Consumer":
		return answering(s.Consumer)
	case "Portal":
		return answering(s.Portal)
	case "User":
		return answering(s.User)
	case "Users":
		return answering(s.Users)
	case "Clocks":
		return answering(s.Clocks)
	case "Customer":
		return answering(s.Customer)
	case "Customers":
		return answering(s.Customers)
	case "Digests":
		return answering(s.Digests)
	case "Invoice":
		return answering(s.Invoice)
	case "Invoices":
		return answering(s.Invoices)
	case "Keys":
		return answering(s.Keys)
	case "MerchantWallet":
		return answering(s.MerchantWallet)
	case "Merchants":
		return answering(s.Merchants)
	case "Metrics":
		return answering(s.Metrics)
	case "Parties":
		return answering(s.Parties)
	case "Plans":
		return answering(s.Plans)
	case "Prices":
		return answering(s.Prices)
	case "Products":
		return answering(s.Products)
	case "Proof":
		return answering(s.Proof)
	case "Checkpoint":
		return answering(s.Checkpoint)
	case "Consistency":
		return answering(s.Consistency)
	case "Records":
		return answering(s.Records)
	case "Statement":
		return answering(s.Statement)
	case "Status":
		return answering(s.Status)
	case "Subscription":
		return answering(s.Subscription)
	case "Subscriptions":
		return answering(s.Subscriptions)
	case "TrialBalance":
		return answering(s.TrialBalance)
	case "Usage":
		return answering(s.Usage)
	case "UsageEvent":
		return answering(s.UsageEvent)
	case "UsageEvents":
		return answering(s.UsageEvents)
	case "Wallet":
		return answering(s.Wallet)
	case "Wallets":
		return answering(s.Wallets)
	}
	panic("query: impossible: a query without an answer: " + name)
}

// ask carries out an operation for who.
func (op Operation) ask(ctx context.Context, who wire.Who, args []byte) (any, error) {
	if who.Operator() || op.Auditors && asker(who).everything() {
		return op.Run(ctx, args)
	}
	return nil, commands.Reject(commands.Forbidden, "this needs an operator's key")
}

// answering makes of a typed query one whose arguments are JSON.
func answering[A, R any](fn func(context.Context, wire.Who, A) (R, error)) asked {
	return func(ctx context.Context, who wire.Who, body []byte) (any, error) {
		var args A
		if len(bytes.TrimSpace(body)) > 0 {
			dec := json.NewDecoder(bytes.NewReader(body))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&args); err != nil {
				return nil, commands.Reject(commands.Invalid, "the arguments: %v", err)
			}
			if _, err := dec.Token(); !errors.Is(err, io.EOF) {
				return nil, commands.Reject(commands.Invalid, "the arguments: something follows their end")
			}
		}
		return fn(ctx, who, args)
	}
}
