package events

// FeatureType says what a feature gives to who is entitled to it.
type FeatureType string

// The types of features.
const (
	FeatureBoolean FeatureType = "boolean" // access
	FeatureStatic  FeatureType = "static"  // access, with a configuration
	FeatureMetered FeatureType = "metered" // access as long as there are units of it
)

// FeatureCreated records something that a product can do for those who are entitled to it.
type FeatureCreated struct {
	Feature  FeatureID         `cbor:"1,keyasint" json:"featureId"`
	Product  ProductID         `cbor:"2,keyasint" json:"productId"`
	Key      string            `cbor:"3,keyasint" json:"key"` // unique in its product
	Name     string            `cbor:"4,keyasint" json:"name"`
	Type     FeatureType       `cbor:"5,keyasint" json:"type"`
	Metadata map[string]string `cbor:"6,keyasint,omitempty" json:"metadata,omitempty"`
}

// FeatureUpdated records a feature as it is from now on.
type FeatureUpdated struct {
	Feature  FeatureID         `cbor:"1,keyasint" json:"featureId"`
	Key      string            `cbor:"2,keyasint" json:"key"`
	Name     string            `cbor:"3,keyasint" json:"name"`
	Type     FeatureType       `cbor:"4,keyasint" json:"type"`
	Metadata map[string]string `cbor:"5,keyasint,omitempty" json:"metadata,omitempty"`
}

// FeatureDeleted records that a feature is gone. Nobody was entitled to it, and no price had it.
type FeatureDeleted struct {
	Feature FeatureID `cbor:"1,keyasint" json:"featureId"`
}

// FeatureTerms is what an entitlement gives. Units are in billionths, as money is.
type FeatureTerms struct {
	Type          FeatureType `cbor:"1,keyasint" json:"type"`
	Config        string      `cbor:"2,keyasint,omitempty" json:"config,omitempty"`       // static: JSON
	Interval      Interval    `cbor:"3,keyasint,omitempty" json:"interval,omitempty"`     // metered: how often usage begins again from nothing; never if empty
	Anchor        Time        `cbor:"4,keyasint,omitzero" json:"anchor,omitzero"`         // from which intervals count
	Issue         Sum         `cbor:"5,keyasint,omitzero" json:"issueAfterResetNanos"`    // units that are granted at the start of each interval
	IssuePriority int64       `cbor:"6,keyasint,omitzero" json:"issueAfterResetPriority"` // of that grant
	Soft          bool        `cbor:"7,keyasint,omitempty" json:"isSoftLimit"`            // access goes on when there are none left
	Preserve      bool        `cbor:"8,keyasint,omitempty" json:"preserveOverageAtReset"` // what was used beyond them is taken from the next
	MaxRollover   Sum         `cbor:"9,keyasint,omitzero" json:"resetMaxRolloverNanos"`   // of the grants at the start of each interval: at most
	MinRollover   Sum         `cbor:"10,keyasint,omitzero" json:"resetMinRolloverNanos"`  // and at least so many units are kept
}

// EntitlementIssued records that a customer may use a feature.
type EntitlementIssued struct {
	Entitlement  EntitlementID  `cbor:"1,keyasint" json:"entitlementId"`
	Customer     CustomerID     `cbor:"2,keyasint" json:"customerId"`
	Feature      FeatureID      `cbor:"3,keyasint" json:"featureId"`
	Product      ProductID      `cbor:"4,keyasint" json:"productId"`
	Subscription SubscriptionID `cbor:"5,keyasint,omitzero" json:"subscriptionId,omitzero"` // with which it ends
	Clock        TestClockID    `cbor:"6,keyasint,omitzero" json:"testClockId,omitzero"`    // of the subscription
	ActiveFrom   Time           `cbor:"7,keyasint" json:"activeFrom"`
	ActiveTo     Time           `cbor:"8,keyasint,omitzero" json:"activeTo,omitzero"` // exclusive
	Terms        FeatureTerms   `cbor:"9,keyasint" json:"template"`
	PeriodEnd    Time           `cbor:"10,keyasint,omitzero" json:"currentPeriodEnd,omitzero"` // when usage begins again from nothing
	Metadata     Sealed         `cbor:"11,keyasint,omitzero" json:"metadata,omitzero"`
}

// EntitlementEnded records that an entitlement gives nothing any more, and that its grants are void.
type EntitlementEnded struct {
	Entitlement EntitlementID `cbor:"1,keyasint" json:"entitlementId"`
	Status      string        `cbor:"2,keyasint" json:"status"` // "canceled" or "expired"
}

