package payments

import (
	"context"
	"errors"

	"tallystick/events"
)

// Provider takes money with cards. Any goroutine may use it.
type Provider interface {
	// Name returns what the log calls the provider.
	Name() string
	// Card returns what stands for a card from now on. The error is an [ErrCard] where there is no such card.
	Card(ctx context.Context, c CardNumber) (Card, error)
	// Charge takes money. The same key takes it once, and gets the same outcome. After an error the outcome is unknown.
	Charge(ctx context.Context, c Charge) (Outcome, error)
	// Outcome returns what became of the charge under a key, and whether there was one.
	Outcome(ctx context.Context, key string) (Outcome, bool, error)
}

// CardNumber is a card as its holder types it in. It is written down nowhere.
type CardNumber struct {
	Number   string
	ExpMonth int
	ExpYear  int
	Token    string // instead of the rest: the provider's name, where the payer's browser has got it from there
}

// Card is a card as the ledger knows it.
type Card struct {
	Token    string `json:"-"` // the provider's name for it
	Brand    string `json:"brand,omitempty"`
	Last4    string `json:"last4,omitempty"`
	ExpMonth int    `json:"expMonth,omitempty"`
	ExpYear  int    `json:"expYear,omitempty"`
}

// ErrCard says that a card is none, or none of the provider's.
var ErrCard = errors.New("no card that the payment provider knows")

// Charge is money to be taken.
type Charge struct {
	Key        string // idempotency key
	Card       string
	Amount     events.Nanos // whole cents; 0 to see whether the card is good
	Currency   events.Currency
	OffSession bool   // the payer is not there
	Confirms   string // the key of the charge whose payer has since done what was asked
}

// Status is what became of a charge.
type Status string

// The statuses of charges.
const (
	Succeeded      Status = "succeeded"
	Declined       Status = "declined"
	ActionRequired Status = "action_required" // the payer has to do something, such as to confirm at the bank
	Processing     Status = "processing"      // not known yet; ask again
)

// Outcome is what a provider says of a charge.
type Outcome struct {
	Status    Status
	Reference string // the provider's
	Code      string // of a declined one: why
}
