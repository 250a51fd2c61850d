package events

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/shopspring/decimal"
)

// NanosPerUnit is how many [Nanos] one unit of a currency has.
const NanosPerUnit = 1_000_000_000

// Nanos is a sum of money in billionths of its currency's unit: one dollar is
// 1_000_000_000. It spans ±9.22 billion units, and math.MinInt64 is no Nanos, so
// that every amount can be negated.
type Nanos int64

// ErrMoney matches every error about an amount that cannot be exact or does not fit.
var ErrMoney = errors.New("not an exact amount of money")

// Plus returns n + m, and whether there is such an amount.
func (n Nanos) Plus(m Nanos) (Nanos, bool) {
	sum := n + m
	return sum, (sum > n) == (m > 0) && sum != math.MinInt64
}

// Times returns n times q, and whether there is such an amount. q is at least 0.
func (n Nanos) Times(q int64) (Nanos, bool) {
	neg, abs := n < 0, uint64(n)
	if neg {
		abs = -abs
	}
	hi, lo := bits.Mul64(abs, uint64(q))
	if q < 0 || hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	if neg {
		return -Nanos(lo), true
	}
	return Nanos(lo), true
}

// valid reports whether n is an amount.
func (n Nanos) valid() bool { return n != math.MinInt64 }

// Neg returns -n.
func (n Nanos) Neg() Nanos { return -n }

// Decimal returns n in units of its currency, exactly.
func (n Nanos) Decimal() decimal.Decimal { return decimal.New(int64(n), -9) }

// String returns n in units of its currency, exactly and without trailing zeros:
// "0.00425", "-3", "0".
func (n Nanos) String() string { return n.Decimal().String() }

// MarshalText returns n as decimal digits, in nanos, with a minus sign where it is negative.
// As text it keeps all its digits in readers whose numbers are floats.
func (n Nanos) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(n), 10), nil }

// UnmarshalText reads what MarshalText returns.
func (n *Nanos) UnmarshalText(b []byte) error {
	v, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || v == math.MinInt64 || b[0] == '+' {
		return fmt.Errorf("%.40q: %w: want digits, in nanos", b, ErrMoney)
	}
	*n = Nanos(v)
	return nil
}

// ParseNanos reads an amount in units of a currency, such as "12.50". It
// accepts digits with at most nine decimals, and a minus sign; no exponent, no
// plus sign, no spaces. An amount that does not fit is an error that matches
// [ErrMoney].
func ParseNanos(s string) (Nanos, error) {
	if !plainDecimal(s) {
		return 0, fmt.Errorf("%.40q: %w: want digits and at most 9 decimals", s, ErrMoney)
	}
	d, err := decimal.NewFromString(s)
	if err != nil {
		return 0, fmt.Errorf("%.40q: %w: %w", s, ErrMoney, err)
	}
	nanos := d.Shift(9).BigInt()
	if !nanos.IsInt64() || nanos.Int64() == math.MinInt64 {
		return 0, fmt.Errorf("%.40q: %w: out of range", s, ErrMoney)
	}
	return Nanos(nanos.Int64()), nil
}

// plainDecimal reports whether s is -?[0-9]{1,30}(\.[0-9]{1,9})?.
func plainDecimal(s string) bool {
	if s != "" && s[0] == '-' {
		s = s[1:]
	}
	whole, frac, point := 0, 0, false
	for _, c := range []byte(s) {
		switch {
		case c == '.' && !point:
			point = true
		case c < '0' || c > '9':
			return false
		case point:
			frac++
		default:
			whole++
		}
	}
	return whole >= 1 && whole <= 30 && frac <= 9 && point == (frac > 0)
}

// Round returns d units as Nanos, rounded half away from zero to a billionth:
// the one rounding rule of the ledger (A10). It reports whether d fits.
func Round(d decimal.Decimal) (Nanos, bool) {
	if d.Exponent() > 20 { // out of range, unless it is zero; and Shift might need all memory
		return 0, d.IsZero()
	}
	nanos := d.Shift(9).Round(0).BigInt()
	if !nanos.IsInt64() || nanos.Int64() == math.MinInt64 {
		return 0, false
	}
	return Nanos(nanos.Int64()), true
}

// Sum is a balance: a 128-bit number of nanos in two's complement, of which -2^127
// is none, so that every Sum can be negated. It holds the sum of more than 10^19 of
// the largest amounts; a Sum that would not fit is an impossibility, and Add panics.
type Sum struct {
	hi int64
	lo uint64
}

// SumOf returns n as a Sum.
func SumOf(n Nanos) Sum { return Sum{int64(n) >> 63, uint64(n)} }

// SumOfWhole returns n units, of which a Sum counts the billionths.
func SumOfWhole(n int64) Sum {
	s, _ := SumOfBig(new(big.Int).Mul(big.NewInt(n), big.NewInt(int64(NanosPerUnit)))) // of any n
	return s
}

// Add returns s + n.
func (s Sum) Add(n Nanos) Sum { return s.Plus(SumOf(n)) }

// Whole returns how many whole units s has, which is not below zero, or the largest number where they are more.
func (s Sum) Whole() int64 {
	whole := new(big.Int).Quo(s.Big(), big.NewInt(int64(NanosPerUnit)))
	if !whole.IsInt64() {
		return math.MaxInt64
	}
	return whole.Int64()
}

