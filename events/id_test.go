package events

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"
)

func TestID(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		id := drawID[CustomerID](r, "id")
		if id.IsZero() {
			return
		}
		text := id.String()
		if got, err := ParseID[CustomerNoun](text); got != id || err != nil {
			t.Fatalf("ParseID(%q) = %v, %v", text, got, err)
		}
		if got, err := ParseID[CustomerNoun]("cus_" + strings.ToLower(text[4:])); got != id || err != nil {
			t.Fatalf("ParseID of %q in lower case = %v, %v", text, got, err)
		}
		if _, err := ParseID[WalletNoun](text); !errors.Is(err, ErrID) {
			t.Fatalf("a customer was taken for a wallet: %v", err)
		}
		var back CustomerID
		if b, err := json.Marshal(id); err != nil || json.Unmarshal(b, &back) != nil || back != id {
			t.Fatalf("%v in JSON is %s, and back %v", id, b, back)
		}
		other := drawID[CustomerID](r, "other")
		if !other.IsZero() && strings.Compare(text, other.String()) != bytes.Compare(id[:], other[:]) {
			t.Fatalf("%s and %s sort otherwise than their bytes", text, other)
		}
	})
	var zero CustomerID
	if zero.String() != "" || zero.UnmarshalText(nil) != nil || !zero.IsZero() {
		t.Errorf("the zero ID prints as %q", zero)
	}
	good := CustomerID{1, 2, 3}.String()
	for _, s := range []string{
		"", "cus", "cus_", good[4:], good[:len(good)-1], good + "0", " " + good, "cus-" + good[4:], "CUS_" + good[4:],
		good[:len(good)-1] + "U", good[:len(good)-1] + "é", "cus_8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "cus_00000000000000000000000000",
	} {
		if id, err := ParseID[CustomerNoun](s); !errors.Is(err, ErrID) || !id.IsZero() {
			t.Errorf("ParseID(%q) = %v, %v", s, id, err)
		}
	}
}

// TestPrefixes holds that no two nouns can be confused.
func TestPrefixes(t *testing.T) {
	seen := make(map[string]bool)
	for _, n := range []Noun{
		LedgerNoun{},
		OrganizationNoun{},
		KeyNoun{},
		UserNoun{},
		ProductNoun{},
		MetricNoun{},
		FeeNoun{},
		CreditNoteNoun{},
		PriceNoun{},
		PlanNoun{},
		CustomerNoun{},
		WalletNoun{},
		TopUpNoun{},
		SubscriptionNoun{},
		UsageNoun{},
		BillingNoun{},
		InvoiceNoun{},
		LineNoun{},
		ReservationNoun{},
		FeatureNoun{},
		EntitlementNoun{},
		GrantNoun{},
		CommandNoun{},
	} {
		if p := n.prefix(); seen[p] || p == "" || p == "tc" || strings.ToLower(p) != p || strings.Contains(p, "_") {
			t.Errorf("%T has the prefix %q", n, p)
		}
		seen[n.prefix()] = true
	}
}

func TestTestClockID(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var id TestClockID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 1, 10).Draw(r, "id"))
		if id.IsZero() {
			return
		}
		text := id.String()
		if got, err := ParseTestClockID(text); got != id || err != nil || len(text) != 19 {
			t.Fatalf("ParseTestClockID(%q) = %v, %v", text, got, err)
		}
		if got, err := ParseTestClockID("tc_" + strings.ToLower(text[3:])); got != id || err != nil {
			t.Fatalf("ParseTestClockID of %q in lower case = %v, %v", text, got, err)
		}
	})
	if got, err := ParseTestClockID("tc_ZZZZZZZZZZZZZZZZ"); err != nil || got != TestClockID(bytes.Repeat([]byte{0xFF}, 10)) {
		t.Errorf("ParseTestClockID = %x, %v", got, err)
	}
	if got, err := ParseTestClockID("tc_0000000000000001"); err != nil || got != (TestClockID{9: 1}) {
		t.Errorf("ParseTestClockID = %x, %v", got, err)
	}
	for _, s := range []string{
		"", "tc_", "tc_0000000000000000", "tc_000000000000001", "tc_00000000000000011", "tc_000000000000000U", "tc_000000000000000I",
		"tc-0000000000000001", "cus_000000000000001", "tc_ſ00000000000001", "tc_00000000000000é", "TC_0000000000000001",
	} {
		if id, err := ParseTestClockID(s); !errors.Is(err, ErrID) || !id.IsZero() {
			t.Errorf("ParseTestClockID(%q) = %v, %v", s, id, err)
		}
	}
}

