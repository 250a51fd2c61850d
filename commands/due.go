package commands

import (
	"container/heap"

	"tallystick/events"
	"tallystick/projections"
)

// dueKind is what falls due. Of actions at the same time the lower comes first.
type dueKind int

const (
	duePeriodEnd      dueKind = iota // close the period, open the next
	dueGraceEnd                      // issue the invoice
	dueEnding                        // the subscription ends
	dueRelease                       // a reservation expires
	dueExpiry                        // nobody has paid in time
	dueEntitlementEnd                // an entitlement expires
	dueReset                         // an interval of an entitlement ends
	dueRenewal                       // a grant has its amount again
	dueReminder                      // the payer is told of a renewal
	dueRetry                         // an invoice is charged again
)

func (k dueKind) String() string {
	return [...]string{"period-end", "grace-end", "ending", "release", "expiry", "entitlement-end", "reset", "renewal", "reminder", "retry"}[k]
}

// EndedAsPlanned is why a subscription is terminated at its endingAt.
const EndedAsPlanned = "ENDED"

// overdue reports whether something has fallen due on s by now, on its clock.
func overdue(s *projections.Subscription, now events.Time) bool {
	at, _ := nextDue(s)
	return at != 0 && at <= now
}

// nextDue returns when something falls due on s next, and what; 0 if nothing does.
func nextDue(s *projections.Subscription) (at events.Time, kind dueKind) {
	if s.Parked != "" {
		return 0, 0
	}
	consider := func(t events.Time, k dueKind) {
		if at == 0 || t < at || t == at && k < kind {
			at, kind = t, k
		}
	}
	for i := range s.Periods {
		if p := &s.Periods[i]; p.Closing {
			consider(p.GraceEnd, dueGraceEnd)
		} else if s.EndingAt == 0 || p.End < s.EndingAt { // else the ending closes it
			consider(p.End, duePeriodEnd)
		}
		if at := s.Periods[i].RemindAt; at != 0 && s.Status == projections.SubscriptionActive {
			consider(at, dueReminder)
		}
	}
	if s.EndingAt != 0 && s.Status != projections.SubscriptionTerminated {
		consider(s.EndingAt, dueEnding)
	}
	return at, kind
}

// subjectKind says what sort of thing a subject is.
type subjectKind uint8

const (
	noSubject subjectKind = iota
	subjectSubscription
	subjectReservation
	subjectSession
	subjectEntitlement
	subjectInvoice
	subjectAuthorization
)

// subject is a thing on which something falls due, by itself. The zero subject is none.
type subject struct {
	kind subjectKind
	id   [16]byte
}

func onSubscription(id events.SubscriptionID) subject { return subject{subjectSubscription, id} }

func onReservation(id events.ReservationID) subject { return subject{subjectReservation, id} }

func onSession(id events.SessionID) subject         { return subject{subjectSession, id} }
func onEntitlement(id events.EntitlementID) subject { return subject{subjectEntitlement, id} }
func onBill(id events.InvoiceID) subject            { return subject{subjectInvoice, id} }

func onAuthorization(id events.AuthorizationID) subject { return subject{subjectAuthorization, id} }

func (on subject) isZero() bool { return on.kind == noSubject }

// String returns the subject's identity.
func (on subject) String() string {
	switch on.kind {
	case noSubject:
	case subjectSubscription:
		return events.SubscriptionID(on.id).String()
	case subjectReservation:
		return events.ReservationID(on.id).String()
	case subjectSession:
		return events.SessionID(on.id).String()
	case subjectEntitlement:
		return events.EntitlementID(on.id).String()
	case subjectInvoice:
		return events.InvoiceID(on.id).String()
	case subjectAuthorization:
		return events.AuthorizationID(on.id).String()
	}
	return "nothing"
}

// next is what falls due on a subject next: nothing where at is 0.
type next struct {
	at       events.Time
	kind     dueKind
	created  events.Seq // of the subject; orders what is due at the same time
	merchant events.OrganizationID
}

// nextDueOn returns what falls due on a subject next, and on which clock.
func nextDueOn(b *projections.Books, on subject) (n next, clock events.TestClockID) {
	switch on.kind {
	case noSubject:
	case subjectSubscription:
		s := b.Subscriptions.Get(events.SubscriptionID(on.id))
		n.at, n.kind = nextDue(s)
		n.created, n.merchant = s.Created, s.Merchant
		return n, s.Clock
	case subjectReservation:
		r := b.Reservations.Get(events.ReservationID(on.id))
		if r.Status == projections.ReservationActive && r.Parked == "" {
			n.at, n.kind = r.ExpiresAt, dueRelease
		}
		n.created, n.merchant = r.Created, r.Merchant
		return n, b.Subscriptions.Get(r.Subscription).Clock
	case subjectSession:
		s := b.Sessions.Get(events.SessionID(on.id))
		if s.Status == events.SessionPending && s.Parked == "" {
			n.at, n.kind = s.ExpiresAt, dueExpiry
		}
		n.created, n.merchant = s.Created, s.Merchant
		return n, s.Clock
	case subjectEntitlement:
		e := b.Entitlements.Get(events.EntitlementID(on.id))
		n.at, n.kind = entitlementDue(b, e)
		n.created, n.merchant = e.Created, e.Merchant
		return n, e.Clock
	case subjectAuthorization: // without a subscription nothing waits for its end
		a := b.Authorizations.Get(events.AuthorizationID(on.id))
		if a.Status == events.AuthorizationPending && !a.Subscription.IsZero() && a.Parked == "" {
			n.at, n.kind = a.ExpiresAt, dueExpiry
		}
		n.created, n.merchant = a.Created, a.Merchant
		return n, a.Clock
	case subjectInvoice:
		bill := b.Bills.Get(events.InvoiceID(on.id))
		if bill == nil { // it is paid, or given up
			return n, clock
		}
		if bill.Status == projections.InvoiceUnpaid && bill.Charge.IsZero() && bill.Parked == "" {
			n.at, n.kind = bill.RetryAt, dueRetry
		}
		n.created, n.merchant = bill.Issued, bill.Merchant
		return n, b.Subscriptions.Get(bill.Subscription).Clock
	}
	return n, clock
}

