package keyring

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
)

// The files of a keyring.
const (
	masterFile   = "master.key"
	storeFile    = "consumers"
	instanceFile = "instance"
	lockFile     = "LOCK"
)

// rootConsumer stands for the root key among the consumers. No organization has this
// identity, which names a time in the year 6000.
var rootConsumer = events.OrganizationID([]byte("tallystick\x00root\x00"))

// Options say how to open a keyring. The zero value opens one that exists.
type Options struct {
	FS            vfs.FS    // nil for the disk
	Create        bool      // make the keyring if there is none
	ReadOnly      bool      // change nothing, and take no lock
	MasterKeyFile string    // "" for DIR/master.key; made where the keyring is made, if it is not there
	Rand          io.Reader // nil for crypto/rand; any goroutine must be able to read from it
	CachedKeys    int       // how many keys are held ready; 0 for 8192, about 1 KiB each

	// Restoring makes a keyring without a root key, when Create makes one: the root comes
	// by Restore, like the others. Until it has been opened again it has no digests.
	Restoring bool

	// Salvage opens a damaged store: the slots that are damaged are given up, and
	// [Keyring.Salvaged] says how many. Restore then brings them back from a mirror.
	Salvage bool
}

func (o Options) withDefaults(dir string) Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.CachedKeys <= 0 {
		o.CachedKeys = 8192
	}
	if o.MasterKeyFile == "" {
		o.MasterKeyFile = o.FS.PathJoin(dir, masterFile)
	}
	return o
}

// Keyring is an open keyring; the package comment says what it does.
type Keyring struct {
	dir      string
	opts     Options
	lock     io.Closer
	slots    slots
	digests  *digests // nil while Restoring
	instance string
	salvaged int

	rotation sync.Mutex // held by Rotate and RewrapAll
	writer   sync.Mutex // held by whoever writes a group to disk

	mu       sync.Mutex // guards the fields below
	masters  []master   // the first wraps new keys
	index    map[events.OrganizationID]place
	keys     cache
	revision uint64 // of the last change that is on disk
	recent   recent
	changed  chan struct{} // closed at the next change
	next     *group        // of changes, not yet taken to disk
	failed   error         // why no more changes are taken
}

// place is where a consumer's slot is, and whether it holds a tombstone.
type place uint32

func newPlace(n uint64, s state) place {
	p := place(n) << 1
	if s == ended {
		p |= 1
	}
	return p
}

func (p place) slot() uint64 { return uint64(p >> 1) }
func (p place) ended() bool  { return p&1 != 0 }

// Open opens the keyring in dir. The error matches [ErrMissing], [ErrMasterKey] or
// [ErrCorrupt] where one of these is the reason.
func Open(dir string, opts Options) (*Keyring, error) {
	opts = opts.withDefaults(dir)
	k := &Keyring{
		dir:     dir,
		opts:    opts,
		changed: make(chan struct{}),
		keys:    cache{limit: opts.CachedKeys},
	}
	if err := k.open(); err != nil {
		return nil, errors.Join(err, k.release())
	}
	return k, nil
}

func (k *Keyring) open() error {
	fs := k.opts.FS
	store := fs.PathJoin(k.dir, storeFile)
	there, err := exists(fs, store)
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	if !there && (!k.opts.Create || k.opts.ReadOnly) {
		return fmt.Errorf("%w in %s: without its keys a ledger cannot be opened; bring the directory back from a backup, "+
			"or restore the keys from their mirror", ErrMissing, k.dir)
	}
	if !k.opts.ReadOnly {
		if err := fs.MkdirAll(k.dir, 0o700); err != nil {
			return fmt.Errorf("keyring: %w", err)
		}
		if k.lock, err = fs.Lock(fs.PathJoin(k.dir, lockFile)); err != nil {
			return fmt.Errorf("keyring: %s is open in another process: %w", k.dir, err)
		}
	}
	if err := k.openMasters(!there); err != nil {
		return err
	}
	if err := k.openInstance(); err != nil {
		return err
	}
	if !there {
		if err := syncDir(fs, fs.PathDir(k.dir)); err != nil {
			return fmt.Errorf("keyring: %w", err)
		}
		if err := k.create(store); err != nil {
			return fmt.Errorf("keyring: making %s: %w", store, err)
		}
	}
	return k.openStore(store)
}

