package commands

import (
	"encoding/json"

	"tallystick/events"
	"tallystick/projections"
)

// decideEntitlement is [decide] for what is about features, entitlements to them and grants.
func decideEntitlement(b *projections.Books, c Context, cmd Command, d *decision) *Rejection {
	switch cmd := cmd.(type) {
	case CreateFeature:
		return createFeature(b, c, cmd, d)
	case UpdateFeature:
		return updateFeature(b, c, cmd, d)
	case DeleteFeature:
		return deleteFeature(b, c, cmd, d)
	case IssueEntitlement:
		return issueEntitlement(b, c, cmd, d)
	case CreateGrant:
		return createGrant(b, c, cmd, d)
	case PurchaseGrant:
		return purchaseGrant(b, c, cmd, d)
	case VoidGrant:
		return voidGrant(b, c, cmd, d)
	default:
		return Reject(Internal, "no rule answers this command")
	}
}

// CreateFeature makes something that a product can do for those who are entitled to it.
type CreateFeature struct {
	Product  events.ProductID
	Key      string // a slug, unique in the product
	Name     string
	Type     events.FeatureType // "" stands for boolean
	Metadata map[string]string
}

// UpdateFeature changes a feature. Its type changes only while nobody has it.
type UpdateFeature struct {
	Feature  events.FeatureID
	Key      Change[string]
	Name     Change[string]
	Type     Change[events.FeatureType]
	Metadata Change[map[string]string]
}

// DeleteFeature takes back a feature that nobody is entitled to and no price has.
type DeleteFeature struct{ Feature events.FeatureID }

func createFeature(b *projections.Books, c Context, cmd CreateFeature, d *decision) *Rejection {
	if cmd.Type == "" {
		cmd.Type = events.FeatureBoolean
	}
	row := projections.Feature{Product: cmd.Product, Key: cmd.Key, Name: cmd.Name, Type: cmd.Type, Metadata: cmd.Metadata}
	if r := featureOK(&row); r != nil {
		return r
	}
	if _, r := merchantOf(b, c); r != nil {
		return r
	}
	if p := b.Products.Get(cmd.Product); p == nil || p.Merchant != c.Merchant {
		return Reject(NotFound, "no product %s", cmd.Product)
	}
	if b.FeatureKeys.Get(projections.FeatureKey{Product: cmd.Product, Key: cmd.Key}) != nil {
		return Reject(Conflict, "product %s has a feature with the key %s", cmd.Product, cmd.Key)
	}
	d.add(c, c.Now, events.FeatureCreated{
		Feature: events.Derive[events.FeatureNoun](c.ID, 0), Product: cmd.Product, Key: cmd.Key, Name: cmd.Name, Type: cmd.Type, Metadata: cmd.Metadata,
	})
	return nil
}

func featureOK(f *projections.Feature) *Rejection {
	if r := first(text("key", f.Key, maxName), text("name", f.Name, maxName), metadataOK(f.Metadata)); r != nil {
		return r
	}
	if !slug(f.Key) {
		return wrong("key", "%.60q is no slug: lower case letters and digits, with single hyphens between", f.Key)
	}
	switch f.Type {
	case events.FeatureBoolean, events.FeatureStatic, events.FeatureMetered:
		return nil
	}
	return wrong("type", "%.40q is none of metered, static, boolean", f.Type)
}

