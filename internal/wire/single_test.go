package wire

import (
	"fmt"
	"strings"
	"testing"

	"tallystick/commands"
	"tallystick/events"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shopspring/decimal"
)

func given[T any](v T) commands.Change[T] { return commands.Change[T]{Given: true, To: v} }

func TestCommands(t *testing.T) {
	tested := map[string]bool{"ReportUsage": true, "CreateGrant": true, "PurchaseGrant": true, "IngestEvent": true} // see TestCreateGrant and TestIngestEvent
	for _, tt := range bodies {
		tested[tt.name] = true
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newTestDecoder()
			w, err := decode(d, tt.name, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			want := commands.Request{Command: tt.want, Merchant: merchant, Actor: owner.Actor()}
			if diff := cmp.Diff(want, w.Requests[0], cmpopts.EquateEmpty(), cmp.Comparer(decimal.Decimal.Equal), cmp.AllowUnexported(events.Sum{})); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			open := strings.Replace(tt.body, "{", `{"idempotencyKey":"k","merchantId":"$merchant",`, 1)
			w, err = decode(d, tt.name, open)
			if err != nil {
				t.Fatal(err)
			}
			if r := w.Requests[0]; r.Key != "k" || r.Content.IsZero() {
				t.Errorf("with a key: %+v", r)
			}
			for _, bad := range []struct{ with, want string }{
				{`{"bogus":1,`, `"bogus" is no field here; there are `},
				{`{"merchantId":"$stranger",`, "merchantId is not the merchant that this is sent for"},
				{`{"idempotencyKey":"k","idempotencyKey":"k",`, "idempotencyKey is given twice"},
				{`{"idempotencyKey":"",`, "idempotencyKey must have 1 to 255 bytes"},
				{`{,`, "not valid JSON"},
			} {
				_, err := decode(d, tt.name, strings.Replace(tt.body, "{", bad.with, 1))
				if commands.CodeOf(err) != commands.Invalid || !strings.Contains(err.Error(), bad.want) {
					t.Errorf("with %s: %v, want %s", bad.with, err, bad.want)
				}
			}
			if _, err := decode(d, tt.name, tt.body+"x"); err == nil {
				t.Error("trailing bytes are accepted")
			}
		})
	}
	for _, name := range Names() {
		if !tested[name] {
			t.Errorf("%s is not tested", name)
		}
	}
	d, _, _ := newTestDecoder()
	if _, err := decode(d, "Fly", `{}`); commands.CodeOf(err) != commands.NotFound {
		t.Errorf("an unknown command: %v", err)
	}
}

// TestContent holds which changes of a body change the hash of its content.
func TestContent(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		same       bool
	}{
		{"CreateProduct", `{"name":"n","description":"d","metadata":{"a":"1","b":"2"}}`, `{"metadata":{"b":"2","a":"1"},"description":"d","name":"\u006e"}`, true},
		{"CreateProduct", `{"name":"n","description":"d","metadata":{}}`, `{"name":"n","description":"d"}`, true},
		{"CreateProduct", `{"name":"n","description":"d"}`, `{"name":"nd","description":""}`, false},
		{"CreateProduct", `{"name":"n","description":"d"}`, `{"name":"d","description":"n"}`, false},
		{"TopUp", `{"walletId":"$wallet","amount":"12.5","method":"sandbox"}`, `{"walletId":"$wallet","amount":"12.50","method":"sandbox"}`, true},
		{"TopUp", `{"walletId":"$wallet","amount":"12.5","method":"sandbox"}`, `{"walletId":"$wallet","amount":"12.51","method":"sandbox"}`, false},
		{"CreatePlan", `{"name":"n","currency":"EUR","productId":"$product"}`, `{"name":"n","currency":"EUR","productId":"$product","billingCadence":"P1M","prices":[]}`, true},
		{"CreatePlan", `{"name":"n","currency":"EUR","productId":"$product"}`, `{"name":"n","currency":"EUR","productId":"$product","prices":["$price"]}`, false},
		{"AdvanceTestClock", `{"testClockId":"$clock","advanceBy":"P1Y"}`, `{"testClockId":"$clock","advanceBy":"P12M"}`, true},
		{"AdvanceTestClock", `{"testClockId":"$clock","advanceBy":"P1M"}`, `{"testClockId":"$clock","advanceBy":"P30D"}`, false},
		{"AdvanceTestClock", `{"testClockId":"$clock","currentTime":"2024-02-15T10:30:00Z"}`, `{"testClockId":"$clock","currentTime":"2024-02-15T12:30:00.000+02:00"}`, true},
	} {
		d, _, dir := newTestDecoder()
		hash := func(body string) events.Digest {
			w, err := decode(d, tt.name, strings.Replace(body, "{", `{"idempotencyKey":"k",`, 1))
			if err != nil {
				if tt.same {
					t.Fatalf("%s %s: %v", tt.name, body, err)
				}
				return events.Digest{}
			}
			return w.Requests[0].Content
		}
		a := hash(tt.a)
		dir.clocks[clock] = at("2024-03-01T00:00:00Z") // a repeat is the same wherever the clock stands
		if b := hash(tt.b); (a == b) != tt.same {
			t.Errorf("%s: the same hash of\n%s and\n%s: %v, want %v", tt.name, tt.a, tt.b, a == b, tt.same)
		}
	}
}

