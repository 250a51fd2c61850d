package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/ledger/keyring"
)

// HeldEvent is a meter event whose customer is yet to come, as it is sealed: a body of the command IngestEvent again.
type HeldEvent struct {
	Type            string          `json:"type"`
	Source          string          `json:"source"`
	Namespace       string          `json:"namespace,omitempty"`
	ExternalSubject string          `json:"externalSubject"`
	ExternalID      string          `json:"externalId,omitempty"`
	Data            json.RawMessage `json:"data"`
}

// append appends e in JSON, with Data as it stands: encoding/json would make it longer or shorter, and an array in it another value.
func (e HeldEvent) append(b []byte) []byte {
	data := e.Data
	e.Data = json.RawMessage("0")
	b = append(b, toJSON(e)...)
	return append(append(b[:len(b)-len("0}")], data...), '}')
}

// hold seals an event that has no customer, under a key of those that wait for the same one.
func (d *Decoder) hold(c *call, cmd *commands.IngestEvent, m *MeterEvent, external events.Digest) (err error) {
	held := &commands.HeldEvent{External: external}
	key, isNew := c.made[external]
	if !isNew {
		if key, err = d.opts.Directory.HeldUnder(c.ctx, c.request.Merchant, external); err != nil {
			return fmt.Errorf("looking up events that are held: %w", err)
		}
	}
	body := HeldEvent{Type: cmd.Type, Source: m.Source, Namespace: m.Namespace, ExternalSubject: cmd.External, ExternalID: m.External, Data: m.Data}.append(nil)
	if !isNew && !key.IsZero() {
		held.Body, err = d.opts.Keyring.Seal(key, PurposeEvent, body)
	}
	if isNew || key.IsZero() || errors.Is(err, keyring.ErrErased) { // which has ended since the look
		if key, err = d.newKey(c, external); err == nil {
			held.Body, err = d.opts.Keyring.Seal(key, PurposeEvent, body)
		}
		held.NewKey = true
	}
	if err != nil {
		return fmt.Errorf("sealing an event: %w", err)
	}
	cmd.Held = held
	return nil
}

// newKey returns the key that c has made for an external id, which it makes the first time.
func (d *Decoder) newKey(c *call, external events.Digest) (events.OrganizationID, error) {
	if key, ok := c.made[external]; ok {
		return key, nil
	}
	key := d.opts.NewConsumer()
	if err := d.opts.Keyring.Create(key); err != nil {
		return key, err
	}
	if c.made == nil {
		c.made = make(map[events.Digest]events.OrganizationID)
	}
	c.made[external] = key
	return key, nil
}

// Attach returns the request that bills the event which a record holds, for the customer that its external id has now; false if there is
// none. Its error matches keyring.ErrErased if nobody can read the event any more.
func (d *Decoder) Attach(ctx context.Context, rec *events.Record, e events.EventHeld) (r commands.Request, found bool, err error) {
	customer, err := d.opts.Directory.CustomerByExternal(ctx, rec.Merchant, e.External)
	if err != nil || customer.IsZero() {
		return r, false, err
	}
	body, err := d.opts.Keyring.Open(e.Body, PurposeEvent)
	if err != nil {
		return r, false, fmt.Errorf("opening the event of record %d: %w", rec.Seq, err)
	}
	d.begin("AttachEvent")
	f := d.object("", body)
	cmd, m := f.meterEvent()
	if err := f.finish(); err != nil {
		return r, false, fmt.Errorf("reading the event of record %d: %w", rec.Seq, err)
	}
	cmd.Customer, cmd.HappenedAt = customer, e.HappenedAt
	if cmd.Metadata, err = d.sealFor(ctx, customer, PurposeMetadata, toJSON(map[string]string{MeterEventKey: string(toJSON(m))})); err != nil {
		return r, false, err
	}
	return commands.Request{
		Merchant: rec.Merchant, Actor: rec.Actor,
		Command: &commands.AttachEvent{External: e.External, Held: rec.Seq, Event: *cmd},
	}, true, nil
}
