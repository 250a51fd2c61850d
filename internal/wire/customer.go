package wire

import (
	"errors"
	"fmt"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/ledger/keyring"
)

// createCustomer reads the relation to a consumer. A new consumer's key is on disk before the command exists, since a
// record may use it (D4). Where the merchant has a consumer with this address already the command names that one, so
// that what is sealed is sealed under a key that goes when the consumer is erased.
func (d *Decoder) createCustomer(c *call, f *fields) (commands.Command, error) {
	cmd := commands.CreateCustomer{Consumer: id[events.OrganizationNoun](f, "consumerId", optional), TaxRates: f.taxRates("taxRates").To}
	details := Details{ExternalID: f.text("externalId", optional, 255), TaxID: f.text("taxId", optional, 255)}
	var profile events.Profile
	g, inline := f.within("consumer", optional)
	if inline {
		profile = events.Profile{
			Name: g.text("name", required, 255), Email: g.text("email", required, 254), Phone: g.text("phone", optional, 255),
			Address: g.address(required),
		}
		f.close(g)
	}
	if f.bad == nil && inline == !cmd.Consumer.IsZero() {
		f.wrong("consumer", "or consumerId is required, one of them")
	}
	if err := f.finish(); err != nil {
		return nil, err
	}
	if details.ExternalID != "" {
		cmd.External = d.opts.Keyring.ExternalDigest(c.request.Merchant, details.ExternalID)
	}
	if inline {
		address, ok := NormaliseEmail(profile.Email)
		if !ok {
			return nil, invalid("consumer.email %.60q is no e-mail address", profile.Email)
		}
		cmd.Email = d.opts.Keyring.EmailDigest(address)
		if err := d.consumer(c, &cmd, profile); err != nil {
			return nil, err
		}
	}
	holder := cmd.Consumer
	if holder.IsZero() {
		holder = cmd.Candidate
	}
	if details == (Details{}) {
		return cmd, nil
	}
	var err error
	cmd.Details, err = d.seal(holder, PurposeDetails, toJSON(details))
	return cmd, missingConsumer(err, holder)
}

// consumer fills in the consumer with the command's address: the one that there is, or a new one.
func (d *Decoder) consumer(c *call, cmd *commands.CreateCustomer, profile events.Profile) error {
	existing, ok, err := d.opts.Directory.ManagedConsumer(c.ctx, c.request.Merchant, cmd.Email)
	if err != nil {
		return fmt.Errorf("looking up a consumer: %w", err)
	}
	if ok {
		cmd.Consumer = existing
		return nil
	}
	cmd.Candidate = d.opts.NewConsumer()
	if err := d.opts.Keyring.Create(cmd.Candidate); err != nil {
		return fmt.Errorf("making a consumer's key: %w", err)
	}
	cmd.Region, _ = commands.TaxRegionOf(profile.Address)
	cmd.Profile, err = d.seal(cmd.Candidate, PurposeProfile, toJSON(profile))
	return err
}

// missingConsumer makes of the error that a consumer has no key the refusal that there is no such consumer.
func missingConsumer(err error, id events.OrganizationID) error {
	if errors.Is(err, keyring.ErrUnknown) {
		return commands.Reject(commands.NotFound, "no consumer %s", id)
	}
	return err
}
