package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// answered is an answer that the generated client has got.
type answered struct {
	operation string
	status    int
	body      []byte
	as        reflect.Type // what the client makes of it
	schema    *openapi3.SchemaRef
}

// planter plants faults in an answer, one at a time, and holds each against the type that the client has for it.
type planter struct {
	t       *testing.T
	of      answered
	root    any
	planted int
}

// plantFaults returns how many faults the client was shown in one answer. It fails the test for each that it takes: what is wrong with it, the
// description says, not the generated types.
func plantFaults(t *testing.T, of answered, schema *openapi3.SchemaRef) int {
	t.Helper()
	p := &planter{t: t, of: of}
	if err := json.Unmarshal(of.body, &p.root); err != nil {
		t.Fatal(err)
	}
	p.value("", schema, p.root, func(v any) { p.root = v })
	return p.planted
}

// refused fails the test if the answer, as it is now, fits.
func (p *planter) refused(path, what string) {
	p.t.Helper()
	p.planted++
	body, err := json.Marshal(p.root)
	if err != nil {
		p.t.Fatal(err)
	}
	if fits(body, p.of.as) == nil {
		p.t.Errorf("%s %d is taken with %s %s: %s", p.of.operation, p.of.status, path, what, body)
	}
}

// value plants faults at a path, whose value set replaces.
func (p *planter) value(path string, ref *openapi3.SchemaRef, v any, set func(any)) {
	s := ref.Value
	if len(s.AnyOf) > 0 || s.Type == nil { // what is no form of it may be another
		return
	}
	try := func(other any, what string) {
		set(other)
		p.refused(path, what)
		set(v)
	}
	if v == nil {
		return
	}
	if !s.Nullable {
		try(nil, "null")
	}
	if s.Type.Is("string") {
		try(7, "a number")
	} else {
		try("seven", "a text")
	}
	if len(s.Enum) > 0 {
		try("no such word", "an unknown word")
	}
	if s.Format == "date-time" {
		try("yesterday", "no time")
	}
	switch v := v.(type) {
	case map[string]any:
		p.object(path, s, v)
	case []any:
		if len(v) > 0 {
			p.value(path+"[0]", s.Items, v[0], func(other any) { v[0] = other })
		}
	}
}

// object plants faults in an object.
func (p *planter) object(path string, s *openapi3.Schema, v map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		member, there := v[name]
		if !there {
			continue
		}
		at := fmt.Sprintf("%s.%s", path, name)
		if slices.Contains(s.Required, name) {
			delete(v, name)
			p.refused(at, "missing")
			v[name] = member
		}
		p.value(at, s.Properties[name], member, func(other any) { v[name] = other })
	}
}
