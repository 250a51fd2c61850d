package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"tallystick/events"
	"tallystick/ledger/keyring"
)

// The purposes that personal data is sealed for, with what the plaintext is. A purpose never changes its meaning.
const (
	PurposeProfile  = "consumer.profile"     // of events.ConsumerCreated.Profile: JSON of an events.Profile
	PurposeDetails  = "customer.details"     // of events.CustomerCreated.Details: JSON of a Details
	PurposeName     = "subscription.name"    // of events.SubscriptionCreated.Name: the text itself
	PurposeReason   = "subscription.reason"  // of events.SubscriptionTerminated.Reason: the text itself
	PurposePayment  = "payment.details"      // of events.PaymentCreated.Details and events.SessionOpened.Details: JSON of a PaymentDetails
	PurposeCard     = "payment.card"         // of events.ChargeRequested.Details: JSON of a payments.Card
	PurposeMetadata = "usage.metadata"       // of events.UsageReported.Metadata: JSON of a map of strings
	PurposeExternal = "customer.external_id" // of events.CustomerUpdated.ExternalID: the text itself
	PurposeTaxID    = "customer.tax_id"      // of events.CustomerUpdated.TaxID: the text itself
	PurposeLine     = "invoice.line"         // of events.LineItemAdded.Text: JSON of a LineText
	PurposeRefund   = "refund.reason"        // of the Reason of what takes something back, or corrects it: the text itself
	PurposeAddress  = "authorization.email"  // of events.AuthorizationOpened.Address: the text itself
	PurposeAlert    = "alert.recipients"     // of events.AlertCreated.Recipients: JSON of an array of addresses
	PurposeUser     = "user.profile"         // of events.UserCreated.Profile: JSON of an events.Profile
	PurposeWallet   = "wallet.label"         // of events.WalletOpened.Label: JSON of a WalletLabel
	PurposeEvent    = "usage.event"          // of events.EventHeld.Body: JSON of a HeldEvent
)

// Details is what a merchant knows of a customer besides the consumer's profile.
type Details struct {
	ExternalID string `json:"externalId,omitempty"`
	TaxID      string `json:"taxId,omitempty"`
}

// LineText is what a merchant calls a line that it puts on an invoice.
type LineText struct {
	DisplayName string `json:"displayName"`
	Description string `json:"description,omitempty"`
}

// NormaliseEmail returns the form in which an e-mail address is looked up: without white space around it,
// in lower case, without a dot at its end. Nothing else is taken for the same: dots and plus signs in the part
// before the @ mean what the receiving host says. It reports whether the address can be one.
func NormaliseEmail(address string) (string, bool) {
	s := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(address)), ".")
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || len(s) > 254 {
		return "", false
	}
	for _, r := range s {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return "", false
		}
	}
	return s, !strings.Contains(s[:at], "@")
}

// seal seals plaintext under the consumer's key; nothing if there is nothing to seal or the consumer is erased.
func (d *Decoder) seal(consumer events.OrganizationID, purpose string, plaintext []byte) (events.Sealed, error) {
	if len(plaintext) == 0 {
		return events.Sealed{}, nil
	}
	sealed, err := d.opts.Keyring.Seal(consumer, purpose, plaintext)
	if errors.Is(err, keyring.ErrErased) {
		return events.Sealed{}, nil
	}
	if err != nil {
		return events.Sealed{}, fmt.Errorf("sealing what is personal: %w", err)
	}
	return sealed, nil
}

// sealForNamed is seal for a consumer that the command names; nothing if there is none, as in sealFor.
func (d *Decoder) sealForNamed(consumer events.OrganizationID, purpose string, plaintext []byte) (events.Sealed, error) {
	sealed, err := d.seal(consumer, purpose, plaintext)
	if errors.Is(err, keyring.ErrUnknown) {
		return events.Sealed{}, nil
	}
	return sealed, err
}

// sealFor seals plaintext under the key of the consumer behind a customer. Where there is no such customer nothing is sealed, and what comes of it is for
// the rules to refuse, as they refuse what is another merchant's: a refusal here, before it is known whether the command is a repeat, would be told from theirs.
func (d *Decoder) sealFor(ctx context.Context, customer events.CustomerID, purpose string, plaintext []byte) (events.Sealed, error) {
	if len(plaintext) == 0 {
		return events.Sealed{}, nil
	}
	consumer, ok, err := d.opts.Directory.ConsumerOf(ctx, customer)
	if err != nil {
		return events.Sealed{}, fmt.Errorf("looking up customer %s: %w", customer, err)
	}
	if !ok {
		return events.Sealed{}, nil
	}
	return d.seal(consumer, purpose, plaintext)
}

// toJSON returns v in JSON. v is one of ours, of strings alone, so it cannot fail.
func toJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("wire: impossible: encoding %T: %v", v, err))
	}
	return b
}
