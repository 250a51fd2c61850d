package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tallystick/events"
	"tallystick/internal/query"
)

// print asks a question and prints the answer: as it is with --json, else as show writes it.
func printAnswer[R any](ctx context.Context, a *app, name string, args any, show func(*R)) error {
	return a.with(ctx, func(b Backend) error { return printFrom(ctx, a, b, name, args, show) })
}

func printFrom[R any](ctx context.Context, a *app, b Backend, name string, args any, show func(*R)) error {
	raw, err := ask[json.RawMessage](ctx, b, name, args)
	if err != nil {
		return err
	}
	if a.json {
		return writeRaw(a.Out, raw)
	}
	var answer R
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("reading the answer to %s: %w", name, err)
	}
	show(&answer)
	return nil
}

func (a *app) status() *cobra.Command {
	var digests bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "How far the ledger and everything derived from it have come",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printAnswer(cmd.Context(), a, "Status", query.StatusArgs{Digests: digests}, a.showStatus)
		},
	}
	cmd.Flags().BoolVar(&digests, "digests", false, "read all views and print their digests")
	return cmd
}

func (a *app) showStatus(st *query.Status) {
	var f facts
	f.add("ledger", st.Ledger.String())
	f.add("environment", string(st.Environment))
	f.add("opened", when(st.OpenedAt))
	f.add("last record", when(st.RecordedAt))
	f.add("decided", fmt.Sprint(st.Head))
	f.add("on disk", fmt.Sprint(st.Durable))
	f.add("published", fmt.Sprint(st.Published))
	f.add("views", fmt.Sprint(st.Sequence))
	f.add("FAILED", st.Failed)
	f.write(a.Out)
	a.showDigests(st.Digests)
}

func (a *app) showDigests(digests map[string]events.Hash) {
	if len(digests) == 0 {
		return
	}
	names := make([]string, 0, len(digests))
	for name := range digests {
		names = append(names, name)
	}
	slices.Sort(names)
	t := newTable("projection", "digest")
	for _, name := range names {
		t.add(name, digests[name].String())
	}
	a.say("\n")
	t.write(a.Out)
}

