package commands

import (
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"

	"tallystick/events"
)

// ReceiptStatus says what became of a command.
type ReceiptStatus string

// The statuses.
const (
	Accepted  ReceiptStatus = "accepted"  // recorded now, and on disk
	Duplicate ReceiptStatus = "duplicate" // recorded before, on the same terms
	Rejected  ReceiptStatus = "rejected"  // nothing was recorded
)

// Receipt is the answer to a command (D9). It is sent when all that it was decided on
// is on disk. A repeated command's receipt is equal to the first but for Status.
type Receipt struct {
	Status   ReceiptStatus   `json:"status"`
	Seq      events.Seq      `json:"sequence,omitzero"`
	ID       Ref             `json:"id,omitzero"` // of what the command made or changed
	Currency events.Currency `json:"currency,omitzero"`
	Amount   *events.Sum     `json:"amountNanos,omitempty"`  // moved, with tax
	Balance  *events.Sum     `json:"balanceNanos,omitempty"` // of the consumer's wallet, after
	Code     Code            `json:"code,omitempty"`
	Message  string          `json:"message,omitempty"`
	Field    string          `json:"-"`                  // of the command, that is at fault; for doors that name it beside the message
	Blockers []Blocker       `json:"blockers,omitempty"` // of a refused deletion
}

// Refusal returns the receipt of a rejected command.
func Refusal(r *Rejection) Receipt {
	return Receipt{Status: Rejected, Code: r.Code, Message: r.Message, Field: r.Field, Blockers: r.Blockers}
}

// ReceiptOf returns the receipt of the command whose main event rec is.
func ReceiptOf(rec *events.Record) Receipt { return receiptOf(rec, new(events.Sum)) }

