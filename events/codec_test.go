package events

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawID fills an array of bytes, often with none or few that are not zero.
func drawID[A ~[16]byte](t *rapid.T, label string) (id A) {
	b := rapid.SliceOfN(rapid.Byte(), 0, 16).Draw(t, label)
	for i, v := range b {
		id[i] = v
	}
	return id
}

func drawSum(t *rapid.T, label string) Sum {
	s := SumOf(drawNanos(t, label))
	if rapid.Bool().Draw(t, label+" is wide") {
		s = Sum{rapid.Int64Min(math.MinInt64+1).Draw(t, label+" hi"), rapid.Uint64().Draw(t, label+" lo")}
	}
	return s
}

func drawNanos(t *rapid.T, label string) Nanos {
	return Nanos(rapid.Int64Min(math.MinInt64+1).Draw(t, label))
}

func drawUsage(t *rapid.T) *UsageReported {
	e := &UsageReported{
		Customer:     drawID[CustomerID](t, "customer"),
		Subscription: drawID[SubscriptionID](t, "subscription"),
		Wallet:       drawID[WalletID](t, "wallet"),
		HappenedAt:   Time(rapid.Int64().Draw(t, "happened")),
		Period:       rapid.Uint32().Draw(t, "period"),
		Currency:     Currency([]byte(rapid.StringMatching(`[A-Z]{3}`).Draw(t, "currency"))),
		Balance:      drawSum(t, "balance"),
	}
	for range rapid.IntRange(1, 5).Draw(t, "lines") {
		e.Lines = append(e.Lines, UsageLine{
			Metric:   drawID[MetricID](t, "metric"),
			Quantity: rapid.Int64Min(1).Draw(t, "quantity"),
			Price:    drawID[PriceID](t, "price"),
			Revision: rapid.Uint32().Draw(t, "revision"),
			Nanos:    drawNanos(t, "nanos"),
			Tax:      Nanos(rapid.Int64Range(-3, 3).Draw(t, "tax")),
			TaxRate:  TaxRate(rapid.Uint32Range(0, 3).Draw(t, "tax rate")),
			At:       Nanos(rapid.Int64Range(0, 3).Draw(t, "price")),
			Granted:  rapid.Int64Range(0, 3).Draw(t, "granted"),
		})
	}
	for range rapid.IntRange(0, 6).Draw(t, "postings") {
		e.Postings = append(e.Postings, Posting{
			Role:   Role(rapid.Byte().Draw(t, "role")),
			Nanos:  drawNanos(t, "posting"),
			Wallet: drawID[WalletID](t, "posted"),
		})
	}
	if rapid.Bool().Draw(t, "with metadata") {
		e.Metadata = Sealed{drawID[OrganizationID](t, "key"), rapid.SliceOf(rapid.Byte()).Draw(t, "box")}
	}
	return e
}

// encode returns e in its wire form, as records have it. It does not check that Decode accepts it; [NewRecord] does.
func encode(e Event) []byte {
	if u, ok := e.(*UsageReported); ok {
		return u.append(nil)
	}
	return marshal(e)
}

// TestUsageCodec holds the codec that we wrote for usage events to the library's, in
// both directions.
func TestUsageCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawUsage(t)
		ours, theirs := encode(e), marshal(e)
		if !bytes.Equal(ours, theirs) {
			t.Fatalf("ours   %x\ntheirs %x", ours, theirs)
		}
		got, err := Decode(KindUsageReported, theirs)
		if err != nil {
			t.Fatal(err)
		}
		library := new(UsageReported)
		if err := decMode.Unmarshal(ours, library); err != nil {
			t.Fatal(err)
		}
		for _, back := range []Event{got, library} {
			if diff := cmp.Diff(Event(e), back, exactly...); diff != "" {
				t.Fatalf("(-before +after):\n%s", diff)
			}
		}
	})
}

