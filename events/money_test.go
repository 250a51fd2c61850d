package events

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// edges are the amounts at which integers go wrong.
var edges = []int64{
	0, 1, -1, 2, -2, 999_999_999, 1_000_000_000, -1_000_000_000, math.MaxInt32, math.MinInt32,
	1 << 32, -(1 << 32), 3037000499, 3037000500, math.MaxInt64/2 + 1, math.MinInt64/2 - 1,
	math.MaxInt64 - 1, math.MaxInt64, math.MinInt64 + 2, math.MinInt64 + 1,
}

// inRange reports whether there is such an amount.
func inRange(b *big.Int) bool { return b.IsInt64() && b.Int64() != math.MinInt64 }

func big64(n int64) *big.Int { return big.NewInt(n) }

// checkPair holds the arithmetic of two amounts to that of math/big.
func checkPair(t testing.TB, a, b int64) {
	t.Helper()
	want := new(big.Int).Add(big64(a), big64(b))
	got, ok := Nanos(a).Plus(Nanos(b))
	if ok != inRange(want) || ok && int64(got) != want.Int64() {
		t.Errorf("%d + %d = %d, %v, want %v", a, b, got, ok, want)
	}
	want.Mul(big64(a), big64(b))
	got, ok = Nanos(a).Times(b)
	if ok != (b >= 0 && inRange(want)) || ok && int64(got) != want.Int64() {
		t.Errorf("%d * %d = %d, %v, want %v", a, b, got, ok, want)
	}
	sum := SumOf(Nanos(a)).Add(Nanos(b))
	if want.Add(big64(a), big64(b)); sum.Big().Cmp(want) != 0 || sum.Digits() != want.String() {
		t.Errorf("%d + %d = %v as a Sum, want %v", a, b, sum.Digits(), want)
	}
	if n, ok := sum.Nanos(); ok != inRange(want) || ok && int64(n) != want.Int64() {
		t.Errorf("the Sum %v as an amount is %d, %v", want, n, ok)
	}
}

func TestNanos(t *testing.T) {
	for _, a := range edges {
		for _, b := range edges {
			checkPair(t, a, b)
		}
		checkText(t, Nanos(a))
	}
	rapid.Check(t, func(r *rapid.T) {
		a, b := int64(drawNanos(r, "a")), int64(drawNanos(r, "b"))
		checkPair(t, a, b)
		checkPair(t, a>>32, b>>32) // products that fit
		checkText(t, Nanos(a))
	})
}

// checkText sends n through its forms as text.
func checkText(t testing.TB, n Nanos) {
	t.Helper()
	if got, err := ParseNanos(n.String()); got != n || err != nil {
		t.Errorf("ParseNanos(%q) = %d, %v, want %d", n.String(), got, err, int64(n))
	}
	if want := new(big.Rat).SetFrac64(int64(n), NanosPerUnit); n.Decimal().Rat().Cmp(want) != 0 {
		t.Errorf("Decimal of %d = %v", int64(n), n.Decimal())
	}
	if strings.ContainsAny(n.String(), "eE+ ") || strings.Contains(n.String(), ".") && strings.HasSuffix(n.String(), "0") {
		t.Errorf("%d prints as %q", int64(n), n.String())
	}
	var back Nanos
	if b, err := json.Marshal(n); err != nil || json.Unmarshal(b, &back) != nil || back != n || b[0] != '"' {
		t.Errorf("%d in JSON is %s, and back %d", int64(n), b, back)
	}
	if n.Neg().Neg() != n || n.Neg() != Nanos(-int64(n)) {
		t.Errorf("-%d = %d", n, n.Neg())
	}
}

func FuzzNanos(f *testing.F) {
	for _, a := range edges {
		f.Add(a, a)
	}
	f.Fuzz(func(t *testing.T, a, b int64) {
		if a != math.MinInt64 && b != math.MinInt64 {
			checkPair(t, a, b)
			checkText(t, Nanos(a))
		}
	})
}

