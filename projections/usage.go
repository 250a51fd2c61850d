package projections

import (
	"encoding/binary"
	"fmt"

	"tallystick/events"
)

// Total is what a customer has used of a metric, ever.
type Total struct {
	Count    uint64     // usage events
	Quantity events.Sum // as reported
	Nanos    events.Sum // before tax
	Tax      events.Sum
}

// JournalOf says what a journal is about.
type JournalOf byte

// The journals.
const (
	JournalOfWallet       JournalOf = 1 // a consumer's wallet: every record that moves its money
	JournalOfSubscription JournalOf = 2 // a subscription: every usage event
	JournalOfClock        JournalOf = 3 // a test clock: every record of its own
	JournalOfHeld         JournalOf = 4 // somebody's external identity: every event that was held for it
)

// Journal lists the records that are about one thing, in the order of the log. Full pages are rows of their
// own; Tail is the page that is being written. Both hold the differences of
// successive sequences as varints.
type Journal struct {
	Count uint64
	Pages uint32     // full ones
	Start events.Seq // what the first difference of Tail adds to
	Last  events.Seq
	Tail  []byte
}

// Page is a full page of a journal.
type Page struct {
	Start events.Seq
	Last  events.Seq
	Body  []byte
}

const pageBytes = 1 << 10

// LinkOf says how a child belongs to its parent.
type LinkOf byte

// The links. They are for listing; rules do not read them.
const (
	LinkMerchants               LinkOf = 1
	LinkKeys                    LinkOf = 2
	LinkCustomers               LinkOf = 3
	LinkCustomersOfConsumer     LinkOf = 4
	LinkProducts                LinkOf = 5
	LinkMetrics                 LinkOf = 6
	LinkPrices                  LinkOf = 7
	LinkPlans                   LinkOf = 8
	LinkWallets                 LinkOf = 9
	LinkSubscriptions           LinkOf = 10
	LinkSubscriptionsOfCustomer LinkOf = 11
	LinkInvoices                LinkOf = 12
	LinkInvoicesOfCustomer      LinkOf = 13
	LinkInvoicesOfSubscription  LinkOf = 14
	LinkFees                    LinkOf = 15
	LinkReservations            LinkOf = 90
	LinkReservationsOfCustomer  LinkOf = 91
	LinkSessions                LinkOf = 60
	LinkSessionsOfCustomer      LinkOf = 61
	LinkSessionsOfSubscription  LinkOf = 62
	LinkTopUps                  LinkOf = 63
	LinkPayments                LinkOf = 64
	LinkPaymentsOfCustomer      LinkOf = 65
	LinkFeaturesOfProduct       LinkOf = 92
	LinkEntitlementsOfCustomer  LinkOf = 93
	LinkGrantsOfEntitlement     LinkOf = 94
	LinkAuthorizations          LinkOf = 80
	LinkUsers                   LinkOf = 81
	LinkUsersOfEmail            LinkOf = 82
	LinkDisputes                LinkOf = 120
	LinkDisputesOfCustomer      LinkOf = 121
	LinkAlerts                  LinkOf = 122
	LinkAlertsOfWallet          LinkOf = 123
	LinkWalletsOfNamespace      LinkOf = 130
)

// link notes in the views that child is one of parent's, since record seq.
func (b *Books) link(what LinkOf, parent, child [16]byte, seq events.Seq) {
	if !b.Links.off {
		*b.Links.insert(LinkKey{what, parent, child}) = seq
	}
}

// unlink takes back what link has noted.
func (b *Books) unlink(what LinkOf, parent, child [16]byte) {
	b.Links.remove(LinkKey{what, parent, child})
}

// journal notes that record seq is about the thing named id.
func (b *Books) journal(what JournalOf, id [16]byte, seq events.Seq) {
	if b.Journals.off {
		return
	}
	key := JournalKey{what, id}
	b.enter(key, b.Journals.row(key), seq)
}

func (b *Books) enter(key JournalKey, r *row[Journal], seq events.Seq) {
	b.Journals.touch(key, r)
	j := &r.v
	if len(j.Tail) >= pageBytes {
		*b.Pages.insert(PageKey{key, j.Pages}) = Page{j.Start, j.Last, j.Tail}
		j.Pages++
		j.Start, j.Tail = j.Last, nil
	}
	j.Tail = binary.AppendUvarint(j.Tail, uint64(seq-j.Last))
	j.Count++
	j.Last = seq
}

// Sequences reads a page's body: the records that it lists.
func Sequences(start events.Seq, body []byte) ([]events.Seq, error) {
	var seqs []events.Seq
	for len(body) > 0 {
		diff, n := binary.Uvarint(body)
		if n <= 0 || diff == 0 {
			return nil, fmt.Errorf("malformed journal page after sequence %d", start)
		}
		start += events.Seq(diff)
		seqs = append(seqs, start)
		body = body[n:]
	}
	return seqs, nil
}

// useRows are the rows of usage tables that usage of one subscription changes, looked up once.
type useRows struct {
	subscription events.SubscriptionID
	customer     events.CustomerID
	wallet       events.WalletID

	ofWallet       *row[Journal]
	ofSubscription *row[Journal]
	totals         []totalRow  // by the place of their metric in its event, where that is the same each time
	few            [2]totalRow // the memory of totals, if there are few
}

