package httpapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// shared is several operations that the mux knows by one pattern. It refuses patterns that a path can fit both of, such as
// /customers/authorization/{id} and /customers/{id}/paymentMethods, even where nothing can be meant by such a path.
type shared []sharer

// sharer is one of them.
type sharer struct {
	parts []string // of its own path
	serve func(huma.Context)
}

// share puts an operation under a pattern with others.
func (a *API) share(op *operation, serve func(huma.Context)) {
	pattern := op.method + " " + op.under
	known := a.shared[pattern] != nil
	a.shared[pattern] = append(a.shared[pattern], sharer{strings.Split(op.path, "/"), serve})
	if known {
		return
	}
	a.api.Adapter().Handle(&huma.Operation{Method: op.method, Path: op.under}, func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		if s := a.shared[pattern].of(r); s != nil {
			s.serve(ctx)
			return
		}
		a.write(w, nothingAt(r).result())
	})
}

// of returns the one whose path a request's is, nil where it is nobody's. It gives the request the parameters of that path.
func (all shared) of(r *http.Request) *sharer {
	given := strings.Split(r.URL.EscapedPath(), "/")
	for i := range all {
		if all[i].fits(r, given) {
			return &all[i]
		}
	}
	return nil
}

func (s *sharer) fits(r *http.Request, given []string) bool {
	if len(given) != len(s.parts) {
		return false
	}
	for i, part := range s.parts {
		if !strings.HasPrefix(part, "{") && part != given[i] {
			return false
		}
	}
	for i, part := range s.parts {
		name, ok := strings.CutPrefix(part, "{")
		if text, err := url.PathUnescape(given[i]); ok && err == nil {
			r.SetPathValue(strings.TrimSuffix(name, "}"), text)
		}
	}
	return true
}
