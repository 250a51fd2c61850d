package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tallystick/events"
)

// pullPlug runs fn again and again on the disk that prepare left, and pulls the plug at the first
// write, then at the second, and so on, and last when all is written. fn may ask
// whether the plug is still in. check gets what is left on the disk.
func pullPlug(t *testing.T, prepare func(vfs.FS), fn func(fs vfs.FS, in func() bool), check func(crash string, disk *vfs.MemFS)) {
	t.Helper()
	for k, done := int32(1), false; !done; k++ {
		mem := vfs.NewCrashableMem()
		var disk *vfs.MemFS
		pull := sync.OnceFunc(func() {
			disk = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(1, uint64(k)))})
		})
		var writes atomic.Int32 // left until the crash
		writes.Store(math.MaxInt32)
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && writes.Add(-1) == 0 {
				pull()
			}
			return nil
		}))
		prepare(fs)
		writes.Store(k)
		fn(fs, func() bool { return writes.Load() > 0 })
		done = writes.Load() > 0
		pull()
		check(fmt.Sprintf("crash at write %d", k), disk)
	}
}

// TestCrash makes and destroys keys, and pulls the plug at every write: what was
// acknowledged stands afterwards, and the store opens without help.
func TestCrash(t *testing.T) {
	var acked map[events.OrganizationID]state
	var boxes map[events.OrganizationID]events.Sealed
	pullPlug(t, func(vfs.FS) {
		acked, boxes = make(map[events.OrganizationID]state), make(map[events.OrganizationID]events.Sealed)
	}, func(fs vfs.FS, in func() bool) {
		k := mustOpen(t, fs, Options{Create: true})
		for n := uint64(0); n < 120 && in(); n += 30 { // more than a block
			var many []events.OrganizationID
			for i := range uint64(30) {
				many = append(many, consumer(n+i))
			}
			must(t, k.CreateMany(many))
			for _, c := range many {
				if in() {
					acked[c], boxes[c] = live, mustSeal(t, k, c, "x")
				}
			}
			if delete(acked, consumer(n/2)); in() { // neither the one nor the other until it is acknowledged
				must(t, k.Destroy(consumer(n/2)))
				if in() {
					acked[consumer(n/2)] = ended
				}
			}
		}
		must(t, k.Close())
	}, func(crash string, disk *vfs.MemFS) {
		k, err := Open("keys", Options{FS: disk, Create: true})
		if err != nil {
			t.Fatalf("%s: %v", crash, err)
		}
		for c, want := range acked {
			if got := k.stateOf(c); got != want {
				t.Errorf("%s: %s is in state %d, want %d", crash, c, got, want)
			}
			if want == live {
				checkOpens(t, k, boxes[c], "x")
			}
		}
		must(t, k.Create(consumer(1000)))
		if _, _, err := k.Check(t.Context()); err != nil {
			t.Errorf("%s: %v", crash, err)
		}
		k = reopen(t, k, Options{})
		if !k.Has(consumer(1000)) {
			t.Errorf("%s: the key made afterwards is lost", crash)
		}
		must(t, k.Close())
	})
}

// TestCrashInRotation pulls the plug at every write of a change of the master key.
func TestCrashInRotation(t *testing.T) {
	var boxes []events.Sealed
	pullPlug(t, func(fs vfs.FS) {
		boxes = nil
		k := mustOpen(t, fs, Options{Create: true})
		for n := range uint64(40) {
			must(t, k.Create(consumer(n)))
			boxes = append(boxes, mustSeal(t, k, consumer(n), "x"))
		}
		must(t, k.Destroy(consumer(0)))
		must(t, k.Close())
	}, func(fs vfs.FS, _ func() bool) {
		k := mustOpen(t, fs, Options{})
		must(t, k.Rotate(t.Context()))
		must(t, k.Close())
	}, func(crash string, disk *vfs.MemFS) {
		k, err := Open("keys", Options{FS: disk})
		if err != nil {
			t.Fatalf("%s: %v", crash, err)
		}
		must(t, k.Rotate(t.Context()))
		k = reopen(t, k, Options{})
		if len(k.masters) != 1 {
			t.Errorf("%s: %d master keys after another rotation", crash, len(k.masters))
		}
		for _, b := range boxes[1:] {
			checkOpens(t, k, b, "x")
		}
		if keys, tombs, err := k.Check(t.Context()); keys != 39 || tombs != 1 || err != nil {
			t.Errorf("%s: Check = %d, %d, %v", crash, keys, tombs, err)
		}
		must(t, k.Close())
	})
}

