package wire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/payments"
	"tallystick/ledger/keyring"

	"github.com/google/go-cmp/cmp"
)

// fakeKeyring seals by writing down what it was told, so that tests can read it.
type fakeKeyring struct {
	keys   map[events.OrganizationID]bool // false: erased
	failed error
}

func (k *fakeKeyring) Create(c events.OrganizationID) error {
	if k.failed != nil {
		return k.failed
	}
	k.keys[c] = true
	return nil
}

func (k *fakeKeyring) Seal(c events.OrganizationID, purpose string, plaintext []byte) (events.Sealed, error) {
	live, ok := k.keys[c]
	if !ok {
		return events.Sealed{}, fmt.Errorf("%w: of %s", keyring.ErrUnknown, c)
	}
	if !live {
		return events.Sealed{}, fmt.Errorf("%w: %s", keyring.ErrErased, c)
	}
	return events.Sealed{Key: c, Box: []byte(purpose + " " + string(plaintext))}, nil
}

func (k *fakeKeyring) Open(sealed events.Sealed, purpose string) ([]byte, error) {
	if live, ok := k.keys[sealed.Key]; !ok || !live {
		return nil, keyring.ErrErased
	}
	return []byte(strings.TrimPrefix(string(sealed.Box), purpose+" ")), nil
}

func digest(parts ...string) (d events.Digest) {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	copy(d[:], sum[:])
	return d
}

func (k *fakeKeyring) EmailDigest(s string) events.Digest { return digest("email", s) }

func (k *fakeKeyring) ExternalDigest(m events.OrganizationID, s string) events.Digest {
	return digest("external", m.String(), s)
}

func (k *fakeKeyring) ContentHash(b []byte) events.Digest { return digest("content", string(b)) }

// fakeDirectory knows the things of made().
type fakeDirectory struct {
	consumers     map[events.CustomerID]events.OrganizationID
	subscriptions map[events.SubscriptionID]events.OrganizationID
	emails        map[events.Digest]events.OrganizationID
	clocks        map[events.TestClockID]events.Time

	heldUnder      events.OrganizationID
	full           map[events.Digest]events.OrganizationID
	authorizations map[events.AuthorizationID]events.OrganizationID
}

func (f *fakeDirectory) UsageRecord(_ context.Context, id events.UsageID) (rec events.Record, ok bool, err error) {
	rec.Merchant, rec.Event = merchant, &events.UsageReported{Customer: customer}
	return rec, id == usageID, nil
}

func (f *fakeDirectory) SettledPeriod(context.Context, events.CustomerID, events.Time) (p commands.SettledPeriod, err error) {
	p.Subscription, p.N = sub, 3
	return p, nil
}

func (f *fakeDirectory) Billed(_ context.Context, id events.InvoiceID) (Billed, bool, error) {
	return Billed{sub, commands.PaidInvoice{Merchant: merchant, Subscription: sub}}, id == invoice, nil
}

func (f *fakeDirectory) ConsumerOf(_ context.Context, id events.CustomerID) (events.OrganizationID, bool, error) {
	c, ok := f.consumers[id]
	return c, ok, nil
}

func (f *fakeDirectory) WalletConsumer(_ context.Context, id events.WalletID) (events.OrganizationID, bool, error) {
	return consumer, id == wallet, nil
}

func (f *fakeDirectory) SubscriptionConsumer(_ context.Context, id events.SubscriptionID) (events.OrganizationID, bool, error) {
	c, ok := f.subscriptions[id]
	return c, ok, nil
}

func (f *fakeDirectory) SessionConsumer(_ context.Context, id events.SessionID) (events.OrganizationID, bool, error) {
	if id == session {
		return consumer, true, nil
	}
	return events.OrganizationID{}, false, nil
}

func (f *fakeDirectory) ManagedConsumer(_ context.Context, _ events.OrganizationID, e events.Digest) (events.OrganizationID, bool, error) {
	c, ok := f.emails[e]
	return c, ok, nil
}

func (f *fakeDirectory) HeldUnder(context.Context, events.OrganizationID, events.Digest) (key events.OrganizationID, err error) {
	return f.heldUnder, nil
}

