package commands

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tallystick/events"
)

func drawRef(t *rapid.T) Ref {
	r := Ref{kind: refKind(rapid.IntRange(int(refNone), int(refClock)).Draw(t, "kind"))}
	for i := range r.id {
		r.id[i] = rapid.Byte().Draw(t, "byte of id")
	}
	switch r.kind {
	case refNone:
		r = Ref{}
	case refClock:
		r.id[0] |= 1 // the zero clock stands for real time
		clear(r.id[10:])
	}
	return r
}

func drawSum(t *rapid.T) *events.Sum {
	if rapid.Bool().Draw(t, "none") {
		return nil
	}
	s := events.SumOf(events.Nanos(rapid.Int64Range(-math.MaxInt64, math.MaxInt64).Draw(t, "nanos")))
	for range rapid.IntRange(0, 70).Draw(t, "doublings") {
		if n := s.Plus(s); n.Big().BitLen() < 126 {
			s = n
		}
	}
	return &s
}

func drawReceipt(t *rapid.T) Receipt {
	return Receipt{
		Status:   rapid.SampledFrom([]ReceiptStatus{Accepted, Duplicate, Rejected}).Draw(t, "status"),
		Seq:      events.Seq(rapid.Uint64().Draw(t, "seq")),
		ID:       drawRef(t),
		Currency: rapid.SampledFrom([]events.Currency{{}, usd, eur}).Draw(t, "currency"),
		Amount:   drawSum(t), Balance: drawSum(t),
		Code:    rapid.SampledFrom([]Code{"", InsufficientFunds, NotFound}).Draw(t, "code"),
		Message: rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z <>&"\\]*`), rapid.SampledFrom([]string{"\xff", "\u2028", "\x7f", "\x00", "é"})).Draw(t, "message"),
	}
}

// TestReceiptJSON checks that receipts are written as encoding/json writes them, and that what is written is read as
// the same receipt.
func TestReceiptJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		batch := struct {
			Receipts []Receipt `json:"receipts"`
		}{make([]Receipt, rapid.IntRange(0, 3).Draw(t, "receipts"))}
		for i := range batch.Receipts {
			r := drawReceipt(t)
			batch.Receipts[i] = r
			want, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			got := r.AppendJSON([]byte("x"))
			if string(got) != "x"+string(want) {
				t.Fatalf("AppendJSON appends %s, want %s", got[1:], want)
			}
			var back Receipt
			if err := json.Unmarshal(want, &back); err != nil {
				t.Fatalf("reading %s: %v", want, err)
			}
			r.Message = strings.ToValidUTF8(r.Message, "\uFFFD")
			if diff := cmp.Diff(r, back, cmp.AllowUnexported(Ref{}, events.Sum{})); diff != "" {
				t.Fatalf("read as (-want +got):\n%s", diff)
			}
		}
		want, err := json.Marshal(batch)
		if err != nil {
			t.Fatal(err)
		}
		if got := AppendReceipts(nil, batch.Receipts); string(got) != string(want) {
			t.Fatalf("AppendReceipts appends %s, want %s", got, want)
		}
	})
}

// TestReceiptOf checks receipts against what a client must be told, word for word.
func TestReceiptOf(t *testing.T) {
	command := events.CommandID{15: 9, 0: 1}
	for _, tt := range []struct {
		event events.Event
		want  string
	}{
		{
			&events.UsageReported{Currency: usd, Lines: []events.UsageLine{{Nanos: math.MaxInt64, Tax: 1}, {Nanos: 1}}, Balance: events.SumOf(7)},
			`{"status":"accepted","sequence":5,"id":"usg_01000000000000000000000009","currency":"USD","amountNanos":"9223372036854775809","balanceNanos":"7"}`,
		},
		{
			events.WalletToppedUp{TopUp: events.TopUpID{15: 1}, Currency: eur, Postings: []events.Posting{{Role: events.ProcessorClearing, Nanos: -3}, {Role: events.ConsumerMain, Nanos: 3}}},
			`{"status":"accepted","sequence":5,"id":"top_00000000000000000000000001","currency":"EUR","amountNanos":"3","balanceNanos":"0"}`,
		},
		{events.ConsumerCreated{Consumer: events.OrganizationID{15: 2}}, `{"status":"accepted","sequence":5,"id":"org_00000000000000000000000002"}`},
		{events.WalletOpened{Wallet: events.WalletID{15: 2}}, `{"status":"accepted","sequence":5,"id":"acc_00000000000000000000000002"}`},
		{events.ClockAdvanced{Clock: events.TestClockID{9: 1}}, `{"status":"accepted","sequence":5,"id":"tc_0000000000000001"}`},
		{events.InvoiceOpened{}, `{"status":"accepted","sequence":5}`},
		{events.InvoiceIssued{Invoice: events.InvoiceID{15: 2}}, `{"status":"accepted","sequence":5,"id":"inv_00000000000000000000000002"}`},
	} {
		r := ReceiptOf(&events.Record{Envelope: events.Envelope{Seq: 5, Command: command}, Event: tt.event})
		if got := string(r.AppendJSON(nil)); got != tt.want {
			t.Errorf("the receipt of %s is\n%s, want\n%s", tt.event.Kind(), got, tt.want)
		}
	}
	r := Refusal(Reject(Busy, "%d wait", 3))
	if got, want := string(r.AppendJSON(nil)), `{"status":"rejected","code":"BUSY","message":"3 wait"}`; got != want {
		t.Errorf("a refusal is %s, want %s", got, want)
	}
}

func TestRefRefuses(t *testing.T) {
	for _, s := range []string{"x", "xyz_00000000000000000000000001", "sub_1", "tc_00000000000000000000000001", "bev_00000000000000000000000001", "_"} {
		var r Ref
		if err := r.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q is read as %s", s, r)
		}
	}
}

func BenchmarkReceipts(b *testing.B) {
	receipts := make([]Receipt, 100)
	for i := range receipts {
		receipts[i] = ReceiptOf(&events.Record{Envelope: events.Envelope{Seq: events.Seq(i + 1e9)}, Event: &events.UsageReported{
			Currency: usd, Lines: []events.UsageLine{{Nanos: 123_456}}, Balance: events.SumOf(987_654_321_000),
		}})
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendReceipts(buf[:0], receipts)
	}
}
