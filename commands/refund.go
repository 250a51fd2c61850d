package commands

import (
	"fmt"

	"tallystick/events"
	"tallystick/projections"
)

// RefundUsage takes a usage event back. What was debited for it is credited again, the platform's part too, and what it
// let accrue is owed no more.
type RefundUsage struct {
	Usage    events.UsageID
	Original *events.UsageReported // as its record has it, which never changes; nil where there is none
	Merchant events.OrganizationID // of that record
	Reason   events.Sealed
}

func refundUsage(b *projections.Books, c Context, cmd RefundUsage, d *decision) *Rejection {
	if cmd.Original == nil || cmd.Merchant != c.Merchant {
		return Reject(NotFound, "no usage event %s", cmd.Usage)
	}
	o := cmd.Original
	if done := b.Refunds.Get(cmd.Usage); done != nil {
		return Reject(AlreadyRefunded, "usage event %s was refunded at %s", cmd.Usage, done.At)
	}
	s := b.Subscriptions.Get(o.Subscription)
	if r := clockUsable(b, c, s.Clock); r != nil {
		return r
	}
	now := b.ClockNow(s.Clock, c.Now)
	if overdue(s, now) {
		d.overdue = onSubscription(o.Subscription)
		return nil
	}
	e := events.UsageRefunded{
		Usage: cmd.Usage, Subscription: o.Subscription, Customer: o.Customer, Wallet: o.Wallet, Lines: o.Lines, Currency: o.Currency, Reason: cmd.Reason,
		Charged: o.Period,
	}
	if r := b.Reservations.Get(o.Reservation); r != nil && r.Status == projections.ReservationActive {
		if r.ExpiresAt <= now && r.Parked == "" {
			d.overdue = onReservation(o.Reservation)
			return nil
		}
		e.Reservation = o.Reservation
	}
	back, owed := giveBack(&e, o)
	if r := refundable(b, &cmd, owed); r != nil {
		return r
	}
	if r := shown(b, c, s, &cmd, &e, owed); r != nil {
		return r
	}
	e.Balance = b.BalanceOf(projections.MainAccount(o.Wallet, o.Currency)).Add(back)
	d.add(c, now, e)
	if !e.Invoice.IsZero() {
		askLess(b, c, &e, owed, now, d)
	}
	return nil
}

// joining returns the period whose invoice a line about period n joins: that period itself while it is open, else the newest
// open one; nil if there is none.
func joining(s *projections.Subscription, n uint32) *projections.Period {
	if len(s.Periods) == 0 {
		return nil
	}
	for i := range s.Periods {
		if s.Periods[i].N == n {
			return &s.Periods[i]
		}
	}
	return &s.Periods[len(s.Periods)-1]
}

// giveBack writes the movement that undoes that of a usage event into e. It returns what the wallet gets back, and what is owed
// no more. What a reservation has paid goes back to it while it is active, then to the wallet.
func giveBack(e *events.UsageRefunded, o *events.UsageReported) (back, owed events.Nanos) {
	for _, p := range o.Postings {
		role := p.Role
		if role == events.ReservationHold && e.Reservation.IsZero() {
			role = events.ConsumerMain
		}
		switch role {
		case events.ConsumerMain:
			back -= p.Nanos
		case events.ConsumerUsage:
			owed -= p.Nanos
		case events.Receivable, events.Merchant, events.ReservationHold, events.PlatformFee, events.TaxPayable,
			events.ProcessorClearing, events.Settlement, events.Rounding:
		}
		e.Postings = append(e.Postings, events.Posting{Role: role, Nanos: p.Nanos.Neg()})
	}
	return back, owed
}

// refundable refuses to give back what a credit note has given back already, or what never will be paid.
func refundable(b *projections.Books, cmd *RefundUsage, owed events.Nanos) *Rejection {
	switch r := b.Returns.Get(projections.PeriodKey{Subscription: cmd.Original.Subscription, Period: cmd.Original.Period}); {
	case r == nil:
	case r.Credited:
		return Reject(AlreadyRefunded, "the invoice of usage event %s was refunded as a whole", cmd.Usage)
	case r.GivenUp && owed != 0:
		return Reject(NotRefundable, "usage event %s is not paid, and need not be: its invoice was cancelled or written off", cmd.Usage)
	}
	return nil
}

