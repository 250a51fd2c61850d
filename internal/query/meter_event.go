package query

import (
	"bytes"
	"encoding/json"
	"strings"

	"tallystick/events"
	"tallystick/internal/wire"
)

// MeterEvent returns the meter event that reported usage, nil where it was reported by metric or cannot be read any more.
func (u *UsageEvent) MeterEvent() *wire.MeterEvent { return meterEventOf(u.Metadata) }

func meterEventOf(metadata map[string]string) *wire.MeterEvent {
	m := new(wire.MeterEvent)
	if text := metadata[wire.MeterEventKey]; text == "" || json.Unmarshal([]byte(text), m) != nil || m.Type == "" {
		return nil
	}
	return m
}

// EventData returns what a usage event says as the event that the meter of a metric counts, in JSON: the data of the meter event that reported
// it, else its quantity, its subscription and its metadata.
func (u *UsageEvent) EventData(metric events.MetricID) json.RawMessage {
	var quantity int64
	for i := range u.Properties {
		if u.Properties[i].Metric == metric {
			quantity = u.Properties[i].Quantity
		}
	}
	return dataOf(u.Metadata, quantity, u.Subscription)
}

// eventData is what usage that was reported by metric says of one metric.
type eventData struct {
	Quantity       int64                 `json:"quantity"`
	SubscriptionID events.SubscriptionID `json:"subscriptionId"`
	Metadata       map[string]string     `json:"metadata,omitempty"`
}

func dataOf(metadata map[string]string, quantity int64, sub events.SubscriptionID) json.RawMessage {
	if m := meterEventOf(metadata); m != nil {
		return m.Data
	}
	b, err := json.Marshal(eventData{quantity, sub, metadata})
	if err != nil {
		panic("query: impossible: texts and a number that are not JSON")
	}
	return b
}

// textAt returns what stands at a path such as $.usage.model: a text, or the JSON of another value. It returns "" where there is nothing, null or an
// object.
func textAt(data json.RawMessage, path string) string {
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "$."), ".") {
		var members map[string]json.RawMessage
		if json.Unmarshal(data, &members) != nil {
			return ""
		}
		data = members[name]
	}
	var text string
	switch data = bytes.TrimSpace(data); {
	case len(data) == 0 || data[0] == '{' || string(data) == "null":
		return ""
	case json.Unmarshal(data, &text) == nil:
		return text
	}
	return string(data)
}