func TestCommandsRefused(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"CreateProduct", `[]`, "the body must be an object, not an array"},
		{"CreateProduct", `{"description":"d"}`, "name is required"},
		{"CreateProduct", `{"name":"","description":"d"}`, "name may not be empty"},
		{"CreateProduct", `{"name":7,"description":"d"}`, "name must be a string, not a number"},
		{"CreateProduct", `{"name":"` + strings.Repeat("n", 256) + `","description":"d"}`, "name has too many characters; at most 255 are allowed"},
		{"CreateProduct", `{"name":"n","description":"d","metadata":[]}`, "metadata must be an object of strings, not an array"},
		{"CreateMetric", `{"name":"n","description":"d","unit":"u","aggregation":"MEDIAN","productId":"$product"}`, "aggregation must be SUM or COUNT or AVG or MIN or MAX or UNIQUE_COUNT or LATEST"},
		{"CreateMetric", `{"name":"n","description":"d","unit":"u","aggregation":"AVG","productId":"$product","eventType":7}`, "eventType must be a string, not a number"},
		{"CreatePrice", `{"properties":{"unitPrice":"0.0000000001"},"billableMetricId":"$A","model":"standard","paymentTerm":"instant","invoiceDisplayName":"n"}`, "properties.unitPrice must be a string of digits with at most 9 decimals"},
		{"CreatePrice", `{"properties":{"unitPrice":1},"billableMetricId":"$A","model":"standard","paymentTerm":"instant","invoiceDisplayName":"n"}`, "properties.unitPrice must be a string, not a number"},
		{"CreatePrice", `{"properties":{"unitPrice":"1","max":"2"},"billableMetricId":"$A","model":"standard","paymentTerm":"instant","invoiceDisplayName":"n"}`, `properties."max" is no field here; there are unitPrice`},
		{"CreatePrice", `{"feeId":"fee_1"}`, "feeId must be an identity such as fee_"},
		{"CreatePrice", `{"properties":{"unitPrice":"1"},"billableMetricId":"$A","paymentTerm":"instant","invoiceDisplayName":"n"}`, "model is required"},
		{"CreatePrice", `{"properties":{"percentage":"10.1","minCharge":"0","maxCharge":"1"},"billableMetricId":"$A","model":"percentage","paymentTerm":"instant","invoiceDisplayName":"n"}`, "properties.percentage must be a string from"},
		{"UpdatePrice", `{"priceId":"$price","model":"standard"}`, "properties is required with model"},
		{"CreatePlan", `{"name":"n","currency":"EUR","productId":"$product","defaultTaxRate":100.1}`, "defaultTaxRate must be a number from 0 to 100"},
		{"CreatePlan", `{"name":"n","currency":"EUR","productId":"$product","defaultTaxRate":"19"}`, "defaultTaxRate must be a number of percent, not a string"},
		{"UpdatePlan", `{"planId":"$plan","billingInterval":"weekly"}`, "billingInterval must be monthly, quarterly, yearly or annual"},
		{"CreatePlan", `{"name":"n","currency":"eur","productId":"$product"}`, "currency must be three capital letters"},
		{"CreatePlan", `{"prices":["$price","$plan"],"name":"n","currency":"EUR","productId":"$product"}`, "prices[1] must be an identity such as price_"},
		{"CreateCustomer", `{}`, "consumer or consumerId is required, one of them"},
		{"CreateCustomer", `{"consumerId":"$consumer","consumer":{"name":"n","email":"e@x","address":{}}}`, "consumer or consumerId is required, one of them"},
		{"CreateCustomer", `{"consumer":{"name":"n","email":"e@x"}}`, "consumer.address is required"},
		{"CreateCustomer", `{"consumer":{"name":"n","email":"nobody","address":{}}}`, "is no e-mail address"},
		{"CreateCustomer", `{"consumer":{"name":"n","email":"e@x","address":{"country":"Deutschland"}}}`, "consumer.address.country has too many characters"},
		{"CreateCustomer", `{"consumer":{"name":"n","email":"e@x","address":{"country":"d1"}}}`, "consumer.address.country must be two capital letters"},
		{"CreateConsumer", `{"email":"e@x","address":{}}`, "name is required"},
		{"CreateConsumer", `{"name":"n","email":"e@x"}`, "address is required"},
		{"CreateConsumer", `{"name":"n","email":"nobody","address":{}}`, `email "nobody" is no e-mail address`},
		{"SetupOffSessionMethod", `{"consumerId":"$consumer","paymentMethod":"cheque","returnUrl":"https://shop.example/"}`, "paymentMethod must be card"},
		{"SetupOffSessionMethod", `{"consumerId":"$consumer","paymentMethod":"card"}`, "returnUrl is required"},
		{"CreateSubscription", `{"name":"n","planId":"$plan","startedAt":"2024-01-15T10:30:00Z"}`, "customer or customerId is required, one of them"},
		{"CreateSubscription", `{"name":"n","planId":"$plan","startedAt":"2024-01-15T10:30:00Z","customer":{"name":"n","email":"a@b","address":{"country":"US","zipCode":"1"}}}`, "address.state is required"},
		{"CreateSubscription", `{"name":"n","planId":"$plan","startedAt":"2024-01-15T10:30:00Z","customer":{"name":"n","email":"a@b","address":{"country":"US","zipCode":"1","state":"California"}}}`, "address.state must be a state of US"},
		{"CreateSubscription", `{"name":"n","planId":"$plan","startedAt":"2024-01-15T10:30:00Z","customer":{"name":"n","email":"a@b","address":{"country":"CA","zipCode":"1","state":"NY"}}}`, "address.state must be a state of CA"},
		{"CreateSubscription", `{"name":"n","planId":"$plan","startedAt":"2024-01-15T10:30:00Z","customerId":"$customer","minimumAccountBalance":"200.00","prefundAmount":"100"}`, "prefundAmount is the old name of minimumAccountBalance"},
		{"CreateSubscription", `{"name":"n","planId":"$plan","startedAt":"2024-01-15T10:30:00Z","customerId":"$customer","sessionExpiryMinutes":0.5}`, "sessionExpiryMinutes must be a number of minutes"},
		{"TerminateSubscription", `{"subscriptionId":"$sub","reason":""}`, "reason may not be empty"},
		{"AdvanceTestClock", `{"testClockId":"$clock"}`, "currentTime or advanceBy is required, one of them"},
		{"AdvanceTestClock", `{"testClockId":"$clock","advanceBy":"1 month"}`, "advanceBy must be a duration of ISO 8601"},
		{"CreateMerchant", `{"profile":{"name":"n"},"currency":"USD","settings":{"feeBasisPoints":10001}}`, "settings.feeBasisPoints must be an integer from 0 to 10000"},
		{"UpdateMerchant", `{"profile":{"name":"n"}}`, "settings is required"},
	} {
		d, _, _ := newTestDecoder()
		w, err := decode(d, tt.name, tt.body)
		if err == nil {
			t.Errorf("%s %s is accepted: %+v", tt.name, tt.body, w.Requests)
			continue
		}
		if !strings.Contains(err.Error(), fill(tt.want)) {
			t.Errorf("%s %s is refused with %q, want it to say %q", tt.name, tt.body, err, fill(tt.want))
		}
	}
}