// Plus returns s + t.
func (s Sum) Plus(t Sum) Sum {
	lo, carry := bits.Add64(s.lo, t.lo, 0)
	hi := s.hi + t.hi + int64(carry)
	if s.hi < 0 == (t.hi < 0) && s.hi < 0 != (hi < 0) || hi == math.MinInt64 && lo == 0 {
		panic("events: impossible: a balance above 2^127 nanos")
	}
	return Sum{hi, lo}
}

// Neg returns -s.
func (s Sum) Neg() Sum {
	lo, borrow := bits.Sub64(0, s.lo, 0)
	return Sum{-s.hi - int64(borrow), lo}
}

// Sign returns -1, 0 or 1.
func (s Sum) Sign() int {
	switch {
	case s.hi < 0:
		return -1
	case s.hi == 0 && s.lo == 0:
		return 0
	}
	return 1
}

// Cmp returns -1, 0 or 1 as s is less than, equal to or greater than t.
func (s Sum) Cmp(t Sum) int {
	switch {
	case s == t:
		return 0
	case s.hi < t.hi || s.hi == t.hi && s.lo < t.lo:
		return -1
	}
	return 1
}

// IsZero reports whether s is nothing.
func (s Sum) IsZero() bool { return s == Sum{} }

// Nanos returns s as an amount, and whether it fits into one.
func (s Sum) Nanos() (Nanos, bool) {
	n := Nanos(s.lo)
	return n, SumOf(n) == s && n != math.MinInt64
}

// Big returns s as a big.Int.
func (s Sum) Big() *big.Int {
	b := new(big.Int).Lsh(big.NewInt(s.hi), 64)
	return b.Add(b, new(big.Int).SetUint64(s.lo))
}

// SumOfBig returns b as a Sum, and whether it fits.
func SumOfBig(b *big.Int) (Sum, bool) {
	if b.BitLen() > 127 {
		return Sum{}, false
	}
	hi := new(big.Int).Rsh(b, 64) // rounds towards negative infinity
	lo := new(big.Int).Sub(b, new(big.Int).Lsh(hi, 64))
	return Sum{hi.Int64(), lo.Uint64()}, true
}

// Digits returns s in nanos, as decimal digits with a minus sign where it is negative.
func (s Sum) Digits() string { return string(s.AppendDigits(nil)) }

// AppendDigits appends what Digits returns.
func (s Sum) AppendDigits(b []byte) []byte {
	if n, ok := s.Nanos(); ok {
		return strconv.AppendInt(b, int64(n), 10)
	}
	return s.Big().Append(b, 10)
}

// String returns s in units of its currency, exactly and without trailing zeros.
func (s Sum) String() string { return decimal.NewFromBigInt(s.Big(), -9).String() }

// MarshalText returns what Digits returns.
func (s Sum) MarshalText() ([]byte, error) { return s.AppendDigits(nil), nil }

// UnmarshalText reads what Digits returns.
func (s *Sum) UnmarshalText(b []byte) error {
	n, ok := new(big.Int), false
	if len(b) > 0 && len(b) <= 40 && b[0] != '+' { // 39 digits and a sign
		_, ok = n.SetString(string(b), 10)
	}
	if !ok {
		return fmt.Errorf("%.40q: %w: want digits, in nanos", b, ErrMoney)
	}
	if *s, ok = SumOfBig(n); !ok {
		return fmt.Errorf("%.40q: %w: out of range", b, ErrMoney)
	}
	return nil
}

// MarshalCBOR writes an integer where s fits into 64 bits, else a bignum (tags 2 and 3).
func (s Sum) MarshalCBOR() ([]byte, error) { return appendSum(nil, s), nil }

// UnmarshalCBOR reads what MarshalCBOR writes, and nothing else.
func (s *Sum) UnmarshalCBOR(b []byte) error {
	r := reader{b: b}
	*s = r.sum()
	return r.finish()
}

// Currency is three capital letters, such as USD. The zero Currency is none.
type Currency [3]byte

// ParseCurrency reads three capital letters.
func ParseCurrency(s string) (c Currency, err error) {
	return c, c.UnmarshalText([]byte(s))
}

// String returns the three letters, or "" for no currency.
func (c Currency) String() string {
	if c.IsZero() {
		return ""
	}
	return string(c[:])
}

// IsZero reports whether c is no currency.
func (c Currency) IsZero() bool { return c == Currency{} }

// MarshalText returns what String returns.
func (c Currency) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads three capital letters.
func (c *Currency) UnmarshalText(b []byte) error {
	if len(b) != 3 {
		return fmt.Errorf("%.40q is not a currency: want three capital letters, such as USD", b)
	}
	copy(c[:], b)
	if !c.valid() {
		*c = Currency{}
		return fmt.Errorf("%.40q is not a currency: want three capital letters, such as USD", b)
	}
	return nil
}

// valid reports whether c is three capital letters.
func (c Currency) valid() bool {
	for _, l := range c {
		if l < 'A' || l > 'Z' {
			return false
		}
	}
	return true
}

// MarshalCBOR writes a text of three letters.
func (c Currency) MarshalCBOR() ([]byte, error) { return appendText(nil, c.String()), nil }

// UnmarshalCBOR reads a text of three letters.
func (c *Currency) UnmarshalCBOR(b []byte) error {
	r := reader{b: b}
	*c = r.currency()
	return r.finish()
}
