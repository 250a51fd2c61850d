package keyring

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"slices"

	"tallystick/events"
)

// Create makes a key for consumer, and returns when it is on disk. It does nothing
// if there is one. It fails with [ErrErased] if the consumer has a tombstone.
func (k *Keyring) Create(consumer events.OrganizationID) error {
	return k.CreateMany([]events.OrganizationID{consumer})
}

// CreateMany is Create for several consumers with one sync. Those that have a
// tombstone do not keep the others from getting their keys.
func (k *Keyring) CreateMany(consumers []events.OrganizationID) error {
	return k.each(create, live, consumers)
}

// Destroy destroys the key of consumer, if it has one, and leaves a tombstone. When
// it returns nil that is on disk, and what the key sealed cannot be opened by anybody.
func (k *Keyring) Destroy(consumer events.OrganizationID) error {
	return k.DestroyMany([]events.OrganizationID{consumer})
}

// DestroyMany is Destroy for several consumers with one sync.
func (k *Keyring) DestroyMany(consumers []events.OrganizationID) error {
	return k.each(destroy, ended, consumers)
}

// each carries out verb for those consumers that are not as they shall be.
func (k *Keyring) each(v verb, shall state, consumers []events.OrganizationID) error {
	var wishes []*wish
	for _, c := range consumers {
		if c.IsZero() || c == rootConsumer {
			return fmt.Errorf("%w: %q names no consumer", ErrUnknown, c)
		}
		if k.stateOf(c) != shall {
			wishes = append(wishes, &wish{verb: v, consumer: c})
		}
	}
	if len(wishes) == 0 {
		return nil
	}
	return k.carryOut(wishes...)
}

// sealData is what a box is bound to: it opens for its own consumer and purpose only.
func sealData(consumer events.OrganizationID, purpose string) []byte {
	const label = "tallystick sealed\x00"
	b := make([]byte, 0, len(label)+len(consumer)+len(purpose))
	return append(append(append(b, label...), consumer[:]...), purpose...)
}

// Seal encrypts plaintext under the key of consumer. purpose says what it is; the same is
// needed to open it. Seal fails with [ErrErased] or [ErrUnknown] where there is no key.
func (k *Keyring) Seal(consumer events.OrganizationID, purpose string, plaintext []byte) (events.Sealed, error) {
	aead, err := k.aead(consumer)
	if err != nil {
		return events.Sealed{}, err
	}
	box := make([]byte, nonceSize, nonceSize+len(plaintext)+tagSize)
	if _, err := io.ReadFull(k.opts.Rand, box); err != nil {
		return events.Sealed{}, fmt.Errorf("keyring: drawing a nonce: %w", err)
	}
	box = aead.Seal(box, box, plaintext, sealData(consumer, purpose))
	return events.Sealed{Key: consumer, Box: box}, nil
}

// Open returns what was sealed for the same purpose; nothing for the zero Sealed. It
// fails with [ErrErased] where the key was destroyed, with [ErrUnknown] where there
// never was one, and with [ErrCorrupt] where the box is not what Seal returned for it.
//
// Open(Seal(c, p, b), p) is b.
func (k *Keyring) Open(sealed events.Sealed, purpose string) ([]byte, error) {
	if sealed.IsZero() {
		return nil, nil
	}
	aead, err := k.aead(sealed.Key)
	if err != nil {
		return nil, err
	}
	if len(sealed.Box) < nonceSize+tagSize {
		return nil, fmt.Errorf("%w: a box of %d bytes", ErrCorrupt, len(sealed.Box))
	}
	nonce, box := sealed.Box[:nonceSize], sealed.Box[nonceSize:]
	b, err := aead.Open(nil, nonce, box, sealData(sealed.Key, purpose))
	if err != nil {
		return nil, fmt.Errorf("%w: a box of %s does not open as %q", ErrCorrupt, sealed.Key, purpose)
	}
	return b, nil
}

// aead returns the cipher of a consumer's key.
func (k *Keyring) aead(consumer events.OrganizationID) (cipher.AEAD, error) {
	k.mu.Lock()
	a := k.keys.get(consumer)
	k.mu.Unlock()
	if a != nil {
		return a, nil
	}
	key, err := k.load(consumer)
	if err != nil {
		return nil, err
	}
	if consumer == rootConsumer {
		return nil, fmt.Errorf("%w: the root key seals nothing", ErrUnknown)
	}
	return k.ready(consumer, key)
}

// ready makes the cipher of a key that was loaded, and holds it ready for the next time.
func (k *Keyring) ready(consumer events.OrganizationID, key []byte) (cipher.AEAD, error) {
	a := newAEAD(key)
	clear(key)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.index[consumer].ended() { // since it was loaded
		return nil, fmt.Errorf("%w: %s", ErrErased, consumer)
	}
	k.keys.put(consumer, a)
	return a, nil
}

// load reads and unwraps the key of a consumer. A rotation that goes on between the two may leave it without the master key that it
// needs: then it begins again.
func (k *Keyring) load(consumer events.OrganizationID) ([]byte, error) {
	for {
		k.mu.Lock()
		p, ok := k.index[consumer]
		masters, failed := k.masters, k.failed
		k.mu.Unlock()
		if errors.Is(failed, ErrClosed) {
			return nil, ErrClosed
		}
		if !ok {
			return nil, fmt.Errorf("%w: of %s", ErrUnknown, consumer)
		}
		s := slot{state: ended}
		if !p.ended() {
			var err error
			if s, err = k.slots.read(p.slot()); err != nil {
				return nil, err
			}
		}
		if s.state == ended {
			return nil, fmt.Errorf("%w: %s", ErrErased, consumer)
		}
		key, err := unwrap(masters, consumer, s.blob)
		if errors.Is(err, ErrMasterKey) && k.rotated(masters) {
			continue
		}
		return key, err
	}
}

// rotated reports whether the master keys are others than they were.
func (k *Keyring) rotated(before []master) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !slices.EqualFunc(k.masters, before, func(a, b master) bool { return a.id == b.id })
}

// cache holds the ciphers that were used lately, at most limit of them: the young,
// and, until the young are half of limit, the ones before them.
type cache struct {
	limit      int
	young, old map[events.OrganizationID]cipher.AEAD
}

func (c *cache) get(consumer events.OrganizationID) cipher.AEAD {
	if a, ok := c.young[consumer]; ok {
		return a
	}
	a, ok := c.old[consumer]
	if ok {
		c.put(consumer, a)
	}
	return a
}

func (c *cache) put(consumer events.OrganizationID, a cipher.AEAD) {
	if c.young == nil || len(c.young) >= max(c.limit/2, 1) {
		c.young, c.old = make(map[events.OrganizationID]cipher.AEAD), c.young
	}
	c.young[consumer] = a
}

func (c *cache) forget(consumer events.OrganizationID) {
	delete(c.young, consumer)
	delete(c.old, consumer)
}