func (f *fakeDirectory) CustomerByExternal(_ context.Context, m events.OrganizationID, e events.Digest) (id events.CustomerID, err error) {
	if e == digest("external", m.String(), "c-1") {
		id = customer
	}
	return id, nil
}

func (f *fakeDirectory) ConsumerProfile(_ context.Context, id events.OrganizationID) (events.Sealed, events.Seq, bool, error) {
	return events.Sealed{Key: id, Box: []byte(PurposeProfile + ` {"name":"Jane","email":"jane@example.com"}`)}, 7, id == consumer, nil
}

func (f *fakeDirectory) FullConsumer(_ context.Context, e events.Digest) (events.OrganizationID, bool, error) {
	c, ok := f.full[e]
	return c, ok, nil
}

func (f *fakeDirectory) AuthorizationConsumer(_ context.Context, id events.AuthorizationID) (events.OrganizationID, bool, error) {
	c, ok := f.authorizations[id]
	return c, ok, nil
}

func (f *fakeDirectory) ClockNow(_ context.Context, id events.TestClockID) (events.Time, bool, error) {
	t, ok := f.clocks[id]
	return t, ok, nil
}

// made returns the nth identity of a kind, for tests.
func made[K events.Noun](n byte) (id events.ID[K]) {
	id[0], id[15] = 1, n
	return id
}

var (
	merchant    = made[events.OrganizationNoun](1)
	stranger    = made[events.OrganizationNoun](2)
	consumer    = made[events.OrganizationNoun](3)
	newcomer    = made[events.OrganizationNoun](4)
	erased      = made[events.OrganizationNoun](5)
	customer    = made[events.CustomerNoun](1)
	forgotten   = made[events.CustomerNoun](2)
	metricA     = made[events.MetricNoun](1)
	metricB     = made[events.MetricNoun](2)
	sub         = made[events.SubscriptionNoun](1)
	plan        = made[events.PlanNoun](1)
	wallet      = made[events.WalletNoun](1)
	product     = made[events.ProductNoun](1)
	price       = made[events.PriceNoun](1)
	fee         = made[events.FeeNoun](1)
	key         = made[events.KeyNoun](1)
	session     = made[events.SessionNoun](1)
	method      = made[events.MethodNoun](1)
	clock       = events.TestClockID{9, 8, 7}
	owner       = Who{Key: key, Role: events.MerchantKey, Merchant: merchant}
	operator    = Who{Role: events.OperatorKey}
	feature     = made[events.FeatureNoun](21)
	entitlement = made[events.EntitlementNoun](22)
	grant       = made[events.GrantNoun](23)
	usageID     = made[events.UsageNoun](1)
	invoice     = made[events.InvoiceNoun](1)
	note        = made[events.CreditNoteNoun](1)
	asked       = made[events.AuthorizationNoun](1)
	user        = made[events.UserNoun](1)
	portal      = made[events.PortalNoun](1)
)

func newTestDecoder() (*Decoder, *fakeKeyring, *fakeDirectory) {
	k := &fakeKeyring{keys: map[events.OrganizationID]bool{consumer: true, erased: false}}
	dir := &fakeDirectory{
		consumers:     map[events.CustomerID]events.OrganizationID{customer: consumer, forgotten: erased},
		subscriptions: map[events.SubscriptionID]events.OrganizationID{sub: consumer},
		emails:        map[events.Digest]events.OrganizationID{k.EmailDigest("known@example.com"): consumer},
		clocks:        map[events.TestClockID]events.Time{clock: at("2024-01-31T10:00:00Z")},

		full:           map[events.Digest]events.OrganizationID{k.EmailDigest("full@example.com"): consumer},
		authorizations: map[events.AuthorizationID]events.OrganizationID{asked: consumer},
	}
	return NewDecoder(Options{
		Keyring: k, Directory: dir, Environment: events.Sandbox, Rand: bytes.NewReader(make([]byte, 1<<12)),
		NewConsumer: func() events.OrganizationID { return newcomer }, Cards: new(payments.Sandbox),
	}), k, dir
}