// slug reports whether s is words of lower case letters and digits with single hyphens between.
func slug(s string) bool {
	hyphen := true
	for i := range len(s) {
		c := s[i]
		if c == '-' {
			if hyphen {
				return false
			}
			hyphen = true
			continue
		}
		if hyphen = false; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return !hyphen
}

func metadataOK(m map[string]string) *Rejection {
	if len(m) > maxMetadata {
		return wrong("metadata", "has %d entries; at most %d are allowed", len(m), maxMetadata)
	}
	for k, v := range m {
		if optional("key", k, maxName) != nil || optional("value", v, maxDescription) != nil {
			return wrong("metadata", "is UTF-8, with keys of at most %d and values of at most %d bytes", maxName, maxDescription)
		}
	}
	return nil
}

// featureOf returns a merchant's feature.
func featureOf(b *projections.Books, c Context, id events.FeatureID) (*projections.Feature, *Rejection) {
	f := b.Features.Get(id)
	if f == nil || f.Merchant != c.Merchant {
		return nil, Reject(NotFound, "no feature %s", id)
	}
	return f, nil
}

func updateFeature(b *projections.Books, c Context, cmd UpdateFeature, d *decision) *Rejection {
	f, r := featureOf(b, c, cmd.Feature)
	if r != nil {
		return r
	}
	e := events.FeatureUpdated{
		Feature: cmd.Feature, Key: cmd.Key.over(f.Key), Name: cmd.Name.over(f.Name), Type: cmd.Type.over(f.Type), Metadata: cmd.Metadata.over(f.Metadata),
	}
	if r := featureOK(&projections.Feature{Key: e.Key, Name: e.Name, Type: e.Type, Metadata: e.Metadata}); r != nil {
		return r
	}
	if other := b.FeatureKeys.Get(projections.FeatureKey{Product: f.Product, Key: e.Key}); other != nil && *other != cmd.Feature {
		return Reject(Conflict, "product %s has another feature with the key %s", f.Product, e.Key)
	}
	if e.Type != f.Type && (f.Prices > 0 || f.Entitlements > 0) {
		return Reject(Conflict, "feature %s is %s in %d prices and %d active entitlements", cmd.Feature, f.Type, f.Prices, f.Entitlements)
	}
	d.add(c, c.Now, e)
	return nil
}

func deleteFeature(b *projections.Books, c Context, cmd DeleteFeature, d *decision) *Rejection {
	f, r := featureOf(b, c, cmd.Feature)
	if r != nil {
		return r
	}
	if f.Prices > 0 || f.Entitlements > 0 {
		var blockers []Blocker
		if f.Prices > 0 {
			blockers = append(blockers, Blocker{Type: "prices", Count: int(f.Prices)})
		}
		if f.Entitlements > 0 {
			blockers = append(blockers, Blocker{Type: "entitlements", Count: int(f.Entitlements)})
		}
		return Reject(Conflict, "feature %s is in use", cmd.Feature).blockedBy(blockers...)
	}
	d.add(c, c.Now, events.FeatureDeleted{Feature: cmd.Feature})
	return nil
}

// The most units of anything: what the API calls unlimited.
const unlimitedUnits = 999_999_999_999

// Unlimited returns the most units that a grant may have or keep.
func Unlimited() events.Sum { return events.SumOfWhole(unlimitedUnits) }

// termsOK refuses terms that do not fit a feature of a type.
func termsOK(t *events.FeatureTerms, of events.FeatureType) *Rejection {
	if t.Type != of {
		return wrong("template.type", "is %s; the feature is %s", t.Type, of)
	}
	switch {
	case t.Type != events.FeatureStatic && t.Config != "":
		return wrong("template.config", "is for static features")
	case t.Type == events.FeatureStatic && (len(t.Config) > maxDescription || !json.Valid([]byte(t.Config))):
		return wrong("template.config", "must be JSON of at most %d bytes", maxDescription)
	case t.Type != events.FeatureMetered && (t.Interval != "" || t.Soft || t.Preserve || !t.Issue.IsZero()):
		return wrong("template", "has terms of metered features; this one is %s", t.Type)
	case t.Interval != "" && !t.Interval.Valid():
		return wrong("template.usagePeriod.interval", "%.40q is no duration of at least an hour, such as P1M", t.Interval)
	case t.Interval == "" && t.Preserve:
		return wrong("template.preserveOverageAtReset", "needs a usagePeriod")
	}
	return first(
		billable("template.usagePeriod.anchor", t.Anchor), unitsOK("template.issueAfterReset", t.Issue),
		unitsOK("template.resetMaxRollover", t.MaxRollover), unitsOK("template.resetMinRollover", t.MinRollover),
		priorityOK("template.issueAfterResetPriority", t.IssuePriority), rolloverOK(t.MinRollover, t.MaxRollover),
	)
}

func unitsOK(field string, s events.Sum) *Rejection {
	if s.Sign() < 0 || s.Cmp(Unlimited()) > 0 {
		return wrong(field, "is %s; 0 to %d are allowed", s, int64(unlimitedUnits))
	}
	return nil
}

func priorityOK(field string, p int64) *Rejection {
	if p < -1<<15 || p >= 1<<15 {
		return wrong(field, "is %d; -32768 to 32767 are allowed", p)
	}
	return nil
}

func rolloverOK(least, most events.Sum) *Rejection {
	if least.Cmp(most) > 0 {
		return wrong("resetMinRollover", "is %s, and resetMaxRollover %s", least, most)
	}
	return nil
}

// priceFeatureOK refuses a price whose feature is not one of its product, or is to be given on terms that do not fit.
func priceFeatureOK(b *projections.Books, c Context, cmd *CreatePrice) *Rejection {
	if cmd.Feature.IsZero() {
		return nil
	}
	f, r := featureOf(b, c, cmd.Feature)
	if r != nil {
		return r
	}
	var product events.ProductID
	if cmd.Fee.IsZero() {
		product = b.Metrics.Get(cmd.Metric).Product
	} else {
		product = b.Fees.Get(cmd.Fee).Product
	}
	if f.Product != product {
		return Reject(Invalid, "feature %s is of another product", cmd.Feature)
	}
	if cmd.Template.Type == "" && f.Type != events.FeatureStatic {
		cmd.Template.Type = f.Type
	}
	return termsOK(&cmd.Template, f.Type)
}
