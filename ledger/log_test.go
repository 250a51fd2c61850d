package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
	"tallystick/ledger"
)

// must fails the test at once if err is not nil.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// appendDurably appends records and waits until they are on disk.
func appendDurably(tb testing.TB, log *ledger.Log, records []events.Record) {
	tb.Helper()
	must(tb, log.Append(records))
	must(tb, log.WaitDurable(context.Background(), records[len(records)-1].Seq))
}

// check fails the test if the log is not consistent.
func check(tb testing.TB, log *ledger.Log) ledger.Report {
	tb.Helper()
	report, err := log.Check(context.Background(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return report
}

// same fails the test unless got is the record that was made.
func same(tb testing.TB, got, want *events.Record) {
	tb.Helper()
	if got.Envelope != want.Envelope || got.Hash != want.Hash || !bytes.Equal(got.Bytes, want.Bytes) || got.Event == nil {
		tb.Fatalf("got record %d %x, want %d %x", got.Seq, got.Bytes, want.Seq, want.Bytes)
	}
}

// TestLogKeepsWhatIsAppended appends groups of all sizes, and asks for all of it in every way, before
// and after the log is closed and opened again, the second time with no memory for the dedupe index.
func TestLogKeepsWhatIsAppended(t *testing.T) {
	fs := vfs.NewMem()
	options := ledger.Options{FS: fs, Create: true, TailBytes: 1 << 18}.Small()
	m := newMaker(1, 3)
	log, err := ledger.Open("log", options)
	must(t, err)
	var all []events.Record
	for n := 1; len(all) < 3000; n = n*3/2 + 1 {
		g := m.group(t, n)
		all = append(all, g...)
		appendDurably(t, log, g)
	}
	for range 2 {
		if got := log.Head(); got.Seq != events.Seq(len(all)) || got.Command != all[len(all)-1].Command || log.Durable() != got.Seq {
			t.Fatalf("head %+v, durable %d, want %d", got, log.Durable(), len(all))
		}
		readsBack(t, log, all)
		if report := check(t, log); report.Head != log.Head() || report.Keys != uint64(len(all)-1) {
			t.Fatalf("%+v", report)
		}
		must(t, log.Close())
		options.Create, options.IndexBytes = false, 1
		log, err = ledger.Open("log", options)
		must(t, err)
	}
	must(t, log.Close())
}

func readsBack(t *testing.T, log *ledger.Log, all []events.Record) {
	t.Helper()
	ctx := context.Background()
	for i := range all {
		want := &all[i]
		got, err := log.Record(want.Seq)
		must(t, err)
		same(t, &got, want)
		first, ok, err := log.SeqOf(want.Command)
		if must(t, err); !ok || first.Command != want.Command {
			t.Fatalf("command of record %d was not found: %v", want.Seq, first)
		}
		if at, err := log.SeqAt(want.RecordedAt); err != nil || at != want.Seq {
			t.Fatalf("at the time of record %d: %d, %v", want.Seq, at, err)
		}
		key, ok := want.DedupeKey()
		if !ok {
			continue
		}
		got, ok, err = log.Lookup(key)
		if must(t, err); !ok {
			t.Fatalf("the key of record %d was not found", want.Seq)
		}
		same(t, &got, want)
	}
	next := 100
	must(t, log.Scan(ctx, 101, 1<<60, func(rec events.Record) error {
		same(t, &rec, &all[next])
		next++
		return nil
	}))
	if next != len(all) {
		t.Fatalf("the scan ended after %d of %d", next, len(all))
	}
	f := log.Follow(1)
	for next = 0; next < len(all); {
		recs, err := f.Next(ctx)
		must(t, err)
		for i := range recs {
			same(t, &recs[i], &all[next])
			next++
		}
	}
	if _, ok, err := log.Lookup(events.NewDedupeKey(all[1].Merchant, events.KindUsageReported, "never")); ok || err != nil {
		t.Fatalf("an unused key was found: %v", err)
	}
}

// TestAppendRefuses has one record for each way not to follow the head.
func TestAppendRefuses(t *testing.T) {
	log := open(t, "log", vfs.NewMem())
	m := newMaker(1, 1)
	all := m.group(t, 20)
	appendDurably(t, log, all)
	good := m.group(t, 3)
	for _, tt := range []struct {
		what   string
		change func(*events.Record)
	}{
		{"sequence again", func(r *events.Record) { r.Seq-- }},
		{"sequence with a gap", func(r *events.Record) { r.Seq++ }},
		{"other ledger", func(r *events.Record) { r.Ledger[3]++ }},
		{"no ledger", func(r *events.Record) { r.Ledger = events.LedgerID{} }},
		{"earlier time", func(r *events.Record) { r.RecordedAt = all[10].RecordedAt }},
		{"earlier command", func(r *events.Record) { r.Command = all[10].Command }},
		{"no bytes", func(r *events.Record) { r.Bytes = nil }},
		{"no hash", func(r *events.Record) { r.Hash = events.Hash{} }},
		{"no event", func(r *events.Record) { r.Event = nil }},
		{"unbalanced", func(r *events.Record) {
			u := *r.Event.(*events.UsageReported)
			u.Postings = slices.Clone(u.Postings)
			u.Postings[0].Nanos++
			r.Event = &u
		}},
		{"used key", func(r *events.Record) { r.Merchant, r.Key = all[7].Merchant, all[7].Key }},
		{"key used in the group", func(r *events.Record) { r.Merchant, r.Key = good[0].Merchant, good[0].Key }},
		{"too large", func(r *events.Record) { r.Bytes = make([]byte, events.MaxRecordBytes+1) }},
	} {
		g := slices.Clone(good)
		tt.change(&g[1])
		err := log.Append(g)
		refused, ok := errors.AsType[*ledger.RefusedError](err)
		if !ok || !errors.Is(err, ledger.ErrNotNext) || refused.Seq != g[1].Seq {
			t.Errorf("%s: %v, want a refusal of record %d", tt.what, err, g[1].Seq)
		}
		if log.Head().Seq != 20 {
			t.Fatalf("%s: the head is at %d", tt.what, log.Head().Seq)
		}
	}
	appendDurably(t, log, good)
	check(t, log)
}

// TestKeysAreApart uses one idempotency key with several merchants and types of command.
func TestKeysAreApart(t *testing.T) {
	log := open(t, "log", vfs.NewMem())
	m := newMaker(1, 3)
	m.noKeys = true
	g := m.group(t, 200)
	var records []events.Record
	want := make(map[events.DedupeKey]events.Seq)
	for i := range g {
		env, e := g[i].Envelope, g[i].Event
		if i > 0 {
			env.Key, env.Content = "same", events.Digest{1}
		}
		if i%3 == 2 {
			e = events.WalletToppedUp{Currency: events.Currency{'E', 'U', 'R'}}
		}
		rec, err := events.NewRecord(env, e)
		must(t, err)
		if key, ok := rec.DedupeKey(); want[key] != 0 {
			env.Key, env.Content = "", events.Digest{}
			rec, err = events.NewRecord(env, e)
			must(t, err)
		} else if ok {
			want[key] = rec.Seq
		}
		records = append(records, rec)
	}
	appendDurably(t, log, records)
	for key, seq := range want {
		if rec, ok, err := log.Lookup(key); err != nil || !ok || rec.Seq != seq {
			t.Errorf("key %x: record %d, %v, %v, want %d", key, rec.Seq, ok, err, seq)
		}
	}
	if len(want) != 6 { // of each of three merchants two
		t.Errorf("%d keys were tried", len(want))
	}
}

// TestRecordsThatAreNot asks for records before the first and after the last.
func TestRecordsThatAreNot(t *testing.T) {
	log := open(t, "log", vfs.NewMem())
	ctx := context.Background()
	none := func(when string) {
		t.Helper()
		for _, seq := range []events.Seq{0, log.Head().Seq + 1, 1 << 63} {
			if _, err := log.Record(seq); !errors.Is(err, ledger.ErrNoRecord) {
				t.Errorf("%s: record %d: %v", when, seq, err)
			}
			if _, err := log.Root(seq); !errors.Is(err, ledger.ErrNoRecord) {
				t.Errorf("%s: root of %d: %v", when, seq, err)
			}
		}
		if err := log.WaitDurable(ctx, log.Head().Seq+1); !errors.Is(err, ledger.ErrNoRecord) {
			t.Errorf("%s: wait: %v", when, err)
		}
		if err := log.Scan(ctx, log.Head().Seq+1, 1<<60, func(events.Record) error { return errors.New("called") }); err != nil {
			t.Errorf("%s: scan: %v", when, err)
		}
		if at, err := log.SeqAt(1); at != 0 || err != nil {
			t.Errorf("%s: at the beginning of time: %d, %v", when, at, err)
		}
	}
	none("empty")
	check(t, log)
	must(t, log.Append(nil))
	m := newMaker(1, 1)
	appendDurably(t, log, m.group(t, 5))
	none("five records")
}

// TestFollowerWaits starts a follower ahead of the head, and lets it wait for each group.
func TestFollowerWaits(t *testing.T) {
	log := open(t, "log", vfs.NewMem())
	m := newMaker(1, 1)
	f := log.Follow(0)
	got := make(chan events.Seq)
	go func() {
		defer close(got)
		for {
			recs, err := f.Next(context.Background())
			if err != nil {
				if !errors.Is(err, ledger.ErrClosed) {
					t.Error(err)
				}
				return
			}
			for i := range recs {
				got <- recs[i].Seq
			}
		}
	}()
	want := events.Seq(0)
	for range 50 {
		must(t, log.Append(m.group(t, 3)))
		for range 3 {
			want++
			if seq := <-got; seq != want {
				t.Fatalf("got record %d, want %d", seq, want)
			}
		}
	}
	must(t, log.Close())
	if seq, ok := <-got; ok {
		t.Fatalf("got record %d after the last", seq)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := open(t, "log", vfs.NewMem()).Follow(1).Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestCursors sets cursors and finds them after the log was opened again.
func TestCursors(t *testing.T) {
	fs := vfs.NewMem()
	log := open(t, "log", fs)
	m := newMaker(1, 1)
	appendDurably(t, log, m.group(t, 100))
	for i := range events.Seq(50) {
		must(t, log.SetCursor("publisher", i))
		must(t, log.SetCursor(fmt.Sprint("other ", i), 2*i))
	}
	if err := log.SetCursor("publisher", 101); !errors.Is(err, ledger.ErrNoRecord) {
		t.Fatalf("a cursor beyond the log: %v", err)
	}
	for range 2 {
		if a, b, c := log.Cursor("publisher"), log.Cursor("other 7"), log.Cursor("none"); a != 49 || b != 14 || c != 0 {
			t.Fatalf("cursors %d %d %d, want 49 14 0", a, b, c)
		}
		check(t, log)
		must(t, log.Close())
		log = open(t, "log", fs)
	}
}

// TestOpenSaysWhy opens directories that cannot be opened.
func TestOpenSaysWhy(t *testing.T) {
	dir := t.TempDir() + "/log"
	for _, o := range []ledger.Options{{}, {ReadOnly: true}, {ReadOnly: true, Create: true}} {
		if _, err := ledger.Open(dir, o); !errors.Is(err, ledger.ErrMissing) {
			t.Errorf("missing: %v", err)
		}
	}
	log := open(t, dir, nil)
	m := newMaker(1, 1)
	appendDurably(t, log, m.group(t, 10))
	for _, o := range []ledger.Options{{}, {ReadOnly: true}} {
		if _, err := ledger.Open(dir, o); !errors.Is(err, ledger.ErrLocked) {
			t.Errorf("locked: %v", err)
		}
	}
	must(t, log.Close())
	if err := log.Close(); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	if err := log.Append(m.group(t, 1)); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("append to a closed log: %v", err)
	}

	log, err := ledger.Open(dir, ledger.Options{ReadOnly: true})
	must(t, err)
	if err := log.Append(m.group(t, 1)); !errors.Is(err, ledger.ErrReadOnly) {
		t.Errorf("append: %v", err)
	}
	if err := log.SetCursor("x", 1); !errors.Is(err, ledger.ErrReadOnly) {
		t.Errorf("cursor: %v", err)
	}
	check(t, log)
	must(t, log.Close())

	log = open(t, dir, nil)
	must(t, log.Store().Set([]byte("mformat"), []byte{2}, nil))
	must(t, log.Close())
	if _, err := ledger.Open(dir, ledger.Options{}); !errors.Is(err, ledger.ErrNewerFormat) {
		t.Errorf("newer: %v", err)
	}
}

// TestBackup takes a backup while groups are appended, and opens it.
func TestBackup(t *testing.T) {
	fs := vfs.NewMem()
	log := open(t, "log", fs)
	m := newMaker(1, 2)
	all := m.group(t, 500)
	appendDurably(t, log, all)
	later := m.group(t, 300)
	must(t, log.Append(later))
	must(t, log.Backup("backup"))
	must(t, log.Append(m.group(t, 300)))
	backup := open(t, "backup", fs)
	if n := backup.Head().Seq; n < 500 || n > 1100 || n%100 != 0 {
		t.Fatalf("the backup ends at %d", n)
	}
	check(t, backup)
	if err := log.Backup("backup"); err == nil {
		t.Error("a backup went over another")
	}
}

// TestImport gives a log the bytes of another's records.
func TestImport(t *testing.T) {
	log := open(t, "log", vfs.NewMem())
	m := newMaker(1, 2)
	all := m.group(t, 700)
	for i := 0; i < len(all); i += 100 {
		var encoded [][]byte
		for _, rec := range all[i : i+100] {
			encoded = append(encoded, slices.Clone(rec.Bytes))
		}
		must(t, log.Import(encoded))
		if err := log.Import(encoded); !errors.Is(err, ledger.ErrNotNext) {
			t.Fatalf("imported twice: %v", err)
		}
		damaged := slices.Clone(encoded[0]) // the log owns what it was given
		damaged[len(damaged)-1] ^= 0xff
		if err := log.Import([][]byte{damaged}); !errors.Is(err, ledger.ErrNotNext) {
			t.Fatalf("imported what is no record: %v", err)
		}
	}
	must(t, log.WaitDurable(context.Background(), 700))
	readsBack(t, log, all)
	check(t, log)
}

// TestCloseWhileReading closes a log under readers, who read from its files, over and over. They end.
func TestCloseWhileReading(t *testing.T) {
	log, err := ledger.Open("log", ledger.Options{FS: vfs.NewMem(), Create: true, TailBytes: 1}.Small())
	must(t, err)
	m := newMaker(1, 2)
	all := m.group(t, 3000)
	for i := 0; i < len(all); i += 100 { // of which the tail keeps the last
		appendDurably(t, log, all[i:i+100])
	}
	ctx := context.Background()
	started := make(chan struct{}, 8)
	var readers sync.WaitGroup
	read := func(what string, fn func() error) {
		readers.Go(func() {
			for first := true; ; first = false {
				err := fn()
				if first {
					started <- struct{}{}
				}
				if errors.Is(err, ledger.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
			}
		})
	}
	read("Scan", func() error { return log.Scan(ctx, 1, 3000, func(events.Record) error { return nil }) })
	read("ScanBytes", func() error { return log.ScanBytes(ctx, 1, 3000, func(events.Seq, []byte) error { return nil }) })
	read("Record", func() error { _, err := log.Record(77); return err })
	read("Root", func() error { _, err := log.Root(2999); return err })
	read("Check", func() error { _, err := log.Check(ctx, nil); return err })
	read("Next", func() error { _, err := log.Follow(5).Next(ctx); return err })
	read("LatestCheckpoint", func() error { _, _, err := log.LatestCheckpoint(); return err })
	key, _ := all[40].DedupeKey()
	read("Lookup", func() error { _, _, err := log.Lookup(key); return err })
	for range 8 {
		<-started
	}
	must(t, log.Close())
	readers.Wait()
}