// TestErasedConsumer holds that what comes for an erased consumer goes on, and keeps nothing personal.
func TestErasedConsumer(t *testing.T) {
	d, _, dir := newTestDecoder()
	w, err := decode(d, "ReportUsage", strings.Replace(usage, "$customer", "$forgotten", 1))
	if err != nil {
		t.Fatal(err)
	}
	if u := w.Requests[0].Command.(*commands.ReportUsage); !u.Metadata.IsZero() {
		t.Errorf("metadata of an erased consumer is kept: %+v", u)
	}
	dir.subscriptions[sub] = erased
	w, err = decode(d, "TerminateSubscription", `{"subscriptionId":"$sub","reason":"r"}`)
	if err != nil {
		t.Fatal(err)
	}
	if c := w.Requests[0].Command.(commands.TerminateSubscription); !c.Reason.IsZero() {
		t.Errorf("the reason of an erased consumer is kept: %+v", c)
	}
}

// TestKnownConsumer holds that a customer of a consumer that the merchant manages already is sealed under that consumer's key.
func TestKnownConsumer(t *testing.T) {
	d, k, _ := newTestDecoder()
	w, err := decode(d, "CreateCustomer", `{"consumer":{"name":"n","email":"Known@example.com","address":{}},"taxId":"t"}`)
	if err != nil {
		t.Fatal(err)
	}
	want := commands.CreateCustomer{
		Consumer: consumer, Email: digest("email", "known@example.com"), Details: events.Sealed{Key: consumer, Box: []byte(`customer.details {"taxId":"t"}`)},
	}
	if diff := cmp.Diff(commands.Command(want), w.Requests[0].Command); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}
	if _, made := k.keys[newcomer]; made {
		t.Error("a key was made for nobody")
	}
}

