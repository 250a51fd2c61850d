package keyring

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"tallystick/events"
)

// Entry is what a mirror keeps of one consumer: the wrapped key, or the wrapped
// tombstone, which must take the key's place so that the mirror does not keep it.
type Entry struct {
	Revision uint64 // of the change that made it so
	Consumer events.OrganizationID
	Wrapped  []byte // opaque; no use without the master key
}

// Revision returns the number of the last change. Changes count 1, 2, 3… and are kept
// over restarts.
func (k *Keyring) Revision() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.revision
}

// Wait returns nil once there is a change after the given revision, or why ctx is done.
func (k *Keyring) Wait(ctx context.Context, after uint64) error {
	for {
		k.mu.Lock()
		revision, changed := k.revision, k.changed
		k.mu.Unlock()
		if revision > after {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Changes calls fn for every consumer that has changed after the given revision, in
// the order of the changes, once with what it has now. It returns the revision to
// go on from. An error of fn ends it; then the revision is that of the last entry
// that fn took.
//
// A mirror keeps the revision beside the entries, and repeats Wait and Changes. From
// revision 0, Changes gives everything there is.
func (k *Keyring) Changes(after uint64, fn func(Entry) error) (uint64, error) {
	k.mu.Lock()
	until := k.revision
	todo, ok := k.recent.since(after)
	k.mu.Unlock()
	if !ok {
		var err error
		if todo, err = k.search(after, until); err != nil {
			return after, err
		}
	}
	for _, c := range todo {
		s, err := k.slots.read(c.slot)
		if err != nil {
			return after, err
		}
		if s.revision != c.revision { // changed again: it is further on in the list, or after it
			continue
		}
		if err := fn(Entry{s.revision, s.consumer, s.blob}); err != nil {
			return after, err
		}
		after = s.revision
	}
	return max(after, until), nil
}

// search reads all slots for those that changed after one revision, until another.
func (k *Keyring) search(after, until uint64) ([]revised, error) {
	k.mu.Lock()
	n := uint64(0)
	for _, p := range k.index {
		n = max(n, p.slot()+1)
	}
	k.mu.Unlock()
	var found []revised
	err := k.slots.scan(n, func(n uint64, b []byte) error {
		s, ok := readSlot(b)
		if !ok {
			return &CorruptError{k.slots.name, offset(n), "the checksum of a slot is wrong"}
		}
		if s.state != void && s.revision > after && s.revision <= until {
			found = append(found, revised{s.revision, n})
		}
		return nil
	})
	slices.SortFunc(found, func(a, b revised) int { return cmp.Compare(a.revision, b.revision) })
	return found, err
}

// Each calls fn for every consumer that has a key or a tombstone, and for the root
// key, in the order of their last changes. An error of fn ends it.
func (k *Keyring) Each(fn func(consumer events.OrganizationID, wrapped []byte) error) error {
	_, err := k.Changes(0, func(e Entry) error { return fn(e.Consumer, e.Wrapped) })
	return err
}

// Restore puts what a mirror kept, and returns when it is on disk. A key that is there
// already is left as it is. A tombstone destroys the key that is there. It fails with
// [ErrErased] for a key that was destroyed here, of which the mirror should be told; with
// [ErrConflict] if there is another key; with [ErrMasterKey] or [ErrCorrupt] if wrapped does
// not open.
func (k *Keyring) Restore(consumer events.OrganizationID, wrapped []byte) error {
	return k.RestoreMany([]Entry{{Consumer: consumer, Wrapped: wrapped}})
}

// RestoreMany is Restore for several consumers with one sync. Those that fail do not
// keep the others from being restored; the error joins theirs.
func (k *Keyring) RestoreMany(entries []Entry) error {
	k.mu.Lock()
	masters := k.masters
	k.mu.Unlock()
	var errs []error
	var wishes []*wish
	for _, e := range entries {
		key, err := unwrap(masters, e.Consumer, e.Wrapped)
		switch {
		case err != nil:
			errs = append(errs, err)
		case key == nil:
			wishes = append(wishes, &wish{verb: destroy, consumer: e.Consumer})
		default:
			wishes = append(wishes, &wish{verb: restore, consumer: e.Consumer, key: key})
		}
	}
	if len(wishes) > 0 {
		errs = append(errs, k.carryOut(wishes...))
	}
	return errors.Join(errs...)
}

// revised says which slot a revision made.
type revised struct {
	revision uint64
	slot     uint64
}

// recent remembers the last changes, so that a mirror that keeps up costs no search.
type recent struct {
	after uint64 // every change after this revision is in list
	list  []revised
}

const recentChanges = 4096

func (r *recent) add(revision, slot uint64) {
	if len(r.list) >= 2*recentChanges {
		r.after = r.list[recentChanges-1].revision
		r.list = append(r.list[:0:0], r.list[recentChanges:]...)
	}
	r.list = append(r.list, revised{revision, slot})
}

// since returns the changes after a revision, and whether it remembers them all.
func (r *recent) since(after uint64) ([]revised, bool) {
	if after < r.after {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(r.list, after+1, func(c revised, want uint64) int {
		return cmp.Compare(c.revision, want)
	})
	return slices.Clone(r.list[i:]), true
}