func TestParseNanos(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"0", 0, true},
		{"-0", 0, true},
		{"12.50", 12_500_000_000, true},
		{"0.000000001", 1, true},
		{"-0.000000001", -1, true},
		{"007", 7_000_000_000, true},
		{"9223372036.854775807", math.MaxInt64, true},
		{"-9223372036.854775807", -math.MaxInt64, true},
		{"9223372036.854775808", 0, false},
		{"-9223372036.854775808", 0, false},
		{"99999999999999999999", 0, false},
		{"0.0000000001", 0, false},
		{"0.0000000010", 0, false},
		{"", 0, false},
		{"-", 0, false},
		{".5", 0, false},
		{"5.", 0, false},
		{"1.2.3", 0, false},
		{"+1", 0, false},
		{"--1", 0, false},
		{"1e3", 0, false},
		{" 1", 0, false},
		{"1 ", 0, false},
		{"1,5", 0, false},
		{"0x10", 0, false},
		{"1_000", 0, false},
		{"Infinity", 0, false},
		{"NaN", 0, false},
		{"١", 0, false},
		{strings.Repeat("0", 31), 0, false},
	} {
		got, err := ParseNanos(tt.text)
		if int64(got) != tt.want || (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrMoney) {
			t.Errorf("ParseNanos(%q) = %d, %v", tt.text, int64(got), err)
		}
	}
}

// FuzzParseNanos holds ParseNanos to math/big, whatever it accepts.
func FuzzParseNanos(f *testing.F) {
	for _, s := range []string{"0", "12.50", "-0.000000001", "9223372036.854775807", "1e3", "+1", ".5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNanos(s)
		if err != nil {
			if !errors.Is(err, ErrMoney) || n != 0 {
				t.Errorf("ParseNanos(%q) = %d, %v", s, int64(n), err)
			}
			return
		}
		want, ok := new(big.Rat).SetString(s)
		if !ok || want.Cmp(new(big.Rat).SetFrac64(int64(n), NanosPerUnit)) != 0 {
			t.Errorf("ParseNanos(%q) = %d", s, int64(n))
		}
		checkText(t, n)
	})
}

// roundBig is the rounding rule in other words: to the nearest billionth, and from the
// middle away from zero.
func roundBig(r *big.Rat) *big.Int {
	nanos := new(big.Rat).Mul(r, big.NewRat(NanosPerUnit, 1))
	twice := new(big.Int).Mul(nanos.Num(), big.NewInt(2))
	twice.Add(twice, new(big.Int).Mul(nanos.Denom(), big.NewInt(int64(nanos.Sign()))))
	return twice.Quo(twice, new(big.Int).Mul(nanos.Denom(), big.NewInt(2))) // towards zero
}

func checkRound(t testing.TB, d decimal.Decimal) {
	t.Helper()
	want := roundBig(d.Rat())
	got, ok := Round(d)
	if ok != inRange(want) || ok && int64(got) != want.Int64() {
		t.Errorf("Round(%v) = %d, %v, want %v", d, int64(got), ok, want)
	}
	if mirrored, _ := Round(d.Neg()); mirrored != -got {
		t.Errorf("Round(-%v) = %d, but Round(%v) = %d", d, int64(mirrored), d, int64(got))
	}
}

