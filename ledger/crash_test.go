package ledger_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tallystick/events"
	"tallystick/ledger"
)

var (
	crashes   = flag.Int("crashes", 60, "power cuts that TestPowerCuts simulates")
	flips     = flag.Int("flips", 8, "bytes that TestFlippedBytes flips in each file")
	crashSeed = flag.Uint64("crashseed", 1, "seed of the first workload of TestPowerCuts")
)

// history is what one workload did, as far as it is known from outside of the log.
type history struct {
	maker *maker
	rng   *mathrand.Rand

	mu          sync.Mutex // guards the fields below
	records     []events.Record
	ends        map[events.Seq]bool // after which a group ends, and 0
	acked       events.Seq          // the last record known to be durable
	checkpoints []ledger.Checkpoint // known to be durable
}

func newHistory(seed uint64) *history {
	return &history{
		maker: newMaker(seed, 2), rng: mathrand.New(mathrand.NewPCG(seed, 3)),
		ends: map[events.Seq]bool{0: true},
	}
}

// known returns what is durable now.
func (h *history) known() (acked events.Seq, checkpoints int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.acked, len(h.checkpoints)
}

// run appends groups, some large, some of one record, without waiting for the disk, and sets cursors
// and stores checkpoints between them, until all is done or stopped returns true.
func (h *history) run(t *testing.T, log *ledger.Log, signer *ledger.Signer, stopped func() bool) error {
	var waits sync.WaitGroup
	defer waits.Wait()
	for i := 0; i < 24 && !stopped(); i++ {
		n := 1 + h.rng.IntN(30)
		switch h.rng.IntN(12) {
		case 0:
			n = 150
		case 1, 2, 3:
			n = 1
		}
		g := h.maker.group(t, n)
		last := g[len(g)-1].Seq
		h.mu.Lock()
		h.records = append(h.records, g...)
		h.ends[last] = true
		h.mu.Unlock()
		if err := log.Append(g); err != nil {
			return err
		}
		waits.Go(func() { h.wait(log, last) })
		if i%3 == 1 {
			_ = log.SetCursor("reader", min(last/2, log.Durable())) // Append says if the log has failed
		}
		if i%6 == 2 {
			waits.Wait()
			if err := h.sign(log, signer); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *history) wait(log *ledger.Log, seq events.Seq) {
	if log.WaitDurable(context.Background(), seq) != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acked = max(h.acked, seq)
}

func (h *history) sign(log *ledger.Log, signer *ledger.Signer) error {
	c, err := log.Sign(signer)
	if err != nil {
		return err
	}
	if err := log.StoreCheckpoint(c); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checkpoints = append(h.checkpoints, c)
	return nil
}

// holds fails the test unless the log is what the history allows after a crash when acked records
// and so many checkpoints were known to be durable. It forgets what was lost.
func (h *history) holds(t *testing.T, log *ledger.Log, acked events.Seq, checkpoints int) {
	t.Helper()
	end := log.Head().Seq
	if end < acked || !h.ends[end] {
		t.Fatalf("the log ends at %d; record %d was durable, and groups end after %v", end, acked, h.ends)
	}
	report := check(t, log)
	if report.Head.Seq != end || report.Checkpoints < uint64(checkpoints) {
		t.Fatalf("checked %d records and %d checkpoints of %d and %d", report.Head.Seq, report.Checkpoints, end, checkpoints)
	}
	for i := range h.records {
		want := &h.records[i]
		key, keyed := want.DedupeKey()
		if !keyed {
			continue
		}
		got, ok, err := log.Lookup(key)
		if err != nil || ok != (want.Seq <= end) {
			t.Fatalf("looking up record %d of %d: %v, %v", want.Seq, end, ok, err)
		}
		if ok && (got.Seq != want.Seq || !bytes.Equal(got.Bytes, want.Bytes)) {
			t.Fatalf("looking up record %d: got %d", want.Seq, got.Seq)
		}
	}
	h.records = h.records[:end]
	h.acked, h.checkpoints = end, h.checkpoints[:checkpoints]
	h.maker.rewind(h.records)
}

// rewind makes the maker go on after the given records.
func (m *maker) rewind(records []events.Record) {
	if len(records) == 0 {
		m.head.Seq = 0
		return
	}
	last := records[len(records)-1].Envelope
	m.head.Seq = last.Seq
}

// TestPowerCuts pulls the plug at the first write to disk, then at the second, and so on (of few power cuts, at
// every few writes), and last when all is written, for one workload after another; half the time again at a write of
// the time after. Whatever the moment, the log opened afterwards holds every group that
// was acknowledged, no part of another, every checkpoint, and is consistent.
func TestPowerCuts(t *testing.T) {
	signer, err := ledger.OpenSigner(t.TempDir(), newMaker(1, 0).head.Ledger, rand.Reader)
	must(t, err)
	n, stride := 0, max(1, 300/int64(*crashes))
	for seed := *crashSeed; n < *crashes; seed++ {
		for k, done := int64(1), false; !done && n < *crashes; k += stride {
			ok := t.Run(fmt.Sprintf("seed %d write %d", seed, k), func(t *testing.T) {
				h := newHistory(seed)
				h.maker.head.Ledger = newMaker(1, 0).head.Ledger
				mem := vfs.NewCrashableMem()
				mem, done = powerCut(t, h, mem, signer, k)
				if h.rng.IntN(2) == 0 {
					mem, _ = powerCut(t, h, mem, signer, 1+h.rng.Int64N(60))
				}
				powerCut(t, h, mem, signer, 1<<40)
			})
			if !ok {
				t.FailNow()
			}
			n++
		}
	}
}

// powerCut opens the log, compares it with the history, and runs a workload until the kth write. It
// returns what is on disk then, and whether there was no such write.
func powerCut(t *testing.T, h *history, mem *vfs.MemFS, signer *ledger.Signer, k int64) (disk *vfs.MemFS, done bool) {
	t.Helper()
	acked, checkpoints := h.known()
	var opened atomic.Pointer[ledger.Log]
	var cutAcked events.Seq
	var cutCheckpoints int
	pull := sync.OnceFunc(func() {
		cutAcked, cutCheckpoints = h.known()
		if log := opened.Load(); log != nil {
			cutAcked = max(cutAcked, log.Durable())
		}
		disk = mem.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: []int{0, 50, 100}[k%3],
			RNG:                 mathrand.New(mathrand.NewPCG(uint64(k), uint64(acked))),
		})
	})
	var left atomic.Int64
	left.Store(k)
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && left.Add(-1) == 0 {
			pull()
		}
		return nil
	}))
	log, err := ledger.Open("log", ledger.Options{FS: fs, Create: true}.Small())
	if err != nil {
		t.Fatalf("after a crash: %v", err)
	}
	opened.Store(log)
	if left.Load() > 0 {
		h.holds(t, log, acked, checkpoints)
		must(t, h.run(t, log, signer, func() bool { return left.Load() <= 0 }))
	}
	done = left.Load() > 0
	pull()
	must(t, log.Close())
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acked, h.checkpoints = cutAcked, h.checkpoints[:cutCheckpoints]
	return disk, done
}

