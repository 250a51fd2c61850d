package commands

import (
	"slices"
	"strings"

	"tallystick/events"
)

// StandardTaxes is the table of tax rates that ships: the states' base rates of sales tax in the United States, without those
// of counties and cities, and the standard rates of value added tax in the European Union, as they stood on 1 January
// 2026, with what has changed since 2024. It is no tax advice: a merchant who knows better sets rates for its customers.
type StandardTaxes struct{}

// RateAt implements [TaxTable].
func (StandardTaxes) RateAt(region string, at events.Time) (events.TaxRate, bool) {
	country, state, _ := strings.Cut(region, "-")
	if country == "US" {
		i := strings.Index(usStates, state+"=")
		if state == "" || i < 0 {
			return 0, false
		}
		return readRate(usStates[i+len(state)+1:]), true
	}
	for _, c := range euChanges() {
		if c.country == country && at < c.at {
			return c.before, true
		}
	}
	i := strings.Index(euCountries, country+"=")
	if len(country) != 2 || i < 0 {
		return 0, false
	}
	return readRate(euCountries[i+3:]), true
}

// The rates in percent. Alaska, Delaware, Montana, New Hampshire and Oregon have no sales tax.
const (
	usStates = "AL=4 AK=0 AZ=5.6 AR=6.5 CA=7.25 CO=2.9 CT=6.35 DE=0 FL=6 GA=4 HI=4 ID=6 IL=6.25 IN=7 IA=6 KS=6.5 KY=6 LA=5 " +
		"ME=5.5 MD=6 MA=6.25 MI=6 MN=6.875 MS=7 MO=4.225 MT=0 NE=5.5 NV=6.85 NH=0 NJ=6.625 NM=4.875 NY=4 NC=4.75 ND=5 OH=5.75 " +
		"OK=4.5 OR=0 PA=6 RI=7 SC=6 SD=4.2 TN=7 TX=6.25 UT=6.1 VT=6 VA=5.3 WA=6.5 WV=6 WI=5 WY=4 DC=6 "
	euCountries = "AT=20 BE=21 BG=20 HR=25 CY=19 CZ=21 DK=25 EE=24 FI=25.5 FR=20 DE=19 GR=24 HU=27 IE=23 IT=22 LV=21 LT=21 " +
		"LU=17 MT=18 NL=21 PL=23 PT=23 RO=21 SK=23 SI=22 ES=21 SE=25 "
)

// rateChange is a rate that a country had until a time.
type rateChange struct {
	country string
	before  events.TaxRate
	at      events.Time // from which the present one holds, midnight in UTC
}

func euChanges() []rateChange {
	return []rateChange{
		{"EE", 22 * events.OnePercent, 1_751_328_000_000_000_000}, // 2025-07-01
		{"FI", 24 * events.OnePercent, 1_725_148_800_000_000_000}, // 2024-09-01
		{"RO", 19 * events.OnePercent, 1_754_006_400_000_000_000}, // 2025-08-01
		{"SK", 20 * events.OnePercent, 1_735_689_600_000_000_000}, // 2025-01-01
	}
}

// readRate reads percent with at most three decimals, up to a space.
func readRate(s string) events.TaxRate {
	s, _, _ = strings.Cut(s, " ")
	n, err := events.ParseNanos(s)
	if err != nil {
		panic("commands: impossible: a rate of tax: " + err.Error())
	}
	return events.TaxRate(n / 10_000)
}

// TaxRegionOf returns the region of an address for tax, or says what the address lacks for it: a country and a postal
// code, and in the United States and Canada a state.
func TaxRegionOf(a events.Address) (region, lacks string) {
	switch {
	case a.Country == "":
		return "", "the address has no country"
	case a.ZipCode == "":
		return "", "the address has no zipCode"
	case a.Country != "US" && a.Country != "CA":
		return a.Country, ""
	}
	state := stateOf(a)
	if !HasState(a) || a.Country == "US" && strings.Contains(noTax, state) {
		return "", "the address has no state of " + a.Country + ", two letters such as CA"
	}
	return a.Country + "-" + state, ""
}

// The states that mail goes to in Canada, and those in the United States that are not among its states.
const (
	caStates = "AB BC MB NB NL NS NT NU ON PE QC SK YT"
	noTax    = "AA AE AP AS GU MP PR UM VI"
)

func stateOf(a events.Address) string { return strings.ToUpper(strings.TrimSpace(a.State)) }

// HasState reports whether an address in the United States or Canada names a state there, by two letters.
func HasState(a events.Address) bool {
	state := stateOf(a)
	return a.Country == "US" && len(state) == 2 && (strings.Contains(usStates, state+"=") || slices.Contains(strings.Fields(noTax), state)) ||
		a.Country == "CA" && slices.Contains(strings.Fields(caStates), state)
}
