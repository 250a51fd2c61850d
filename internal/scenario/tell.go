package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"tallystick/commands"
	"tallystick/events"
)

// lists are the fields under which answers have their elements.
var lists = []string{"items", "entries", "data", "receipts"}

// tell returns the fields of an answer that a story asks for, a line for each element of a list.
func (w *World) tell(answer any, fields []string) ([]string, error) {
	elements := []any{answer}
	if len(fields) > 0 && strings.HasSuffix(fields[0], ":") {
		list, ok := at(answer, strings.TrimSuffix(fields[0], ":")).([]any)
		if !ok && at(answer, strings.TrimSuffix(fields[0], ":")) != nil {
			return nil, fmt.Errorf("%s is no list", fields[0])
		}
		elements, fields = list, fields[1:]
	} else {
		for _, name := range lists {
			if list, ok := at(answer, name).([]any); ok {
				elements = list
			}
		}
	}
	if len(fields) == 0 {
		return nil, errors.New("say which fields to tell, behind a |")
	}
	if len(elements) == 0 {
		return []string{"none"}, nil
	}
	told := make([]string, len(elements))
	for i, e := range elements {
		parts := make([]string, len(fields))
		for j, f := range fields {
			name := f[strings.LastIndexByte(f, '.')+1:]
			parts[j] = strings.TrimSuffix(name, "Nanos") + " " + w.text(name, at(e, f))
		}
		told[i] = strings.Join(parts, "  ")
	}
	return told, nil
}

// at returns what stands at a path, nil if nothing does.
func at(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		switch inner := v.(type) {
		case map[string]any:
			v = inner[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(inner) {
				return nil
			}
			v = inner[i]
		default:
			return nil
		}
	}
	return v
}

var (
	identity = regexp.MustCompile(`\b([a-z]{2,6})_([0-9A-Z]{26}|[A-Z2-7]{16})\b`)
	stamp    = regexp.MustCompile(`\b([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2})(:00)?((?::[0-9]{2})?(?:\.[0-9]+)?)Z`)
)

// text returns a value of an answer as a story tells it: amounts in units, names for identities, short times.
func (w *World) text(field string, v any) string {
	var s string
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		s = v
		var n events.Sum
		if strings.HasSuffix(field, "Nanos") && n.UnmarshalText([]byte(v)) == nil {
			return n.String()
		}
	case json.Number:
		s = v.String()
	default:
		b, err := json.Marshal(v)
		if err != nil {
			panic(fmt.Sprintf("scenario: impossible: encoding what was decoded: %v", err))
		}
		s = string(b)
	}
	s = identity.ReplaceAllStringFunc(s, func(id string) string {
		if name, ok := w.called[id]; ok {
			return name
		}
		prefix, _, _ := strings.Cut(id, "_")
		return prefix + "_?"
	})
	return stamp.ReplaceAllString(s, "$1 $2$4")
}

// tellReceipt returns a receipt as a story tells it. What a message says may change at any time: it is not told.
func tellReceipt(r *commands.Receipt) string {
	if r.Status == commands.Rejected {
		return "refused " + string(r.Code)
	}
	s := string(r.Status)
	if r.Amount != nil {
		s += fmt.Sprintf(" %s %s", r.Amount, r.Currency)
	}
	if r.Balance != nil {
		s += fmt.Sprintf(", balance %s", r.Balance)
	}
	return s
}
