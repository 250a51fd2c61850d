package pages

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"tallystick/events"
	"tallystick/internal/query"
)

// invoiceView is what the page of an invoice shows.
type invoiceView struct {
	query.Invoice
	Title string
	Base  string // the invoice's own address
	Draft bool   // it is not issued yet, and what it says may change
}

// invoice shows an invoice, fit for print.
func (p *Pages) invoice(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openInvoice(r)
	if err != nil {
		return err
	}
	return p.show(w, http.StatusOK, "invoice.html", &v)
}

// openInvoice returns the invoice whose address a request has.
func (p *Pages) openInvoice(r *http.Request) (v invoiceView, err error) {
	id, err := parse[events.InvoiceNoun](r, "id")
	if err != nil || !p.opts.Links.OpensInvoice(id, r.PathValue("token")) {
		return v, errNothing
	}
	if v.Invoice, err = p.opts.Queries.Invoice(r.Context(), reader, query.InvoiceArgs{Invoice: id}); err != nil {
		return v, err
	}
	v.Base = "/invoices/" + r.PathValue("id") + "/" + r.PathValue("token")
	if v.Draft = v.Issued == 0; v.Draft {
		v.Title = "Coming invoice"
	} else {
		v.Title = fmt.Sprintf("Invoice %d", v.Number)
	}
	return v, nil
}

// sumRow is one of the sums under an invoice's lines.
type sumRow struct{ Name, Amount string }

// totalRow is the name of the sum that the others lead to.
const totalRow = "Total"

// Sums returns what an invoice comes to, in whole cents that add up: what the cents of subtotal and tax miss of those of the total is
// a row of its own, and what is paid is what of the total is not to be paid any more.
func (v *invoiceView) Sums() []sumRow {
	subtotal, tax, total, unpaid := inCents(v.Subtotal), inCents(v.Tax), inCents(v.Total), inCents(v.Unpaid)
	paid := inCents(v.Paid)
	if v.Paid.Plus(v.Unpaid).Cmp(v.Total) == 0 {
		paid = total.Plus(unpaid.Neg())
	}
	write := func(n events.Sum) string { return money(n, v.Currency) }
	rows := []sumRow{{"Subtotal", write(subtotal)}, {"Tax", write(tax)}}
	if rest := total.Plus(subtotal.Plus(tax).Neg()); !rest.IsZero() {
		rows = append(rows, sumRow{"Rounding", write(rest)})
	}
	return append(rows, sumRow{totalRow, write(total)}, sumRow{"Paid", write(paid)}, sumRow{"To be paid", write(unpaid)})
}

// lineView is how a line of an invoice was computed.
type lineView struct {
	invoiceView
	Line  query.InvoiceLine
	Usage []lineUsage
	More  bool // there is more usage than is shown
}

// lineUsage is what one usage event adds to a line.
type lineUsage struct {
	Event    query.UsageEvent
	Quantity int64
	Amount   events.Sum
}

// maxShown is how many usage events of a line are shown. The proof has all of them.
const maxShown = 500

// line shows how a line was computed: its rate, its usage events, and what proves that these are all.
func (p *Pages) line(w http.ResponseWriter, r *http.Request) error {
	v := lineView{}
	var err error
	if v.invoiceView, v.Line, err = p.openLine(r); err != nil {
		return err
	}
	v.Title = v.Line.DisplayName + ": how it was computed"
	args := query.UsageEventsArgs{Subscription: v.Subscription, Before: v.Line.Last + 1, Page: query.Page{Limit: 1000}}
	for more := true; more && !v.More; {
		part, err := p.opts.Queries.UsageEvents(r.Context(), reader, args)
		if err != nil {
			return err
		}
		for i := range part.Items {
			v.take(&part.Items[i])
		}
		n := len(part.Items)
		if more = part.More && n > 0 && part.Items[n-1].Sequence > v.Line.First; more {
			args.Before = part.Items[n-1].Sequence
		}
	}
	return p.show(w, http.StatusOK, "line.html", v)
}

// take adds a usage event, if it is of the line.
func (v *lineView) take(u *query.UsageEvent) {
	if u.Period != v.Period || u.Sequence < v.Line.First {
		return
	}
	for _, part := range u.Properties {
		if part.Metric != v.Line.Metric || part.Price != v.Line.Price || part.Revision != v.Line.Revision {
			continue
		}
		if len(v.Usage) == maxShown {
			v.More = true
			return
		}
		v.Usage = append(v.Usage, lineUsage{*u, part.Quantity, part.Amount})
	}
}

// openLine returns the invoice and the line whose address a request has.
func (p *Pages) openLine(r *http.Request) (v invoiceView, line query.InvoiceLine, err error) {
	id, err := parse[events.LineNoun](r, "line")
	if err != nil {
		return v, line, err
	}
	if v, err = p.openInvoice(r); err != nil {
		return v, line, err
	}
	for i := range v.Lines {
		if v.Lines[i].ID == id {
			return v, v.Lines[i], nil
		}
	}
	return v, line, errNothing
}

// lineProof gives the file that proves a line, which `tally check-proof` checks without a server.
func (p *Pages) lineProof(w http.ResponseWriter, r *http.Request) error {
	_, line, err := p.openLine(r)
	if err != nil {
		return err
	}
	proof, err := p.opts.Queries.Proof(r.Context(), reader, query.ProofArgs{Line: line.ID})
	if err != nil {
		return err
	}
	b, err := json.Marshal(proof)
	if err != nil {
		return errors.Join(errors.New("encoding a proof"), err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="`+line.ID.String()+`.proof.json"`)
	_, _ = w.Write(b) // the visitor may have gone
	return nil
}
