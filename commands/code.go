package commands

import (
	"errors"
	"fmt"
)

// Code says why a command was refused. Codes are part of the API: clients switch on
// them, so a code is never renamed and never changes its meaning.
type Code string

// The codes there are.
const (
	Invalid               Code = "INVALID"                 // the command makes no sense; do not repeat it
	Unauthorized          Code = "UNAUTHORIZED"            // no key, or one that is not valid
	Forbidden             Code = "FORBIDDEN"               // a valid key without the permission
	MethodNotAllowed      Code = "METHOD_NOT_ALLOWED"      // over HTTP: the path has other methods
	NotFound              Code = "NOT_FOUND"               // what it is about does not exist, or is somebody else's
	IdempotencyConflict   Code = "IDEMPOTENCY_CONFLICT"    // its key was used for something else
	Conflict              Code = "CONFLICT"                // it contradicts what exists
	AlreadyRefunded       Code = "ALREADY_REFUNDED"        // it was taken back before
	NotRefundable         Code = "NOT_REFUNDABLE"          // it is invoiced, and no invoice that is open or to be paid can take it back
	InvoiceState          Code = "INVOICE_STATE"           // the invoice is in a state that does not allow it
	BilledSince           Code = "BILLED_SINCE"            // the subscription was used or renewed after the time that it is to have ended at
	AlreadyTerminated     Code = "ALREADY_TERMINATED"      // the subscription has ended
	ClockAdvancing        Code = "CLOCK_ADVANCING"         // the test clock is under way; repeat when it has arrived
	SandboxOnly           Code = "SANDBOX_ONLY"            // not in a ledger of real money
	ManagedPostpaidOnly   Code = "MANAGED_POSTPAID_ONLY"   // the merchant's managed consumers cannot prepay
	SubscriptionNotActive Code = "SUBSCRIPTION_NOT_ACTIVE" // the customer has no active subscription
	MetricNotPriced       Code = "METRIC_NOT_PRICED"       // no active subscription's plan has prices for these metrics
	InsufficientFunds     Code = "INSUFFICIENT_FUNDS"      // the wallet holds less than it costs; top it up and repeat
	PeriodClosed          Code = "PERIOD_CLOSED"           // the timestamp's period is invoiced, or it is before or after the subscription
	ReservationNotActive  Code = "RESERVATION_NOT_ACTIVE"  // the entitlement has expired, is used up, or ended with its subscription
	ReservationExceeded   Code = "RESERVATION_EXCEEDED"    // the usage costs more than is left of the entitlement
	TimestampInFuture     Code = "TIMESTAMP_IN_FUTURE"     // the timestamp is later than the clock, by more than the skew
	AmountOutOfRange      Code = "AMOUNT_OUT_OF_RANGE"     // the cost does not fit
	TooLarge              Code = "TOO_LARGE"               // more bytes than a record or a message may have
	PaymentSessionExpired Code = "PAYMENT_SESSION_EXPIRED" // nobody has paid in time; ask for a new session
	NoPaymentMethod       Code = "NO_PAYMENT_METHOD"       // there is no stored payment method to charge
	AuthorizationExpired  Code = "AUTHORIZATION_EXPIRED"   // nobody has authorized in time; make a new session
	Busy                  Code = "BUSY"                    // the queue is full; repeat after a moment
	RateLimited           Code = "RATE_LIMITED"            // the key has asked for too much at once; repeat when its allowance has grown again
	LedgerFailed          Code = "LEDGER_FAILED"           // outcome unknown: repeat the same key once the ledger is back
	StreamUnchecked       Code = "STREAM_UNCHECKED"        // the stream is not compared with the log yet: reads only
	ShuttingDown          Code = "SHUTTING_DOWN"           // not taken; repeat once the ledger is back
	Internal              Code = "INTERNAL"                // a rule broke, and nothing was recorded; it is for the operator to look
)

// HTTPStatus returns the status of an HTTP answer that carries c. Over NATS the code
// itself is the error of the service reply.
func (c Code) HTTPStatus() int {
	switch c {
	case Invalid, BilledSince, SandboxOnly, ManagedPostpaidOnly, TooLarge:
		return 400
	case Unauthorized:
		return 401
	case Forbidden:
		return 403
	case NotFound:
		return 404
	case MethodNotAllowed:
		return 405
	case IdempotencyConflict, Conflict, InvoiceState, PaymentSessionExpired, AlreadyTerminated, AuthorizationExpired, ClockAdvancing:
		return 409
	case AlreadyRefunded, NotRefundable, ReservationNotActive, ReservationExceeded, NoPaymentMethod, SubscriptionNotActive, MetricNotPriced, InsufficientFunds, PeriodClosed, TimestampInFuture, AmountOutOfRange:
		return 422
	case Busy, RateLimited:
		return 429
	case LedgerFailed, StreamUnchecked, ShuttingDown:
		return 503
	case Internal:
	}
	return 500
}

// A Rejection is the refusal of a command that was understood. It is an answer to
// the caller and no fault of ours: it is not logged as an error, and nothing was written.
type Rejection struct {
	Code     Code
	Message  string    // for people; may change at any time
	Field    string    // what of the command is at fault, such as "properties[1].quantity", where it is one field; "" where it is not
	Blockers []Blocker // what stands in the way of a deletion
}

// Blocker is what must be gone before something can be deleted.
type Blocker struct {
	Type  string        `json:"type"` // "prices", "subscriptions"…
	Count int           `json:"count"`
	Items []BlockerItem `json:"items,omitempty"` // some of them
}

// BlockerItem is one thing that stands in the way.
type BlockerItem struct {
	ID     string `json:"id"`
	Status string `json:"status,omitempty"`
}

// blockedBy returns r with what stands in the way.
func (r *Rejection) blockedBy(blockers ...Blocker) *Rejection {
	r.Blockers = blockers
	return r
}

func (r *Rejection) Error() string { return string(r.Code) + ": " + r.Message }

// CodeOf returns why err refused a command, or "" if err is nil or a failure of another sort.
func CodeOf(err error) Code {
	if r, ok := errors.AsType[*Rejection](err); ok {
		return r.Code
	}
	return ""
}

// wrong refuses a command for one of its fields, of which it says what is wrong.
func wrong(field, format string, args ...any) *Rejection {
	r := Reject(Invalid, "%s "+format, append([]any{field}, args...)...)
	r.Field = field
	return r
}

// Reject returns a rejection.
func Reject(c Code, format string, args ...any) *Rejection {
	return &Rejection{Code: c, Message: fmt.Sprintf(format, args...)}
}
