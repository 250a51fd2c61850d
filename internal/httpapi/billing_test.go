package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestAuthorizationSessions: a merchant asks somebody to become its customer, and sees how far that has come; the paths of these
// sessions and those of what customers have are not mixed up.
func TestAuthorizationSessions(t *testing.T) {
	w := newWorld(t, nil)
	s := w.newShop()
	made := w.do(201, "POST", "/v0/customers/authorization", fmt.Sprintf(`{"email":" Joan@Example.com","planId":%q,"merchantId":%q}`, s.plan, w.merchant))
	if made["status"] != "pending" || made["email"] != "joan@example.com" || made["planName"] != "Pay as you go" || made["merchantName"] != "Acme AI" || made["customerId"] != nil {
		t.Errorf("the session is %v", made)
	}
	path := "/v0/customers/authorization/" + made["id"].(string)
	if got := w.do(200, "GET", path, ""); fmt.Sprint(got) != fmt.Sprint(made) {
		t.Errorf("the session is %v, want %v", got, made)
	}
	w.command("CompleteAuthorization", fmt.Sprintf(`{"authorizationId":%q,"consumer":{"name":"Joan","email":"joan@example.com","address":{"country":"GB"}}}`, made["id"]))
	w.until(func() bool { return w.do(200, "GET", path, "")["status"] == "completed" }) // another key has done it
	done := w.do(200, "GET", path, "")
	customer, ok := done["customerId"].(string)
	if !ok || done["status"] != "completed" {
		t.Fatalf("the completed session is %v", done)
	}
	w.do(200, "GET", "/v0/customers/"+customer+"/paymentMethods", "")
	w.call(w.foreign, "GET", path, "").code(t, 404, "NOT_FOUND")
	w.call(w.key, "GET", "/v0/customers/authorization/paymentMethods", "").code(t, 404, "NOT_FOUND")
	w.call(w.key, "GET", "/v0/customers/"+customer+"/nothing", "").code(t, 404, "NOT_FOUND")
	w.call(w.key, "PATCH", "/v0/customers/"+customer+"/nothing", "").code(t, 404, "NOT_FOUND")
	if r := w.call(w.key, "PATCH", "/v0/customers/"+customer+"/paymentMethods", ""); r.header.Get("Allow") != "GET, POST" {
		t.Errorf("the methods are %q: %s", r.header.Get("Allow"), r.raw)
	}
	w.call(w.key, "POST", "/v0/customers/authorization", fmt.Sprintf(`{"email":"joan@example.com","merchantId":%q}`, w.other)).code(t, 404, "NOT_FOUND")
	w.call(w.key, "POST", "/v0/customers/authorization", `{"email":"nobody"}`).code(t, 400, "INVALID")
}

// TestIncludeCustomer: a list of subscriptions shows on demand who the two sides of each are.
func TestIncludeCustomer(t *testing.T) {
	w := newWorld(t, nil)
	s := w.newShop()
	list := w.do(200, "GET", "/v0/subscriptions?include=customer", "")["data"].([]any)
	customer, _ := list[0].(map[string]any)["customer"].(map[string]any)
	if got := fmt.Sprint(customer["merchant"], customer["consumer"]); customer["id"] != s.customer || !strings.Contains(got, "name:Acme AI") || !strings.Contains(got, "email:jane@example.com") {
		t.Errorf("the sides are %v", customer)
	}
	plain := w.do(200, "GET", "/v0/subscriptions", "")["data"].([]any)
	if plain[0].(map[string]any)["customer"] != nil {
		t.Errorf("nobody has asked for %v", plain)
	}
	w.call(w.key, "GET", "/v0/subscriptions?include=everything", "").code(t, 400, "INVALID")
}

// TestLineItems: a merchant adds a line once, by a key in the header or in the body, and it is on the invoice of its period.
func TestLineItems(t *testing.T) {
	w := newWorld(t, nil)
	s := w.newShop()
	const path = "/v2/invoices/lineItems"
	body := fmt.Sprintf(`{"subscriptionId":%q,"displayName":"Support","description":null,"currency":"USD","quantity":1.5,"unitPrice":10.10,"invoiceAt":null,"idempotencyKey":null}`, s.subscription)
	made := w.call(w.key, "POST", path, body, "Idempotency-Key: line-1").want(t, 201)
	if b := made.body; b["type"] != "manual" || b["status"] != "pending" || b["quantity"] != "1.5" || b["unitPrice"] != "10.1" || b["subtotal"] != "15.15" {
		t.Errorf("the line is %s", made.raw)
	}
	again := w.call(w.key, "POST", path, strings.Replace(body, `"idempotencyKey":null`, `"idempotencyKey":"line-1"`, 1)).want(t, 200)
	if again.body["id"] != made.body["id"] {
		t.Errorf("the repeat is %s, want %s", again.raw, made.raw)
	}
	w.call(w.key, "POST", path, strings.Replace(body, "1.5", "2.5", 1), "Idempotency-Key: line-1").code(t, 409, "IDEMPOTENCY_CONFLICT")
	w.call(w.key, "POST", path, strings.Replace(body, `"idempotencyKey":null`, `"idempotencyKey":"x"`, 1), "Idempotency-Key: line-1").code(t, 400, "INVALID")
	w.call(w.foreign, "POST", path, body).code(t, 404, "NOT_FOUND")
	w.do(201, "POST", path, fmt.Sprintf(`{"subscriptionId":%q,"displayName":"Thanks","currency":"USD","quantity":1,"unitPrice":-5}`, s.subscription))
	list := w.do(200, "GET", path+"?subscriptionId="+s.subscription, "")
	if list["totalCount"] != 2.0 || list["summary"].(map[string]any)["feeSubtotal"] != "10.15" {
		t.Errorf("the lines are %v", list)
	}
	w.call(w.key, "GET", path, "").code(t, 400, "INVALID")
}

