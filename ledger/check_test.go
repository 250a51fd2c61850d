package ledger_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
	"tallystick/ledger"
)

// damaged returns a log of 1,000 records, with merged runs, nodes and a checkpoint, in fs.
func damaged(t *testing.T, fs vfs.FS) (*ledger.Log, []events.Record) {
	t.Helper()
	m := newMaker(1, 2)
	all := m.group(t, 1000)
	log, err := ledger.Open("log", ledger.Options{FS: fs, Create: true}.Small())
	must(t, err)
	for i := 0; i < len(all); i += 100 {
		appendDurably(t, log, all[i:i+100])
	}
	signer, err := ledger.OpenSigner(t.TempDir(), m.head.Ledger, rand.Reader)
	must(t, err)
	c, err := log.Sign(signer)
	must(t, err)
	must(t, log.StoreCheckpoint(c))
	return log, all
}

// TestCheckNamesTheDamage changes what the store holds, as a program with a fault might, and asks what Check
// says of it.
func TestCheckNamesTheDamage(t *testing.T) {
	type store = *pebble.DB
	flip := func(t *testing.T, db store, key []byte, at int) {
		v, closer, err := db.Get(key)
		must(t, err)
		v = append([]byte(nil), v...)
		must(t, closer.Close())
		v[at] ^= 1
		must(t, db.Set(key, v, nil))
	}
	remake := func(t *testing.T, db store, rec events.Record, change func(*events.Record)) {
		u, _ := rec.Event.(*events.UsageReported)
		copied := *u
		copied.Postings = append([]events.Posting(nil), u.Postings...)
		rec.Event = &copied
		change(&rec)
		rec, err := events.NewRecord(rec.Envelope, rec.Event)
		must(t, err)
		must(t, db.Set(ledger.RecordKey(nil, rec.Seq), rec.Bytes, nil))
	}
	firstChunk := func(t *testing.T, db store) (key []byte) {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{'d'}, UpperBound: []byte{'e'}})
		must(t, err)
		for ok := it.First(); ok; ok = it.Next() {
			if len(it.Key()) == 14 && len(it.Value()) >= 16 {
				key = append(key, it.Key()...)
				break
			}
		}
		must(t, it.Close())
		return key
	}
	for _, tt := range []struct {
		what   string
		damage func(*testing.T, store, []events.Record)
		says   string
	}{
		{"nothing", func(*testing.T, store, []events.Record) {}, ""},
		{"a byte of a record", func(t *testing.T, db store, all []events.Record) {
			flip(t, db, ledger.RecordKey(nil, 700), len(all[699].Bytes)-2)
		}, "record 513: tree node 1/2"}, // the first of the tile; which of its records it is, nobody can know
		{"a byte of a late record", func(t *testing.T, db store, all []events.Record) {
			flip(t, db, ledger.RecordKey(nil, 900), len(all[899].Bytes)-2)
		}, "checkpoint of 1000 records has root"},
		{"a byte of a record's frame", func(t *testing.T, db store, _ []events.Record) { flip(t, db, ledger.RecordKey(nil, 700), 0) }, "record 700"},
		{"a record is gone", func(t *testing.T, db store, _ []events.Record) {
			must(t, db.Delete(ledger.RecordKey(nil, 700), nil))
		}, "record 700: missing"},
		{"the last record is gone", func(t *testing.T, db store, _ []events.Record) {
			must(t, db.Delete(ledger.RecordKey(nil, 1000), nil))
		}, "record 1000: missing; there is a checkpoint of 1000"},
		{"two records have changed places", func(t *testing.T, db store, all []events.Record) {
			must(t, db.Set(ledger.RecordKey(nil, 700), all[700].Bytes, nil))
			must(t, db.Set(ledger.RecordKey(nil, 701), all[699].Bytes, nil))
		}, "record 700: it says that it is record 701"},
		{"unbalanced postings", func(t *testing.T, db store, all []events.Record) {
			remake(t, db, all[699], func(r *events.Record) { r.Event.(*events.UsageReported).Postings[0].Nanos++ })
		}, "record 700"},
		{"an earlier time", func(t *testing.T, db store, all []events.Record) {
			remake(t, db, all[699], func(r *events.Record) { r.RecordedAt -= 1e9 })
		}, "record 700"},
		{"another ledger", func(t *testing.T, db store, all []events.Record) {
			remake(t, db, all[699], func(r *events.Record) { r.Ledger[0]++ })
		}, "record 700"},
		{"a key used twice", func(t *testing.T, db store, all []events.Record) {
			remake(t, db, all[999], func(r *events.Record) { r.Merchant, r.Key = all[699].Merchant, all[699].Key })
			must(t, db.Delete(ledger.CheckpointKey(1000), nil))
		}, "record 1000: it has the dedupe key of record 700"},
		{"another key", func(t *testing.T, db store, all []events.Record) {
			remake(t, db, all[799], func(r *events.Record) { r.Key = "another key" })
			must(t, db.Delete(ledger.CheckpointKey(1000), nil))
		}, "record 800: dedupe index of records "},
		{"a tree node", func(t *testing.T, db store, _ []events.Record) { flip(t, db, ledger.TreeKey(nil, 1, 1), 5) }, "record 257: tree node 1/1"},
		{"a tree node is gone", func(t *testing.T, db store, _ []events.Record) {
			must(t, db.Delete(ledger.TreeKey(nil, 1, 1), nil))
		}, "record 257: tree node 1/1"},
		{"a tree node too many", func(t *testing.T, db store, _ []events.Record) {
			must(t, db.Set(ledger.TreeKey(nil, 1, 3), make([]byte, 32), nil))
		}, "4 nodes of the tree are stored, the records have 3"},
		{"an index entry", func(t *testing.T, db store, _ []events.Record) { flip(t, db, firstChunk(t, db), 7) }, "dedupe index of records"},
		{"an index chunk is gone", func(t *testing.T, db store, _ []events.Record) {
			must(t, db.Delete(firstChunk(t, db), nil))
		}, "dedupe index of records"},
		{"an index entry twice", func(t *testing.T, db store, _ []events.Record) {
			key := firstChunk(t, db)
			v, closer, err := db.Get(key)
			must(t, err)
			must(t, db.Set(key, append(v[:8:8], v...), nil))
			must(t, closer.Close())
		}, "dedupe index of records"},
		{"a run of nothing", func(t *testing.T, db store, _ []events.Record) {
			must(t, db.Set(append(binary.BigEndian.AppendUint64([]byte{'d', 3}, 1), 0, 0, 0, 0), nil, nil))
		}, "has entries, and is none"},
		{"a checkpoint", func(t *testing.T, db store, _ []events.Record) { flip(t, db, ledger.CheckpointKey(1000), 58) }, "checkpoint of 1000 records"},
		{"a cursor", func(t *testing.T, db store, _ []events.Record) {
			must(t, db.Set([]byte("px"), binary.AppendUvarint(nil, 1001), nil))
		}, `cursor "x" is at record 1001 of 1000`},
		{"something else", func(t *testing.T, db store, _ []events.Record) {
			must(t, db.Set([]byte("zebra"), []byte("1"), nil))
		}, `unknown key "zebra"`},
		{"unknown meta", func(t *testing.T, db store, _ []events.Record) {
			must(t, db.Set([]byte("mebra"), []byte("1"), nil))
		}, `unknown key "mebra"`},
	} {
		t.Run(tt.what, func(t *testing.T) {
			log, all := damaged(t, vfs.NewMem())
			tt.damage(t, log.Store(), all)
			var last, total events.Seq
			_, err := log.Check(context.Background(), func(done, of events.Seq) { last, total = done, of })
			switch {
			case tt.says == "" && (err != nil || last != 1000 || total != 1000):
				t.Errorf("an undamaged log is %v, after %d of %d", err, last, total)
			case tt.says != "" && (!errors.Is(err, ledger.ErrCorrupt) || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("got %v, want %q", err, tt.says)
			}
			must(t, log.Close())
		})
	}
}