// shown writes into e which invoice shows that usage is taken back: that of its period while it is open. Of one that is issued and to be
// paid, what was owed comes off by a credit note: it is not rewritten, and leaves less to pay. Else the newest open one shows it, or none. It
// refuses to leave less than nothing to pay, and to change what the payment provider is at work on.
func shown(b *projections.Books, c Context, s *projections.Subscription, cmd *RefundUsage, e *events.UsageRefunded, owed events.Nanos) *Rejection {
	p := joining(s, e.Charged)
	if owed != 0 && (p == nil || p.N != e.Charged) {
		switch id, bill := billFor(b, s, e); {
		case bill == nil:
		case !bill.Charge.IsZero():
			return Reject(Conflict, "invoice %s is being paid; wait for the outcome, and try again", id)
		default:
			tax := owedTax(b, e.Lines)
			if left := less(bill, owed, tax); left.UnpaidTax.Sign() >= 0 && left.Unpaid.Cmp(left.UnpaidTax) >= 0 {
				e.Invoice, e.CreditNote, e.OwedTax = id, events.Derive[events.CreditNoteNoun](c.ID, 0), tax
				return nil
			}
		}
	}
	if p != nil {
		e.Joins, e.Period = true, p.N
	}
	if owed == 0 || p != nil && certain(b, e.Subscription, p).Cmp(events.SumOf(owed)) >= 0 {
		return nil
	}
	return Reject(NotRefundable, "the invoice of usage event %s is a draft, is paid, or leaves less to pay than it has cost, and no open invoice can take it back", cmd.Usage)
}

// billFor returns the invoice of the period in which usage was charged, if it is issued and to be paid; else nil.
func billFor(b *projections.Books, s *projections.Subscription, e *events.UsageRefunded) (events.InvoiceID, *projections.Bill) {
	for _, id := range b.Customers.Get(s.Customer).Unpaid {
		bill := b.Bills.Get(id)
		if bill != nil && bill.Subscription == e.Subscription && bill.Period == e.Charged && bill.Status != projections.InvoiceDraft {
			return id, bill
		}
	}
	return events.InvoiceID{}, nil
}

// owedTax returns the tax on what accrued of usage.
func owedTax(b *projections.Books, lines []events.UsageLine) (tax events.Nanos) {
	for i := range lines {
		if l := &lines[i]; b.Prices.Get(l.Price).Revision(l.Revision).Term == events.InArrears {
			tax += l.Tax
		}
	}
	return tax
}

// less returns a bill that leaves so much less to pay.
func less(bill *projections.Bill, owed, tax events.Nanos) *projections.Bill {
	left := *bill
	left.Unpaid, left.UnpaidTax = left.Unpaid.Add(owed.Neg()), left.UnpaidTax.Add(tax.Neg())
	return &left
}

// askLess adds what follows from an invoice leaving less to pay: it is paid where that is nothing, or less than half a cent. Else the payment
// session that is open for it gives way to one for what is left.
func askLess(b *projections.Books, c Context, e *events.UsageRefunded, owed events.Nanos, now events.Time, d *decision) {
	bill := b.Bills.Get(e.Invoice)
	left := less(bill, owed, e.OwedTax)
	session := b.Sessions.Get(bill.Session)
	asked := session != nil && session.Open()
	o, fits := owingOf(b, e.Invoice, left)
	settled := left.Unpaid.IsZero() || fits && o.cents() == 0
	switch {
	case left.Unpaid.IsZero():
		d.add(c, now, events.InvoicePaid{Invoice: e.Invoice, Subscription: e.Subscription, PaidAt: now})
	case settled:
		d.add(c, now, o.paid(events.Rounding, 0, now))
	case !fits || !asked || session.Amount == o.amount() && session.Upfront == o.cents():
		return
	}
	if asked {
		d.add(c, now, events.SessionEnded{Session: bill.Session, Status: events.SessionCancelled, Code: AmountChanged})
	}
	if !settled {
		d.add(c, now, o.session(events.Derive[events.SessionNoun](c.ID, 3)))
	}
}

// AmountChanged is why a payment session is cancelled whose invoice leaves less to pay than it did: there is another one, or it is paid.
const AmountChanged = "amount_changed"

// certain returns what a period leaves to pay whatever is still to come: what has accrued. Aggregates may become less, and fees that
// were to be paid in advance may still be.
func certain(b *projections.Books, id events.SubscriptionID, p *projections.Period) (owed events.Sum) {
	a := b.Accruals.Get(projections.PeriodKey{Subscription: id, Period: p.N})
	if a == nil {
		return owed
	}
	for i := range a.Lines {
		if l := &a.Lines[i]; !l.Prepaid() {
			owed = owed.Plus(l.Nanos).Plus(l.Tax)
		}
	}
	return owed
}

// CorrectUsage bills usage of a period that is invoiced already (D25): as a line of the invoice of an open period, and so that both
// together come to what they would have come to in time.
type CorrectUsage struct {
	Customer   events.CustomerID
	HappenedAt events.Time
	Properties []UsageProperty // as in ReportUsage
	Reason     events.Sealed
	Settled    SettledPeriod
}

// SettledPeriod is an invoiced period as the log has it, which never changes: whoever decodes the command looks it up.
type SettledPeriod struct {
	Subscription events.SubscriptionID // zero where there is none
	N            uint32
	Opened       events.Seq
	Units        []SettledUnits // of its invoice
}

// SettledUnits is how many units were invoiced at a revision of a price.
type SettledUnits struct {
	Price    events.PriceID
	Revision uint32
	Units    events.Sum
}