func at(s string) (t events.Time) {
	if err := t.UnmarshalText([]byte(s)); err != nil {
		panic(err)
	}
	return t
}

// fill replaces names in a body by identities, so that bodies in tests can be read.
func fill(body string) string {
	return strings.NewReplacer(
		"$merchant", merchant.String(), "$stranger", stranger.String(), "$consumer", consumer.String(), "$erased", erased.String(),
		"$customer", customer.String(), "$forgotten", forgotten.String(), "$A", metricA.String(), "$B", metricB.String(),
		"$sub", sub.String(), "$plan", plan.String(), "$wallet", wallet.String(), "$product", product.String(),
		"$price", price.String(), "$fee", fee.String(), "$session", session.String(), "$method", method.String(), "$key", key.String(), "$clock", clock.String(),
		"$feature", feature.String(), "$entitlement", entitlement.String(), "$grant", grant.String(),
		"$price", price.String(), "$fee", fee.String(), "$usage", usageID.String(), "$invoice", invoice.String(), "$note", note.String(), "$session", session.String(), "$method", method.String(), "$key", key.String(), "$clock", clock.String(),
		"$asked", asked.String(), "$user", user.String(), "$portal", portal.String(), "$dispute", events.DisputeID(usageID).String(),
	).Replace(body)
}

func decode(d *Decoder, name, body string) (*Work, error) {
	return d.Command(context.Background(), name, merchant, owner, []byte(fill(body)))
}

const usage = `{"customerId":"$customer","merchantId":"$merchant","idempotencyKey":"k1","timestamp":"2024-01-15T10:30:00.5Z",
	"properties":[{"billableMetricId":"$A","quantity":374},{"billableMetricId":"$B","quantity":44}],"metadata":{"b":"2","a":"1"}}`

