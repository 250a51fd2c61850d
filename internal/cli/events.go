package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
)

// eventsArgs are the flags of tally events.
type eventsArgs struct {
	query.RecordsArgs
	from, to, last, limit uint64
	printed               uint64
	follow                bool
}

func (a *app) events() *cobra.Command {
	var args eventsArgs
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print the log",
		Long: `Print the log, one record a line; with --json as JSON lines. Sealed personal data stays sealed.

With --follow it waits for a server that is away, and goes on where it was.

--type takes a kind of event (usage.reported.v1, usage.reported), the name in its subject (UsageReported), or what it is
about (usage, wallet, invoice). --subject takes any identity and prints the records that name it.`,
		Example: `  tally events --last 20
  tally events --type invoice --merchant org_01JD3W0000000000000000000A
  tally events --subject sub_01JD3W0000000000000000000B --follow --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.settle()
			if err != nil {
				return err
			}
			if c.merchant != "" {
				if err := args.Merchant.UnmarshalText([]byte(c.merchant)); err != nil {
					return usagef("--merchant: %v", err)
				}
			}
			args.From, args.To = events.Seq(args.from), events.Seq(args.to)
			return a.printOrFollow(cmd.Context(), &args)
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&args.from, "from", 0, "first sequence to print")
	f.Uint64Var(&args.to, "to", 0, "last sequence to print")
	f.Uint64Var(&args.last, "last", 0, "begin this many records before the end")
	f.Uint64Var(&args.limit, "limit", 0, "print at most so many")
	f.StringVar(&args.Type, "type", "", "only events of this type")
	f.StringVar(&args.Subject, "subject", "", "only records that name this identity")
	f.BoolVarP(&args.follow, "follow", "f", false, "go on with records as they are made")
	cmd.MarkFlagsMutuallyExclusive("from", "last")
	cmd.MarkFlagsMutuallyExclusive("to", "follow")
	return cmd
}

// printOrFollow prints records. Where they are followed and the server goes away, it waits until that is back.
func (a *app) printOrFollow(ctx context.Context, args *eventsArgs) error {
	err := a.with(ctx, func(b Backend) error { return a.printEvents(ctx, b, args) })
	for args.follow && away(err) {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil // that is how following ends
		}
		b, back := a.reconnect()
		if back != nil {
			err = back
			continue
		}
		err = errors.Join(a.printEvents(ctx, b, args), b.Close())
	}
	return err
}

// printEvents prints records until there are no more, or for ever where they are followed. It notes in args how far it has come.
func (a *app) printEvents(ctx context.Context, b Backend, args *eventsArgs) error {
	if args.last > 0 {
		st, err := ask[query.Status](ctx, b, "Status", object{})
		if err != nil {
			return err
		}
		args.From, args.last = st.Durable+1-min(events.Seq(args.last), st.Durable), 0
	}
	out := bufio.NewWriter(a.Out)
	args.Limit, args.Raw = 1000, !a.json
	for {
		rs, err := ask[recordsJSON](ctx, b, "Records", args.RecordsArgs)
		if err != nil && args.follow && commands.CodeOf(err) == commands.Busy {
			continue // nothing new yet
		}
		if args.follow && ctx.Err() != nil {
			return out.Flush() // that is how following ends
		}
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		for i := range rs.Records {
			if err := a.printEvent(out, rs.Records[i]); err != nil {
				return err
			}
			if args.printed++; args.printed == args.limit {
				return out.Flush()
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
		args.From = rs.Next
		if rs.Next <= rs.Sequence && (args.To == 0 || rs.Next <= args.To) {
			continue
		}
		if !args.follow {
			return nil
		}
		args.AtLeast = rs.Next
	}
}

// recordsJSON is a part of the log as it comes.
type recordsJSON struct {
	Sequence events.Seq        `json:"sequence"`
	Records  []json.RawMessage `json:"records"`
	Next     events.Seq        `json:"next"`
}

// printEvent prints a record: as it comes with --json, else from its bytes.
func (a *app) printEvent(w io.Writer, raw json.RawMessage) error {
	if a.json {
		_, err := fmt.Fprintf(w, "%s\n", raw)
		return err
	}
	var r struct {
		Bytes []byte `json:"bytes"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("reading a record: %w", err)
	}
	rec, err := events.DecodeRecord(r.Bytes)
	if err != nil {
		return fmt.Errorf("reading a record: %w", err)
	}
	_, err = fmt.Fprintf(w, "%8d  %-30s  %-24s  %s\n", rec.Seq, when(rec.RecordedAt), kindName(rec.Event.Kind()), plain(summary(&rec)))
	return err
}

