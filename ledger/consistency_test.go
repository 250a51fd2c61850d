package ledger_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"tallystick/events"
	"tallystick/ledger"
)

// grown is a log with a checkpoint after each group of records.
type grown struct {
	log   *ledger.Log
	kept  []ledger.Checkpoint
	maker *maker
}

// grow appends groups of records. Those of seed 1 are a function of their number, but for those from the record forged on.
func grow(t *testing.T, signer *ledger.Signer, groups []int, forged int) (h *grown) {
	t.Helper()
	h = &grown{log: open(t, "log", vfs.NewMem()), maker: newMaker(1, 3)}
	for i, n := range groups {
		if i == forged {
			h.maker.head.RecordedAt++ // another record in the same place
		}
		appendDurably(t, h.log, h.maker.group(t, n))
		c, err := h.log.Sign(signer)
		must(t, err)
		h.kept = append(h.kept, c)
	}
	return h
}

func newSigner(t *testing.T, id events.LedgerID) (*ledger.Signer, note.Verifiers) {
	t.Helper()
	signer, err := ledger.OpenSigner(t.TempDir(), id, rand.Reader)
	must(t, err)
	keys, err := signer.Keys()
	must(t, err)
	return signer, keys
}

// TestConsistency proves each later checkpoint to who has kept each earlier one, with nothing but the key.
func TestConsistency(t *testing.T) {
	signer, keys := newSigner(t, newMaker(1, 3).head.Ledger)
	h := grow(t, signer, []int{1, 1, 1, 1, 3, 1, 8, 1, 15, 33, 1, 191, 256}, -1)
	for i, first := range h.kept {
		for _, second := range h.kept[i:] {
			p, err := h.log.ProveConsistency(first, second)
			must(t, err)
			b, err := json.Marshal(p)
			must(t, err)
			if !ledger.IsConsistency(b) {
				t.Fatalf("%s does not say what it is", b)
			}
			one, two, err := ledger.CheckConsistency(b, keys)
			if err != nil || one.Size != first.Size || two.Root != second.Root {
				t.Fatalf("%d in %d: %v: %v and %v", first.Size, second.Size, err, one, two)
			}
		}
	}
}

// TestHistories holds that a ledger which was made again with one record changed, and signed with the same key, is found out by who has kept a
// checkpoint from after that record, and by nobody who has not.
func TestHistories(t *testing.T) {
	signer, keys := newSigner(t, newMaker(1, 3).head.Ledger)
	groups := []int{5, 9, 40, 100}
	truth, lie := grow(t, signer, groups, -1), grow(t, signer, groups, 2)
	now := lie.kept[len(lie.kept)-1]
	for i, kept := range truth.kept {
		_, err := lie.log.ProveConsistency(kept, now)
		history, found := errors.AsType[*ledger.HistoryError](err)
		if i < 2 && err != nil || i >= 2 && (!found || history.Root == kept.Root) {
			t.Errorf("a checkpoint of %d records: %v", kept.Size, err)
		}
		if i < 2 {
			continue
		}
		// Nor is there a proof that can be made by hand: with the path that fits the sizes,
		p, err := lie.log.ProveConsistency(lie.kept[i], now)
		must(t, err)
		p.First = string(kept.Note)
		b, err := json.Marshal(p)
		must(t, err)
		if _, _, err := ledger.CheckConsistency(b, keys); err == nil {
			t.Errorf("%d records of the truth are found in the lie", kept.Size)
		}
	}
	longer := truth.kept[3]
	longer.Size++
	if _, err := truth.log.ProveConsistency(longer, truth.kept[3]); err == nil || !strings.Contains(err.Error(), "the ledger only 154") {
		t.Errorf("more records than there are: %v", err)
	}
	other := truth.kept[0]
	other.Ledger[0] ^= 1
	if _, err := truth.log.ProveConsistency(other, truth.kept[3]); err == nil || !strings.Contains(err.Error(), "is of ledger") {
		t.Errorf("another ledger: %v", err)
	}
}

// TestCheckConsistencyRefuses changes a proof in every way that would let somebody claim that nothing has changed.
func TestCheckConsistencyRefuses(t *testing.T) {
	signer, keys := newSigner(t, newMaker(1, 3).head.Ledger)
	h := grow(t, signer, []int{5, 9, 40}, -1)
	_, strangers := newSigner(t, newMaker(1, 3).head.Ledger)
	proof := func(change func(*ledger.Consistency)) []byte {
		p, err := h.log.ProveConsistency(h.kept[1], h.kept[2])
		must(t, err)
		change(p)
		b, err := json.Marshal(p)
		must(t, err)
		return b
	}
	good := string(proof(func(*ledger.Consistency) {}))
	for what, b := range map[string][]byte{
		"another format":       proof(func(p *ledger.Consistency) { p.Format = "tallystick-proof/1" }),
		"the first unsigned":   proof(func(p *ledger.Consistency) { p.First, _, _ = strings.Cut(p.First, "—") }),
		"the second unsigned":  proof(func(p *ledger.Consistency) { p.Second, _, _ = strings.Cut(p.Second, "—") }),
		"the other way round":  proof(func(p *ledger.Consistency) { p.First, p.Second = p.Second, p.First }),
		"an earlier first":     proof(func(p *ledger.Consistency) { p.First = string(h.kept[0].Note) }),
		"the same twice":       proof(func(p *ledger.Consistency) { p.First = p.Second }),
		"a hash":               proof(func(p *ledger.Consistency) { p.Path[0][0] ^= 1 }),
		"a hash less":          proof(func(p *ledger.Consistency) { p.Path = p.Path[1:] }),
		"a hash more":          proof(func(p *ledger.Consistency) { p.Path = append(p.Path, p.Path[0]) }),
		"no path":              proof(func(p *ledger.Consistency) { p.Path = nil }),
		"something behind it":  []byte(good + "{}"),
		"a member more":        []byte(strings.Replace(good, `"format"`, `"more":1,"format"`, 1)),
		"cut short":            []byte(good[:len(good)-1]),
		"nothing":              nil,
		"a proof of something": []byte(`{"format":"tallystick-proof/1"}`),
	} {
		if _, _, err := ledger.CheckConsistency(b, keys); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	if _, _, err := ledger.CheckConsistency([]byte(good), strangers); err == nil {
		t.Error("it was accepted with another key")
	}
	if _, _, err := ledger.CheckConsistency([]byte(good), nil); err == nil {
		t.Error("it was accepted without a key")
	}
}
