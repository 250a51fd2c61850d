package events

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/oklog/ulid/v2"
)

// Noun is a kind of thing that has an [ID]. Its prefix is what people and other
// systems see before the underscore.
type Noun interface{ prefix() string }

// ID identifies one K: 16 raw bytes, a ULID. As text it is K's prefix, an
// underscore and 26 characters: "cus_01JD3W…". The zero ID identifies nothing.
//
// [ParseID] and String are inverses, but for the zero ID, which prints as nothing.
type ID[K Noun] [16]byte

// The nouns that have identities.
type (
	// LedgerNoun stands for a ledger.
	LedgerNoun struct{}
	// OrganizationNoun stands for a merchant, a consumer, or both.
	OrganizationNoun struct{}
	// KeyNoun stands for an API key.
	KeyNoun struct{}
	// UserNoun stands for a person who signs in.
	UserNoun struct{}
	// ProductNoun stands for a product.
	ProductNoun struct{}
	// MetricNoun stands for a metric.
	MetricNoun struct{}
	// FeeNoun stands for a fee.
	FeeNoun struct{}
	// PriceNoun stands for a price.
	PriceNoun struct{}
	// PlanNoun stands for a plan.
	PlanNoun struct{}
	// CustomerNoun stands for a customer.
	CustomerNoun struct{}
	// WalletNoun stands for a wallet.
	WalletNoun struct{}
	// TopUpNoun stands for a top-up.
	TopUpNoun struct{}
	// SubscriptionNoun stands for a subscription.
	SubscriptionNoun struct{}
	// UsageNoun stands for a usage event.
	UsageNoun struct{}
	// BillingNoun stands for the billing side of a usage event.
	BillingNoun struct{}
	// InvoiceNoun stands for an invoice.
	InvoiceNoun struct{}
	// CreditNoteNoun stands for a credit note.
	CreditNoteNoun struct{}
	// LineNoun stands for a line of an invoice.
	LineNoun struct{}
	// ReservationNoun stands for a reservation of money.
	ReservationNoun struct{}
	// SessionNoun stands for a payment session.
	SessionNoun struct{}
	// ChargeNoun stands for a charge of the payment provider.
	ChargeNoun struct{}
	// MethodNoun stands for a stored payment method.
	MethodNoun struct{}
	// PaymentNoun stands for a one-off payment.
	PaymentNoun struct{}
	// AlertNoun stands for an alert on a wallet.
	AlertNoun struct{}
	// AuthorizationNoun stands for an authorization session.
	AuthorizationNoun struct{}
	// DisputeNoun stands for a dispute of a usage event.
	DisputeNoun struct{}
	// PortalNoun stands for a portal link.
	PortalNoun struct{}
	// FeatureNoun stands for a feature.
	FeatureNoun struct{}
	// EntitlementNoun stands for an entitlement to a feature.
	EntitlementNoun struct{}
	// GrantNoun stands for a grant of units.
	GrantNoun struct{}
	// CommandNoun stands for a command.
	CommandNoun struct{}
)

func (LedgerNoun) prefix() string        { return "ldg" }
func (OrganizationNoun) prefix() string  { return "org" }
func (KeyNoun) prefix() string           { return "key" }
func (UserNoun) prefix() string          { return "usr" }
func (ProductNoun) prefix() string       { return "prod" }
func (MetricNoun) prefix() string        { return "bm" }
func (FeeNoun) prefix() string           { return "fee" }
func (PriceNoun) prefix() string         { return "price" }
func (PlanNoun) prefix() string          { return "plan" }
func (CustomerNoun) prefix() string      { return "cus" }
func (WalletNoun) prefix() string        { return "acc" }
func (TopUpNoun) prefix() string         { return "top" }
func (SubscriptionNoun) prefix() string  { return "sub" }
func (UsageNoun) prefix() string         { return "usg" }
func (BillingNoun) prefix() string       { return "bev" }
func (InvoiceNoun) prefix() string       { return "inv" }
func (LineNoun) prefix() string          { return "li" }
func (ReservationNoun) prefix() string   { return "com" }
func (SessionNoun) prefix() string       { return "ps" }
func (ChargeNoun) prefix() string        { return "chg" }
func (MethodNoun) prefix() string        { return "pm" }
func (PaymentNoun) prefix() string       { return "pay" }
func (AlertNoun) prefix() string         { return "alrt" }
func (AuthorizationNoun) prefix() string { return "auth" }
func (DisputeNoun) prefix() string       { return "disp" }
func (PortalNoun) prefix() string        { return "prt" }
func (CommandNoun) prefix() string       { return "cmd" }
func (CreditNoteNoun) prefix() string    { return "crn" }
func (FeatureNoun) prefix() string       { return "feat" }
func (EntitlementNoun) prefix() string   { return "ent" }
func (GrantNoun) prefix() string         { return "grt" }

