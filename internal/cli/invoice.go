package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tallystick/events"
	"tallystick/internal/query"
)

func (a *app) invoice() *cobra.Command {
	var m moment
	var page query.Page
	var status string
	cmd := &cobra.Command{
		Use:   "invoice [INVOICE|SUBSCRIPTION|CUSTOMER]",
		Short: "What an invoice says, or a list of invoices",
		Long: `What an invoice says, line by line, or a list of invoices. The totals of one that is not issued yet (ACTIVE or
CLOSING) are those of the moment. Each line can be traced to its usage: see tally prove.`,
		Example: `  tally invoice inv_01JD3W0000000000000000000A
  tally invoice cus_01JD3W0000000000000000000B --status PAID
  tally invoice --json --limit 1000`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := m.at()
			if err != nil {
				return err
			}
			if len(args) == 1 && strings.HasPrefix(args[0], "inv_") {
				id, err := events.ParseID[events.InvoiceNoun](args[0])
				if err != nil {
					return usagef("%v", err)
				}
				return printAnswer(cmd.Context(), a, "Invoice", query.InvoiceArgs{At: at, Invoice: id}, a.showInvoice)
			}
			l := object{"limit": page.Limit, "offset": page.Offset, "status": strings.ToUpper(status)}
			if err := a.narrow(l, at, args); err != nil {
				return err
			}
			return printAnswer(cmd.Context(), a, "Invoices", l, a.showInvoices)
		},
	}
	m.flags(cmd)
	listFlags(cmd, &page)
	cmd.Flags().StringVar(&status, "status", "", "only those that are ACTIVE, CLOSING, ISSUED, PAID or CANCELLED")
	return cmd
}

func (a *app) showInvoices(list *query.List[query.Invoice]) {
	t := newTable(">number", "invoice", "status", "customer", "period from", "to", ">total", ">unpaid")
	for i := range list.Items {
		inv := &list.Items[i]
		number := ""
		if inv.Number != 0 {
			number = fmt.Sprint(inv.Number)
		}
		t.add(number, inv.ID.String(), string(inv.Status), inv.Customer.String(), when(inv.Start), when(inv.End),
			money(inv.Total, inv.Currency), decimals(inv.Unpaid))
	}
	t.write(a.Out)
	a.showMore(list.More)
}

func (a *app) showInvoice(inv *query.Invoice) {
	var f facts
	f.add("invoice", inv.ID.String())
	f.add("status", string(inv.Status)+also(inv.Code))
	if inv.Number != 0 {
		f.add("number", fmt.Sprint(inv.Number))
	}
	if inv.Seller != nil {
		f.add("seller", party(&inv.Seller.Profile)+also(inv.Merchant.String()))
	}
	if inv.Buyer != nil {
		f.add("buyer", party(inv.Buyer.Profile)+also(inv.Buyer.Consumer.String()))
	}
	f.add("customer", inv.Customer.String())
	f.add("subscription", inv.Subscription.String())
	f.add("period", fmt.Sprintf("%s to %s", when(inv.Start), when(inv.End)))
	f.add("late usage until", when(inv.GraceEnd))
	f.add("issued", when(inv.IssuedAt))
	f.add("due", when(inv.DueAt))
	f.add("paid", when(inv.PaidAt))
	f.add("as of", fmt.Sprintf("sequence %d", inv.Sequence))
	f.write(a.Out)
	a.say("\n")
	a.showLines(inv)
}

func (a *app) showLines(inv *query.Invoice) {
	t := newTable("line", "what", ">quantity", "unit", ">unit price", ">amount", ">tax", ">events", "records")
	for i := range inv.Lines {
		l := &inv.Lines[i]
		quantity := l.Quantity.Digits()
		if mean, ok := l.Mean(); ok {
			quantity = events.Sum(mean).String()
		}
		t.add(l.ID.String(), l.DisplayName, quantity, l.Unit, l.UnitPrice.String(), decimals(l.Amount), decimals(l.Tax),
			fmt.Sprint(l.Count), fmt.Sprintf("%d to %d", l.First, l.Last))
	}
	t.write(a.Out)
	a.say("\n")
	sums := newTable("", ">")
	sums.add("subtotal", decimals(inv.Subtotal))
	sums.add("tax", decimals(inv.Tax))
	sums.add("total", decimals(inv.Total))
	sums.add("paid with usage", decimals(inv.Paid))
	if !inv.Credited.IsZero() {
		sums.add("credited", decimals(inv.Credited))
	}
	sums.add("unpaid", decimals(inv.Unpaid))
	sums.add("to the cent", inv.GrandTotal+" "+inv.Currency.String())
	sums.write(a.Out)
}

// party returns how a seller or buyer is called.
func party(p *events.Profile) string {
	if p == nil {
		return "(erased)"
	}
	parts := []string{p.Name}
	for _, s := range []string{p.Address.Line1, p.Address.City, p.Address.Country} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ", ")
}

// also returns s in brackets behind something else.
func also(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func (a *app) asOf() *cobra.Command {
	var m moment
	cmd := &cobra.Command{
		Use:   "as-of SEQUENCE|TIME [WALLET|CUSTOMER|MERCHANT|SUBSCRIPTION|INVOICE]",
		Short: "What the ledger said at an earlier moment",
		Long: `What the ledger said of a wallet, a subscription or an invoice at an earlier moment; without one of these, the
trial balance of that moment. The moment is a sequence, or a time: the real time at which records were made, or with
--clock the time on a test clock.`,
		Example: `  tally as-of 120000 acc_01JD3W0000000000000000000A
  tally as-of 2026-01-31T23:59:59Z sub_01JD3W0000000000000000000B
  tally as-of 2024-02-01T00:00:00Z --clock tc_0123456789ABCDEF inv_01JD3W0000000000000000000C`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			m.asOf, m.given = args[0], func() bool { return true }
			at, err := m.at()
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(b Backend) error { return a.showAsOf(cmd, b, at, args[1:]) })
		},
	}
	cmd.Flags().StringVar(&m.clock, "clock", "", "test clock that the time is a time of")
	return cmd
}

func (a *app) showAsOf(cmd *cobra.Command, b Backend, at query.At, args []string) error {
	ctx := cmd.Context()
	if len(args) == 0 {
		return a.showTrialBalance(ctx, b, at)
	}
	id := args[0]
	switch prefix, _, _ := strings.Cut(id, "_"); prefix {
	case "sub":
		sub, err := events.ParseID[events.SubscriptionNoun](id)
		if err != nil {
			return usagef("%v", err)
		}
		return printFrom(ctx, a, b, "Subscription", query.SubscriptionArgs{At: at, Subscription: sub}, a.showSubscription)
	case "inv":
		inv, err := events.ParseID[events.InvoiceNoun](id)
		if err != nil {
			return usagef("%v", err)
		}
		return printFrom(ctx, a, b, "Invoice", query.InvoiceArgs{At: at, Invoice: inv}, a.showInvoice)
	}
	w, err := walletArgs(id, "")
	if err != nil {
		return usagef("%q is no wallet, customer, merchant, subscription or invoice", id)
	}
	w.At = at
	return printFrom(ctx, a, b, "Wallet", w, a.showWallet)
}
