package publisher

import "tallystick/events"

// The tokens that stand for the merchant in the subject of a record that has none.
const (
	consumerToken = "_consumer"
	platformToken = "_platform"
)

// appendSubject appends to prefix what tells the subject of rec from those of other
// records: ".<merchant>.<aggregate>.<EventType>". It does not allocate where b has room.
func appendSubject(b []byte, rec *events.Record) []byte {
	aggregate, name := rec.Event.Subject()
	b = append(b, '.')
	switch {
	case !rec.Merchant.IsZero():
		b = rec.Merchant.AppendText(b)
	case aggregate == "consumer" || aggregate == "wallet":
		b = append(b, consumerToken...)
	default:
		b = append(b, platformToken...)
	}
	b = append(append(b, '.'), aggregate...)
	return append(append(b, '.'), name...)
}
