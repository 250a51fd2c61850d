package pages

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
)

// passkeyTerm is how long a challenge is good.
const passkeyTerm = 10 * time.Minute

// The ceremonies that a challenge can be of.
const (
	addingPasskey = "passkey.add " // and the session in which it is added
	usingPasskey  = "passkey.use"
)

// errPasskey reports a passkey, or an answer of one, that is not good here, for whatever reason.
var errPasskey = errors.New("a passkey that is not good here")

// ceremony is what a page gives to the script that asks a browser for a passkey.
type ceremony struct {
	Challenge string
	Party     string // whom the passkey is for: the name of this site
	User      string // whose it will be, in base64url; "" where the passkey says it
	Known     string // passkeys that are there already, with spaces between
}

// relyingParty returns what checks answers of passkeys, and for which name. Browsers make passkeys for names, and not for numbers.
func (p *Pages) relyingParty() (*webauthn.WebAuthn, string, error) {
	base, err := url.Parse(p.opts.Base())
	if err != nil || base.Hostname() == "" {
		return nil, "", errPasskey
	}
	if _, err := netip.ParseAddr(base.Hostname()); err == nil {
		return nil, "", errPasskey
	}
	party, err := webauthn.New(&webauthn.Config{RPID: base.Hostname(), RPDisplayName: "Tallystick", RPOrigins: []string{base.Scheme + "://" + base.Host}})
	return party, base.Hostname(), err
}

// ceremonyOf returns what a page needs to have a passkey answer, nil where there can be none.
func (p *Pages) ceremonyOf(of string, u *query.User) *ceremony {
	_, party, err := p.relyingParty()
	if err != nil {
		return nil
	}
	c := &ceremony{Challenge: p.challenge(of), Party: party}
	if u != nil {
		c.User = base64.RawURLEncoding.EncodeToString(u.ID[:])
		for i := range u.Passkeys {
			c.Known += base64.RawURLEncoding.EncodeToString(u.Passkeys[i].Credential) + " "
		}
	}
	return c
}

// A challenge is so many random bytes, until when it is good, and a keyed hash of both and of what it is for. So nothing is kept of it until
// it is answered.
const (
	challengeRandom = 16
	challengeHashed = challengeRandom + 8
	challengeLength = challengeHashed + 24
)

// challenge returns a new challenge for a ceremony.
func (p *Pages) challenge(of string) string {
	b := make([]byte, challengeRandom, challengeLength)
	_, _ = rand.Read(b) // it never fails
	b = binary.BigEndian.AppendUint64(b, uint64(p.opts.Clock().Add(passkeyTerm).UnixNano()))
	return base64.RawURLEncoding.EncodeToString(append(b, p.sign(of, b)...))
}

func (p *Pages) sign(of string, b []byte) []byte {
	mac := hmac.New(sha256.New, p.opts.Secret)
	mac.Write([]byte("challenge "))
	mac.Write(b)
	mac.Write([]byte(of))
	return mac.Sum(nil)[:challengeLength-challengeHashed]
}

// challenged returns until when a challenge is good that was made here for a ceremony, and reports whether it is one and still good.
func (p *Pages) challenged(of, challenge string) (until events.Time, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(challenge)
	if err != nil || len(b) != challengeLength || !hmac.Equal(b[challengeHashed:], p.sign(of, b[:challengeHashed])) {
		return 0, false
	}
	until = events.Time(binary.BigEndian.Uint64(b[challengeRandom:]))
	return until, p.opts.Clock().Before(until.Std())
}

// holder is a user whose passkeys are checked.
type holder struct{ query.User }

// WebAuthnID implements [webauthn.User].
func (h holder) WebAuthnID() []byte { return h.ID[:] }

// WebAuthnName implements [webauthn.User].
func (h holder) WebAuthnName() string { return h.Email }

// WebAuthnDisplayName implements [webauthn.User].
func (h holder) WebAuthnDisplayName() string { return h.Email }

// WebAuthnCredentials implements [webauthn.User].
func (h holder) WebAuthnCredentials() (all []webauthn.Credential) {
	for i := range h.Passkeys {
		k := &h.Passkeys[i]
		all = append(all, webauthn.Credential{
			ID: k.Credential, PublicKey: k.Key, Flags: webauthn.CredentialFlags{BackupEligible: k.Synced},
			Authenticator: webauthn.Authenticator{SignCount: k.Counter},
		})
	}
	return all
}

// addPasskey takes the passkey that a browser has made for whoever is signed in. What it was made for is bound to the session, and good once.
func (p *Pages) addPasskey(w http.ResponseWriter, r *http.Request, u *query.User, session string) error {
	made, until, err := p.madePasskey(r, u, session)
	if errors.Is(err, errPasskey) {
		return p.showHome(w, r, u, session, 0, "This passkey cannot be used. Reload the page, and try again.")
	} else if err != nil {
		return err
	}
	rec, err := p.commandAs(r.Context(), wire.Who{Role: events.OperatorKey, User: u.ID}, events.OrganizationID{}, "AddPasskey", map[string]any{
		"userId": u.ID, "credential": base64.RawURLEncoding.EncodeToString(made.ID), "publicKey": base64.RawURLEncoding.EncodeToString(made.PublicKey),
		"counter": made.Authenticator.SignCount, "synced": made.Flags.BackupEligible,
		"challengeExpiresAt": until,
	})
	if refusal, ok := errors.AsType[*commands.Rejection](err); ok {
		return p.showHome(w, r, u, session, 0, refusal.Message)
	} else if err != nil {
		return err
	}
	ctx, to := context.WithoutCancel(r.Context()), u.Email
	p.sending.Go(func() {
		err := p.mail(ctx, to, "A passkey was added", "From now on a passkey signs you in:\n\n"+p.opts.Base()+
			"/signin\n\nIf you have not added it, sign in, remove it, and sign out: that ends what anybody else is signed in with.\n")
		if err != nil && !errors.Is(err, errNoMail) {
			p.opts.Logger.Error("nobody is told of a passkey", "error", err)
		}
	})
	return p.again(w, r, u, rec)
}

