package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
)

// Rotate makes a new master key, wraps every key by it, and then forgets the old one.
// At whatever moment it is cut off, the keyring can be opened, and Rotate called again.
// A mirror holds keys under the old master key until it has followed.
func (k *Keyring) Rotate(ctx context.Context) error {
	k.rotation.Lock()
	defer k.rotation.Unlock()
	if k.opts.ReadOnly {
		return ErrReadOnly
	}
	next, err := drawMaster(k.opts.Rand)
	if err != nil {
		return err
	}
	k.mu.Lock()
	ms := append([]master{next}, k.masters...)
	k.mu.Unlock()
	if err := k.setMasters(ms); err != nil {
		return err
	}
	if err := k.rewrapAll(ctx); err != nil {
		return err
	}
	return k.setMasters(ms[:1:1])
}

// setMasters writes the file of master keys, and goes by it from then on.
func (k *Keyring) setMasters(ms []master) error {
	k.writer.Lock() // no group is between choosing its master key and being visible
	defer k.writer.Unlock()
	if err := writeMasters(k.opts.FS, k.opts.MasterKeyFile, ms); err != nil {
		return fmt.Errorf("keyring: writing %s: %w", k.opts.MasterKeyFile, err)
	}
	k.mu.Lock()
	k.masters = ms
	k.mu.Unlock()
	return nil
}

// RewrapAll wraps every key by the first of the master keys in the file. It is for
// an operator who keeps that file elsewhere and wants to change the key: put the new one above
// the old one, open, RewrapAll, and take the old one out.
func (k *Keyring) RewrapAll(ctx context.Context) error {
	k.rotation.Lock()
	defer k.rotation.Unlock()
	return k.rewrapAll(ctx)
}

func (k *Keyring) rewrapAll(ctx context.Context) error {
	k.mu.Lock()
	all := make([]*wish, 0, len(k.index))
	for c := range k.index { // the order does not matter
		all = append(all, &wish{verb: rewrap, consumer: c})
	}
	k.mu.Unlock()
	const chunk = 1024 // so that others can get a word in
	for len(all) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(chunk, len(all))
		if err := k.carryOut(all[:n]...); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// Check reads everything back and unwraps every key. It returns how many keys and
// tombstones there are, and all that is wrong with them.
func (k *Keyring) Check(ctx context.Context) (keys, tombstones int, err error) {
	var errs []error
	err = k.Each(func(consumer events.OrganizationID, wrapped []byte) error {
		k.mu.Lock()
		masters := k.masters
		k.mu.Unlock()
		key, err := unwrap(masters, consumer, wrapped)
		switch {
		case err != nil:
			errs = append(errs, err)
		case key == nil:
			tombstones++
		case consumer != rootConsumer:
			keys++
		}
		return ctx.Err()
	})
	return keys, tombstones, errors.Join(append(errs, err)...)
}

// Backup writes a copy of the keyring to dir, which must not hold one. The master key is
// copied too if it lies in the keyring's own directory; otherwise its owner keeps
// it. The copy gets an instance identity of its own when it is opened.
//
// A key that is destroyed while Backup runs may or may not be in the copy.
func (k *Keyring) Backup(dir string) error {
	k.rotation.Lock() // else the copies of the keys and of the master key might not fit
	defer k.rotation.Unlock()
	fs := k.opts.FS
	store := fs.PathJoin(dir, storeFile)
	there, err := exists(fs, store)
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	if there {
		return fmt.Errorf("keyring: %s is there already", store)
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	var content []slot
	if _, err := k.Changes(0, func(e Entry) error {
		content = append(content, slot{e.Revision, 0, e.Consumer, state(e.Wrapped[0]), e.Wrapped})
		return nil
	}); err != nil {
		return err
	}
	if err := replaceFile(fs, store, func(f vfs.File) error { return writeStore(f, content) }); err != nil {
		return fmt.Errorf("keyring: writing %s: %w", store, err)
	}
	if k.opts.MasterKeyFile != fs.PathJoin(k.dir, masterFile) {
		return nil
	}
	k.mu.Lock()
	masters := k.masters
	k.mu.Unlock()
	if err := writeMasters(fs, fs.PathJoin(dir, masterFile), masters); err != nil {
		return fmt.Errorf("keyring: writing %s: %w", dir, err)
	}
	return nil
}