type totalRow struct {
	metric events.MetricID
	row    *row[Total]
}

// applyUsageTables applies rec to totals and journals. They are on nobody's way: no other fold reads them, and they
// read no other table, so a second goroutine can keep them.
func (b *Books) applyUsageTables(rec *events.Record) {
	if b.Totals.off {
		return
	}
	if e, ok := rec.Event.(*events.UsageReported); ok {
		b.use(rec, e)
		return
	}
	switch rec.Event.Kind() {
	case events.KindWalletToppedUp:
		b.journal(JournalOfWallet, rec.Event.(events.WalletToppedUp).Wallet, rec.Seq)
	case events.KindReservationCreated, events.KindReservationReleased:
		if m := rec.Event.Money(); len(m.Postings) > 0 {
			b.journal(JournalOfWallet, m.Wallet, rec.Seq)
		}
	case events.KindWalletEmptied:
		e := rec.Event.(events.WalletEmptied)
		b.journal(JournalOfWallet, e.Wallet, rec.Seq)
		b.journal(JournalOfWallet, e.Parent, rec.Seq)
	case events.KindInvoicePaid:
		if e := rec.Event.(events.InvoicePaid); len(e.Postings) > 0 {
			b.journal(JournalOfWallet, e.Wallet, rec.Seq)
		}
	case events.KindClockCreated:
		b.journal(JournalOfClock, clockAsID(rec.Event.(events.ClockCreated).Clock), rec.Seq)
	case events.KindClockAdvancing:
		b.journal(JournalOfClock, clockAsID(rec.Event.(events.ClockAdvancing).Clock), rec.Seq)
	case events.KindClockAdvanced:
		b.journal(JournalOfClock, clockAsID(rec.Event.(events.ClockAdvanced).Clock), rec.Seq)
	case events.KindClockDeleted:
		b.journal(JournalOfClock, clockAsID(rec.Event.(events.ClockDeleted).Clock), rec.Seq)
	case events.KindEventHeld:
		b.journal(JournalOfHeld, rec.Event.(events.EventHeld).External, rec.Seq)
	default:
		if m := rec.Event.Money(); len(m.Postings) > 0 && !m.Wallet.IsZero() {
			b.journal(JournalOfWallet, m.Wallet, rec.Seq)
		}
	}
}

// use is applyUsageTables for the hot event.
func (b *Books) use(rec *events.Record, e *events.UsageReported) {
	u := b.useRows(e)
	for i := range e.Lines {
		l := &e.Lines[i]
		t := b.total(u, i, Pair[events.CustomerID, events.MetricID]{e.Customer, l.Metric})
		t.Count++
		t.Quantity = t.Quantity.Add(events.Nanos(l.Quantity))
		t.Nanos = t.Nanos.Add(l.Nanos)
		if l.Tax != 0 {
			t.Tax = t.Tax.Add(l.Tax)
		}
	}
	b.enter(JournalKey{JournalOfWallet, e.Wallet}, u.ofWallet, rec.Seq)
	b.enter(JournalKey{JournalOfSubscription, e.Subscription}, u.ofSubscription, rec.Seq)
}

func (b *Books) useRows(e *events.UsageReported) *useRows {
	hash := memoHash(e.Subscription, 0)
	u := b.uses.find(hash)
	if u == nil || u.subscription != e.Subscription || u.customer != e.Customer || u.wallet != e.Wallet {
		u = &useRows{
			subscription: e.Subscription, customer: e.Customer, wallet: e.Wallet,
			ofWallet:       b.Journals.row(JournalKey{JournalOfWallet, e.Wallet}),
			ofSubscription: b.Journals.row(JournalKey{JournalOfSubscription, e.Subscription}),
		}
		u.totals = u.few[:0]
		b.uses.put(hash, u)
	}
	return u
}

// total returns the total of key, to be changed. i is the metric's place in its event.
func (b *Books) total(u *useRows, i int, key Pair[events.CustomerID, events.MetricID]) *Total {
	var t *row[Total]
	if i < len(u.totals) && u.totals[i].metric == key.B {
		t = u.totals[i].row
	} else {
		t = b.Totals.row(key)
		if i == len(u.totals) {
			u.totals = append(u.totals, totalRow{key.B, t})
		}
	}
	b.Totals.touch(key, t)
	return &t.v
}

// lookAhead does for totals and journals what [Books.readAhead] does for the others.
func (b *Books) lookAhead(recs []events.Record) uint64 {
	var mem [ahead]*useRows
	us := mem[:0]
	for i := range recs {
		if e, ok := recs[i].Event.(*events.UsageReported); ok {
			if u := b.uses.find(memoHash(e.Subscription, 0)); u != nil {
				us = append(us, u)
			}
		}
	}
	sum := uint64(0)
	for _, u := range us {
		sum += uint64(len(u.totals))
	}
	for _, u := range us {
		sum += u.ofWallet.v.Count + u.ofSubscription.v.Count
		for j := range u.totals {
			sum += u.totals[j].row.v.Count
		}
	}
	for _, u := range us {
		sum += lastByte(u.ofWallet.v.Tail) + lastByte(u.ofSubscription.v.Tail)
	}
	return sum
}

func lastByte(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	return uint64(b[len(b)-1])
}
