package projections

import (
	"bytes"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"tallystick/events"
)

// sums is balances at the edges of what fits into 64 and 128 bits.
func sums(t *testing.T) (all []events.Sum) {
	t.Helper()
	for _, n := range []int64{0, 1, -1, 1e9, -1e9, math.MaxInt64, -math.MaxInt64} {
		all = append(all, events.SumOf(events.Nanos(n)))
	}
	for _, s := range []string{"9223372036854775808", "-9223372036854775808", "18446744073709551616", "170141183460469231731687303715884105727", "-170141183460469231731687303715884105727"} {
		n, _ := new(big.Int).SetString(s, 10)
		sum, ok := events.SumOfBig(n)
		if !ok {
			t.Fatal(s)
		}
		all = append(all, sum)
	}
	return all
}

func hashes(n int) (hs []events.Hash) {
	for i := range n {
		hs = append(hs, events.LeafHash([]byte{byte(i)}))
	}
	return hs
}

// TestRowCodecs writes rows at the edges of their fields and reads them again.
func TestRowCodecs(t *testing.T) {
	most := events.Seq(math.MaxUint64)
	for _, s := range sums(t) {
		roundTrip(t, balanceRows(), Balance{s, most})
		roundTrip(t, totalRows(), Total{math.MaxUint64, s, s, s})
		line := OpenLine{
			Metric: events.MetricID{1}, Price: events.PriceID{2}, Revision: math.MaxUint32, Term: events.Instant, UnitPrice: -5,
			Quantity: s, Nanos: s, Tax: s, First: 1, Last: most, Counts: true, Events: Frontier{5, hashes(2)},
		}
		other, third := line, line
		other.Price, other.Term = events.PriceID{3}, "another"
		third.Price, third.Events = events.PriceID{4}, Frontier{7, hashes(3)}
		roundTrip(t, accrualRows(), Accrual{Invoice: events.InvoiceID{9}, Instant: s, Lines: []OpenLine{line}, joint: true})
		roundTrip(t, accrualRows(), Accrual{Invoice: events.InvoiceID{9}, Instant: s, Latest: 1_700_000_000_000_000_001, Lines: []OpenLine{line, other}, joint: true})
		roundTrip(t, accrualRows(), Accrual{Invoice: events.InvoiceID{9}, Instant: s, Lines: []OpenLine{line, other, third}})
	}
	for _, s := range sums(t) {
		roundTrip(t, reservationRows(), filled[Reservation](t, s))
	}
	roundTrip(t, reservationRows(), Reservation{Metrics: []events.ReservedMetric{}})
	roundTrip(t, accrualRows(), Accrual{Invoice: events.InvoiceID{9}, Lines: []OpenLine{}})
	roundTrip(t, journalRows(), Journal{3, math.MaxUint32, 1, most, []byte{1, 2, 3}})
	roundTrip(t, pageRows(), Page{1, most, []byte{1, 2, 3}})
}

// filled returns a row whose fields, all of them, are not zero: one that a codec forgets is missed.
func filled[V any](t *testing.T, s events.Sum) (v V) {
	t.Helper()
	var fill func(v reflect.Value, n int64)
	fill = func(v reflect.Value, n int64) {
		if v.Type() == reflect.TypeFor[events.Sum]() {
			v.Set(reflect.ValueOf(s))
			return
		}
		switch v.Kind() { //nolint:exhaustive // those that rows have
		case reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i), n+int64(i))
			}
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0), n)
			fill(v.Index(1), n+1)
		case reflect.Array:
			for i := range v.Len() {
				fill(v.Index(i), n+int64(i))
			}
		case reflect.Int64:
			v.SetInt(n<<40 - 1)
		case reflect.Uint8, reflect.Uint32, reflect.Uint64:
			v.SetUint(uint64(n)%200 + 1)
		case reflect.String:
			v.SetString("text " + strconv.FormatInt(n, 10))
		default:
			t.Fatalf("a field of kind %s", v.Kind())
		}
	}
	fill(reflect.ValueOf(&v).Elem(), 1)
	return v
}

func roundTrip[V any](t *testing.T, c rowCodec[V], v V) {
	t.Helper()
	b := c.append([]byte("before"), &v)
	if !bytes.HasPrefix(b, []byte("before")) {
		t.Fatalf("%T: appending changed what was there", v)
	}
	b = b[len("before"):]
	var got V
	if err := c.parse(b, &got); err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%+v is read as %+v, %v", v, got, err)
	}
	if again := c.append(nil, &got); !bytes.Equal(again, b) {
		t.Errorf("%T: written again as %x, was %x", v, again, b)
	}
	for n := range b { // cut short
		if err := c.parse(b[:n], new(V)); err == nil && !openEnded(v) {
			t.Errorf("%T: %d of %d bytes are accepted", v, n, len(b))
		}
	}
	if err := c.parse(append(bytes.Clone(b), 0), new(V)); err == nil && !openEnded(v) {
		t.Errorf("%T: a byte too many is accepted", v)
	}
}

