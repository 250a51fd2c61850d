package keyring

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tallystick/events"
)

// consumer returns the nth consumer of a test.
func consumer(n uint64) (id events.OrganizationID) {
	id[0] = 1
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

func mustOpen(t testing.TB, fs vfs.FS, opts Options) *Keyring {
	t.Helper()
	opts.FS = fs
	k, err := Open("keys", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, k.Close()) })
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustSeal(t testing.TB, k *Keyring, c events.OrganizationID, text string) events.Sealed {
	t.Helper()
	s, err := k.Seal(c, "test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkOpens fails t unless s opens as text.
func checkOpens(t testing.TB, k *Keyring, s events.Sealed, text string) {
	t.Helper()
	b, err := k.Open(s, "test")
	if err != nil || string(b) != text {
		t.Errorf("Open = %q, %v, want %q", b, err, text)
	}
}

func reopen(t testing.TB, k *Keyring, opts Options) *Keyring {
	t.Helper()
	must(t, k.Close())
	return mustOpen(t, k.opts.FS, opts)
}

func TestSealAndOpen(t *testing.T) {
	k := mustOpen(t, vfs.NewMem(), Options{Create: true})
	must(t, k.CreateMany([]events.OrganizationID{consumer(1), consumer(2)}))
	must(t, k.Create(consumer(1))) // does nothing
	for _, text := range []string{"", "Ada Lovelace", strings.Repeat("x", 100_000)} {
		s := mustSeal(t, k, consumer(1), text)
		if s.Key != consumer(1) || bytes.Contains(s.Box, []byte("Ada")) {
			t.Errorf("Seal(%q) = %v", text, s)
		}
		checkOpens(t, k, s, text)
	}
	if b, err := k.Open(events.Sealed{}, "test"); b != nil || err != nil {
		t.Errorf("Open of nothing = %q, %v", b, err)
	}

	s := mustSeal(t, k, consumer(1), "Ada")
	k = reopen(t, k, Options{})
	checkOpens(t, k, s, "Ada")
	if _, err := k.Open(s, "other"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("for another purpose: %v", err)
	}
	if _, err := k.Open(events.Sealed{Key: consumer(2), Box: s.Box}, "test"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("under another's key: %v", err)
	}
	if _, err := k.Open(events.Sealed{Key: consumer(3), Box: s.Box}, "test"); !errors.Is(err, ErrUnknown) {
		t.Errorf("under no key: %v", err)
	}
	if _, err := k.Seal(consumer(3), "test", nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("Seal under no key: %v", err)
	}
	for i := range s.Box {
		box := bytes.Clone(s.Box)
		box[i] ^= 1
		if _, err := k.Open(events.Sealed{Key: s.Key, Box: box}, "test"); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if _, err := k.Open(events.Sealed{Key: s.Key, Box: s.Box[:i]}, "test"); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut off after %d bytes: %v", i, err)
		}
	}
}

func TestNobodyUsesTheRootKey(t *testing.T) {
	k := mustOpen(t, vfs.NewMem(), Options{Create: true})
	for _, c := range []events.OrganizationID{{}, rootConsumer} {
		if err := k.Create(c); !errors.Is(err, ErrUnknown) {
			t.Errorf("Create(%q): %v", c, err)
		}
		if err := k.Destroy(c); !errors.Is(err, ErrUnknown) {
			t.Errorf("Destroy(%q): %v", c, err)
		}
		if _, err := k.Seal(c, "test", nil); !errors.Is(err, ErrUnknown) {
			t.Errorf("Seal(%q): %v", c, err)
		}
	}
}

// TestDestroy destroys a key and then tries everything that might bring it back.
func TestDestroy(t *testing.T) {
	mem := vfs.NewMem()
	k := mustOpen(t, mem, Options{Create: true})
	must(t, k.Create(consumer(1)))
	must(t, k.Create(consumer(2)))
	gone, kept := mustSeal(t, k, consumer(1), "Ada"), mustSeal(t, k, consumer(2), "Grace")
	mirror := make(map[events.OrganizationID][]byte)
	must(t, k.Each(func(c events.OrganizationID, wrapped []byte) error {
		mirror[c] = wrapped
		return nil
	}))

	must(t, k.Destroy(consumer(1)))
	must(t, k.Destroy(consumer(1))) // does nothing
	must(t, k.Destroy(consumer(9))) // never had a key, and shall not
	for range 2 {
		for _, c := range []events.OrganizationID{consumer(1), consumer(9)} {
			if k.Has(c) || !k.Erased(c) {
				t.Errorf("Has = %v, Erased = %v", k.Has(c), k.Erased(c))
			}
			if err := k.Create(c); !errors.Is(err, ErrErased) {
				t.Errorf("Create: %v", err)
			}
			if _, err := k.Seal(c, "test", nil); !errors.Is(err, ErrErased) {
				t.Errorf("Seal: %v", err)
			}
		}
		if _, err := k.Open(gone, "test"); !errors.Is(err, ErrErased) {
			t.Errorf("Open: %v", err)
		}
		if err := k.Restore(consumer(1), mirror[consumer(1)]); !errors.Is(err, ErrErased) {
			t.Errorf("Restore: %v", err)
		}
		checkOpens(t, k, kept, "Grace")
		k = reopen(t, k, Options{})
	}

	names, err := mem.List("keys")
	must(t, err)
	for _, name := range names {
		b, err := readFile(mem, "keys/"+name)
		must(t, err)
		if box := mirror[consumer(1)][9:]; bytes.Contains(b, box[:8]) || bytes.Contains(b, box[len(box)-8:]) {
			t.Errorf("%s still holds the wrapped key", name)
		}
	}
}

// TestDestroyedWhileLoading destroys a key when a reader holds it already, but has not
// yet put it where readers find it.
func TestDestroyedWhileLoading(t *testing.T) {
	k := mustOpen(t, vfs.NewMem(), Options{Create: true})
	must(t, k.Create(consumer(1)))
	key, err := k.load(consumer(1))
	must(t, err)
	must(t, k.Destroy(consumer(1)))
	if _, err := k.ready(consumer(1), key); !errors.Is(err, ErrErased) || k.keys.get(consumer(1)) != nil {
		t.Errorf("the destroyed key is held ready: %v", err)
	}
}

func TestMasterKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrMissing) {
		t.Errorf("nothing there: %v", err)
	}
	if _, err := Open(dir, Options{Create: true, ReadOnly: true}); !errors.Is(err, ErrMissing) {
		t.Errorf("nothing there, reading only: %v", err)
	}
	k, err := Open(dir, Options{Create: true})
	must(t, err)
	must(t, k.Create(consumer(1)))
	if _, err := Open(dir, Options{}); err == nil {
		t.Error("opened twice at once")
	}
	must(t, k.Close())

	name := filepath.Join(dir, "master.key")
	for _, f := range []string{"master.key", "consumers", "instance"} {
		if info, err := os.Stat(filepath.Join(dir, f)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
	other := filepath.Join(t.TempDir(), "other.key")
	k, err = Open(filepath.Join(t.TempDir(), "x"), Options{Create: true, MasterKeyFile: other})
	must(t, err)
	must(t, k.Close())
	_, err = Open(dir, Options{MasterKeyFile: other})
	if !errors.Is(err, ErrMasterKey) || !strings.Contains(err.Error(), "put the right file back") || !strings.Contains(err.Error(), other) {
		t.Errorf("another ledger's: %v", err)
	}
	good, err := os.ReadFile(name)
	must(t, err)
	must(t, os.WriteFile(name, good[:len(good)-8], 0o600))
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrMasterKey) || !strings.Contains(err.Error(), name) {
		t.Errorf("cut short: %v", err)
	}
	must(t, os.Remove(name))
	if _, err := Open(dir, Options{Create: true}); !errors.Is(err, ErrMasterKey) || !strings.Contains(err.Error(), name) {
		t.Errorf("lost: %v", err)
	}
	must(t, os.WriteFile(name, good, 0o600))
	k, err = Open(dir, Options{ReadOnly: true})
	must(t, err)
	if !k.Has(consumer(1)) {
		t.Error("the key is lost")
	}
	if err := k.Create(consumer(2)); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Create when reading only: %v", err)
	}
	must(t, k.Close())
}

