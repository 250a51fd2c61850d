package httpapi

import (
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tallystick/events"
)

// param is a parameter of a query.
type param struct {
	name     string
	schema   *huma.Schema
	required bool
	doc      string
}

func (p *param) describe() *huma.Param {
	return &huma.Param{Name: p.name, In: "query", Required: p.required, Schema: p.schema, Description: p.doc}
}

// needed makes a parameter required.
func (p param) needed() param { p.required = true; return p }

// identity returns a parameter that is an identity with a prefix.
func identity(name, prefix string) param {
	return param{name: name, schema: checked(&huma.Schema{Type: huma.TypeString, Pattern: "^" + prefix + "_[a-zA-Z0-9]+$"})}
}

// words returns a parameter that is one of some words.
func words(name string, list ...string) param {
	s := &huma.Schema{Type: huma.TypeString}
	for _, w := range list {
		s.Enum = append(s.Enum, w)
	}
	return param{name: name, schema: checked(s)}
}

// instant returns a parameter that is a time.
func instant(name string) param {
	return param{name: name, schema: checked(&huma.Schema{Type: huma.TypeString, Format: "date-time"})}
}

// text returns a parameter of any text with so many characters.
func text(name string, least, most int) param {
	s := &huma.Schema{Type: huma.TypeString, MaxLength: &most}
	if least > 0 {
		s.MinLength = &least
	}
	return param{name: name, schema: checked(s)}
}

// whole returns a parameter that is an integer.
func whole(name string, least, most, otherwise int) param {
	s := &huma.Schema{Type: huma.TypeInteger, Minimum: new(float64(least)), Default: otherwise}
	if most > 0 {
		s.Maximum = new(float64(most))
	}
	return param{name: name, schema: checked(s)}
}

// The bounds of lists.
const (
	usualLimit = 10
	mostLimit  = 100
	mostOffset = 1 << 40
)

// paged adds the parameters that say which part of a list is wanted.
func paged(params ...param) []param {
	return append(params, whole("limit", 1, mostLimit, usualLimit), whole("offset", 0, mostOffset, 0))
}

// pathParams describes the parameters in a path.
func pathParams(path string) (params []*huma.Param) {
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			params = append(params, &huma.Param{
				Name: strings.TrimSuffix(name, "}"), In: "path", Required: true, Schema: checked(&huma.Schema{Type: huma.TypeString}),
			})
		}
	}
	return params
}

// parameters reads the parameters of the query and holds them against their descriptions.
func (c *call) parameters(res *huma.ValidateResult) {
	c.values = make(map[string]any, len(c.op.params))
	given := c.request.URL.Query()
	for i := range c.op.params {
		p := &c.op.params[i]
		path := huma.NewPathBuffer([]byte(p.name), len(p.name))
		texts, ok := given[p.name]
		if !ok || len(texts) == 1 && texts[0] == "" && !p.required {
			if p.required {
				res.Add(path, nil, "is required")
			}
			if p.schema.Default != nil {
				c.values[p.name] = p.schema.Default
			}
			continue
		}
		if len(texts) > 1 {
			res.Add(path, nil, "is given twice")
			continue
		}
		var value any = texts[0]
		switch p.schema.Type {
		case huma.TypeInteger:
			n, err := strconv.Atoi(texts[0])
			if err != nil {
				res.Add(path, texts[0], "expected integer")
				continue
			}
			value = n
		case huma.TypeBoolean:
			value = texts[0] == "true"
			if texts[0] != "true" && texts[0] != "false" {
				res.Add(path, texts[0], "expected true or false")
			}
		}
		before := len(res.Errors)
		huma.Validate(c.api.api.OpenAPI().Components.Schemas, p.schema, path, huma.ModeWriteToServer, value, res)
		if len(res.Errors) == before {
			c.values[p.name] = value
		}
	}
}

// text returns a parameter that is a text, "" where there is none.
func (c *call) text(name string) string {
	s, _ := c.values[name].(string)
	return s
}

// number returns a parameter that is an integer.
func (c *call) number(name string) int {
	n, _ := c.values[name].(int)
	return n
}

// queryID returns the identity of a K that a parameter names, zero where there is none. A parameter that fits its
// pattern and names nothing that could exist is what nothing has: found is false.
func queryID[K events.Noun](c *call, name string) (id events.ID[K], found bool) {
	s := c.text(name)
	if s == "" {
		return id, true
	}
	id, err := events.ParseID[K](s)
	return id, err == nil
}

// moment returns a parameter that is a time, zero where there is none.
func (c *call) moment(name string) (t events.Time, err error) {
	if s := c.text(name); s != "" {
		if t.UnmarshalText([]byte(s)) != nil {
			return 0, invalid(name, "must be a time from 1678 to 2262, and not the first instant of 1970")
		}
	}
	return t, nil
}
