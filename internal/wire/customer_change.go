package wire

import (
	"encoding/json"
	"errors"
	"fmt"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/ledger/keyring"
)

// updateCustomer reads what a merchant knows of a customer from now on. null, or an empty text, stands for none.
func (d *Decoder) updateCustomer(c *call, f *fields) (commands.Command, error) {
	cmd := commands.UpdateCustomer{Customer: id[events.CustomerNoun](f, "customerId", required)}
	cmd.TaxRates = f.taxRates("taxRates")
	external, taxID := f.change("externalId", 255), f.change("taxId", 255)
	if g, ok := f.within("notificationSettings", optional); ok {
		cmd.InvoiceIssued, cmd.InvoicePaid = flagChange(g, "invoiceIssued"), flagChange(g, "invoicePaid")
		cmd.RenewalReminder = flagChange(g, "renewalReminder")
		f.close(g)
	}
	if err := f.finish(); err != nil {
		return nil, err
	}
	var err error
	if cmd.External.Given = external.Given; external.To != "" {
		cmd.External.To = d.opts.Keyring.ExternalDigest(c.request.Merchant, external.To)
		if cmd.ExternalID, err = d.sealFor(c.ctx, cmd.Customer, PurposeExternal, []byte(external.To)); err != nil {
			return nil, err
		}
	}
	cmd.TaxID.Given = taxID.Given
	cmd.TaxID.To, err = d.sealFor(c.ctx, cmd.Customer, PurposeTaxID, []byte(taxID.To))
	return cmd, err
}

// flagChange returns a boolean that may be left out.
func flagChange(f *fields, name string) (v commands.Change[bool]) {
	s := f.take(name, optional)
	if s == nil {
		return v
	}
	v.Given, v.To = true, s.boolean(f.path+name)
	if f.done(s) {
		note := []byte{0}
		if v.To {
			note[0] = 1
		}
		f.note(name, note)
	}
	return v
}

// updateConsumer reads what of a consumer's profile changes, and makes the whole of it of the one that there is.
func (d *Decoder) updateConsumer(c *call, f *fields) (commands.Command, error) {
	cmd := commands.UpdateConsumer{Consumer: id[events.OrganizationNoun](f, "consumerId", required)}
	name, email, phone := f.change("name", 255), f.change("email", 254), f.change("phone", 255)
	address, moved := f.optionalAddress()
	if err := f.finish(); err != nil {
		return nil, err
	}
	normal, valid := NormaliseEmail(email.To)
	if name.Given && name.To == "" || email.Given && !valid {
		return nil, invalid("a consumer has a name and an e-mail address")
	}
	sealed, at, ok, err := d.opts.Directory.ConsumerProfile(c.ctx, cmd.Consumer)
	if err != nil {
		return nil, fmt.Errorf("looking up consumer %s: %w", cmd.Consumer, err)
	}
	plain, err := []byte(nil), keyring.ErrErased
	if ok {
		plain, err = d.opts.Keyring.Open(sealed, PurposeProfile)
	}
	if errors.Is(err, keyring.ErrErased) {
		return cmd, nil
	}
	var p events.Profile
	if err == nil {
		err = json.Unmarshal(plain, &p)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the profile of %s: %w", cmd.Consumer, err)
	}
	for _, change := range []struct {
		to   commands.Change[string]
		what *string
	}{{name, &p.Name}, {email, &p.Email}, {phone, &p.Phone}} {
		if change.to.Given {
			*change.what = change.to.To
		}
	}
	if moved {
		p.Address = address
	}
	if !email.Given {
		normal, _ = NormaliseEmail(p.Email)
	}
	cmd.Base, cmd.Email = at, d.opts.Keyring.EmailDigest(normal)
	cmd.Region, _ = commands.TaxRegionOf(p.Address)
	cmd.Profile, err = d.seal(cmd.Consumer, PurposeProfile, toJSON(p))
	return cmd, err
}

// optionalAddress returns an address, and whether there is one.
func (f *fields) optionalAddress() (a events.Address, given bool) {
	for i := range f.list {
		given = given || f.list[i].name == "address"
	}
	return f.address(optional), given
}