// TestFailingDisk lets one write to disk after another fail, for good or once, with ENOSPC or EIO. A
// record that was said to be durable is found when the disk is read again, the failed log says so at every
// door that writes, and nothing hangs.
func TestFailingDisk(t *testing.T) {
	signer, err := ledger.OpenSigner(t.TempDir(), newMaker(1, 0).head.Ledger, rand.Reader)
	must(t, err)
	failed := 0
	for k, done := int64(1), false; !done && k < 400; k += 1 + k/20 {
		cause := []error{syscall.ENOSPC, syscall.EIO}[k%2]
		if !t.Run(fmt.Sprintf("write %d %v", k, cause), func(t *testing.T) {
			done = failingDisk(t, signer, k, cause, k%3 == 0)
			if !done {
				failed++
			}
		}) {
			t.FailNow()
		}
	}
	if failed < 20 {
		t.Errorf("only %d writes failed", failed)
	}
}

// limit is how long anything may take on a machine that is busy with other things.
const limit = time.Minute

// failingDisk runs a workload on a disk whose kth write fails, and all after it unless once. It reports
// whether no write failed.
func failingDisk(t *testing.T, signer *ledger.Signer, k int64, cause error, once bool) bool {
	mem := vfs.NewCrashableMem()
	var left atomic.Int64
	left.Store(1 << 40)
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		if n := left.Add(-1); n == 0 || n < 0 && !once {
			return cause
		}
		return nil
	}))
	log, err := ledger.Open("log", ledger.Options{FS: fs, Create: true}.Small())
	must(t, err)
	left.Store(k)
	h := newHistory(uint64(k))
	h.maker.head.Ledger = newMaker(1, 0).head.Ledger
	finished := make(chan error, 1)
	go func() { finished <- h.run(t, log, signer, func() bool { return false }) }()
	select {
	case err = <-finished:
	case <-time.After(limit):
		t.Fatalf("the workload hangs; %d writes left, failed: %v", left.Load(), log.Err())
	}
	if err != nil && !errors.Is(err, ledger.ErrFailed) && !errors.Is(err, cause) {
		t.Fatal(err)
	}
	if log.Err() != nil {
		doorsSayFailed(t, h, log)
	}
	closed := make(chan error, 1)
	go func() { closed <- log.Close() }()
	select {
	case err := <-closed:
		t.Logf("closed: %v", err)
	case <-time.After(limit):
		t.Fatalf("Close hangs; %d writes left, failed: %v", left.Load(), log.Err())
	}
	acked, checkpoints := h.known()
	disk := mem.CrashClone(vfs.CrashCloneCfg{})
	log, err = ledger.Open("log", ledger.Options{FS: disk}.Small())
	must(t, err)
	h.holds(t, log, acked, checkpoints)
	must(t, log.Close())
	return left.Load() > 0
}

