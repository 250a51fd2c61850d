package events

import (
	"reflect"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// checkShort holds the short way of reading a record to the long one: what it takes,
// the reader takes for the same.
func checkShort(t *testing.T, b []byte) {
	t.Helper()
	short := Record{Bytes: b}
	if !cutRecord(b, &short) {
		return
	}
	long, err := readRecord(b)
	if err != nil || !reflect.DeepEqual(short, long) {
		t.Errorf("%x is read as %+v, and the long way as %+v, %v", b, short, long, err)
	}
}

// shortRecords returns records that the short way is made for.
func shortRecords(t *testing.T) [][]byte {
	t.Helper()
	full, usage := benchUsage()
	full.Cause = 7
	lean := exampleEnvelope(false)
	taxed := *usage
	taxed.Lines = slices.Repeat(taxed.Lines, 3)
	taxed.Lines[0].Tax, taxed.Lines[1].Quantity = -1, 1
	taxed.Postings = slices.Repeat(taxed.Postings, 3)
	taxed.Postings[0].Wallet = WalletID{1}
	taxed.Balance = SumOf(-1)
	sealed, reserved := *usage, taxed
	sealed.Metadata = Sealed{Key: OrganizationID{5}, Box: []byte("box")}
	reserved.Reservation = ReservationID{6}
	both := sealed
	both.Reservation = ReservationID{7}
	var all [][]byte
	for _, env := range []Envelope{full, lean} {
		for _, e := range []*UsageReported{usage, &taxed, &sealed, &reserved, &both} {
			rec, err := NewRecord(env, e)
			if err != nil {
				t.Fatal(err)
			}
			if !cutRecord(rec.Bytes, &Record{}) {
				t.Errorf("the long way is taken for %x", rec.Bytes)
			}
			all = append(all, rec.Bytes)
		}
	}
	return all
}

// TestShortWayBytes changes, inserts and takes out single bytes.
func TestShortWayBytes(t *testing.T) {
	for _, good := range shortRecords(t) {
		for i := range good {
			b, v := slices.Clone(good), good[i]
			for _, b[i] = range []byte{v + 1, v - 1, v ^ 0x20, v ^ 0x80, 0, 0x17, 0x18, 0x1B, 0x1F, 0x3B, 0xFF} {
				checkShort(t, b)
			}
			checkShort(t, slices.Delete(slices.Clone(good), i, i+1))
			checkShort(t, good[:i])
			for _, v := range []byte{0, 1, 0x18, 0x20, 0xFF} {
				checkShort(t, slices.Insert(slices.Clone(good), i, v))
			}
		}
		checkShort(t, append(slices.Clone(good), 0))
	}
}

// TestShortWayItems puts one item for another, everywhere.
func TestShortWayItems(t *testing.T) {
	items := []string{
		"00", "01", "17", "1817", "1818", "1900FF", "190100", "1A0000FFFF", "1A00010000", "1B00000000FFFFFFFF", "1B0000000100000000",
		"1B7FFFFFFFFFFFFFFF", "1B8000000000000000", "20", "37", "3B7FFFFFFFFFFFFFFE", "3B7FFFFFFFFFFFFFFF", "3BFFFFFFFFFFFFFFFF",
		"C249010000000000000000", "F6", "F4", "F93C00", "40", "60", "6161", "61FF", "780161", "63555344", "63757364", "80", "8102", "8104", "820400", "A0",
		"82021818", "9FFF", "A2010102" + "05", "81A2010102" + "05", "81A301010205" + "0340",
	}
	var put func(b []byte, wrap func([]byte))
	put = func(b []byte, wrap func([]byte)) {
		for _, it := range items {
			wrap(item(t, it))
		}
		var list []cbor.RawMessage
		var pairs map[int]cbor.RawMessage
		switch b[0] & 0xE0 {
		case majorArray:
			if err := decMode.Unmarshal(b, &list); err != nil {
				t.Fatal(err)
			}
			for i := range list {
				put(list[i], func(other []byte) {
					wrap(writeList(slices.Replace(slices.Clone(list), i, i+1, cbor.RawMessage(other))))
				})
				wrap(writeList(slices.Delete(slices.Clone(list), i, i+1)))
				wrap(writeList(slices.Insert(slices.Clone(list), i, list[i])))
			}
		case majorMap:
			if err := decMode.Unmarshal(b, &pairs); err != nil {
				t.Fatal(err)
			}
			for key, old := range pairs {
				put(old, func(other []byte) {
					pairs[key] = other
					wrap(writePairs(pairs))
					pairs[key] = old
				})
				delete(pairs, key)
				wrap(writePairs(pairs))
				pairs[key] = old
			}
		}
	}
	for _, good := range shortRecords(t) {
		put(good, func(b []byte) { checkShort(t, b) })
	}
}

func writeList(list []cbor.RawMessage) []byte {
	b := appendHead(nil, majorArray, uint64(len(list)))
	for _, it := range list {
		b = append(b, it...)
	}
	return b
}

func writePairs(pairs map[int]cbor.RawMessage) []byte {
	b := appendHead(nil, majorMap, uint64(len(pairs)))
	for key := range 100 {
		if it, ok := pairs[key]; ok {
			b = append(appendHead(b, majorUint, uint64(key)), it...)
		}
	}
	return b
}

// TestGlance holds what a look at a record tells against the record, for every kind.
func TestGlance(t *testing.T) {
	records := shortRecords(t)
	for _, zero := range zeros() {
		for _, full := range []bool{true, false} {
			rec, err := exampleRecord(zero, full)
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, rec.Bytes)
		}
	}
	for _, b := range records {
		rec, err := DecodeRecord(b)
		if err != nil {
			t.Fatal(err)
		}
		want := Glance{Kind: rec.Event.Kind(), Merchant: rec.Merchant}
		if e, ok := rec.Event.(*UsageReported); ok {
			want.Subscription = e.Subscription
		}
		if got, ok := GlanceAt(b); !ok || got != want {
			t.Errorf("a look at %x: %+v %v, want %+v", b, got, ok, want)
		}
		for n := range b {
			GlanceAt(b[:n]) // must not panic
		}
	}
}
