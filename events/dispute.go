package events

// DisputeOpened records that a customer does not agree with a usage event. There is one dispute of an event at most.
type DisputeOpened struct {
	Dispute      DisputeID      `cbor:"1,keyasint" json:"disputeId"`
	Usage        UsageID        `cbor:"2,keyasint" json:"usageEventId"`
	Subscription SubscriptionID `cbor:"3,keyasint" json:"subscriptionId"`
	Customer     CustomerID     `cbor:"4,keyasint" json:"customerId"`
	Currency     Currency       `cbor:"5,keyasint" json:"currency"`
	Amount       Sum            `cbor:"6,keyasint" json:"amountNanos"` // what the event cost, with tax
	Message      Sealed         `cbor:"7,keyasint,omitzero" json:"message,omitzero"`
}

// DisputeResolved records what the merchant says to a dispute. If it is accepted, a [UsageRefunded] of the same command takes the
// event back, unless it was taken back while it was disputed.
type DisputeResolved struct {
	Dispute  DisputeID  `cbor:"1,keyasint" json:"disputeId"`
	Usage    UsageID    `cbor:"2,keyasint" json:"usageEventId"`
	Customer CustomerID `cbor:"3,keyasint" json:"customerId"`
	Accepted bool       `cbor:"4,keyasint" json:"accepted"`
	Message  Sealed     `cbor:"5,keyasint,omitzero" json:"message,omitzero"`
}

func (DisputeOpened) Kind() Kind   { return KindDisputeOpened }
func (DisputeResolved) Kind() Kind { return KindDisputeResolved }

func (DisputeOpened) Subject() (aggregate, name string)   { return "dispute", "DisputeOpened" }
func (DisputeResolved) Subject() (aggregate, name string) { return "dispute", "DisputeResolved" }

func (DisputeOpened) Money() Movement   { return Movement{} }
func (DisputeResolved) Money() Movement { return Movement{} }

func (DisputeOpened) sealed()   {}
func (DisputeResolved) sealed() {}
