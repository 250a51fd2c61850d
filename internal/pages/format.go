package pages

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/events"
	"tallystick/internal/query"
)

// formatting is what templates write figures with.
var formatting = template.FuncMap{
	"money":    money,
	"wrong":    wrong,
	"detail":   detail,
	"rate":     rate,
	"exact":    exact,
	"date":     longDate,
	"datetime": func(t events.Time) string { return t.Std().UTC().Format("2 January 2006, 15:04") + " UTC" },
	"day":      func(t events.Time) string { return t.Std().UTC().Format("2 Jan 2006") },
	"moment":   func(t events.Time) string { return t.Std().UTC().Format("2 Jan 2006, 15:04") },
	"happened": happened,
	"machine":  func(t events.Time) string { return t.Std().UTC().Format(time.RFC3339) },
	"count":    count,
	"base64":   base64.RawURLEncoding.EncodeToString,
	"sum":      events.SumOf,
	"amount":   amount,
	"units":    units,
	"words":    words,
}

// units writes a number of units without zeros that say nothing.
func units(n query.Units) string { return strings.TrimSuffix(digits(events.Sum(n)), ".00") }

func longDate(t events.Time) string { return t.Std().UTC().Format("2 January 2006") }

// words writes what a program says in capitals as people would.
func words(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", " ")) }

// amount says how much a line of usage is of: 30 tokens, or, of a mean, 2.5 GB on average.
func amount(l query.InvoiceLine) string {
	if mean, ok := l.Mean(); ok {
		return units(mean) + " " + l.Unit + " on average"
	}
	return count(l.Quantity) + " " + l.Unit
}

// detail says what a line of an invoice is of: 30 tokens at 0.01 USD each.
func detail(l query.InvoiceLine, c events.Currency) string {
	switch l.Kind {
	case events.LineOfFee:
		if l.OfDays != 0 {
			return fmt.Sprintf("fixed charge for %d of %d days", l.Days, l.OfDays)
		}
		return "fixed charge"
	case events.LineOfManual:
		text := l.Description
		if len(l.Factors) == 2 {
			text = strings.TrimPrefix(text+": "+l.Factors[0]+" at "+each(l.Factors[1])+" "+c.String()+" each", ": ")
		}
		return text
	case events.LineOfRefund:
		return "usage taken back"
	case events.LineOfCorrection:
		return "correction of an earlier period"
	}
	if l.UnitPrice.Sign() == 0 || l.Aggregation != "" {
		return amount(l)
	}
	return amount(l) + " at " + exact(l.UnitPrice, c) + " each"
}

// happened says what kind of event something was, in words: usage reported.
func happened(k events.Kind) string {
	name := string(k)
	if i := strings.LastIndex(name, ".v"); i > 0 {
		name = name[:i]
	}
	return strings.NewReplacer(".", " ", "_", " ").Replace(name)
}

// money writes an amount in cents, rounded half away from zero, with the currency: 1,234.50 USD.
func money(n events.Sum, c events.Currency) string {
	text := grouped(n.Big(), 9, 2)
	return text + " " + c.String()
}

// exact writes an amount to the last nano, without zeros at its end: 0.00425 USD.
func exact(n events.Sum, c events.Currency) string { return digits(n) + " " + c.String() }

// digits writes an amount as exact does, without the currency.
func digits(n events.Sum) string {
	text := grouped(n.Big(), 9, 9)
	for strings.HasSuffix(text, "0") && len(text)-strings.IndexByte(text, '.') > 3 {
		text = text[:len(text)-1]
	}
	return text
}

// inCents returns an amount in whole cents, rounded as money is.
func inCents(n events.Sum) events.Sum {
	whole, _ := events.SumOfBig(decimal.NewFromBigInt(n.Big(), -9).Round(2).Shift(9).BigInt()) // as near as a cent to one that fits
	return whole
}

// each writes the price of one as a merchant has given it: with cents, and more where it has more.
func each(price string) string {
	n, err := events.ParseNanos(price)
	if err != nil {
		return price
	}
	return digits(events.SumOf(n))
}

// count writes a whole number with its thousands apart.
func count(n events.Sum) string { return grouped(n.Big(), 0, 0) }

// grouped writes n, which has a number of decimals, with as many as are shown.
func grouped(n *big.Int, decimals, shown int) string {
	abs := new(big.Int).Abs(n)
	if drop := int64(decimals - shown); drop > 0 {
		unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(drop), nil)
		abs.Add(abs, new(big.Int).Rsh(unit, 1)).Quo(abs, unit)
	}
	digits := abs.String()
	if len(digits) <= shown {
		digits = strings.Repeat("0", shown+1-len(digits)) + digits
	}
	whole, part := digits[:len(digits)-shown], digits[len(digits)-shown:]
	var b strings.Builder
	if n.Sign() < 0 && abs.Sign() != 0 {
		b.WriteString("−")
	}
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(whole[i])
	}
	if shown > 0 {
		b.WriteString("." + part)
	}
	return b.String()
}

// rate says what a price comes to, in words.
func rate(p query.APIPrice) string {
	var of struct {
		UnitPrice  string `json:"unitPrice"`
		MinPrice   string `json:"minPrice"`
		MaxPrice   string `json:"maxPrice"`
		Default    string `json:"default"`
		Percentage string `json:"percentage"`
		MinCharge  string `json:"minCharge"`
		MaxCharge  string `json:"maxCharge"`
		Parameters struct {
			Min string `json:"min"`
			Max string `json:"max"`
		} `json:"parameters"`
	}
	if err := json.Unmarshal(p.Properties, &of); err != nil {
		return ""
	}
	switch p.Model {
	case events.Standard:
		if p.Quantity > 1 {
			return strconv.Itoa(int(p.Quantity)) + " at " + each(of.UnitPrice) + " each"
		}
		return each(of.UnitPrice) + " each"
	case events.Dynamic:
		return each(of.MinPrice) + " to " + each(of.MaxPrice) + " each"
	case events.Volume:
		return "from " + each(of.Default) + ", never below " + each(of.Parameters.Min) + " or above " + each(of.Parameters.Max) + " each"
	case events.Percentage:
		percent, err := decimal.NewFromString(of.Percentage)
		if err != nil {
			return ""
		}
		return percent.Shift(2).String() + "% of the value, from " + each(of.MinCharge) + " to " + each(of.MaxCharge)
	}
	return ""
}
