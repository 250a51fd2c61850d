package wire

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"tallystick/commands"
	"tallystick/events"
)

// createSubscription reads the agreement of a customer to a plan: of one that there is, or of one that is made with it.
func (d *Decoder) createSubscription(c *call, f *fields) (commands.Command, error) {
	name := f.text("name", required, 255)
	cmd := commands.CreateSubscription{
		Customer: id[events.CustomerNoun](f, "customerId", optional), Plan: id[events.PlanNoun](f, "planId", required),
		StartedAt: f.time("startedAt", required), EndingAt: f.time("endingAt", optional), Clock: f.clock("testClockId", optional),
		AutoCharge: f.flag("autoCharge"), Minimum: f.minimum(), Term: f.minutes("sessionExpiryMinutes"),
		TaxExempt: f.flag("taxExempt"), Wallet: id[events.WalletNoun](f, "walletId", optional), Virtual: f.flag("virtualWallet"),
	}
	reminders, days := f.reminders()
	cmd.Reminders, cmd.ReminderDays = reminders.To, days.To
	if g, ok := f.within("redirectUrls", optional); ok {
		cmd.OnSuccess, cmd.OnFailure = g.url("onSuccess"), g.url("onFailure")
		f.close(g)
	}
	var profile events.Profile
	var rates []events.TaxRateOf
	g, inline := f.within("customer", optional)
	if inline {
		profile = events.Profile{
			Name: g.text("name", required, 255), Email: g.text("email", required, 254), Phone: g.text("phone", optional, 255),
			Address: g.fullAddress(),
		}
		rates = g.taxRates("taxRates").To
		f.close(g)
	}
	if f.bad == nil && inline == !cmd.Customer.IsZero() {
		f.wrong("customer", "or customerId is required, one of them")
	}
	if err := f.finish(); err != nil {
		return nil, err
	}
	var err error
	if !inline {
		cmd.Name, err = d.sealFor(c.ctx, cmd.Customer, PurposeName, []byte(name))
		return cmd, err
	}
	cmd.New = &commands.CreateCustomer{TaxRates: rates}
	if err := d.consumer(c, cmd.New, "customer.email", profile); err != nil {
		return nil, err
	}
	holder := cmd.New.Consumer
	if holder.IsZero() {
		holder = cmd.New.Candidate
	}
	cmd.Name, err = d.seal(holder, PurposeName, []byte(name))
	return cmd, err
}

// fullAddress reads an address of which the tax can be told.
func (f *fields) fullAddress() events.Address {
	a := f.address(required)
	switch {
	case f.bad != nil:
	case a.Country == "":
		f.wrong("address.country", "is required")
	case a.ZipCode == "":
		f.wrong("address.zipCode", "is required")
	case a.State == "" && (a.Country == "US" || a.Country == "CA"):
		f.wrong("address.state", "is required in the United States and Canada")
	case (a.Country == "US" || a.Country == "CA") && !commands.HasState(a):
		f.wrong("address.state", "must be a state of "+a.Country+", by two letters such as "+map[string]string{"US": "NY", "CA": "ON"}[a.Country])
	}
	return a
}

// minimum reads the money that a wallet is to hold, under its name or its old one. Where both are given they must agree (A4).
func (f *fields) minimum() events.Nanos {
	now, old := f.moneyChange("minimumAccountBalance"), f.moneyChange("prefundAmount")
	if now.Given && old.Given && now.To != old.To {
		f.wrong("prefundAmount", "is the old name of minimumAccountBalance, and says something else")
	}
	if now.Given {
		return now.To
	}
	return old.To
}

// moneyChange returns an amount that may be left out.
func (f *fields) moneyChange(name string) (v commands.Change[events.Nanos]) {
	for i := range f.list {
		v.Given = v.Given || f.list[i].name == name
	}
	if v.To = f.money(name, optional); v.To < 0 {
		f.wrong(name, "must not be below zero")
	}
	return v
}