func doorsSayFailed(t *testing.T, h *history, log *ledger.Log) {
	t.Helper()
	h.maker.rewind(h.records[:log.Head().Seq])
	select {
	case <-log.Failed():
	default:
		t.Error("Failed is not closed")
	}
	if err := log.Append(h.maker.group(t, 1)); !errors.Is(err, ledger.ErrFailed) {
		t.Errorf("append: %v", err)
	}
	if err := log.SetCursor("x", 1); !errors.Is(err, ledger.ErrFailed) {
		t.Errorf("cursor: %v", err)
	}
	if err := log.Backup("backup"); !errors.Is(err, ledger.ErrFailed) {
		t.Errorf("backup: %v", err)
	}
	if _, err := log.Check(context.Background(), nil); !errors.Is(err, ledger.ErrFailed) {
		t.Errorf("check: %v", err)
	}
	if err := log.StoreCheckpoint(ledger.Checkpoint{Size: 1}); err == nil {
		t.Error("a checkpoint was stored")
	}
	if log.Metrics() != nil {
		t.Error("there are metrics")
	}
}

// TestNothingIsShownBeforeItIsDurable appends to a disk whose fsync does not return until it is let, and asks
// at every door that reads.
func TestNothingIsShownBeforeItIsDurable(t *testing.T) {
	var slow atomic.Bool
	let := make(chan struct{})
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if slow.Load() && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			<-let
		}
		return nil
	}))
	log := open(t, "log", fs)
	m := newMaker(1, 1)
	first, second := m.group(t, 50), m.group(t, 50)
	appendDurably(t, log, first)
	f := log.Follow(1)
	_, err := f.Next(context.Background())
	must(t, err)
	slow.Store(true)
	must(t, log.Append(second))
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, err := log.Record(51); !errors.Is(err, ledger.ErrNoRecord) {
		t.Errorf("Record: %v", err)
	}
	if _, err := log.Root(51); !errors.Is(err, ledger.ErrNoRecord) {
		t.Errorf("Root: %v", err)
	}
	if recs, err := f.Next(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("Next: %d, %v", len(recs), err)
	}
	if err := log.WaitDurable(stopped, 51); !errors.Is(err, context.Canceled) {
		t.Errorf("WaitDurable: %v", err)
	}
	if err := log.SetCursor("x", 51); !errors.Is(err, ledger.ErrNoRecord) {
		t.Errorf("SetCursor: %v", err)
	}
	if at, err := log.SeqAt(second[10].RecordedAt); err != nil || at != 50 {
		t.Errorf("SeqAt: %d, %v", at, err)
	}
	if _, ok, err := log.SeqOf(second[10].Command); ok || err != nil {
		t.Errorf("SeqOf: %v, %v", ok, err)
	}
	n := events.Seq(0)
	must(t, log.Scan(context.Background(), 1, 100, func(events.Record) error { n++; return nil }))
	if n != 50 || log.Durable() != 50 || log.Head().Seq != 100 {
		t.Errorf("Scan has %d records, %d are durable, and %d appended", n, log.Durable(), log.Head().Seq)
	}
	key, _ := second[10].DedupeKey()
	if rec, ok, err := log.Lookup(key); err != nil || !ok || rec.Seq != 61 {
		t.Errorf("Lookup, which does see what is in flight: %v, %v, %v", rec.Seq, ok, err)
	}
	close(let)
	must(t, log.WaitDurable(context.Background(), 100))
	if recs, err := f.Next(context.Background()); err != nil || recs[0].Seq != 51 {
		t.Errorf("Next: %v, %v", recs, err)
	}
}
