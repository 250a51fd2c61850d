package commands

import (
	"fmt"
	"strings"

	"tallystick/events"
)

// Ref is the identity of one thing of any kind. Its text, such as "usg_01JD3W…", is made when it is asked
// for and not before: most are never looked at where they are made. The zero Ref is none.
type Ref struct {
	kind refKind
	id   [16]byte
}

// refKind is what a Ref is the identity of.
type refKind uint8

const (
	refNone refKind = iota
	refUsage
	refTopUp
	refKey
	refOrganization
	refProduct
	refMetric
	refFee
	refPrice
	refPlan
	refCustomer
	refWallet
	refSubscription
	refReservation
	refSession
	refCharge
	refMethod
	refPayment
	refAlert
	refAuthorization
	refPortal
	refDispute
	refUser
	refInvoice
	refLine
	refCreditNote
	refFeature
	refEntitlement
	refGrant
	refClock
)

// refToClock returns the Ref of a test clock, whose identity is shorter than the others.
func refToClock(c events.TestClockID) Ref {
	r := Ref{kind: refClock}
	copy(r.id[:], c[:])
	return r
}

// IsZero reports whether r is none.
func (r Ref) IsZero() bool { return r.kind == refNone }

// String returns the identity as clients see it, or "" for none.
func (r Ref) String() string { return string(r.append(nil)) }

func (r Ref) append(b []byte) []byte {
	switch r.kind {
	case refNone:
		return b
	case refUsage:
		return events.UsageID(r.id).AppendText(b)
	case refTopUp:
		return events.TopUpID(r.id).AppendText(b)
	case refKey:
		return events.KeyID(r.id).AppendText(b)
	case refOrganization:
		return events.OrganizationID(r.id).AppendText(b)
	case refProduct:
		return events.ProductID(r.id).AppendText(b)
	case refMetric:
		return events.MetricID(r.id).AppendText(b)
	case refFee:
		return events.FeeID(r.id).AppendText(b)
	case refPrice:
		return events.PriceID(r.id).AppendText(b)
	case refPlan:
		return events.PlanID(r.id).AppendText(b)
	case refCustomer:
		return events.CustomerID(r.id).AppendText(b)
	case refWallet:
		return events.WalletID(r.id).AppendText(b)
	case refSubscription:
		return events.SubscriptionID(r.id).AppendText(b)
	case refReservation:
		return events.ReservationID(r.id).AppendText(b)
	case refSession:
		return events.SessionID(r.id).AppendText(b)
	case refCharge:
		return events.ChargeID(r.id).AppendText(b)
	case refMethod:
		return events.MethodID(r.id).AppendText(b)
	case refPayment:
		return events.PaymentID(r.id).AppendText(b)
	case refAlert:
		return events.AlertID(r.id).AppendText(b)
	case refAuthorization:
		return events.AuthorizationID(r.id).AppendText(b)
	case refDispute:
		return events.DisputeID(r.id).AppendText(b)
	case refPortal:
		return events.PortalID(r.id).AppendText(b)
	case refUser:
		return events.UserID(r.id).AppendText(b)
	case refInvoice:
		return events.InvoiceID(r.id).AppendText(b)
	case refLine:
		return events.LineID(r.id).AppendText(b)
	case refCreditNote:
		return events.CreditNoteID(r.id).AppendText(b)
	case refFeature:
		return events.FeatureID(r.id).AppendText(b)
	case refEntitlement:
		return events.EntitlementID(r.id).AppendText(b)
	case refGrant:
		return events.GrantID(r.id).AppendText(b)
	case refClock:
		return append(b, events.TestClockID(r.id[:10]).String()...)
	}
	panic("commands: impossible: an identity of no kind")
}

// MarshalText returns what String returns.
func (r Ref) MarshalText() ([]byte, error) { return r.append(nil), nil }

// UnmarshalText reads what String returns; "" is none.
func (r *Ref) UnmarshalText(b []byte) (err error) { //nolint:funlen // a case for each prefix, and nothing else
	text := string(b)
	if text == "" {
		*r = Ref{}
		return nil
	}
	prefix, _, _ := strings.Cut(text, "_")
	switch prefix {
	case "usg":
		*r, err = parseRef[events.UsageNoun](refUsage, text)
	case "top":
		*r, err = parseRef[events.TopUpNoun](refTopUp, text)
	case "key":
		*r, err = parseRef[events.KeyNoun](refKey, text)
	case "org":
		*r, err = parseRef[events.OrganizationNoun](refOrganization, text)
	case "prod":
		*r, err = parseRef[events.ProductNoun](refProduct, text)
	case "bm":
		*r, err = parseRef[events.MetricNoun](refMetric, text)
	case "fee":
		*r, err = parseRef[events.FeeNoun](refFee, text)
	case "price":
		*r, err = parseRef[events.PriceNoun](refPrice, text)
	case "plan":
		*r, err = parseRef[events.PlanNoun](refPlan, text)
	case "cus":
		*r, err = parseRef[events.CustomerNoun](refCustomer, text)
	case "acc":
		*r, err = parseRef[events.WalletNoun](refWallet, text)
	case "inv":
		*r, err = parseRef[events.InvoiceNoun](refInvoice, text)
	case "li":
		*r, err = parseRef[events.LineNoun](refLine, text)
	case "crn":
		*r, err = parseRef[events.CreditNoteNoun](refCreditNote, text)
	case "sub":
		*r, err = parseRef[events.SubscriptionNoun](refSubscription, text)
	case "com":
		*r, err = parseRef[events.ReservationNoun](refReservation, text)
	case "ps":
		*r, err = parseRef[events.SessionNoun](refSession, text)
	case "chg":
		*r, err = parseRef[events.ChargeNoun](refCharge, text)
	case "pm":
		*r, err = parseRef[events.MethodNoun](refMethod, text)
	case "pay":
		*r, err = parseRef[events.PaymentNoun](refPayment, text)
	case "alrt":
		*r, err = parseRef[events.AlertNoun](refAlert, text)
	case "auth":
		*r, err = parseRef[events.AuthorizationNoun](refAuthorization, text)
	case "disp":
		*r, err = parseRef[events.DisputeNoun](refDispute, text)
	case "prt":
		*r, err = parseRef[events.PortalNoun](refPortal, text)
	case "usr":
		*r, err = parseRef[events.UserNoun](refUser, text)
	case "feat":
		*r, err = parseRef[events.FeatureNoun](refFeature, text)
	case "ent":
		*r, err = parseRef[events.EntitlementNoun](refEntitlement, text)
	case "grt":
		*r, err = parseRef[events.GrantNoun](refGrant, text)
	case "tc":
		var clock events.TestClockID
		clock, err = events.ParseTestClockID(text)
		*r = refToClock(clock)
	default:
		err = fmt.Errorf("%.40q: %w", text, events.ErrID)
	}
	return err
}

func parseRef[K events.Noun](kind refKind, text string) (Ref, error) {
	id, err := events.ParseID[K](text)
	return Ref{kind, id}, err
}
