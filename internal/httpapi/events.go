package httpapi

import (
	"net/http"

	"github.com/go-json-experiment/json"

	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
)

// EventCreate is what a meter event is made of.
type EventCreate struct {
	Type           string         `json:"type" minLength:"1" maxLength:"255" doc:"Which metrics count it: those with this eventType"`
	Source         string         `json:"source" minLength:"1" maxLength:"255" doc:"Who says so"`
	Subject        string         `json:"subject" minLength:"1" doc:"The customer"`
	Namespace      string         `json:"namespace,omitempty" maxLength:"255"`
	Timestamp      string         `json:"timestamp,omitempty" format:"date-time" doc:"When it happened; default: now"`
	IdempotencyKey string         `json:"idempotencyKey,omitempty" maxLength:"255" doc:"Default: one that is made up and answered"`
	Data           map[string]any `json:"data" doc:"In which metrics find their values"`
}

// Event is a meter event that was taken.
type Event struct {
	ID             string       `json:"id,omitempty" doc:"Of the usage event that it is; none where nothing counts events of this type"`
	Object         string       `json:"object" enum:"event"`
	Type           string       `json:"type"`
	Source         string       `json:"source"`
	Subject        string       `json:"subject"`
	Namespace      string       `json:"namespace,omitempty"`
	Timestamp      *events.Time `json:"timestamp,omitempty" format:"date-time"`
	IdempotencyKey string       `json:"idempotencyKey,omitempty"`
}

func (a *API) events() []operation {
	return []operation{{
		id: "ingestEvent", method: http.MethodPost, path: "/v0/events", tag: "Usage", summary: "Report an event, for the metrics that count its type",
		body: bodyOf[EventCreate](), answers: answers[Event](http.StatusAccepted), handle: a.ingestEvent,
	}}
}

// ingestEvent takes an event. It is billed before it is answered, so what is wrong with it is said at once.
func (a *API) ingestEvent(c *call) (answer, error) {
	d, err := c.carryOut("IngestEvent")
	if err != nil {
		return answer{}, err
	}
	v := Event{
		Object: "event", Type: c.said("type"), Source: c.said("source"), Subject: c.said("subject"), Namespace: c.said("namespace"),
		IdempotencyKey: c.said("idempotencyKey"),
	}
	seq := d.one().Seq
	if seq == 0 {
		return answer{http.StatusAccepted, v}, nil
	}
	list, err := a.opts.Queries.UsageAt(c.ctx, c.who, []events.Seq{seq})
	if err != nil {
		return answer{}, err
	}
	u := &list[0]
	v.ID, v.Timestamp, v.IdempotencyKey = u.ID.String(), &u.Timestamp, u.Key
	return answer{http.StatusAccepted, v}, nil
}

// said returns a text of the body, "" where there is none.
func (c *call) said(name string) string {
	s, _ := c.fields[name].(string)
	return s
}

// meterEventOf returns the meter event that reported usage, or nil.
func meterEventOf(u *query.UsageEvent) *wire.MeterEvent {
	m := new(wire.MeterEvent)
	if text := u.Metadata[wire.MeterEventKey]; text == "" || json.Unmarshal([]byte(text), m) != nil || m.Type == "" {
		return nil
	}
	return m
}