// TestRecordCodec sends random records, with events of every kind, through the codec.
func TestRecordCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		env := Envelope{
			Seq: Seq(rapid.Uint64Min(1).Draw(t, "seq")), Ledger: drawID[LedgerID](t, "ledger"),
			RecordedAt: Time(rapid.Int64().Draw(t, "recorded")), At: Time(rapid.Int64().Draw(t, "at")),
			Merchant: drawID[OrganizationID](t, "merchant"),
			Actor:    Actor{ActorKind(rapid.Byte().Draw(t, "actor")), drawID[[16]byte](t, "actor's id")},
			Command:  drawID[CommandID](t, "command"), Cause: Seq(rapid.Uint64().Draw(t, "cause")),
			Content: drawID[Digest](t, "content"),
		}
		e := Event(drawUsage(t))
		if i := rapid.IntRange(0, 2*len(zeros())).Draw(t, "kind"); i < len(zeros()) {
			e = example(zeros()[i], rapid.Bool().Draw(t, "full"))
		}
		if scope(e.Kind()) != noScope {
			env.Key = rapid.StringN(-1, -1, maxKey).Draw(t, "key")
		}
		prefix := rapid.SliceOf(rapid.Byte()).Draw(t, "before")
		rec, err := AppendRecord(prefix, env, e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeRecord(rec.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readRecord(rec.Bytes); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rec, got, exactly...); diff != "" {
			t.Fatalf("(-before +after):\n%s", diff)
		}
		if again, err := NewRecord(got.Envelope, got.Event); err != nil || !bytes.Equal(again.Bytes, rec.Bytes) {
			t.Fatalf("%v: written again as %x, want %x", err, again.Bytes, rec.Bytes)
		}
		var any1 any
		if err := strictMode(t).Unmarshal(rec.Bytes, &any1); err != nil {
			t.Fatalf("another reader: %v", err)
		}
	})
}

// strictMode is a reader that knows nothing of our types.
func strictMode(t *rapid.T) cbor.DecMode {
	m, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden}.DecMode()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRecordRefuses holds that nothing is written that could not be read again.
func TestRecordRefuses(t *testing.T) {
	usage := func(change func(*UsageReported)) Event {
		e := example(&UsageReported{}, true).(*UsageReported)
		change(e)
		return e
	}
	good := exampleEnvelope(true)
	withKey := func(key string) Envelope {
		env := good
		env.Key = key
		return env
	}
	for _, tt := range []struct {
		what string
		env  Envelope
		e    Event
		want error
	}{
		{"nothing wrong", withKey("x"), usage(func(*UsageReported) {}), nil},
		{"no lines", good, usage(func(e *UsageReported) { e.Lines = nil }), ErrEncoding},
		{"101 lines", good, usage(func(e *UsageReported) { e.Lines = slices.Repeat(e.Lines[:1], 101) }), ErrEncoding},
		{"101 postings", good, usage(func(e *UsageReported) { e.Postings = slices.Repeat(e.Postings[:1], 101) }), ErrEncoding},
		{"no quantity", good, usage(func(e *UsageReported) { e.Lines[0].Quantity = 0 }), ErrEncoding},
		{"money out of range", good, usage(func(e *UsageReported) { e.Lines[1].Nanos = math.MinInt64 }), ErrEncoding},
		{"tax out of range", good, usage(func(e *UsageReported) { e.Lines[1].Tax = math.MinInt64 }), ErrEncoding},
		{"posting out of range", good, usage(func(e *UsageReported) { e.Postings[1].Nanos = math.MinInt64 }), ErrEncoding},
		{"no currency", good, usage(func(e *UsageReported) { e.Currency = Currency{} }), ErrEncoding},
		{"much metadata", good, usage(func(e *UsageReported) { e.Metadata.Box = make([]byte, maxMetadataBox+1) }), ErrEncoding},
		{"no sequence", Envelope{}, usage(func(*UsageReported) {}), ErrEncoding},
		{"a long key", withKey(strings.Repeat("x", 256)), usage(func(*UsageReported) {}), ErrEncoding},
		{"a key that is not UTF-8", withKey("\xFF"), usage(func(*UsageReported) {}), ErrEncoding},
		{"a key on an effect", withKey("x"), InvoiceOpened{Currency: Currency([]byte("USD"))}, ErrEncoding},
		{"no currency of a wallet", good, WalletOpened{}, ErrEncoding},
		{"small letters", good, WalletOpened{Currency: Currency([]byte("usd"))}, ErrEncoding},
		{"a name that is not UTF-8", good, ProductCreated{Name: "\xC3"}, ErrEncoding},
		{"a key of metadata that is not UTF-8", good, ProductCreated{Metadata: map[string]string{"\xC3": "x"}}, ErrEncoding},
		{"a price out of range", good, PriceCreated{UnitPrice: math.MinInt64}, ErrEncoding},
		{"a big record", good, ProductCreated{Name: strings.Repeat("x", MaxRecordBytes)}, ErrTooLarge},
	} {
		if _, err := NewRecord(tt.env, tt.e); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, err, tt.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a pointer to an event was taken for the event")
		}
	}()
	_, _ = NewRecord(good, &WalletOpened{})
}