// The identities, one type for each noun.
type (
	// LedgerID identifies a ledger.
	LedgerID = ID[LedgerNoun]
	// OrganizationID identifies a merchant, a consumer, or both.
	OrganizationID = ID[OrganizationNoun]
	// KeyID identifies an API key.
	KeyID = ID[KeyNoun]
	// UserID identifies a person who signs in.
	UserID = ID[UserNoun]
	// ProductID identifies a product.
	ProductID = ID[ProductNoun]
	// MetricID identifies a metric.
	MetricID = ID[MetricNoun]
	// FeeID identifies a fee.
	FeeID = ID[FeeNoun]
	// PriceID identifies a price.
	PriceID = ID[PriceNoun]
	// PlanID identifies a plan.
	PlanID = ID[PlanNoun]
	// CustomerID identifies a customer.
	CustomerID = ID[CustomerNoun]
	// WalletID identifies a wallet.
	WalletID = ID[WalletNoun]
	// TopUpID identifies a top-up.
	TopUpID = ID[TopUpNoun]
	// SubscriptionID identifies a subscription.
	SubscriptionID = ID[SubscriptionNoun]
	// UsageID identifies a usage event.
	UsageID = ID[UsageNoun]
	// BillingID identifies the billing side of a usage event.
	BillingID = ID[BillingNoun]
	// InvoiceID identifies an invoice.
	InvoiceID = ID[InvoiceNoun]
	// CreditNoteID identifies a credit note.
	CreditNoteID = ID[CreditNoteNoun]
	// LineID identifies a line of an invoice.
	LineID = ID[LineNoun]
	// ReservationID identifies a reservation of money.
	ReservationID = ID[ReservationNoun]
	// SessionID identifies a payment session.
	SessionID = ID[SessionNoun]
	// ChargeID identifies a charge of the payment provider.
	ChargeID = ID[ChargeNoun]
	// MethodID identifies a stored payment method.
	MethodID = ID[MethodNoun]
	// PaymentID identifies a one-off payment.
	PaymentID = ID[PaymentNoun]
	// AlertID identifies an alert on a wallet.
	AlertID = ID[AlertNoun]
	// AuthorizationID identifies an authorization session.
	AuthorizationID = ID[AuthorizationNoun]
	// DisputeID identifies a dispute of a usage event: its bytes are those of the event, which can be disputed once.
	DisputeID = ID[DisputeNoun]
	// PortalID identifies a portal link.
	PortalID = ID[PortalNoun]
	// FeatureID identifies a feature.
	FeatureID = ID[FeatureNoun]
	// EntitlementID identifies an entitlement to a feature.
	EntitlementID = ID[EntitlementNoun]
	// GrantID identifies a grant of units.
	GrantID = ID[GrantNoun]
	// CommandID identifies a command.
	CommandID = ID[CommandNoun]
)

// ErrID matches every error of ParseID and ParseTestClockID.
var ErrID = errors.New("not an identifier of this kind")

// ParseID reads what ID.String prints for an ID that is not zero. Lower case letters
// are accepted.
func ParseID[K Noun](s string) (ID[K], error) {
	var k K
	body, ok := strings.CutPrefix(s, k.prefix()+"_")
	if !ok || len(body) != ulid.EncodedSize {
		return ID[K]{}, fmt.Errorf("%.40q: %w: want %s_ and %d characters", s, ErrID, k.prefix(), ulid.EncodedSize)
	}
	u, err := ulid.ParseStrict(body)
	if err != nil {
		return ID[K]{}, fmt.Errorf("%.40q: %w: %w", s, ErrID, err)
	}
	if u.IsZero() {
		return ID[K]{}, fmt.Errorf("%.40q: %w: it names nothing", s, ErrID)
	}
	return ID[K](u), nil
}

// ParseReservationID reads a reservation's identity with either of the prefixes that the API gives it: com_ where
// usage names it, ent_ where it is made (D29).
func ParseReservationID(s string) (ReservationID, error) {
	if rest, ok := strings.CutPrefix(s, "ent_"); ok {
		s = "com_" + rest
	}
	return ParseID[ReservationNoun](s)
}

// String returns the identity as clients see it, or "" for the zero ID.
func (id ID[K]) String() string {
	if id.IsZero() {
		return ""
	}
	return string(id.AppendText(nil))
}

// AppendText appends what String returns for an ID that is not zero.
func (id ID[K]) AppendText(b []byte) []byte {
	var k K
	b = append(append(b, k.prefix()...), '_')
	n := len(b)
	b = append(b, make([]byte, ulid.EncodedSize)...)
	if err := ulid.ULID(id).MarshalTextTo(b[n:]); err != nil {
		panic("events: impossible: " + err.Error()) // the buffer has the right size
	}
	return b
}

// IsZero reports whether id identifies nothing.
func (id ID[K]) IsZero() bool { return id == ID[K]{} }

// MarshalText returns what String returns.
func (id ID[K]) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what String returns; "" is the zero ID.
func (id *ID[K]) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*id = ID[K]{}
		return nil
	}
	*id, err = ParseID[K](string(b))
	return err
}

