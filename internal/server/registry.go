package server

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/natsbus"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// registry is every valid API key, in memory. It is filled at the start and kept current by the
// follower of effects, so it knows of a key, and of its end, as soon as either is on disk.
type registry struct {
	durable func() events.Seq // last record on disk

	mu      sync.Mutex // guards the fields below
	seq     events.Seq // last record taken in
	raised  chan struct{}
	secrets map[events.Hash]natsbus.Identity
	hashes  map[events.KeyID]events.Hash
}

func newRegistry(durable func() events.Seq) *registry {
	return &registry{
		durable: durable, raised: make(chan struct{}),
		secrets: make(map[events.Hash]natsbus.Identity), hashes: make(map[events.KeyID]events.Hash),
	}
}

// load takes in all keys of stored books.
func (r *registry) load(stored rows) error {
	books := projections.NewBooks(projections.ForRules)
	return stored.Scan([]byte{books.Keys.ID}, func(key, value []byte) error {
		id, row, err := books.Keys.Decode(key[1:], value)
		if err == nil && !row.Revoked {
			r.add(natsbus.Identity{Key: id, Role: row.Role, Merchant: row.Merchant}, row.Secret)
		}
		return err
	})
}

// known returns the last record taken in.
func (r *registry) known() events.Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq
}

func (r *registry) add(id natsbus.Identity, secret events.Hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets[secret], r.hashes[id.Key] = id, secret
}

func (r *registry) remove(key events.KeyID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.secrets, r.hashes[key])
	delete(r.hashes, key)
}

// advance notes that everything up to seq is taken in.
func (r *registry) advance(seq events.Seq) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq <= r.seq {
		return
	}
	r.seq = seq
	close(r.raised)
	r.raised = make(chan struct{})
}

// mostLag bounds how long a caller waits for the registry to be current.
const mostLag = time.Second

// current waits until the registry has taken in what is on disk now, so that a key that was answered to somebody is known.
func (r *registry) current() {
	want := r.durable()
	late := time.NewTimer(mostLag)
	defer late.Stop()
	for {
		r.mu.Lock()
		done, raised := r.seq >= want, r.raised
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-raised:
		case <-late.C:
			return // what it knows will have to do
		}
	}
}

// Authenticate implements natsbus.Keys.
func (r *registry) Authenticate(secret string) (natsbus.Identity, bool) {
	r.current()
	r.mu.Lock()
	defer r.mu.Unlock()
	id, ok := r.secrets[commands.SecretHash(secret)]
	return id, ok
}

// Caller returns whose an API key is. It implements httpapi.Keys.
func (r callers) Caller(secret string) (wire.Who, bool) {
	id, ok := r.Authenticate(secret)
	return wire.Who{Key: id.Key, Role: id.Role, Merchant: id.Merchant}, ok
}

// callers gives the registry to the door for HTTP.
type callers struct{ *registry }

// byID returns a valid key.
func (r *registry) byID(key events.KeyID) (wire.Who, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	hash, ok := r.hashes[key]
	if !ok {
		return wire.Who{}, false
	}
	id := r.secrets[hash]
	return wire.Who{Key: id.Key, Role: id.Role, Merchant: id.Merchant}, true
}

// Caller implements natsdoor.Callers, by the rules of package natsbus: an operator asks from the
// account of the books, where the server names the asker; the others are told by their inboxes, on which nobody else can
// receive, and which of a merchant's keys it was by the subject, on which no other key can publish.
func (r *registry) Caller(m *nats.Msg, merchant events.OrganizationID) (who wire.Who, ok bool) {
	if key, ok := natsbus.Asker(m); ok {
		who, ok = r.byID(key)
		return who, ok && who.Role == events.OperatorKey
	}
	in, ok := natsbus.InboxOf(m.Reply)
	if !ok {
		return who, false
	}
	who = wire.Who{Role: events.MerchantKey, Merchant: in.Merchant}
	if !in.Key.IsZero() {
		if who, ok = r.byID(in.Key); !ok || who.Role == events.OperatorKey {
			return who, false
		}
		who.Key = events.KeyID{} // anybody can name this inbox
	}
	if key, named := natsbus.SubjectKey(m.Subject); named {
		sender, ok := r.byID(key)
		if !ok || sender.Role != who.Role || sender.Merchant != who.Merchant || !in.Key.IsZero() && in.Key != key {
			return who, false
		}
		who = sender
	}
	return who, who.Role == events.AuditorKey || !merchant.IsZero() && who.Merchant == merchant
}
