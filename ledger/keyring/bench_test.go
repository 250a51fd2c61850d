package keyring

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
)

// BenchmarkContentHash hashes one command of 150 bytes.
func BenchmarkContentHash(b *testing.B) {
	k := mustOpen(b, vfs.NewMem(), Options{Create: true})
	command := make([]byte, 150)
	b.Run("hasher", func(b *testing.B) {
		h := k.NewHasher()
		b.ReportAllocs()
		for b.Loop() {
			h.Hash(command)
		}
	})
	b.Run("pool", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			k.ContentHash(command)
		}
	})
}

// BenchmarkSeal seals 200 bytes under a key that is held ready.
func BenchmarkSeal(b *testing.B) {
	k := mustOpen(b, vfs.NewMem(), Options{Create: true})
	must(b, k.Create(consumer(1)))
	text := make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Seal(consumer(1), "test", text); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkColdOpen opens a box whose key must be read from the store first.
func BenchmarkColdOpen(b *testing.B) {
	k, err := Open(b.TempDir(), Options{Create: true, CachedKeys: 2})
	must(b, err)
	b.Cleanup(func() { must(b, k.Close()) })
	boxes := make([]events.Sealed, 64)
	for n := range boxes {
		must(b, k.Create(consumer(uint64(n))))
		boxes[n] = mustSeal(b, k, consumer(uint64(n)), "x")
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, err := k.Open(boxes[n%len(boxes)], "test"); err != nil {
			b.Fatal(err)
		}
		n++
	}
}

// BenchmarkOpenMillion opens a keyring of a million consumers.
func BenchmarkOpenMillion(b *testing.B) {
	dir := b.TempDir()
	k, err := Open(dir, Options{Create: true})
	must(b, err)
	var all []events.OrganizationID
	for n := range uint64(1_000_000) {
		all = append(all, consumer(n))
	}
	must(b, k.CreateMany(all))
	must(b, k.Close())
	b.ReportAllocs()
	for b.Loop() {
		k, err := Open(dir, Options{})
		must(b, err)
		must(b, k.Close())
	}
}
