package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/big"
	"slices"
	"strings"

	"tallystick/commands"
	"tallystick/events"
)

// PurposeEntitlement is what an entitlement's metadata is sealed for: JSON of a map of strings.
const PurposeEntitlement = "entitlement.metadata"

func featureTypes() []string {
	return words(events.FeatureBoolean, events.FeatureStatic, events.FeatureMetered)
}

// has reports whether a field is there.
func (f *fields) has(name string) bool {
	return slices.ContainsFunc(f.list, func(g field) bool { return g.name == name })
}

// entitlements reads the commands of features, entitlements and grants. It reports false for the name of another.
func (d *Decoder) entitlements(c *call, name string, f *fields) (cmd commands.Command, ok bool, err error) {
	switch name {
	case "CreateFeature":
		cmd = commands.CreateFeature{
			Product: id[events.ProductNoun](f, "productId", required), Key: f.text("key", required, 255), Name: f.text("name", required, 255),
			Type: events.FeatureType(f.oneOf("type", optional, featureTypes()...)), Metadata: f.metadata("metadata"),
		}
	case "UpdateFeature":
		cmd = commands.UpdateFeature{
			Feature: id[events.FeatureNoun](f, "featureId", required), Key: f.change("key", 255), Name: f.change("name", 255),
			Type:     wordChange[events.FeatureType](f, "type"),
			Metadata: commands.Change[map[string]string]{Given: f.has("metadata"), To: f.metadata("metadata")},
		}
	case "DeleteFeature":
		cmd = commands.DeleteFeature{Feature: id[events.FeatureNoun](f, "featureId", required)}
	case "IssueEntitlement":
		cmd, err = d.issueEntitlement(c, f)
		return cmd, true, err
	case "CreateGrant":
		cmd = createGrant(f)
	case "PurchaseGrant":
		cmd = purchaseGrant(f)
	case "VoidGrant":
		cmd = commands.VoidGrant{
			Entitlement: id[events.EntitlementNoun](f, "entitlementId", required), Grant: id[events.GrantNoun](f, "grantId", required),
		}
	default:
		return nil, false, nil
	}
	return cmd, true, f.finish()
}

func (d *Decoder) issueEntitlement(c *call, f *fields) (commands.Command, error) {
	cmd := commands.IssueEntitlement{
		Customer: id[events.CustomerNoun](f, "customerId", required), Feature: id[events.FeatureNoun](f, "featureId", required),
		Terms: f.terms("template", required), ActiveFrom: f.nullableTime("activeFrom"), ActiveTo: f.nullableTime("activeTo"),
	}
	if s := f.take("subscriptionId", optional); s != nil && !s.null() {
		s.id("subscriptionId", "sub_", (*[16]byte)(&cmd.Subscription))
		if f.done(s) {
			f.note("subscriptionId", cmd.Subscription[:])
		}
	}
	metadata := f.metadata("metadata")
	if err := f.finish(); err != nil {
		return nil, err
	}
	if len(metadata) == 0 {
		return cmd, nil
	}
	var err error
	cmd.Metadata, err = d.sealFor(c.ctx, cmd.Customer, PurposeEntitlement, toJSON(metadata))
	return cmd, err
}

func createGrant(f *fields) commands.CreateGrant {
	cmd := commands.CreateGrant{
		Entitlement: id[events.EntitlementNoun](f, "entitlementId", required), Amount: f.units("amount", required, events.Sum{}),
		EffectiveAt: f.nullableTime("effectiveAt"), ExpiresAt: f.nullableTime("expiresAt"),
		Recurrence: events.Interval(f.nullable("recurrencePeriod", 64)), Priority: f.signed("priority"),
		MaxRollover: f.units("resetMaxRollover", optional, commands.Unlimited()), MinRollover: f.units("resetMinRollover", optional, events.Sum{}),
	}
	if f.bad == nil && len(f.d.keys) == 0 {
		f.wrong("idempotencyKey", "is required")
	}
	return cmd
}

// purchaseGrant reads the purchase of a grant.
func purchaseGrant(f *fields) commands.Command {
	return commands.PurchaseGrant{
		CreateGrant: createGrant(f), Price: f.money("price", required),
		OnSuccess: f.url("successUrl"), OnFailure: f.url("cancelUrl"), PayBy: f.nullableTime("paymentExpiresAt"),
	}
}

// terms reads what an entitlement gives.
func (f *fields) terms(name string, n need) (t events.FeatureTerms) {
	g, ok := f.within(name, n)
	if !ok {
		return t
	}
	t.Type = events.FeatureType(g.oneOf("type", required, featureTypes()...))
	switch t.Type {
	case events.FeatureStatic:
		t.Config = g.config("config")
	case events.FeatureMetered:
		if h, ok := g.within("usagePeriod", optional); ok {
			t.Interval = events.Interval(h.text("interval", required, 64))
			t.Anchor = h.time("anchor", optional)
			g.close(h)
		}
		t.Soft, t.Preserve = g.flag("isSoftLimit"), g.flag("preserveOverageAtReset")
		t.Issue, t.IssuePriority = g.units("issueAfterReset", optional, events.Sum{}), g.signed("issueAfterResetPriority")
		t.MaxRollover = g.units("resetMaxRollover", optional, events.Sum{})
		t.MinRollover = g.units("resetMinRollover", optional, events.Sum{})
	case events.FeatureBoolean:
	}
	f.close(g)
	return t
}

// config returns an object as compact JSON.
func (f *fields) config(name string) string {
	s := f.take(name, required)
	if s == nil {
		return ""
	}
	var b bytes.Buffer
	if len(s.b) == 0 || s.b[0] != '{' || json.Compact(&b, s.b) != nil {
		f.wrong(name, "must be an object")
		return ""
	}
	f.note(name, b.Bytes())
	return b.String()
}

// signed returns an integer of either sign, 0 where there is none.
func (f *fields) signed(name string) int64 {
	s := f.take(name, optional)
	if s == nil {
		return 0
	}
	v := s.integer(f.path + name)
	if f.done(s) && v != 0 {
		f.note(name, binary.AppendVarint(nil, v))
	}
	return v
}

// units returns a number of units, with at most 9 decimals; what it is where there is none is given.
func (f *fields) units(name string, n need, none events.Sum) events.Sum {
	s := f.take(name, n)
	if s == nil {
		return none
	}
	switch c := s.next(); {
	case c == '-':
		f.wrong(name, "must not be below zero")
		return none
	case c-'0' > 9:
		s.unexpected(f.path+name, "a number that is not below zero")
	}
	text := string(s.number())
	if !f.done(s) {
		return none
	}
	whole, frac, _ := strings.Cut(text, ".")
	v, ok := new(big.Int).SetString(whole+frac+strings.Repeat("0", max(0, 9-len(frac))), 10)
	sum, fits := events.Sum{}, false
	if ok && len(frac) <= 9 {
		sum, fits = events.SumOfBig(v)
	}
	if !fits {
		f.wrong(name, "must be a number with at most 9 decimals, and without an exponent")
		return none
	}
	if sum != none {
		f.note(name, []byte(sum.Digits()))
	}
	return sum
}
