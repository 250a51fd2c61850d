package keyring

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
)

// TestMirror follows a keyring under random changes: after each step the mirror
// holds what Each gives, and a keyring restored from it opens the same boxes.
func TestMirror(t *testing.T) {
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, 0))
	mem := vfs.NewMem()
	k := mustOpen(t, mem, Options{Create: true})
	mirror := make(map[events.OrganizationID][]byte)
	boxes := make(map[events.OrganizationID]events.Sealed)
	last := uint64(0)
	for step := range 300 {
		c := consumer(rng.Uint64N(40))
		switch rng.IntN(10) {
		case 0, 1, 2:
			must(t, k.Destroy(c))
			delete(boxes, c)
		case 3:
			must(t, k.Rotate(t.Context()))
		case 4:
			k = reopen(t, k, Options{})
		default:
			if err := k.Create(c); err == nil {
				boxes[c] = mustSeal(t, k, c, "x")
			} else if !errors.Is(err, ErrErased) {
				t.Fatal(err)
			}
		}
		if rng.IntN(3) > 0 {
			continue
		}
		before := last
		var err error
		last, err = k.Changes(last, func(e Entry) error {
			if e.Revision <= before {
				t.Errorf("step %d of seed %d: revision %d after %d", step, seed, e.Revision, before)
			}
			before, mirror[e.Consumer] = e.Revision, e.Wrapped
			return nil
		})
		must(t, err)
		if last != k.Revision() {
			t.Errorf("step %d of seed %d: Changes until %d, want %d", step, seed, last, k.Revision())
		}
		now := make(map[events.OrganizationID][]byte)
		must(t, k.Each(func(c events.OrganizationID, wrapped []byte) error { now[c] = wrapped; return nil }))
		if !maps.EqualFunc(mirror, now, bytes.Equal) {
			t.Fatalf("step %d of seed %d: the mirror differs", step, seed)
		}
	}

	disk := vfs.NewMem()
	must(t, disk.MkdirAll("keys", 0o700))
	must(t, writeMasters(disk, "keys/master.key", k.masters))
	r := mustOpen(t, disk, Options{Create: true, Restoring: true})
	for c, wrapped := range mirror {
		must(t, r.Restore(c, wrapped))
		must(t, r.Restore(c, wrapped)) // does nothing
	}
	r = reopen(t, r, Options{})
	for c, box := range boxes {
		checkOpens(t, r, box, "x")
		if !r.Has(c) {
			t.Errorf("no key of %s", c)
		}
	}
	for n := range uint64(40) {
		if r.stateOf(consumer(n)) != k.stateOf(consumer(n)) {
			t.Errorf("consumer %d is in state %d, want %d", n, r.stateOf(consumer(n)), k.stateOf(consumer(n)))
		}
	}
	if r.Fingerprint() != k.Fingerprint() {
		t.Error("the digests of the restored keyring differ")
	}
}

func TestRestoreRefuses(t *testing.T) {
	k, other := mustOpen(t, vfs.NewMem(), Options{Create: true}), mustOpen(t, vfs.NewMem(), Options{Create: true})
	wrapped := func(k *Keyring, c events.OrganizationID) []byte {
		must(t, k.Create(c))
		s, err := k.slots.read(k.placeOf(c))
		must(t, err)
		return s.blob
	}
	mine, foreign := wrapped(k, consumer(1)), wrapped(other, consumer(1))
	if err := k.Restore(consumer(2), foreign); !errors.Is(err, ErrMasterKey) {
		t.Errorf("under another master key: %v", err)
	}
	if err := k.Restore(consumer(2), mine); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another's key: %v", err)
	}
	for i := range mine {
		b := bytes.Clone(mine)
		b[i] ^= 1
		if err := k.Restore(consumer(1), b); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrMasterKey) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if err := k.Restore(consumer(1), mine[:i]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut off after %d bytes: %v", i, err)
		}
	}
	_, blob, err := k.masters[0].wrap(k.opts.Rand, consumer(1), make([]byte, keySize))
	must(t, err)
	if err := k.Restore(consumer(1), blob); !errors.Is(err, ErrConflict) {
		t.Errorf("another key of the consumer: %v", err)
	}
	if err := k.Restore(consumer(1), mine); err != nil {
		t.Errorf("the same key: %v", err)
	}
}

