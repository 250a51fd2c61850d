package httpapi_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	_ "github.com/cockroachdb/datadriven" // has the flag -rewrite
)

// table is where the tables of what was tried are kept.
const table = "../../docs/api-conformance.md"

// conformance tries every operation: that it is granted, and every way in which it is refused. Each answer is held against what
// existing clients know, and a refusal must not have moved the log.
type conformance struct {
	*world
	auditor string // a key
	rows    map[string]map[string]bool
	paths   map[string]string // what the operations are
	keys    int               // idempotency keys that were used

	own, strangers identities // what there is: the merchant's, and the other one's, which is nil while that is made
	forged         int        // requests with an identity replaced
}

// newConformance returns what tries everything as the world's merchant.
func newConformance(w *world, auditor string, strangers identities) *conformance {
	c := &conformance{world: w, auditor: auditor, rows: map[string]map[string]bool{}, paths: map[string]string{}, own: identities{}, strangers: strangers}
	w.saw = func(key string, r reply) {
		if key == w.key && r.status < 300 {
			c.own.note(r.raw)
		}
	}
	return c
}

// populate does everything as a merchant, and returns the identities of what it then has.
func (w *world) populate(auditor string) identities {
	c := newConformance(w, auditor, nil)
	c.all()
	w.saw = nil
	return c.own
}

// asOther returns the world as the other merchant sees it.
func (w *world) asOther() *world {
	o := *w
	o.key, o.foreign, o.merchant, o.other = w.foreign, w.key, w.other, w.merchant
	return &o
}

// newAuditor returns a key that reads everything.
func (w *world) newAuditor() string {
	return w.call(w.operator, "POST", "/v0/keys", `{"role":"auditor"}`).want(w.t, 201).body["secret"].(string)
}

