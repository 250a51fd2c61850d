package projections

import "tallystick/events"

// chargeRows are the rows that charging the usage of one subscription in one period changes, looked up once: usage
// is nearly all that a ledger records.
type chargeRows struct {
	period   PeriodKey
	wallet   events.WalletID
	currency events.Currency

	accrual  *row[Accrual]
	accounts [events.TaxPayable + 1]*row[Balance] // by role; nil until something is posted there

	reservation events.ReservationID // that has paid the usage last
	held        *row[Reservation]
}

// charge is apply for the hot event.
func (b *Books) charge(rec *events.Record, e *events.UsageReported) {
	c := b.chargeRows(e)
	b.Accruals.touch(c.period, c.accrual)
	b.accrue(rec, e, &c.accrual.v)
	if !e.Reservation.IsZero() {
		if c.reservation != e.Reservation {
			c.reservation, c.held = e.Reservation, b.Reservations.row(e.Reservation)
		}
		b.Reservations.touch(c.reservation, c.held)
		c.held.v.pay(rec, e)
	}
	m := events.Movement{Currency: e.Currency, Wallet: e.Wallet}
	for i := range e.Postings {
		p := &e.Postings[i]
		account := m.AccountOf(*p, rec.Merchant)
		if int(p.Role) >= len(c.accounts) || !p.Wallet.IsZero() {
			b.postTo(rec, p, account, b.Accounts.row(account))
			continue
		}
		if c.accounts[p.Role] == nil {
			c.accounts[p.Role] = b.Accounts.row(account)
		}
		b.postTo(rec, p, account, c.accounts[p.Role])
	}
}

func (b *Books) chargeRows(e *events.UsageReported) *chargeRows {
	key := PeriodKey{e.Subscription, e.Period}
	hash := memoHash(e.Subscription, e.Period)
	c := b.charges.find(hash)
	if c == nil || c.period != key || c.wallet != e.Wallet || c.currency != e.Currency {
		c = &chargeRows{period: key, wallet: e.Wallet, currency: e.Currency, accrual: b.Accruals.row(key)}
		b.charges.put(hash, c)
	}
	return c
}

// ahead is how many records ahead rows are touched.
const ahead = 16

// readAhead touches the rows that charging the usage among recs, at most ahead of them, is going to change. A fold
// that takes one record after another waits for memory at each row. Here the waits for the rows of many records run
// side by side, for each loop reads places that do not depend on one another. It has no effect but on time; the sum
// that it returns keeps the reads.
func (b *Books) readAhead(recs []events.Record) uint64 {
	var mem [ahead]*chargeRows
	cs := mem[:0]
	for i := range recs {
		if e, ok := recs[i].Event.(*events.UsageReported); ok {
			if c := b.charges.find(memoHash(e.Subscription, e.Period)); c != nil {
				cs = append(cs, c)
			}
		}
	}
	sum := uint64(0)
	for _, c := range cs {
		sum += uint64(c.period.Period)
	}
	for _, c := range cs {
		sum += uint64(len(c.accrual.v.Lines))
		if main := c.accounts[events.ConsumerMain]; main != nil {
			sum += uint64(main.v.Last)
		}
		if hold := c.accounts[events.ReservationHold]; hold != nil && c.held != nil {
			sum += uint64(hold.v.Last) + uint64(c.held.v.Subscription[0]) + uint64(c.held.v.Used) + uint64(len(c.held.v.Status)) + uint64(c.held.v.UpdatedAt)
		}
	}
	for _, c := range cs {
		lines := c.accrual.v.Lines
		for j := range lines {
			sum += uint64(lines[j].Last) + uint64(lines[j].Revision) + lines[j].Events.Size
		}
	}
	for _, c := range cs {
		if lines := c.accrual.v.Lines; len(lines) > 0 && len(lines[0].Events.Hashes) > 0 {
			sum += uint64(lines[0].Events.Hashes[len(lines[0].Events.Hashes)-1][0])
		}
	}
	return sum
}
