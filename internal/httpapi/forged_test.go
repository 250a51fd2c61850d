package httpapi_test

import (
	"encoding/json"
	"flag"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
)

var forgeries = flag.Int("forgeries", 6, "requests that TestForgedRequests makes of each operation")

// TestForgedRequests sends requests made of the API's own description, mostly good ones with something changed: no answer is a 5xx,
// every answer is what clients know, and a refusal leaves the log where it was. What is drawn depends on a number alone, which a
// failure names. It is no fuzz target, for it needs a server: to start one in each worker takes longer than a short fuzz.
func TestForgedRequests(t *testing.T) {
	w := newWorld(t, nil)
	g := newForger(w)
	w.clients.answersOnly = true
	for i := range *forgeries * len(g.operations) {
		g.forge(t, w, uint64(i), nil)
	}
	for _, body := range []string{"null", `{"":{}}`, `[[[[`, `"\ud800"`, "{\"name\":\"\xc3\x28\"}", `{"quantity":1e999}`, `{"amount":-0}`, strings.Repeat("[", 10_000)} {
		g.forge(t, w, uint64(len(body)), []byte(body))
	}
}

// forge makes a request of a number, with a body or with one that it draws.
func (g *forger) forge(t *testing.T, w *world, seed uint64, body []byte) {
	t.Helper()
	w.t, w.clients.t = t, t
	g.rng = rand.New(rand.NewPCG(seed, uint64(len(body))))
	op := g.operations[seed%uint64(len(g.operations))]
	target := g.target(op)
	text := string(body)
	if body == nil && op.body != nil {
		b, err := json.Marshal(g.value(op.body, 0))
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	before := w.server.Sequencer.Applied()
	r := w.call(w.key, op.method, target, text)
	if r.status >= 500 {
		t.Errorf("%s %s with %s answers %d: %s", op.method, target, text, r.status, r.raw)
	}
	if r.status >= 400 && r.body["code"] == nil {
		t.Errorf("%s %s with %s is refused without a code: %s", op.method, target, text, r.raw)
	}
	if after := w.server.Sequencer.Applied(); r.status >= 400 && after != before {
		t.Errorf("%s %s with %s is refused with %s and moved the log from %d to %d", op.method, target, text, r.raw, before, after)
	}
}

// forger makes requests of the API's description.
type forger struct {
	rng         *rand.Rand
	operations  []forged
	schemas     map[string]any
	own, theirs identities // of the merchant, and of another
}

// forged is an operation to make requests of.
type forged struct {
	method, path string
	params       []any
	body         map[string]any // its schema; nil for none
}

func newForger(w *world) *forger {
	doc := w.call("", "GET", "/openapi.json", "").body
	g := &forger{schemas: doc["components"].(map[string]any)["schemas"].(map[string]any)}
	auditor := w.newAuditor()
	g.own, g.theirs = w.populate(auditor), w.asOther().populate(auditor)
	for path, item := range doc["paths"].(map[string]any) {
		for method, o := range item.(map[string]any) {
			op := forged{method: strings.ToUpper(method), path: path}
			op.params, _ = o.(map[string]any)["parameters"].([]any)
			if body, ok := o.(map[string]any)["requestBody"].(map[string]any); ok {
				op.body = body["content"].(map[string]any)["application/json"].(map[string]any)["schema"].(map[string]any)
			}
			g.operations = append(g.operations, op)
		}
	}
	slices.SortFunc(g.operations, func(a, b forged) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return g
}

// seldom is true once in n times.
func (g *forger) seldom(n int) bool { return g.rng.IntN(n) == 0 }

// target returns a path with its parameters filled in.
func (g *forger) target(op forged) string {
	target, query := op.path, url.Values{}
	for _, p := range op.params {
		param := p.(map[string]any)
		name, schema := param["name"].(string), param["schema"].(map[string]any)
		switch {
		case param["in"] == "path":
			target = strings.Replace(target, "{"+name+"}", url.PathEscape(g.id(kindOf(op.path, name))), 1)
		case param["in"] == "query" && (param["required"] == true || g.seldom(3)):
			text, ok := g.value(schema, 0).(string)
			if !ok {
				b, _ := json.Marshal(g.value(schema, 0))
				text = string(b)
			}
			query.Set(name, text)
		}
	}
	return target + "?" + query.Encode()
}

// kindOf returns the kind of the identity that a parameter of a path is.
func kindOf(path, param string) string {
	before, _, _ := strings.Cut(path, "/{"+param+"}")
	switch before[strings.LastIndexByte(before, '/')+1:] {
	case "products":
		return "prod"
	case "billableMetrics":
		return "bm"
	case "fees":
		return "fee"
	case "prices":
		return "price"
	case "plans":
		return "plan"
	case "customers":
		return "cus"
	case "consumers":
		return "org"
	case "subscriptions", "price":
		return "sub"
	case "portal":
		return "prt"
	case "wallets":
		return "acc"
	case "topups":
		return "top"
	case "alerts":
		return "alrt"
	case "testClocks":
		return "tc"
	case "keys":
		return "key"
	case "usage":
		return "usg"
	case "disputes":
		return "disp"
	case "features":
		return "feat"
	case "entitlements":
		return "ent"
	case "grants":
		return "grt"
	case "invoices":
		return "inv"
	case "refunds":
		return "crn"
	case "payments":
		return "pay"
	case "paymentSessions":
		return "ps"
	case "paymentMethods":
		return "pm"
	case "authorization":
		return "auth"
	}
	panic("a path that is not known here: " + path)
}

// id returns an identity of a kind: mostly one that exists, of the merchant or of another one.
func (g *forger) id(kind string) string {
	list := g.own[kind]
	if g.seldom(3) {
		list = g.theirs[kind]
	}
	switch {
	case g.seldom(8) || len(list) == 0:
		return nobody(kind)
	case g.seldom(8):
		return g.any()
	}
	return list[g.rng.IntN(len(list))]
}

// any returns an identity of any kind.
func (g *forger) any() string {
	ids := []identities{g.own, g.theirs}[g.rng.IntN(2)]
	kinds := slices.Sorted(maps.Keys(ids))
	list := ids[kinds[g.rng.IntN(len(kinds))]]
	return list[g.rng.IntN(len(list))]
}

// value returns a value of a schema, or, seldom, of another sort.
func (g *forger) value(schema map[string]any, depth int) any {
	if ref, ok := schema["$ref"].(string); ok {
		return g.value(g.schemas[ref[strings.LastIndexByte(ref, '/')+1:]].(map[string]any), depth)
	}
	if g.seldom(20) {
		return []any{nil, true, -1, 1e300, "", "\x00", []any{}, map[string]any{"a": []any{}}, strings.Repeat("x", 5000)}[g.rng.IntN(9)]
	}
	if words, ok := schema["enum"].([]any); ok {
		return words[g.rng.IntN(len(words))]
	}
	kind, _ := schema["type"].(string)
	if kinds, ok := schema["type"].([]any); ok {
		kind = kinds[g.rng.IntN(len(kinds))].(string)
	}
	switch kind {
	case "object":
		return g.object(schema, depth)
	case "array":
		list := []any{}
		for range g.rng.IntN(3) + 1 {
			list = append(list, g.value(schema["items"].(map[string]any), depth+1))
		}
		return list
	case "boolean":
		return g.seldom(2)
	case "integer", "number":
		return []any{0, 1, 2, 30, 100, 1.5, -7, 1 << 40, 9223372036854775807}[g.rng.IntN(9)]
	case "string":
		format, _ := schema["format"].(string)
		pattern, _ := schema["pattern"].(string)
		return g.text(format + pattern)
	}
	return nil
}

func (g *forger) object(schema map[string]any, depth int) any {
	v := map[string]any{}
	if values, ok := schema["additionalProperties"].(map[string]any); ok {
		v[g.text("")] = g.value(values, depth+1)
	}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if slices.Contains(required, any(name)) && !g.seldom(20) || g.seldom(3) {
			v[name] = g.value(properties[name].(map[string]any), depth+1)
		}
	}
	if g.seldom(30) {
		v["bogus"] = 1
	}
	return v
}

// text returns a text that fits a format or a pattern, as far as it is known here.
func (g *forger) text(fits string) string {
	kind, _, ok := strings.Cut(strings.TrimPrefix(strings.ReplaceAll(fits, "(com|ent)", "com"), "^"), "_[")
	if ok && !g.seldom(10) {
		return g.id(kind)
	}
	switch {
	case fits == "date-time":
		return []string{"2026-11-26T00:00:00Z", "1969-12-31T23:59:59+14:00", "2199-01-01T00:00:00.123456789Z", "yesterday"}[g.rng.IntN(4)]
	case fits == "uri":
		return []string{"https://example.com/ok?x=1", "javascript:alert(1)", "//x"}[g.rng.IntN(3)]
	case g.seldom(2):
		return g.any()
	}
	return []string{"a", "Jane", "jane@example.com", "12.50", "0.000000001", "-1", "P1M", "PT1H", "DE", "USD", "tok_visa", "session", "%", "..", "名", "1e9"}[g.rng.IntN(16)]
}
