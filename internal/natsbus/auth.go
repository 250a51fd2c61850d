package natsbus

import (
	"crypto/rand"
	"crypto/subtle"

	"github.com/nats-io/nats-server/v2/server"
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
	opts := c.GetOpts()
	token := opts.Token
	if claims(opts.Nkey, opts.JWT) {
		return false
	}
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

// claims reports whether a client that is let in by a token says to be somebody by other means too. The server would know
// it by that name then: it would not be found when its key is revoked, and an operator could act in another's name.
func claims(nkey, userJWT string) bool { return nkey != "" || userJWT != "" }

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
