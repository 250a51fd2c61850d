package httpapi

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tallystick/events"
	"tallystick/internal/query"
)

// EventCreate is what a meter event is made of.
type EventCreate struct {
	Type            string         `json:"type" minLength:"1" maxLength:"255" doc:"Which metrics count it: those with this eventType"`
	Source          string         `json:"source" minLength:"1" maxLength:"255" doc:"Who says so"`
	Subject         string         `json:"subject,omitempty" pattern:"^cus_[a-zA-Z0-9]+$" doc:"The customer. This or externalSubject is required"`
	ExternalSubject string         `json:"externalSubject,omitempty" maxLength:"255" doc:"The externalId of the customer"`
	Namespace       string         `json:"namespace,omitempty" maxLength:"255"`
	Timestamp       string         `json:"timestamp,omitempty" format:"date-time" doc:"When it happened; default: now"`
	IdempotencyKey  string         `json:"idempotencyKey,omitempty" maxLength:"255" doc:"Default: one that is made up and answered"`
	ExternalID      string         `json:"externalId,omitempty" pattern:"^[a-zA-Z0-9_-]{1,255}$" doc:"Your own id of the event"`
	Data            map[string]any `json:"data" doc:"In which metrics find their values, and their dimensions"`
}

// Event is a meter event that was taken.
type Event struct {
	ID              string       `json:"id,omitempty" doc:"Of the usage event that it is; none where nothing counts events of this type, or where it is held"`
	Object          string       `json:"object" enum:"event"`
	Type            string       `json:"type"`
	Source          string       `json:"source"`
	Subject         string       `json:"subject,omitempty" doc:"The customer; of an event that nothing counts, if it was named"`
	ExternalSubject string       `json:"externalSubject,omitempty"`
	Namespace       string       `json:"namespace,omitempty"`
	Timestamp       *events.Time `json:"timestamp,omitempty" format:"date-time"`
	IdempotencyKey  string       `json:"idempotencyKey,omitempty"`
	ExternalID      string       `json:"externalId,omitempty"`
	Held            bool         `json:"held,omitempty" doc:"It is billed once a customer has this externalSubject"`
}

func (a *API) events() []operation {
	return []operation{{
		id: "ingestEvent", method: http.MethodPost, path: "/v0/events", tag: "Usage",
		summary: "Report an event, for the metrics that count its type. It may be a CloudEvent 1.0 in JSON, with the attributes externalsubject and externalid",
		body:    bodyOf[EventCreate](), loose: true, answers: answers[Event](http.StatusAccepted), handle: a.ingestEvent,
	}, {
		id: "listHeldEvents", method: http.MethodGet, path: "/v0/events/held", tag: "Usage", summary: "List for whom events are held",
		params: paged(identity("merchantId", "org")), answers: answers[query.APIList[query.APIHeldEvents]](http.StatusOK), handle: a.listHeldEvents,
	}, {
		id: "discardHeldEvents", method: http.MethodPost, path: "/v0/events/held/discard", tag: "Usage",
		summary: "Forget the events that are held for an externalSubject: they are never billed, and nobody can read them",
		body:    bodyOf[HeldEventsDiscard](), answers: map[int]bodyType{204: nil}, handle: func(c *call) (answer, error) {
			_, err := c.carryOut("DiscardEvents")
			return answer{status: http.StatusNoContent}, err
		},
	}}
}

// HeldEventsDiscard says which events are to be forgotten.
type HeldEventsDiscard struct {
	ExternalSubject string `json:"externalSubject" minLength:"1" maxLength:"255"`
}

func (a *API) listHeldEvents(c *call) (answer, error) {
	args := query.ListHeldEventsArgs{APIPage: c.apiPage()}
	var found bool
	if args.Merchant, found = queryID[events.OrganizationNoun](c, "merchantId"); !found {
		return answer{}, missing("merchantId", c.text("merchantId"))
	}
	return ok(a.opts.Queries.ListHeldEvents(c.ctx, c.who, args))
}

// saidEvent is what is repeated in the answer to an event, in either form.
type saidEvent struct {
	Type            string `json:"type"`
	Source          string `json:"source"`
	Subject         string `json:"subject"`
	Namespace       string `json:"namespace"`
	ExternalSubject string `json:"externalSubject"`
	ExternalID      string `json:"externalId"`
	CloudSubject    string `json:"externalsubject"` // of a CloudEvent
	CloudID         string `json:"externalid"`
}

// ingestEvent takes an event. It is billed before it is answered, so what is wrong with it is said at once, but for one that is held.
func (a *API) ingestEvent(c *call) (answer, error) {
	d, err := c.carryOut("IngestEvent")
	if err != nil {
		return answer{}, err
	}
	var said saidEvent
	if err := json.Unmarshal(c.body, &said, jsontext.AllowDuplicateNames(true)); err != nil { // in its data, where it does no harm
		return answer{}, fmt.Errorf("reading an event that was taken: %w", err)
	}
	v := Event{
		Object: "event", Type: said.Type, Source: said.Source, Subject: said.Subject, Namespace: said.Namespace, IdempotencyKey: d.key,
		ExternalSubject: cmp.Or(said.ExternalSubject, said.CloudSubject), ExternalID: cmp.Or(said.ExternalID, said.CloudID),
	}
	receipt := d.one()
	if v.Held = receipt.Seq != 0 && receipt.ID.IsZero(); v.Held || receipt.Seq == 0 {
		return answer{http.StatusAccepted, v}, nil
	}
	list, err := a.opts.Queries.UsageAt(c.ctx, c.who, []events.Seq{receipt.Seq})
	if err != nil {
		return answer{}, err
	}
	u := &list[0]
	v.ID, v.Subject, v.Timestamp = u.ID.String(), u.Customer.String(), &u.Timestamp
	return answer{http.StatusAccepted, v}, nil
}