// EntitlementReset records that an interval is over: its usage counts no more, and each grant keeps what rolls over.
type EntitlementReset struct {
	Entitlement EntitlementID `cbor:"1,keyasint" json:"entitlementId"`
	PeriodStart Time          `cbor:"2,keyasint" json:"currentPeriodStart"`
	PeriodEnd   Time          `cbor:"3,keyasint" json:"currentPeriodEnd"`
	Left        []GrantUnits  `cbor:"4,keyasint" json:"grants"`                // what each grant has from now on
	Overage     Sum           `cbor:"5,keyasint,omitzero" json:"overageNanos"` // that is still owed to the limit
}

// GrantUnits is units of a grant.
type GrantUnits struct {
	Grant GrantID `cbor:"1,keyasint" json:"grantId"`
	Units Sum     `cbor:"2,keyasint" json:"unitsNanos"`
}

// GrantIssued records units that an entitlement has, to be used from EffectiveAt on.
type GrantIssued struct {
	Grant       GrantID       `cbor:"1,keyasint" json:"grantId"`
	Entitlement EntitlementID `cbor:"2,keyasint" json:"entitlementId"`
	Amount      Sum           `cbor:"3,keyasint" json:"amountNanos"`
	EffectiveAt Time          `cbor:"4,keyasint" json:"effectiveAt"`
	ExpiresAt   Time          `cbor:"5,keyasint,omitzero" json:"expiresAt,omitzero"` // exclusive
	Recurrence  Interval      `cbor:"6,keyasint,omitempty" json:"recurrencePeriod,omitempty"`
	Priority    int64         `cbor:"7,keyasint,omitzero" json:"priority"` // the lowest is used first
	MaxRollover Sum           `cbor:"8,keyasint,omitzero" json:"resetMaxRolloverNanos"`
	MinRollover Sum           `cbor:"9,keyasint,omitzero" json:"resetMinRolloverNanos"`
	Code        string        `cbor:"10,keyasint,omitempty" json:"code,omitempty"` // "ALLOWANCE" where the entitlement's terms issue it
	Used        Sum           `cbor:"11,keyasint,omitzero" json:"usedNanos"`       // at once, for overage that was preserved
}

// GrantOrdered records that units of a metered entitlement are asked for, and a payment session for their price. What they cost was worked out
// and told to whoever pays: once that is paid it is a line of an invoice, and they are granted in the same step; if it is not, neither happens.
type GrantOrdered struct {
	Grant        GrantID        `cbor:"1,keyasint" json:"grantId"` // that it will be
	Entitlement  EntitlementID  `cbor:"2,keyasint" json:"entitlementId"`
	Subscription SubscriptionID `cbor:"3,keyasint" json:"subscriptionId"`
	Period       uint32         `cbor:"4,keyasint" json:"period"` // whose invoice would have it now
	Invoice      InvoiceID      `cbor:"5,keyasint" json:"invoiceId"`
	Session      SessionID      `cbor:"6,keyasint" json:"paymentSessionId"`
	Amount       Sum            `cbor:"7,keyasint" json:"amountNanos"`
	EffectiveAt  Time           `cbor:"8,keyasint,omitzero" json:"effectiveAt,omitzero"` // when it is paid, where it is 0
	ExpiresAt    Time           `cbor:"9,keyasint,omitzero" json:"expiresAt,omitzero"`
	Recurrence   Interval       `cbor:"10,keyasint,omitempty" json:"recurrencePeriod,omitempty"`
	Priority     int64          `cbor:"11,keyasint,omitzero" json:"priority"`
	MaxRollover  Sum            `cbor:"12,keyasint,omitzero" json:"resetMaxRolloverNanos"`
	MinRollover  Sum            `cbor:"13,keyasint,omitzero" json:"resetMinRolloverNanos"`
	Price        Nanos          `cbor:"14,keyasint" json:"priceNanos"` // as the merchant says
	Nanos        Nanos          `cbor:"15,keyasint" json:"costNanos"`  // before tax
	Tax          Nanos          `cbor:"16,keyasint,omitzero" json:"taxNanos,omitzero"`
	TaxRate      TaxRate        `cbor:"17,keyasint,omitzero" json:"taxRate,omitzero"`
	Currency     Currency       `cbor:"18,keyasint" json:"currency"`
}

