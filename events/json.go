package events

import "encoding/json"

// MarshalJSON returns the view of r that people get: the fields of the envelope, the
// type of the event, the event, and the record's leaf hash where it was computed. What is stored and
// hashed is Bytes; nobody reads a record from JSON.
func (r Record) MarshalJSON() ([]byte, error) {
	view := struct {
		Envelope
		Type  Kind  `json:"type"`
		Event Event `json:"event"`
		Hash  Hash  `json:"leafHash,omitzero"`
	}{r.Envelope, "", r.Event, r.Hash}
	if r.Event != nil {
		view.Type = r.Event.Kind()
	}
	return json.Marshal(view)
}
