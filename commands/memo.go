package commands

import (
	"encoding/binary"

	"tallystick/events"
	"tallystick/projections"
)

// memo remembers the rows that usage of a customer was decided on last, for looking up a row in large books is
// waiting for memory. It needs not be told when something changes. Rows of subscriptions, plans, parties, reservations and
// balances stay where they are as long as the books exist, and what they hold is looked at each time, which consumer the
// customer is too; the accrual of a period stays as long as its subscription has that period.
type memo struct {
	customer events.CustomerID
	subID    events.SubscriptionID
	sub      *projections.Subscription
	plan     *projections.Plan
	accrual  *projections.Accrual // of period; nil before enter
	period   uint32
	wallet   *projections.Wallet
	main     *projections.Balance // of the wallet; nil where nothing was ever posted
	payer    taxpayer

	reserved events.ReservationID // whose row held is
	held     *projections.Reservation
}

// enter makes accrual that of an open period.
func (m *memo) enter(b *projections.Books, period uint32) {
	if m.accrual == nil || m.period != period {
		m.accrual = b.Accruals.Get(projections.PeriodKey{Subscription: m.subID, Period: period})
		m.period = period
	}
}

// balance returns what the wallet holds.
func (m *memo) balance(b *projections.Books) events.Sum {
	if m.main == nil {
		if m.main = b.Accounts.Get(projections.MainAccount(m.sub.Wallet, m.sub.Currency)); m.main == nil {
			return events.Sum{}
		}
	}
	return m.main.Sum
}

// reservation returns the row of a reservation, nil if there is none.
func (m *memo) reservation(b *projections.Books, id events.ReservationID) *projections.Reservation {
	if m.reserved != id {
		row := b.Reservations.Get(id)
		if row == nil {
			return nil
		}
		m.reserved, m.held = id, row
	}
	return m.held
}

// memos is memos of many customers. It grows as they come.
type memos struct {
	places []memo // pairs, of the customers that share a hash: the one asked for last is the first
	misses int    // since places were made
}

const (
	fewMemos  = 1 << 4
	mostMemos = 1 << 18
)

func (m *memos) pair(c events.CustomerID) []memo {
	if len(m.places) == 0 {
		m.places = make([]memo, fewMemos)
	}
	h := (binary.LittleEndian.Uint64(c[:]) ^ binary.LittleEndian.Uint64(c[8:])) * 0x9E3779B97F4A7C15
	i := h >> 32 & uint64(len(m.places)-2)
	return m.places[i : i+2]
}

// of returns a customer's memo, or nil.
func (m *memos) of(c events.CustomerID) *memo {
	pair := m.pair(c)
	for i := range pair {
		if pair[i].sub != nil && pair[i].customer == c {
			return &pair[i]
		}
	}
	return nil
}

// add returns a place for a new memo of a customer.
func (m *memos) add(c events.CustomerID) *memo {
	if m.misses++; m.misses > len(m.places) && len(m.places) < mostMemos {
		m.places, m.misses = make([]memo, 4*len(m.places)), 0
	}
	pair := m.pair(c)
	if pair[0].customer != c {
		pair[1] = pair[0]
	}
	return &pair[0]
}

// aheadOf is how many requests ahead rows are touched.
const aheadOf = 16

// readAhead touches the rows that requests, at most aheadOf of them, are going to be decided on, where memos know them.
// Deciding one after another waits for memory at each row; here the waits run side by side, for each loop
// reads places that do not depend on one another. It has no effect but on time. The sum is there to be computed.
//
//go:noinline
func (m *memos) readAhead(requests []Request) (sum int) {
	var mem [aheadOf]*memo
	hits := mem[:0]
	for i := range requests {
		if cmd, ok := requests[i].Command.(*ReportUsage); ok {
			if place := m.of(cmd.Customer); place != nil && place.accrual != nil && place.main != nil {
				hits = append(hits, place)
			}
		}
	}
	for _, h := range hits {
		sum += int(h.sub.Merchant[0]) + int(h.sub.Wallet[0]) + len(h.sub.Status) + int(h.sub.Clock[0]) + len(h.sub.Periods)
		sum += len(h.accrual.Lines) + int(h.main.Last) + len(h.wallet.Alerts)
		if h.held != nil {
			sum += int(h.held.Customer[0]) + int(h.held.Used) + len(h.held.Status) + len(h.held.Parked)
		}
	}
	for _, h := range hits {
		if len(h.sub.Periods) > 0 && len(h.accrual.Lines) > 0 {
			l := &h.accrual.Lines[0]
			sum += int(h.sub.Periods[0].N) + int(l.Price[0]) + int(l.First) + len(l.Events.Hashes)
		}
		if h.held != nil && len(h.held.Metrics) > 0 {
			sum += int(h.held.Metrics[0].Metric[0])
		}
	}
	return sum
}
