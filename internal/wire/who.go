package wire

import (
	"context"
	"io"

	"tallystick/commands"
	"tallystick/events"
)

// Who is a caller, as the door has authenticated it. The zero Key stands for an operator at the
// command line, or for one of a merchant's keys where the door cannot tell which.
type Who struct {
	Key      events.KeyID
	Role     events.KeyRole
	Merchant events.OrganizationID // of a merchant's key
	User     events.UserID         // a person who has signed in, on whose behalf a page of ours asks; zero elsewhere
}

// Operator reports whether w may do everything.
func (w Who) Operator() bool { return w.Role == events.OperatorKey }

// Actor returns w as the log names it.
func (w Who) Actor() events.Actor {
	if !w.User.IsZero() {
		return events.Actor{Kind: events.ActorUser, ID: w.User}
	}
	if w.Key.IsZero() && w.Operator() {
		return events.Actor{Kind: events.ActorOperator}
	}
	return events.Actor{Kind: events.ActorKey, ID: w.Key}
}

// MayWrite returns nil if w may have commands carried out for merchant, which is zero for none, and else why
// not. Whether it may do what the command says is for the rules.
func (w Who) MayWrite(merchant events.OrganizationID) *commands.Rejection {
	switch w.Role {
	case events.OperatorKey:
		return nil
	case events.AuditorKey:
		return commands.Reject(commands.Forbidden, "an auditor's key reads everything and writes nothing")
	case events.MerchantKey:
		if w.Merchant.IsZero() || merchant.IsZero() {
			return commands.Reject(commands.Forbidden, "this needs an operator's key")
		}
		if w.Merchant != merchant {
			return commands.Reject(commands.NotFound, "no merchant %s", merchant)
		}
		return nil
	}
	return commands.Reject(commands.Unauthorized, "no valid API key")
}

// Keyring seals personal data and computes keyed hashes. [tallystick/ledger/keyring.Keyring] is one.
type Keyring interface {
	// Create makes a key for a consumer and returns when it is on disk.
	Create(consumer events.OrganizationID) error
	// Seal encrypts under the consumer's key. Its error matches keyring.ErrErased where the key was destroyed.
	Seal(consumer events.OrganizationID, purpose string, plaintext []byte) (events.Sealed, error)
	// Open returns the plaintext. Its error matches keyring.ErrErased where the key was destroyed.
	Open(sealed events.Sealed, purpose string) ([]byte, error)
	EmailDigest(normalised string) events.Digest
	ExternalDigest(merchant events.OrganizationID, id string) events.Digest
	ContentHash(canonical []byte) events.Digest
}

// Directory knows what must be known of the ledger before a command can be sealed. Its answers are
// current to whatever was answered before the question: who has just been told of a new customer can use it.
// An identity that does not exist is answered with false. Whose it is, is for the rules to ask.
type Directory interface {
	// ConsumerOf returns the consumer behind a customer.
	ConsumerOf(ctx context.Context, id events.CustomerID) (events.OrganizationID, bool, error)
	// SubscriptionConsumer returns the consumer who pays for a subscription.
	SubscriptionConsumer(ctx context.Context, id events.SubscriptionID) (events.OrganizationID, bool, error)
	// WalletConsumer returns the consumer whose wallet it is.
	WalletConsumer(ctx context.Context, id events.WalletID) (events.OrganizationID, bool, error)
	// SessionConsumer returns the consumer who is asked by a payment session, zero if it may be anybody.
	SessionConsumer(ctx context.Context, id events.SessionID) (events.OrganizationID, bool, error)
	// ManagedConsumer returns the consumer with an e-mail address that the merchant manages, or a full one that it knows.
	ManagedConsumer(ctx context.Context, merchant events.OrganizationID, email events.Digest) (events.OrganizationID, bool, error)
	// CustomerByExternal returns the customer that a merchant calls by an id of its own, zero if there is none.
	CustomerByExternal(ctx context.Context, merchant events.OrganizationID, external events.Digest) (events.CustomerID, error)
	// HeldUnder returns a key under which events are held for a customer that a merchant calls by an id of its own, zero if none are.
	HeldUnder(ctx context.Context, merchant events.OrganizationID, external events.Digest) (events.OrganizationID, error)
	// ConsumerProfile returns the sealed profile of a consumer, and the record that holds it.
	ConsumerProfile(ctx context.Context, id events.OrganizationID) (sealed events.Sealed, at events.Seq, found bool, err error)
	// UsageRecord returns the record of a usage event.
	UsageRecord(ctx context.Context, id events.UsageID) (events.Record, bool, error)
	// SettledPeriod returns the invoiced period of a customer's subscription in which an instant lies; the zero one if there is none.
	SettledPeriod(ctx context.Context, customer events.CustomerID, at events.Time) (commands.SettledPeriod, error)
	// Billed returns what is known of an invoice.
	Billed(ctx context.Context, id events.InvoiceID) (Billed, bool, error)
	// FullConsumer returns the full consumer with an e-mail address.
	FullConsumer(ctx context.Context, email events.Digest) (events.OrganizationID, bool, error)
	// AuthorizationConsumer returns the consumer under whose key what belongs to an authorization session is sealed.
	AuthorizationConsumer(ctx context.Context, id events.AuthorizationID) (events.OrganizationID, bool, error)
	// ClockNow returns what a test clock shows.
	ClockNow(ctx context.Context, id events.TestClockID) (events.Time, bool, error)
}

// Options are what a [Decoder] works with. All must be given but Cards: without it no card can be paid with.
type Options struct {
	Keyring     Keyring
	Directory   Directory
	Environment events.Environment           // what API keys begin with
	NewConsumer func() events.OrganizationID // an identity that is never given twice; any goroutine may call it
	Cards       Cards                        // where cards are known
	Rand        io.Reader                    // for the secrets of API keys; crypto/rand outside tests
	Refused     func(commands.Code)          // is told of each command that is refused here; nil for nobody
}
