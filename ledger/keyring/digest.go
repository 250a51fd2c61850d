package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"sync"

	"tallystick/events"
)

// A Hasher computes digests of one sort under the keyring's root key: HMAC-SHA256,
// of which the first 16 bytes count. It allocates nothing. One goroutine at a time may use it.
type Hasher struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

func newHasher(key []byte) *Hasher {
	h := &Hasher{mac: hmac.New(sha256.New, key)}
	h.Hash(nil) // computes what is the same for all messages, once
	return h
}

// Hash returns the digest of b.
func (h *Hasher) Hash(b []byte) events.Digest {
	h.mac.Reset()
	h.mac.Write(b)
	h.mac.Sum(h.sum[:0])
	return events.Digest(h.sum[:len(events.Digest{})])
}

// digests holds the keys of the sorts of digests, each derived from the root key.
type digests struct {
	email, external, content, print, link []byte
	hashers                               sync.Pool // of *Hasher, for content
}

func newDigests(root []byte) *digests {
	derive := func(label string) []byte {
		mac := hmac.New(sha256.New, root)
		mac.Write([]byte("tallystick " + label))
		return mac.Sum(nil)
	}
	d := &digests{
		email:    derive("email digest"),
		external: derive("external digest"),
		content:  derive("content hash"),
		print:    derive("fingerprint"),
		link:     derive("link token"),
	}
	d.hashers.New = func() any { return newHasher(d.content) }
	return d
}

func (k *Keyring) mustDigests() *digests {
	if k.digests == nil {
		panic("keyring: impossible: digests of a keyring whose root key is still to be restored")
	}
	return k.digests
}

// EmailDigest returns the digest by which an e-mail address is looked up. The caller
// normalises the address.
func (k *Keyring) EmailDigest(normalised string) events.Digest {
	return newHasher(k.mustDigests().email).Hash([]byte(normalised))
}

// ExternalDigest returns the digest by which a merchant's own identifier of a
// customer is looked up. It differs from merchant to merchant.
func (k *Keyring) ExternalDigest(merchant events.OrganizationID, id string) events.Digest {
	return newHasher(k.mustDigests().external).Hash(append(merchant[:], id...))
}

// ContentHash returns the hash of a command in canonical form (D8). From many
// goroutines, or for many commands, [Keyring.NewHasher] is a little faster.
func (k *Keyring) ContentHash(canonical []byte) events.Digest {
	d := k.mustDigests()
	h := d.hashers.Get().(*Hasher) // the pool holds nothing else
	sum := h.Hash(canonical)
	d.hashers.Put(h)
	return sum
}

// NewHasher returns a Hasher whose Hash is ContentHash, for one goroutine.
func (k *Keyring) NewHasher() *Hasher { return newHasher(k.mustDigests().content) }

// LinkToken returns the token of a link, which nobody without the root key can make: 43 letters, digits, - and _. It
// depends on the link's purpose and on the identity of what it leads to.
func (k *Keyring) LinkToken(purpose string, id [16]byte) string {
	mac := hmac.New(sha256.New, k.mustDigests().link)
	mac.Write(id[:])
	mac.Write([]byte(purpose))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Fingerprint tells keyrings apart without telling anything of their keys. A ledger that
// is opened with another keyring than the one that it was written with would take
// repeated commands for new ones; comparing fingerprints shows it.
func (k *Keyring) Fingerprint() events.Digest {
	return newHasher(k.mustDigests().print).Hash(nil)
}