// summary says in a line what a record records.
func summary(rec *events.Record) string { //nolint:funlen // a case for each kind, and nothing else
	say := fmt.Sprintf
	switch e := rec.Event.(type) {
	case *events.UsageReported:
		return usageSummary(e)
	case events.LedgerOpened:
		return say("%s, %s", rec.Ledger, e.Environment)
	case events.KeyCreated:
		return say("%s, %s %s", e.Key, e.Role, e.Name)
	case events.KeyRevoked:
		return e.Key.String()
	case events.MerchantCreated:
		return say("%s, %s", rec.Merchant, e.Profile.Name)
	case events.MerchantUpdated:
		return say("%s, %s", rec.Merchant, e.Profile.Name)
	case events.ProductCreated:
		return say("%s, %s", e.Product, e.Name)
	case events.MetricCreated:
		return say("%s, %s in %s", e.Metric, e.Name, e.Unit)
	case events.PriceCreated:
		return priceSummary(e.Price, e.Revision, e.Model, e.Term, e.UnitPrice)
	case events.PriceRevised:
		return priceSummary(e.Price, e.Revision, e.Model, e.Term, e.UnitPrice)
	case events.PriceDeleted:
		return e.Price.String()
	case events.ProductUpdated:
		return say("%s, %s", e.Product, e.Name)
	case events.MetricUpdated:
		return say("%s, %s in %s", e.Metric, e.Name, e.Unit)
	case events.FeeCreated:
		return say("%s, %s", e.Fee, e.Name)
	case events.FeeUpdated:
		return say("%s, %s", e.Fee, e.Name)
	case events.FeeDeleted:
		return e.Fee.String()
	case events.PlanUpdated:
		return say("%s, %s", e.Plan, e.Name)
	case events.PlanCreated:
		return say("%s, %s", e.Plan, e.Name)
	case events.ConsumerCreated:
		return say("%s, %s", e.Consumer, e.Type)
	case events.ConsumerErased:
		return e.Consumer.String()
	case events.CustomerCreated:
		return say("%s is %s", e.Customer, e.Consumer)
	case events.WalletOpened:
		return say("%s of %s in %s", e.Wallet, e.Owner, e.Currency)
	case events.WalletEmptied:
		return say("%s into %s, balance %s", e.Wallet, e.Parent, decimals(e.Balance))
	case events.WalletToppedUp:
		return say("%s by %s, balance %s", e.Wallet, money(*commands.ReceiptOf(rec).Amount, e.Currency), decimals(e.Balance))
	case events.SubscriptionCreated:
		return say("%s of %s to %s", e.Subscription, e.Customer, e.Plan)
	case events.SubscriptionTerminated:
		return say("%s at %s", e.Subscription, when(e.EndedAt))
	case events.InvoiceOpened:
		return say("%s of %s, %s to %s", e.Invoice, e.Subscription, when(e.Start), when(e.End))
	case events.InvoiceClosing:
		return e.Invoice.String()
	case events.InvoiceLineClosed:
		return say("%s of %s: %d events come to %s", e.Line, e.Invoice, e.Count, decimals(e.Nanos))
	case events.InvoiceIssued:
		return say("%s, number %d, %s, unpaid %s", e.Invoice, e.Number, decimals(e.Subtotal.Plus(e.Tax)), decimals(e.Unpaid))
	case events.InvoicePaid:
		return e.Invoice.String()
	case events.InvoicePaymentFailed:
		return say("%s: %s", e.Invoice, e.Code)
	case events.InvoiceCancelled:
		return say("%s: %s", e.Invoice, e.Code)
	case events.InvoiceDrafted:
		return say("%s, %s", e.Invoice, decimals(e.Subtotal.Plus(e.Tax)))
	case events.InvoiceWrittenOff:
		return e.Invoice.String()
	case events.InvoiceRefunded:
		return say("%s of %s, %s", e.CreditNote, e.Invoice, decimals(e.Nanos.Plus(e.Tax)))
	case events.InvoiceRefundVoided:
		return say("%s of %s", e.CreditNote, e.Invoice)
	case events.FeeCharged:
		return say("%s to %s, %s", e.Fee, e.Subscription, money(events.SumOf(e.Nanos).Add(e.Tax), e.Currency))
	case events.UsageRefunded:
		if !e.Invoice.IsZero() {
			return say("%s, %s less to pay of %s, balance %s", e.Usage, money(events.SumOf(e.Owed()), e.Currency), e.Invoice, decimals(e.Balance))
		}
		return say("%s, balance %s", e.Usage, decimals(e.Balance))
	case events.UsageCorrected:
		return say("%s in period %d", e.Subscription, e.Corrects)
	case events.LineItemAdded:
		return say("%s to %s, %s", e.Line, e.Invoice, money(events.SumOf(e.Nanos).Add(e.Tax), e.Currency))
	case events.ClockCreated:
		return say("%s shows %s", e.Clock, when(e.Now))
	case events.ClockAdvancing:
		return say("%s to %s", e.Clock, when(e.To))
	case events.ClockDeleted:
		return e.Clock.String()
	case events.CustomerUpdated:
		return e.Customer.String()
	case events.CustomerDeleted:
		return e.Customer.String()
	case events.ConsumerUpdated:
		return e.Consumer.String()
	case events.ClockAdvanced:
		return say("%s shows %s", e.Clock, when(e.To))
	case events.SessionOpened:
		return say("%s for %s, until %s", e.Session, money(events.SumOf(e.Amount), e.Currency), when(e.ExpiresAt))
	case events.SessionEnded:
		return say("%s: %s", e.Session, e.Status)
	case events.ChargeRequested:
		return say("%s of %s", e.Charge, money(events.SumOf(e.Amount), e.Currency))
	case events.ChargeSucceeded:
		return say("%s, %s", e.Charge, e.Reference)
	case events.ChargeFailed:
		return say("%s: %s", e.Charge, e.Code)
	case events.ChargeActionRequired:
		return e.Charge.String()
	case events.MethodStored:
		return say("%s of %s", e.Method, e.Consumer)
	case events.MethodRemoved:
		return say("%s of %s", e.Method, e.Consumer)
	case events.TopUpRequested:
		return say("%s of %s by %s", e.TopUp, e.Wallet, money(events.SumOf(e.Amount), e.Currency))
	case events.TopUpEnded:
		return say("%s of %s: %s", e.TopUp, e.Wallet, e.Status)
	case events.PaymentCreated:
		return say("%s of %s", e.Payment, money(events.SumOf(e.Amount), e.Currency))
	case events.PaymentReceived:
		return e.Payment.String()
	case events.SubscriptionAuthorized:
		return e.Subscription.String()
	case events.SubscriptionActivated:
		return e.Subscription.String()
	case events.SubscriptionUpdated:
		return e.Subscription.String()
	case events.SubscriptionReminded:
		return say("%s renews at %s", e.Subscription, when(e.RenewsAt))
	case events.AuthorizationOpened:
		return say("%s, until %s", e.Authorization, when(e.ExpiresAt))
	case events.AuthorizationEnded:
		return say("%s: %s", e.Authorization, e.Status)
	case events.MerchantAuthorized:
		return say("%s by %s", rec.Merchant, e.Consumer)
	case events.AuthorizationWithdrawn:
		return say("%s by %s", rec.Merchant, e.Consumer)
	case events.ConsumerClaimed:
		return say("%s by %s", e.Managed, e.Consumer)
	case events.UserCreated:
		return say("%s of %s, %s", e.User, e.Organization, e.Role)
	case events.UserUpdated:
		return say("%s: %s, %s", e.User, e.State, e.Role)
	case events.UserSignedIn:
		return say("%s", e.User)
	case events.UserSignedOut:
		return say("%s", e.User)
	case events.PasskeyAdded:
		return say("%s", e.User)
	case events.PasskeyRemoved:
		return say("%s", e.User)
	case events.PasskeyUsed:
		return say("%s", e.User)
	case events.PortalOpened:
		return say("%s for %s, until %s", e.Portal, e.Subscription, when(e.ExpiresAt))
	case events.AlertCreated:
		return say("%s on %s, below %s %s", e.Alert, e.Wallet, e.Threshold, e.Currency)
	case events.AlertRaised:
		return say("%s on %s, which holds %s %s", e.Alert, e.Wallet, e.Balance, e.Currency)
	case events.AlertRearmed:
		return say("%s on %s, which holds %s %s", e.Alert, e.Wallet, e.Balance, e.Currency)
	case events.DisputeOpened:
		return say("%s of %s, %s %s", e.Dispute, e.Usage, e.Amount, e.Currency)
	case events.DisputeResolved:
		return disputeSummary(e)
	case events.PortalRevoked:
		return e.Portal.String()
	case events.DueFailed:
		return say("%s of %s: %s", e.Action, e.Subscription, e.Message)
	default:
		return entitlementSummary(rec)
	}
}

