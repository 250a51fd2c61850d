package pages

import (
	"net/http"
	"time"

	"tallystick/events"
)

// paper is what an invoice or a credit note says. The page (paper.html) and the file ([paper.pdf]) are both made of it, so they say
// the same.
type paper struct {
	ID, Title string
	Base      string // its own address, without where that is
	Notice    string // "" for none
	Seller    string // what the seller is called
	Facts     []fact
	From, To  []string // lines of an address
	Items     []item
	Sums      []sumRow
	Closing   string
	About     string    // what is at its address, which the file names
	stamp     time.Time // that the file names as its own: of what it says
}

// fact is something about a paper, such as when it was issued.
type fact struct {
	Name, Text string
	Link       string // "" for none
	State      bool   // it says how the paper stands
}

// item is a line of a paper.
type item struct {
	Name, About string
	Link, Label string // to how it was computed, with the name of the link; "" for none
	Tax, Amount string
}

// sumRow is one of the sums under the items.
type sumRow struct{ Name, Amount string }

// totalRow is the name of the sum that the others lead to.
const totalRow = "Total"

// sums returns what net and tax come to, in whole cents that add up: what the cents of both miss of those of the total is a row of its own.
func sums(net, tax events.Sum, c events.Currency) []sumRow {
	netCents, taxCents, total := inCents(net), inCents(tax), inCents(net.Plus(tax))
	rows := []sumRow{{"Subtotal", money(netCents, c)}, {"Tax", money(taxCents, c)}}
	if rest := total.Plus(netCents.Plus(taxCents).Neg()); !rest.IsZero() {
		rows = append(rows, sumRow{"Rounding", money(rest, c)})
	}
	return append(rows, sumRow{totalRow, money(total, c)})
}

// when adds when something happened, if it has.
func (d *paper) when(name string, at events.Time) {
	if at != 0 {
		d.Facts = append(d.Facts, fact{Name: name, Text: longDate(at)})
	}
}

// partyLines returns what a paper says of somebody.
func partyLines(p *events.Profile) []string {
	a := p.Address
	lines := []string{p.Name, a.Line1, a.Line2, joined(a.ZipCode, a.City), joined(a.State, a.Country), p.TaxID}
	kept := lines[:0]
	for _, line := range lines {
		if line != "" {
			kept = append(kept, line)
		}
	}
	return kept
}

// joined puts a space between two texts, if both are there.
func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " " + b
}

// file gives a paper as a file to keep.
func (p *Pages) file(w http.ResponseWriter, d *paper, name string) error {
	content, err := d.pdf(p.opts.Base())
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/pdf")
	h.Set("Content-Disposition", `inline; filename="`+name+`"`)
	_, _ = w.Write(content) // the visitor may have gone
	return nil
}
