package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"tallystick/ledger/keyring"
)

// Rotation says how the key that wraps the keys of personal data is changed.
type Rotation struct {
	Dir           string    // of a ledger that nobody has open
	MasterKeyFile string    // default: in the directory
	Given         bool      // no key is made: the first one in the file is the new one
	Rand          io.Reader // nil for crypto/rand
}

// Rotated is what a rotation came to.
type Rotated struct {
	Keys       int    `json:"keys"` // of consumers, all of them wrapped by the new master key
	Tombstones int    `json:"destroyed"`
	File       string `json:"file"` // with the master key
}

// Run wraps all keys by another master key, and reads them back. The log is left alone: nothing in it is sealed under the master key. At
// whatever moment it is cut off, the directory can be opened with the file of master keys that is there, and Run called again. It fails
// with a [*LockedError] while somebody has the directory open.
func (r Rotation) Run(ctx context.Context) (done Rotated, err error) {
	if _, err := prepare(r.Dir, false); err != nil {
		return done, err
	}
	held, err := lock(r.Dir)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	dir := filepath.Join(r.Dir, "keys")
	if done.File = r.MasterKeyFile; done.File == "" {
		done.File = filepath.Join(dir, "master.key")
	}
	keys, err := keyring.Open(dir, keyring.Options{MasterKeyFile: done.File, Rand: r.Rand})
	if err != nil {
		return done, fmt.Errorf("opening the keys: %w", err)
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	change := keys.Rotate
	if r.Given {
		change = keys.RewrapAll
	}
	if err := change(ctx); err != nil {
		return done, fmt.Errorf("changing the master key: %w", err)
	}
	done.Keys, done.Tombstones, err = keys.Check(ctx)
	return done, err
}