// files returns the names of the files in dir whose names contain part.
func files(t *testing.T, fs vfs.FS, part string) (names []string) {
	t.Helper()
	all, err := fs.List("log")
	must(t, err)
	for _, name := range all {
		if name = "log/" + name; strings.Contains(name, part) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatalf("no files like %s in %v", part, all)
	}
	return names
}

func readFile(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	must(t, err)
	b, err := io.ReadAll(f)
	must(t, err)
	must(t, f.Close())
	return b
}

func writeFile(t *testing.T, fs vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = f.Write(append([]byte(nil), b...))
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

// closedLog returns a file system with the files of a log that was closed.
func closedLog(t *testing.T, flush bool) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	log, _ := damaged(t, fs)
	if flush {
		must(t, log.Store().Flush())
		must(t, log.Store().Compact(context.Background(), []byte{0}, []byte{255}, false))
	}
	must(t, log.Close())
	return clone(t, fs)
}

func clone(t *testing.T, fs vfs.FS) *vfs.MemFS {
	t.Helper()
	copied := vfs.NewMem()
	_, err := vfs.Clone(fs, copied, "log", "log")
	must(t, err)
	return copied
}

// TestFlippedBytes flips bytes all over the files of a closed log, one at a time. Open or Check finds each
// of them: those in tables by naming the file, those in the WAL by refusing to open. A byte in a file that is in
// use no more, or behind the end of a WAL, does no harm, and all records are there.
func TestFlippedBytes(t *testing.T) {
	for _, tt := range []struct {
		files string
		flush bool
	}{{".sst", true}, {".log", false}, {"MANIFEST", true}, {"MANIFEST", false}, {"/checkpoint", true}} {
		base := closedLog(t, tt.flush)
		for _, name := range files(t, base, tt.files) {
			good := readFile(t, base, name)
			step := 1 + len(good)/(*flips)
			for at := 0; at < len(good); at += step {
				bad := append([]byte(nil), good...)
				bad[at] ^= 0x10
				fs := clone(t, base)
				writeFile(t, fs, name, bad)
				found, err := findDamage(fs)
				switch {
				case err == nil && !harmless(t, fs):
					t.Errorf("%s: a flipped byte at %d of %d is not found", name, at, len(good))
				case tt.files == ".sst" && found && !strings.Contains(err.Error(), name[len("log/"):len(name)-len(".sst")]):
					t.Errorf("%s: a flipped byte at %d is %v, which does not name the file", name, at, err)
				}
			}
		}
	}
}