// TestUsageForms holds that every way to write the same usage is the same command with the same hash.
func TestUsageForms(t *testing.T) {
	for _, tt := range []struct{ name, body string }{
		{"usage event", usage},
		{"other order and space", `{ "metadata" : {"a":"1","b":"2"} , "properties":[ {"quantity":374,"billableMetricId":"$A"},
			{"quantity":44,"billableMetricId":"$B"} ],
			"timestamp":"2024-01-15T12:30:00.500+02:00","idempotencyKey":"k1","customerId":"$customer"} `},
		{"escapes", `{"customer\u0049d":"$customer","idempotencyKey":"\u006b1","timestamp":"2024-01-15T10:30:00.500000000Z",
			"properties":[{"billableMetricId":"$A","quantity":374},{"billableMetricId":"$B","quantity":44}],"metadata":{"\u0062":"2","a":"\u0031"}}`},
		{"lower case identities", `{"customerId":"` + strings.ToLower(fill("$customer")) + `","idempotencyKey":"k1","timestamp":"2024-01-15T10:30:00.5Z",
			"properties":[{"billableMetricId":"$A","quantity":374},{"billableMetricId":"$B","quantity":44}],"metadata":{"b":"2","a":"1"}}`},
		{"batch", `{"events":[` + usage + `]}`},
		{"array", `[` + usage + `]`},
		{"CloudEvent", `{"specversion":"1.0","id":"1","source":"k","type":"usage.reported","subject":"$customer","time":"2024-01-15T10:30:00.5Z",
			"data":{"properties":[{"billableMetricId":"$A","quantity":374},{"billableMetricId":"$B","quantity":44}],"metadata":{"b":"2","a":"1"}}}`},
		{"CloudEvent with all that it may have", `{"datacontenttype":"application/json","dataschema":"urn:x","traceparent":"00-1","sampled":true,"n":7,"z":null,
			"data":{"merchantId":"$merchant","metadata":{"a":"1","b":"2"},"properties":[{"billableMetricId":"$A","quantity":374},{"billableMetricId":"$B","quantity":44}]},
			"time":"2024-01-15T10:30:00.5Z","subject":"$customer","type":"usage.reported","source":"k","id":"1","specversion":"1.0"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, k, _ := newTestDecoder()
			w, err := decode(d, "ReportUsage", tt.body)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := decode(d, "ReportUsage", usage)
			if err != nil {
				t.Fatal(err)
			}
			if len(w.Requests) != 1 || len(w.Refused) != 0 {
				t.Fatalf("%d requests and %d refusals, want one request: %v", len(w.Requests), len(w.Refused), w.Refused)
			}
			wantKey := "k1"
			if strings.HasPrefix(tt.name, "CloudEvent") {
				wantKey = "k/1"
			}
			want := commands.Request{
				Command: &commands.ReportUsage{
					Customer: customer, HappenedAt: at("2024-01-15T10:30:00.5Z"),
					Properties: []commands.UsageProperty{{Metric: metricA, Quantity: 374}, {Metric: metricB, Quantity: 44}},
					Metadata:   events.Sealed{Key: consumer, Box: []byte(`usage.metadata {"a":"1","b":"2"}`)},
				},
				Merchant: merchant, Actor: events.Actor{Kind: events.ActorKey, ID: key}, Key: wantKey,
				Content: plain.Requests[0].Content,
			}
			if diff := cmp.Diff(want, w.Requests[0]); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			if want.Content == k.ContentHash(nil) || want.Content.IsZero() {
				t.Error("the content hash is of nothing")
			}
		})
	}
}

// TestUsageDiffers holds that what is not the same usage has not the same hash.
func TestUsageDiffers(t *testing.T) {
	d, _, _ := newTestDecoder()
	seen := map[events.Digest]string{}
	for _, change := range [][2]string{
		{"", ""},
		{"$customer", "$forgotten"},
		{":30:00.5Z", ":30:00.6Z"},
		{"374", "375"},
		{"$A", "bm_01JD3W8X5KQ7M2N4P6R8T0V2W4"},
		{`"2"`, `"3"`},
		{`"b"`, `"c"`},
		{`,"metadata":{"b":"2","a":"1"}`, ``},
		{`{"b":"2","a":"1"}`, `{"b":"2a1"}`},
		{`,{"billableMetricId":"$B","quantity":44}`, ``},
	} {
		w, err := decode(d, "ReportUsage", strings.Replace(usage, change[0], change[1], 1))
		if err != nil {
			t.Fatalf("%v: %v", change, err)
		}
		content := w.Requests[0].Content
		if other, ok := seen[content]; ok {
			t.Errorf("%v has the hash of %s", change, other)
		}
		seen[content] = fmt.Sprint(change)
	}
}

func TestUsageRefused(t *testing.T) {
	const good = `"customerId":"$customer","idempotencyKey":"k","timestamp":"2024-01-15T10:30:00Z","properties":[{"billableMetricId":"$A","quantity":1}]`
	for _, tt := range []struct{ name, body, want string }{
		{"nothing", ``, "cut short"},
		{"no object", `7`, "the body must be an object: a usage event, not a number"},
		{"trailing bytes", `{` + good + `} x`, "something follows its end, at byte"},
		{"cut short", `{` + good, "it is cut short"},
		{"unknown field", `{` + good + `,"discount":1}`, `"discount" is no field of a usage event`},
		{"field twice", `{` + good + `,"customerId":"$customer"}`, "customerId is given twice"},
		{"field twice in a property", `{"properties":[{"quantity":1,"quantity":1}]}`, "properties[0].quantity is given twice"},
		{"metadata twice", `{` + good + `,"metadata":{"a":"1","\u0061":"1"}}`, `metadata."a" is given twice`},
		{"metadata of numbers", `{` + good + `,"metadata":{"a":1}}`, `metadata."a" must be a string, not a number`},
		{"another merchant", `{` + good + `,"merchantId":"$stranger"}`, "merchantId is not the merchant that this is sent for"},
		{"a year beyond", strings.Replace(`{`+good+`}`, "2024", "2999", 1), "timestamp must be a time from 1678 to 2262"},
		{"no time", strings.Replace(`{`+good+`}`, "2024", "20240", 1), "timestamp must be a time in ISO 8601"},
		{"no customer", `{"idempotencyKey":"k"}`, "customerId is required"},
		{"no key", `{"customerId":"$customer"}`, "idempotencyKey is required"},
		{"empty key", `{"idempotencyKey":""}`, "idempotencyKey must have 1 to 255 bytes"},
		{"long key", `{"idempotencyKey":"` + strings.Repeat("k", 256) + `"}`, "idempotencyKey must have 1 to 255 bytes"},
		{"quantity of a fraction", strings.Replace(`{`+good+`}`, `:1}`, `:1.5}`, 1), "properties[0].quantity must be an integer, without a fraction or an exponent"},
		{"quantity as text", strings.Replace(`{`+good+`}`, `:1}`, `:"1"}`, 1), "properties[0].quantity must be an integer, not a string"},
		{"quantity of nothing", strings.Replace(`{`+good+`}`, `:1}`, `:0}`, 1), "properties[0].quantity must be at least 1"},
		{"huge quantity", strings.Replace(`{`+good+`}`, `:1}`, `:92233720368547758080}`, 1), "properties[0].quantity must be an integer of 64 bits"},
		{"leading zero", strings.Replace(`{`+good+`}`, `:1}`, `:01}`, 1), "a number that begins with 0"},
		{"null", strings.Replace(`{`+good+`}`, `"$customer"`, `null`, 1), "customerId must be a string, not null"},
		{"no JSON", `nonsense`, "the body is not valid JSON: a value is missing, at byte 0"},
		{"a word that is none", strings.Replace(`{`+good+`}`, `"$customer"`, `nil`, 1), "the body is not valid JSON: a value is missing"},
		{"identity of another kind", strings.Replace(`{`+good+`}`, `"$customer"`, `"$A"`, 1), "customerId must be an identity such as cus_"},
		{"time without a zone", strings.Replace(`{`+good+`}`, `10:30:00Z`, `10:30:00`, 1), "timestamp must be a time in ISO 8601 with a zone"},
		{"no properties", strings.Replace(`{`+good+`}`, `{"billableMetricId":"$A","quantity":1}`, ``, 1), "properties has no entries"},
		{"price", strings.Replace(`{`+good+`}`, `:1}`, `:1,"price":"3.0000000001"}`, 1), "properties[0].price must be a string of digits with at most 9 decimals"},
		{"entitlement", `{` + good + `,"entitlementId":"com_1"}`, "entitlementId must be an identity such as com_"},
		{"not UTF-8", `{"idempotencyKey":"` + "\xff" + `"}`, "a string is not UTF-8"},
		{"half a character", `{"idempotencyKey":"\ud800"}`, "an escape that means no character"},
		{"control character", "{\"idempotencyKey\":\"a\nb\"}", "a control character in a string"},
		{"empty batch", `{"events":[]}`, "events has no entries"},
		{"batch with a key", `{"idempotencyKey":"k","events":[{` + good + `}]}`, "idempotencyKey is not for a batch"},
		{"broken entry", `{"events":[{` + good + `},{]}`, "not valid JSON"},
		{"deep nesting", `[` + strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40) + `]`, "more than 32 levels of nesting"},
		{"too many entries", `[` + strings.Repeat(`{`+good+`},`, 1000) + `{` + good + `}]`, "events has more than 1000 entries"},
		{"CloudEvent of another type", `{"specversion":"1.0","type":"x"}`, "source and id are the idempotency key"},
		{"CloudEvent of another type and version", `{"id":"1","source":"k","type":"x","subject":"$customer","data":{}}`, "specversion is required of a CloudEvent"},
		{"CloudEvent of a type that is no text", `{"specversion":"1.0","type":7}`, "type must be a string"},
		{"CloudEvent without data", `{"specversion":"1.0"}`, "id is required of a CloudEvent"},
		{"CloudEvent with an attribute twice", `{"specversion":"1.0","specversion":"1.0"}`, "specversion is given twice"},
		{"CloudEvent with an extension twice", `{"id":"1","x":1,"x":1}`, "x is given twice"},
		{"CloudEvent in base 64", `{"specversion":"1.0","data_base64":""}`, "data is JSON"},
		{"CloudEvent with unknown data", `{"specversion":"1.0","data":{"discount":1}}`, `data."discount" is no field`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newTestDecoder()
			w, err := decode(d, "ReportUsage", tt.body)
			if err == nil {
				t.Fatalf("accepted: %+v", w)
			}
			if code := commands.CodeOf(err); code != commands.Invalid && code != commands.NotFound {
				t.Errorf("code %q of %v", code, err)
			}
			if !strings.Contains(err.Error(), fill(tt.want)) {
				t.Errorf("refused with %q, want it to say %q", err, tt.want)
			}
		})
	}
}

// TestBatchEntries holds that in a batch what is no usage event is refused alone, and that the answer is in the order
// of the body.
func TestBatchEntries(t *testing.T) {
	d, _, _ := newTestDecoder()
	one := func(k string) string { return strings.Replace(usage, "k1", k, 1) }
	body := fill(`{"events":[{"customerId":7}, ` + one("a") + ` ,"text",` + one("b") + `,` + strings.Replace(one("c"), "$customer", "cus_01JD3W8X5KQ7M2N4P6R8T0V2W4", 1) +
		`,{"events":[]},` + one("d") + `,{"specversion":"1.0"}]}`)
	w, err := d.Command(context.Background(), "ReportUsage", merchant, owner, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, r := range w.Requests {
		u := r.Command.(*commands.ReportUsage)
		got = append(got, fmt.Sprintf("%s %s %d %s", r.Key, u.Customer, len(u.Properties), u.Metadata.Box))
		if want := `"idempotencyKey":"` + r.Key + `"`; !strings.Contains(string(w.Source([]int{1, 3, 4, 6}[i])), want) {
			t.Errorf("the source of %s is %s", r.Key, w.Source([]int{1, 3, 4, 6}[i]))
		}
	}
	want := fill("a $customer 2 usage.metadata {\"a\":\"1\",\"b\":\"2\"}|b $customer 2 usage.metadata {\"a\":\"1\",\"b\":\"2\"}|c cus_01JD3W8X5KQ7M2N4P6R8T0V2W4 2 |d $customer 2 usage.metadata {\"a\":\"1\",\"b\":\"2\"}")
	if diff := cmp.Diff(strings.Split(want, "|"), got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	receipts := make([]commands.Receipt, len(w.Requests))
	for i := range receipts {
		receipts[i] = commands.Receipt{Status: commands.Accepted, Seq: events.Seq(i + 1)}
	}
	var said []string
	for _, r := range w.Receipts(receipts) {
		said = append(said, fmt.Sprintf("%s %d %s", r.Status, r.Seq, r.Message))
	}
	wantSaid := []string{
		"rejected 0 events[0].customerId must be a string, not a number",
		"accepted 1 ",
		"rejected 0 events[2] must be an object: a usage event, not a string",
		"accepted 2 ",
		"accepted 3 ",
		"rejected 0 events[5].events is no field of a usage event",
		"accepted 4 ",
		"rejected 0 events[7].id is required of a CloudEvent",
	}
	if diff := cmp.Diff(wantSaid, said); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
	if got := string(w.Source(2)); got != `"text"` {
		t.Errorf("source of entry 2 is %s", got)
	}
	answer := string(w.AppendAnswer(nil, receipts))
	if !strings.HasPrefix(answer, `{"receipts":[{"status":"rejected"`) || strings.Count(answer, `"status"`) != 8 {
		t.Errorf("answer %s", answer)
	}
}

// TestReuse holds that memory which is used again carries nothing over.
func TestReuse(t *testing.T) {
	d, _, _ := newTestDecoder()
	first, err := decode(d, "ReportUsage", `[`+usage+`,`+usage+`,7]`)
	if err != nil {
		t.Fatal(err)
	}
	first.Release()
	second, err := decode(d, "ReportUsage", strings.Replace(usage, `,"metadata":{"b":"2","a":"1"}`, ``, 1))
	if err != nil {
		t.Fatal(err)
	}
	if second.Batch || len(second.Refused) != 0 || len(second.Requests) != 1 || second.Len() != 1 {
		t.Errorf("got %+v", second)
	}
	if u := second.Requests[0].Command.(*commands.ReportUsage); !u.Metadata.IsZero() || len(u.Properties) != 2 {
		t.Errorf("got %+v", u)
	}
	new(Work).Release()
}

func TestWho(t *testing.T) {
	d, _, _ := newTestDecoder()
	body := []byte(`{"name":"n","description":"d"}`)
	for _, tt := range []struct {
		name     string
		who      Who
		merchant events.OrganizationID
		body     []byte
		code     commands.Code
		want     events.OrganizationID
	}{
		{"a merchant's key for itself", owner, merchant, body, "", merchant},
		{"a merchant's key for another", owner, stranger, body, commands.NotFound, merchant},
		{"a merchant's key for none", owner, events.OrganizationID{}, body, commands.Forbidden, merchant},
		{"an auditor", Who{Role: events.AuditorKey}, merchant, body, commands.Forbidden, merchant},
		{"nobody", Who{}, merchant, body, commands.Unauthorized, merchant},
		{"an operator for a merchant", operator, stranger, body, "", stranger},
		{"an operator for none", operator, events.OrganizationID{}, body, "", events.OrganizationID{}},
		{"an operator for one that the body names", operator, events.OrganizationID{}, []byte(fill(`{"name":"n","description":"d","merchantId":"$stranger"}`)), "", stranger},
		{"an operator for one and another", operator, merchant, []byte(fill(`{"name":"n","description":"d","merchantId":"$stranger"}`)), commands.Invalid, merchant},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, err := d.Command(context.Background(), "CreateProduct", tt.merchant, tt.who, tt.body)
			if code := commands.CodeOf(err); code != tt.code {
				t.Fatalf("code %q, want %q: %v", code, tt.code, err)
			}
			if err != nil {
				return
			}
			r := w.Requests[0]
			if r.Merchant != tt.want || r.Operator != tt.who.Operator() || r.Actor != tt.who.Actor() {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	d, k, _ := newTestDecoder()
	k.failed = errors.New("disk on fire")
	_, err := decode(d, "CreateCustomer", `{"consumer":{"name":"n","email":"new@example.com","address":{}}}`)
	if err == nil || commands.CodeOf(err) != "" {
		t.Fatalf("got %v, want a failure", err)
	}
	if r := RejectionOf(err); r.Code != commands.LedgerFailed || !strings.Contains(r.Message, "disk on fire") {
		t.Errorf("answered with %v", r)
	}
	if r := RejectionOf(context.Canceled); r.Code != commands.Busy {
		t.Errorf("answered with %v", r)
	}
	if r := RejectionOf(commands.Reject(commands.NotFound, "x")); r.Code != commands.NotFound {
		t.Errorf("answered with %v", r)
	}
}

// TestTextsGiveNoOrders: names come into the mail of others, onto terminals and into tables, so they are of one line, and no text has a character that is
// not seen but obeyed.
func TestTextsGiveNoOrders(t *testing.T) {
	d, _, _ := newTestDecoder()
	text := func(text string) string {
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for command, body := range map[string]string{
		"CreateProduct":  `{"name":TEXT,"description":"d"}`,
		"UpdateProduct":  `{"productId":"$product","name":TEXT}`,
		"CreateCustomer": `{"consumer":{"name":TEXT,"email":"a@b.example","address":{"country":"DE","zipCode":"10115"}}}`,
	} {
		for _, bad := range []string{"a\nb", "a\r\nBcc: b@c.example", "a\tb", "\x1b[31m", "\x7f", "\u009b31m", "a\u2028b", "\x00", "a\u202eb", "\u2066a"} {
			_, err := decode(d, command, strings.Replace(body, "TEXT", text(bad), 1))
			if r := RejectionOf(err); err == nil || r.Code != commands.Invalid || !strings.Contains(r.Message, "control character") {
				t.Errorf("%s, name %q: %v", command, bad, err)
			}
		}
		if _, err := decode(d, command, strings.Replace(body, "TEXT", text("Jürgen & 名"), 1)); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	for words, ok := range map[string]bool{"one\n\ttwo\r\n": true, "three\x1b[31m": false} {
		if _, err := decode(d, "UpdateProduct", `{"productId":"$product","description":`+text(words)+`}`); (err == nil) != ok {
			t.Errorf("a description %q: %v", words, err)
		}
	}
}
