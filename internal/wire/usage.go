package wire

import (
	"encoding/binary"

	"tallystick/commands"
	"tallystick/events"
)

// The fields of a usage event, as bits.
const (
	hasCustomer = 1 << iota
	hasMerchant
	hasKey
	hasTime
	hasProperties
	hasMetadata
	hasQuantity
	hasMetric
	hasReservation
	hasPrice
)

// usageSpans is where the parts of a usage event lie that are shared out when all have been read.
type usageSpans struct{ key, props int } // the ends, in Decoder.keys and Work.props

// shape is what an object turns out to be.
type shape uint8

const (
	plainEvent shape = iota
	cloudEvent       // CloudEvents 1.0
	wrapper          // {"events":[…]}
)

// reportUsage reads a usage event, a CloudEvent, an array of them, or {"events":[…]}. CloudEvents may be meter events.
func (d *Decoder) reportUsage(c *call, body []byte) error {
	s := &d.scan
	s.reset(body)
	d.keys = d.keys[:0]
	if s.next() == '[' {
		s.i++
		if err := d.entries(c, s); err != nil {
			return err
		}
	} else {
		start := s.i
		kind, err := d.entry(c, s)
		if err != nil {
			return err
		}
		if kind == wrapper {
			s.i = start
			if err := d.wrapped(c, s); err != nil {
				return err
			}
		}
	}
	s.end()
	if s.bad != nil {
		return s.bad.refusal()
	}
	d.finish(c)
	return nil
}

// wrapped reads {"events":[…]}.
func (d *Decoder) wrapped(c *call, s *scanner) error {
	s.open('{', "", "an object")
	seen := false
	for first := true; ; first = false {
		name, ok := s.member(first)
		if !ok {
			return nil // with a fault, or {} which is no wrapper
		}
		switch string(name) {
		case "events":
			if seen {
				s.wrong("events", "is given twice")
				return nil
			}
			seen = true
			if !s.open('[', "events", "an array of usage events") {
				return nil
			}
			if err := d.entries(c, s); err != nil {
				return err
			}
		case "merchantId":
			d.checkMerchant(s)
		case "idempotencyKey":
			s.wrong("idempotencyKey", "is not for a batch; its entries have their own")
		default:
			s.wrong(quoted(name), "is no field of a batch; it has events")
		}
		if s.bad != nil {
			return nil
		}
	}
}

// entries reads the entries of a batch, behind the opening bracket. An entry that is JSON and no usage event is refused
// by itself.
func (d *Decoder) entries(c *call, s *scanner) error {
	w := c.work
	w.Batch = true
	for first := true; s.more(first, ']'); first = false {
		n := len(w.sources)
		if n == maxEntries {
			s.wrong("events", "has more than 1000 entries; send them in several batches")
			return nil
		}
		s.next()
		start, keys, props, usage := s.i, len(d.keys), len(w.props), len(w.usage)
		kind, err := d.entry(c, s)
		if kind == wrapper && s.bad == nil {
			s.wrong("events", "is no field of a usage event")
		}
		r, rejected := err.(*commands.Rejection) //nolint:errorlint // entry returns it as it is
		if err != nil && !rejected {
			return err
		}
		if s.bad != nil && !s.bad.syntax {
			s.within("events[%d]", n)
			r = s.bad.refusal()
			s.i, s.bad = start, nil
			s.skip(1)
		}
		if s.bad != nil {
			return nil
		}
		if r != nil {
			w.Refused = append(w.Refused, Refused{n, r})
			d.keys, w.props, w.usage = d.keys[:keys], w.props[:props], w.usage[:usage]
			w.Requests, w.spans = w.Requests[:usage], w.spans[:usage]
		}
		w.sources = append(w.sources, source{start, s.i})
	}
	if s.bad == nil && len(w.sources) == 0 {
		s.wrong("events", "has no entries; it must have 1 to 1000")
	}
	return nil
}

