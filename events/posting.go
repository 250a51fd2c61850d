package events

import "fmt"

// Role names an account by its part in the books (D6). A balance is the sum of
// the postings to an account; the sign that each role's balance normally has is
// given beside it. All balances of a currency together are always zero.
type Role uint8

// The roles. Consumer accounts belong to a wallet; merchant, receivable and
// settlement accounts to a merchant; the others to the platform.
const (
	ConsumerMain      Role = 1  // prepaid money of a consumer's wallet; never below zero
	ConsumerUsage     Role = 2  // what a consumer has used and not paid; never above zero
	Receivable        Role = 3  // the merchant's side of ConsumerUsage; never below zero
	Merchant          Role = 4  // what the merchant has earned and not been paid out; either sign, after refunds
	ReservationHold   Role = 5  // money of a consumer's wallet set aside; never below zero
	PlatformFee       Role = 6  // what the platform has earned; never below zero
	TaxPayable        Role = 7  // tax collected for the authorities; never below zero
	ProcessorClearing Role = 8  // money at the payment processor, seen from outside; never above zero
	Settlement        Role = 9  // paid out to merchants; never above zero
	Rounding          Role = 10 // residues of cents; either sign
	lastRole               = Rounding
)

// String returns the role's name in reports.
func (r Role) String() string {
	names := [...]string{
		ConsumerMain: "consumer-main", ConsumerUsage: "consumer-usage", Receivable: "receivable", Merchant: "merchant",
		ReservationHold: "reservation-hold", PlatformFee: "platform-fee", TaxPayable: "tax-payable",
		ProcessorClearing: "processor-clearing", Settlement: "settlement", Rounding: "rounding",
	}
	if r >= 1 && r <= lastRole {
		return names[r]
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// MarshalText returns what String returns.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what String returns.
func (r *Role) UnmarshalText(b []byte) error {
	for c := Role(1); c <= lastRole; c++ {
		if c.String() == string(b) {
			*r = c
			return nil
		}
	}
	return fmt.Errorf("%.40q is no account role", b)
}

// Posting adds Nanos to one account.
type Posting struct {
	Role   Role     `cbor:"1,keyasint" json:"role"`
	Nanos  Nanos    `cbor:"2,keyasint" json:"nanos"`                      // never 0
	Wallet WalletID `cbor:"3,keyasint,omitzero" json:"walletId,omitzero"` // where it is not the event's own
}

// Movement is the money side of an event: postings in one currency that sum to zero.
type Movement struct {
	Currency Currency
	Wallet   WalletID // whose consumer accounts the postings mean where they name none
	Postings []Posting
}

// Balanced reports whether m has a currency and postings of known roles that sum to zero, none of them nothing.
func (m Movement) Balanced() bool {
	var sum Sum
	for _, p := range m.Postings {
		if p.Role < 1 || p.Role > lastRole || p.Nanos == 0 {
			return false
		}
		sum = sum.Add(p.Nanos)
	}
	return sum.IsZero() && (len(m.Postings) == 0 || !m.Currency.IsZero())
}

// Account identifies one account in the books.
type Account struct {
	Role     Role
	Currency Currency
	Owner    [16]byte // a WalletID, an OrganizationID of a merchant, or zero for the platform
}

// AccountOf returns the account that a posting of m, in a record of the given
// merchant, goes to.
func (m Movement) AccountOf(p Posting, merchant OrganizationID) Account {
	a := Account{Role: p.Role, Currency: m.Currency}
	switch p.Role {
	case ConsumerMain, ConsumerUsage, ReservationHold:
		a.Owner = m.Wallet
		if !p.Wallet.IsZero() {
			a.Owner = p.Wallet
		}
	case Merchant, Receivable, Settlement:
		a.Owner = merchant
	case PlatformFee, TaxPayable, ProcessorClearing, Rounding:
	}
	return a
}
