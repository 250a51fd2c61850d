package pages

import (
	"fmt"
	"net/http"

	"tallystick/events"
	"tallystick/internal/query"
)

// creditNoteView is a credit note, with the invoice that it gives back, or usage of.
type creditNoteView struct {
	invoiceView
	Note query.CreditNote
}

// creditNote shows a credit note, fit for print.
func (p *Pages) creditNote(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openCreditNote(r)
	if err != nil {
		return err
	}
	return p.show(w, http.StatusOK, "paper.html", v.paper())
}

// creditNotePDF gives a credit note as a file to keep.
func (p *Pages) creditNotePDF(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openCreditNote(r)
	if err != nil {
		return err
	}
	return p.file(w, v.paper(), "credit-note-"+v.Note.ID.String()+".pdf")
}

// openCreditNote returns the credit note whose address a request has: that of its invoice, and its identity.
func (p *Pages) openCreditNote(r *http.Request) (v creditNoteView, err error) {
	id, err := parse[events.CreditNoteNoun](r, "note")
	if err != nil {
		return v, err
	}
	if v.invoiceView, err = p.openInvoice(r); err != nil {
		return v, err
	}
	for i := range v.Notes {
		if v.Notes[i].ID == id {
			v.Note = v.Notes[i]
			return v, nil
		}
	}
	return v, errNothing
}

// state says how a credit note stands, in words.
func state(n *query.CreditNote) string {
	if n.VoidedAt != 0 {
		return "void"
	}
	return "issued"
}

// noteBase returns the path of a credit note of an invoice.
func (v *invoiceView) noteBase(n *query.CreditNote) string {
	return v.Base + "/creditnotes/" + n.ID.String()
}

// paper returns what a credit note says.
func (v *creditNoteView) paper() *paper {
	n := &v.Note
	d := v.blank(max(n.IssuedAt, n.VoidedAt))
	d.ID, d.Title, d.Base, d.Sums = n.ID.String(), fmt.Sprintf("Credit note for invoice %d", v.Number), v.noteBase(n), sums(n.Amount, n.Tax, v.Currency)
	d.Facts = []fact{
		{Name: "Status", Text: state(n), State: true}, {Name: "Number", Text: d.ID}, {Name: "Invoice", Text: fmt.Sprintf("No. %d of %s", v.Number, longDate(v.IssuedAt)), Link: v.Base},
	}
	d.when("Issued", n.IssuedAt)
	d.when("Voided", n.VoidedAt)
	if n.Reason != "" {
		d.Facts = append(d.Facts, fact{Name: "Reason", Text: n.Reason})
	}
	d.Items = []item{{
		Name: fmt.Sprintf("Invoice %d", v.Number), About: longDate(v.Start) + " to " + longDate(v.End),
		Tax: exact(n.Tax, v.Currency), Amount: exact(n.Amount, v.Currency),
	}}
	d.Notice = "The total is in your wallet again."
	switch back := n.Amount.Plus(n.Tax).Plus(n.Less.Neg()); {
	case n.VoidedAt != 0:
		d.Notice = "This credit note is void: the invoice counts as it was, and its total was taken back out of the wallet."
	case n.Usage == nil:
	case back.IsZero():
		d.Notice = "So much less is to be paid of the invoice."
	default:
		d.Notice = fmt.Sprintf("%s less are to be paid of the invoice, and %s are in your wallet again.", exact(n.Less, v.Currency), exact(back, v.Currency))
	}
	if n.Usage != nil {
		d.Items[0].Name, d.Items[0].About = "Usage that was taken back", n.Usage.String()+", "+d.Items[0].About
	}
	d.Closing = fmt.Sprintf("Credit note %s, issued by record %d of the ledger", d.ID, n.Sequence)
	d.About = "This credit note, and the invoice with how each amount was computed, are shown at its address:"
	return d
}
