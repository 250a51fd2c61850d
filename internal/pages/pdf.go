package pages

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"

	"tallystick/events"
)

// invoicePDF gives an invoice as a file to keep. It shows what the page shows, from the same view. There is no way from
// HTML to PDF that is kept and needs no browser, so the file is laid out here.
func (p *Pages) invoicePDF(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openInvoice(r)
	if err != nil {
		return err
	}
	file, err := v.pdf(p.opts.Base() + v.Base)
	if err != nil {
		return err
	}
	name := "invoice-draft.pdf"
	if !v.Draft {
		name = fmt.Sprintf("invoice-%d.pdf", v.Number)
	}
	h := w.Header()
	h.Set("Content-Type", "application/pdf")
	h.Set("Content-Disposition", `inline; filename="`+name+`"`)
	_, _ = w.Write(file) // the visitor may have gone
	return nil
}

// The measures of a page, in millimetres.
const (
	margin   = 20.0
	between  = 5.5 // lines of text
	inTables = 6.5
	forItem  = 110.0 // of the 170 between the margins
	forTax   = 28.0
	forTotal = 32.0
)

// sheet is a document under way.
type sheet struct{ *fpdf.Fpdf }

// pdf lays an invoice out on A4, in letters of Latin, Greek and Cyrillic. The same invoice gives the same bytes. at is its address.
func (v *invoiceView) pdf(at string) ([]byte, error) {
	s := sheet{fpdf.New("P", "mm", "A4", "")}
	s.AddUTF8FontFromBytes("go", "", goregular.TTF)
	s.AddUTF8FontFromBytes("go", "B", gobold.TTF)
	s.SetMargins(margin, margin, margin)
	s.SetAutoPageBreak(true, margin)
	s.AliasNbPages("")
	s.SetCatalogSort(true)
	s.SetCreationDate(v.stamp())
	s.SetModificationDate(v.stamp())
	s.SetTitle(v.Title, true)
	s.SetLang("en")
	s.SetFooterFunc(func() {
		s.SetY(-14)
		s.grey(true)
		s.SetFont("go", "", 8)
		s.CellFormat(0, 5, fmt.Sprintf("%s · page %d of {nb}", v.ID, s.PageNo()), "", 0, "C", false, 0, "")
		s.grey(false)
	})
	s.AddPage()
	seller := ""
	if v.Seller != nil {
		seller = v.Seller.Name
		s.SetAuthor(seller, true)
	}
	s.write("", 11, seller)
	s.write("B", 20, v.Title)
	s.Ln(2)
	v.facts(s)
	v.parties(s)
	v.items(s, at)
	s.Ln(6)
	s.grey(true)
	s.write("", 9, "How each amount was computed, with its usage events and the file that proves it, is shown at the address of this invoice:")
	s.SetFont("go", "", 7)
	s.WriteLinkString(4, at, at)
	var file bytes.Buffer
	if err := s.Output(&file); err != nil {
		return nil, fmt.Errorf("the PDF of invoice %s: %w", v.ID, err)
	}
	return file.Bytes(), nil
}

// stamp returns the time that the document names as its own: that of what it says.
func (v *invoiceView) stamp() time.Time {
	return max(v.UpdatedAt, v.IssuedAt, v.PaidAt, v.CreatedAt).Std().UTC()
}

// write adds a paragraph.
func (s sheet) write(style string, size float64, text string) {
	if text != "" {
		s.SetFont("go", style, size)
		s.MultiCell(0, size*0.5, text, "", "L", false)
	}
}

func (s sheet) grey(on bool) {
	shade := 0
	if on {
		shade = 95
	}
	s.SetTextColor(shade, shade, shade)
}

// facts says how the invoice stands.
func (v *invoiceView) facts(s sheet) {
	rows := [][2]string{{"Status", words(string(v.Status))}, {"Period", longDate(v.Start) + " to " + longDate(v.End)}}
	for _, when := range []struct {
		name string
		at   events.Time
	}{{"Issued", v.IssuedAt}, {"Due", v.DueAt}, {"Paid", v.PaidAt}} {
		if when.at != 0 {
			rows = append(rows, [2]string{when.name, longDate(when.at)})
		}
	}
	for _, row := range rows {
		s.SetFont("go", "", 10)
		s.grey(true)
		s.CellFormat(24, between, row[0], "", 0, "L", false, 0, "")
		s.grey(false)
		s.CellFormat(0, between, row[1], "", 1, "L", false, 0, "")
	}
	s.Ln(5)
}

