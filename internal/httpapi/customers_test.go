package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestCustomers: a customer is made once for a consumer, found by parts of what is sealed, changed and deleted.
func TestCustomers(t *testing.T) {
	w := newWorld(t, nil)
	create := func(name, email, more string) string {
		return fmt.Sprintf(`{"merchantId":%q,"consumer":{"name":%q,"email":%q,"address":{"country":"US","zipCode":"10001"}}%s}`, w.merchant, name, email, more)
	}
	first := w.do(201, "POST", "/v0/customers", create("Jane Doe", "jane@example.com", `,"externalId":"c-1","taxId":"US1"`))
	if tax := first["validTaxAddress"].(map[string]any); tax["valid"] != false || tax["message"] != "state is missing" {
		t.Errorf("the address without a state is %v", tax)
	}
	id := first["customerId"].(string)
	if again := w.do(200, "POST", "/v0/customers", create("Jane", " JANE@example.com", "")); again["customerId"] != id {
		t.Errorf("the same address is %v, want %s", again, id)
	}
	w.call(w.key, "POST", "/v0/customers", create("Bob", "bob@example.com", `,"externalId":"c-1"`)).code(t, 409, "CONFLICT")
	bob := w.do(201, "POST", "/v0/customers", create("Bob Jones", "bob@example.com", ""))["customerId"].(string)
	w.call(w.key, "PATCH", "/v0/customers/"+bob, `{"externalId":"c-1"}`).code(t, 409, "CONFLICT")

	for query, want := range map[string]string{"name=DOE": id, "email=bob%40": bob, "externalId=c-1": id, "name=nobody": ""} {
		list := w.do(200, "GET", "/v0/customers?organizationId="+w.merchant+"&"+query, "")
		got := ""
		for _, c := range list["data"].([]any) {
			got += c.(map[string]any)["id"].(string)
		}
		if got != want {
			t.Errorf("%s finds %q, want %q", query, got, want)
		}
	}
	w.call(w.key, "GET", "/v0/customers?organizationId="+w.merchant+"&name=ab", "").code(t, 400, "INVALID")

	c := w.do(200, "PATCH", "/v0/customers/"+id, `{"externalId":"c-2","taxId":null,"taxRates":{"default":8.875},"notificationSettings":{"invoicePaid":false}}`)
	if fmt.Sprint(c["taxRates"]) != "map[default:8.875]" {
		t.Errorf("the tax rates are %v", c["taxRates"])
	}
	if c := w.do(200, "PATCH", "/v0/customers/"+id, `{"taxRates":10}`); fmt.Sprint(c["taxRates"]) != "map[default:10]" {
		t.Errorf("one rate for everything is %v", c["taxRates"])
	}
	if c["externalId"] != "c-2" || c["taxId"] != nil || fmt.Sprint(c["notificationSettings"]) != "map[invoiceIssued:true invoicePaid:false renewalReminder:true]" {
		t.Errorf("the changed customer is %v", c)
	}
	w.do(200, "PATCH", "/v0/customers/"+bob, `{"externalId":"c-1"}`)
	consumer := w.do(200, "PATCH", "/v0/consumers/"+c["consumerId"].(string), `{"address":{"country":"US","zipCode":"10001","state":"NY"}}`)
	if consumer["name"] != "Jane Doe" || consumer["address"].(map[string]any)["state"] != "NY" {
		t.Errorf("the changed consumer is %v", consumer)
	}
	if c := w.do(200, "GET", "/v0/customers/"+id, ""); c["validTaxAddress"].(map[string]any)["valid"] != true {
		t.Errorf("the customer with the whole address is %v", c)
	}
	w.call(w.foreign, "GET", "/v0/consumers/"+c["consumerId"].(string), "").code(t, 404, "NOT_FOUND")
	w.call(w.foreign, "PATCH", "/v0/consumers/"+c["consumerId"].(string), `{"name":"X"}`).code(t, 404, "NOT_FOUND")
	w.call(w.foreign, "PATCH", "/v0/customers/"+id, `{"taxId":"X"}`).code(t, 404, "NOT_FOUND")
	w.call(w.foreign, "DELETE", "/v0/customers/"+id, "").code(t, 404, "NOT_FOUND")

	w.call(w.key, "DELETE", "/v0/customers/"+id, "").want(t, 204)
	w.call(w.key, "GET", "/v0/customers/"+id, "").code(t, 404, "NOT_FOUND")
	if back := w.do(201, "POST", "/v0/customers", create("Jane", "jane@example.com", `,"externalId":"c-2"`)); back["customerId"] == id {
		t.Error("a deleted customer came back as itself")
	}
}

// TestBlockers: what is in use is not deleted, and the refusal names what uses it.
func TestBlockers(t *testing.T) {
	w := newWorld(t, nil)
	s := w.newShop()
	r := w.call(w.key, "DELETE", "/v0/customers/"+s.customer, "")
	r.code(t, 409, "CONFLICT")
	if !strings.Contains(string(r.raw), `"blockers":[{"type":"subscriptions","count":1,"items":[{"id":"`+s.subscription+`","status":"active"}]}`) {
		t.Errorf("the blockers are %s", r.raw)
	}
	w.call(w.key, "DELETE", "/v0/prices/"+s.price, "").code(t, 400, "CONFLICT")
	w.call(w.key, "DELETE", "/v0/testClocks/"+s.clock, "").code(t, 409, "CONFLICT")
	w.do(201, "POST", "/v0/usage", w.usage(s, "call-1", 2500))
	w.do(200, "POST", "/v0/subscriptions/"+s.subscription+"/termination", `{"reason":"moved on"}`)
	if clock := w.do(200, "DELETE", "/v0/testClocks/"+s.clock, ""); clock["deletedAt"] == nil {
		t.Errorf("the deleted clock is %v", clock)
	}
	w.call(w.key, "PATCH", "/v0/testClocks/"+s.clock, `{"advanceBy":"P1D"}`).code(t, 404, "NOT_FOUND")
	w.call(w.key, "DELETE", "/v0/customers/"+s.customer, "").want(t, 204)
}