// decideDue carries out what is due on a subject at a time, which nextDueOn returned.
func decideDue(b *projections.Books, c Context, on subject, d *decision) {
	switch on.kind {
	case noSubject:
	case subjectSubscription:
		decideSubscriptionDue(b, c, events.SubscriptionID(on.id), d)
	case subjectReservation:
		decideReservationDue(b, events.ReservationID(on.id), d)
	case subjectSession:
		id := events.SessionID(on.id)
		s := b.Sessions.Get(id)
		c.Merchant = s.Merchant
		endSession(b, c, id, s, s.ExpiresAt, events.SessionExpired, "", d)
	case subjectEntitlement:
		decideEntitlementDue(b, c, events.EntitlementID(on.id), d)
	case subjectAuthorization:
		id := events.AuthorizationID(on.id)
		a := b.Authorizations.Get(id)
		c.Merchant = a.Merchant
		unauthorized(c, id, a, a.ExpiresAt, events.AuthorizationExpired, events.SubscriptionTerminated{By: a.Merchant.String(), Code: NotAuthorized}, d)
	case subjectInvoice:
		decideInvoiceDue(b, c, events.InvoiceID(on.id), d)
	}
}

// decideSubscriptionDue is decideDue for a subscription.
func decideSubscriptionDue(b *projections.Books, c Context, id events.SubscriptionID, d *decision) {
	s := b.Subscriptions.Get(id)
	at, kind := nextDue(s)
	c.Merchant = s.Merchant
	bill := newBiller(b, c, s)
	switch kind {
	case duePeriodEnd:
		closePeriod(c, id, s, at, bill, d)
	case dueGraceEnd:
		for i := range s.Periods {
			if p := &s.Periods[i]; p.Closing && p.GraceEnd == at {
				bill.issue(id, p, at, d)
				return
			}
		}
	case dueReminder:
		for i := range s.Periods {
			if p := &s.Periods[i]; p.RemindAt == at {
				bill.draft(d, at, p, events.SubscriptionReminded{Subscription: id, Customer: s.Customer, Period: p.N, RenewsAt: p.End})
				return
			}
		}
	case dueEnding:
		terminate(b, c, id, s, at, events.SubscriptionTerminated{
			Subscription: id, EndedAt: at, By: s.Merchant.String(), Code: EndedAsPlanned,
		}, d)
	}
}

func closePeriod(c Context, id events.SubscriptionID, s *projections.Subscription, at events.Time, bill *biller, d *decision) {
	for i := range s.Periods {
		p := &s.Periods[i]
		if p.Closing || p.End != at {
			continue
		}
		bill.draft(d, at, p, events.InvoiceClosing{Invoice: p.Invoice, Subscription: id, Period: p.N})
		end := scheduleOf(s).end(p.N + 1)
		bill.draft(d, at, p, events.InvoiceOpened{
			Invoice: events.Derive[events.InvoiceNoun](c.ID, 0), Subscription: id, Customer: s.Customer, Period: p.N + 1,
			Start: at, End: end, GraceEnd: end.Add(grace), Currency: s.Currency,
		})
		renew(bill.b, c, id, s, p.N+1, at, d)
		return
	}
}

// due is an entry of an agenda: something falls due on a subject.
type due struct {
	at      events.Time
	created events.Seq // of the subject; orders entries of the same time
	on      subject
}

func (d due) before(e due) bool {
	return d.at < e.at || d.at == e.at && d.created < e.created
}

// An agenda is what falls due on the subjects of one clock, soonest first. Entries
// may be out of date: whoever takes one compares it with nextDueOn.
type agenda []due

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].before(a[j]) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(due)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

// agendas is an agenda for each clock, real time under the zero TestClockID.
type agendas map[events.TestClockID]*agenda

// note enters what falls due next on a subject, and returns it with its clock.
func (as agendas) note(b *projections.Books, on subject) (next, events.TestClockID) {
	n, clock := nextDueOn(b, on)
	if n.at == 0 {
		return n, clock
	}
	a := as[clock]
	if a == nil {
		a = new(agenda)
		as[clock] = a
	}
	heap.Push(a, due{n.at, n.created, on})
	return n, clock
}

// take takes the first entry of a clock off its agenda, if it is not later than now.
func (as agendas) take(clock events.TestClockID, now events.Time) (due, bool) {
	a := as[clock]
	if a == nil || len(*a) == 0 || (*a)[0].at > now {
		return due{}, false
	}
	return heap.Pop(a).(due), true
}

// soonest returns when the first entry of a clock is due, 0 if there is none.
func (as agendas) soonest(clock events.TestClockID) events.Time {
	if a := as[clock]; a != nil && len(*a) > 0 {
		return (*a)[0].at
	}
	return 0
}