// parties says who sells and who buys, side by side.
func (v *invoiceView) parties(s sheet) {
	top, low := s.GetY(), 0.0
	for i, party := range []struct {
		title string
		lines []string
	}{{"From", v.sellerLines()}, {"To", v.buyerLines()}} {
		x := margin + float64(i)*85
		s.SetXY(x, top)
		s.SetFont("go", "B", 10)
		s.CellFormat(80, between, party.title, "", 2, "L", false, 0, "")
		s.SetFont("go", "", 10)
		for _, line := range party.lines {
			s.SetX(x)
			s.MultiCell(80, between, line, "", "L", false)
		}
		low = max(low, s.GetY())
	}
	s.SetXY(margin, low)
	s.Ln(6)
}

func (v *invoiceView) sellerLines() []string {
	if v.Seller == nil {
		return nil
	}
	return partyLines(&v.Seller.Profile)
}

func (v *invoiceView) buyerLines() []string {
	if v.Buyer == nil {
		return nil
	}
	if v.Buyer.Profile == nil {
		return []string{v.Buyer.Consumer.String(), "The name was erased."}
	}
	return partyLines(v.Buyer.Profile)
}

// partyLines returns what an invoice says of somebody.
func partyLines(p *events.Profile) []string {
	lines := []string{p.Name}
	a := p.Address
	lines = append(lines, a.Line1, a.Line2, joined(a.ZipCode, a.City), joined(a.State, a.Country), p.TaxID)
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

// items lists what the invoice is for, and its sums.
func (v *invoiceView) items(s sheet, at string) {
	s.SetFont("go", "B", 10)
	s.row("B", "Item", "Tax", "Amount")
	for i := range v.Lines {
		l := &v.Lines[i]
		s.SetFont("go", "B", 10)
		name := s.SplitText(l.DisplayName, forItem-2)
		s.SetFont("go", "", 9)
		about := s.SplitText(detail(*l, v.Currency), forItem-2)
		if _, page := s.GetPageSize(); s.GetY()+float64(len(name)+len(about))*between+inTables > page-margin {
			s.AddPage()
		}
		top := s.GetY() + 1
		s.SetXY(margin, top)
		s.SetFont("go", "B", 10)
		s.lines(name)
		s.SetFont("go", "", 9)
		s.grey(true)
		s.lines(about)
		s.grey(false)
		low := s.GetY() + 1
		if !v.Draft {
			s.LinkString(margin, top, forItem, low-top, at+"/lines/"+l.ID.String())
		}
		s.SetXY(margin+forItem, top)
		s.SetFont("go", "", 10)
		s.CellFormat(forTax, between, exact(l.Tax, v.Currency), "", 0, "R", false, 0, "")
		s.CellFormat(forTotal, between, exact(l.Amount, v.Currency), "", 0, "R", false, 0, "")
		s.Line(margin, low, margin+forItem+forTax+forTotal, low)
		s.SetXY(margin, low)
	}
	s.Ln(1)
	s.SetFont("go", "", 10)
	for _, sum := range v.Sums() {
		border := ""
		if s.SetFont("go", "", 10); sum.Name == totalRow {
			border = "T"
			s.SetFont("go", "B", 11)
		}
		s.row(border, sum.Name, "", sum.Amount)
	}
}

// row adds a line of the table.
func (s sheet) row(border, item, tax, amount string) {
	s.CellFormat(forItem, inTables, item, border, 0, "L", false, 0, "")
	s.CellFormat(forTax, inTables, tax, border, 0, "R", false, 0, "")
	s.CellFormat(forTotal, inTables, amount, border, 1, "R", false, 0, "")
}

// lines adds lines of text, one under the other.
func (s sheet) lines(texts []string) {
	for _, text := range texts {
		s.CellFormat(forItem, between, text, "", 2, "L", false, 0, "")
	}
}
