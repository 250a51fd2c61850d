package ledger_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"tallystick/events"
	"tallystick/ledger"
)

// treeHash is the definition of RFC 6962, section 2.1.
func treeHash(leaves []events.Record) events.Hash {
	if len(leaves) == 1 {
		return sha256.Sum256(append([]byte{0}, leaves[0].Bytes...))
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	left, right := treeHash(leaves[:k]), treeHash(leaves[k:])
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

// TestTree compares roots and proofs with the definition: at all sizes around the borders of tiles, and at
// a few beyond, the last with a node of the second level.
func TestTree(t *testing.T) {
	log := open(t, "log", vfs.NewMem())
	m := newMaker(1, 1)
	var all []events.Record
	for range 17 {
		g := m.group(t, 4000)
		all = append(all, g...)
		appendDurably(t, log, g)
	}
	sizes := []events.Seq{1, 2, 3, 4, 5, 127, 128, 129, 255, 256, 257, 300, 511, 512, 513, 767, 1000, 65535, 65536, 65537, 66000, 68000}
	roots := make(map[events.Seq]tlog.Hash)
	for _, size := range sizes {
		root, err := log.Root(size)
		must(t, err)
		if want := treeHash(all[:size]); root != want {
			t.Fatalf("root of %d is %v, want %v", size, root, want)
		}
		roots[size] = tlog.Hash(root)
		for _, seq := range sizes {
			if seq > size {
				if _, err := log.ProveRecord(seq, size); !errors.Is(err, ledger.ErrNoRecord) {
					t.Fatalf("record %d in %d: %v", seq, size, err)
				}
				continue
			}
			proof, err := log.ProveRecord(seq, size)
			must(t, err)
			must(t, tlog.CheckRecord(proof, int64(size), roots[size], int64(seq-1), tlog.Hash(all[seq-1].Hash)))
			tree, err := log.ProveTree(size, seq)
			must(t, err)
			must(t, tlog.CheckTree(tree, int64(size), roots[size], int64(seq), roots[seq]))
		}
	}
	if report := check(t, log); report.Root != events.Hash(roots[68000]) || report.Nodes != 68000/256+1 {
		t.Errorf("%+v", report)
	}
	must(t, log.Close())
}

// TestCheckKeys changes every single byte of the keys of checkpoints: it is noticed, and the file is named.
func TestCheckKeys(t *testing.T) {
	dir := t.TempDir()
	of := newMaker(1, 0).head.Ledger
	if private, public, err := ledger.CheckKeys(dir, of); private != 0 || public != 0 || err != nil {
		t.Errorf("no keys: %d, %d, %v", private, public, err)
	}
	signer, err := ledger.OpenSigner(dir, of, rand.Reader)
	must(t, err)
	must(t, signer.Rotate())
	must(t, signer.Rotate())
	if private, public, err := ledger.CheckKeys(dir, of); private != 2 || public != 3 || err != nil {
		t.Errorf("good keys: %d, %d, %v", private, public, err)
	}
	other := of
	other[0]++
	if _, _, err := ledger.CheckKeys(dir, other); err == nil {
		t.Error("keys of another ledger pass")
	}
	for _, name := range []string{"checkpoint.key", "checkpoint.pub"} {
		path := filepath.Join(dir, name)
		good, err := os.ReadFile(path)
		must(t, err)
		for i := range good {
			for bit := range 5 { // of hexadecimal digits a higher one is small or capital
				if good[i] == '\n' {
					continue // any white space ends a line as well
				}
				b := bytes.Clone(good)
				b[i] ^= 1 << bit
				must(t, os.WriteFile(path, b, 0o600))
				if _, _, err := ledger.CheckKeys(dir, of); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("%s: byte %d, bit %d: %v", name, i, bit, err)
				}
			}
		}
		must(t, os.WriteFile(path, good, 0o600))
	}
}

// TestCheckpoints signs and stores checkpoints, with a key that is rotated in between, and finds them again.
func TestCheckpoints(t *testing.T) {
	fs := vfs.NewMem()
	log := open(t, "log", fs)
	m := newMaker(1, 1)
	dir := filepath.Join(t.TempDir(), "keys")
	signer, err := ledger.OpenSigner(dir, m.head.Ledger, rand.Reader)
	must(t, err)
	if _, err := log.Sign(signer); !errors.Is(err, ledger.ErrNoRecord) {
		t.Fatalf("empty: %v", err)
	}
	if _, ok, err := log.LatestCheckpoint(); ok || err != nil {
		t.Fatalf("empty: %v %v", ok, err)
	}
	var made []ledger.Checkpoint
	for i := range 4 {
		appendDurably(t, log, m.group(t, 100))
		c, err := log.Sign(signer)
		must(t, err)
		must(t, log.StoreCheckpoint(c))
		must(t, log.StoreCheckpoint(c)) // again, which changes nothing
		made = append(made, c)
		if i%2 == 0 {
			must(t, signer.Rotate())
		}
	}
	wrong := made[0]
	wrong.Root[0]++
	if log.StoreCheckpoint(wrong) == nil {
		t.Error("a checkpoint with a wrong root was stored")
	}
	other := made[0]
	other.Ledger[0]++
	if log.StoreCheckpoint(other) == nil {
		t.Error("a checkpoint of another ledger was stored")
	}

	signer, err = ledger.OpenSigner(dir, m.head.Ledger, rand.Reader)
	must(t, err)
	keys, err := signer.Keys()
	must(t, err)
	must(t, log.Close())
	log, err = ledger.Open("log", ledger.Options{FS: fs, Keys: keys})
	must(t, err)
	var found []ledger.Checkpoint
	for c, err := range log.Checkpoints(200) {
		must(t, err)
		found = append(found, c)
	}
	if len(found) != 3 || found[0].Size != 200 || string(found[2].Note) != string(made[3].Note) {
		t.Errorf("found %v", found)
	}
	latest, ok, err := log.LatestCheckpoint()
	if err != nil || !ok || latest.Root != made[3].Root {
		t.Errorf("latest %v, %v, %v", latest, ok, err)
	}
	if report := check(t, log); report.Checkpoints != 4 || report.Signed != 4 {
		t.Errorf("%+v", report)
	}
	must(t, log.Close())
	rotated(t, dir, made)
}

// rotated checks which keys verify which checkpoints: those made with a key, and those made
// before the rotation after the next.
func rotated(t *testing.T, dir string, made []ledger.Checkpoint) {
	public, err := ledger.ReadKeys(dir)
	must(t, err)
	if len(public) != 3 {
		t.Fatalf("%d keys", len(public))
	}
	for k, want := range []string{"yyy.", ".yyy", "...y"} {
		keys, err := ledger.Verifiers(public[k])
		must(t, err)
		for i := range made {
			_, err := ledger.ParseCheckpoint(made[i].Note, keys)
			if got := err == nil; got != (want[i] == 'y') {
				t.Errorf("key %d, checkpoint %d: %v", k, i, err)
			}
		}
	}
	info, err := os.Stat(filepath.Join(dir, "checkpoint.key"))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the private key can be read by others: %v", info.Mode())
	}
	var ledgerID events.LedgerID
	if _, err := ledger.OpenSigner(dir, ledgerID, rand.Reader); err == nil {
		t.Error("the keys of another ledger were taken")
	}
}

