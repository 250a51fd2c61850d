package ledger

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// failure is the mark that a log has failed (D15). It is set once and never taken
// back: only a new process, which reads what the disk really holds, can go on.
type failure struct {
	once sync.Once
	err  atomic.Pointer[error]
	ch   chan struct{} // closed when the mark is set
}

func newFailure() *failure { return &failure{ch: make(chan struct{})} }

// mark sets the mark. Only the first cause is kept.
func (f *failure) mark(cause error) {
	f.once.Do(func() {
		err := fmt.Errorf("%w: %w", ErrFailed, cause)
		f.err.Store(&err)
		close(f.ch)
	})
}

// get returns why the log has failed, or nil.
func (f *failure) get() error {
	if p := f.err.Load(); p != nil {
		return *p
	}
	return nil
}

// storeLogger is Pebble's Logger. Pebble calls Fatalf where it cannot go on, and
// expects it not to return: when it did, a synced write that failed would be
// reported as done. To exit is not ours to decide, so the calling goroutine stays
// here for ever, with whatever locks it holds, and the failure mark tells everyone
// else to keep out of Pebble.
type storeLogger struct {
	log  *slog.Logger
	fail *failure
}

// Infof implements pebble.Logger.
func (l storeLogger) Infof(format string, args ...any) {
	l.log.Debug("store: " + fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (l storeLogger) Errorf(format string, args ...any) {
	l.log.Error("store: " + fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. It does not return.
func (l storeLogger) Fatalf(format string, args ...any) {
	cause := fmt.Errorf(format, args...)
	l.fail.mark(cause)
	l.log.Error("store: cannot go on", "err", cause)
	select {}
}

// listener returns Pebble's event listener. A flush or compaction that fails would be
// tried again at once and for ever, with memory filling up behind it, and may have met
// corrupt bytes. So it too marks the log failed and parks; what it was to write is
// in the WAL, and is found again at the next start.
func (l storeLogger) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			l.fail.mark(fmt.Errorf("in the background: %w", err))
			l.log.Error("store: cannot go on", "err", err)
			select {}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			l.log.Error("store: corrupt file", "file", info.Path, "err", info.Details)
		},
	}
}