func correctUsage(b *projections.Books, c Context, cmd CorrectUsage, d *decision) *Rejection {
	if r := usageWellFormed(&ReportUsage{Customer: cmd.Customer, HappenedAt: cmd.HappenedAt, Properties: cmd.Properties}); r != nil {
		return r
	}
	if customer := b.Customers.Get(cmd.Customer); customer == nil || customer.Merchant != c.Merchant {
		return Reject(NotFound, "no customer %s", cmd.Customer)
	}
	s := b.Subscriptions.Get(cmd.Settled.Subscription)
	if s == nil || s.Customer != cmd.Customer {
		return Reject(NotFound, "customer %s has no invoiced period at %s", cmd.Customer, cmd.HappenedAt)
	}
	if r := clockUsable(b, c, s.Clock); r != nil {
		return r
	}
	now := b.ClockNow(s.Clock, c.Now)
	if overdue(s, now) {
		d.overdue = onSubscription(cmd.Settled.Subscription)
		return nil
	}
	p := joining(s, cmd.Settled.N)
	switch {
	case p == nil:
		return Reject(PeriodClosed, "subscription %s has no open invoice that could take a correction", cmd.Settled.Subscription)
	case p.N == cmd.Settled.N:
		return Reject(Conflict, "the period of %s is not invoiced yet; report the usage with ReportUsage", cmd.HappenedAt)
	}
	return correct(b, c, cmd, s, p, now, d)
}

// correct rates what was not known in time as what came after all that was, corrections before it included.
func correct(b *projections.Books, c Context, cmd CorrectUsage, s *projections.Subscription, p *projections.Period, now events.Time, d *decision) *Rejection {
	card := b.Plans.Get(s.Plan).CardAt(s.Agreed(&projections.Period{N: cmd.Settled.N, Opened: cmd.Settled.Opened}))
	payer := payerOf(b, cmd.Customer)
	e := events.UsageCorrected{
		Subscription: cmd.Settled.Subscription, Customer: cmd.Customer, Wallet: s.Wallet, Period: p.N, Corrects: cmd.Settled.N,
		HappenedAt: cmd.HappenedAt, Currency: s.Currency, Reason: cmd.Reason,
	}
	var owed events.Nanos
	for i := range cmd.Properties {
		property := &cmd.Properties[i]
		r := card.RateOf(property.Metric)
		switch {
		case r == nil:
			return Reject(MetricNotPriced, "the plan had no price for metric %s in the period of %s", property.Metric, cmd.HappenedAt)
		case !r.Aggregation.Adds():
			return wrong(fmt.Sprintf("properties[%d]", i), "is of a metric that is %s: what is invoiced of it cannot be corrected by usage; add a line item", r.Aggregation)
		}
		if rejection := priceNamed("properties", i, r, property); rejection != nil {
			return rejection
		}
		l := events.UsageLine{Metric: property.Metric, Quantity: property.Quantity, Price: r.Price, Revision: r.Revision, At: property.Price}
		units := property.Quantity
		if r.Aggregation == events.AggregateCount {
			units = 1
		}
		cost, ok := rate(r, cmd.Settled.unitsAt(r).Plus(correctedUnits(b, cmd, s, r)), units, property.Price)
		if !s.TaxExempt {
			l.TaxRate = payer.rate(StandardTaxes{}, s.Plan, card, property.Metric, now)
		}
		l.Nanos, l.Tax = taxOn(l.TaxRate, card.Taxed, events.Sum{}, events.Sum{}, cost)
		gross, fits := l.Nanos.Plus(l.Tax)
		total, fits2 := owed.Plus(gross)
		if owed = total; !ok || !fits || !fits2 {
			return Reject(AmountOutOfRange, "the cost of this usage does not fit")
		}
		e.Lines = append(e.Lines, l)
	}
	e.Postings = accruing(owed)
	d.add(c, now, e)
	return nil
}

// accruing is the movement of what is owed from now on.
func accruing(owed events.Nanos) []events.Posting {
	if owed == 0 {
		return nil
	}
	return []events.Posting{{Role: events.ConsumerUsage, Nanos: owed.Neg()}, {Role: events.Receivable, Nanos: owed}}
}

func (p *SettledPeriod) unitsAt(r *projections.Rate) (units events.Sum) {
	for _, u := range p.Units {
		if u.Price == r.Price && u.Revision == r.Revision {
			units = units.Plus(u.Units)
		}
	}
	return units
}

// correctedUnits returns how many units of a price the corrections have that stand on invoices which are open. Those on later
// invoices that are issued count no more: a correction is made once, soon after the period.
func correctedUnits(b *projections.Books, cmd CorrectUsage, s *projections.Subscription, r *projections.Rate) (units events.Sum) {
	for i := range s.Periods {
		accrual := b.Accruals.Get(projections.PeriodKey{Subscription: cmd.Settled.Subscription, Period: s.Periods[i].N})
		for j := range accrual.Lines {
			if l := &accrual.Lines[j]; l.Kind() == events.LineOfCorrection && l.Price == r.Price && l.Revision == r.Revision {
				units = units.Plus(l.Quantity)
			}
		}
	}
	return units
}
