package projections

import (
	"slices"

	"tallystick/events"
)

// DisputeStatus says what has become of a dispute.
type DisputeStatus string

// The statuses.
const (
	DisputePending  DisputeStatus = "pending"
	DisputeAccepted DisputeStatus = "accepted"
	DisputeDeclined DisputeStatus = "declined"
)

// Dispute is a usage event that a customer does not agree with. What was said is in the records.
type Dispute struct {
	Merchant events.OrganizationID `cbor:"1,keyasint"`
	Customer events.CustomerID     `cbor:"2,keyasint"`
	Usage    events.UsageID        `cbor:"3,keyasint"`
	Currency events.Currency       `cbor:"4,keyasint"`
	Amount   events.Sum            `cbor:"5,keyasint"` // what the event cost, with tax
	Status   DisputeStatus         `cbor:"6,keyasint"`
	Opened   events.Seq            `cbor:"7,keyasint"` // the record that holds the customer's message
	At       events.Time           `cbor:"8,keyasint"`

	Resolved   events.Seq  `cbor:"9,keyasint,omitzero"` // the record that holds the merchant's message
	ResolvedAt events.Time `cbor:"10,keyasint,omitzero"`
}

func (b *Books) disputeOpened(rec *events.Record, e events.DisputeOpened) {
	assert(b.Disputes.Get(e.Dispute) == nil, rec, "usage disputed twice")
	*b.Disputes.insert(e.Dispute) = Dispute{
		Merchant: rec.Merchant, Customer: e.Customer, Usage: e.Usage, Currency: e.Currency, Amount: e.Amount,
		Status: DisputePending, Opened: rec.Seq, At: rec.At,
	}
	c := b.Customers.edit(e.Customer)
	c.Disputes = append(c.Disputes, e.Dispute)
	b.link(LinkDisputes, rec.Merchant, e.Dispute, rec.Seq)
	b.link(LinkDisputesOfCustomer, e.Customer, e.Dispute, rec.Seq)
}

func (b *Books) disputeResolved(rec *events.Record, e events.DisputeResolved) {
	d := b.Disputes.edit(e.Dispute)
	assert(d.Status == DisputePending, rec, "a dispute resolved twice")
	d.Status, d.Resolved, d.ResolvedAt = DisputeDeclined, rec.Seq, rec.At
	if e.Accepted {
		d.Status = DisputeAccepted
	}
	c := b.Customers.edit(e.Customer)
	c.Disputes = slices.DeleteFunc(c.Disputes, func(id events.DisputeID) bool { return id == e.Dispute })
}