func (a *app) wallet() *cobra.Command {
	var m moment
	var statement bool
	var currency string
	var page query.Page
	var before uint64
	cmd := &cobra.Command{
		Use:   "wallet WALLET|CUSTOMER|MERCHANT",
		Short: "What is in a wallet, and what moved its money",
		Long: `What is in a wallet, and with --statement what moved its money, newest first. The wallet is named by
itself (acc_…), or as that of a customer (cus_…) or of a merchant (org_…).`,
		Example: `  tally wallet acc_01JD3W0000000000000000000A
  tally wallet cus_01JD3W0000000000000000000B --statement --limit 20
  tally wallet cus_01JD3W0000000000000000000B --as-of 2026-01-31T23:59:59Z --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := walletArgs(args[0], currency)
			if err != nil {
				return err
			}
			if w.At, err = m.at(); err != nil {
				return err
			}
			if !statement {
				return printAnswer(cmd.Context(), a, "Wallet", w, a.showWallet)
			}
			st := query.StatementArgs{WalletArgs: w, Page: page, Before: events.Seq(before)}
			return printAnswer(cmd.Context(), a, "Statement", st, a.showStatement)
		},
	}
	m.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&statement, "statement", false, "what moved its money, newest first")
	f.StringVar(&currency, "currency", "", "which wallet, where there are several, such as USD")
	f.IntVar(&page.Limit, "limit", 20, "entries of the statement, at most 1000")
	f.IntVar(&page.Offset, "offset", 0, "entries of the statement to leave out")
	f.Uint64Var(&before, "before", 0, "only entries of the statement that are older than this sequence")
	return cmd
}

// walletArgs names a wallet by any of the identities that it can be named by.
func walletArgs(id, currency string) (w query.WalletArgs, err error) {
	switch prefix, _, _ := strings.Cut(id, "_"); prefix {
	case "acc":
		w.Wallet, err = events.ParseID[events.WalletNoun](id)
	case "cus":
		w.Customer, err = events.ParseID[events.CustomerNoun](id)
	case "org":
		w.Merchant, err = events.ParseID[events.OrganizationNoun](id)
	default:
		return w, usagef("%q names no wallet: give a wallet (acc_…), a customer (cus_…) or a merchant (org_…)", id)
	}
	if err == nil && currency != "" {
		var c events.Currency
		if c, err = events.ParseCurrency(currency); err == nil {
			w.Currency = &c
		}
	}
	if err != nil {
		return w, usagef("%v", err)
	}
	return w, nil
}

func (a *app) showWallet(w *query.Wallet) {
	var f facts
	f.add("wallet", w.ID.String())
	f.add("owner", w.Owner.String())
	f.add("bound to", w.Bound.String())
	f.add("called", w.Name)
	f.add("for subscription", w.For.String())
	switch {
	case w.Ended:
		f.add("ended; money goes to", w.Parent.String())
	case !w.Parent.IsZero():
		f.add("in the end to", w.Parent.String())
	}
	optional := func(name string, s *events.Sum) {
		if s != nil && !s.IsZero() {
			f.add(name, money(*s, w.Currency))
		}
	}
	if w.Earning {
		f.add("earned", money(w.Balance, w.Currency))
	} else {
		f.add("balance", money(w.Balance, w.Currency))
	}
	optional("used, unpaid", w.Used)
	optional("held", w.Held)
	optional("receivable", w.Receivable)
	optional("paid out", w.PaidOut)
	f.add("as of", fmt.Sprintf("sequence %d", w.Sequence))
	f.write(a.Out)
}

func (a *app) showStatement(st *query.Statement) {
	a.showWallet(&st.Wallet)
	a.say("\n")
	t := newTable(">sequence", "recorded", "what", ">amount", ">unpaid", ">balance after", "id")
	for i := range st.Entries {
		e := &st.Entries[i]
		unpaid, balance := "", ""
		if !e.Used.IsZero() {
			unpaid = decimals(e.Used)
		}
		if e.Balance != nil {
			balance = decimals(*e.Balance)
		}
		t.add(fmt.Sprint(e.Sequence), when(e.RecordedAt), kindName(e.Type), decimals(e.Amount), unpaid, balance, e.ID)
	}
	t.write(a.Out)
	if st.More {
		a.say("… of %d entries; older ones with --before %d\n", st.Total, st.Entries[len(st.Entries)-1].Sequence)
	}
}

// kindName returns a kind of event in words.
func kindName(k events.Kind) string {
	name, _, _ := strings.Cut(string(k), ".v")
	return strings.NewReplacer(".", " ", "_", " ").Replace(name)
}

func (a *app) subscription() *cobra.Command {
	var m moment
	var page query.Page
	var status string
	cmd := &cobra.Command{
		Use:   "subscription [SUBSCRIPTION|CUSTOMER]",
		Short: "How a subscription stands, or a list of subscriptions",
		Example: `  tally subscription sub_01JD3W0000000000000000000A
  tally subscription cus_01JD3W0000000000000000000B
  tally subscription --merchant org_01JD3W0000000000000000000C --status active --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := m.at()
			if err != nil {
				return err
			}
			if len(args) == 1 && strings.HasPrefix(args[0], "sub_") {
				id, err := events.ParseID[events.SubscriptionNoun](args[0])
				if err != nil {
					return usagef("%v", err)
				}
				return printAnswer(cmd.Context(), a, "Subscription", query.SubscriptionArgs{At: at, Subscription: id}, a.showSubscription)
			}
			l := object{"limit": page.Limit, "offset": page.Offset, "status": status}
			if err := a.narrow(l, at, args); err != nil {
				return err
			}
			return printAnswer(cmd.Context(), a, "Subscriptions", l, a.showSubscriptions)
		},
	}
	m.flags(cmd)
	listFlags(cmd, &page)
	cmd.Flags().StringVar(&status, "status", "", "only those that are active, or terminated")
	return cmd
}

func listFlags(cmd *cobra.Command, page *query.Page) {
	cmd.Flags().IntVar(&page.Limit, "limit", 100, "how many of a list, at most 1000")
	cmd.Flags().IntVar(&page.Offset, "offset", 0, "how many of a list to leave out")
}

