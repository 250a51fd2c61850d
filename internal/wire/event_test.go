package wire

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tallystick/commands"
	"tallystick/events"
)

// TestIngestEvent holds what a meter event is read as, and what is refused of its data. It is apart, for one without an idempotency
// key gets one.
func TestIngestEvent(t *testing.T) {
	d, _, _ := newTestDecoder()
	w, err := decode(d, "IngestEvent", `{"type":"llm.call","source":"gw","subject":"$customer","namespace":"eu","timestamp":"2024-01-15T10:30:00Z","data":{"b":{"c":1.50,"a":"x"},"l":[1],"n":null,"t":true}}`)
	if err != nil {
		t.Fatal(err)
	}
	want := &commands.IngestEvent{
		Customer: customer, Type: "llm.call", HappenedAt: at("2024-01-15T10:30:00Z"),
		Data: []commands.EventValue{{Path: "$.b.a", Text: "x"}, {Path: "$.b.c", Text: "1.50"}, {Path: "$.l", Text: "[1]"}, {Path: "$.t", Text: "true"}},
		Metadata: events.Sealed{
			Key: consumer, Box: []byte(`usage.metadata {"meterEvent":"{\"type\":\"llm.call\",\"source\":\"gw\",\"namespace\":\"eu\",\"data\":{\"b\":{\"c\":1.50,\"a\":\"x\"},\"l\":[1],\"n\":null,\"t\":true}}"}`),
		},
	}
	if diff := cmp.Diff(want, w.Requests[0].Command); diff != "" || len(w.Requests[0].Key) != 32 || w.Requests[0].Content.IsZero() {
		t.Errorf("key %q, command (-want +got):\n%s", w.Requests[0].Key, diff)
	}
	event := func(data string) string { return `{"type":"t","source":"s","subject":"$customer","data":` + data + `}` }
	for data, want := range map[string]string{
		`[]`:                      "data must be an object",
		`{"a":1,"a":2}`:           `has two values at "$.a"`,
		`{"a":{"b":1},"a.b":"1"}`: `has two values at "$.a.b"`,
		`{"a":` + strings.Repeat(`{"b":`, 40) + `1` + strings.Repeat(`}`, 40) + `}`: "levels of nesting",
		`{"a":"` + strings.Repeat("x", mostEventBytes) + `"}`:                       "more than 32768 bytes",
		`{"a":[1],` + manyMembers(mostEventValues) + `}`:                            "more than 1000 values",
		`{"a":null,"a":{}}`:          `has two values at "$.a"`,
		`{"a":[{"b":1,"b":1}]}`:      `has two values at "$.a.b"`,
		`{},"specversion":"1.0"`:     "are the idempotency key",
		`{},"bogus":"1.0"`:           "is no field here",
		`{},"externalSubject":"c-1"`: "subject or externalSubject is required, one of them",
		`{},"externalId":"a b"`:      "externalId may have letters, digits, _ and - only",
		`{},"specversion":"1.0","id":"` + strings.Repeat("x", 254) + `"`: "are the idempotency key",
	} {
		if _, err := decode(d, "IngestEvent", event(data)); commands.CodeOf(err) != commands.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", data, err, want)
		}
	}
}

// manyMembers returns n members of an object.
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"n%d":1,`, i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

// TestMeterEventForms holds that every way to write a meter event is the same command with the same key and hash, alone and among usage.
func TestMeterEventForms(t *testing.T) {
	d, _, _ := newTestDecoder()
	const event = `{"type":"llm.call","source":"gw","idempotencyKey":"gw/1","externalSubject":"c-1","externalId":"call_7","namespace":"eu","timestamp":"2024-01-15T10:30:00Z","data":{"n":1}}`
	cloud := `{"specversion":"1.0","id":"1","source":"gw","type":"llm.call","time":"2024-01-15T11:30:00+01:00","datacontenttype":"application/json","dataschema":"urn:x",
		"traceparent":"00-1","namespace":"eu","externalsubject":"c-1","externalid":"call_7","data":{"n":1}}`
	want, err := decode(d, "IngestEvent", event)
	if err != nil {
		t.Fatal(err)
	}
	if c := want.Requests[0].Command.(*commands.IngestEvent); c.Customer != customer || c.External != "c-1" || len(c.Metadata.Box) == 0 {
		t.Errorf("the event is %+v", c)
	}
	for name, bodies := range map[string][]string{
		"IngestEvent": {cloud}, "ReportUsage": {cloud, `[` + cloud + `]`, `[` + usage + `,` + cloud + `,` + usage + `]`},
	} {
		for _, body := range bodies {
			w, err := decode(d, name, body)
			if err != nil {
				t.Fatal(err)
			}
			at := len(w.Requests) / 2
			if diff := cmp.Diff(want.Requests[0], w.Requests[at]); diff != "" || w.Meters != (name == "ReportUsage") {
				t.Errorf("%s of %s, %v (-want +got):\n%s", name, body, w.Meters, diff)
			}
			if r := w.Requests[len(w.Requests)-1]; at > 0 && (r.Key != "k1" || len(r.Command.(*commands.ReportUsage).Properties) != 2) {
				t.Errorf("the usage behind it is %+v", r)
			}
		}
	}
	unknown, err := decode(d, "IngestEvent", strings.Replace(event, "c-1", "c-2", 1))
	if err != nil {
		t.Fatal(err)
	}
	if c := unknown.Requests[0].Command.(*commands.IngestEvent); !c.Customer.IsZero() || !c.Metadata.IsZero() || unknown.Requests[0].Content == want.Requests[0].Content {
		t.Errorf("of nobody the event is %+v", c)
	}
	for change, want := range map[[2]string]string{
		{`"specversion":"1.0"`, `"specversion":"0.3"`}: "specversion must be 1.0",
		{`"id":"1"`, `"id":""`}:                        "are the idempotency key",
		{`application/json`, `text/plain`}:             "datacontenttype must be application/json",
		{`llm.call`, `usage.reported`}:                 "type is that of usage",
		{`"data"`, `"idempotencyKey":"x","data"`}:      "idempotencyKey of a CloudEvent is its source, a slash and its id",
		{`"externalsubject"`, `"externalSubject"`}:     "is no attribute of a CloudEvent",
		{`"time"`, `"timestamp"`}:                      "timestamp is no attribute of a CloudEvent",
	} {
		if _, err := decode(d, "IngestEvent", strings.Replace(cloud, change[0], change[1], 1)); commands.CodeOf(err) != commands.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("with %s: %v, want %s", change[1], err, want)
		}
	}
	refused, err := decode(d, "ReportUsage", `[`+usage+`,`+strings.Replace(cloud, `{"n":1}`, `7`, 1)+`,`+cloud+`]`)
	if err != nil {
		t.Fatal(err)
	}
	if len(refused.Requests) != 2 || len(refused.Refused) != 1 || refused.Refused[0].Rejection.Field != "events[1].data" || refused.Requests[1].Key != "gw/1" {
		t.Errorf("of three, one of which is refused: %+v %+v", refused.Requests, refused.Refused)
	}
}
