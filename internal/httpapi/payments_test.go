package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestPayments: one-off payments, stored methods and top-ups go through payment sessions, which are paid and cancelled.
func TestPayments(t *testing.T) {
	w := newWorld(t, nil)
	s := w.newShop()
	body := fmt.Sprintf(`{"amount":"12.50","currency":"USD","customerId":%q,"reference":"R-1","metadata":{"order":"7"},"lineItems":[{"description":"Book","amount":"12.50"}]}`, s.customer)
	made := w.call(w.key, "POST", "/v0/payments", body, "Idempotency-Key: order-7").want(t, 201)
	again := w.call(w.key, "POST", "/v0/payments", body, "Idempotency-Key: order-7").want(t, 200)
	if made.body["id"] != again.body["id"] || made.body["status"] != "pending" || made.body["reference"] != "R-1" {
		t.Errorf("the payment is %s, and again %s", made.raw, again.raw)
	}
	w.call(w.foreign, "GET", "/v0/payments/"+made.body["id"].(string), "").code(t, 404, "NOT_FOUND")
	session := made.body["paymentSessionId"].(string)
	w.do(200, "POST", "/v0/paymentSessions/"+session+"/payment", `{"token":"tok_visa"}`)
	w.until(func() bool {
		return w.do(200, "GET", "/v0/payments/"+made.body["id"].(string), "")["status"] == "completed"
	})
	if list := w.do(200, "GET", "/v0/payments?status=completed", ""); list["pagination"].(map[string]any)["total"] != 1.0 {
		t.Errorf("the payments are %v", list)
	}
	w.call(w.key, "POST", "/v0/payments", `{"amount":"0.50","currency":"USD"}`).want(t, 400)
	w.call(w.key, "POST", "/v0/payments", `{"amount":"1.234","currency":"USD"}`).code(t, 400, "INVALID")

	setup := w.do(201, "POST", "/v0/customers/"+s.customer+"/paymentMethods", `{"metadata":{"a":"b"}}`)
	if setup["mode"] != "setup" {
		t.Errorf("the session is %v", setup)
	}
	w.do(200, "POST", "/v0/paymentSessions/"+setup["id"].(string)+"/payment", `{"card":{"number":"4242424242424242","expMonth":12,"expYear":2040,"cvc":"123"}}`)
	methods := "/v0/customers/" + s.customer + "/paymentMethods"
	w.until(func() bool { return len(w.do(200, "GET", methods, "")["data"].([]any)) == 1 })
	listed := w.do(200, "GET", methods, "")
	if p := listed["pagination"].(map[string]any); p["total"] != 1.0 || p["limit"] != 1.0 {
		t.Errorf("one method is listed as %v", p)
	}
	method := listed["data"].([]any)[0].(map[string]any)
	if method["last4"] != "4242" || method["expYear"] != 2040.0 {
		t.Errorf("the method is %v", method)
	}
	w.call(w.key, "DELETE", methods+"/"+method["id"].(string), "").want(t, 204)

	top := w.do(201, "POST", "/v0/wallets/"+s.wallet+"/topups", `{"amount":"5.00","method":"stripe"}`)
	if top["status"] != "pending" {
		t.Errorf("the top-up is %v", top)
	}
	pending := top["payload"].(map[string]any)["paymentSessionId"].(string)
	w.do(200, "POST", "/v0/paymentSessions/"+pending+"/cancellation", "")
	if list := w.do(200, "GET", "/v0/paymentSessions?status=cancelled&entityType=topup", ""); !strings.Contains(fmt.Sprint(list), pending) {
		t.Errorf("the cancelled sessions are %v", list)
	}
	w.do(200, "GET", "/v0/paymentSessions/"+pending, "")
	w.call(w.foreign, "GET", "/v0/paymentSessions/"+pending, "").code(t, 404, "NOT_FOUND")
}

// TestReservations: money is set aside for usage, which it then pays.
func TestReservations(t *testing.T) {
	w := newWorld(t, nil)
	s := w.newShop()
	made := w.do(201, "POST", "/v0/entitlements", fmt.Sprintf(`{"merchantId":%q,"customerId":%q,"entitlementData":[{"billableMetricId":%q,"quantity":10000}],"maxUses":2}`, w.merchant, s.customer, s.metric))
	if made["remainingBalance"] != "200000000" {
		t.Errorf("the reservation is %v", made)
	}
	list := w.do(200, "GET", "/v0/entitlements/activeEntitlements?customerId="+s.customer, "")
	if list["pagination"].(map[string]any)["total"] != 1.0 {
		t.Errorf("the reservations are %v", list)
	}
	w.call(w.foreign, "GET", "/v0/entitlements/activeEntitlements?customerId="+s.customer, "").code(t, 404, "NOT_FOUND")
	com := "com_" + strings.TrimPrefix(made["id"].(string), "ent_")
	usage := strings.Replace(w.usage(s, "call-1", 100), "{", fmt.Sprintf(`{"entitlementId":%q,`, com), 1)
	if u := w.do(201, "POST", "/v0/usage", usage); u["entitlementId"] != com {
		t.Errorf("the usage event is %v", u)
	}
}
