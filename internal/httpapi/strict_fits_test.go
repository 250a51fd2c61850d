package httpapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"tallystick/internal/httpapi/strict"
)

// fits returns an error unless a body is a t, as a generated type says it: each field without omitempty is there, each value is of its
// type, none is null that is not nullable, and a word of an enum is one that the type knows. Package json alone takes all of these.
// Fields that the type does not have are no fault.
func fits(body []byte, t reflect.Type) error {
	var c checker
	c.value("", body, t)
	return errors.Join(c.faults...)
}

// checker collects what is wrong.
type checker struct{ faults []error }

func (c *checker) wrong(path, format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("%s %s", strings.TrimPrefix(path, "."), fmt.Sprintf(format, args...)))
}

// value holds what stands at a path against its type.
func (c *checker) value(path string, raw json.RawMessage, t reflect.Type) {
	null := string(bytes.TrimSpace(raw)) == "null"
	switch {
	case nullable(t):
		if !null {
			c.value(path, raw, t.Elem())
		}
	case t.Kind() == reflect.Pointer:
		c.value(path, raw, t.Elem())
	case t.Kind() == reflect.Interface:
		if !json.Valid(raw) {
			c.wrong(path, "is no JSON: %s", raw)
		}
	case null:
		c.wrong(path, "is null")
	case t.Kind() == reflect.Struct && (t.PkgPath() == ours || t.Name() == ""):
		c.object(path, raw, t)
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		var items []json.RawMessage
		if c.decode(path, raw, &items) {
			for i := range items {
				c.value(fmt.Sprintf("%s[%d]", path, i), items[i], t.Elem())
			}
		}
	case t.Kind() == reflect.Map:
		var members map[string]json.RawMessage
		if c.decode(path, raw, &members) {
			for name, member := range members {
				c.value(path+"."+name, member, t.Elem())
			}
		}
	default:
		v := reflect.New(t)
		if !c.decode(path, raw, v.Interface()) {
			return
		}
		if word, ok := v.Elem().Interface().(interface{ Valid() bool }); ok && !word.Valid() {
			c.wrong(path, "is %s, which is no %s", raw, t.Name())
		}
	}
}

// ours is where the generated types are.
var ours = reflect.TypeFor[strict.Client]().PkgPath()

// nullable reports whether a type is one of a value that may be null.
func nullable(t reflect.Type) bool {
	return t.Kind() == reflect.Map && t.PkgPath() == "github.com/oapi-codegen/nullable"
}

func (c *checker) decode(path string, raw json.RawMessage, into any) bool {
	err := json.Unmarshal(raw, into)
	if err != nil {
		c.wrong(path, "is %.100s: %v", raw, err)
	}
	return err == nil
}

// object holds an object against a generated struct. Its names count as they are written.
func (c *checker) object(path string, raw json.RawMessage, t reflect.Type) {
	if _, union := t.FieldByName("union"); union && !c.oneOf(path, raw, t) {
		return
	}
	var members map[string]json.RawMessage
	known := fieldsOf(t)
	if len(known) == 0 || !c.decode(path, raw, &members) {
		return
	}
	for _, f := range known {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		member, there := members[name]
		switch {
		case there:
			c.value(path+"."+name, member, f.Type)
		case !strings.Contains(options, "omitempty"):
			c.wrong(path+"."+name, "is missing")
		}
	}
}

// fieldsOf returns the fields of a struct that are fields in JSON.
func fieldsOf(t reflect.Type) []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
		tag := f.Tag.Get("json")
		return tag == "" || tag == "-"
	})
}

// oneOf holds a value against the forms that a generated union can have, and reports whether it is one of them.
func (c *checker) oneOf(path string, raw json.RawMessage, t reflect.Type) bool {
	var forms []string
	for m := range t.Methods() {
		if !strings.HasPrefix(m.Name, "As") || m.Type.NumOut() != 2 {
			continue
		}
		var form checker
		form.value("", raw, m.Type.Out(0))
		if len(form.faults) == 0 {
			return true
		}
		forms = append(forms, fmt.Sprintf("%s: %v", m.Type.Out(0).Name(), errors.Join(form.faults...)))
	}
	c.wrong(path, "is none of its forms; %s", strings.Join(forms, "; "))
	return false
}