func exists(fs vfs.FS, name string) (bool, error) {
	_, err := fs.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (k *Keyring) openMasters(may bool) error {
	name := k.opts.MasterKeyFile
	ms, err := readMasters(k.opts.FS, name)
	switch {
	case err == nil:
		k.masters = ms
		return nil
	case !errors.Is(err, os.ErrNotExist):
		return err
	case !may:
		return fmt.Errorf("%w: there is no file %s, and the keys in %s cannot be opened without it: put it back from where you keep its copy",
			ErrMasterKey, name, k.dir)
	}
	m, err := drawMaster(k.opts.Rand)
	if err != nil {
		return err
	}
	k.masters = []master{m}
	if err := writeMasters(k.opts.FS, name, k.masters); err != nil {
		return fmt.Errorf("keyring: writing %s: %w", name, err)
	}
	return nil
}

func (k *Keyring) openInstance() error {
	fs, name := k.opts.FS, k.opts.FS.PathJoin(k.dir, instanceFile)
	b, err := readFile(fs, name)
	if errors.Is(err, os.ErrNotExist) {
		if k.opts.ReadOnly {
			return nil
		}
		var id [16]byte
		if _, err := io.ReadFull(k.opts.Rand, id[:]); err != nil {
			return fmt.Errorf("keyring: drawing an identity: %w", err)
		}
		k.instance = hex.EncodeToString(id[:])
		if err := writeFile(fs, name, []byte(k.instance+"\n")); err != nil {
			return fmt.Errorf("keyring: writing %s: %w", name, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	k.instance = strings.TrimSpace(string(b))
	if id, err := hex.DecodeString(k.instance); err != nil || len(id) != 16 {
		return &CorruptError{name, 0, "it holds no identity of 32 hexadecimal digits"}
	}
	return nil
}

// create makes the store, with the root key in it: so there is no store without.
func (k *Keyring) create(store string) error {
	var content []slot
	if !k.opts.Restoring {
		key := make([]byte, keySize)
		if _, err := io.ReadFull(k.opts.Rand, key); err != nil {
			return err
		}
		s, blob, err := k.masters[0].wrap(k.opts.Rand, rootConsumer, key)
		if err != nil {
			return err
		}
		content = []slot{{revision: 1, consumer: rootConsumer, state: s, blob: blob}}
	}
	return replaceFile(k.opts.FS, store, func(f vfs.File) error { return writeStore(f, content) })
}

func (k *Keyring) openStore(store string) (err error) {
	fs := k.opts.FS
	k.slots.name = store
	if k.opts.ReadOnly {
		k.slots.file, err = fs.Open(store)
	} else {
		k.slots.file, err = fs.OpenReadWrite(store, vfs.WriteCategoryUnspecified)
	}
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	var twice *CorruptError
	found, err := k.slots.open(func(n uint64) {
		k.index = make(map[events.OrganizationID]place, n)
	}, func(n uint64, s slot) {
		k.revision = max(k.revision, s.revision)
		if s.state == void {
			return
		}
		before := len(k.index)
		if k.index[s.consumer] = newPlace(n, s.state); len(k.index) == before {
			twice = &CorruptError{store, offset(n), fmt.Sprintf("%s has two slots", s.consumer)}
		}
	})
	if err != nil {
		return err
	}
	if twice != nil {
		return twice
	}
	k.recent.after = k.revision
	if err := k.mend(found); err != nil {
		return err
	}
	return k.openRoot()
}

// mend makes the store whole, and puts on disk what was read: after a kill that may be in
// memory only.
func (k *Keyring) mend(found survey) error {
	if n := len(found.damaged); n > 0 && !k.opts.Salvage {
		return &CorruptError{k.slots.name, offset(found.damaged[0]), fmt.Sprintf("%d slots are not what was written", n)}
	}
	k.salvaged = len(found.damaged)
	if k.opts.ReadOnly {
		return nil
	}
	var changes []change
	for _, n := range append(found.damaged, found.torn...) {
		changes = append(changes, change{n, slot{state: void}})
	}
	return k.slots.write(changes)
}

// openRoot unwraps the root key: the proof that the master key is the right one.
func (k *Keyring) openRoot() error {
	key, err := k.load(rootConsumer)
	switch {
	case errors.Is(err, ErrUnknown) && (k.opts.Restoring || k.opts.Salvage):
		return nil
	case errors.Is(err, ErrUnknown):
		return fmt.Errorf("%w: %s has no root key: restoring it from a mirror or a backup was not finished: do that again", ErrMissing, k.dir)
	case errors.Is(err, ErrMasterKey):
		return fmt.Errorf("%w; %s holds another one: put the right file back, or name it", err, k.opts.MasterKeyFile)
	case err != nil:
		return err
	}
	k.digests = newDigests(key)
	return nil
}

// Close closes the keyring. Changes under way are finished, later ones are refused
// with [ErrClosed].
func (k *Keyring) Close() error {
	k.writer.Lock()
	defer k.writer.Unlock()
	k.mu.Lock()
	again := k.failed == ErrClosed //nolint:errorlint // the very value, which only Close sets
	failed := k.failed != nil
	k.failed = ErrClosed
	k.mu.Unlock()
	if again {
		return nil
	}
	var err error
	if !k.opts.ReadOnly && !failed {
		err = k.slots.file.Sync() // the last head
	}
	return errors.Join(err, k.release())
}

func (k *Keyring) release() error {
	var err error
	if k.slots.file != nil {
		err = k.slots.file.Close()
	}
	if k.lock != nil {
		err = errors.Join(err, k.lock.Close())
	}
	return err
}

// InstanceID returns the random identity of this directory: 32 hexadecimal digits.
// It is in no mirror and in no backup, so no other directory has it.
func (k *Keyring) InstanceID() string { return k.instance }

// Salvaged returns how many slots were damaged, and given up, when the keyring was
// opened with Options.Salvage.
func (k *Keyring) Salvaged() int { return k.salvaged }

// Has reports whether consumer has a key.
func (k *Keyring) Has(consumer events.OrganizationID) bool {
	return k.stateOf(consumer) == live
}

// Erased reports whether consumer had a key, or was never to have one, and has a tombstone.
func (k *Keyring) Erased(consumer events.OrganizationID) bool {
	return k.stateOf(consumer) == ended
}

func (k *Keyring) stateOf(consumer events.OrganizationID) state {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.index[consumer]
	switch {
	case !ok:
		return none
	case p.ended():
		return ended
	}
	return live
}

// placeOf returns the slot of a consumer that has one.
func (k *Keyring) placeOf(consumer events.OrganizationID) uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.index[consumer].slot()
}
