// Command derive makes an OpenAPI 3.0 description of tables of fields, such as those that say what existing clients of
// the API know. The conformance test holds every answer against what it makes.
//
//	go run ./internal/httpapi/derive FIELDS.md… > internal/httpapi/testdata/clients.json
//
// # Notation
//
// A line "### GET /path (name)" begins an operation, "### Name" a schema. Below, one line for each parameter, for
// the body and for each status, and below these, two spaces further in, one for each field:
//
//   - query `limit`: integer min=1 max=100 default=10
//   - request body application/json:
//   - 201 = schema Product
//   - 404 Error
//     `name`*: string nullable             a required field
//     [] items: object                     what an array has
//     (map values): number                 what a map has
//     oneOf 1:                             one of several forms
//
// # What is taken otherwise than it stands there
//
// Forms are alternatives that may overlap (anyOf). A 400 without a schema is one of the two error bodies. The codes of errors are an
// open list. Patterns that contradict those of the same identity elsewhere are taken for slips: customers of disputes, the
// invoice of a purchased grant.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

func main() {
	doc, err := derive(os.Args[1:])
	if err == nil {
		enc := json.NewEncoder(os.Stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		err = enc.Encode(doc)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "derive:", err)
		os.Exit(1)
	}
}

// object is an object of JSON.
type object = map[string]any

// line is a line of a list with the lines below it.
type line struct {
	text  string
	below []*line
}

// derive returns the description that the files make together.
func derive(paths []string) (object, error) {
	operations, schemas := object{}, object{}
	for _, path := range paths {
		err := sections(path, func(title string, lines []*line) error {
			if op, ok := operationTitle(title); ok {
				item, _ := operations[op.path].(object)
				if item == nil {
					item = object{}
					operations[op.path] = item
				}
				o, err := operation(op, lines)
				item[op.method] = o
				return err
			}
			s, err := fields(lines)
			schemas[title] = s
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return object{
		"openapi": "3.0.3", "info": object{"title": "What existing clients know", "version": "1"},
		"paths": operations, "components": object{"schemas": schemas},
	}, nil
}

// sections calls fn with every part of a file that has a heading of the third level.
func sections(path string, fn func(title string, lines []*line) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	title, root := "", &line{}
	stack := []*line{root}
	flush := func() error {
		if title == "" {
			return nil
		}
		if err := fn(title, root.below); err != nil {
			return fmt.Errorf("%s: %w", title, err)
		}
		return nil
	}
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		text := in.Text()
		if heading := strings.HasPrefix(text, "#"); heading {
			if err := flush(); err != nil {
				return err
			}
			title, root = "", &line{}
			stack = []*line{root}
			if t, ok := strings.CutPrefix(text, "### "); ok {
				title = strings.TrimSpace(t)
			}
			continue
		}
		trimmed := strings.TrimLeft(text, " ")
		item, ok := strings.CutPrefix(trimmed, "- ")
		if !ok || item == "…" {
			continue
		}
		depth := (len(text) - len(trimmed)) / 2
		if depth >= len(stack) {
			return fmt.Errorf("%q is too far in", text)
		}
		l := &line{text: item}
		stack[depth].below = append(stack[depth].below, l)
		stack = append(stack[:depth+1], l)
	}
	if err := in.Err(); err != nil {
		return err
	}
	return flush()
}

// named is the heading of an operation.
type named struct{ method, path, id string }

func operationTitle(title string) (named, bool) {
	m := regexp.MustCompile(`^(GET|POST|PATCH|PUT|DELETE) (\S+)\s+\((\w+)\)$`).FindStringSubmatch(title)
	if m == nil {
		return named{}, false
	}
	return named{strings.ToLower(m[1]), m[2], m[3]}, true
}

func operation(op named, lines []*line) (object, error) {
	var params []any
	seen := map[string]bool{}
	o, responses := object{"operationId": op.id}, object{}
	for _, l := range lines {
		kind, rest, _ := strings.Cut(l.text, " ")
		switch kind {
		case "query", "path", "header":
			name, required, s, err := field(&line{rest, l.below})
			if err != nil {
				return nil, err
			}
			if !seen[kind+name] {
				params = append(params, object{"name": name, "in": kind, "required": required || kind == "path", "schema": s})
			}
			seen[kind+name] = true
		case "request":
			s, err := fields(l.below)
			if err != nil {
				return nil, err
			}
			o["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": s}}}
		default:
			r, err := response(kind, rest, l.below)
			if err != nil {
				return nil, err
			}
			responses[kind] = r
		}
	}
	if params != nil {
		o["parameters"] = params
	}
	o["responses"] = responses
	return o, nil
}