// entry reads one usage event, in either form, and adds its request to the work. A fault is left in s, the refusal of
// something well-formed is returned. A wrapper is recognized and not read.
func (d *Decoder) entry(c *call, s *scanner) (shape, error) {
	w := c.work
	start, keys, props := s.i, len(d.keys), len(w.props)
	w.usage = append(w.usage, commands.ReportUsage{})
	u := &w.usage[len(w.usage)-1]
	kind, err := d.plain(c, s, u)
	if kind != plainEvent {
		s.i, d.keys, w.props = start, d.keys[:keys], w.props[:props]
		*u = commands.ReportUsage{}
	}
	switch kind {
	case wrapper:
		w.usage = w.usage[:len(w.usage)-1]
		return kind, nil
	case cloudEvent:
		if !s.reportsUsage() {
			err = d.meterEntry(c, s)
			w.spans = append(w.spans, usageSpans{len(d.keys), len(w.props)})
			return kind, err
		}
		err = d.cloud(c, s, u)
	case plainEvent:
	}
	w.spans = append(w.spans, usageSpans{len(d.keys), len(w.props)})
	w.Requests = append(w.Requests, c.request)
	if s.bad != nil || err != nil {
		return kind, err
	}
	d.canonical(u, w.props[props:])
	w.Requests[len(w.Requests)-1].Content = d.opts.Keyring.ContentHash(d.canon)
	return kind, nil
}

// plain reads a usage event as the HTTP API has it. Its metadata is left in d.pairs. It stops where the object
// turns out to be something else.
func (d *Decoder) plain(c *call, s *scanner, u *commands.ReportUsage) (shape, error) {
	d.pairs = d.pairs[:0]
	if !s.open('{', "", "an object: a usage event") {
		return plainEvent, nil
	}
	seen := 0
	for first := true; s.bad == nil; first = false {
		name, ok := s.member(first)
		if !ok {
			break
		}
		bit := usageBit(name)
		if seen&bit != 0 {
			s.wrong(string(name), "is given twice")
			break
		}
		seen |= bit
		switch bit {
		case hasCustomer:
			s.id("customerId", "cus_", (*[16]byte)(&u.Customer))
		case hasMerchant:
			d.checkMerchant(s)
		case hasKey:
			d.key(s)
		case hasTime:
			u.HappenedAt = s.time("timestamp")
		case hasProperties:
			d.properties(c, s)
		case hasMetadata:
			d.metadata(s)
		case hasReservation:
			s.reservation("entitlementId", &u.Reservation)
		default:
			if kind := shapeOf(name); kind != plainEvent {
				return kind, nil
			}
			s.unknownUsage(name)
		}
	}
	if s.bad != nil {
		return plainEvent, nil
	}
	if missing := firstMissing(seen); missing != "" {
		s.wrong(missing, "is required")
		return plainEvent, nil
	}
	return plainEvent, d.sealMetadata(c, u)
}

func usageBit(name []byte) int {
	switch string(name) {
	case "customerId":
		return hasCustomer
	case "merchantId":
		return hasMerchant
	case "idempotencyKey":
		return hasKey
	case "timestamp":
		return hasTime
	case "properties":
		return hasProperties
	case "metadata":
		return hasMetadata
	case "entitlementId":
		return hasReservation
	}
	return 0
}

// shapeOf returns what an object is that has a field called name.
func shapeOf(name []byte) shape {
	switch string(name) {
	case "events":
		return wrapper
	case "specversion", "id", "source", "type", "subject", "time", "data", "datacontenttype", "dataschema", "data_base64":
		return cloudEvent
	}
	return plainEvent
}

func (s *scanner) unknownUsage(name []byte) {
	s.wrong(quoted(name), "is no field of a usage event; it has customerId, merchantId, idempotencyKey, timestamp, properties, entitlementId and metadata")
}

func firstMissing(seen int) string {
	switch {
	case seen&hasCustomer == 0:
		return "customerId"
	case seen&hasKey == 0:
		return "idempotencyKey"
	case seen&hasTime == 0:
		return "timestamp"
	case seen&hasProperties == 0:
		return "properties"
	}
	return ""
}

// checkMerchant takes the merchant that a body names, which must be the one that it is for (D22).
func (d *Decoder) checkMerchant(s *scanner) {
	text := s.text("merchantId")
	if s.bad != nil || string(text) == string(d.merchant) {
		return
	}
	id, err := events.ParseID[events.OrganizationNoun](string(text))
	if err != nil || string(id.AppendText(nil)) != string(d.merchant) {
		s.wrong("merchantId", "is not the merchant that this is sent for; leave it out, or send it for that merchant")
	}
}

const maxKey = 255

