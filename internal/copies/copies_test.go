package copies_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tallystick/events"
	"tallystick/internal/copies"
	"tallystick/ledger"
	"tallystick/ledger/keyring"
	"tallystick/projections/projtest"
)

// open makes a ledger of a history in a directory.
func open(t *testing.T, dir string, records []events.Record) (*ledger.Log, *keyring.Keyring) {
	t.Helper()
	log, err := ledger.Open(filepath.Join(dir, "log"), ledger.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	keys, err := keyring.Open(filepath.Join(dir, "keys"), keyring.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	if _, err := ledger.OpenSigner(filepath.Join(dir, "keys"), records[0].Ledger, strings.NewReader(strings.Repeat("k", 64))); err != nil {
		t.Fatal(err)
	}
	add(t, log, records)
	return log, keys
}

func add(t *testing.T, log *ledger.Log, records []events.Record) {
	t.Helper()
	if err := log.Append(slices.Clone(records)); err != nil {
		t.Fatal(err)
	}
	if err := log.WaitDurable(t.Context(), records[len(records)-1].Seq); err != nil {
		t.Fatal(err)
	}
}

func TestACopyIsTheLedger(t *testing.T) {
	records := projtest.Records(projtest.Shape{})
	half := len(records) / 2
	dir, copied, again := t.TempDir(), filepath.Join(t.TempDir(), "copy"), filepath.Join(t.TempDir(), "again")
	log, keys := open(t, dir, records[:half])
	if err := keys.Create(events.OrganizationID{7}); err != nil {
		t.Fatal(err)
	}
	sealed, err := keys.Seal(events.OrganizationID{7}, "test", []byte("a name"))
	if err != nil {
		t.Fatal(err)
	}
	made, err := copies.Backup(log, keys, filepath.Join(dir, "keys"), copied)
	if err != nil {
		t.Fatal(err)
	}
	add(t, log, records[half:]) // the copy does not see this
	restored, err := copies.Restore(t.Context(), copied, again)
	if err != nil {
		t.Fatal(err)
	}
	if made != restored || int(made.Sequence) != half {
		t.Errorf("made %+v, restored %+v, want %d records", made, restored, half)
	}
	copy2, err := ledger.Open(filepath.Join(again, "log"), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = copy2.Close() }()
	for _, rec := range records[:half] {
		got, err := copy2.Record(rec.Seq)
		if err != nil || !bytes.Equal(got.Bytes, rec.Bytes) {
			t.Fatalf("record %d: %x, %v", rec.Seq, got.Bytes, err)
		}
	}
	keys2, err := keyring.Open(filepath.Join(again, "keys"), keyring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = keys2.Close() }()
	if plain, err := keys2.Open(sealed, "test"); string(plain) != "a name" || err != nil {
		t.Errorf("what was sealed opens as %q, %v", plain, err)
	}
	for _, name := range []string{copies.RestoredFile, "keys/checkpoint.key", "keys/checkpoint.pub"} {
		if _, err := os.Stat(filepath.Join(again, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsNoCopyIsRefused(t *testing.T) {
	records := projtest.Records(projtest.Shape{})
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	log, keys := open(t, dir, records)
	if _, err := copies.Backup(log, keys, filepath.Join(dir, "keys"), copied); err != nil {
		t.Fatal(err)
	}
	if _, err := copies.Backup(log, keys, filepath.Join(dir, "keys"), copied); err == nil {
		t.Error("a copy is made over another")
	}
	if _, err := copies.Restore(t.Context(), copied, dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restored over a ledger: %v", err)
	}
	if _, err := copies.Restore(t.Context(), dir, t.TempDir()); err == nil || !strings.Contains(err.Error(), "no whole copy") {
		t.Errorf("restored from what is no copy: %v", err)
	}
	manifest := filepath.Join(copied, "BACKUP")
	b, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	m, err := copies.ReadManifest(copied)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(b), m.Root.String(), events.LeafHash(nil).String(), 1)
	if err := os.WriteFile(manifest, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := copies.Restore(t.Context(), copied, filepath.Join(t.TempDir(), "x")); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("restored a log with another tree: %v", err)
	}
}