func TestRound(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"0.0000000004", 0, true},
		{"0.0000000005", 1, true},
		{"-0.0000000005", -1, true},
		{"-0.00000000049999", 0, true},
		{"0.0000000014999999999999999999", 1, true},
		{"0.0000000025", 3, true},
		{"-0.0000000025", -3, true},
		{"9223372036.8547758074", math.MaxInt64, true},
		{"9223372036.8547758075", 0, false},
		{"-9223372036.8547758075", 0, false},
		{"1e9", 1e18, true},
	} {
		if got, ok := Round(decimal.RequireFromString(tt.text)); int64(got) != tt.want || ok != tt.ok {
			t.Errorf("Round(%s) = %d, %v, want %d, %v", tt.text, int64(got), ok, tt.want, tt.ok)
		}
	}
	if n, ok := Round(decimal.New(1, math.MaxInt32-9)); n != 0 || ok {
		t.Errorf("Round of 10^2147483638 = %v, %v", n, ok)
	}
	if n, ok := Round(decimal.New(0, math.MaxInt32-9)); n != 0 || !ok {
		t.Errorf("Round of 0 = %v, %v", n, ok)
	}
	rapid.Check(t, func(r *rapid.T) {
		d := decimal.New(rapid.Int64().Draw(r, "coefficient"), rapid.Int32Range(-40, 25).Draw(r, "exponent"))
		checkRound(t, d)
		checkRound(t, decimal.New(rapid.Int64Range(-1000, 1000).Draw(r, "tenths of a nano"), -10))
		n := drawNanos(r, "n")
		if got, ok := Round(n.Decimal()); !ok || got != n {
			t.Errorf("Round(%v) = %v", n, got)
		}
	})
}

func FuzzRound(f *testing.F) {
	f.Add(int64(5), int8(-10))
	f.Add(int64(math.MaxInt64), int8(-9))
	f.Fuzz(func(t *testing.T, coefficient int64, exponent int8) {
		checkRound(t, decimal.New(coefficient, int32(exponent)))
	})
}

// checkSums holds the arithmetic of two sums to that of math/big.
func checkSums(t testing.TB, a, b Sum) {
	t.Helper()
	x, y := a.Big(), b.Big()
	if back, ok := SumOfBig(x); !ok || back != a {
		t.Errorf("SumOfBig(%v) = %v, %v", x, back, ok)
	}
	if a.Cmp(b) != x.Cmp(y) || a.Sign() != x.Sign() || a.IsZero() != (x.Sign() == 0) {
		t.Errorf("Cmp(%v, %v) = %d, Sign = %d", x, y, a.Cmp(b), a.Sign())
	}
	if want := new(big.Int).Neg(x); a.Neg().Big().Cmp(want) != 0 {
		t.Errorf("-%v = %v", x, a.Neg().Big())
	}
	want := new(big.Int).Add(x, y)
	if got, ok := tryPlus(a, b); ok != (want.BitLen() <= 127) || ok && got.Big().Cmp(want) != 0 {
		t.Errorf("%v + %v = %v, %v", x, y, got.Big(), ok)
	}
	if a.Digits() != x.String() {
		t.Errorf("Digits = %s, want %v", a.Digits(), x)
	}
	var back Sum
	if err := back.UnmarshalText([]byte(a.Digits())); err != nil || back != a {
		t.Errorf("UnmarshalText(%s) = %v, %v", a.Digits(), back, err)
	}
	if d, err := decimal.NewFromString(a.String()); err != nil || d.Shift(9).BigInt().Cmp(x) != 0 {
		t.Errorf("String of %v = %s", x, a.String())
	}
	if n, ok := a.Nanos(); ok != inRange(x) || ok && int64(n) != x.Int64() {
		t.Errorf("Nanos of %v = %d, %v", x, n, ok)
	}
	var read Sum
	b1, err := a.MarshalCBOR()
	if err != nil || read.UnmarshalCBOR(b1) != nil || read != a {
		t.Errorf("%v is encoded as %x and read as %v", x, b1, read)
	}
	var library big.Int
	if err := decMode.Unmarshal(b1, &library); err != nil || library.Cmp(x) != 0 {
		t.Errorf("the library reads %x as %v, %v, want %v", b1, &library, err, x)
	}
	if b2, err := encMode.Marshal(x); err != nil || string(b1) != string(b2) {
		t.Errorf("%v is encoded as %x, by the library as %x", x, b1, b2)
	}
}

// tryPlus returns a + b, or false if Plus panics.
func tryPlus(a, b Sum) (sum Sum, ok bool) {
	defer func() { ok = recover() == nil }()
	return a.Plus(b), true
}

