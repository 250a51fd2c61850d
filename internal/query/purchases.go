package query

import (
	"cmp"
	"context"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// PurchaseGrantResponse is units that were bought, or are to be paid.
type PurchaseGrantResponse struct {
	Object      string               `json:"object"`    // "grant_purchase"
	Invoice     events.InvoiceID     `json:"invoiceId"` // that has them as a line, once they are paid
	Entitlement events.EntitlementID `json:"entitlementId"`
	Grant       events.GrantID       `json:"grantId"` // that there is once they are paid
	Amount      Units                `json:"grantAmount"`
	Price       string               `json:"price"`
	Currency    events.Currency      `json:"currency"`
	Sessions    []PurchaseSession    `json:"paymentSessions"` // by which they are paid; none where the wallet has paid
}

// PurchaseSession is where units are paid.
type PurchaseSession struct {
	URL       string      `json:"url"`
	ExpiresAt events.Time `json:"expiresAt"`
	Amount    Units       `json:"amount"` // of money, with tax
}

// GetGrantPurchaseArgs are the arguments of [Service.GetGrantPurchase].
type GetGrantPurchaseArgs struct {
	AtLeast     events.Seq           `json:"atLeast,omitzero"`
	Entitlement events.EntitlementID `json:"entitlementId"`
	Grant       events.GrantID       `json:"grantId"`
}

// GetGrantPurchase answers what units were bought for, and where they are paid if the wallet has not.
func (s *Service) GetGrantPurchase(ctx context.Context, who wire.Who, args GetGrantPurchaseArgs) (v PurchaseGrantResponse, err error) {
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) error {
		e := r.books.Entitlements.Get(args.Entitlement)
		if e == nil || !r.who.sees(e.Merchant) {
			return missing("grant", args.Grant.String())
		}
		v = PurchaseGrantResponse{Object: "grant_purchase", Entitlement: args.Entitlement, Grant: args.Grant, Sessions: []PurchaseSession{}}
		if p := r.books.Purchases.Get(args.Grant); p != nil {
			return r.ordered(&v, p)
		}
		g := r.books.Grants.Get(args.Grant)
		if g == nil || g.Entitlement != args.Entitlement {
			return missing("grant", args.Grant.String())
		}
		_, line, err := s.lineAdded(ctx, events.LineID(args.Grant), func(e *events.LineItemAdded) bool { return e.Grant == args.Grant })
		v.Invoice, v.Amount, v.Price, v.Currency = line.Invoice, Units(g.Amount), line.UnitPrice, line.Currency
		return err
	})
	return v, err
}

// ordered fills in a purchase that a payment session asks the price of.
func (r *reading) ordered(v *PurchaseGrantResponse, p *projections.Purchase) error {
	o := &p.Ordered
	session := r.books.Sessions.Get(o.Session)
	if o.Entitlement != v.Entitlement || session == nil {
		return missing("grant", o.Grant.String())
	}
	v.Invoice, v.Amount, v.Price, v.Currency = cmp.Or(p.Invoice, o.Invoice), Units(o.Amount), o.Price.String(), o.Currency
	v.Sessions = append(v.Sessions, PurchaseSession{r.opts.Links.Checkout(o.Session), session.ExpiresAt, Units(events.SumOf(session.Amount))})
	return nil
}
