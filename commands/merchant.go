package commands

import (
	"crypto/sha256"

	"tallystick/events"
	"tallystick/projections"
)

// CreateMerchant makes an organization that sells, with a wallet for what it earns. Only operators may. Where the
// Context names a merchant, that is its identity.
type CreateMerchant struct {
	Profile  events.Profile
	Settings events.Settings
	Currency events.Currency
}

// UpdateMerchant replaces a merchant's profile and settings. The settings only operators may change.
type UpdateMerchant struct {
	Profile  events.Profile
	Settings events.Settings
}

// CreateKey records an API key, made and shown by whoever asks. Merchants' keys are made by
// operators or with another key of the same merchant, the others by operators.
type CreateKey struct {
	Role   events.KeyRole
	Name   string
	Secret events.Hash // SHA-256 of the key's text
}

// RevokeKey ends the validity of an API key.
type RevokeKey struct {
	Key events.KeyID
}

const maxName = 255

func profileOK(p events.Profile) *Rejection {
	return first(
		text("name", p.Name, maxName), optional("email", p.Email, maxName), optional("phone", p.Phone, maxName),
		optional("taxId", p.TaxID, maxName), optional("address.line1", p.Address.Line1, maxName),
		optional("address.line2", p.Address.Line2, maxName), optional("address.city", p.Address.City, maxName),
		optional("address.state", p.Address.State, maxName), optional("address.country", p.Address.Country, 2),
		optional("address.zipCode", p.Address.ZipCode, maxName),
	)
}

func settingsOK(s events.Settings) *Rejection {
	if s.FeeBasisPoints > 10_000 {
		return wrong("feeBasisPoints", "is %d; at most 10000 are allowed", s.FeeBasisPoints)
	}
	if s.PaymentDays > 365 {
		return wrong("paymentTermDays", "is %d; at most 365 are allowed", s.PaymentDays)
	}
	if s.AmountLimit < 0 || s.AmountLimit != 0 && s.AmountLimit < minCharge || s.AmountLimit%centNanos != 0 {
		return wrong("amountLimit", "is %s; it must be at least %s, in whole cents, or 0 for %s", s.AmountLimit, events.Nanos(minCharge), events.Nanos(maxCharge))
	}
	if _, ok := retries(s.PaymentRetries); !ok {
		return wrong("paymentRetries", "%.40q is neither none nor up to %d numbers of days, from 1 to %d", s.PaymentRetries, maxRetries, maxRetryDays)
	}
	return nil
}

func createMerchant(b *projections.Books, c Context, cmd CreateMerchant, d *decision) *Rejection {
	if !c.Operator {
		return Reject(Forbidden, "only an operator makes merchants")
	}
	if r := first(profileOK(cmd.Profile), settingsOK(cmd.Settings)); r != nil {
		return r
	}
	if cmd.Currency.IsZero() {
		return wrong("currency", "is required, such as USD")
	}
	if c.Merchant.IsZero() {
		c.Merchant = events.Derive[events.OrganizationNoun](c.ID, 0)
	} else if b.Merchants.Get(c.Merchant) != nil {
		return Reject(Conflict, "merchant %s exists already", c.Merchant)
	}
	d.add(c, c.Now, events.MerchantCreated{Profile: cmd.Profile, Settings: cmd.Settings, Currency: cmd.Currency})
	d.add(c, c.Now, events.WalletOpened{
		Wallet: events.Derive[events.WalletNoun](c.ID, 1), Owner: c.Merchant, Currency: cmd.Currency, Earning: true,
	})
	return nil
}

func updateMerchant(b *projections.Books, c Context, cmd UpdateMerchant, d *decision) *Rejection {
	if r := first(profileOK(cmd.Profile), settingsOK(cmd.Settings)); r != nil {
		return r
	}
	m, r := merchantOf(b, c)
	if r != nil {
		return r
	}
	if cmd.Settings != m.Settings && !c.Operator {
		return Reject(Forbidden, "only an operator changes a merchant's settings")
	}
	d.add(c, c.Now, events.MerchantUpdated{Profile: cmd.Profile, Settings: cmd.Settings})
	return nil
}

func createKey(b *projections.Books, c Context, cmd CreateKey, d *decision) *Rejection {
	if r := optional("name", cmd.Name, maxName); r != nil {
		return r
	}
	switch cmd.Role {
	case events.MerchantKey:
		if _, r := merchantOf(b, c); r != nil {
			return r
		}
	case events.OperatorKey, events.AuditorKey:
		if !c.Operator {
			return Reject(Forbidden, "only an operator makes keys of role %s", cmd.Role)
		}
		c.Merchant = events.OrganizationID{}
	default:
		return wrong("role", "%.40q is none of merchant, operator, auditor", cmd.Role)
	}
	d.add(c, c.Now, events.KeyCreated{
		Key: events.Derive[events.KeyNoun](c.ID, 0), Role: cmd.Role, Secret: cmd.Secret, Name: cmd.Name,
	})
	return nil
}

func revokeKey(b *projections.Books, c Context, cmd RevokeKey, d *decision) *Rejection {
	k := b.Keys.Get(cmd.Key)
	if k == nil || !c.Operator && (k.Merchant.IsZero() || k.Merchant != c.Merchant) {
		return Reject(NotFound, "no key %s", cmd.Key)
	}
	if k.Revoked {
		return Reject(Conflict, "key %s is revoked already", cmd.Key)
	}
	c.Merchant = k.Merchant
	d.add(c, c.Now, events.KeyRevoked{Key: cmd.Key})
	return nil
}

// SecretHash returns what is kept of an API key's text.
func SecretHash(secret string) events.Hash { return sha256.Sum256([]byte(secret)) }
