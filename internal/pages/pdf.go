package pages

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
)

// The measures of a page, in millimetres.
const (
	margin   = 20.0
	between  = 5.5 // lines of text
	inTables = 6.5
	forItem  = 110.0 // of the 170 between the margins
	forTax   = 28.0
	forTotal = 32.0
)

// sheet is a document under way. All that it shows passes through [printable].
type sheet struct{ *fpdf.Fpdf }

// MultiCell, CellFormat and SplitText are those of fpdf, which panics at letters that it has no room for.
func (s sheet) MultiCell(w, h float64, text, border, align string, fill bool) {
	s.Fpdf.MultiCell(w, h, printable(text), border, align, fill)
}

func (s sheet) CellFormat(w, h float64, text, border string, ln int, align string, fill bool, link int, address string) {
	s.Fpdf.CellFormat(w, h, printable(text), border, ln, align, fill, link, address)
}

func (s sheet) SplitText(text string, w float64) []string {
	return s.Fpdf.SplitText(printable(text), w)
}

// printable returns text without what is not seen, such as joiners and marks of direction, for which a font would draw boxes, and with a
// mark in place of each letter beyond the first 65,536, such as an emoji: the file knows no others.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.Is(unicode.Cf, c), unicode.Is(unicode.Variation_Selector, c):
			return -1
		case c > 0xFFFF:
			return unicode.ReplacementChar
		}
		return c
	}, text)
}

// pdf lays a paper out on A4, in letters of Latin, Greek and Cyrillic. The same paper gives the same bytes. site is where its
// addresses are. There is no way from HTML to PDF that is kept and needs no browser, so the file is laid out here.
func (d *paper) pdf(site string) ([]byte, error) {
	s := sheet{fpdf.New("P", "mm", "A4", "")}
	s.AddUTF8FontFromBytes("go", "", goregular.TTF)
	s.AddUTF8FontFromBytes("go", "B", gobold.TTF)
	s.SetMargins(margin, margin, margin)
	s.SetAutoPageBreak(true, margin)
	s.AliasNbPages("")
	s.SetCatalogSort(true)
	s.SetCreationDate(d.stamp)
	s.SetModificationDate(d.stamp)
	s.SetTitle(d.Title, true)
	s.SetAuthor(d.Seller, true)
	s.SetLang("en")
	s.SetFooterFunc(func() {
		s.SetY(-14)
		s.grey(true)
		s.SetFont("go", "", 8)
		s.CellFormat(0, 5, fmt.Sprintf("%s · page %d of {nb}", d.ID, s.PageNo()), "", 0, "C", false, 0, "")
		s.grey(false)
	})
	s.AddPage()
	s.write("", 11, d.Seller)
	s.write("B", 20, d.Title)
	s.Ln(2)
	s.write("", 10, d.Notice)
	s.Ln(2)
	d.facts(s, site)
	d.parties(s)
	d.items(s, site)
	s.Ln(6)
	s.grey(true)
	s.write("", 9, d.Closing+". "+d.About)
	s.SetFont("go", "", 7)
	s.WriteLinkString(4, site+d.Base, site+d.Base)
	var file bytes.Buffer
	if err := s.Output(&file); err != nil {
		return nil, fmt.Errorf("the PDF of %s: %w", d.ID, err)
	}
	return file.Bytes(), nil
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

// facts says how the paper stands.
func (d *paper) facts(s sheet, site string) {
	for _, f := range d.Facts {
		s.SetFont("go", "", 10)
		s.grey(true)
		s.CellFormat(24, between, f.Name, "", 0, "L", false, 0, "")
		s.grey(false)
		top := s.GetY()
		s.SetLeftMargin(margin + 24)
		s.MultiCell(0, between, f.Text, "", "L", false)
		s.SetLeftMargin(margin)
		if s.SetX(margin); f.Link != "" {
			s.LinkString(margin+24, top, forItem-24, s.GetY()-top, site+f.Link)
		}
	}
	s.Ln(5)
}

// parties says who sells and who buys, side by side.
func (d *paper) parties(s sheet) {
	top, low := s.GetY(), 0.0
	for i, party := range []struct {
		title string
		lines []string
	}{{"From", d.From}, {"To", d.To}} {
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

// items lists what the paper is about, and its sums.
func (d *paper) items(s sheet, site string) {
	s.SetFont("go", "B", 10)
	s.row("B", "Item", "Tax", "Amount")
	for i := range d.Items {
		it := &d.Items[i]
		s.SetFont("go", "B", 10)
		name := s.SplitText(it.Name, forItem-2)
		s.SetFont("go", "", 9)
		about := s.SplitText(it.About, forItem-2)
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
		if it.Link != "" {
			s.LinkString(margin, top, forItem, low-top, site+it.Link)
		}
		s.SetXY(margin+forItem, top)
		s.SetFont("go", "", 10)
		s.CellFormat(forTax, between, it.Tax, "", 0, "R", false, 0, "")
		s.CellFormat(forTotal, between, it.Amount, "", 0, "R", false, 0, "")
		s.Line(margin, low, margin+forItem+forTax+forTotal, low)
		s.SetXY(margin, low)
	}
	s.Ln(1)
	s.SetFont("go", "", 10)
	for _, sum := range d.Sums {
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
