package wire

import (
	"encoding/base64"
	"fmt"
	"math"

	"tallystick/commands"
	"tallystick/events"
)

// authorize reads a command about authorizations, users and portals. It reports false for another command.
func (d *Decoder) authorize(c *call, name string, f *fields) (_ commands.Command, known bool, _ error) {
	var cmd commands.Command
	var err error
	switch name {
	case "CreateAuthorization":
		cmd, err = d.createAuthorization(c, f)
	case "CompleteAuthorization":
		cmd, err = d.completeAuthorization(c, f)
	case "RefuseAuthorization":
		cmd = commands.RefuseAuthorization{Authorization: id[events.AuthorizationNoun](f, "authorizationId", required)}
		err = f.finish()
	case "WithdrawAuthorization":
		cmd = commands.WithdrawAuthorization{Consumer: id[events.OrganizationNoun](f, "consumerId", required)}
		err = f.finish()
	case "InviteUser":
		cmd, err = d.inviteUser(f)
	case "DeclineInvitation":
		cmd = commands.DeclineInvitation{User: id[events.UserNoun](f, "userId", required)}
		err = f.finish()
	case "UpdateUser":
		cmd = commands.UpdateUser{
			User: id[events.UserNoun](f, "userId", required), State: events.UserState(f.text("state", required, 16)),
			Role: events.UserRole(f.text("role", required, 16)),
		}
		err = f.finish()
	case "SignIn":
		cmd = commands.SignIn{User: id[events.UserNoun](f, "userId", required), Link: f.time("linkExpiresAt", required)}
		err = f.finish()
	case "SignOut":
		cmd = commands.SignOut{User: id[events.UserNoun](f, "userId", required)}
		err = f.finish()
	case "AddPasskey", "RemovePasskey", "UsePasskey":
		cmd, err = passkey(name, f)
	case "CreatePortal":
		portal := commands.CreatePortal{Subscription: id[events.SubscriptionNoun](f, "subscriptionId", required)}
		if by, ok := f.duration("expiresIn"); ok {
			portal.Term = by.length()
		}
		cmd, err = portal, f.finish()
	case "RevokePortal":
		cmd = commands.RevokePortal{Portal: id[events.PortalNoun](f, "portalId", required)}
		err = f.finish()
	default:
		return nil, false, nil
	}
	return cmd, true, err
}

// passkey reads a command about a passkey, whose bytes are text in base64url.
func passkey(name string, f *fields) (cmd commands.Command, err error) {
	user, credential := id[events.UserNoun](f, "userId", required), f.bytes("credential")
	switch name {
	case "AddPasskey":
		cmd = commands.AddPasskey{
			User: user, Credential: credential, Key: f.bytes("publicKey"), Counter: uint32(f.number("counter", math.MaxUint32)), Synced: f.flag("synced"),
			Challenge: f.time("challengeExpiresAt", required),
		}
	case "RemovePasskey":
		cmd = commands.RemovePasskey{User: user, Credential: credential}
	default:
		cmd = commands.UsePasskey{
			User: user, Credential: credential, Counter: uint32(f.number("counter", math.MaxUint32)), Challenge: f.time("challengeExpiresAt", required),
		}
	}
	return cmd, f.finish()
}

// bytes reads what is text in base64url, without the signs that fill it up.
func (f *fields) bytes(name string) []byte {
	const most = 8 << 10
	b, err := base64.RawURLEncoding.Strict().DecodeString(f.text(name, required, most))
	if err != nil {
		f.wrong(name, "must be base64url")
	}
	return b
}

// createAuthorization reads whom the merchant asks. The address is sealed under the key of the full consumer that has it, or under a new
// key for the one that there will be.
func (d *Decoder) createAuthorization(c *call, f *fields) (commands.Command, error) {
	email := f.text("email", required, 254)
	cmd := commands.CreateAuthorization{Plan: id[events.PlanNoun](f, "planId", optional), RedirectURL: f.url("redirectUrl"), Minimum: f.minimum()}
	if err := f.finish(); err != nil {
		return nil, err
	}
	address, ok := NormaliseEmail(email)
	if !ok {
		return nil, invalid("email %.60q is no e-mail address", email)
	}
	cmd.Email = d.opts.Keyring.EmailDigest(address)
	holder, ok, err := d.opts.Directory.FullConsumer(c.ctx, cmd.Email)
	if err != nil {
		return nil, fmt.Errorf("looking up a consumer: %w", err)
	}
	cmd.Candidate = holder
	if !ok {
		cmd.Candidate = d.opts.NewConsumer()
		if err := d.opts.Keyring.Create(cmd.Candidate); err != nil {
			return nil, fmt.Errorf("making a consumer's key: %w", err)
		}
	}
	cmd.Address, err = d.seal(cmd.Candidate, PurposeAddress, []byte(address))
	return cmd, err
}

// completeAuthorization reads who signs up, if somebody does.
func (d *Decoder) completeAuthorization(c *call, f *fields) (commands.Command, error) {
	cmd := commands.CompleteAuthorization{Authorization: id[events.AuthorizationNoun](f, "authorizationId", required)}
	var profile events.Profile
	var person string
	g, signsUp := f.within("consumer", optional)
	if signsUp {
		profile = events.Profile{
			Name: g.text("name", required, 255), Email: g.text("email", required, 254), Phone: g.text("phone", optional, 255),
			TaxID: g.text("taxId", optional, 255), Address: g.address(required),
		}
		person = g.text("person", optional, 255)
		f.close(g)
	}
	if err := f.finish(); err != nil || !signsUp {
		return cmd, err
	}
	cmd.Region, _ = commands.TaxRegionOf(profile.Address)
	holder, ok, err := d.opts.Directory.AuthorizationConsumer(c.ctx, cmd.Authorization)
	if err != nil {
		return nil, fmt.Errorf("looking up authorization session %s: %w", cmd.Authorization, err)
	}
	if !ok {
		return cmd, nil
	}
	if cmd.Profile, err = d.seal(holder, PurposeProfile, toJSON(profile)); err != nil {
		return nil, err
	}
	if person == "" {
		person = profile.Name
	}
	cmd.Person, err = d.seal(holder, PurposeUser, toJSON(events.Profile{Name: person, Email: profile.Email}))
	return cmd, err
}

// inviteUser reads who is to be a user of a full consumer.
func (d *Decoder) inviteUser(f *fields) (commands.Command, error) {
	cmd := commands.InviteUser{Consumer: id[events.OrganizationNoun](f, "consumerId", required), Role: events.UserRole(f.text("role", required, 16))}
	email, name := f.text("email", required, 254), f.text("name", optional, 255)
	if err := f.finish(); err != nil {
		return nil, err
	}
	address, ok := NormaliseEmail(email)
	if !ok {
		return nil, invalid("email %.60q is no e-mail address", email)
	}
	cmd.Email = d.opts.Keyring.EmailDigest(address)
	var err error
	cmd.Profile, err = d.sealForNamed(cmd.Consumer, PurposeUser, toJSON(events.Profile{Name: name, Email: address}))
	return cmd, err
}
