package wire

import (
	"encoding/base32"
	"fmt"
	"io"
	"strings"

	"tallystick/commands"
	"tallystick/events"
)

// single reads a command that is no usage.
func (d *Decoder) single(c *call, name string, body []byte, beside []Given) error {
	d.begin(name)
	f := d.object("", body)
	for _, g := range beside {
		f.add(g)
	}
	if s := f.take("merchantId", optional); s != nil {
		d.checkMerchant(s)
		f.done(s)
	}
	d.keys = d.keys[:0]
	if s := f.take("idempotencyKey", optional); s != nil && !s.null() {
		d.key(s)
		f.done(s)
	}
	cmd, err := d.command(c, name, f)
	if err != nil {
		return err
	}
	key := string(d.keys)
	r := c.request
	r.Command, r.Key = cmd, key
	if key != "" {
		r.Content = d.opts.Keyring.ContentHash(d.canon)
	}
	c.work.Requests = append(c.work.Requests, r)
	return nil
}

// begin begins the canonical form of the command called name.
func (d *Decoder) begin(name string) {
	d.canon = append(appendText(append(d.canon[:0], 'c', 1), name), 0)
}

// command reads the fields of one command.
func (d *Decoder) command(c *call, name string, f *fields) (commands.Command, error) {
	if cmd, ok := catalog(name, f); ok {
		return cmd, f.finish()
	}
	if cmd, ok, err := d.entitlements(c, name, f); ok {
		return cmd, err
	}
	if cmd, ok, err := d.disputes(c, name, f); ok {
		return cmd, err
	}
	switch name {
	case "CreateAlert":
		return d.createAlert(c, f)
	case "IngestEvent":
		return d.ingestEvent(c, f)
	case "DiscardEvents":
		named := f.text("externalSubject", required, 255)
		cmd := commands.DiscardEvents{External: d.opts.Keyring.ExternalDigest(c.request.Merchant, named), Named: named}
		return cmd, f.finish()
	}
	if cmd, ok, err := d.billing(c, name, f); ok {
		return cmd, err
	}
	if cmd, known, err := d.customers(c, name, f); known {
		return cmd, err
	}
	if cmd, known, err := d.pay(c, name, f); known {
		return cmd, err
	}
	if cmd, known, err := d.authorize(c, name, f); known {
		return cmd, err
	}
	switch name {
	case "CreateMerchant":
		cmd := commands.CreateMerchant{Profile: f.profile(), Settings: f.settings(optional), Currency: f.currency("currency")}
		return cmd, f.finish()
	case "UpdateMerchant":
		cmd := commands.UpdateMerchant{Profile: f.profile(), Settings: f.settings(required)}
		return cmd, f.finish()
	case "CreateKey":
		return d.createKey(c, f)
	case "RevokeKey":
		cmd := commands.RevokeKey{Key: id[events.KeyNoun](f, "keyId", required)}
		return cmd, f.finish()
	case "DeleteTestClock":
		cmd := commands.DeleteTestClock{Clock: f.clock("testClockId", required)}
		return cmd, f.finish()
	case "CreateWallet":
		return d.createWallet(c, f)
	case "CreateSubscription":
		return d.createSubscription(c, f)
	case "UpdateSubscription":
		return d.updateSubscription(c, f)
	case "TerminateSubscription":
		return d.terminateSubscription(c, f)
	case "CreateEntitlement":
		return createEntitlement(f)
	case "CreateTestClock":
		cmd := commands.CreateTestClock{
			Now: f.time("currentTime", optional), Name: f.text("name", optional, 255), Description: f.text("description", optional, 4096),
		}
		return cmd, f.finish()
	case "AdvanceTestClock":
		return d.advanceTestClock(c, f)
	}
	return nil, commands.Reject(commands.NotFound, "there is no command %.60q; there are %s", name, strings.Join(Names(), ", "))
}

// finish refuses fields that nobody has asked for, and returns the first fault of the body, or nil.
func (f *fields) finish() error {
	f.end()
	return f.refusal()
}

// profile reads how a merchant appears as the seller.
func (f *fields) profile() (p events.Profile) {
	g, ok := f.within("profile", required)
	if !ok {
		return p
	}
	p = events.Profile{
		Name: g.text("name", required, 255), Email: g.text("email", optional, 255), Phone: g.text("phone", optional, 255),
		TaxID: g.text("taxId", optional, 255), Address: g.address(optional),
	}
	f.close(g)
	return p
}

// address reads a postal address.
func (f *fields) address(n need) (a events.Address) {
	g, ok := f.within("address", n)
	if !ok {
		return a
	}
	a = events.Address{
		Line1: g.text("line1", optional, 255), Line2: g.text("line2", optional, 255), City: g.text("city", optional, 255),
		State: g.text("state", optional, 255), Country: g.text("country", optional, 2), ZipCode: g.text("zipCode", optional, 255),
	}
	if a.Country != "" && (len(a.Country) != 2 || a.Country < "AA" || a.Country > "ZZ" || a.Country[1] < 'A' || a.Country[1] > 'Z') {
		g.wrong("country", "must be two capital letters of ISO 3166-1, such as DE")
	}
	f.close(g)
	return a
}

// settings reads a merchant's terms with the platform.
func (f *fields) settings(n need) (v events.Settings) {
	g, ok := f.within("settings", n)
	if !ok {
		return v
	}
	v = events.Settings{
		FeeBasisPoints: uint32(g.number("feeBasisPoints", 10_000)), ManagedPrepaid: g.flag("managedPrepaid"),
		AutomaticTax: g.flag("automaticTax"), ManualApproval: !g.flagOr("autoApprove", true), PaymentDays: uint32(g.number("paymentTermDays", 365)),
		PaymentRetries: g.text("paymentRetries", optional, 64), AmountLimit: g.money("amountLimit", optional),
	}
	f.close(g)
	return v
}

// secretBits is the randomness of an API key. 40 characters of base 32 carry it.
const secretBits = 200

func (d *Decoder) createKey(c *call, f *fields) (commands.Command, error) {
	cmd := commands.CreateKey{
		Role: events.KeyRole(f.oneOf("role", required, string(events.MerchantKey), string(events.OperatorKey), string(events.AuditorKey))),
		Name: f.text("name", optional, 255),
	}
	if err := f.finish(); err != nil {
		return nil, err
	}
	secret, err := NewSecret(d.opts.Rand, d.opts.Environment)
	if err != nil {
		return nil, err
	}
	c.work.Secret, cmd.Secret = secret, commands.SecretHash(secret)
	return cmd, nil
}

// NewSecret draws the text of an API key: sk_test_ or sk_live_, and 40 lower case letters and digits.
func NewSecret(rand io.Reader, env events.Environment) (string, error) {
	var b [secretBits / 8]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("drawing an API key: %w", err)
	}
	prefix := "sk_test_"
	if env == events.Live {
		prefix = "sk_live_"
	}
	return prefix + strings.ToLower(base32.StdEncoding.EncodeToString(b[:])), nil
}