// TestNextCommandID lets the clock do what it likes: identities ascend, and
// leave room for what their commands make.
func TestNextCommandID(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var last CommandID
		now := Time(rapid.Int64Min(0).Draw(r, "start"))
		for range rapid.IntRange(1, 50).Draw(r, "steps") {
			switch rapid.IntRange(0, 4).Draw(r, "clock") {
			case 0:
				now = Time(rapid.Int64().Draw(r, "now"))
			case 1:
				now += Time(rapid.Int64Range(-5e6, 5e6).Draw(r, "step"))
			}
			if rapid.IntRange(0, 9).Draw(r, "nearly over") == 0 {
				copy(last[8:], "\xFF\xFF\xFF\xFF\xFF\xF0\x00\x00")
			}
			next := NextCommandID(last, now, rapid.Uint64().Draw(r, "seed"))
			if bytes.Compare(next[:], last[:]) <= 0 {
				t.Fatalf("%x after %x", next, last)
			}
			if end := Derive[CommandNoun](last, maxDerived-1); last != (CommandID{}) && bytes.Compare(end[:], next[:]) >= 0 {
				t.Fatalf("what %x makes reaches into %x", last, next)
			}
			if next[15] != 0 || next[14] != 0 || next[13]&0x0F != 0 {
				t.Fatalf("%x has no room", next)
			}
			last = next
		}
	})
	at := Time(time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC).UnixNano())
	id := NextCommandID(CommandID{}, at, 42)
	if ms := ulid.ULID(id).Time(); ms != 1705314600_000 {
		t.Errorf("NextCommandID has the time %d", ms)
	}
	if a, b := NextCommandID(id, at+1e6, 1), NextCommandID(id, at+1e6, 2); a == b {
		t.Error("the seed makes no difference")
	}
	after := id // by 2^20
	binary.BigEndian.PutUint64(after[8:], binary.BigEndian.Uint64(id[8:])+maxDerived)
	if a, b := NextCommandID(id, at, 1), NextCommandID(id, at, 2); a != after || b != after {
		t.Errorf("within a millisecond: %v, %v after %v", a, b, id)
	}
}

// TestDerive holds that a command makes different things, and other than any other command's.
func TestDerive(t *testing.T) {
	seen := make(map[[16]byte]bool)
	c := NextCommandID(CommandID{}, 1705314600_000000000, math.MaxUint64)
	for range 3 {
		for _, n := range []uint32{0, 1, 2, 255, 256, 65535, 65536, maxDerived - 1} {
			id := Derive[WalletNoun](c, n)
			if seen[id] {
				t.Errorf("Derive(%v, %d) = %v is there already", c, n, id)
			}
			seen[id] = true
		}
		c = NextCommandID(c, 0, 0)
	}
	if Derive[UsageNoun](c, 0) != UsageID(c) {
		t.Error("Derive(c, 0) is not c")
	}
	if a, b := DeriveTestClock(c), DeriveTestClock(NextCommandID(c, 0, 0)); a == b || a.IsZero() {
		t.Errorf("DeriveTestClock = %v, %v", a, b)
	}
	defer func() {
		if recover() == nil {
			t.Error("a command made more than there is room for")
		}
	}()
	Derive[WalletNoun](c, maxDerived)
}

