package natsbus

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"

	"tallystick/events"
)

// authenticator lets clients of the embedded server in: the holders of API keys, and
// ourselves by two random tokens that never leave the process.
type authenticator struct {
	keys        Keys
	books, door string // our tokens
	server      *server.Server
}

func newAuthenticator(keys Keys) *authenticator {
	return &authenticator{keys: keys, books: rand.Text(), door: rand.Text()}
}

// Check implements server.Authentication.
func (a *authenticator) Check(c server.ClientAuthentication) bool {
	if c.Kind() != server.CLIENT {
		return false
	}
	token := c.GetOpts().Token
	switch {
	case same(token, a.books):
		return a.register(c, "tally", permissions{account: booksAccount, all: true})
	case same(token, a.door):
		return a.register(c, "tally", permissions{account: doorAccount, all: true})
	}
	id, ok := a.keys.Authenticate(token)
	if !ok {
		return false
	}
	p, ok := grant(id)
	if !ok || !a.register(c, id.Key.String(), p) {
		return false
	}
	// A key that is revoked after the question above and before the registration would be missed
	// by the search of Disconnect.
	_, ok = a.keys.Authenticate(token)
	return ok
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (a *authenticator) register(c server.ClientAuthentication, name string, p permissions) bool {
	account, err := a.server.LookupAccount(p.account)
	if err != nil {
		return false
	}
	user := &server.User{Username: name, Account: account}
	if !p.all {
		user.Permissions = &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: p.publish},
			Subscribe: &server.SubjectPermission{Allow: p.subscribe},
		}
	}
	c.RegisterUser(user)
	return true
}

// Disconnect closes the connections of a key that is valid no longer. With a server elsewhere it
// does nothing: there they end when their user JWT does.
func (b *Bus) Disconnect(key events.KeyID) error {
	if b.server == nil {
		return nil
	}
	conns, err := b.server.Connz(&server.ConnzOptions{Username: true, User: key.String(), Limit: 1 << 20})
	if err != nil {
		return fmt.Errorf("looking for the connections of %s: %w", key, err)
	}
	for _, c := range conns.Conns {
		// An error says that it has gone meanwhile.
		_ = b.server.DisconnectClientByID(c.Cid)
	}
	return nil
}
