package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestManyFaults sends requests with more faults than anybody wants to read: the answer names some, each with its field, and is not out of
// proportion.
func TestManyFaults(t *testing.T) {
	w := newWorld(t, nil)
	var unknown strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&unknown, `"unknown%d":1,`, i)
	}
	r := w.call(w.key, "POST", "/v0/products", `{`+unknown.String()+`"merchantId":"`+w.merchant+`","name":"n","description":"d"}`).want(t, 400)
	faults, _ := r.body["errors"].([]any)
	if len(faults) != 100 {
		t.Errorf("%d faults are named", len(faults))
	}
	for _, f := range faults {
		if field, _ := f.(map[string]any)["field"].(string); !strings.HasPrefix(field, "unknown") {
			t.Fatalf("a fault of %q", field)
		}
	}
	r = w.call(w.key, "POST", "/v0/customers", `{"merchantId":"`+w.merchant+`","consumer":{"name":"n","email":"a@example.com"}}`).want(t, 400)
	if got := fmt.Sprint(r.body["errors"]); !strings.Contains(got, "field:consumer.address") {
		t.Errorf("what is missing is not named: %s", got)
	}
	r = w.call(w.key, "GET", "/v0/products?limit=many&offset=-1", "", "Idempotency-Key: "+strings.Repeat("k", 256)).want(t, 400)
	for _, want := range []string{"limit", "offset", "Idempotency-Key"} {
		if !strings.Contains(fmt.Sprint(r.body["errors"]), "field:"+want) {
			t.Errorf("the faults do not name %s: %v", want, r.body["errors"])
		}
	}
}