// priceSummary says in a line what a price is at a revision.
func priceSummary(id events.PriceID, revision uint32, model events.Model, term events.Term, unit events.Nanos) string {
	s := fmt.Sprintf("%s, %s a unit, %s", id, unit, term)
	if model != events.Standard {
		s = fmt.Sprintf("%s, %s, %s", id, model, term)
	}
	if revision > 1 {
		s += fmt.Sprintf(", revision %d", revision)
	}
	return s
}

// disputeSummary says in a line what became of a dispute.
func disputeSummary(e events.DisputeResolved) string {
	if e.Accepted {
		return e.Dispute.String() + ": accepted"
	}
	return e.Dispute.String() + ": declined"
}

func usageSummary(e *events.UsageReported) string {
	quantities := ""
	for i := range e.Lines {
		if i > 0 {
			quantities += " + "
		}
		quantities += fmt.Sprint(e.Lines[i].Quantity)
	}
	net, tax := e.Total()
	return fmt.Sprintf("%s used %s for %s, balance %s", e.Customer, quantities, money(events.SumOf(net).Add(tax), e.Currency), decimals(e.Balance))
}

// entitlementSummary says what a record about reservations, features, entitlements and grants says.
func entitlementSummary(rec *events.Record) string {
	say := fmt.Sprintf
	switch e := rec.Event.(type) {
	case events.ReservationCreated:
		return say("%s of %s: %s, balance %s", e.Reservation, e.Customer, money(*commands.ReceiptOf(rec).Amount, e.Currency), decimals(e.Balance))
	case events.ReservationReleased:
		return say("%s: %s, balance %s", e.Reservation, e.Code, decimals(e.Balance))
	case events.FeatureCreated:
		return say("%s, %s, %s", e.Feature, e.Key, e.Type)
	case events.FeatureUpdated:
		return say("%s, %s, %s", e.Feature, e.Key, e.Type)
	case events.FeatureDeleted:
		return e.Feature.String()
	case events.EntitlementIssued:
		return say("%s of %s to %s from %s", e.Entitlement, e.Customer, e.Feature, when(e.ActiveFrom))
	case events.EntitlementEnded:
		return say("%s: %s", e.Entitlement, e.Status)
	case events.EntitlementReset:
		return say("%s from %s to %s", e.Entitlement, when(e.PeriodStart), when(e.PeriodEnd))
	case events.EntitlementUsed:
		return say("%s: %s units, %s beyond its grants", e.Entitlement, e.Units, e.Overage)
	case events.GrantIssued:
		return say("%s of %s: %s units from %s", e.Grant, e.Entitlement, e.Amount, when(e.EffectiveAt))
	case events.GrantOrdered:
		return say("%s of %s: %s units for %s, if %s is paid", e.Grant, e.Entitlement, e.Amount, money(events.SumOf(e.Nanos).Add(e.Tax), e.Currency), e.Session)
	case events.GrantRenewed:
		return say("%s of %s", e.Grant, e.Entitlement)
	case events.GrantVoided:
		return say("%s of %s", e.Grant, e.Entitlement)
	case events.EventHeld:
		return say("for %s, from %s", e.External, when(e.HappenedAt))
	case events.EventReleased:
		if e.Code == "" {
			return say("record %d is billed", e.Held)
		}
		return say("record %d: %s", e.Held, e.Code)
	case events.HeldDiscarded:
		return say("%d for %s", e.Count, e.External)
	default:
		return ""
	}
}