// TestParseCheckpointRefuses has notes that are no checkpoints.
func TestParseCheckpointRefuses(t *testing.T) {
	skey, vkey, err := note.GenerateKey(rand.Reader, "tallystick/x")
	must(t, err)
	signer, err := note.NewSigner(skey)
	must(t, err)
	keys, err := ledger.Verifiers(vkey)
	must(t, err)
	m := newMaker(1, 0)
	good := ledger.Origin(m.head.Ledger) + "\n7\n" + strings.Repeat("A", 43) + "=\n"
	for _, tt := range []struct{ what, text string }{
		{"good", good},
		{"with an extension", good + "more\n"},
		{"other origin", strings.Replace(good, "tallystick", "rekor", 1)},
		{"no ledger", strings.Replace(good, "ldg_", "inv_", 1)},
		{"size 0", strings.Replace(good, "\n7\n", "\n0\n", 1)},
		{"size with a zero before", strings.Replace(good, "\n7\n", "\n07\n", 1)},
		{"negative size", strings.Replace(good, "\n7\n", "\n-7\n", 1)},
		{"short root", strings.Replace(good, "AAAA", "", 1)},
		{"two lines", good[:strings.Index(good, "AAA")]},
	} {
		signed, err := note.Sign(&note.Note{Text: tt.text}, signer)
		must(t, err)
		_, err = ledger.ParseCheckpoint(signed, keys)
		if ok := tt.what == "good" || tt.what == "with an extension"; (err == nil) != ok {
			t.Errorf("%s: %v", tt.what, err)
		}
		signed[len(tt.text)-3]++
		if _, err := ledger.ParseCheckpoint(signed, keys); err == nil {
			t.Errorf("%s: changed, and still valid", tt.what)
		}
	}
}
