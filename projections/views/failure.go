package views

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrCorrupt matches every error that says stored bytes are not what was written.
	ErrCorrupt = errors.New("views: corrupt")
	// ErrFailed reports that a store has failed: a write did not reach the disk, or may not have.
	ErrFailed = errors.New("views: store failed")
	// ErrClosed reports a call on closed views.
	ErrClosed = errors.New("views: closed")
	// ErrOther reports stored books that are not of this ledger, or of another fold version.
	ErrOther = errors.New("views: not books of this ledger and fold version")
	// ErrNotKept reports a question that a state of the past does not answer.
	ErrNotKept = errors.New("views: not kept of the past")
	// ErrBusy reports that a rebuild is under way.
	ErrBusy = errors.New("views: another rebuild is under way")
)

// corruption returns err as an error that matches [ErrCorrupt], and names the file, if that is
// what it is; and err itself if not. The offset in the file stands in Pebble's own message.
func corruption(err error) error {
	if err == nil || !pebble.IsCorruptionError(err) || errors.Is(err, ErrCorrupt) {
		return err
	}
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		return fmt.Errorf("%w: file %s: %w", ErrCorrupt, info.Path, info.Details)
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// failure is the mark that a store is not to be used any more.
type failure struct {
	marked chan struct{} // closed when the store has failed
	dead   chan struct{} // closed when the store is parked

	mu  sync.Mutex // guards the fields below
	err error      // why the store has failed, nil if it has not
	bad error      // the first corruption that was met, nil if none was
}

func newFailure() *failure {
	return &failure{marked: make(chan struct{}), dead: make(chan struct{})}
}

// fail marks the store failed: it can be closed, and no more.
func (f *failure) fail(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failLocked(cause)
}

func (f *failure) failLocked(cause error) {
	if f.err == nil {
		f.err = fmt.Errorf("%w: %w", ErrFailed, cause)
		close(f.marked)
	}
}

// park marks the store failed for good: Pebble may hold locks for ever, and must not be entered.
func (f *failure) park(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failLocked(cause)
	select {
	case <-f.dead:
	default:
		close(f.dead)
	}
}

// condemn notes a corruption. It reports whether it is the first one.
func (f *failure) condemn(cause error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bad != nil {
		return false
	}
	f.bad = cause
	return true
}

// failed returns why the store has failed, nil if it has not.
func (f *failure) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// parked is failed for a store that must not be entered.
func (f *failure) parked() error {
	select {
	case <-f.dead:
		return f.failed()
	default:
		return nil
	}
}

// condemned returns the first corruption that was met, nil if none was.
func (f *failure) condemned() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bad
}

// storeLogger is Pebble's Logger. Pebble calls Fatalf where it cannot go on, and expects it not to return. To
// exit the process is not ours to decide, least of all for a copy that can be made again: the calling goroutine
// stays here for ever, and the mark tells everyone else to keep out of this store.
type storeLogger struct {
	log  *slog.Logger
	fail *failure
	bad  func(error) // is told of each corruption
}

// Infof implements pebble.Logger.
func (l storeLogger) Infof(format string, args ...any) {
	l.log.Debug("views store: " + fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (l storeLogger) Errorf(format string, args ...any) {
	l.log.Error("views store: " + fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. It does not return.
func (l storeLogger) Fatalf(format string, args ...any) {
	cause := fmt.Errorf(format, args...)
	l.fail.park(cause)
	l.log.Error("views store: cannot go on", "err", cause)
	select {}
}

// retryPause is how long Pebble is made to wait before it tries again what has failed: by itself it waits not at all.
const retryPause = 100 * time.Millisecond

// listener returns Pebble's event listener. After a flush or a compaction that failed the
// store is not used any more: memory would fill up behind it.
func (l storeLogger) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			l.log.Error("views store: background error", "err", err)
			if pebble.IsCorruptionError(err) {
				l.bad(corruption(err))
			}
			l.fail.fail(fmt.Errorf("in the background: %w", err))
			<-time.After(retryPause)
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			err := fmt.Errorf("%w: file %s: %w", ErrCorrupt, info.Path, info.Details)
			l.log.Error("views store: corrupt file", "err", err)
			l.bad(err)
		},
	}
}