// TestSecret holds that the text of an API key is answered once: with the receipt of the command that has made it.
func TestSecret(t *testing.T) {
	d, _, _ := newTestDecoder()
	w, err := decode(d, "CreateKey", `{"role":"operator"}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		status commands.ReceiptStatus
		want   string
	}{
		{commands.Accepted, `{"status":"accepted","sequence":7,"secret":"sk_test_` + strings.Repeat("a", 40) + `"}`},
		{commands.Duplicate, `{"status":"duplicate","sequence":7}`},
	} {
		if got := string(w.AppendAnswer(nil, []commands.Receipt{{Status: tt.status, Seq: 7}})); got != tt.want {
			t.Errorf("answered with %s, want %s", got, tt.want)
		}
	}
	live, err := NewSecret(strings.NewReader(strings.Repeat("x", 25)), events.Live)
	if err != nil || !strings.HasPrefix(live, "sk_live_") || len(live) != 48 {
		t.Errorf("got %q, %v", live, err)
	}
	if _, err := NewSecret(strings.NewReader(""), events.Live); err == nil {
		t.Error("a secret was drawn from nothing")
	}
}

func TestAdvanceBy(t *testing.T) {
	for _, tt := range []struct{ by, from, want string }{
		{"P1M", "2024-01-31T10:00:00.5Z", "2024-02-29T10:00:00.5Z"},
		{"P1Y1M", "2024-01-31T10:00:00Z", "2025-02-28T10:00:00Z"},
		{"P13M", "2023-12-31T00:00:00Z", "2025-01-31T00:00:00Z"},
		{"P1W1DT1H1M1S", "2024-01-31T10:00:00Z", "2024-02-08T11:01:01Z"},
		{"PT36H", "2024-01-31T10:00:00Z", "2024-02-01T22:00:00Z"},
		{"P1M1D", "2024-01-31T10:00:00Z", "2024-03-01T10:00:00Z"},
		{"P0Y1D", "2024-01-31T10:00:00Z", "2024-02-01T10:00:00Z"},
		{"", "", ""},
		{"P", "", ""},
		{"PT", "", ""},
		{"P0D", "", ""},
		{"P1", "", ""},
		{"P1H", "", ""},
		{"PT1D", "", ""},
		{"P1D1M", "", ""},
		{"P1DT", "", ""},
		{"P-1D", "", ""},
		{"P1.5D", "", ""},
		{"P1M1M", "", ""},
		{"p1m", "", ""},
		{"PT1S1H", "", ""},
		{"P99999999D", "", ""},
		{"PY", "", ""},
		{"PTT1S", "", ""},
	} {
		v, ok := parseDuration(tt.by)
		if ok != (tt.want != "") {
			t.Errorf("%q is a duration: %v", tt.by, ok)
		}
		if !ok || tt.want == "" {
			continue
		}
		if got, ok := v.after(at(tt.from)); !ok || got != at(tt.want) {
			t.Errorf("%s after %s is %s, want %s", tt.by, tt.from, got, tt.want)
		}
	}
	d, _, _ := newTestDecoder()
	w, err := decode(d, "AdvanceTestClock", `{"testClockId":"$clock","advanceBy":"P1M"}`)
	if err != nil {
		t.Fatal(err)
	}
	if c := w.Requests[0].Command.(commands.AdvanceTestClock); c.To != at("2024-02-29T10:00:00Z") {
		t.Errorf("advanced to %s", c.To)
	}
}

func TestNormaliseEmail(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"ada@example.com", "ada@example.com"},
		{" Ada.L+x@Example.COM.\n", "ada.l+x@example.com"},
		{"ÄDA@example.com", "äda@example.com"},
		{"ada", ""},
		{"@example.com", ""},
		{"ada@", ""},
		{"a da@example.com", ""},
		{"a@b@c", ""},
		{"a\x00@b", ""},
		{"", ""},
		{strings.Repeat("a", 250) + "@b.de", ""},
	} {
		got, ok := NormaliseEmail(tt.in)
		if ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("NormaliseEmail(%q) = %q, %v, want %q", tt.in, got, ok, tt.want)
		}
	}
}

func TestWaits(t *testing.T) {
	waiting := 0
	for _, name := range Names() {
		if Waits(name) {
			waiting++
		}
	}
	if waiting != 24 || Waits("ReportUsage") {
		t.Errorf("%d commands wait", waiting)
	}
	if r := (Who{Role: events.AuditorKey}).MayWrite(merchant); r == nil {
		t.Error("an auditor may write")
	}
}

// TestNobody holds that what names nobody becomes a command all the same, with nothing sealed in it: whether it is a repeat is asked first, and then the
// rules refuse it as they refuse what is another merchant's.
func TestNobody(t *testing.T) {
	d, _, _ := newTestDecoder()
	for name, body := range map[string]string{
		"CreateCustomer":        `{"consumerId":"$merchant","taxId":"x"}`,
		"CreateWallet":          `{"ownedBy":"$stranger","currency":"USD","name":"n"}`,
		"UpdateConsumer":        `{"consumerId":"$stranger","name":"n"}`,
		"UpdateCustomer":        `{"customerId":"cus_01JD3W8X5KQ7M2N4P6R8T0V2W4","taxId":"x"}`,
		"CreateSubscription":    `{"name":"n","customerId":"cus_01JD3W8X5KQ7M2N4P6R8T0V2W4","planId":"$plan","startedAt":"2024-01-15T10:30:00Z"}`,
		"TerminateSubscription": `{"subscriptionId":"sub_01JD3W8X5KQ7M2N4P6R8T0V2W4","reason":"r"}`,
		"CreateLineItem":        `{"invoiceId":"inv_01JD3W8X5KQ7M2N4P6R8T0V2W4","displayName":"n","currency":"USD","quantity":1,"unitPrice":1}`,
		"RefundInvoice":         `{"invoiceId":"inv_01JD3W8X5KQ7M2N4P6R8T0V2W4","reason":"r"}`,
		"RefundUsage":           `{"usageEventId":"usg_01JD3W8X5KQ7M2N4P6R8T0V2W4","reason":"r"}`,
		"CreateDispute":         `{"usageEventId":"usg_01JD3W8X5KQ7M2N4P6R8T0V2W4","message":"that was not us"}`,
		"ResolveDispute":        `{"disputeId":"disp_01JD3W8X5KQ7M2N4P6R8T0V2W4","status":"accepted","message":"m"}`,
		"CreateAlert":           `{"resourceId":"acc_01JD3W8X5KQ7M2N4P6R8T0V2W4","type":"wallet_low_balance","config":{"threshold":"1"},"recipients":["a@b"]}`,
		"AdvanceTestClock":      `{"testClockId":"tc_0123456789abcdeg","advanceBy":"P1M"}`,
		"ReportUsage":           strings.Replace(usage, "$customer", "cus_01JD3W8X5KQ7M2N4P6R8T0V2W4", 1),
	} {
		w, err := decode(d, name, body)
		if err != nil || len(w.Requests) != 1 {
			t.Errorf("%s %s: %v", name, body, err)
		} else if said := fmt.Sprintf("%+v", w.Requests[0].Command); strings.Contains(said, "Key:org_") {
			t.Errorf("%s: something is sealed in %s", name, said)
		}
	}
}

// TestCreateGrant holds what a grant is read as. It is apart, for its idempotency key is required.
func TestCreateGrant(t *testing.T) {
	d, _, _ := newTestDecoder()
	w, err := decode(d, "CreateGrant", `{"entitlementId":"$entitlement","amount":1000,"effectiveAt":"2024-01-15T10:30:00Z","expiresAt":null,
		"idempotencyKey":"k","priority":4,"recurrencePeriod":"P1W","resetMaxRollover":0.5}`)
	if err != nil {
		t.Fatal(err)
	}
	want := commands.CreateGrant{
		Entitlement: entitlement, Amount: events.SumOfWhole(1000), EffectiveAt: at("2024-01-15T10:30:00Z"), Recurrence: "P1W", Priority: 4,
		MaxRollover: events.SumOf(500_000_000),
	}
	if diff := cmp.Diff(want, w.Requests[0].Command, cmp.AllowUnexported(events.Sum{})); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}
	w, err = decode(d, "PurchaseGrant", `{"entitlementId":"$entitlement","amount":1000,"price":"5.00","idempotencyKey":"k","successUrl":"https://a.example","cancelUrl":"https://b.example","paymentExpiresAt":"1970-01-01T00:00:01Z"}`)
	if err != nil {
		t.Fatal(err)
	}
	bought := commands.PurchaseGrant{
		CreateGrant: commands.CreateGrant{Entitlement: entitlement, Amount: events.SumOfWhole(1000), MaxRollover: commands.Unlimited()}, Price: 5_000_000_000,
		OnSuccess: "https://a.example", OnFailure: "https://b.example", PayBy: 1_000_000_000,
	}
	if diff := cmp.Diff(bought, w.Requests[0].Command, cmp.AllowUnexported(events.Sum{})); diff != "" {
		t.Errorf("purchase (-want +got):\n%s", diff)
	}
	for body, want := range map[string]string{
		`{"entitlementId":"$entitlement","amount":1}`:                                                    "idempotencyKey is required",
		`{"entitlementId":"$entitlement","amount":"1","idempotencyKey":"k"}`:                             "amount must be a number",
		`{"entitlementId":"$entitlement","amount":-1,"idempotencyKey":"k"}`:                              "amount must not be below zero",
		`{"entitlementId":"$entitlement","amount":1e3,"idempotencyKey":"k"}`:                             "amount must be a number",
		`{"entitlementId":"$entitlement","amount":0.0000000001,"idempotencyKey":"k"}`:                    "amount must be a number",
		`{"entitlementId":"$entitlement","amount":9999999999999999999999999999999,"idempotencyKey":"k"}`: "amount must be a number",
	} {
		if _, err := decode(d, "CreateGrant", body); commands.CodeOf(err) != commands.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}
