package events

// CustomerUpdated records what a merchant knows of a customer from now on. The texts and rates that are not given stay as they were.
type CustomerUpdated struct {
	Customer      CustomerID  `cbor:"1,keyasint" json:"customerId"`
	ExternalGiven bool        `cbor:"2,keyasint,omitempty" json:"externalIdGiven,omitempty"`
	External      Digest      `cbor:"3,keyasint,omitzero" json:"externalDigest,omitzero"` // keyed hash of the merchant's own id; zero for none
	ExternalID    Sealed      `cbor:"4,keyasint,omitzero" json:"externalId,omitzero"`
	TaxIDGiven    bool        `cbor:"5,keyasint,omitempty" json:"taxIdGiven,omitempty"`
	TaxID         Sealed      `cbor:"6,keyasint,omitzero" json:"taxId,omitzero"`
	Muted         Muted       `cbor:"7,keyasint,omitzero" json:"muted,omitzero"` // always given
	RatesGiven    bool        `cbor:"8,keyasint,omitempty" json:"taxRatesGiven,omitempty"`
	TaxRates      []TaxRateOf `cbor:"9,keyasint,omitempty" json:"taxRates,omitempty"`
}

// Muted says which notices a customer does not get. The zero Muted is all of them.
type Muted struct {
	InvoiceIssued   bool `cbor:"1,keyasint,omitempty" json:"invoiceIssued,omitempty"`
	InvoicePaid     bool `cbor:"2,keyasint,omitempty" json:"invoicePaid,omitempty"`
	RenewalReminder bool `cbor:"3,keyasint,omitempty" json:"renewalReminder,omitempty"`
}

// CustomerDeleted records that a relation between a merchant and a consumer has ended. Nothing was open between them. What was, stays.
type CustomerDeleted struct {
	Customer CustomerID `cbor:"1,keyasint" json:"customerId"`
}

// ConsumerUpdated records a consumer's profile from now on.
type ConsumerUpdated struct {
	Consumer OrganizationID `cbor:"1,keyasint" json:"consumerId"`
	Email    Digest         `cbor:"2,keyasint" json:"emailDigest"` // keyed hash of the normalised address, for look-up
	Profile  Sealed         `cbor:"3,keyasint" json:"profile"`
	Region   string         `cbor:"4,keyasint,omitempty" json:"taxRegion,omitempty"` // where its address is complete
}

func (CustomerUpdated) Kind() Kind { return KindCustomerUpdated }
func (CustomerDeleted) Kind() Kind { return KindCustomerDeleted }
func (ConsumerUpdated) Kind() Kind { return KindConsumerUpdated }

func (CustomerUpdated) Subject() (aggregate, name string) { return "customer", "CustomerUpdated" }
func (CustomerDeleted) Subject() (aggregate, name string) { return "customer", "CustomerDeleted" }
func (ConsumerUpdated) Subject() (aggregate, name string) { return "consumer", "ConsumerUpdated" }

func (CustomerUpdated) Money() Movement { return Movement{} }
func (CustomerDeleted) Money() Movement { return Movement{} }
func (ConsumerUpdated) Money() Movement { return Movement{} }

func (CustomerUpdated) sealed() {}
func (CustomerDeleted) sealed() {}
func (ConsumerUpdated) sealed() {}
