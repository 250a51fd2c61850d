package httpapi_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"tallystick/events"
	"tallystick/internal/httpapi"
	"tallystick/internal/server"
	"tallystick/internal/wire"
)

// TestStory goes from a catalogue to a paid invoice over HTTP alone.
func TestStory(t *testing.T) {
	w := newWorld(t, nil)
	s := w.newShop()
	u := w.do(201, "POST", "/v0/usage", w.usage(s, "call-1", 2500))
	billing := u["billing"].(map[string]any)
	if billing["price"] != 50_000_000.0 || billing["totalAmount"] != 50_000_000.0 || billing["invoiceId"] == nil || u["consumerId"] == nil {
		t.Errorf("2,500 tokens at $0.00002 are billed as %v", u)
	}
	if again := w.do(201, "POST", "/v0/usage", w.usage(s, "call-1", 2500)); again["id"] != u["id"] {
		t.Errorf("the repeat is %v, want %v", again, u)
	}
	w.call(w.key, "POST", "/v0/usage", w.usage(s, "call-1", 2)).code(t, 409, "IDEMPOTENCY_CONFLICT")
	if got := w.do(200, "GET", "/v0/usage/"+u["id"].(string), ""); fmt.Sprint(got) != fmt.Sprint(u) {
		t.Errorf("the usage event is %v, want %v", got, u)
	}
	batch := fmt.Sprintf(`{"events":[%s,%s,{"idempotencyKey":"bad"}]}`, w.usage(s, "call-2", 1), w.usage(s, "call-3", 1))
	several := w.do(207, "POST", "/v0/usage/batch", batch)
	if fmt.Sprint(several["summary"]) != "map[failed:1 successful:2 total:3]" ||
		several["failed"].([]any)[0].(map[string]any)["idempotencyKey"] != "bad" {
		t.Errorf("the batch answers %v", several)
	}
	if w := w.do(200, "GET", "/v0/wallets/"+s.wallet, ""); w["balance"] != 19_949_960_000.0 {
		t.Errorf("the wallet is %v", w)
	}
	w.do(200, "PATCH", "/v0/testClocks/"+s.clock, `{"advanceBy":"P1M2D"}`)
	invoices := w.do(200, "GET", "/v2/invoices?status=PAID&subscriptionId="+s.subscription, "")
	if invoices["pagination"].(map[string]any)["total"] != 1.0 {
		t.Fatalf("the invoices are %v", invoices)
	}
	invoice := invoices["data"].([]any)[0].(map[string]any)
	if invoice["grandTotal"] != "0.05" || invoice["subtotal"] != "0.05004" || invoice["invoiceNumber"] == nil {
		t.Errorf("the invoice is %v", invoice)
	}
	lines := w.do(200, "GET", "/v2/invoices/"+invoice["id"].(string)+"/lineItems", "")
	if line := lines["lineItems"].([]any)[0].(map[string]any); line["quantity"] != 2502.0 {
		t.Errorf("the lines are %v", lines)
	}
	list := w.do(200, "GET", "/v0/usage?startTime=2020-01-01T00:00:00Z&endTime=2100-01-01T00:00:00Z&limit=2&customerId="+s.customer, "")
	if fmt.Sprint(list["pagination"]) != "map[limit:2 offset:0 total:3]" || len(list["data"].([]any)) != 2 {
		t.Errorf("the usage events are %v", list)
	}
	w.do(200, "POST", "/v0/subscriptions/"+s.subscription+"/termination", `{"reason":"moved on"}`)
	w.call(w.key, "POST", "/v0/subscriptions/"+s.subscription+"/termination", `{"reason":"moved on"}`).code(t, 409, "ALREADY_TERMINATED")
}