// TestFlippedByteAfterKill flips bytes of the last group in the WAL of a log that was not closed. It was synced,
// and no group came after it to say so; the seal does.
func TestFlippedByteAfterKill(t *testing.T) {
	fs := vfs.NewMem()
	log, err := ledger.Open("log", ledger.Options{FS: fs, Create: true}.Small())
	must(t, err)
	m := newMaker(1, 1)
	appendDurably(t, log, m.group(t, 20))
	name := files(t, fs, ".log")[0]
	before := len(readFile(t, fs, name))
	g := m.group(t, 3)
	appendDurably(t, log, g)
	end := before
	for i := range g {
		end += len(g[i].Bytes) // which is a little less than there is
	}
	for sealed := false; !sealed; { // soon after
		killed := clone(t, fs)
		bad := readFile(t, killed, name)
		bad[end] ^= 1
		writeFile(t, killed, name, bad)
		_, err := findDamage(killed)
		sealed = errors.Is(err, ledger.ErrCorrupt)
	}
	killed := clone(t, fs)
	good := readFile(t, killed, name)
	for at := before; at < end; at += 7 {
		bad := append([]byte(nil), good...)
		bad[at] ^= 1
		writeFile(t, killed, name, bad)
		if _, err := findDamage(clone(t, killed)); !errors.Is(err, ledger.ErrCorrupt) || !strings.Contains(err.Error(), name[len("log/"):]) {
			t.Fatalf("a flipped byte at %d, between %d and %d, is %v", at, before, end, err)
		}
	}
	must(t, log.Close())
}

// noTables is a file system on which no table gets made while it holds them, so that no memtable goes to disk, and no WAL away.
type noTables struct {
	vfs.FS
	holds *atomic.Bool
	until chan struct{}
}

func (fs noTables) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") && fs.holds.Load() {
		<-fs.until
	}
	return fs.FS.Create(name, category)
}

// TestFlippedByteInOlderWAL flips bytes of WALs behind which others were begun. Open refuses each, and names file and offset.
func TestFlippedByteInOlderWAL(t *testing.T) {
	fs := noTables{vfs.NewMem(), new(atomic.Bool), make(chan struct{})}
	log, err := ledger.Open("log", ledger.Options{FS: fs, Create: true}.Small())
	must(t, err)
	fs.holds.Store(true)
	m := newMaker(1, 1)
	for len(files(t, fs, ".log")) < 3 {
		appendDurably(t, log, m.group(t, 20))
	}
	killed := clone(t, fs.FS)
	close(fs.until)
	must(t, log.Close())
	names := files(t, killed, ".log")
	slices.Sort(names)
	for _, name := range names[:2] {
		good := readFile(t, killed, name)
		end := len(bytes.TrimRight(good, "\x00"))
		for at := 0; at < end*9/10; at += 1 + end/(*flips) {
			bad := bytes.Clone(good)
			bad[at] ^= 1
			fs := clone(t, killed)
			writeFile(t, fs, name, bad)
			_, err := findDamage(fs)
			offset := -1
			if corrupt, ok := errors.AsType[*ledger.CorruptError](err); ok {
				_, _ = fmt.Sscanf(corrupt.What, "file "+name[len("log/"):]+": damaged at offset %d", &offset)
			}
			if offset > at || offset < at-64<<10 || offset < 0 {
				t.Fatalf("%s: a flipped byte at %d of %d is %v", name, at, end, err)
			}
		}
	}
}

// findDamage opens and checks a log and returns the error, if any, and whether it was Check's.
func findDamage(fs vfs.FS) (checked bool, err error) {
	log, err := ledger.Open("log", ledger.Options{FS: fs}.Small())
	if err != nil {
		return false, err
	}
	_, err = log.Check(context.Background(), nil)
	return true, errors.Join(err, log.Close())
}