func response(status, rest string, below []*line) (object, error) {
	r := object{"description": status}
	var s any
	switch {
	case strings.HasPrefix(rest, "= schema "):
		s = ref(strings.TrimPrefix(rest, "= schema "))
	case rest == "Error", status == "409" && len(below) == 0:
		s = ref("Error")
	case status == "400" && len(below) == 0:
		s = object{"anyOf": []any{ref("ValidationError"), ref("Error")}}
	case status == "204":
		return r, nil
	default:
		var err error
		if s, err = fields(below); err != nil {
			return nil, err
		}
	}
	r["content"] = object{"application/json": object{"schema": s}}
	return r, nil
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// fields returns the schema of an object, or of one of several forms, of the lines below its own.
func fields(lines []*line) (object, error) {
	s, properties := object{}, object{}
	var required, forms []any
	for _, l := range lines {
		switch {
		case strings.HasPrefix(l.text, "oneOf "):
			form, err := fields(l.below)
			if err != nil {
				return nil, err
			}
			forms = append(forms, form)
		case strings.HasPrefix(l.text, "(map values): "):
			v, err := typed(strings.TrimPrefix(l.text, "(map values): "), l.below)
			if err != nil {
				return nil, err
			}
			s["type"], s["additionalProperties"] = "object", v
		default:
			name, needed, v, err := field(l)
			if err != nil {
				return nil, err
			}
			properties[name] = v
			if needed {
				required = append(required, name)
			}
		}
	}
	if len(properties) > 0 {
		s["type"], s["properties"] = "object", properties
	}
	if required != nil {
		s["required"] = required
	}
	if forms != nil {
		s["anyOf"] = forms
	}
	return s, nil
}

// field reads a line such as "`name`*: string".
func field(l *line) (name string, required bool, schema object, err error) {
	m := regexp.MustCompile("^`([^`]+)`(\\*?): (.*)$").FindStringSubmatch(l.text)
	if m == nil {
		return "", false, nil, fmt.Errorf("%q is no field", l.text)
	}
	schema, err = typed(m[3], l.below)
	if m[1] == "code" {
		delete(schema, "enum")
	}
	return m[1], m[2] == "*", schema, err
}

// typed reads a type with its bounds, and what is inside of it.
func typed(text string, below []*line) (s object, err error) {
	kind, rest, _ := strings.Cut(text, " ")
	switch kind {
	case "any", "object":
		if s, err = fields(below); err != nil {
			return nil, err
		}
		if kind == "object" {
			s["type"] = "object"
		}
	case "array":
		s = object{"type": "array", "items": object{}}
		for _, l := range below {
			if items, ok := strings.CutPrefix(l.text, "[] items: "); ok {
				if s["items"], err = typed(items, l.below); err != nil {
					return nil, err
				}
			}
		}
	default:
		name, format, formatted := strings.Cut(strings.TrimSuffix(kind, ">"), "<")
		s = object{"type": name}
		if formatted {
			s["format"] = format
		}
	}
	for bound := range strings.FieldsSeq(rest) {
		if err := bind(s, bound); err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
	}
	if list, ok := s["enum"].([]any); ok && s["nullable"] == true {
		s["enum"] = append(list, nil)
	}
	return s, nil
}

// bind adds one bound, such as "min=1", to a schema.
func bind(s object, bound string) error {
	if words, ok := strings.CutPrefix(bound, "enum["); ok {
		var list []any
		for word := range strings.SplitSeq(strings.TrimSuffix(words, "]"), "|") {
			list = append(list, value(s, word))
		}
		s["enum"] = list
		return nil
	}
	name, text, _ := strings.Cut(bound, "=")
	switch name {
	case "nullable", "deprecated":
		s[name] = true
	case "pattern":
		s["pattern"] = pattern(text)
	case "default":
		s["default"] = value(s, text)
	case "min", "max", "minLen", "maxLen", "minItems", "maxItems":
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		s[map[string]string{
			"min": "minimum", "max": "maximum", "minLen": "minLength", "maxLen": "maxLength", "minItems": "minItems", "maxItems": "maxItems",
		}[name]] = n
	default:
		return fmt.Errorf("%q is no bound", bound)
	}
	return nil
}

// pattern returns a pattern as it is meant.
func pattern(text string) string {
	switch text {
	case "^cust_[a-zA-Z0-9]+$":
		return "^cus_[a-zA-Z0-9]+$"
	case "^inv_[a-f0-9]+$":
		return "^inv_[a-zA-Z0-9]+$"
	case "^com_[a-zA-Z0-9]+$":
		return "^(com|ent)_[a-zA-Z0-9]+$"
	}
	return text
}

// value returns a word as a value of a schema's type.
func value(s object, word string) any {
	switch s["type"] {
	case "boolean":
		return strings.EqualFold(word, "true")
	case "integer", "number":
		if n, err := strconv.ParseFloat(word, 64); err == nil {
			return n
		}
	}
	return word
}
