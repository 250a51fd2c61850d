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
	return p.show(w, http.StatusOK, "paper.html", v.paper())
}

// invoicePDF gives an invoice as a file to keep.
func (p *Pages) invoicePDF(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openInvoice(r)
	if err != nil {
		return err
	}
	name := "invoice-draft.pdf"
	if !v.Draft {
		name = fmt.Sprintf("invoice-%d.pdf", v.Number)
	}
	return p.file(w, v.paper(), name)
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

// paper returns what an invoice says.
func (v *invoiceView) paper() *paper {
	d := v.blank(max(v.UpdatedAt, v.IssuedAt, v.PaidAt, v.CreatedAt))
	d.ID, d.Title, d.Base, d.Sums = v.ID.String(), v.Title, v.Base, v.Sums()
	d.Facts = []fact{{Name: "Status", Text: words(string(v.Status)), State: true}, {Name: "Period", Text: longDate(v.Start) + " to " + longDate(v.End)}}
	d.when("Issued", v.IssuedAt)
	d.when("Due", v.DueAt)
	d.when("Paid", v.PaidAt)
	for i := range v.Notes {
		d.Facts = append(d.Facts, fact{Name: "Credited", Text: longDate(v.Notes[i].IssuedAt) + ", " + state(&v.Notes[i]), Link: v.noteBase(&v.Notes[i])})
	}
	for i := range v.Lines {
		l := &v.Lines[i]
		it := item{Name: l.DisplayName, About: detail(*l, v.Currency), Tax: exact(l.Tax, v.Currency), Amount: exact(l.Amount, v.Currency)}
		if !v.Draft {
			it.Link, it.Label = v.Base+"/lines/"+l.ID.String(), "How "+l.DisplayName+" was computed, line "+l.ID.String()
		}
		d.Items = append(d.Items, it)
	}
	d.Closing = "Invoice " + d.ID
	if v.Draft {
		d.Notice = "This invoice is not issued yet. It shows what it comes to so far."
	} else {
		d.Closing += fmt.Sprintf(", issued by record %d of the ledger", v.Issued)
	}
	d.About = "How each amount was computed, with its usage events and the file that proves it, is shown at the address of this invoice:"
	return d
}

// blank returns a paper with seller and buyer, and the time that it names as its own.
func (v *invoiceView) blank(at events.Time) *paper {
	d := &paper{stamp: at.Std().UTC()}
	if v.Seller != nil {
		d.Seller, d.From = v.Seller.Name, partyLines(&v.Seller.Profile)
	}
	if v.Buyer != nil && v.Buyer.Profile != nil {
		d.To = partyLines(v.Buyer.Profile)
	} else if v.Buyer != nil {
		d.To = []string{v.Buyer.Consumer.String(), "The name was erased."}
	}
	return d
}

// Sums returns what an invoice comes to. What is paid is what of the total is neither credited nor to be paid any more.
func (v *invoiceView) Sums() []sumRow {
	total, unpaid, paid, credited := inCents(v.Total), inCents(v.Unpaid), inCents(v.Paid), inCents(v.Credited)
	if v.Paid.Plus(v.Unpaid).Plus(v.Credited).Cmp(v.Total) == 0 {
		paid = total.Plus(unpaid.Plus(credited).Neg())
	}
	rows := sums(v.Subtotal, v.Tax, v.Currency)
	if !v.Credited.IsZero() {
		rows = append(rows, sumRow{"Credited", money(credited, v.Currency)})
	}
	return append(rows, sumRow{"Paid", money(paid, v.Currency)}, sumRow{"To be paid", money(unpaid, v.Currency)})
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
		v.Usage = append(v.Usage, lineUsage{*u, part.Quantity - part.Granted, part.Amount})
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
