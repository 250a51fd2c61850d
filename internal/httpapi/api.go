package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"path"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
)

// Keys says whose an API key is.
type Keys interface {
	// Caller returns who has a key with this text, and whether there is one.
	Caller(secret string) (wire.Who, bool)
}

// Sequencer carries out commands. [*commands.Sequencer] is one.
type Sequencer interface {
	Submit(call *commands.Call) error
}

// Options are what an [API] works with. Those without a default must be given.
type Options struct {
	Keys        Keys
	Sequencer   Sequencer
	NewDecoder  func() *wire.Decoder // any goroutine may call it
	Queries     *query.Service
	Head        func() events.Seq   // last record decided
	Refused     func(commands.Code) // is told of each command that is refused before it is decoded or decided; default: nobody
	Environment events.Environment
	Clock       func() time.Time // real time
	Logger      *slog.Logger     // default: nothing is logged
	Version     string           // default "0.0.0"
	Limit       Limit            // of each key; the zero Limit is none
}

// API answers requests. See the package comment.
type API struct {
	opts     Options
	mux      *http.ServeMux
	api      huma.API
	decoders sync.Pool // of *wire.Decoder
	limits   *limiter
	writes   writes
	shared   map[string]shared // by pattern of the mux; never changes after New
	docs     []byte            // the page at /docs
	document []byte            // the description at /openapi.json
}

// New returns an API.
func New(opts Options) (*API, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Version == "" {
		opts.Version = "0.0.0"
	}
	if opts.Refused == nil {
		opts.Refused = func(commands.Code) {}
	}
	a := &API{opts: opts, mux: http.NewServeMux(), limits: newLimiter(opts.Limit), writes: newWrites(), shared: make(map[string]shared)}
	a.decoders.New = func() any { return opts.NewDecoder() }
	config := huma.DefaultConfig("Tallystick", opts.Version)
	config.CreateHooks, config.OpenAPIPath, config.DocsPath, config.SchemasPath = nil, "", "", "" // ours are below
	config.Info.Description = description
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	config.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[query.Percent](), reflect.TypeFor[float64]())
	config.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[query.Units](), reflect.TypeFor[float64]())
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "An API key, sk_test_… or sk_live_…"},
	}
	a.api = humago.New(a.mux, config)
	for _, op := range a.operations() {
		a.register(op)
	}
	if err := a.describe(); err != nil {
		return nil, err
	}
	a.mux.HandleFunc("/", a.nowhere)
	return a, nil
}

// schemaName names a type in the document. What package query has for this API has the prefix API there.
func schemaName(t reflect.Type, hint string) string {
	return strings.ReplaceAll(huma.DefaultSchemaNamer(t, hint), "API", "")
}

const description = "Bills usage. Money is exact: amounts are decimal strings, or whole billionths of the currency's unit. " +
	"Every answer is sent when what it says is on disk. Give every POST an Idempotency-Key: " +
	"a repeat with the same key gets the answer of the first."

// operations returns the table of everything that can be asked for.
func (a *API) operations() []operation {
	var all []operation
	for _, part := range [][]operation{
		a.products(), a.metrics(), a.meters(), a.fees(), a.prices(), a.plans(), a.customers(), a.authorizations(), a.subscriptions(), a.usage(), a.events(),
		a.wallets(), a.invoices(), a.billing(), a.payments(), a.entitlements(), a.features(), a.access(), a.disputes(), a.alerts(), a.clocks(), a.keys(),
	} {
		all = append(all, part...)
	}
	return all
}

// operation is one thing that can be asked for.
type operation struct {
	id      string
	method  string
	path    string
	under   string // the pattern that the mux knows it by with others; default path
	tag     string
	summary string
	params  []param  // of the query; those of the path follow from the path
	body    bodyType // nil means that there is none
	loose   bool     // the body is described and not checked against it: the rules do that, as fast as they must
	batch   bool     // it takes several usage events
	limit   int64    // bytes of the body; default maxBody
	rate    rate     // how often a key may ask for it; beside the limit on all requests
	limits  *limiter // of rate
	answers map[int]bodyType
	known   map[commands.Code]int // statuses by which clients of this operation know refusals, where those are not the usual ones
	handle  func(*call) (answer, error)
}

// answer is what an operation answers with: a status, and a body unless the status has none.
type answer struct {
	status int
	body   any
}