// TestConformance tries everything, and compares what was seen with the table in docs. With -rewrite it writes the table. Another merchant has
// done the same before, so that there is something of its in every place.
func TestConformance(t *testing.T) {
	w := newWorld(t, nil)
	auditor := w.newAuditor()
	c := newConformance(w, auditor, w.asOther().populate(auditor))
	c.all()
	if len(c.own) < 20 || len(c.strangers) < 20 || c.forged < 1000 {
		t.Errorf("%d requests were forged of %d kinds of identities and %d of another merchant's", c.forged, len(c.own), len(c.strangers))
	}
	var missing []string
	for path, item := range w.clients.doc.Paths.Map() {
		for method, op := range item.Operations() {
			if c.rows[op.OperationID] == nil {
				missing = append(missing, method+" "+path)
			}
		}
	}
	slices.Sort(missing)
	got := c.table(missing)
	if flag.Lookup("rewrite").Value.String() == "true" {
		if err := os.WriteFile(table, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(table)
	if err != nil {
		t.Fatalf("%v (run with -rewrite to create it)", err)
	}
	if got != string(want) {
		t.Errorf("%s is not what was seen; if that is right, run with -rewrite:\n%s", table, got)
	}
}

// columns are the ways in which an operation is tried.
var columns = []string{"2xx", "400", "401", "403", "404", "409", "422", "foreign", "again", "other"}

func (c *conformance) table(missing []string) string {
	var b strings.Builder
	b.WriteString("# The HTTP API against what existing clients know\n\n" +
		"Made by `go test ./internal/httpapi -run TestConformance -rewrite`. Every answer behind a cell was held against the description in\n" +
		"`internal/httpapi/testdata/clients.json`, field by field, and every refusal left the log where it was. `foreign` is a try with the key of another\n" +
		"merchant, which is answered like a try at what does not exist, or with an empty list. 403 is a try with a key that may only read.\n" +
		"`again` is a repeat with the same `Idempotency-Key`, which gets the same answer; `other` is other content with that key, which is a 409 and\n" +
		"records nothing. (Usage has its key in the body.) Each identity in each request is also replaced, one by one: by one that nothing has, by another\n" +
		"merchant's of the same kind, and by the merchant's own of other kinds; what is another's is answered to the word as what there is not.\n" +
		"All of these requests are also made by a client that is generated from that description (`internal/httpapi/strict`), which takes no answer with a\n" +
		"required field missing, another type, null, or an unknown word (`TestStrictClient`).\n" +
		"Statuses beyond those that clients were told of: `POST /v0/usage` has them by choice (A11, A26, A27), and so has the purchase of units (A11); `POST /v0/events` answers 409 to a key that was\n" +
		"used for something else as that does (A26), and 404 to a subject that does not exist as to one that is another's (D10); of wallets nothing but\n" +
		"the 201 was written down, so they answer like the rest. What cannot be deleted or reserved is a 400 where clients know no other: `DELETE /v0/prices/{id}`,\n" +
		"`POST /v0/entitlements`, with the `code` that says why.\n" +
		"Each operation also answers 429 to a key that asks too often, and 503 while the ledger cannot take commands.\n\n")
	b.WriteString("| operation | " + strings.Join(columns, " | ") + " |\n|" + strings.Repeat(" --- |", len(columns)+1) + "\n")
	ids := slices.SortedFunc(maps.Keys(c.rows), func(a, b string) int {
		return strings.Compare(sortKey(c.paths[a]), sortKey(c.paths[b]))
	})
	for _, id := range ids {
		b.WriteString("| `" + c.paths[id] + "`")
		for _, column := range columns {
			mark := ""
			if c.rows[id][column] {
				mark = "✓"
			}
			b.WriteString(" | " + mark)
		}
		b.WriteString(" |\n")
	}
	if len(missing) > 0 {
		b.WriteString("\nNot there: `" + strings.Join(missing, "`, `") + "`.\n")
	}
	return b.String()
}

// sortKey orders operations by path and then by method.
func sortKey(operation string) string {
	method, path, _ := strings.Cut(operation, " ")
	return path + " " + strconv.Itoa(strings.Index("POST GET PATCH DELETE", method))
}

// saw notes how an operation was answered.
func (c *conformance) saw(id, column string) {
	if c.rows[id] == nil {
		c.rows[id] = make(map[string]bool)
	}
	c.rows[id][column] = true
}

// try tries a request in every way, the good one last, and returns its answer, which must have the status.
func (c *conformance) try(id string, status int, method, path, body string) map[string]any {
	c.t.Helper()
	if op := c.clients.operation(method, path); op != nil && op.OperationID != id {
		c.t.Fatalf("%s %s is %s, not %s", method, path, op.OperationID, id)
	}
	c.paths[id] = method + " " + pattern(path)
	before := c.server.Sequencer.Applied()
	c.call("", method, path, body).code(c.t, 401, "UNAUTHORIZED")
	c.saw(id, "401")
	if bad, badBody, can := broken(method, path, body); can {
		c.call(c.key, method, bad, badBody).want(c.t, 400)
		c.saw(id, "400")
	}
	if method != "GET" {
		if r := c.call(c.auditor, method, path, body); r.status == 403 {
			c.saw(id, "403")
		} else if r.status < 400 {
			c.t.Errorf("%s is granted to a key that may only read: %s", id, r.raw)
		}
	}
	if other, can := elsewhere(path); can {
		c.call(c.key, method, other, body).code(c.t, 404, "NOT_FOUND")
		c.saw(id, "404")
	}
	c.foreignTry(id, method, path, body)
	c.forge(id, method, path, body)
	if after := c.server.Sequencer.Applied(); after != before {
		c.t.Errorf("%s: refusals moved the log from %d to %d", id, before, after)
	}
	c.saw(id, "2xx")
	if method == "POST" && !strings.Contains(body, "idempotencyKey") {
		return c.twice(id, status, path, body)
	}
	return c.call(c.key, method, path, body).want(c.t, status).body
}

// twice sends a POST two times with one idempotency key, and a third time with other content. It returns the first answer, which is the
// second's too; the third must be a refusal.
func (c *conformance) twice(id string, status int, path, body string) map[string]any {
	c.t.Helper()
	c.keys++
	key := "Idempotency-Key: try-" + strconv.Itoa(c.keys)
	before := c.server.Sequencer.Applied()
	first := c.call(c.key, "POST", path, body, key).want(c.t, status)
	after := c.server.Sequencer.Applied()
	again := c.call(c.key, "POST", path, body, key)
	if again.status >= 300 || again.body["id"] != first.body["id"] || again.body["customerId"] != first.body["customerId"] {
		c.t.Errorf("%s is answered with %s, and again, with the same key, with %d %s", id, first.raw, again.status, again.raw)
	}
	c.saw(id, "again")
	if other, can := different(body); can && after > before { // else the answer is of what there was, and the key is not used up
		c.call(c.key, "POST", path, other, key).code(c.t, 409, "IDEMPOTENCY_CONFLICT")
		c.saw(id, "other")
	}
	if id == "payPaymentSession" { // of which the outcome is recorded meanwhile
		return first.body
	}
	c.forge(id, "POST", path, body, key)
	if now := c.server.Sequencer.Applied(); now != after {
		c.t.Errorf("%s: repeats moved the log from %d to %d", id, after, now)
	}
	return first.body
}

// different returns a body that says something else, if there is a field to say it with.
func different(body string) (string, bool) {
	for _, with := range [][2]string{
		{`"name":"`, `"name":"Another `},
		{`"amount":"`, `"amount":"1`},
		{`"reason":"`, `"reason":"not `},
		{`"amount":1`, `"amount":2`},
		{`PT1H`, `PT2H`},
		{`https://example.com/`, `https://example.org/`},
		{`"issueAfterReset":1`, `"issueAfterReset":2`},
		{`"quantity":1`, `"quantity":2`},
		{`"unitPrice":"`, `"unitPrice":"1`},
		{`"invoiceDisplayName":"`, `"invoiceDisplayName":"Other `},
		{`"tok_visa"`, `"tok_mastercard"`},
	} {
		if other := strings.Replace(body, with[0], with[1], 1); other != body {
			return other, true
		}
	}
	return body, false
}

// foreignTry sends the request with another merchant's key.
func (c *conformance) foreignTry(id, method, path, body string) {
	c.t.Helper()
	if !identity.MatchString(path + body) {
		return // it names nothing, and so nothing of anybody's
	}
	r := c.call(c.foreign, method, path, strings.Replace(body, `"idempotencyKey":"`, `"idempotencyKey":"foreign-`, 1))
	data, list := r.body["data"].([]any)
	switch {
	case r.status == 404, list && r.status == 200 && len(data) == 0, r.status == 400 && strings.Contains(string(r.raw), "merchantId"):
		c.saw(id, "foreign")
	case r.status == 207 && fmt.Sprint(r.body["successful"]) == "[]":
		c.saw(id, "foreign")
	default:
		c.t.Errorf("%s with another merchant's key answers %d: %s", id, r.status, r.raw)
	}
}

// refused sends a request that must be refused, and notes it.
func (c *conformance) refused(id string, status int, method, path, body string) {
	c.t.Helper()
	before := c.server.Sequencer.Applied()
	c.call(c.key, method, path, body).want(c.t, status)
	c.saw(id, strconv.Itoa(status))
	if after := c.server.Sequencer.Applied(); after != before {
		c.t.Errorf("%s: a refusal moved the log from %d to %d", id, before, after)
	}
}

// pattern returns a path with names in the place of identities.
func pattern(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return regexp.MustCompile(`/[a-z]+_[0-9A-Z]+`).ReplaceAllString(path, "/{id}")
}

// broken returns a request with a fault, if there is room for one.
func broken(method, path, body string) (string, string, bool) {
	switch {
	case method == "POST" || method == "PATCH":
		return path, "[" + body, body != "" && body != "{}"
	case strings.Contains(path, "?"):
		return path + "&limit=none&pageSize=none&lineItemsLimit=none&from=never", "", true
	}
	return path, body, false
}

// elsewhere returns a path with another identity in the place of its last.
func elsewhere(path string) (string, bool) {
	path, query, _ := strings.Cut(path, "?")
	all := regexp.MustCompile(`_[0-9A-Z]{16,26}`).FindAllStringIndex(path, -1)
	if all == nil {
		return path, false
	}
	at := all[len(all)-1]
	other := "_01ARZ3NDEKTSV4RRFFQ69G5FAV"
	if at[1]-at[0] == 17 {
		other = "_0123456789ABCDEF"
	}
	return path[:at[0]] + other + path[at[1]:] + "?" + query, true
}