// TestInvoiceTax: an invoice says what was taxed so far, then that its tax is the same, and nothing of a tax where it is never issued.
func TestInvoiceTax(t *testing.T) {
	w := newWorld(t, nil)
	s := w.newShop()
	w.do(200, "PATCH", "/v0/customers/"+s.customer, `{"taxRates":9}`)
	w.do(201, "POST", "/v0/wallets/"+s.wallet+"/topups", `{"amount":"20","method":"sandbox"}`)
	w.do(201, "POST", "/v0/usage", w.usage(s, "call-1", 2500))
	invoice := func(status string) map[string]any {
		t.Helper()
		list := w.do(200, "GET", "/v2/invoices?status="+status+"&subscriptionId="+s.subscription, "")["data"].([]any)
		if len(list) != 1 {
			t.Fatalf("the invoices that are %s are %v", status, list)
		}
		return list[0].(map[string]any)
	}
	if tax := invoice("ACTIVE")["tax"].(map[string]any); tax["estimatedTax"] != "4500000" || tax["reconciled"] != false || tax["actualTax"] != nil {
		t.Errorf("while it is open, the tax is %v", tax)
	}
	w.do(200, "PATCH", "/v0/testClocks/"+s.clock, `{"advanceBy":"P1M2D"}`)
	paid := invoice("PAID")
	if tax := paid["tax"].(map[string]any); tax["estimatedTax"] != "4500000" || tax["actualTax"] != "4500000" || tax["difference"] != "0" ||
		tax["adjustmentNeeded"] != false || tax["adjustmentApplied"] != false || tax["reconciled"] != true || tax["reconciledAt"] != paid["paidAt"] {
		t.Errorf("once it is issued, the tax is %v", tax)
	}
	w.do(200, "PATCH", "/v0/testClocks/"+s.clock, `{"advanceBy":"P1M2D"}`)
	if tax := invoice("CANCELLED")["tax"]; tax != nil {
		t.Errorf("of an invoice that is never issued, the tax is %v", tax)
	}
}

// TestMeanLine reads the quantity of a line of an AVG: it is the mean that is charged, and not the sum of what was reported.
func TestMeanLine(t *testing.T) {
	w := newWorld(t, nil)
	s := w.newShop()
	s.product = w.make("/v0/products", `{"merchantId":%q,"name":"DB","description":"Databases"}`, w.merchant)
	s.metric = w.make("/v0/billableMetrics", `{"merchantId":%q,"productId":%q,"name":"Size","description":"Size","unit":"GB","aggregation":"AVG"}`, w.merchant, s.product)
	s.price = w.make("/v0/prices", `{"billableMetricId":%q,"model":"standard","paymentTerm":"in_arrears","invoiceDisplayName":"Size","properties":{"unitPrice":"1"}}`, s.metric)
	s.plan = w.make("/v0/plans", `{"merchantId":%q,"productId":%q,"name":"Databases","currency":"USD","prices":[%q]}`, w.merchant, s.product, s.price)
	s.subscription = w.make("/v0/subscriptions", `{"name":"DB","customerId":%q,"planId":%q,"startedAt":%q,"testClockId":%q}`,
		s.customer, s.plan, w.do(200, "GET", "/v0/testClocks/"+s.clock, "")["currentTime"], s.clock)
	for i, size := range []int{7, 3, 3} {
		w.do(201, "POST", "/v0/usage", w.usage(s, fmt.Sprint("size-", i), size))
	}
	for _, status := range []string{"ACTIVE", "ISSUED"} {
		invoice := w.do(200, "GET", "/v2/invoices?status="+status+"&subscriptionId="+s.subscription, "")["data"].([]any)[0].(map[string]any)
		line := w.do(200, "GET", "/v2/invoices/"+invoice["id"].(string)+"/lineItems", "")["lineItems"].([]any)[0].(map[string]any)
		if line["quantity"] != 4.333333333 || line["totalPrice"] != "4.333333333" {
			t.Errorf("while the invoice is %s, the line is %v", status, line)
		}
		w.do(200, "PATCH", "/v0/testClocks/"+s.clock, `{"advanceBy":"P1M2D"}`)
	}
}