// item returns the bytes of a CBOR item in hexadecimal digits, with spaces.
func item(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const zeroID = "50 00000000000000000000000000000000 "

// TestDecodeRefuses gives Decode what it must refuse, beginning each time with an event
// that it takes.
func TestDecodeRefuses(t *testing.T) {
	wallet := "01" + zeroID + "02" + zeroID + "03 63555344"
	topUp := "01" + zeroID + "02" + zeroID + "03 63555344 "
	posting := "A2 01 01 02 "
	for _, tt := range []struct {
		what string
		kind Kind
		good bool
		data string
	}{
		{"a wallet", KindWalletOpened, true, "A3" + wallet},
		{"a wallet with fields of the future", KindWalletOpened, true, "A5" + wallet + "18 2A F6 19 0400 A2 01 02 61 61 80"},
		{"unknown kind", "wallet.vanished.v9", false, "A0"},
		{"nothing", KindWalletOpened, false, ""},
		{"nothing of usage", KindUsageReported, false, ""},
		{"trailing bytes", KindWalletOpened, false, "A3" + wallet + "00"},
		{"a lost field", KindWalletOpened, false, "A2 01" + zeroID + "02" + zeroID},
		{"an array", KindWalletOpened, false, "83" + zeroID + zeroID + "63555344"},
		{"null", KindWalletOpened, false, "F6"},
		{"a null field", KindWalletOpened, false, "A4" + wallet + "04 F6"},
		{"a tagged event", KindWalletOpened, false, "C1 A3" + wallet},
		{"a tagged field", KindClockAdvanced, false, "A2 01 4A 00000000000000000000 02 C1 05"},
		{"a field that is a float", KindClockAdvanced, false, "A2 01 4A 00000000000000000000 02 F9 4500"},
		{"a clock", KindClockAdvanced, true, "A2 01 4A 00000000000000000000 02 05"},
		{"a short identity", KindClockAdvanced, false, "A2 01 49 000000000000000000 02 05"},
		{"a duplicate key", KindWalletOpened, false, "A4" + wallet + "03 63555344"},
		{"keys out of order", KindWalletOpened, false, "A3 02" + zeroID + "01" + zeroID + "03 63555344"},
		{"a key of text", KindWalletOpened, false, "A4" + wallet + "61 34 00"},
		{"a negative key", KindWalletOpened, false, "A4" + wallet + "20 00"},
		{"an indefinite map", KindWalletOpened, false, "BF" + wallet + "FF"},
		{"an indefinite text", KindWalletOpened, false, "A3 01" + zeroID + "02" + zeroID + "03 7F 63555344 FF"},
		{"an indefinite unknown field", KindWalletOpened, false, "A4" + wallet + "18 2A 9F FF"},
		{"a long integer", KindClockAdvanced, false, "A2 01 4A 00000000000000000000 02 18 05"},
		{"a long length", KindWalletOpened, false, "A3 01" + zeroID + "02" + zeroID + "03 78 03 555344"},
		{"a long key", KindWalletOpened, false, "A3 18 01" + zeroID + "02" + zeroID + "03 63555344"},
		{"a long integer in an unknown field", KindWalletOpened, false, "A4" + wallet + "18 2A 81 18 05"},
		{"unknown map out of order", KindWalletOpened, false, "A4" + wallet + "18 2A A2 02 00 01 00"},
		{"unknown map with a duplicate", KindWalletOpened, false, "A4" + wallet + "18 2A A2 01 00 01 00"},
		{"a simple value in two bytes", KindWalletOpened, false, "A4" + wallet + "18 2A F8 14"},
		{"deep nesting", KindWalletOpened, false, "A4" + wallet + "18 2A" + strings.Repeat("81", 17) + "00"},
		{"currency in small letters", KindWalletOpened, false, "A3 01" + zeroID + "02" + zeroID + "03 63757364"},
		{"four letters", KindWalletOpened, false, "A3 01" + zeroID + "02" + zeroID + "03 6455534441"},
		{"a flag that is a number", KindWalletOpened, false, "A4" + wallet + "05 01"},
		{"a flag", KindWalletOpened, true, "A4" + wallet + "05 F5"},
		{"a top-up", KindWalletToppedUp, true, "A6" + topUp + "04 81" + posting + "05  05 00 06 60"},
		{"the greatest amount", KindWalletToppedUp, true, "A6" + topUp + "04 81" + posting + "1B 7FFFFFFFFFFFFFFF 05 00 06 60"},
		{"money above the range", KindWalletToppedUp, false, "A6" + topUp + "04 81" + posting + "1B 8000000000000000 05 00 06 60"},
		{"the least amount", KindWalletToppedUp, true, "A6" + topUp + "04 81" + posting + "3B 7FFFFFFFFFFFFFFE 05 00 06 60"},
		{"money below the range", KindWalletToppedUp, false, "A6" + topUp + "04 81" + posting + "3B 7FFFFFFFFFFFFFFF 05 00 06 60"},
		{"a posting without its amount", KindWalletToppedUp, false, "A6" + topUp + "04 81 A1 01 01 05 00 06 60"},
		{"a big balance", KindWalletToppedUp, true, "A6" + topUp + "04 80 05 C2 49 010000000000000000 06 60"},
		{"a big balance that is not", KindWalletToppedUp, false, "A6" + topUp + "04 80 05 C2 48 FFFFFFFFFFFFFFFF 06 60"},
		{"a big balance with a zero before", KindWalletToppedUp, false, "A6" + topUp + "04 80 05 C2 4A 00010000000000000000 06 60"},
		{"the greatest balance", KindWalletToppedUp, true, "A6" + topUp + "04 80 05 C2 50 7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF 06 60"},
		{"a balance above the range", KindWalletToppedUp, false, "A6" + topUp + "04 80 05 C2 50 80000000000000000000000000000000 06 60"},
		{"a balance below the range", KindWalletToppedUp, false, "A6" + topUp + "04 80 05 C3 50 7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF 06 60"},
		{"a balance of another tag", KindWalletToppedUp, false, "A6" + topUp + "04 80 05 C4 49 010000000000000000 06 60"},
		{"text that is not UTF-8", KindWalletToppedUp, false, "A6" + topUp + "04 80 05 00 06 61 FF"},
	} {
		e, err := Decode(tt.kind, item(t, tt.data))
		if (err == nil) != tt.good || !tt.good && (!errors.Is(err, ErrEncoding) || e != nil) {
			t.Errorf("%s: Decode(%s) = %v, %v", tt.what, tt.data, e, err)
		}
	}
}

// TestUsageRefuses cuts a usage event short at every byte, repeats, leaves out and reorders its fields,
// and changes its numbers.
func TestUsageRefuses(t *testing.T) {
	full := example(&UsageReported{}, true)
	good := encode(full)
	for n := range good {
		if e, err := Decode(KindUsageReported, good[:n]); !errors.Is(err, ErrEncoding) || e != nil {
			t.Errorf("cut at %d: %v, %v", n, e, err)
		}
	}
	var pairs map[int]cbor.RawMessage
	if err := decMode.Unmarshal(good, &pairs); err != nil {
		t.Fatal(err)
	}
	write := func(keys ...int) []byte {
		b := appendHead(nil, majorMap, uint64(len(keys)))
		for _, k := range keys {
			b = append(appendHead(b, majorUint, uint64(k)), pairs[k]...)
		}
		return b
	}
	decode := func(b []byte) error {
		_, err := Decode(KindUsageReported, b)
		return err
	}
	all := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	pairs[11], pairs[99] = item(t, "A1 01 82 F5 61 61"), item(t, "00")
	if err := decode(write(append(all, 11, 99)...)); err != nil {
		t.Errorf("with unknown fields: %v", err)
	}
	for i, k := range all {
		if err := decode(write(slices.Delete(slices.Clone(all), i, i+1)...)); (err == nil) != (k == 10) {
			t.Errorf("without field %d: %v", k, err)
		}
		if err := decode(write(slices.Insert(slices.Clone(all), i, k)...)); err == nil {
			t.Errorf("field %d twice: no error", k)
		}
		old := pairs[k]
		pairs[k] = item(t, "F6")
		if err := decode(write(all...)); err == nil {
			t.Errorf("field %d null: no error", k)
		}
		pairs[k] = old
	}
	if err := decode(write(2, 1, 3, 4, 5, 6, 7, 8, 9, 10)); err == nil {
		t.Error("out of order: no error")
	}
	pairs[6] = item(t, "80")
	if err := decode(write(all...)); err == nil {
		t.Error("no lines: no error")
	}
	line := func(quantity, nanos string) cbor.RawMessage {
		return item(t, "81 A5 01"+zeroID+"02"+quantity+"03"+zeroID+"04 01 05"+nanos)
	}
	for _, tt := range []struct {
		what, quantity, nanos string
		good                  bool
	}{
		{"one", "01", "00", true},
		{"greatest", "1B 7FFFFFFFFFFFFFFF", "3B 7FFFFFFFFFFFFFFE", true},
		{"no quantity", "00", "00", false},
		{"negative quantity", "20", "00", false},
		{"much quantity", "1B 8000000000000000", "00", false},
		{"money above the range", "01", "1B 8000000000000000", false},
		{"money below the range", "01", "3B 7FFFFFFFFFFFFFFF", false},
		{"long quantity", "18 01", "00", false},
		{"a fraction", "01", "F9 3800", false},
	} {
		pairs[6] = line(tt.quantity, tt.nanos)
		if err := decode(write(all...)); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}

// TestDecodeRecordRefuses does the same with whole records.
func TestDecodeRecordRefuses(t *testing.T) {
	rec, err := exampleRecord(&UsageReported{}, true)
	if err != nil {
		t.Fatal(err)
	}
	for n := range rec.Bytes {
		if _, err := DecodeRecord(rec.Bytes[:n]); !errors.Is(err, ErrEncoding) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	if _, err := DecodeRecord(append(slices.Clone(rec.Bytes), 0)); !errors.Is(err, ErrEncoding) {
		t.Errorf("a byte after the end: %v", err)
	}
	if _, err := DecodeRecord(make([]byte, MaxRecordBytes+1)); !errors.Is(err, ErrTooLarge) || !errors.Is(err, ErrEncoding) {
		t.Errorf("too large: %v", err)
	}
	var pairs map[int]cbor.RawMessage
	if err := decMode.Unmarshal(rec.Bytes, &pairs); err != nil {
		t.Fatal(err)
	}
	write := func(keys ...int) []byte {
		b := appendHead(nil, majorMap, uint64(len(keys)))
		for _, k := range keys {
			b = append(appendHead(b, majorUint, uint64(k)), pairs[k]...)
		}
		return b
	}
	all := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	for i, k := range all {
		_, err := DecodeRecord(write(slices.Delete(slices.Clone(all), i, i+1)...))
		if optional := k == envMerchant || k >= envCause && k <= envContent; (err == nil) != optional {
			t.Errorf("without field %d: %v", k, err)
		}
	}
	// Fields of the future do not stand in for those that must be there.
	pairs[13], pairs[64+envCommand] = item(t, "A1 61 61 F4"), item(t, "00")
	if _, err := DecodeRecord(write(append(all, 13, 64+envCommand)...)); err != nil {
		t.Errorf("with unknown fields: %v", err)
	}
	if _, err := DecodeRecord(write(1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 64+envCommand)); err == nil {
		t.Error("an unknown field was taken for the command")
	}
	for _, tt := range []struct {
		what string
		key  int
		data string
		good bool
	}{
		{"sequence 0", envSeq, "00", false},
		{"an actor with more to it", envActor, "83 02" + zeroID + "61 61", true},
		{"an actor of no kind", envActor, "80", false},
		{"an empty key", envKey, "60", false},
		{"an idempotency key of 256 bytes", envKey, "79 0100" + strings.Repeat("61", 256), false},
		{"an idempotency key that is not UTF-8", envKey, "61 FF", false},
		{"an unknown type", envKind, "61 61", false},
		{"the type of another event", envKind, "70" + hex.EncodeToString([]byte(KindWalletOpened)), false},
	} {
		old := pairs[tt.key]
		pairs[tt.key] = item(t, tt.data)
		if _, err := DecodeRecord(write(all...)); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.what, err)
		}
		pairs[tt.key] = old
	}
}

// FuzzDecode checks the law of the codec on whatever Decode accepts: what is written of it
// decodes to the same event. What Decode must refuse, this law cannot see.
func FuzzDecode(f *testing.F) {
	for i, zero := range zeros() {
		f.Add(byte(i), encode(example(zero, true)))
		f.Add(byte(i), encode(example(zero, false)))
	}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		e, err := Decode(Kinds()[int(kind)%len(Kinds())], data)
		if err != nil {
			if e != nil || !errors.Is(err, ErrEncoding) {
				t.Fatalf("Decode = %v, %v", e, err)
			}
			return
		}
		once := encode(e)
		again, err := Decode(e.Kind(), once)
		if err != nil {
			t.Fatalf("Decode(encode(%v)): %v", e, err)
		}
		if diff := cmp.Diff(e, again, exactly...); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		if len(once) > len(data) {
			t.Errorf("%x is written as %x, which is longer", data, once)
		}
		if u, ok := e.(*UsageReported); ok && !u.valid() {
			t.Errorf("Decode accepts what NewRecord refuses: %v", e)
		} else if !ok && !wellShaped(e, once) {
			t.Errorf("Decode accepts what NewRecord refuses: %v", e)
		}
	})
}