// madePasskey returns the passkey in a form, if it was made for this session just now, and until when what it was made for is good.
func (p *Pages) madePasskey(r *http.Request, u *query.User, session string) (made *webauthn.Credential, until events.Time, err error) {
	party, _, err := p.relyingParty()
	if err != nil {
		return nil, 0, err
	}
	answer, err := protocol.ParseCredentialCreationResponseBytes([]byte(r.PostForm.Get("credential")))
	if err != nil {
		return nil, 0, errPasskey
	}
	challenge := answer.Response.CollectedClientData.Challenge
	until, ok := p.challenged(addingPasskey+session, challenge)
	if !ok {
		return nil, 0, errPasskey
	}
	made, err = party.CreateCredential(holder{*u}, webauthn.SessionData{
		Challenge: challenge, UserID: u.ID[:], UserVerification: protocol.VerificationRequired, CredParams: passkeyKinds(),
	}, answer)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errPasskey, err)
	}
	return made, until, nil
}

// passkeyKinds returns the kinds of keys that are taken, as the script asks for them.
func passkeyKinds() (kinds []protocol.CredentialParameter) {
	for _, of := range []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256} {
		kinds = append(kinds, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: of})
	}
	return kinds
}

// removePasskey makes a passkey good for nothing. Whoever removes it stays signed in here, and nowhere else.
func (p *Pages) removePasskey(w http.ResponseWriter, r *http.Request, u *query.User, session string) error {
	rec, err := p.commandAs(r.Context(), wire.Who{Role: events.OperatorKey, User: u.ID}, events.OrganizationID{}, "RemovePasskey", map[string]any{
		"userId": u.ID, "credential": r.PostForm.Get("passkey"),
	})
	if refusal, ok := errors.AsType[*commands.Rejection](err); ok {
		return p.showHome(w, r, u, session, 0, refusal.Message)
	} else if err != nil {
		return err
	}
	return p.again(w, r, u, rec)
}

// again signs a user in anew after what it has changed of itself, and shows its home.
func (p *Pages) again(w http.ResponseWriter, r *http.Request, u *query.User, rec receipt) error {
	after := query.UserArgs{User: u.ID}
	after.AtLeast = rec.Sequence
	now, err := p.opts.Queries.User(r.Context(), reader, after)
	if err != nil {
		return err
	}
	p.setSession(w, &now)
	http.Redirect(w, r, "/home", http.StatusSeeOther)
	return nil
}

// signInByPasskey signs in whoever has a passkey that a user has added. An answer is good once, and the ledger knows which were used.
func (p *Pages) signInByPasskey(w http.ResponseWriter, r *http.Request) error {
	if err := p.form(r); err != nil {
		return err
	}
	if !p.attempts.allow(p.place(r), attemptsPerMinute, p.opts.Clock()) {
		return errTooMany
	}
	user, err := p.usePasskey(r)
	switch code := commands.CodeOf(err); {
	case errors.Is(err, errPasskey), code == commands.Conflict, code == commands.NotFound:
		v := p.signInView()
		v.Problem = "This passkey does not sign you in here. Try again, or have a link sent to you."
		return p.show(w, http.StatusUnprocessableEntity, "signin.html", v)
	case err != nil:
		return err
	}
	p.setSession(w, &user)
	http.Redirect(w, r, "/home", http.StatusSeeOther)
	return nil
}

// usePasskey returns the user whose passkey has answered in a form.
func (p *Pages) usePasskey(r *http.Request) (user query.User, err error) {
	party, _, err := p.relyingParty()
	if err != nil {
		return user, err
	}
	answer, err := protocol.ParseCredentialRequestResponseBytes([]byte(r.PostForm.Get("credential")))
	if err != nil {
		return user, errPasskey
	}
	challenge := answer.Response.CollectedClientData.Challenge
	until, ok := p.challenged(usingPasskey, challenge)
	if !ok {
		return user, errPasskey
	}
	_, _, err = party.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
		var id events.UserID
		if copy(id[:], handle) != len(id) || len(handle) != len(id) {
			return nil, errPasskey
		}
		user, err = p.opts.Queries.User(r.Context(), reader, query.UserArgs{User: id})
		return holder{user}, err
	}, webauthn.SessionData{Challenge: challenge, UserVerification: protocol.VerificationRequired}, answer)
	if err != nil {
		return user, fmt.Errorf("%w: %w", errPasskey, err)
	}
	rec, err := p.command(r.Context(), events.OrganizationID{}, "UsePasskey", map[string]any{
		"userId": user.ID, "credential": base64.RawURLEncoding.EncodeToString(answer.RawID), "challengeExpiresAt": until,
		"counter": answer.Response.AuthenticatorData.Counter,
	})
	if err != nil {
		return user, err
	}
	after := query.UserArgs{User: user.ID}
	after.AtLeast = rec.Sequence
	return p.opts.Queries.User(r.Context(), reader, after)
}
