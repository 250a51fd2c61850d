package projections

import "tallystick/events"

// Alert is somebody's wish to be told when a wallet's prepaid money falls below a threshold. Who it is is in the record.
type Alert struct {
	Merchant  events.OrganizationID `cbor:"1,keyasint,omitzero"`
	Wallet    events.WalletID       `cbor:"2,keyasint"`
	Currency  events.Currency       `cbor:"3,keyasint"`
	Threshold events.Nanos          `cbor:"4,keyasint"`
	Period    uint32                `cbor:"5,keyasint"` // seconds that lie between two notices, at least
	Disabled  bool                  `cbor:"6,keyasint,omitempty"`
	Low       bool                  `cbor:"7,keyasint,omitempty"` // raised, or low from the beginning: the threshold must be reached first
	Created   events.Seq            `cbor:"8,keyasint"`           // the record that holds the recipients
	At        events.Time           `cbor:"9,keyasint"`
	UpdatedAt events.Time           `cbor:"10,keyasint"`
	Notified  events.Time           `cbor:"11,keyasint,omitzero"` // when it was raised last
}

func (b *Books) alertCreated(rec *events.Record, e events.AlertCreated) {
	assert(b.Alerts.Get(e.Alert) == nil, rec, "an alert made twice")
	*b.Alerts.insert(e.Alert) = Alert{
		Merchant: rec.Merchant, Wallet: e.Wallet, Currency: e.Currency, Threshold: e.Threshold, Period: e.Period,
		Disabled: e.Disabled, Low: e.Low, Created: rec.Seq, At: rec.At, UpdatedAt: rec.At,
	}
	if !e.Disabled {
		w := b.Wallets.edit(e.Wallet)
		w.Alerts = append(w.Alerts, e.Alert)
	}
	b.link(LinkAlerts, rec.Merchant, e.Alert, rec.Seq)
	b.link(LinkAlertsOfWallet, e.Wallet, e.Alert, rec.Seq)
}

func (b *Books) alertRaised(rec *events.Record, e events.AlertRaised) {
	a := b.Alerts.edit(e.Alert)
	assert(!a.Low, rec, "an alert raised twice")
	a.Low, a.Notified, a.UpdatedAt = true, rec.At, rec.At
}

func (b *Books) alertRearmed(rec *events.Record, e events.AlertRearmed) {
	a := b.Alerts.edit(e.Alert)
	assert(a.Low, rec, "an alert rearmed that was not raised")
	a.Low, a.UpdatedAt = false, rec.At
}