// receiptOf is ReceiptOf with a place for the amount, so that those of a batch need no memory of their own.
func receiptOf(rec *events.Record, amount *events.Sum) Receipt { //nolint:funlen // a case for each kind, and nothing else
	r := Receipt{Status: Accepted, Seq: rec.Seq}
	switch e := rec.Event.(type) {
	case *events.UsageReported:
		for i := range e.Lines {
			*amount = amount.Add(e.Lines[i].Nanos).Add(e.Lines[i].Tax)
		}
		r.ID = Ref{refUsage, events.Derive[events.UsageNoun](rec.Command, 0)}
		r.Currency, r.Amount, r.Balance = e.Currency, amount, &e.Balance
	case events.WalletToppedUp:
		for _, p := range e.Postings {
			if p.Role == events.ConsumerMain {
				*amount = amount.Add(p.Nanos)
			}
		}
		r.ID = Ref{refTopUp, e.TopUp}
		r.Currency, r.Amount, r.Balance = e.Currency, amount, &e.Balance
	case events.TopUpRequested:
		*amount = events.SumOf(e.Amount)
		r.ID, r.Currency, r.Amount = Ref{refTopUp, e.TopUp}, e.Currency, amount
	case events.SessionOpened:
		r.ID = Ref{refSession, e.Session}
	case events.SessionEnded:
		r.ID = Ref{refSession, e.Session}
	case events.ChargeRequested:
		r.ID = Ref{refCharge, e.Charge}
	case events.ChargeSucceeded:
		r.ID = Ref{refCharge, e.Charge}
	case events.ChargeFailed:
		r.ID = Ref{refCharge, e.Charge}
	case events.ChargeActionRequired:
		r.ID = Ref{refCharge, e.Charge}
	case events.MethodStored:
		r.ID = Ref{refMethod, e.Method}
	case events.MethodRemoved:
		r.ID = Ref{refMethod, e.Method}
	case events.PaymentCreated:
		*amount = events.SumOf(e.Amount)
		r.ID, r.Currency, r.Amount = Ref{refPayment, e.Payment}, e.Currency, amount
	case events.AuthorizationOpened:
		r.ID = Ref{refAuthorization, e.Authorization}
	case events.AuthorizationEnded:
		r.ID = Ref{refAuthorization, e.Authorization}
	case events.AuthorizationWithdrawn:
		r.ID = Ref{refOrganization, e.Consumer}
	case events.MerchantAuthorized:
		r.ID = Ref{refOrganization, e.Consumer}
	case events.UserCreated:
		r.ID = Ref{refUser, e.User}
	case events.UserUpdated:
		r.ID = Ref{refUser, e.User}
	case events.DisputeOpened:
		*amount = e.Amount
		r.ID, r.Currency, r.Amount = Ref{refDispute, e.Dispute}, e.Currency, amount
	case events.AlertCreated:
		r.ID = Ref{refAlert, e.Alert}
	case events.DisputeResolved:
		r.ID = Ref{refDispute, e.Dispute}
	case events.UserSignedIn:
		r.ID = Ref{refUser, e.User}
	case events.UserSignedOut:
		r.ID = Ref{refUser, e.User}
	case events.PasskeyAdded:
		r.ID = Ref{refUser, e.User}
	case events.PasskeyRemoved:
		r.ID = Ref{refUser, e.User}
	case events.PasskeyUsed:
		r.ID = Ref{refUser, e.User}
	case events.PortalOpened:
		r.ID = Ref{refPortal, e.Portal}
	case events.PortalRevoked:
		r.ID = Ref{refPortal, e.Portal}
	case events.TopUpEnded, events.PaymentReceived, events.ConsumerClaimed:
		// effects of other commands
	case events.KeyCreated:
		r.ID = Ref{refKey, e.Key}
	case events.KeyRevoked:
		r.ID = Ref{refKey, e.Key}
	case events.MerchantCreated, events.MerchantUpdated:
		r.ID = Ref{refOrganization, rec.Merchant}
	case events.ProductCreated:
		r.ID = Ref{refProduct, e.Product}
	case events.MetricCreated:
		r.ID = Ref{refMetric, e.Metric}
	case events.PriceCreated:
		r.ID = Ref{refPrice, e.Price}
	case events.PlanCreated:
		r.ID = Ref{refPlan, e.Plan}
	case events.ProductUpdated:
		r.ID = Ref{refProduct, e.Product}
	case events.MetricUpdated:
		r.ID = Ref{refMetric, e.Metric}
	case events.FeeCreated:
		r.ID = Ref{refFee, e.Fee}
	case events.FeeUpdated:
		r.ID = Ref{refFee, e.Fee}
	case events.FeeDeleted:
		r.ID = Ref{refFee, e.Fee}
	case events.PriceRevised:
		r.ID = Ref{refPrice, e.Price}
	case events.PriceDeleted:
		r.ID = Ref{refPrice, e.Price}
	case events.PlanUpdated:
		r.ID = Ref{refPlan, e.Plan}
	case events.UsageRefunded:
		r.ID = Ref{refUsage, e.Usage}
		for i := range e.Lines {
			*amount = amount.Add(e.Lines[i].Nanos).Add(e.Lines[i].Tax)
		}
		r.Currency, r.Amount, r.Balance = e.Currency, amount, &e.Balance
	case events.FeeCharged:
		r.ID = Ref{refFee, e.Fee}
		r.Currency, r.Balance = e.Currency, &e.Balance
	case events.UsageCorrected:
		r.ID = Ref{refSubscription, e.Subscription}
		for i := range e.Lines {
			*amount = amount.Add(e.Lines[i].Nanos).Add(e.Lines[i].Tax)
		}
		r.Currency, r.Amount = e.Currency, amount
	case events.LineItemAdded:
		r.ID = Ref{refLine, e.Line}
		*amount = amount.Add(e.Nanos).Add(e.Tax)
		r.Currency, r.Amount = e.Currency, amount
	case events.InvoiceIssued:
		r.ID = Ref{refInvoice, e.Invoice}
	case events.InvoicePaid:
		r.ID = Ref{refInvoice, e.Invoice}
		if slices.ContainsFunc(e.Postings, func(p events.Posting) bool { return p.Role == events.ConsumerMain }) {
			r.Currency, r.Balance = e.Currency, &e.Balance
		}
	case events.InvoiceCancelled:
		r.ID = Ref{refInvoice, e.Invoice}
	case events.InvoicePaymentFailed:
		r.ID = Ref{refInvoice, e.Invoice}
	case events.InvoiceWrittenOff:
		r.ID = Ref{refInvoice, e.Invoice}
	case events.InvoiceRefunded:
		r.ID = Ref{refCreditNote, e.CreditNote}
		*amount = e.Nanos.Plus(e.Tax)
		r.Currency, r.Amount, r.Balance = e.Currency, amount, &e.Balance
	case events.InvoiceRefundVoided:
		r.ID = Ref{refCreditNote, e.CreditNote}
		r.Currency, r.Balance = e.Currency, &e.Balance
	case events.ConsumerCreated:
		r.ID = Ref{refOrganization, e.Consumer}
	case events.ConsumerErased:
		r.ID = Ref{refOrganization, e.Consumer}
	case events.CustomerCreated:
		r.ID = Ref{refCustomer, e.Customer}
	case events.WalletOpened:
		r.ID = Ref{refWallet, e.Wallet}
	case events.WalletEmptied: // not awaited, and it moves money
		r.ID = Ref{refWallet, e.Wallet}
		r.Currency, r.Balance = e.Currency, &e.Balance
	case events.SubscriptionCreated:
		r.ID = Ref{refSubscription, e.Subscription}
	case events.SubscriptionAuthorized:
		r.ID = Ref{refSubscription, e.Subscription}
	case events.SubscriptionActivated:
		r.ID = Ref{refSubscription, e.Subscription}
	case events.SubscriptionUpdated:
		r.ID = Ref{refSubscription, e.Subscription}
	case events.SubscriptionReminded:
		r.ID = Ref{refSubscription, e.Subscription}
	case events.SubscriptionTerminated:
		r.ID = Ref{refSubscription, e.Subscription}
	case events.ClockCreated:
		r.ID = refToClock(e.Clock)
	case events.ClockAdvancing:
		r.ID = refToClock(e.Clock)
	case events.ClockDeleted:
		r.ID = refToClock(e.Clock)
	case events.CustomerUpdated:
		r.ID = Ref{refCustomer, e.Customer}
	case events.CustomerDeleted:
		r.ID = Ref{refCustomer, e.Customer}
	case events.ConsumerUpdated:
		r.ID = Ref{refOrganization, e.Consumer}
	case events.ClockAdvanced:
		r.ID = refToClock(e.Clock)
	case events.LedgerOpened, events.InvoiceOpened, events.InvoiceClosing, events.InvoiceLineClosed,
		events.InvoiceDrafted, events.DueFailed:
		// effects of other commands, or of time: nobody awaits a receipt
	default:
		r.ofEntitlement(rec, amount)
	}
	return r
}

