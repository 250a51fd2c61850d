package httpapi

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsPage string

//go:embed docs.css
var docsStyle []byte

// describe makes the document and the page that shows it, and serves them.
func (a *API) describe() (err error) {
	doc := a.api.OpenAPI()
	if a.document, err = doc.MarshalJSON(); err != nil {
		return fmt.Errorf("describing the API: %w", err)
	}
	page, err := template.New("docs").Parse(docsPage)
	if err != nil {
		return fmt.Errorf("the page of the docs: %w", err)
	}
	var buf bytes.Buffer
	if err := page.Execute(&buf, newManual(doc)); err != nil {
		return fmt.Errorf("the page of the docs: %w", err)
	}
	a.docs = buf.Bytes()
	static := func(path, kind string, body []byte) {
		a.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Type", kind)
			h.Set("Cache-Control", "no-cache")
			h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
			_, _ = w.Write(body) // the client may have gone
		})
	}
	static("/openapi.json", "application/json", a.document)
	static("/docs", "text/html; charset=utf-8", a.docs)
	static("/docs.css", "text/css; charset=utf-8", docsStyle)
	return nil
}

// manual is the API's document in the order in which people read it.
type manual struct {
	Title, Version, Description string
	Tags                        []manualTag
}

type manualTag struct {
	Name       string
	Operations []manualOperation
}

type manualOperation struct {
	ID, Method, Path, Summary string
	Params                    []manualField
	Body                      []manualField
	Answers                   []manualAnswer
}

// manualField is a parameter, or a field at some depth.
type manualField struct {
	Name, Type, Doc string
	Required        bool
	Depth           int
}

type manualAnswer struct {
	Status, Text string
	Fields       []manualField
}

func newManual(doc *huma.OpenAPI) manual {
	m := manual{Title: doc.Info.Title, Version: doc.Info.Version, Description: doc.Info.Description}
	var paths []string
	for path := range doc.Paths {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Post, item.Get, item.Put, item.Patch, item.Delete} {
			if op != nil {
				m.add(doc.Components.Schemas, op)
			}
		}
	}
	return m
}

func (m *manual) add(registry huma.Registry, op *huma.Operation) {
	v := manualOperation{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary}
	for _, p := range op.Parameters {
		v.Params = append(v.Params, manualField{Name: p.Name, Type: p.In + ", " + typeName(registry, p.Schema), Doc: p.Description, Required: p.Required})
	}
	if op.RequestBody != nil {
		v.Body = fieldsOf(registry, op.RequestBody.Content["application/json"].Schema, 0, nil)
	}
	var statuses []string
	for status := range op.Responses {
		statuses = append(statuses, status)
	}
	slices.Sort(statuses)
	for _, status := range statuses {
		r := manualAnswer{Status: status, Text: op.Responses[status].Description}
		if content := op.Responses[status].Content["application/json"]; content != nil && status < "4" {
			r.Fields = fieldsOf(registry, content.Schema, 0, nil)
		}
		v.Answers = append(v.Answers, r)
	}
	for i := range m.Tags {
		if m.Tags[i].Name == op.Tags[0] {
			m.Tags[i].Operations = append(m.Tags[i].Operations, v)
			return
		}
	}
	m.Tags = append(m.Tags, manualTag{op.Tags[0], []manualOperation{v}})
}

// fieldsOf returns the fields of a schema with those inside of them, each after the one that has it.
func fieldsOf(registry huma.Registry, s *huma.Schema, depth int, within []string) (fields []manualField) {
	if s.Ref != "" {
		if slices.Contains(within, s.Ref) {
			return nil
		}
		within = append(within, s.Ref)
		s = registry.SchemaFromRef(s.Ref)
	}
	if s.Type == huma.TypeArray && s.Items != nil {
		return fieldsOf(registry, s.Items, depth, within)
	}
	var names []string
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := s.Properties[name]
		fields = append(fields, manualField{name, typeName(registry, p), p.Description, slices.Contains(s.Required, name), depth})
		fields = append(fields, fieldsOf(registry, p, depth+1, within)...)
	}
	return fields
}

// typeName says what a value may be.
func typeName(registry huma.Registry, s *huma.Schema) string {
	if s == nil {
		return ""
	}
	if s.Ref != "" {
		return typeName(registry, registry.SchemaFromRef(s.Ref))
	}
	name := s.Type
	switch {
	case s.Type == huma.TypeArray:
		name = "array of " + typeName(registry, s.Items)
	case s.Format != "":
		name = s.Format
	case len(s.Enum) > 0:
		var words []string
		for _, e := range s.Enum {
			words = append(words, fmt.Sprint(e))
		}
		name = strings.Join(words, " | ")
	}
	if s.Nullable {
		name += " or null"
	}
	if s.Default != nil {
		name += fmt.Sprintf(", default %v", s.Default)
	}
	return name
}
