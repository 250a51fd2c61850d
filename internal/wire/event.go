package wire

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"tallystick/commands"
	"tallystick/events"
)

// MeterEventKey is the entry of a usage event's metadata that holds the meter event which reported it: JSON of a MeterEvent.
const MeterEventKey = "meterEvent"

// MeterEvent is a meter event as its sender wrote it, besides what a usage event has.
type MeterEvent struct {
	Type      string          `json:"type"`
	Source    string          `json:"source"`
	Namespace string          `json:"namespace,omitempty"`
	External  string          `json:"externalId,omitempty"` // the sender's own id of the event
	Data      json.RawMessage `json:"data"`
}

// The bounds of a meter event's data.
const (
	mostEventBytes  = 32 << 10
	mostEventValues = 1000
)

// ingestEvent reads a meter event, in either form. What it says is kept under the key of its subject's consumer.
func (d *Decoder) ingestEvent(c *call, f *fields) (commands.Command, error) {
	if f.cloud() {
		key := f.cloudEvent()
		if f.bad == nil && len(d.keys) > 0 && string(d.keys) != key {
			f.wrong("idempotencyKey", "of a CloudEvent is its source, a slash and its id")
		}
		d.keys = append(d.keys[:0], key...)
	}
	cmd, m := f.meterEvent()
	if err := f.finish(); err != nil {
		return nil, err
	}
	if len(d.keys) == 0 { // the sender is told the key, and can repeat with it
		b := make([]byte, 16)
		if _, err := io.ReadFull(d.opts.Rand, b); err != nil {
			return nil, fmt.Errorf("drawing an idempotency key: %w", err)
		}
		d.keys = hex.AppendEncode(d.keys, b)
	}
	return cmd, d.sealEvent(c, cmd, m)
}

// meterEntry reads a CloudEvent in front of s that reports no usage, and so is a meter event, and adds its request to the work. Its
// content hash is that of the same event by itself.
func (d *Decoder) meterEntry(c *call, s *scanner) error {
	start := s.i
	if s.skip(1); s.bad != nil {
		return nil
	}
	behind := *s // object and the fields use the scanner
	d.begin("IngestEvent")
	f := d.object("", s.b[start:s.i])
	d.keys = append(d.keys, f.cloudEvent()...)
	cmd, m := f.meterEvent()
	f.end()
	*s = behind
	if s.bad = f.bad; s.bad != nil {
		return nil
	}
	r := c.request
	r.Command, r.Content = cmd, d.opts.Keyring.ContentHash(d.canon)
	c.work.Meters = true
	c.work.Requests = append(c.work.Requests, r)
	return d.sealEvent(c, cmd, m)
}

// meterEvent reads what a meter event says, and of whom: of the customer, or of the one that the merchant calls by an id of its own.
func (f *fields) meterEvent() (*commands.IngestEvent, *MeterEvent) {
	cmd := &commands.IngestEvent{
		Customer: id[events.CustomerNoun](f, "subject", optional), Type: f.text("type", required, 255), HappenedAt: f.time("timestamp", optional),
	}
	m := &MeterEvent{Type: cmd.Type, Source: f.text("source", required, 255), Namespace: f.text("namespace", optional, 255)}
	m.Data, cmd.Data = f.values("data")
	cmd.External, m.External = f.text("externalSubject", optional, 255), f.text("externalId", optional, 255)
	switch {
	case f.bad != nil:
	case cmd.Customer.IsZero() == (cmd.External == ""):
		f.wrong("subject", "or externalSubject is required, one of them")
	case cmd.Type == usageType:
		f.wrong("type", "is that of usage, which is reported as such")
	case strings.Trim(m.External, idCharacters) != "":
		f.wrong("externalId", "may have letters, digits, _ and - only")
	}
	return cmd, m
}

// idCharacters are those that the sender's own id of an event may have.
const idCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// sealEvent finds out whom an event is about, where the merchant calls the customer by an id of its own, and seals what it says. Who is named and cannot be
// found is for the rules to refuse, which know repeats.
func (d *Decoder) sealEvent(c *call, cmd *commands.IngestEvent, m *MeterEvent) (err error) {
	if cmd.External != "" {
		digest := d.opts.Keyring.ExternalDigest(c.request.Merchant, cmd.External)
		if cmd.Customer, err = d.opts.Directory.CustomerByExternal(c.ctx, c.request.Merchant, digest); err != nil {
			return fmt.Errorf("looking up a customer: %w", err)
		}
		if cmd.Customer.IsZero() {
			return d.hold(c, cmd, m, digest)
		}
	}
	cmd.Metadata, err = d.sealFor(c.ctx, cmd.Customer, PurposeMetadata, toJSON(map[string]string{MeterEventKey: string(toJSON(m))}))
	return err
}

// values returns an object as it stands, and the texts, numbers, booleans and arrays in it by their paths.
func (f *fields) values(name string) (raw []byte, values []commands.EventValue) {
	s := f.take(name, required)
	if s == nil {
		return nil, nil
	}
	raw = s.b
	if len(raw) > mostEventBytes {
		f.wrong(name, "has more than "+strconv.Itoa(mostEventBytes)+" bytes")
		return nil, nil
	}
	if s.next() != '{' {
		s.unexpected(f.path+name, "an object")
	} else {
		values = s.values(values, f.path+name, "$", 1)
	}
	if !f.done(s) {
		return nil, nil
	}
	slices.SortFunc(values, func(a, b commands.EventValue) int { return cmp.Compare(a.Path, b.Path) })
	for i := range values {
		if i > 0 && values[i].Path == values[i-1].Path {
			f.wrong(name, twoValues(values[i].Path))
			return nil, nil
		}
	}
	var b []byte
	for i := range values {
		b = appendText(appendText(b, values[i].Path), values[i].Text)
	}
	f.note(name, b)
	return raw, values
}

func twoValues(path string) string { return "has two values at " + quoted([]byte(path)) }

// values adds what the value in front of s holds, which stands at a path of the field called name.
func (s *scanner) values(all []commands.EventValue, name, path string, depth int) []commands.EventValue {
	if depth == maxDepth {
		s.malformed("more than 32 levels of nesting")
	}
	switch c := s.next(); {
	case s.bad != nil:
	case len(all) == mostEventValues:
		s.wrong(name, "has more than "+strconv.Itoa(mostEventValues)+" values")
	case c == '{':
		s.i++
		names := make(map[string]bool) // of a body full of members that hold nothing, there may be very many
		for first := true; s.bad == nil; first = false {
			member, ok := s.anyMember(first)
			if !ok {
				break
			}
			inner := path + "." + string(member)
			if names[inner] {
				s.wrong(name, twoValues(inner))
			}
			names[inner] = true
			all = s.values(all, name, inner, depth+1)
		}
	case c == '[': // one value, as it stands
		start := s.i
		s.i++
		for first := true; s.more(first, ']'); first = false {
			s.values(nil, name, path, depth+1)
		}
		all = append(all, commands.EventValue{Path: path, Text: string(s.b[start:s.i])})
	case c == '"':
		all = append(all, commands.EventValue{Path: path, Text: string(s.str())})
	case c == 'n':
		s.skip(depth)
	default:
		start := s.i
		s.skip(depth)
		all = append(all, commands.EventValue{Path: path, Text: string(s.b[start:s.i])})
	}
	return all
}
