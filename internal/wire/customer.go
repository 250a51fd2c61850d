package wire

import (
	"fmt"

	"tallystick/commands"
	"tallystick/events"
)

// customers reads a command about customers and consumers. It reports false for another command.
func (d *Decoder) customers(c *call, name string, f *fields) (cmd commands.Command, known bool, err error) {
	switch name {
	case "CreateCustomer":
		cmd, err = d.createCustomer(c, f)
	case "UpdateCustomer":
		cmd, err = d.updateCustomer(c, f)
	case "DeleteCustomer":
		cmd = commands.DeleteCustomer{Customer: id[events.CustomerNoun](f, "customerId", required)}
		err = f.finish()
	case "CreateConsumer":
		cmd, err = d.createConsumer(c, f)
	case "UpdateConsumer":
		cmd, err = d.updateConsumer(c, f)
	case "EraseConsumer":
		cmd = commands.EraseConsumer{Consumer: id[events.OrganizationNoun](f, "consumerId", required)}
		err = f.finish()
	default:
		return nil, false, nil
	}
	return cmd, true, err
}

// createCustomer reads the relation to a consumer. A new consumer's key is on disk before the command exists, since a
// record may use it (D4). Where the merchant has a consumer with this address already the command names that one, so
// that what is sealed is sealed under a key that goes when the consumer is erased.
func (d *Decoder) createCustomer(c *call, f *fields) (commands.Command, error) {
	cmd := commands.CreateCustomer{Consumer: id[events.OrganizationNoun](f, "consumerId", optional), TaxRates: f.taxRates("taxRates").To}
	details := Details{ExternalID: f.text("externalId", optional, 255), TaxID: f.text("taxId", optional, 255)}
	var profile events.Profile
	g, inline := f.within("consumer", optional)
	if inline {
		profile = g.consumer()
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
		if err := d.consumer(c, &cmd, "consumer.email", profile); err != nil {
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
	cmd.Details, err = d.sealForNamed(holder, PurposeDetails, toJSON(details))
	return cmd, err
}

// createConsumer reads a consumer that is nobody's customer yet. Where the merchant has one with this address already, the address is
// all that the command says.
func (d *Decoder) createConsumer(c *call, f *fields) (commands.Command, error) {
	profile := f.consumer()
	if err := f.finish(); err != nil {
		return nil, err
	}
	var of commands.CreateCustomer
	err := d.consumer(c, &of, "email", profile)
	return commands.CreateConsumer{Candidate: of.Candidate, Email: of.Email, Profile: of.Profile, Region: of.Region}, err
}

// consumer reads what a consumer is made of.
func (f *fields) consumer() events.Profile {
	return events.Profile{
		Name: f.text("name", required, 255), Email: f.text("email", required, 254), Phone: f.text("phone", optional, 255),
		Address: f.address(required),
	}
}

// consumer fills in the consumer with the profile's address, which the field holds: the one that there is, or a new one.
func (d *Decoder) consumer(c *call, cmd *commands.CreateCustomer, field string, profile events.Profile) error {
	address, ok := NormaliseEmail(profile.Email)
	if !ok {
		return invalid("%s %.60q is no e-mail address", field, profile.Email)
	}
	cmd.Email = d.opts.Keyring.EmailDigest(address)
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
