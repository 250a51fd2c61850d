package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// clients is what existing clients of the API know (testdata/clients.json, which derive makes). It holds requests and
// answers against it, strictly: what it has must be there and be of the type that it says. What there is beside is no
// fault.
type clients struct {
	t   testing.TB
	doc *openapi3.T

	answersOnly bool // requests are not looked at

	mu   sync.Mutex // guards the field below
	seen map[string]map[int]int
}

func newClients(t testing.TB) *clients {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("testdata/clients.json")
	if err != nil {
		t.Fatal(err)
	}
	c := &clients{t: t, doc: doc, seen: make(map[string]map[int]int)}
	return c
}

// operation returns the operation that a request is, nil for one that clients do not know.
func (c *clients) operation(method, target string) *openapi3.Operation {
	_, op := c.route(method, target)
	return op
}

// route is operation with the path that it stands under.
func (c *clients) route(method, target string) (path string, op *openapi3.Operation) {
	target, _, _ = strings.Cut(target, "?")
	best := 0
	for known, item := range c.doc.Paths.Map() {
		if n := likeness(known, target); n > best && item.GetOperation(method) != nil {
			best, path, op = n, known, item.GetOperation(method)
		}
	}
	return path, op
}

// likeness returns 0 where a path is not that of a target, and else more the more parts of it are fixed.
func likeness(path, target string) (n int) {
	parts, given := strings.Split(path, "/"), strings.Split(target, "/")
	if len(parts) != len(given) {
		return 0
	}
	for i, part := range parts {
		switch {
		case part == given[i]:
			n += 2
		case strings.HasPrefix(part, "{"):
			n++
		default:
			return 0
		}
	}
	return n
}

// check fails the test where an answer is not what clients know, or where a request that was granted is one that they would not
// send.
func (c *clients) check(method, target, body string, r reply) {
	c.t.Helper()
	op := c.operation(method, target)
	if op == nil {
		return
	}
	c.mu.Lock()
	if c.seen[op.OperationID] == nil {
		c.seen[op.OperationID] = make(map[int]int)
	}
	c.seen[op.OperationID][r.status]++
	c.mu.Unlock()
	if r.status >= 500 {
		c.t.Errorf("%s %s answers %d: %s", method, target, r.status, r.raw)
		return
	}
	if r.status < 300 && r.status != http.StatusMultiStatus && !c.answersOnly && op.RequestBody != nil { // of a batch that is not all good, some is bad
		c.holds(op.OperationID+" request", op.RequestBody.Value.Content["application/json"].Schema, []byte(body))
	}
	response := op.Responses.Status(r.status)
	switch {
	case response == nil && r.status < 300:
		c.t.Errorf("%s %s answers %d, which clients do not know", method, target, r.status)
	case response == nil || r.status == http.StatusBadRequest: // D10 has more statuses than clients know; the body is an error's
		schema := "Error"
		if r.body["errors"] != nil {
			schema = "ValidationError"
		}
		c.holds(op.OperationID+" "+strconv.Itoa(r.status), c.doc.Components.Schemas[schema], r.raw)
	case len(response.Value.Content) > 0:
		c.holds(op.OperationID+" "+strconv.Itoa(r.status), response.Value.Content["application/json"].Schema, r.raw)
	case len(r.raw) > 0:
		c.t.Errorf("%s %s answers %d with a body: %s", method, target, r.status, r.raw)
	}
}

// holds fails the test unless a body is what a schema says.
func (c *clients) holds(what string, schema *openapi3.SchemaRef, body []byte) {
	c.t.Helper()
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		c.t.Errorf("%s: %v: %s", what, err, body)
		return
	}
	if err := schema.Value.VisitJSON(value, openapi3.MultiErrors(), openapi3.EnableFormatValidation()); err != nil {
		c.t.Errorf("%s is not what clients know: %v\n%s", what, short(err.Error()), body)
	}
}

// short returns the parts of an error that say what is wrong.
func short(text string) string {
	var keep []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.Contains(line, "Error") || strings.Contains(line, "|") {
			keep = append(keep, line)
		}
	}
	if len(keep) == 0 {
		return text
	}
	return strings.Join(keep, "\n")
}