// FuzzUsage gives the same bytes to our codec of usage and to the library's, held to
// the shape that is made from the types.
func FuzzUsage(f *testing.F) {
	f.Add(encode(example(&UsageReported{}, true)))
	f.Add(encode(example(&UsageReported{}, false)))
	s := shapeOf(reflect.TypeFor[UsageReported]())
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, err := Decode(KindUsageReported, data)
		r := reader{b: data}
		r.item(s, 0)
		theirs, library := new(UsageReported), r.finish()
		if library == nil {
			library = decMode.Unmarshal(data, theirs)
		}
		if library == nil && !theirs.valid() {
			library = errors.New("limits")
		}
		if (err == nil) != (library == nil) {
			t.Fatalf("ours: %v\nthe library's: %v", err, library)
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(ours, Event(theirs), exactly...); diff != "" {
			t.Errorf("(-ours +theirs):\n%s", diff)
		}
	})
}

// FuzzDecodeRecord checks the law of the codec on whatever DecodeRecord accepts.
func FuzzDecodeRecord(f *testing.F) {
	for _, zero := range zeros() {
		for _, full := range []bool{true, false} {
			rec, err := exampleRecord(zero, full)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(rec.Bytes)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := DecodeRecord(data)
		if err != nil {
			if rec.Event != nil || !errors.Is(err, ErrEncoding) {
				t.Fatalf("DecodeRecord = %v, %v", rec, err)
			}
			return
		}
		slow, err := readRecord(data)
		slow.Hash = rec.Hash
		if diff := cmp.Diff(slow, rec, exactly...); diff != "" || err != nil {
			t.Errorf("the short way differs from the long one: %v (-long +short):\n%s", err, diff)
		}
		if rec.Hash != LeafHash(data) || !bytes.Equal(rec.Bytes, data) {
			t.Error("the bytes or the hash are not those of what was read")
		}
		if rec.Key != "" && scope(rec.Event.Kind()) == noScope {
			return // later versions may give such a kind a scope
		}
		once, err := NewRecord(rec.Envelope, rec.Event)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeRecord(once.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		again.Bytes, again.Hash, rec.Bytes, rec.Hash = nil, Hash{}, nil, Hash{}
		if diff := cmp.Diff(rec, again, exactly...); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		if _, err := rec.MarshalJSON(); err != nil {
			t.Error(err)
		}
	})
}

// TestDeterministic encodes one event many times: the order of a Go map shows nowhere.
func TestDeterministic(t *testing.T) {
	e := ProductCreated{Name: "x", Metadata: map[string]string{"b": "1", "a": "2", "aa": "3", "": "4", "é": "5"}}
	want := encode(e)
	for range 100 {
		if got := encode(e); !bytes.Equal(got, want) {
			t.Fatalf("%x, then %x", want, got)
		}
	}
	if again, err := Decode(KindProductCreated, want); err != nil || !reflect.DeepEqual(again, Event(e)) {
		t.Errorf("Decode = %v, %v", again, err)
	}
	if got := encode(ConsumerCreated{}); !bytes.Contains(got, item(t, "04 A2 01"+zeroID+"02 40")) {
		t.Errorf("sealed nothing is written as %x", got)
	}
}