// key takes an idempotency key.
func (d *Decoder) key(s *scanner) {
	text := s.text("idempotencyKey")
	if s.bad != nil {
		return
	}
	if len(text) == 0 || len(text) > maxKey {
		s.wrong("idempotencyKey", keyWanted)
		return
	}
	d.keys = append(d.keys, text...)
}

const keyWanted = "must have 1 to 255 bytes"

// properties takes the properties of a usage event.
func (d *Decoder) properties(c *call, s *scanner) {
	if !s.open('[', "properties", "an array") {
		return
	}
	w := c.work
	begin := len(w.props)
	for first := true; s.more(first, ']'); first = false {
		if len(w.props)-begin == events.MaxUsageLines {
			s.wrong("properties", "has more than 100 entries; send several usage events")
			return
		}
		w.props = append(w.props, commands.UsageProperty{})
		if property(s, &w.props[len(w.props)-1]); s.bad != nil {
			s.within("properties[%d]", len(w.props)-1-begin)
			return
		}
	}
	if s.bad == nil && len(w.props) == begin {
		s.wrong("properties", "has no entries; it must have 1 to 100")
	}
}

// property takes one metric's part of a usage event.
func property(s *scanner, p *commands.UsageProperty) {
	if !s.open('{', "", "an object with billableMetricId and quantity") {
		return
	}
	seen := 0
	for first := true; s.bad == nil; first = false {
		name, ok := s.member(first)
		if !ok {
			break
		}
		switch string(name) {
		case "billableMetricId":
			if seen&hasMetric != 0 {
				s.wrong("billableMetricId", "is given twice")
			}
			seen |= hasMetric
			s.id("billableMetricId", "bm_", (*[16]byte)(&p.Metric))
		case "quantity":
			if seen&hasQuantity != 0 {
				s.wrong("quantity", "is given twice")
			}
			seen |= hasQuantity
			if p.Quantity = s.integer("quantity"); p.Quantity < 1 {
				s.wrong("quantity", "must be at least 1; leave out what was not used")
			}
		case "price":
			if seen&hasPrice != 0 {
				s.wrong("price", "is given twice")
			}
			seen |= hasPrice
			namedPrice(s, p)
		default:
			s.wrong(quoted(name), "is no field of a property; it has billableMetricId, quantity and price")
		}
	}
	if seen&hasMetric == 0 {
		s.wrong("billableMetricId", "is required")
	}
	if seen&hasQuantity == 0 {
		s.wrong("quantity", "is required")
	}
}

// namedPrice takes the price that a property names, for models that need one.
func namedPrice(s *scanner, p *commands.UsageProperty) {
	text := s.text("price")
	if s.bad != nil {
		return
	}
	price, err := events.ParseNanos(string(text))
	if err != nil {
		s.wrong("price", "must be a string of digits with at most 9 decimals, such as \"2.50\"")
		return
	}
	p.Price, p.Priced = price, true
}

// canonical writes the canonical form of a usage event into d.canon: what its content hash is over.
func (d *Decoder) canonical(u *commands.ReportUsage, props []commands.UsageProperty) {
	b := append(d.canon[:0], 'u', 1)
	b = append(b, u.Customer[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(u.HappenedAt))
	b = binary.AppendUvarint(b, uint64(len(props)))
	for i := range props {
		b = append(b, props[i].Metric[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(props[i].Quantity))
		if props[i].Priced {
			b = binary.BigEndian.AppendUint64(append(b, 'p'), uint64(props[i].Price))
		}
	}
	if len(d.pairs) > 0 {
		b = appendPairs(append(b, 'm'), d.pairs)
	}
	if !u.Reservation.IsZero() {
		b = append(append(b, 'r'), u.Reservation[:]...)
	}
	d.canon = b
}

// finish shares out what the usage events have in common memory: now that it does not move any more.
func (d *Decoder) finish(c *call) {
	w := c.work
	keys := string(d.keys)
	var from usageSpans
	for i := range w.Requests {
		to := w.spans[i]
		w.usage[i].Properties = w.props[from.props:to.props:to.props]
		w.Requests[i].Key = keys[from.key:to.key]
		if w.Requests[i].Command == nil { // else it is a meter event
			w.Requests[i].Command = &w.usage[i]
		}
		from = to
	}
}