// object is a JSON object.
type object map[string]any

// narrow adds to the arguments of a list whose things are wanted: those of what args names, or of the
// merchant that the flags name, or all.
func (a *app) narrow(list object, at query.At, args []string) error {
	b, err := json.Marshal(at)
	if err == nil {
		err = json.Unmarshal(b, &list)
	}
	if err != nil {
		return err
	}
	c, err := a.settle()
	if err != nil {
		return err
	}
	if c.merchant != "" {
		list["merchantId"] = c.merchant
	}
	for name, v := range list {
		if v == "" {
			delete(list, name)
		}
	}
	if len(args) == 0 {
		return nil
	}
	switch prefix, _, _ := strings.Cut(args[0], "_"); prefix {
	case "cus":
		list["customerId"] = args[0]
	case "sub":
		list["subscriptionId"] = args[0]
	default:
		return usagef("%q is neither a customer (cus_…) nor a subscription (sub_…)", args[0])
	}
	return nil
}

func (a *app) showSubscription(s *query.Subscription) {
	var f facts
	f.add("subscription", s.ID.String())
	f.add("name", s.Name)
	if s.Erased {
		f.add("name", "(erased)")
	}
	f.add("status", string(s.Status))
	f.add("halted", s.Halted)
	f.add("merchant", s.Merchant.String())
	f.add("customer", s.Customer.String())
	f.add("plan", s.Plan.String())
	f.add("wallet", s.Wallet.String())
	f.add("started", when(s.StartedAt))
	f.add("ending", when(s.EndingAt))
	f.add("terminated", when(s.EndedAt))
	f.add("terminated by", s.EndedBy)
	f.add("reason", s.Reason+s.Code)
	f.add("test clock", s.Clock.String())
	for _, p := range s.Periods {
		f.add(fmt.Sprintf("period %d", p.Number), fmt.Sprintf("%s to %s, grace until %s: %s %s",
			when(p.Start), when(p.End), when(p.GraceEnd), p.Invoice, p.Status))
	}
	f.add("as of", fmt.Sprintf("sequence %d", s.Sequence))
	f.write(a.Out)
}

func (a *app) showSubscriptions(list *query.List[query.Subscription]) {
	t := newTable("subscription", "status", "customer", "plan", "started", "name")
	for i := range list.Items {
		s := &list.Items[i]
		name := s.Name
		if s.Erased {
			name = "(erased)"
		}
		t.add(s.ID.String(), string(s.Status), s.Customer.String(), s.Plan.String(), when(s.StartedAt), name)
	}
	t.write(a.Out)
	a.showMore(list.More)
}

func (a *app) showMore(more bool) {
	if more {
		a.say("… and more; see --limit and --offset\n")
	}
}

func (a *app) trialBalance() *cobra.Command {
	var m moment
	cmd := &cobra.Command{
		Use:   "trial-balance",
		Short: "The sum of all accounts, by role and currency",
		Long: `The sum of all accounts, by role and currency. All accounts of a currency together are zero; if they are not, the
exit status is 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := m.at()
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(b Backend) error { return a.showTrialBalance(cmd.Context(), b, at) })
		},
	}
	m.flags(cmd)
	return cmd
}

func (a *app) showTrialBalance(ctx context.Context, b Backend, at query.At) error {
	tb, err := ask[query.TrialBalance](ctx, b, "TrialBalance", query.TrialBalanceArgs{At: at})
	if err != nil {
		return err
	}
	if a.json {
		err = writeJSON(a.Out, tb)
	} else {
		t := newTable("currency", "role", ">accounts", ">balance")
		for _, r := range tb.Rows {
			t.add(r.Currency.String(), r.Role.String(), fmt.Sprint(r.Accounts), decimals(r.Balance))
		}
		for _, s := range tb.Sums {
			t.add(s.Currency.String(), "all together", "", decimals(s.Balance))
		}
		t.write(a.Out)
		a.say("as of sequence %d\n", tb.Sequence)
	}
	if err == nil && !tb.Balanced {
		a.note("tally: the books do not balance: run `tally verify`\n")
		return errSilent
	}
	return err
}