// GrantRenewed records that a grant that recurs has its amount again.
type GrantRenewed struct {
	Grant       GrantID       `cbor:"1,keyasint" json:"grantId"`
	Entitlement EntitlementID `cbor:"2,keyasint" json:"entitlementId"`
	At          Time          `cbor:"3,keyasint" json:"renewedAt"`
}

// GrantVoided records that a grant has no units any more.
type GrantVoided struct {
	Grant       GrantID       `cbor:"1,keyasint" json:"grantId"`
	Entitlement EntitlementID `cbor:"2,keyasint" json:"entitlementId"`
}

// EntitlementUsed records that usage has taken units of a metered feature, and from which grants.
type EntitlementUsed struct {
	Entitlement EntitlementID `cbor:"1,keyasint" json:"entitlementId"`
	Usage       UsageID       `cbor:"2,keyasint" json:"usageEventId"`
	Units       Sum           `cbor:"3,keyasint" json:"unitsNanos"`
	Burned      []GrantUnits  `cbor:"4,keyasint" json:"grants"`
	Overage     Sum           `cbor:"5,keyasint,omitzero" json:"overageNanos"` // what no grant had
}

func (FeatureCreated) Kind() Kind    { return KindFeatureCreated }
func (FeatureUpdated) Kind() Kind    { return KindFeatureUpdated }
func (FeatureDeleted) Kind() Kind    { return KindFeatureDeleted }
func (EntitlementIssued) Kind() Kind { return KindEntitlementIssued }
func (EntitlementEnded) Kind() Kind  { return KindEntitlementEnded }
func (EntitlementReset) Kind() Kind  { return KindEntitlementReset }
func (EntitlementUsed) Kind() Kind   { return KindEntitlementUsed }
func (GrantIssued) Kind() Kind       { return KindGrantIssued }
func (GrantOrdered) Kind() Kind      { return KindGrantOrdered }
func (GrantRenewed) Kind() Kind      { return KindGrantRenewed }
func (GrantVoided) Kind() Kind       { return KindGrantVoided }

func (FeatureCreated) Subject() (aggregate, name string) { return "feature", "FeatureCreated" }
func (FeatureUpdated) Subject() (aggregate, name string) { return "feature", "FeatureUpdated" }
func (FeatureDeleted) Subject() (aggregate, name string) { return "feature", "FeatureDeleted" }
func (EntitlementIssued) Subject() (aggregate, name string) {
	return "entitlement", "EntitlementIssued"
}

func (EntitlementEnded) Subject() (aggregate, name string) { return "entitlement", "EntitlementEnded" }

func (EntitlementReset) Subject() (aggregate, name string) { return "entitlement", "EntitlementReset" }

func (EntitlementUsed) Subject() (aggregate, name string) { return "entitlement", "EntitlementUsed" }
func (GrantIssued) Subject() (aggregate, name string)     { return "grant", "GrantIssued" }
func (GrantOrdered) Subject() (aggregate, name string)    { return "grant", "GrantOrdered" }
func (GrantRenewed) Subject() (aggregate, name string)    { return "grant", "GrantRenewed" }
func (GrantVoided) Subject() (aggregate, name string)     { return "grant", "GrantVoided" }

func (FeatureCreated) Money() Movement    { return Movement{} }
func (FeatureUpdated) Money() Movement    { return Movement{} }
func (FeatureDeleted) Money() Movement    { return Movement{} }
func (EntitlementIssued) Money() Movement { return Movement{} }
func (EntitlementEnded) Money() Movement  { return Movement{} }
func (EntitlementReset) Money() Movement  { return Movement{} }
func (EntitlementUsed) Money() Movement   { return Movement{} }
func (GrantIssued) Money() Movement       { return Movement{} }
func (GrantOrdered) Money() Movement      { return Movement{} }
func (GrantRenewed) Money() Movement      { return Movement{} }
func (GrantVoided) Money() Movement       { return Movement{} }

func (FeatureCreated) sealed()    {}
func (FeatureUpdated) sealed()    {}
func (FeatureDeleted) sealed()    {}
func (EntitlementIssued) sealed() {}
func (EntitlementEnded) sealed()  {}
func (EntitlementReset) sealed()  {}
func (EntitlementUsed) sealed()   {}
func (GrantIssued) sealed()       {}
func (GrantOrdered) sealed()      {}
func (GrantRenewed) sealed()      {}
func (GrantVoided) sealed()       {}