// harmless reports whether the log has all its records: the byte that was flipped lies in a part of the
// WAL that means nothing, such as what follows its end.
func harmless(t *testing.T, fs vfs.FS) bool {
	t.Helper()
	log, err := ledger.Open("log", ledger.Options{FS: fs}.Small())
	must(t, err)
	defer func() { must(t, log.Close()) }()
	_, ok, err := log.LatestCheckpoint()
	if err != nil || !ok {
		return false
	}
	return log.Head().Seq == 1000
}

// TestDamagedTableNamesTheRecord reads a record from a table with a flipped byte.
func TestDamagedTableNamesTheRecord(t *testing.T) {
	base := closedLog(t, true)
	for _, name := range files(t, base, ".sst") {
		bad := readFile(t, base, name)
		bad[len(bad)/3] ^= 1
		fs := clone(t, base)
		writeFile(t, fs, name, bad)
		log, err := ledger.Open("log", ledger.Options{FS: fs}.Small())
		if err != nil {
			continue
		}
		err = log.Scan(context.Background(), 1, 1000, func(events.Record) error { return nil })
		if err == nil {
			must(t, log.Close())
			continue
		}
		corrupt, ok := errors.AsType[*ledger.CorruptError](err)
		number := fmt.Sprint(name[len("log/") : len(name)-len(".sst")])
		if !ok || corrupt.Seq == 0 || !strings.Contains(err.Error(), number) || !strings.Contains(err.Error(), "block") {
			t.Errorf("%s: %v, want the record, the file and the block", name, err)
		}
		_ = log.Close()
		return
	}
	t.Error("no table holds records")
}

// TestLostTailIsNoticed gives a log back as it was before its last records, as Pebble might after damage to its
// MANIFEST, with the checkpoint file of after.
func TestLostTailIsNoticed(t *testing.T) {
	fs := vfs.NewMem()
	log, all := damaged(t, fs)
	must(t, log.Close())
	before := vfs.NewMem()
	log = open(t, "log", before)
	appendDurably(t, log, all[:900])
	must(t, log.Close())
	writeFile(t, before, "log/checkpoint", readFile(t, fs, "log/checkpoint"))
	_, err := ledger.Open("log", ledger.Options{FS: before})
	if corrupt, ok := errors.AsType[*ledger.CorruptError](err); !ok || corrupt.Seq != 901 {
		t.Errorf("got %v, want record 901 to be missing", err)
	}
}

// TestLostManifestMakesNoLedger opens for writing, and as whoever makes a ledger where there is none, directories whose list of files is damaged or
// gone: nothing is made, nothing is removed, and what is wrong is named. A change at the end of the list that cannot be read may be half of one
// that a crash left: then all is there without it.
func TestLostManifestMakesNoLedger(t *testing.T) {
	base := closedLog(t, true)
	marker := files(t, base, "marker.manifest")[0]
	current := "log/" + marker[strings.LastIndexByte(marker, '.')+1:]
	list := readFile(t, base, current)
	damage := map[string]func(*vfs.MemFS){
		"no marker": func(fs *vfs.MemFS) { must(t, fs.Remove(marker)) },
		"no list":   func(fs *vfs.MemFS) { must(t, fs.Remove(current)) },
	}
	for at := 0; at < len(list); at += 1 + len(list)/40 {
		damage[fmt.Sprintf("a flipped byte at %d of %d", at, len(list))] = func(fs *vfs.MemFS) {
			bad := append([]byte(nil), list...)
			bad[at] ^= 0x10
			writeFile(t, fs, current, bad)
		}
		damage[fmt.Sprintf("half of what follows byte %d", at)] = func(fs *vfs.MemFS) {
			writeFile(t, fs, current, append(append([]byte(nil), list[:at]...), 0xFF))
		}
	}
	tables := files(t, base, ".sst")
	for name, do := range damage {
		fs := clone(t, base)
		do(fs)
		opened := false
		for _, o := range []ledger.Options{{Create: true}, {}, {ReadOnly: true}} {
			o.FS = fs
			log, err := ledger.Open("log", o.Small())
			if err == nil {
				opened = true
				if _, err := log.Check(t.Context(), nil); err != nil || log.Head().Seq != 1000 {
					t.Errorf("%s: the log ends at %d, and has %v", name, log.Head().Seq, err)
				}
				must(t, log.Close())
			} else if !errors.Is(err, ledger.ErrCorrupt) || errors.Is(err, ledger.ErrMissing) || !strings.Contains(err.Error(), "file ") {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, table := range tables {
			if _, err := fs.Stat(table); err != nil && !opened {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