// TestKeys: a key is shown once, works at once, is another merchant's business never, and ends when it is revoked.
func TestKeys(t *testing.T) {
	w := newWorld(t, nil)
	made := w.do(201, "POST", "/v0/keys", `{"name":"second"}`)
	secret := made["secret"].(string)
	if !strings.HasPrefix(secret, "sk_test_") || made["merchantId"] != w.merchant {
		t.Fatalf("the key is %v", made)
	}
	w.call(secret, "GET", "/v0/products", "").want(t, 200)
	if list := w.call(secret, "GET", "/v0/keys", "").want(t, 200); strings.Contains(string(list.raw), secret) || !strings.Contains(string(list.raw), made["id"].(string)) {
		t.Errorf("the keys are %s", list.raw)
	}
	id := made["id"].(string)
	first := w.call(w.key, "POST", "/v0/keys", `{"name":"third"}`, "Idempotency-Key: third").want(t, 201).body
	again := w.call(w.key, "POST", "/v0/keys", `{"name":"third"}`, "Idempotency-Key: third").want(t, 201).body
	if again["id"] != first["id"] || again["secret"] != nil {
		t.Errorf("made again it is %v, want %v without its secret, which is kept nowhere", again["id"], first["id"])
	}
	w.call(w.foreign, "DELETE", "/v0/keys/"+id, "").code(t, 404, "NOT_FOUND")
	w.call(secret, "POST", "/v0/keys", `{"role":"operator"}`).code(t, 403, "FORBIDDEN")
	w.call(w.key, "DELETE", "/v0/keys/"+id, "").want(t, 204)
	w.call(secret, "GET", "/v0/products", "").code(t, 401, "UNAUTHORIZED")
	for _, key := range []string{"", "sk_test_nonsense", "Basic"} {
		w.call(key, "GET", "/v0/products", "").code(t, 401, "UNAUTHORIZED")
	}
}

// TestSameContent: a command has the same content hash over HTTP, with its key in a header and an identity in the path, as
// it has over NATS (D8).
func TestSameContent(t *testing.T) {
	w := newWorld(t, nil)
	s := w.newShop()
	body := `{"amount":"5.00","method":"sandbox"}`
	first := w.call(w.key, "POST", "/v0/wallets/"+s.wallet+"/topups", body, "Idempotency-Key: pay-1").want(t, 201)
	merchant, err := events.ParseID[events.OrganizationNoun](w.merchant)
	if err != nil {
		t.Fatal(err)
	}
	who := wire.Who{Role: events.MerchantKey, Merchant: merchant}
	answer, err := w.server.Command(t.Context(), who, merchant, "TopUp", fmt.Appendf(nil, `{"idempotencyKey":"pay-1","method":"sandbox","walletId":%q,"amount":"5"}`, s.wallet))
	if err != nil {
		t.Fatal(err)
	}
	var receipt map[string]any
	if err := json.Unmarshal(answer, &receipt); err != nil {
		t.Fatal(err)
	}
	if receipt["status"] != "duplicate" || receipt["id"] != first.body["id"] {
		t.Errorf("the repeat elsewhere is %s, want the duplicate of %s", answer, first.raw)
	}
	again := w.call(w.key, "POST", "/v0/wallets/"+s.wallet+"/topups", body, "Idempotency-Key: pay-1").want(t, 201)
	if again.body["id"] != first.body["id"] {
		t.Errorf("the repeat is %s, want %s", again.raw, first.raw)
	}
	w.call(w.key, "POST", "/v0/wallets/"+s.wallet+"/topups", `{"amount":"6","method":"sandbox"}`, "Idempotency-Key: pay-1").code(t, 409, "IDEMPOTENCY_CONFLICT")
	w.call(w.key, "POST", "/v0/wallets/"+s.wallet+"/topups", body, "Idempotency-Key: "+strings.Repeat("x", 256)).code(t, 400, "INVALID")
}

