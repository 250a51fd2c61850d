package pages

import (
	"context"
	"errors"
	"math/big"
	"net/http"
	"time"

	"tallystick/events"
	"tallystick/internal/query"
)

// portalView is what the portal of a subscription shows.
type portalView struct {
	Title    string
	Base     string // the portal's own address
	Until    events.Time
	Merchant query.Merchant
	Customer query.Customer
	Sub      query.Subscription
	Plan     query.APIPlan
	Own      bool         // the wallet pays this merchant alone
	Wallet   query.Wallet // if so
	Invoices []query.Invoice
	Entries  []query.Entry
	Chart    chart
	Payments []query.ListedSession
	entitled
}

// portal shows a subscription: what was agreed, used, invoiced and paid. It changes nothing.
func (p *Pages) portal(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openPortal(r)
	if err != nil {
		return err
	}
	ctx, q := r.Context(), p.opts.Queries
	if v.Customer, err = q.Customer(ctx, reader, query.CustomerArgs{Customer: v.Sub.Customer}); err != nil {
		return err
	}
	if v.Merchant, err = p.merchant(ctx, v.Sub.Merchant); err != nil {
		return err
	}
	if v.Plan, err = q.GetPlan(ctx, reader, query.GetPlanArgs{Plan: v.Sub.Plan}); err != nil {
		return err
	}
	wallet := query.WalletArgs{Wallet: v.Sub.Wallet}
	if v.Wallet, err = q.Wallet(ctx, reader, wallet); err != nil {
		return err
	}
	if v.Own = v.ownWallet(); v.Own {
		statement, err := q.Statement(ctx, reader, query.StatementArgs{WalletArgs: wallet, Page: query.Page{Limit: 20}})
		if err != nil {
			return err
		}
		v.Entries = statement.Entries
	} else {
		v.Wallet = query.Wallet{}
	}
	payments, err := q.PaymentSessions(ctx, reader, query.PaymentSessionsArgs{Subscription: v.Sub.ID, Page: query.Page{Limit: maxListed}})
	if err != nil {
		return err
	}
	if v.entitled, err = p.entitledBy(ctx, &v.Sub); err != nil {
		return err
	}
	invoices, err := q.Invoices(ctx, reader, query.InvoicesArgs{Subscription: v.Sub.ID, Page: query.Page{Limit: 100}})
	if err != nil {
		return err
	}
	if v.Chart, err = p.usageByDay(ctx, v.Sub.ID); err != nil {
		return err
	}
	v.Payments, v.Invoices, v.Title = payments.Items, invoices.Items, v.Sub.Name
	if v.Title == "" {
		v.Title = "Subscription"
	}
	return p.show(w, http.StatusOK, "portal.html", v)
}

// openPortal returns the subscription whose portal's address a request has.
func (p *Pages) openPortal(r *http.Request) (v portalView, err error) {
	id, err := parse[events.PortalNoun](r, "id")
	if err != nil || !p.opts.Links.OpensPortal(id, r.PathValue("token")) {
		return v, errNothing
	}
	link, err := p.opts.Queries.Portal(r.Context(), reader, query.PortalArgs{Portal: id})
	if err == nil && !link.Good {
		err = errNothing
	}
	if err != nil {
		return v, err
	}
	v.Until, v.Base = link.ExpiresAt, "/portal/"+r.PathValue("id")+"/"+r.PathValue("token")
	v.Sub, err = p.opts.Queries.Subscription(r.Context(), reader, query.SubscriptionArgs{Subscription: link.Subscription})
	return v, err
}

func (p *Pages) merchant(ctx context.Context, id events.OrganizationID) (query.Merchant, error) {
	list, err := p.opts.Queries.Merchants(ctx, reader, query.MerchantsArgs{Merchant: id})
	if err != nil || len(list.Items) == 0 {
		return query.Merchant{}, errors.Join(err, errNothing)
	}
	return list.Items[0], nil
}