// minutes returns a number of minutes, at least 1; zero where there is none. Parts of a minute count to the second.
func (f *fields) minutes(name string) time.Duration {
	s := f.take(name, optional)
	if s == nil {
		return 0
	}
	s.next()
	text := string(s.number())
	if s.bad == nil {
		s.end()
	}
	n, ok := new(big.Rat), len(text) <= 12 && !strings.ContainsAny(text, "eE")
	if ok {
		_, ok = n.SetString(text)
	}
	if s.bad != nil || !ok || n.Cmp(big.NewRat(1, 1)) < 0 {
		f.wrong(name, "must be a number of minutes, at least 1")
		return 0
	}
	n.Mul(n, big.NewRat(60, 1))
	v := time.Duration(min(new(big.Int).Div(n.Num(), n.Denom()).Int64(), 1e8)) * time.Second
	f.note(name, strconv.AppendInt(nil, int64(v/time.Second), 10))
	return v
}

// reminders reads whether, and how many days before, the payer is told of a renewal. null is what the plan says.
func (f *fields) reminders() (on commands.Change[events.Reminders], days commands.Change[uint32]) {
	if s := f.take("renewalReminderEnabled", optional); s != nil {
		on.Given = true
		if !s.null() {
			on.To = events.RemindersOff
			if s.boolean(f.path + "renewalReminderEnabled") {
				on.To = events.RemindersOn
			}
			f.done(s)
		}
		f.note("renewalReminderEnabled", []byte(on.To))
	}
	for i := range f.list {
		if g := &f.list[i]; g.name == "renewalReminderDays" && string(g.raw) == "null" {
			g.used = true
			f.asked = append(f.asked, g.name)
			f.note(g.name, nil)
			return on, commands.Change[uint32]{Given: true}
		}
	}
	return on, f.numberChange("renewalReminderDays", 30)
}

// updateSubscription reads a change of terms, or, where the status is to be terminated, the end.
func (d *Decoder) updateSubscription(c *call, f *fields) (commands.Command, error) {
	f.only("paymentTermDays", "the days to pay are the merchant's setting", "null")
	f.only("terminatedBy", "the ledger notes who ends a subscription", "null")
	cmd := commands.UpdateSubscription{
		Subscription: id[events.SubscriptionNoun](f, "subscriptionId", required), EndingAt: f.timeChange("endingAt"),
		AutoCharge: f.flagChange("autoCharge"), Minimum: f.moneyChange("minimumAccountBalance"), TaxExempt: f.flagChange("taxExempt"),
	}
	cmd.Reminders, cmd.ReminderDays = f.reminders()
	status := f.change("status", 32)
	ended := f.time("terminatedAt", optional)
	reason := f.change("terminationReason", 1000)
	if status.Given && status.To != "active" && status.To != "terminated" {
		f.wrong("status", "must be active or terminated")
	}
	if f.bad == nil && reason.Given && status.To != "terminated" {
		f.wrong("terminationReason", "needs status terminated")
	}
	if f.bad == nil && ended != 0 && status.To != "terminated" {
		f.wrong("terminatedAt", "needs status terminated; a subscription ends by itself at endingAt")
	}
	if err := f.finish(); err != nil || status.To != "terminated" {
		return cmd, err
	}
	return d.terminating(c, commands.TerminateSubscription{Subscription: cmd.Subscription, EndedAt: ended}, reason.To)
}

func (d *Decoder) terminateSubscription(c *call, f *fields) (commands.Command, error) {
	sub := id[events.SubscriptionNoun](f, "subscriptionId", required)
	reason := f.text("reason", required, 1000)
	if err := f.finish(); err != nil {
		return nil, err
	}
	return d.terminating(c, commands.TerminateSubscription{Subscription: sub}, reason)
}

// terminating returns the end of a subscription, with its reason sealed.
func (d *Decoder) terminating(c *call, cmd commands.TerminateSubscription, reason string) (commands.Command, error) {
	consumer, ok, err := d.opts.Directory.SubscriptionConsumer(c.ctx, cmd.Subscription)
	if err != nil {
		return nil, fmt.Errorf("looking up subscription %s: %w", cmd.Subscription, err)
	}
	if ok {
		cmd.Reason, err = d.seal(consumer, PurposeReason, []byte(reason))
	}
	return cmd, err
}