// MarshalCBOR writes the 16 raw bytes.
func (id ID[K]) MarshalCBOR() ([]byte, error) {
	return appendBytes(make([]byte, 0, 17), id[:]), nil
}

// UnmarshalCBOR reads exactly 16 raw bytes.
func (id *ID[K]) UnmarshalCBOR(b []byte) error {
	r := reader{b: b}
	r.fixed(id[:])
	return r.finish()
}

// TestClockID identifies a test clock: 10 raw bytes, printed as "tc_" and 16
// characters of Crockford's base 32 (D29). The zero TestClockID stands for real
// time.
type TestClockID [10]byte

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// ParseTestClockID reads what TestClockID.String prints for a clock. Lower case letters
// are accepted.
func ParseTestClockID(s string) (TestClockID, error) {
	var id TestClockID
	body, ok := strings.CutPrefix(s, "tc_")
	if !ok || len(body) != 16 {
		return id, fmt.Errorf("%.40q: %w: want tc_ and 16 characters", s, ErrID)
	}
	for half := range 2 { // 8 characters are 5 bytes
		var bits uint64
		for _, c := range []byte(body[half*8 : half*8+8]) {
			if 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			v := strings.IndexByte(crockford, c)
			if v < 0 {
				return TestClockID{}, fmt.Errorf("%.40q: %w: character %q", s, ErrID, c)
			}
			bits = bits<<5 | uint64(v)
		}
		for i := range 5 {
			id[half*5+i] = byte(bits >> (32 - 8*i))
		}
	}
	if id.IsZero() {
		return TestClockID{}, fmt.Errorf("%.40q: %w: it names nothing", s, ErrID)
	}
	return id, nil
}

// String returns the identity as clients see it, or "" for real time.
func (id TestClockID) String() string {
	if id.IsZero() {
		return ""
	}
	b := append(make([]byte, 0, 19), "tc_"...)
	for half := range 2 {
		var bits uint64
		for i := range 5 {
			bits = bits<<8 | uint64(id[half*5+i])
		}
		for i := range 8 {
			b = append(b, crockford[bits>>(35-5*i)&31])
		}
	}
	return string(b)
}

// IsZero reports whether id stands for real time.
func (id TestClockID) IsZero() bool { return id == TestClockID{} }

// MarshalText returns what String returns.
func (id TestClockID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what String returns; "" is the zero TestClockID.
func (id *TestClockID) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*id = TestClockID{}
		return nil
	}
	*id, err = ParseTestClockID(string(b))
	return err
}

// MarshalCBOR writes the 10 raw bytes.
func (id TestClockID) MarshalCBOR() ([]byte, error) {
	return appendBytes(make([]byte, 0, 11), id[:]), nil
}

// UnmarshalCBOR reads exactly 10 raw bytes.
func (id *TestClockID) UnmarshalCBOR(b []byte) error {
	r := reader{b: b}
	r.fixed(id[:])
	return r.finish()
}

// Derive returns the identity of the nth new thing that a command makes: the
// time and the random bits of the command, and n in the last bits, which
// [NextCommandID] leaves free. So a decision needs no source of randomness.
// Derive(c, 0) has the bytes of c: the thing that the command itself is. n is less than 2^20.
func Derive[K Noun](c CommandID, n uint32) ID[K] {
	if n >= maxDerived {
		panic("events: impossible: a command that makes more than 2^20 things")
	}
	id := ID[K](c)
	binary.BigEndian.PutUint32(id[12:], binary.BigEndian.Uint32(id[12:])+n)
	return id
}

// DeriveTestClock returns the identity of the test clock that a command makes.
func DeriveTestClock(c CommandID) (id TestClockID) {
	sum := sha256.Sum256(c[:])
	copy(id[:], sum[:])
	return id
}

// maxDerived bounds how many things one command can make: the low 20 bits of a
// command's identity are zero.
const maxDerived = 1 << 20

// NextCommandID returns an identity that sorts after last and carries the time
// now where the clock has not gone back. seed is fresh randomness; it is used when the
// millisecond has moved on, and not otherwise, so that the identities of one
// millisecond count up and compress well.
func NextCommandID(last CommandID, now Time, seed uint64) CommandID {
	var id CommandID
	ms := uint64(max(now, 0)) / 1e6
	binary.BigEndian.PutUint64(id[:], ms<<16|seed&0xFFFF)
	binary.BigEndian.PutUint64(id[8:], seed>>16<<20)
	if bytes.Compare(id[:6], last[:6]) > 0 {
		return id
	}
	id = last
	low := binary.BigEndian.Uint64(id[8:])
	next := low + maxDerived
	binary.BigEndian.PutUint64(id[8:], next)
	if next < low {
		binary.BigEndian.PutUint64(id[:], binary.BigEndian.Uint64(id[:])+1)
	}
	return id
}
