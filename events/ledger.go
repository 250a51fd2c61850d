package events

// Environment says whether a ledger moves real money. It is fixed in the first event.
type Environment string

// The environments.
const (
	Sandbox Environment = "sandbox" // test clocks and sk_test_ keys exist
	Live    Environment = "live"    // sk_live_ keys exist
)

// LedgerOpened is the first event of every ledger, and stands at Seq 1 (D1).
type LedgerOpened struct {
	Environment Environment `cbor:"1,keyasint" json:"environment"`
	Format      uint32      `cbor:"2,keyasint" json:"format"` // version of the data directory's form
}

// KeyRole says what the holder of a key may do.
type KeyRole string

// The roles of keys (D22).
const (
	MerchantKey KeyRole = "merchant" // its merchant's business
	OperatorKey KeyRole = "operator" // everything
	AuditorKey  KeyRole = "auditor"  // read everything, write nothing
)

// KeyCreated records that an API key exists. The key itself is shown once and kept nowhere.
type KeyCreated struct {
	Key    KeyID   `cbor:"1,keyasint" json:"keyId"`
	Role   KeyRole `cbor:"2,keyasint" json:"role"`
	Secret Hash    `cbor:"3,keyasint" json:"secretHash"` // SHA-256 of the key's text
	Name   string  `cbor:"4,keyasint,omitempty" json:"name,omitempty"`
}

// KeyRevoked records that an API key is valid no longer.
type KeyRevoked struct {
	Key KeyID `cbor:"1,keyasint" json:"keyId"`
}

// DueFailed records that a due action could not be carried out. It parks the
// action: it is not tried again by itself (D13).
type DueFailed struct {
	Subscription SubscriptionID `cbor:"1,keyasint,omitzero" json:"subscriptionId,omitzero"` // on which it was due, or one of those below
	Action       string         `cbor:"2,keyasint" json:"action"`
	Due          Time           `cbor:"3,keyasint" json:"dueAt"`
	Code         string         `cbor:"4,keyasint" json:"code"`
	Message      string         `cbor:"5,keyasint" json:"message"`
	Reservation  ReservationID  `cbor:"7,keyasint,omitzero" json:"reservationId,omitzero"`
	Entitlement  EntitlementID  `cbor:"8,keyasint,omitzero" json:"entitlementId,omitzero"`
	Session      SessionID      `cbor:"6,keyasint,omitzero" json:"paymentSessionId,omitzero"`
	Invoice      InvoiceID      `cbor:"9,keyasint,omitzero" json:"invoiceId,omitzero"`

	Authorization AuthorizationID `cbor:"10,keyasint,omitzero" json:"authorizationId,omitzero"`
}

func (LedgerOpened) Kind() Kind { return KindLedgerOpened }
func (KeyCreated) Kind() Kind   { return KindKeyCreated }
func (KeyRevoked) Kind() Kind   { return KindKeyRevoked }
func (DueFailed) Kind() Kind    { return KindDueFailed }

func (LedgerOpened) Subject() (aggregate, name string) { return "ledger", "LedgerOpened" }
func (KeyCreated) Subject() (aggregate, name string)   { return "key", "KeyCreated" }
func (KeyRevoked) Subject() (aggregate, name string)   { return "key", "KeyRevoked" }
func (DueFailed) Subject() (aggregate, name string)    { return "due", "DueFailed" }

func (LedgerOpened) Money() Movement { return Movement{} }
func (KeyCreated) Money() Movement   { return Movement{} }
func (KeyRevoked) Money() Movement   { return Movement{} }
func (DueFailed) Money() Movement    { return Movement{} }

func (LedgerOpened) sealed() {}
func (KeyCreated) sealed()   {}
func (KeyRevoked) sealed()   {}
func (DueFailed) sealed()    {}