// TestKill leaves a keyring as a killed process does, and then cuts the power: what a new
// process has found there, and says to be there, must be on disk.
func TestKill(t *testing.T) {
	mem := vfs.NewCrashableMem()
	k := mustOpen(t, mem, Options{Create: true})
	_, err := k.slots.file.WriteAt((&slot{revision: 2, consumer: consumer(7), state: ended, blob: []byte{2}}).append(nil), offset(1))
	must(t, err)                    // as if killed before the sync
	must(t, k.lock.Close())         // as a killed process does
	k = mustOpen(t, mem, Options{}) // a new one
	if err := k.Destroy(consumer(7)); err != nil || !k.Erased(consumer(7)) {
		t.Fatalf("Destroy: %v", err)
	}
	disk := mem.CrashClone(vfs.CrashCloneCfg{})
	if k := mustOpen(t, disk, Options{}); !k.Erased(consumer(7)) {
		t.Error("what Destroy said to be done is lost")
	}
}

// TestFailedWrite holds that after a write that failed nothing is taken any more, and that what was
// acknowledged before stands.
func TestFailedWrite(t *testing.T) {
	var broken atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileWriteAt) {
			return syscall.ENOSPC
		}
		return nil
	}))
	k := mustOpen(t, fs, Options{Create: true})
	must(t, k.Create(consumer(1)))
	box := mustSeal(t, k, consumer(1), "x")
	broken.Store(true)
	if err := k.Create(consumer(2)); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Create on a full disk: %v", err)
	}
	broken.Store(false)
	if err := k.Create(consumer(3)); !errors.Is(err, ErrFailed) {
		t.Errorf("Create afterwards: %v", err)
	}
	if k.Has(consumer(2)) || k.Has(consumer(3)) {
		t.Error("a key is there that is not known to be on disk")
	}
	checkOpens(t, k, box, "x")
	k = reopen(t, k, Options{})
	checkOpens(t, k, box, "x")
	must(t, k.Create(consumer(3)))
}

// TestFlip changes every single byte of a closed store, and cuts it short: Open says so, or everything is there.
func TestFlip(t *testing.T) {
	mem := vfs.NewMem()
	k := mustOpen(t, mem, Options{Create: true})
	must(t, k.CreateMany([]events.OrganizationID{consumer(1), consumer(2)}))
	must(t, k.Destroy(consumer(2)))
	box := mustSeal(t, k, consumer(1), "x")
	must(t, k.Close())
	good, err := readFile(mem, "keys/consumers")
	must(t, err)

	try := func(what string, b []byte, slots bool) {
		must(t, writeFile(mem, "keys/consumers", b))
		k, err := Open("keys", Options{FS: mem, ReadOnly: true})
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: %v", what, err)
			}
			return
		}
		if slots {
			t.Errorf("%s: not noticed", what)
		}
		checkOpens(t, k, box, "x")
		if !k.Erased(consumer(2)) {
			t.Errorf("%s: the tombstone is gone", what)
		}
		must(t, k.Close())
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		try(fmt.Sprintf("byte %d", i), b, i >= headSize)
	}
	for n := 0; n < len(good); n++ {
		if n%headSize > 100 && n < headSize-100 {
			n += 50 // most of the head is empty
		}
		try(fmt.Sprintf("cut at %d", n), good[:n], true)
	}
}

// TestSalvage gives up a damaged slot, and brings its key back from a mirror.
func TestSalvage(t *testing.T) {
	mem := vfs.NewMem()
	k := mustOpen(t, mem, Options{Create: true})
	must(t, k.CreateMany([]events.OrganizationID{consumer(1), consumer(2), consumer(3)}))
	box, other := mustSeal(t, k, consumer(2), "x"), mustSeal(t, k, consumer(3), "y")
	var mirror []Entry
	_, err := k.Changes(0, func(e Entry) error { mirror = append(mirror, e); return nil })
	must(t, err)
	must(t, k.Close())
	b, err := readFile(mem, "keys/consumers")
	must(t, err)
	b[offset(2)+50] ^= 1
	must(t, writeFile(mem, "keys/consumers", b))

	_, err = Open("keys", Options{FS: mem})
	var where *CorruptError
	if !errors.As(err, &where) || where.Offset != offset(2) || where.File != "keys/consumers" {
		t.Fatalf("Open: %v", err)
	}
	k = mustOpen(t, mem, Options{Salvage: true})
	if k.Salvaged() != 1 || k.Has(consumer(2)) {
		t.Errorf("Salvaged = %d", k.Salvaged())
	}
	checkOpens(t, k, other, "y")
	must(t, k.RestoreMany(mirror))
	checkOpens(t, k, box, "x")
	k = reopen(t, k, Options{})
	checkOpens(t, k, box, "x")
	if keys, tombs, err := k.Check(t.Context()); keys != 3 || tombs != 0 || err != nil {
		t.Errorf("Check = %d, %d, %v", keys, tombs, err)
	}
}