// bodyType is the Go type that describes a body; nil means that there is none.
type bodyType = reflect.Type

func bodyOf[T any]() bodyType { return reflect.TypeFor[T]() }

// answers returns the table of an operation with one good status.
func answers[T any](status int) map[int]bodyType {
	return map[int]bodyType{status: reflect.TypeFor[T]()}
}

// register adds an operation to the document and to the mux.
func (a *API) register(op operation) {
	registry := a.api.OpenAPI().Components.Schemas
	h := &huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Summary: op.summary, Tags: []string{op.tag},
		Security: []map[string][]string{{"key": {}}}, Responses: map[string]*huma.Response{},
	}
	h.Parameters = append(h.Parameters, pathParams(op.path)...)
	for i := range op.params {
		h.Parameters = append(h.Parameters, op.params[i].describe())
	}
	if op.method == http.MethodPost {
		h.Parameters = append(h.Parameters, &huma.Param{
			Name: keyHeader, In: "header", Description: "Repeats with the same key get the first answer",
			Schema: checked(&huma.Schema{Type: huma.TypeString, MaxLength: new(maxKey)}),
		})
	}
	var schema *huma.Schema
	if op.body != nil {
		schema = registry.Schema(op.body, true, op.id+"Request")
		h.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
	}
	for status, body := range op.answers {
		r := &huma.Response{Description: http.StatusText(status)}
		if body != nil {
			r.Content = map[string]*huma.MediaType{"application/json": {Schema: registry.Schema(body, true, op.id+"Response")}}
		}
		h.Responses[strconv.Itoa(status)] = r
	}
	for _, status := range []int{400, 401, 403, 404, 409, 422, 429, 500, 503} {
		h.Responses[strconv.Itoa(status)] = a.refusal(status)
	}
	a.api.OpenAPI().AddOperation(h)
	if op.loose {
		schema = nil
	}
	if op.limit == 0 {
		op.limit = maxBody
	}
	op.limits = a.opts.Limit.limited(op.rate)
	serve := func(ctx huma.Context) { a.serve(&op, schema, ctx) }
	if op.under != "" {
		a.share(&op, serve)
		return
	}
	a.api.Adapter().Handle(h, serve)
}

// refusal describes an answer that says no.
func (a *API) refusal(status int) *huma.Response {
	registry := a.api.OpenAPI().Components.Schemas
	schema := registry.Schema(reflect.TypeFor[Error](), true, "")
	if status == http.StatusBadRequest {
		schema = &huma.Schema{AnyOf: []*huma.Schema{registry.Schema(reflect.TypeFor[ValidationError](), true, ""), schema}}
	}
	return &huma.Response{
		Description: http.StatusText(status), Content: map[string]*huma.MediaType{"application/json": {Schema: schema}},
	}
}

// checked makes a schema ready for checks.
func checked(s *huma.Schema) *huma.Schema {
	s.PrecomputeMessages()
	return s
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if !clean(r.URL.Path) { // the mux would lead elsewhere, in HTML
		a.write(w, nothingAt(r).result())
		return
	}
	a.mux.ServeHTTP(w, r)
}

// clean reports whether a path is as it is written down, without what leads back or nowhere.
func clean(p string) bool {
	return p == path.Clean(p) || p == path.Clean(p)+"/" && p != "//"
}

// nothingAt is the refusal of a path that there is not.
func nothingAt(r *http.Request) *problem {
	return &problem{rejection: commands.Reject(commands.NotFound, "there is nothing at %.200s", r.URL.Path)}
}

// nowhere answers requests for what there is not.
func (a *API) nowhere(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		probe := r.Clone(context.WithoutCancel(r.Context()))
		probe.Method = method
		_, pattern := a.mux.Handler(probe)
		if all, ok := a.shared[pattern]; ok && all.of(probe) == nil {
			continue
		}
		if strings.HasPrefix(pattern, method+" ") {
			allowed = append(allowed, method)
		}
	}
	p := nothingAt(r)
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		p.rejection = commands.Reject(commands.MethodNotAllowed, "%.200s takes %s", r.URL.Path, strings.Join(allowed, " and "))
	}
	a.write(w, p.result())
}

// result returns p as an answer.
func (p *problem) result() answer {
	status, body := p.answer()
	return answer{status, body}
}
