package projections_test

import (
	"fmt"
	"math/bits"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"tallystick/events"
	"tallystick/projections"
)

// TestFrontier compares the root of every number of leaves up to 300 with that of package tlog.
func TestFrontier(t *testing.T) {
	var f projections.Frontier
	var leaves []tlog.Hash
	for n := range 301 {
		if f.Size != uint64(n) || len(f.Hashes) != bits.OnesCount(uint(n)) {
			t.Fatalf("after %d leaves: size %d, %d hashes", n, f.Size, len(f.Hashes))
		}
		if got, want := f.Root(), treeHash(t, leaves); got != want {
			t.Errorf("root of %d leaves is %v, want %v", n, got, want)
		}
		leaf := tlog.RecordHash(fmt.Appendf(nil, "leaf %d", n))
		leaves = append(leaves, leaf)
		f.Append(events.Hash(leaf))
	}
}
