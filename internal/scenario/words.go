package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// words cuts a step at its spaces, except inside quotes and brackets.
func words(s string) (list []string, _ error) {
	var word strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quoted:
			quoted = c != '"'
			if c == '\\' && i+1 < len(s) {
				word.WriteByte(c)
				i++
				c = s[i]
			}
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ' ' && depth == 0:
			if word.Len() > 0 {
				list = append(list, word.String())
				word.Reset()
			}
			continue
		}
		word.WriteByte(c)
	}
	if quoted || depth != 0 {
		return nil, errors.New("a quote or a bracket is not closed")
	}
	if word.Len() > 0 {
		list = append(list, word.String())
	}
	return list, nil
}

// body makes JSON of fields, which are path=value.
func (w *World) body(fields []string) (map[string]any, error) {
	all := make(map[string]any)
	for _, f := range fields {
		path, text, ok := strings.Cut(f, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not field=value", f)
		}
		value, err := w.value(text)
		if err != nil {
			return nil, err
		}
		at := all
		names := strings.Split(path, ".")
		for _, n := range names[:len(names)-1] {
			inner, ok := at[n].(map[string]any)
			if !ok {
				inner = make(map[string]any)
				at[n] = inner
			}
			at = inner
		}
		at[names[len(names)-1]] = value
	}
	return all, nil
}

var (
	references = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|(^|[\[{,:])@[a-zA-Z0-9-]+`)
	moment     = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9:.]+Z?)?$`)
	relative   = regexp.MustCompile(`^now([+-][0-9a-z]+)?$`)
)

// value reads a value: see the package comment.
func (w *World) value(text string) (any, error) {
	var unknown error
	text = references.ReplaceAllStringFunc(text, func(ref string) string {
		if ref[0] == '"' {
			return ref
		}
		before, name, _ := strings.Cut(ref, "@")
		id, ok := w.names[name]
		if !ok {
			unknown = fmt.Errorf("nothing is called %s", name)
		}
		return before + `"` + id + `"`
	})
	if unknown != nil {
		return nil, unknown
	}
	if moment.MatchString(text) || relative.MatchString(text) {
		t, err := w.timeOf(text)
		return t.Format(time.RFC3339Nano), err
	}
	if json.Valid([]byte(text)) {
		return json.RawMessage(text), nil
	}
	return text, nil
}

// timeOf reads a time.
func (w *World) timeOf(text string) (time.Time, error) {
	if by, ok := strings.CutPrefix(text, "now"); ok {
		if by == "" {
			return w.named, nil
		}
		d, err := time.ParseDuration(by)
		return w.named.Add(d), err
	}
	text = strings.TrimSuffix(strings.Replace(text, "T", " ", 1), "Z")
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05.999999999"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time, such as 2025-03-01 09:00", text)
}
