package httpapi_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"tallystick/internal/httpapi/strict"
)

// typed sends requests through the client that is generated from what existing clients know, and is stricter with the answers than such
// clients are: see fits.
type typed struct {
	t       testing.TB
	clients *clients
	client  reflect.Value // of *strict.ClientWithResponses
	answers []answered
	bodies  int // requests whose body was written by the client
}

// TestStrictClient does everything that there is to do through the generated client. Then each answer that it got is shown to it again with one fault
// after another, of which it must take none: so it is seen to be strict.
func TestStrictClient(t *testing.T) {
	w := newWorld(t, nil)
	client, err := strict.NewClientWithResponses(w.server.APIURL(), strict.WithHTTPClient(w.client))
	if err != nil {
		t.Fatal(err)
	}
	w.typed = &typed{t: t, clients: w.clients, client: reflect.ValueOf(client)}
	w.populate(w.newAuditor())
	seen, planted := make(map[string]int), 0
	for _, a := range w.typed.answers {
		if seen[a.operation]++; seen[a.operation] <= 5 {
			planted += plantFaults(t, a, a.schema)
		}
	}
	for path, item := range w.clients.doc.Paths.Map() {
		for method, op := range item.Operations() {
			if seen[op.OperationID] == 0 && op.Responses.Status(http.StatusNoContent) == nil {
				t.Errorf("%s %s was never granted to the generated client", method, path)
			}
		}
	}
	t.Logf("%d faults were planted in %d answers, and %d bodies written by the client", planted, len(w.typed.answers), w.typed.bodies)
	if planted < 5000 || w.typed.bodies < 60 {
		t.Errorf("%d faults were planted, and %d bodies written by the client", planted, w.typed.bodies)
	}
}

// call sends a request, unless it has parameters that the client does not know. A body that its types cannot say, such as one with fields that clients
// do not know, is sent as it stands.
func (c *typed) call(ctx context.Context, key, method, target, body string, headers []string) (r reply, sent bool) {
	c.t.Helper()
	path, op := c.clients.route(method, target)
	if op == nil {
		return r, false
	}
	name := strings.ToUpper(op.OperationID[:1]) + op.OperationID[1:]
	m := c.client.MethodByName(name + "WithResponse")
	if !m.IsValid() {
		c.t.Fatalf("the client has no %s", op.OperationID)
	}
	args, ok := arguments(m.Type(), op, path, target, body)
	if ok && op.RequestBody != nil {
		c.bodies++
	}
	if untyped := c.client.MethodByName(name + "WithBodyWithResponse"); !ok && untyped.IsValid() {
		m = untyped
		args, ok = arguments(m.Type(), op, path, target, body)
	}
	if !ok {
		return r, false
	}
	editor := strict.RequestEditorFn(func(_ context.Context, req *http.Request) error {
		req.Header.Set("Authorization", "Bearer "+key)
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		return nil
	})
	out := m.Call(slices.Concat([]reflect.Value{reflect.ValueOf(ctx)}, args, []reflect.Value{reflect.ValueOf(editor)}))
	if err, failed := out[1].Interface().(error); failed {
		c.t.Fatalf("%s %s: %v", method, target, err)
	}
	answer := out[0].Elem()
	resp := answer.FieldByName("HTTPResponse").Interface().(*http.Response)
	r = reply{status: resp.StatusCode, header: resp.Header, raw: answer.FieldByName("Body").Bytes()}
	c.hold(op, r, answer)
	return r, true
}

// hold holds an answer against its type.
func (c *typed) hold(op *openapi3.Operation, r reply, answer reflect.Value) {
	c.t.Helper()
	f, known := answer.Type().FieldByName("JSON" + strconv.Itoa(r.status))
	if !known {
		if r.status < 300 && len(r.raw) > 0 {
			c.t.Errorf("%s answers %d with %s, which clients do not know", op.OperationID, r.status, r.raw)
		}
		return // D10 has more statuses than clients know
	}
	if answer.FieldByIndex(f.Index).IsNil() {
		c.t.Errorf("%s answers %d with %s, which the client does not take for JSON", op.OperationID, r.status, r.raw)
	}
	if err := fits(r.raw, f.Type.Elem()); err != nil {
		c.t.Errorf("%s answers %d, of which a strict client says: %v\n%s", op.OperationID, r.status, err, r.raw)
	}
	if r.status < 300 {
		c.answers = append(c.answers, answered{op.OperationID, r.status, r.raw, f.Type.Elem(), op.Responses.Status(r.status).Value.Content["application/json"].Schema})
	}
}

// arguments returns what a method of the client is to be called with, behind the context and before the editors: the parameters of the path, those of
// the query, and the body. It reports false where the types of these have no room for something.
func arguments(m reflect.Type, op *openapi3.Operation, path, target, body string) (args []reflect.Value, ok bool) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, false
	}
	given := strings.Split(u.Path, "/")
	for i, part := range strings.Split(path, "/") {
		if strings.HasPrefix(part, "{") {
			args = append(args, reflect.ValueOf(given[i]))
		}
	}
	query, named := u.Query(), false
	for i := 1 + len(args); i < m.NumIn()-1; i++ { // behind the context, and before the editors
		switch in := m.In(i); {
		case in.Kind() == reflect.String:
			args = append(args, reflect.ValueOf("application/json"))
		case in == reflect.TypeFor[io.Reader]():
			args = append(args, reflect.ValueOf(strings.NewReader(body)))
			body = ""
		case in.Kind() == reflect.Pointer:
			v, ok := parameters(in.Elem(), op, query)
			if !ok {
				return nil, false
			}
			named, args = true, append(args, v)
		default:
			v := reflect.New(in)
			if json.Unmarshal([]byte(body), v.Interface()) != nil || !same(v.Interface(), body) {
				return nil, false
			}
			args = append(args, v.Elem())
			body = ""
		}
	}
	return args, body == "" && (named || len(query) == 0)
}

// parameters returns the parameters of a query as a struct of the client.
func parameters(t reflect.Type, op *openapi3.Operation, query url.Values) (reflect.Value, bool) {
	object := make(map[string]any)
	for name, texts := range query {
		p := op.Parameters.GetByInAndName("query", name)
		if p == nil || len(texts) != 1 {
			return reflect.Value{}, false
		}
		object[name] = texts[0]
		if kind := p.Schema.Value.Type; kind.Is("integer") || kind.Is("boolean") {
			object[name] = json.RawMessage(texts[0])
		}
	}
	b, err := json.Marshal(object)
	v := reflect.New(t)
	if err != nil || json.Unmarshal(b, v.Interface()) != nil || !same(v.Interface(), string(b)) {
		return reflect.Value{}, false
	}
	return v, true
}

// same reports whether what was read of a text says all of it.
func same(v any, text string) bool {
	b, err := json.Marshal(v)
	var said, given any
	if err != nil || json.Unmarshal(b, &said) != nil || json.NewDecoder(strings.NewReader(text)).Decode(&given) != nil {
		return false
	}
	if m, ok := said.(map[string]any); ok { // what is absent may be written as null
		maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	}
	return cmp.Equal(said, given)
}