// TestManyChanges has more changes than are remembered.
func TestManyChanges(t *testing.T) {
	k := mustOpen(t, vfs.NewMem(), Options{Create: true})
	var all []events.OrganizationID
	for n := range uint64(3*recentChanges + 5) {
		all = append(all, consumer(n))
	}
	must(t, k.CreateMany(all))
	for _, after := range []uint64{0, 1, recentChanges, recentChanges + 1, 2 * recentChanges, 3 * recentChanges, k.Revision()} {
		next := after + 1
		last, err := k.Changes(after, func(e Entry) error {
			if e.Revision != next {
				t.Errorf("after %d: revision %d, want %d", after, e.Revision, next)
			}
			next++
			return nil
		})
		if last != k.Revision() || err != nil || next != last+1 {
			t.Errorf("after %d: until %d (%d), %v", after, last, next, err)
		}
	}
	stop := errors.New("stop")
	last, err := k.Changes(5, func(e Entry) error {
		if e.Revision == 8 {
			return stop
		}
		return nil
	})
	if last != 7 || !errors.Is(err, stop) {
		t.Errorf("stopped: %d, %v", last, err)
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := mustOpen(t, vfs.NewMem(), Options{Create: true})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			must(t, k.Wait(ctx, 0))
			done <- nil
			done <- k.Wait(ctx, 1)
			done <- k.Wait(ctx, 2)
		}()
		must(t, <-done)
		synctest.Wait()
		must(t, k.Create(consumer(1)))
		must(t, <-done)
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Wait: %v", err)
		}
	})
}

func TestBackup(t *testing.T) {
	mem := vfs.NewMem()
	k := mustOpen(t, mem, Options{Create: true})
	must(t, k.Create(consumer(1)))
	must(t, k.Destroy(consumer(2)))
	box := mustSeal(t, k, consumer(1), "x")
	must(t, k.Backup("backups/1"))
	if err := k.Backup("backups/1"); err == nil {
		t.Error("a backup was overwritten")
	}
	must(t, k.Destroy(consumer(1)))
	b, err := Open("backups/1", Options{FS: mem})
	must(t, err)
	checkOpens(t, b, box, "x")
	if !b.Erased(consumer(2)) || b.Fingerprint() != k.Fingerprint() || b.Revision() != 3 {
		t.Errorf("Revision = %d", b.Revision())
	}
	must(t, b.Close())

	// A master key that its owner keeps elsewhere is in no backup.
	o, err := Open("other", Options{FS: mem, Create: true, MasterKeyFile: "safe.key"})
	must(t, err)
	must(t, o.Backup("backups/2"))
	must(t, o.Close())
	if _, err := Open("backups/2", Options{FS: mem}); !errors.Is(err, ErrMasterKey) {
		t.Errorf("a backup without its master key: %v", err)
	}
	o, err = Open("backups/2", Options{FS: mem, MasterKeyFile: "safe.key"})
	must(t, err)
	must(t, o.Close())
}

// TestRewrapAll changes the master key the way of an operator who keeps it elsewhere.
func TestRewrapAll(t *testing.T) {
	mem := vfs.NewMem()
	k := mustOpen(t, mem, Options{Create: true, MasterKeyFile: "safe.key"})
	must(t, k.Create(consumer(1)))
	box, old := mustSeal(t, k, consumer(1), "x"), k.masters[0]
	next, err := drawMaster(k.opts.Rand)
	must(t, err)
	must(t, writeMasters(mem, "safe.key", []master{next, old}))
	k = reopen(t, k, Options{MasterKeyFile: "safe.key"})
	must(t, k.RewrapAll(t.Context()))
	must(t, writeMasters(mem, "safe.key", []master{next}))
	k = reopen(t, k, Options{MasterKeyFile: "safe.key"})
	checkOpens(t, k, box, "x")
}