// portalInvoice shows an invoice of the subscription of a portal, or a credit note of it.
func (p *Pages) portalInvoice(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openPortal(r)
	if err != nil {
		return err
	}
	id, err := parse[events.InvoiceNoun](r, "invoice")
	if err != nil {
		return err
	}
	inv, err := p.opts.Queries.Invoice(r.Context(), reader, query.InvoiceArgs{Invoice: id})
	if err == nil && inv.Subscription != v.Sub.ID {
		err = errNothing
	}
	if err != nil {
		return err
	}
	to := p.opts.Links.InvoicePath(id)
	if r.PathValue("note") != "" {
		note, err := parse[events.CreditNoteNoun](r, "note")
		if err != nil {
			return err
		}
		to += "/creditnotes/" + note.String()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// chart is what was used on the latest days, in amounts of money.
type chart struct {
	Days      []day
	Truncated bool // there is more on the first of the days
	Width     int
}

// day is one bar of a chart.
type day struct {
	Date     events.Time
	Label    string // "6 Nov", or "" where there is no room for it
	Events   int
	Amount   events.Sum
	X, Y     int // of the bar, from the top left
	W, H     int
	Right    int // where its label ends
	Currency events.Currency
}

const (
	chartDays   = 30
	chartEvents = 20_000 // usage events that are looked at, at most
	chartHeight = 100
	barStep     = 16
)

// usageByDay adds up the usage of the latest days, by the clock of the subscription.
func (p *Pages) usageByDay(ctx context.Context, sub events.SubscriptionID) (c chart, err error) {
	totals := make(map[int64]*day)
	var last int64
	args := query.UsageEventsArgs{Subscription: sub, Page: query.Page{Limit: 1000}}
	for seen := 0; ; {
		part, err := p.opts.Queries.UsageEvents(ctx, reader, args)
		if err != nil {
			return c, err
		}
		for i := range part.Items {
			u := &part.Items[i]
			at := u.Timestamp.Std().UTC().Truncate(24*time.Hour).Unix() / 86400
			if last = max(last, at); totals[at] == nil {
				totals[at] = &day{Currency: u.Billing.Currency}
			}
			totals[at].Events++
			totals[at].Amount = totals[at].Amount.Plus(u.Billing.Total)
		}
		seen += len(part.Items)
		if !part.More || len(part.Items) == 0 {
			break
		}
		if c.Truncated = seen >= chartEvents; c.Truncated {
			break
		}
		args.Before = part.Items[len(part.Items)-1].Sequence
	}
	if len(totals) > 0 {
		c.draw(totals, last)
	}
	return c, nil
}

// draw lays out the bars of the days up to the last.
func (c *chart) draw(totals map[int64]*day, last int64) {
	most := big.NewInt(1)
	for d := last - chartDays + 1; d <= last; d++ {
		bar := day{Date: events.Time(d * 86400 * int64(time.Second))}
		if t := totals[d]; t != nil {
			bar.Events, bar.Amount, bar.Currency = t.Events, t.Amount, t.Currency
		}
		if n := bar.Amount.Big(); n.Cmp(most) > 0 {
			most = n
		}
		c.Days = append(c.Days, bar)
	}
	for i := range c.Days {
		bar := &c.Days[i]
		if n := bar.Amount.Big(); n.Sign() > 0 {
			bar.H = int(n.Mul(n, big.NewInt(chartHeight)).Quo(n, most).Int64())
		}
		if bar.H == 0 && bar.Events > 0 {
			bar.H = 1
		}
		bar.X, bar.Y, bar.W, bar.Right = i*barStep, chartHeight-bar.H, barStep-4, (i+1)*barStep-4
		if i%5 == 4 {
			bar.Label = bar.Date.Std().UTC().Format("2 Jan")
		}
	}
	c.Width = len(c.Days) * barStep
}