func TestSum(t *testing.T) {
	parts := []Sum{{1, 0}, {-1, 0}, {-2, math.MaxUint64}, {0, 1 << 63}, {-1, 1<<63 - 1}, {math.MaxInt64, math.MaxUint64}, {math.MinInt64, 1}}
	for _, e := range edges {
		parts = append(parts, SumOf(Nanos(e)))
	}
	for _, a := range parts {
		for _, b := range parts {
			checkSums(t, a, b)
		}
	}
	rapid.Check(t, func(r *rapid.T) { checkSums(t, drawSum(r, "a"), drawSum(r, "b")) })
	for _, s := range []string{"", "-", "+1", "1.5", "0x1", "1_0", " 1", strings.Repeat("9", 40), new(big.Int).Lsh(big.NewInt(1), 127).String()} {
		if err := new(Sum).UnmarshalText([]byte(s)); !errors.Is(err, ErrMoney) {
			t.Errorf("UnmarshalText(%q): %v", s, err)
		}
	}
	for _, s := range []string{"", "-", "+1", "1.5", "9223372036854775808", "-9223372036854775808"} {
		if err := new(Nanos).UnmarshalText([]byte(s)); !errors.Is(err, ErrMoney) {
			t.Errorf("Nanos.UnmarshalText(%q): %v", s, err)
		}
	}
	if _, ok := SumOfBig(new(big.Int).Lsh(big.NewInt(-1), 127)); ok {
		t.Error("-2^127 is a Sum")
	}
}

func TestCurrency(t *testing.T) {
	if c, err := ParseCurrency("USD"); err != nil || c.String() != "USD" || c.IsZero() {
		t.Errorf("ParseCurrency = %v, %v", c, err)
	}
	for _, s := range []string{"", "usd", "US", "USDT", "U D", "US\x00", "ÄÄ"} {
		if c, err := ParseCurrency(s); err == nil || !c.IsZero() {
			t.Errorf("ParseCurrency(%q) = %v, %v", s, c, err)
		}
	}
}

func TestBalanced(t *testing.T) {
	usd := Currency([]byte("USD"))
	for _, tt := range []struct {
		what string
		m    Movement
		want bool
	}{
		{"nothing", Movement{}, true},
		{"balanced", Movement{usd, WalletID{}, []Posting{{ConsumerMain, -5, WalletID{}}, {Merchant, 3, WalletID{}}, {PlatformFee, 2, WalletID{}}}}, true},
		{"one nano short", Movement{usd, WalletID{}, []Posting{{ConsumerMain, -5, WalletID{}}, {Merchant, 4, WalletID{}}}}, false},
		{"no currency", Movement{Currency{}, WalletID{}, []Posting{{ConsumerMain, -5, WalletID{}}, {Merchant, 5, WalletID{}}}}, false},
		{"a posting of nothing", Movement{usd, WalletID{}, []Posting{{ConsumerMain, 0, WalletID{}}}}, false},
		{"unknown role", Movement{usd, WalletID{}, []Posting{{0, -5, WalletID{}}, {Merchant, 5, WalletID{}}}}, false},
		{"role of the future", Movement{usd, WalletID{}, []Posting{{lastRole + 1, -5, WalletID{}}, {Merchant, 5, WalletID{}}}}, false},
		{"zero modulo 2^64", Movement{usd, WalletID{}, []Posting{{Merchant, math.MaxInt64, WalletID{}}, {Merchant, math.MaxInt64, WalletID{}}, {Merchant, 2, WalletID{}}}}, false},
	} {
		if got := tt.m.Balanced(); got != tt.want {
			t.Errorf("%s: Balanced = %v", tt.what, got)
		}
	}
	for r := range Role(255) {
		var back Role
		if err := back.UnmarshalText([]byte(r.String())); (err == nil) != (r >= 1 && r <= lastRole) || err == nil && back != r {
			t.Errorf("role %d prints as %s, and back %d, %v", uint8(r), r, uint8(back), err)
		}
	}
}
