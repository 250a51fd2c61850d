package httpapi

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tallystick/commands"
)

const (
	maxBody  = 1 << 20 // bytes of a body, for most operations
	maxBatch = 8 << 20 // for a batch of usage
	maxDepth = 32      // levels of arrays and objects, as in package wire
)

// readBody takes the body of a request, at most limit bytes of it. An empty one is the empty object.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, commands.Reject(commands.TooLarge, "the body has more than %d bytes", large.Limit)
	}
	if err != nil {
		return nil, commands.Reject(commands.Invalid, "the body did not come whole, or not in time")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	return body, nil
}

// parse returns a body as the values that a description is checked against. It refuses what is not strict JSON: names given
// twice, text that is not UTF-8, numbers that are beyond every number, more than maxDepth levels.
func parse(body []byte) (value any, err error) {
	if !utf8.Valid(body) {
		return nil, commands.Reject(commands.Invalid, "the body is not UTF-8")
	}
	if depth(body) > maxDepth {
		return nil, commands.Reject(commands.Invalid, "the body has more than %d levels of nesting", maxDepth)
	}
	err = json.Unmarshal(body, &value)
	if wrong, ok := errors.AsType[*json.SemanticError](err); ok { // JSON, but for a number that no float has room for
		r := commands.Reject(commands.Invalid, "%s is beyond the numbers there are", wrong.JSONValue)
		r.Field = fieldAt(wrong.JSONPointer)
		return nil, r
	}
	if err != nil {
		return nil, commands.Reject(commands.Invalid, "the body is not valid JSON: %v", err)
	}
	return value, nil
}

// fieldAt returns what the field is called that a pointer points to, such as events[0].quantity.
func fieldAt(p jsontext.Pointer) string {
	var name strings.Builder
	for token := range p.Tokens() {
		switch _, err := strconv.Atoi(token); {
		case err == nil:
			token = "[" + token + "]"
		case name.Len() > 0:
			token = "." + token
		}
		name.WriteString(token)
	}
	return name.String()
}

// depth returns how many levels of arrays and objects a body has. Of what is no JSON it returns something.
func depth(body []byte) (most int) {
	level, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			level++
			most = max(most, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return most
}

// quote returns a text as JSON.
func quote(text string) []byte {
	b, err := json.Marshal(text)
	if err != nil { // a text that is not UTF-8
		return []byte(`""`)
	}
	return b
}

// pageToken returns a token that stands for a place in a list, and place reads it. It says nothing to clients.
func pageToken(place int) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "p%d", place))
}

func place(token string) (n int, ok bool) {
	if token == "" {
		return 0, true
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return 0, false
	}
	_, err = fmt.Sscanf(string(b), "p%d", &n)
	return n, err == nil && n >= 0 && pageToken(n) == token
}