func TestTime(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Time
		ok   bool
	}{
		{"", 0, true},
		{"2024-01-15T10:30:00Z", 1705314600_000000000, true},
		{"2024-01-15T11:30:00+01:00", 1705314600_000000000, true},
		{"2024-01-15T10:30:00.123456789Z", 1705314600_123456789, true},
		{"1970-01-01T00:00:00.000000001Z", 1, true},
		{"1969-12-31T23:59:59.999999999Z", -1, true},
		{"2262-04-11T23:47:16.854775807Z", math.MaxInt64, true},
		{"1677-09-21T00:12:43.145224192Z", math.MinInt64, true},
		{"1970-01-01T00:00:00Z", 0, false}, // stands for none
		{"1970-01-01T01:00:00+01:00", 0, false},
		{"2262-04-11T23:47:16.854775808Z", 0, false},
		{"1677-09-21T00:12:43.145224191Z", 0, false},
		{"9999-12-31T23:59:59Z", 0, false},
		{"0001-01-01T00:00:00Z", 0, false},
		{"2024-01-15T10:30:00", 0, false},
		{"2024-01-15", 0, false},
		{"2024-02-30T00:00:00Z", 0, false},
		{"yesterday", 0, false},
	} {
		got := Time(77)
		err := got.UnmarshalText([]byte(tt.text))
		if tt.ok && (got != tt.want || err != nil) || !tt.ok && (err == nil || got != 77) {
			t.Errorf("UnmarshalText(%q) = %d, %v", tt.text, got, err)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		at := Time(rapid.Int64().Draw(r, "at"))
		var back Time
		if err := back.UnmarshalText([]byte(at.String())); err != nil || back != at {
			t.Fatalf("%d prints as %q, and back %d, %v", at, at, back, err)
		}
		if got, ok := TimeOf(at.Std()); at != 0 && (!ok || got != at) {
			t.Fatalf("TimeOf(%v) = %d, %v", at.Std(), got, ok)
		}
		if got := at.Add(time.Hour) - Time(time.Hour); got != at {
			t.Fatalf("Add(%d) = %d", at, got)
		}
	})
}

func TestTexts(t *testing.T) {
	h, d := Hash{1, 31: 2}, Digest{1, 15: 2}
	var h2 Hash
	if b, err := json.Marshal(h); err != nil || json.Unmarshal(b, &h2) != nil || h2 != h {
		t.Errorf("%v in JSON is %s, and back %v", h, b, h2)
	}
	var d2 Digest
	if b, err := json.Marshal(d); err != nil || json.Unmarshal(b, &d2) != nil || d2 != d {
		t.Errorf("%v in JSON is %s, and back %v", d, b, d2)
	}
	for _, s := range []string{"", "x", "AQ==", h.String() + "AA=="} {
		if err := h2.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q is a Hash", s)
		}
	}
	for _, s := range []string{"x", "0", "00", strings.Repeat("0", 34)} {
		if err := d2.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q is a Digest", s)
		}
	}
	for a, want := range map[Actor]string{
		{ActorOperator, [16]byte{}}: "operator",
		{ActorDue, [16]byte{}}:      "due",
		{ActorProvider, [16]byte{}}: "provider",
		{ActorKey, [16]byte{1}}:     "key_01000000000000000000000000",
		{ActorUser, [16]byte{1}}:    "usr_01000000000000000000000000",
		{77, [16]byte{}}:            "actor(77)",
	} {
		if a.String() != want {
			t.Errorf("%v prints as %q, want %q", struct{ ActorKind }{a.Kind}, a, want)
		}
	}
	if b, err := json.Marshal(Record{}); err != nil || !json.Valid(b) || !strings.Contains(string(b), `"event":null`) {
		t.Errorf("the zero Record in JSON is %s, %v", b, err)
	}
}

// TestLeafHash compares with the definition, at the sizes where the work is done differently.
func TestLeafHash(t *testing.T) {
	for _, n := range []int{0, 1, 55, 300, 1022, 1023, 1024, 5000} {
		b := bytes.Repeat([]byte{'x'}, n)
		if got, want := LeafHash(b), slowLeafHash(b); got != want {
			t.Errorf("LeafHash of %d bytes = %v, want %v", n, got, want)
		}
	}
}