// openEnded reports whether a row ends in bytes of any number.
func openEnded(v any) bool {
	switch v.(type) {
	case Journal, Page:
		return true
	}
	return false
}

// TestSharedTrees lets events go to all lines of an invoice, then to one of them, and back: lines never
// change one another's tree.
func TestSharedTrees(t *testing.T) {
	prices := []events.PriceID{{1}, {2}, {3}}
	var a Accrual
	want := make([]Frontier, len(prices))
	leaf := byte(0)
	add := func(which ...int) {
		e := new(events.UsageReported)
		leaf++
		h := events.LeafHash([]byte{leaf})
		for _, i := range which {
			if a.Line(prices[i], 1, 0) == nil {
				a.separate()
				a.Lines = append(a.Lines, OpenLine{Price: prices[i], Revision: 1})
			}
			e.Lines = append(e.Lines, events.UsageLine{Price: prices[i], Revision: 1})
			want[i].Append(h)
		}
		a.append(e, h)
		for i, p := range prices {
			if l := a.Line(p, 1, 0); l != nil && (l.Events.Size != want[i].Size || l.Events.Root() != want[i].Root()) {
				t.Fatalf("after event %d of %v: line %d has another tree", leaf, which, i)
			}
		}
		if leaf%4 == 0 { // through a stored copy
			c := accrualRows()
			var read Accrual
			if err := c.parse(c.append(nil, &a), &read); err != nil {
				t.Fatal(err)
			}
			a = read
		}
	}
	for range 5 {
		add(0, 1)
	}
	for _, which := range [][]int{{0}, {1}, {1, 0}, {0, 1}, {0, 1, 2}, {2, 1, 0}, {1, 2}, {0}, {0, 1, 2}} {
		for range 7 {
			add(which...)
		}
	}
}

// TestMemo puts, forgets and finds things, more of them than a memo remembers: what it gives is what was put last.
func TestMemo(t *testing.T) {
	var m memo[int]
	want := make(map[uint64]*int)
	key := func(i int) uint64 {
		return memoHash([16]byte{byte(i), byte(i >> 8), byte(i >> 16), 15: byte(i)}, uint32(i%3))
	}
	for i := range 2 * memoLimit {
		h := key(i)
		m.put(h, &i)
		want[h] = &i
		if i%5 == 0 {
			m.forget(h)
			want[h] = nil
		}
		if i%7 == 0 {
			m.put(h, &i)
			want[h] = &i
		}
	}
	found := 0
	for h, v := range want {
		switch got := m.find(h); {
		case got == nil:
		case got != v:
			t.Fatalf("found %d, want %v", *got, v)
		default:
			found++
		}
	}
	if found == 0 || found > memoLimit {
		t.Errorf("found %d things, want some, and at most %d", found, memoLimit)
	}
	m.clear()
	if m.find(key(2*memoLimit-2)) != nil {
		t.Error("found something in an empty memo")
	}
}

// TestTablesAreApart holds that no two tables have the same first byte of their keys, or the same name.
func TestTablesAreApart(t *testing.T) {
	ids, names := make(map[byte]string), make(map[string]bool)
	for _, info := range NewBooks(ForViews).Tables() {
		if other := ids[info.ID]; other != "" || names[info.Name] {
			t.Errorf("%s has the key %#x of %s, or a name that is taken", info.Name, info.ID, other)
		}
		ids[info.ID], names[info.Name] = info.Name, true
	}
}

// TestRowKeys checks that every field of the rows that are stored as maps has a key of its own: of two with the same key, neither is kept.
func TestRowKeys(t *testing.T) {
	seen := make(map[reflect.Type]bool)
	var walk func(reflect.Type)
	walk = func(r reflect.Type) {
		switch r.Kind() { //nolint:exhaustive // the others hold no structs
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			walk(r.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[r] {
			return
		}
		seen[r] = true
		keys := make(map[string]string)
		for i := range r.NumField() {
			f := r.Field(i)
			walk(f.Type)
			key, _, _ := strings.Cut(f.Tag.Get("cbor"), ",")
			if key == "" || key == "-" {
				continue
			}
			if other, ok := keys[key]; ok {
				t.Errorf("%v: %s and %s have the key %s", r, other, f.Name, key)
			}
			keys[key] = f.Name
		}
	}
	books := reflect.TypeFor[Books]()
	for i := range books.NumField() {
		f := books.Field(i)
		if f.Type.Kind() != reflect.Pointer || f.Type.Elem().Kind() != reflect.Struct {
			continue
		}
		if rows, ok := f.Type.Elem().FieldByName("rows"); ok {
			walk(rows.Type.Elem())
		}
	}
	if len(seen) < 50 {
		t.Errorf("only %d structs were looked at", len(seen))
	}
}
