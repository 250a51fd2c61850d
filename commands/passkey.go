package commands

import (
	"tallystick/events"
	"tallystick/projections"
)

// AddPasskey lets a user sign in by a passkey. It is the user's own command, and whoever asks has seen that the passkey is the user's.
type AddPasskey struct {
	User       events.UserID
	Credential []byte // what browsers call it
	Key        []byte // the public one, in COSE
	Counter    uint32
	Synced     bool
	Challenge  events.Time // for which it was made, bound to what the user is signed in with; until when it is good
}

// RemovePasskey makes a passkey good for nothing, and ends all that its user is signed in with.
type RemovePasskey struct {
	User       events.UserID
	Credential []byte
}

// UsePasskey signs a user in. Whoever asks has seen that the passkey has answered a challenge of this ledger's.
type UsePasskey struct {
	User       events.UserID
	Credential []byte
	Counter    uint32
	Challenge  events.Time // until when it is good: each challenge has a time of its own
}

const (
	maxPasskeys   = 20   // of a user
	maxCredential = 1023 // bytes, as browsers have it
	maxPublicKey  = 4096 // bytes
)

// ownUser returns the user that a command is about, if it comes from that user.
func ownUser(b *projections.Books, c Context, id events.UserID) (*projections.User, *Rejection) {
	u := b.Users.Get(id)
	if u == nil || !c.Operator || c.Actor.Kind != events.ActorUser || c.Actor.ID != id || u.State != events.UserActive {
		return nil, Reject(NotFound, "no active user %s", id)
	}
	return u, nil
}

func addPasskey(b *projections.Books, c Context, cmd AddPasskey, d *decision) *Rejection {
	if n := len(cmd.Credential); n == 0 || n > maxCredential {
		return Reject(Invalid, "credential has %d bytes; it must have 1 to %d", n, maxCredential)
	}
	if n := len(cmd.Key); n == 0 || n > maxPublicKey {
		return Reject(Invalid, "publicKey has %d bytes; it must have 1 to %d", n, maxPublicKey)
	}
	u, r := ownUser(b, c, cmd.User)
	if r != nil {
		return r
	}
	if u.Passkey(cmd.Credential) != nil {
		return Reject(Conflict, "this passkey was added already")
	}
	if cmd.Challenge <= c.Now {
		return Reject(Conflict, "this challenge was good until %s", cmd.Challenge)
	}
	for i := range u.Passkeys { // with one that was removed what its user was signed in with has ended, and the challenge with it
		if cmd.Challenge <= u.Passkeys[i].Made {
			return Reject(Conflict, "for this challenge, or a later one, a passkey was made already")
		}
	}
	if len(u.Passkeys) >= maxPasskeys {
		return Reject(Conflict, "there are %d passkeys; remove one first", len(u.Passkeys))
	}
	d.add(c, c.Now, events.PasskeyAdded(cmd))
	return nil
}

func removePasskey(b *projections.Books, c Context, cmd RemovePasskey, d *decision) *Rejection {
	u, r := ownUser(b, c, cmd.User)
	if r != nil {
		return r
	}
	if u.Passkey(cmd.Credential) == nil {
		return Reject(NotFound, "there is no such passkey")
	}
	d.add(c, c.Now, events.PasskeyRemoved(cmd))
	return nil
}

func usePasskey(b *projections.Books, c Context, cmd UsePasskey, d *decision) *Rejection {
	u := b.Users.Get(cmd.User)
	if u == nil || !c.Operator || u.State != events.UserActive || b.Consumers.Get(u.Organization).Erased {
		return Reject(NotFound, "no active user %s", cmd.User)
	}
	k := u.Passkey(cmd.Credential)
	switch {
	case k == nil:
		return Reject(NotFound, "user %s has no such passkey", cmd.User)
	case cmd.Challenge <= c.Now:
		return Reject(Conflict, "this challenge was good until %s", cmd.Challenge)
	case cmd.Challenge <= k.Challenge:
		return Reject(Conflict, "this challenge, or a later one, was answered already")
	case !k.Grows(cmd.Counter):
		return Reject(Conflict, "the counter is %d after %d: there is a copy of this passkey", cmd.Counter, k.Counter)
	}
	d.add(c, c.Now, events.PasskeyUsed(cmd))
	return nil
}