// ofEntitlement is receiptOf for what is about reservations, entitlements and events that are held.
func (r *Receipt) ofEntitlement(rec *events.Record, amount *events.Sum) {
	switch e := rec.Event.(type) {
	case events.ReservationCreated:
		for _, p := range e.Postings {
			if p.Role == events.ReservationHold {
				*amount = amount.Add(p.Nanos)
			}
		}
		r.ID = Ref{refReservation, e.Reservation}
		r.Currency, r.Amount, r.Balance = e.Currency, amount, &e.Balance
	case events.FeatureCreated:
		r.ID = Ref{refFeature, e.Feature}
	case events.FeatureUpdated:
		r.ID = Ref{refFeature, e.Feature}
	case events.FeatureDeleted:
		r.ID = Ref{refFeature, e.Feature}
	case events.EntitlementIssued:
		r.ID = Ref{refEntitlement, e.Entitlement}
	case events.GrantIssued:
		r.ID = Ref{refGrant, e.Grant}
	case events.GrantVoided:
		r.ID = Ref{refGrant, e.Grant}
	case events.GrantOrdered:
		r.ID = Ref{refGrant, e.Grant}
	case events.EntitlementEnded, events.EntitlementReset, events.EntitlementUsed, events.GrantRenewed: // not awaited
	case events.EventHeld:
		r.Message = "held until a customer has this externalId"
	case events.EventReleased, events.HeldDiscarded: // they tell all there is
	case events.ReservationReleased: // not awaited, and it moves money
		r.ID = Ref{refReservation, e.Reservation}
		r.Currency, r.Balance = e.Currency, &e.Balance
	default: // see receiptOf
	}
}

// AppendReceipts appends {"receipts":[…]}, the answer to a batch.
func AppendReceipts(b []byte, rs []Receipt) []byte {
	b = append(b, `{"receipts":[`...)
	for i := range rs {
		if i > 0 {
			b = append(b, ',')
		}
		b = rs[i].AppendJSON(b)
	}
	return append(b, "]}"...)
}

// AppendJSON appends r in JSON: the bytes that encoding/json writes, at about a tenth of the cost.
func (r *Receipt) AppendJSON(b []byte) []byte {
	b = append(append(append(b, `{"status":"`...), r.Status...), '"')
	if r.Seq != 0 {
		b = strconv.AppendUint(append(b, `,"sequence":`...), uint64(r.Seq), 10)
	}
	if !r.ID.IsZero() {
		b = append(r.ID.append(append(b, `,"id":"`...)), '"')
	}
	if !r.Currency.IsZero() {
		b = append(append(append(b, `,"currency":"`...), r.Currency[:]...), '"')
	}
	if r.Amount != nil {
		b = append(appendDigits(append(b, `,"amountNanos":"`...), *r.Amount), '"')
	}
	if r.Balance != nil {
		b = append(appendDigits(append(b, `,"balanceNanos":"`...), *r.Balance), '"')
	}
	if r.Code != "" {
		b = append(append(append(b, `,"code":"`...), r.Code...), '"')
	}
	if r.Message != "" {
		b = appendJSONString(append(b, `,"message":`...), r.Message)
	}
	if len(r.Blockers) > 0 {
		list, _ := json.Marshal(r.Blockers) // of texts and numbers it cannot fail
		b = append(append(b, `,"blockers":`...), list...)
	}
	return append(b, '}')
}

func appendDigits(b []byte, s events.Sum) []byte {
	if n, ok := s.Nanos(); ok {
		return strconv.AppendInt(b, int64(n), 10)
	}
	return s.AppendDigits(b)
}

// appendJSONString appends s quoted. Nearly all texts of ours need no escapes.
func appendJSONString(b []byte, s string) []byte {
	for _, c := range []byte(s) {
		if c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= utf8.RuneSelf {
			quoted, _ := json.Marshal(s) // of a string it cannot fail
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
