package wire

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

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
	Data      json.RawMessage `json:"data"`
}

// The bounds of a meter event's data.
const (
	mostEventBytes  = 32 << 10
	mostEventValues = 1000
)

// ingestEvent reads a meter event. What it says is kept under the key of its subject's consumer.
func (d *Decoder) ingestEvent(c *call, f *fields) (commands.Command, error) {
	cmd := &commands.IngestEvent{
		Customer: id[events.CustomerNoun](f, "subject", required), Type: f.text("type", required, 255), HappenedAt: f.time("timestamp", optional),
	}
	m := MeterEvent{Type: cmd.Type, Source: f.text("source", required, 255), Namespace: f.text("namespace", optional, 255)}
	m.Data, cmd.Data = f.values("data")
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
	var err error
	cmd.Metadata, err = d.sealFor(c.ctx, cmd.Customer, PurposeMetadata, toJSON(map[string]string{MeterEventKey: string(toJSON(m))}))
	return cmd, err
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
			f.wrong(name, "has two values at "+quoted([]byte(values[i].Path)))
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
		for first := true; s.bad == nil; first = false {
			member, ok := s.anyMember(first)
			if !ok {
				break
			}
			all = s.values(all, name, path+"."+string(member), depth+1)
		}
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