func TestInstanceID(t *testing.T) {
	mem := vfs.NewMem()
	k := mustOpen(t, mem, Options{Create: true})
	id := k.InstanceID()
	if k = reopen(t, k, Options{}); len(id) != 32 || k.InstanceID() != id {
		t.Errorf("InstanceID = %q, then %q", id, k.InstanceID())
	}
	must(t, k.Backup("copy"))
	c, err := Open("copy", Options{FS: mem})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	if c.InstanceID() == id {
		t.Error("the backup has the same instance")
	}
}

// TestSyncs counts: a call with a thousand consumers costs one sync, calls that change nothing
// cost none, and calls at the same time share.
func TestSyncs(t *testing.T) {
	var mu sync.Mutex
	syncs := 0
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSync {
			mu.Lock()
			syncs++
			mu.Unlock()
		}
		return nil
	}))
	k := mustOpen(t, fs, Options{Create: true})
	count := func(fn func()) int {
		before := syncs
		fn()
		return syncs - before
	}
	var all []events.OrganizationID
	for n := range uint64(1000) {
		all = append(all, consumer(n))
	}
	if got := count(func() { must(t, k.CreateMany(all)) }); got != 1 {
		t.Errorf("CreateMany: %d syncs", got)
	}
	if got := count(func() { must(t, k.CreateMany(all)) }); got != 0 {
		t.Errorf("CreateMany again: %d syncs", got)
	}
	k.writer.Lock() // so that calls gather
	var wg sync.WaitGroup
	for n := range uint64(50) {
		wg.Go(func() { must(t, k.Create(consumer(5000+n%25))) })
	}
	gathered := func() int {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.next == nil {
			return 0
		}
		return len(k.next.wishes)
	}
	for gathered() < 50 {
	}
	got := count(func() { k.writer.Unlock(); wg.Wait() })
	if got != 1 {
		t.Errorf("50 calls at once: %d syncs", got)
	}
}

