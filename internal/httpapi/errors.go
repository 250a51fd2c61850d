package httpapi

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"tallystick/commands"
	"tallystick/internal/wire"
)

// Error is the body of an answer that says no.
type Error struct {
	Error   string         `json:"error,omitempty" doc:"The sort of error, such as not_found"`
	Message string         `json:"message" doc:"What is wrong, for people. It may change at any time"`
	Code    string         `json:"code,omitempty" doc:"What is wrong, for programs. It never changes"`
	Details map[string]any `json:"details,omitempty" doc:"What is in the way, if something is"`
}

// ValidationError is the body of an answer that says which fields of the request are at fault.
type ValidationError struct {
	Error   string       `json:"error" enum:"validation_error"`
	Message string       `json:"message"`
	Code    string       `json:"code,omitempty"`
	Errors  []FieldError `json:"errors" nullable:"false"`
}

// FieldError says what is wrong with one field.
type FieldError struct {
	Field   string `json:"field" doc:"Where it is, such as properties[1].quantity"`
	Message string `json:"message"`
	Code    string `json:"code,omitempty"`
}

// A problem is a refusal on its way out: a rejection of the rules, with what only this door knows about it.
type problem struct {
	rejection *commands.Rejection
	fields    []FieldError // the faults of a request that is not what the description says
	status    int          // where it is not the usual one
}

func (p *problem) Error() string { return p.rejection.Error() }

func (p *problem) Unwrap() error { return p.rejection }

// problemOf returns what to answer to an error of a handler.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	return &problem{rejection: wire.RejectionOf(err)}
}

// invalid returns the refusal of a request of which one field is at fault.
func invalid(field, message string) *problem {
	r := commands.Reject(commands.Invalid, "%s %s", field, message)
	r.Field = field
	return &problem{rejection: r}
}

// maxFaults is how many faults of a request are named.
const maxFaults = 100

// mistaken returns the refusal of a request with the faults that a check has found. The text of one is made only where there is nothing else: it
// has all that the fault is in, which makes an answer out of proportion with the request.
func mistaken(faults []error) *problem {
	p := &problem{rejection: commands.Reject(commands.Invalid, "the request is not what this operation takes")}
	for _, err := range faults[:min(len(faults), maxFaults)] {
		f := FieldError{Field: "body", Code: string(commands.Invalid)}
		if d, ok := errors.AsType[*huma.ErrorDetail](err); ok {
			f.Message, f.Field = d.Message, cmp.Or(fieldOf(d), f.Field)
		} else {
			f.Message = err.Error()
		}
		p.fields = append(p.fields, f)
	}
	return p
}

// fieldOf returns the field that a fault is about: one that is missing, not what it is missing from. It returns "" for the whole body.
func fieldOf(d *huma.ErrorDetail) string {
	before, after, ok := strings.Cut(validation.MsgExpectedRequiredProperty, "%s")
	name, begins := strings.CutPrefix(d.Message, before)
	name, ends := strings.CutSuffix(name, after)
	if !ok || !begins || !ends {
		return d.Location
	}
	if d.Location != "" {
		name = d.Location + "." + name
	}
	return name
}

// answer returns the status and the body that p is answered with.
func (p *problem) answer() (int, any) {
	r := p.rejection
	status := cmp.Or(p.status, r.Code.HTTPStatus())
	fields := p.fields
	if len(fields) == 0 && r.Field != "" && status == http.StatusBadRequest {
		fields = []FieldError{{Field: r.Field, Message: r.Message, Code: string(r.Code)}}
	}
	if len(fields) > 0 {
		return status, ValidationError{Error: "validation_error", Message: r.Message, Code: string(r.Code), Errors: fields}
	}
	body := Error{Error: category(status), Message: r.Message, Code: string(r.Code)}
	if len(r.Blockers) > 0 {
		body.Details = map[string]any{"blockers": r.Blockers}
	}
	return status, body
}

// category names the sort of error that a status stands for.
func category(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "bad_request"
	case http.StatusUnauthorized:
		return "unauthorized"
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusMethodNotAllowed:
		return "method_not_allowed"
	case http.StatusConflict:
		return "conflict"
	case http.StatusUnprocessableEntity:
		return "unprocessable_entity"
	case http.StatusTooManyRequests:
		return "too_many_requests"
	case http.StatusServiceUnavailable:
		return "service_unavailable"
	}
	return "internal_server_error"
}