// TestBadBodies: whatever is wrong with a body, the answer is 400 with a code, it names the field where there is one, and
// nothing is recorded.
func TestBadBodies(t *testing.T) {
	w := newWorld(t, nil)
	before := w.server.Sequencer.Applied()
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	for _, tt := range []struct{ what, body, field, code string }{
		{"no object", `[]`, "body", "INVALID"},
		{"no JSON", `{"name":`, "", "INVALID"},
		{"something behind it", `{} {}`, "", "INVALID"},
		{"a name twice", `{"name":"a","name":"b"}`, "", "INVALID"},
		{"not UTF-8", "{\"name\":\"\xff\"}", "", "INVALID"},
		{"too deep", deep, "", "INVALID"},
		{"a number beyond all", `{"name":1e999}`, "name", "INVALID"},
		{"one further in", `{"a":{"b":[1,{"c":-1e999}]}}`, "a.b[1].c", "INVALID"},
		{"another type", `{"merchantId":"` + w.merchant + `","name":7,"description":"d"}`, "name", "INVALID"},
		{"a field that there is not", `{"merchantId":"` + w.merchant + `","name":"n","description":"d","colour":"red"}`, "colour", "INVALID"},
		{"a field missing", `{"merchantId":"` + w.merchant + `","name":"n"}`, "description", "INVALID"},
		{"too long", `{"merchantId":"` + w.merchant + `","name":"` + strings.Repeat("x", 256) + `","description":"d"}`, "name", "INVALID"},
		{"too large", `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, "", "TOO_LARGE"},
	} {
		r := w.call(w.key, "POST", "/v0/products", tt.body)
		if r.code(t, 400, tt.code); tt.field == "" {
			continue
		}
		list, ok := r.body["errors"].([]any)
		if !ok || r.body["error"] != "validation_error" || list[0].(map[string]any)["field"] != tt.field {
			t.Errorf("%s: the answer is %s, want a fault of %s", tt.what, r.raw, tt.field)
		}
	}
	several := w.call(w.key, "POST", "/v0/products", `{"merchantId":"org_","name":7,"description":[]}`)
	if several.want(t, 400); len(several.body["errors"].([]any)) != 3 {
		t.Errorf("three faults are answered with %s", several.raw)
	}
	w.call(w.key, "POST", "/v0/billableMetrics", `{"merchantId":"`+w.merchant+`","productId":"prod_1","name":"n","description":"d","unit":"u","aggregation":"MEDIAN"}`).code(t, 400, "INVALID")
	w.call(w.key, "GET", "/v0/products?limit=0", "").code(t, 400, "INVALID")
	w.call(w.key, "GET", "/v0/products?limit=ten", "").code(t, 400, "INVALID")
	w.call(w.key, "GET", "/v0/products?limit=1&limit=2", "").code(t, 400, "INVALID")
	w.call(w.key, "POST", "/v0/usage", `{"events":[]}`).code(t, 400, "INVALID")
	if after := w.server.Sequencer.Applied(); after != before {
		t.Errorf("refusals moved the log from %d to %d", before, after)
	}
}

// TestForeign: what another merchant has is answered like what there is not (D10).
func TestForeign(t *testing.T) {
	w := newWorld(t, nil)
	s := w.newShop()
	for _, path := range []string{
		"/v0/products/" + s.product, "/v0/billableMetrics/" + s.metric, "/v0/prices/" + s.price, "/v0/plans/" + s.plan,
		"/v0/customers/" + s.customer, "/v0/subscriptions/" + s.subscription, "/v0/testClocks/" + s.clock, "/v0/wallets/" + s.wallet,
		"/v0/wallets/" + s.wallet + "/topups", "/v0/products?merchantId=" + w.merchant, "/v0/customers?organizationId=" + w.merchant,
	} {
		w.call(w.key, "GET", path, "").want(t, 200)
		w.call(w.foreign, "GET", path, "").code(t, 404, "NOT_FOUND")
	}
	w.call(w.foreign, "POST", "/v0/products", fmt.Sprintf(`{"merchantId":%q,"name":"n","description":"d"}`, w.merchant)).code(t, 404, "NOT_FOUND")
	w.call(w.foreign, "POST", "/v0/subscriptions/"+s.subscription+"/termination", `{"reason":"r"}`).code(t, 404, "NOT_FOUND")
	w.call(w.key, "GET", "/v0/products/prod_1", "").code(t, 404, "NOT_FOUND")
	w.call(w.key, "GET", "/v0/nothing", "").code(t, 404, "NOT_FOUND")
	r := w.call(w.key, "PUT", "/v0/products", "")
	if r.code(t, 405, "METHOD_NOT_ALLOWED"); r.header.Get("Allow") != "GET, POST" {
		t.Errorf("the methods are %q", r.header.Get("Allow"))
	}
}

// TestRateLimit: a key that asks too often is told so, and told when to come back; others are not.
func TestRateLimit(t *testing.T) {
	w := newWorld(t, func(d *server.Doors) { d.APILimit = httpapi.Limit{PerSecond: 1, Burst: 3} })
	for range 3 {
		w.call(w.key, "GET", "/v0/products", "").want(t, 200)
	}
	r := w.call(w.key, "GET", "/v0/products", "")
	r.code(t, 429, "RATE_LIMITED")
	if r.header.Get("Retry-After") != "1" || r.header.Get("RateLimit-Limit") != "3" || r.header.Get("RateLimit-Remaining") != "0" {
		t.Errorf("the headers are %v", r.header)
	}
	w.call(w.foreign, "GET", "/v0/products", "").want(t, 200)
}

// TestRateLimitOfOperations: some operations take fewer requests than others, as clients know them to; the headers say so.
func TestRateLimitOfOperations(t *testing.T) {
	w := newWorld(t, func(d *server.Doors) { d.APILimit = httpapi.Limit{PerSecond: 10_000} })
	s := w.newShop()
	line := fmt.Sprintf(`{"subscriptionId":%q,"displayName":"Support","currency":"USD","quantity":1,"unitPrice":1}`, s.subscription)
	for _, tt := range []struct {
		method, path, body, limit, wait string
	}{
		{"GET", "/v0/customers?organizationId=" + w.merchant, "", "10", "1"},
		{"POST", "/v0/subscriptions/" + s.subscription + "/portal", "{}", "1", "1"},
		{"POST", "/v2/invoices/lineItems", line, "60", "1"},
	} {
		asked := 0
		r := w.call(w.key, tt.method, tt.path, tt.body)
		for ; r.status < 300 && asked < 1000; asked++ {
			if r.header.Get("RateLimit-Limit") != tt.limit || r.header.Get("Retry-After") != "" {
				t.Fatalf("%s answers %v", tt.path, r.header)
			}
			r = w.call(w.key, tt.method, tt.path, tt.body)
		}
		r.code(t, 429, "RATE_LIMITED")
		if r.header.Get("RateLimit-Remaining") != "0" || r.header.Get("Retry-After") != tt.wait {
			t.Errorf("%s answers, after %d requests, %v", tt.path, asked, r.header)
		}
	}
	w.call(w.key, "GET", "/v0/products", "").want(t, 200)
	w.call(w.foreign, "GET", "/v0/customers?organizationId="+w.other, "").want(t, 200)
}

// TestDocs: the description and its page are served without a key, and need nothing from elsewhere.
func TestDocs(t *testing.T) {
	w := newWorld(t, nil)
	doc := w.call("", "GET", "/openapi.json", "").want(t, 200)
	if doc.body["openapi"] != "3.1.0" || doc.body["paths"].(map[string]any)["/v0/usage"] == nil {
		t.Errorf("the description is %.200s", doc.raw)
	}
	page := w.call("", "GET", "/docs", "").want(t, 200)
	text := string(page.raw)
	if !strings.Contains(text, "Report usage") || strings.Contains(text, "<script") || strings.Contains(text, "://") {
		t.Errorf("the page has a script, or something from elsewhere, or no operations")
	}
	if csp := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
		t.Errorf("the policy is %q", csp)
	}
	w.call("", "GET", "/docs.css", "").want(t, 200)
}

// TestReadYourWrites: what a key was told of, its next question finds.
func TestReadYourWrites(t *testing.T) {
	w := newWorld(t, nil)
	deadline := time.Now().Add(3 * time.Second)
	for i := 0; i < 200 && time.Now().Before(deadline); i++ {
		id := w.make("/v0/products", `{"merchantId":%q,"name":"n","description":"d"}`, w.merchant)
		w.do(200, "GET", "/v0/products/"+id, "")
		if n := w.do(200, "GET", "/v0/products", "")["pagination"].(map[string]any)["total"]; n != float64(i+1) {
			t.Fatalf("after %d products the list has %v", i+1, n)
		}
	}
}

// TestPriceFeatures: a price says which feature it gives, and on what terms, as they were given; so does the price in its plan.
func TestPriceFeatures(t *testing.T) {
	w := newWorld(t, nil)
	product := w.make("/v0/products", `{"merchantId":%q,"name":"LLM API","description":"by the token"}`, w.merchant)
	for i, template := range []string{
		`{"type":"boolean"}`, `{"type":"static","config":{"seats":[1,2]}}`,
		`{"type":"metered","usagePeriod":{"interval":"P1M","anchor":"2025-01-31T00:00:00Z"},"issueAfterReset":100.5,"issueAfterResetPriority":-1,
			"isSoftLimit":true,"preserveOverageAtReset":true,"resetMaxRollover":50,"resetMinRollover":1}`,
	} {
		var want map[string]any
		if err := json.Unmarshal([]byte(template), &want); err != nil {
			t.Fatal(err)
		}
		feature := w.make("/v0/features", `{"merchantId":%q,"productId":%q,"key":"key-%d","name":"A feature","type":%q}`, w.merchant, product, i, want["type"])
		metric := w.make("/v0/billableMetrics", `{"merchantId":%q,"productId":%q,"name":"Tokens","description":"Tokens","unit":"tokens","aggregation":"SUM"}`, w.merchant, product)
		price := w.make("/v0/prices", `{"billableMetricId":%q,"model":"standard","paymentTerm":"in_arrears","invoiceDisplayName":"Tokens","properties":{"unitPrice":"1"},
			"feature":{"featureId":%q,"entitlementTemplate":%s}}`, metric, feature, template)
		plan := w.make("/v0/plans", `{"merchantId":%q,"productId":%q,"name":"Plan","currency":"USD","prices":[%q]}`, w.merchant, product, price)
		all := []any{map[string]any{
			"id": feature, "featureId": feature, "entitlementTemplate": want,
			"feature": map[string]any{"key": fmt.Sprintf("key-%d", i), "name": "A feature", "type": want["type"]},
		}}
		alone := w.do(200, "GET", "/v0/prices/"+price, "")
		within := w.do(200, "GET", "/v0/plans/"+plan, "")["prices"].([]any)[0].(map[string]any)
		for _, got := range []any{alone["features"], within["features"]} {
			if !reflect.DeepEqual(got, any(all)) {
				t.Errorf("the price has the features %v, want %v", got, all)
			}
		}
		if refusal := w.call(w.key, "DELETE", "/v0/features/"+feature, ""); fmt.Sprint(refusal.body["details"]) != "map[blockers:[map[count:1 type:prices]]]" {
			t.Errorf("the feature cannot be deleted: %s", refusal.raw)
		}
	}
}

// TestRulesNameFields: what a rule does not like of a request names the field too, as what the description does not like does.
func TestRulesNameFields(t *testing.T) {
	w := newWorld(t, nil)
	s := w.newShop()
	price := `{"billableMetricId":"` + s.metric + `","model":"standard","paymentTerm":"instant","invoiceDisplayName":"Tokens","properties":%s}`
	for _, tt := range []struct{ path, body, field string }{
		{"/v0/wallets/" + s.wallet + "/topups", `{"amount":"0","method":"sandbox"}`, "amount"},
		{"/v0/payments", `{"amount":"0.50","currency":"USD"}`, "amount"},
		{"/v0/prices", fmt.Sprintf(price, `{"unitPrice":"-1"}`), "properties.unitPrice"},
		{"/v0/prices", strings.Replace(fmt.Sprintf(price, `{"minPrice":"2","maxPrice":"1"}`), "standard", "dynamic", 1), "properties.minPrice"},
		{"/v0/usage", strings.Replace(w.usage(s, "k", 1), `"quantity":1`, `"quantity":1,"price":"1"`, 1), "properties[0].price"},
		{"/v0/subscriptions", fmt.Sprintf(`{"name":"n","customerId":%q,"planId":%q,"startedAt":"2001-01-01T00:00:00Z"}`, s.customer, s.plan), "startedAt"},
	} {
		r := w.call(w.key, "POST", tt.path, tt.body)
		r.code(t, 400, "INVALID")
		if list, ok := r.body["errors"].([]any); !ok || len(list) != 1 || list[0].(map[string]any)["field"] != tt.field {
			t.Errorf("%s %s is answered %s, want a fault of %s", tt.path, tt.body, r.raw, tt.field)
		}
	}
}