func TestDigests(t *testing.T) {
	k := mustOpen(t, vfs.NewMem(), Options{Create: true})
	email, external, content := k.EmailDigest("ada@example.com"), k.ExternalDigest(consumer(1), "42"), k.ContentHash([]byte("ada@example.com"))
	if email == content || k.ExternalDigest(consumer(2), "42") == external || k.EmailDigest("bob@example.com") == email {
		t.Error("digests of different things are equal")
	}
	mac := hmac.New(sha256.New, k.digests.content)
	mac.Write([]byte("ada@example.com"))
	if want := events.Digest(mac.Sum(nil)[:16]); content != want {
		t.Errorf("ContentHash = %x, want %x", content, want)
	}
	h := k.NewHasher()
	for _, text := range []string{"", "x", "ada@example.com", strings.Repeat("y", 1000)} {
		if a, b := h.Hash([]byte(text)), k.ContentHash([]byte(text)); a != b {
			t.Errorf("Hash(%q) = %x, ContentHash = %x", text, a, b)
		}
	}
	command := make([]byte, 150)
	if n := testing.AllocsPerRun(100, func() { h.Hash(command) }); n != 0 {
		t.Errorf("Hash allocates %v times", n)
	}
	print := k.Fingerprint()
	k = reopen(t, k, Options{})
	if k.EmailDigest("ada@example.com") != email || k.Fingerprint() != print {
		t.Error("digests change with a restart")
	}
	if mustOpen(t, vfs.NewMem(), Options{Create: true}).EmailDigest("ada@example.com") == email {
		t.Error("two keyrings have the same digests")
	}
}

func TestCacheIsBounded(t *testing.T) {
	k := mustOpen(t, vfs.NewMem(), Options{Create: true, CachedKeys: 10})
	boxes := make([]events.Sealed, 100)
	for n := range boxes {
		must(t, k.Create(consumer(uint64(n))))
		boxes[n] = mustSeal(t, k, consumer(uint64(n)), "x")
		checkOpens(t, k, boxes[0], "x") // in use, so it stays
		if held := len(k.keys.young) + len(k.keys.old); held > 10 {
			t.Fatalf("%d keys are held", held)
		}
	}
	if k.keys.get(consumer(0)) == nil {
		t.Error("the key in use is not held")
	}
	for _, b := range boxes {
		checkOpens(t, k, b, "x")
	}
}

// TestConcurrency lets goroutines do everything at once; the race detector watches.
func TestConcurrency(t *testing.T) {
	k := mustOpen(t, vfs.NewMem(), Options{Create: true, CachedKeys: 4})
	const consumers = 20
	var wg sync.WaitGroup
	for g := range uint64(4) {
		wg.Go(func() {
			for n := range uint64(consumers) {
				c := consumer((n + g*5) % consumers)
				if err := k.Create(c); err != nil && !errors.Is(err, ErrErased) {
					t.Error(err)
				}
				s, err := k.Seal(c, "test", []byte("x"))
				if err == nil {
					_, err = k.Open(s, "test")
				}
				if err != nil && !errors.Is(err, ErrErased) {
					t.Error(err)
				}
				k.ContentHash(c[:])
			}
		})
	}
	wg.Go(func() {
		for n := uint64(0); n < consumers; n += 2 {
			must(t, k.Destroy(consumer(n)))
		}
	})
	wg.Go(func() {
		must(t, k.Rotate(t.Context()))
		must(t, k.Rotate(t.Context()))
	})
	wg.Go(func() {
		last := uint64(0)
		for range 20 {
			var err error
			last, err = k.Changes(last, func(Entry) error { return nil })
			must(t, err)
		}
	})
	wg.Wait()
	for range 2 {
		if keys, tombs, err := k.Check(t.Context()); keys != consumers/2 || tombs != consumers/2 || err != nil {
			t.Errorf("Check = %d, %d, %v", keys, tombs, err)
		}
		k = reopen(t, k, Options{})
	}
}

func TestClosed(t *testing.T) {
	k := mustOpen(t, vfs.NewMem(), Options{Create: true})
	must(t, k.Close())
	must(t, k.Close())
	if err := k.Create(consumer(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Create: %v", err)
	}
	if _, err := k.Seal(consumer(1), "test", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Seal: %v", err)
	}
}
