package events

// Profile is how a merchant appears as the seller on an invoice.
type Profile struct {
	Name    string  `cbor:"1,keyasint" json:"name"`
	Email   string  `cbor:"2,keyasint,omitempty" json:"email,omitempty"`
	Phone   string  `cbor:"3,keyasint,omitempty" json:"phone,omitempty"`
	TaxID   string  `cbor:"4,keyasint,omitempty" json:"taxId,omitempty"`
	Address Address `cbor:"5,keyasint,omitzero" json:"address,omitzero"`
}

// Address is a postal address.
type Address struct {
	Line1   string `cbor:"1,keyasint,omitempty" json:"line1,omitempty"`
	Line2   string `cbor:"2,keyasint,omitempty" json:"line2,omitempty"`
	City    string `cbor:"3,keyasint,omitempty" json:"city,omitempty"`
	State   string `cbor:"4,keyasint,omitempty" json:"state,omitempty"`
	Country string `cbor:"5,keyasint,omitempty" json:"country,omitempty"` // ISO 3166-1 alpha-2
	ZipCode string `cbor:"6,keyasint,omitempty" json:"zipCode,omitempty"`
}

// IsZero reports whether nothing is known of a.
func (a Address) IsZero() bool { return a == Address{} }

// Settings are a merchant's terms with the platform.
type Settings struct {
	FeeBasisPoints uint32 `cbor:"1,keyasint,omitempty" json:"feeBasisPoints"`             // the platform's part of each charge; 0 to 10000
	ManagedPrepaid bool   `cbor:"2,keyasint,omitempty" json:"managedPrepaid"`             // managed consumers may prepay (D31)
	AutomaticTax   bool   `cbor:"3,keyasint,omitempty" json:"automaticTax,omitempty"`     // by the consumer's address, where nothing better is known
	ManualApproval bool   `cbor:"4,keyasint,omitempty" json:"manualApproval,omitempty"`   // invoices wait as drafts for ApproveInvoice
	PaymentDays    uint32 `cbor:"5,keyasint,omitempty" json:"paymentTermDays,omitempty"`  // an invoice is due so many days after it is issued; 0 to 365
	PaymentRetries string `cbor:"6,keyasint,omitempty" json:"paymentRetries,omitempty"`   // days from each failed charge of an invoice to the next, as in "1,3,5,7"; "" for that, "none" for no more
	AmountLimit    Nanos  `cbor:"7,keyasint,omitempty" json:"amountLimitNanos,omitempty"` // of one payment, and of a wallet's minimum (A31); 0 for 5,000 units
}

// MerchantCreated records that an organization sells. The merchant is the envelope's.
type MerchantCreated struct {
	Profile  Profile  `cbor:"1,keyasint" json:"profile"`
	Settings Settings `cbor:"2,keyasint" json:"settings"`
	Currency Currency `cbor:"3,keyasint" json:"currency"` // of the wallets it opens for consumers
}

// MerchantUpdated records a merchant's profile and settings as they are from now on.
type MerchantUpdated struct {
	Profile  Profile  `cbor:"1,keyasint" json:"profile"`
	Settings Settings `cbor:"2,keyasint" json:"settings"`
}

// TaxRateOf is a rate that a merchant has set for a customer: for one plan, for one metric, or, naming neither, for all.
type TaxRateOf struct {
	Plan   PlanID   `cbor:"1,keyasint,omitzero" json:"planId,omitzero"`
	Metric MetricID `cbor:"2,keyasint,omitzero" json:"billableMetricId,omitzero"`
	Rate   TaxRate  `cbor:"3,keyasint" json:"taxRate"`
}

// ConsumerKind says who controls a consumer.
type ConsumerKind string

// The kinds of consumer.
const (
	Managed ConsumerKind = "managed" // made and controlled by one merchant
	Full    ConsumerKind = "full"    // signed up itself
)

// ConsumerCreated records that an organization buys. A managed consumer is the
// envelope's merchant's; a full one is nobody's.
//
// The tax region is what tax law needs to know of an address: a country, and in some a state, such as "DE" or "US-CA". It
// names nobody, and is not sealed: what an invoice came to can be explained after its buyer is erased.
type ConsumerCreated struct {
	Consumer OrganizationID `cbor:"1,keyasint" json:"consumerId"`
	Type     ConsumerKind   `cbor:"2,keyasint" json:"kind"`
	Email    Digest         `cbor:"3,keyasint" json:"emailDigest"` // keyed hash of the normalised address, for look-up
	Profile  Sealed         `cbor:"4,keyasint" json:"profile"`
	Region   string         `cbor:"5,keyasint,omitempty" json:"taxRegion,omitempty"` // where its address is complete
	StandsIn bool           `cbor:"6,keyasint,omitempty" json:"standsIn,omitempty"`  // for a full one with this address, which has not authorized the merchant
}

// ConsumerErased records that a consumer's key is to be destroyed, and with it
// everything that was sealed under it (D4). Amounts stay.
type ConsumerErased struct {
	Consumer OrganizationID `cbor:"1,keyasint" json:"consumerId"`
}

// CustomerCreated records the relation of the envelope's merchant to a consumer.
type CustomerCreated struct {
	Customer CustomerID     `cbor:"1,keyasint" json:"customerId"`
	Consumer OrganizationID `cbor:"2,keyasint" json:"consumerId"`
	External Digest         `cbor:"3,keyasint,omitzero" json:"externalDigest,omitzero"` // keyed hash of the merchant's own id, for look-up
	Details  Sealed         `cbor:"4,keyasint,omitzero" json:"details,omitzero"`        // external id, tax id
	TaxRates []TaxRateOf    `cbor:"5,keyasint,omitempty" json:"taxRates,omitempty"`
}

func (MerchantCreated) Kind() Kind { return KindMerchantCreated }
func (MerchantUpdated) Kind() Kind { return KindMerchantUpdated }
func (ConsumerCreated) Kind() Kind { return KindConsumerCreated }
func (ConsumerErased) Kind() Kind  { return KindConsumerErased }
func (CustomerCreated) Kind() Kind { return KindCustomerCreated }

func (MerchantCreated) Subject() (aggregate, name string) { return "merchant", "MerchantCreated" }
func (MerchantUpdated) Subject() (aggregate, name string) { return "merchant", "MerchantUpdated" }
func (ConsumerCreated) Subject() (aggregate, name string) { return "consumer", "ConsumerCreated" }
func (ConsumerErased) Subject() (aggregate, name string)  { return "consumer", "ConsumerErased" }
func (CustomerCreated) Subject() (aggregate, name string) { return "customer", "CustomerCreated" }

func (MerchantCreated) Money() Movement { return Movement{} }
func (MerchantUpdated) Money() Movement { return Movement{} }
func (ConsumerCreated) Money() Movement { return Movement{} }
func (ConsumerErased) Money() Movement  { return Movement{} }
func (CustomerCreated) Money() Movement { return Movement{} }

func (MerchantCreated) sealed() {}
func (MerchantUpdated) sealed() {}
func (ConsumerCreated) sealed() {}
func (ConsumerErased) sealed()  {}
func (CustomerCreated) sealed() {}
