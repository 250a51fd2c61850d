package natsbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
	"tallystick/ledger/publisher"
)

const (
	claimBucket = "TALLY"
	claimKey    = "claim"
)

// Claim is the right of one instance to publish to the streams, and to answer for the ledger over NATS (D18).
type Claim struct {
	bus      *Bus
	value    []byte
	revision atomic.Uint64

	asking   sync.Mutex // held while it is asked about, so that only one takes it again
	mu       sync.Mutex
	reopened chan struct{} // guarded by mu; see Reopened
}

// claimEntry is what stands in the bucket.
type claimEntry struct {
	Instance string          `json:"instance"` // kept in the data directory
	Ledger   events.LedgerID `json:"ledgerId"`
}

// A ClaimedError reports that another instance holds the streams. Nothing was changed.
type ClaimedError struct {
	Instance string
	Ledger   events.LedgerID
	Other    bool // it is of another ledger, whose records are in the stream: these are never taken over
}

func (e *ClaimedError) Error() string {
	if e.Other {
		return fmt.Sprintf("the streams hold the records of another ledger, %s (instance %s): a ledger has a NATS server, or accounts, of its own; is --data the right directory?", e.Ledger, e.Instance)
	}
	return fmt.Sprintf("the streams belong to instance %s of ledger %s: stop it first, and start this one with --take-over if it will not come back", e.Instance, e.Ledger)
}

// Claim takes the streams for an instance. The same instance takes them again at once. Those of another one are
// refused with a [*ClaimedError], unless takeOver is set; then too, if there are records of another ledger in them.
func (b *Bus) Claim(ctx context.Context, instance string, ledger events.LedgerID, takeOver bool) (*Claim, error) {
	bucket, err := b.claims(ctx)
	if err != nil {
		return nil, err
	}
	value, err := json.Marshal(claimEntry{instance, ledger})
	if err != nil {
		return nil, err
	}
	for {
		entry, err := bucket.Get(ctx, claimKey)
		if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil, fmt.Errorf("reading who holds the streams: %w", err)
		}
		var revision uint64
		if err != nil {
			revision, err = bucket.Create(ctx, claimKey, value)
		} else {
			var have claimEntry
			if err := json.Unmarshal(entry.Value(), &have); err != nil {
				return nil, fmt.Errorf("reading who holds the streams: %w", err)
			}
			if have.Instance != instance {
				other, err := b.ofAnother(ctx, have.Ledger, ledger)
				if err != nil {
					return nil, err
				}
				if other || !takeOver {
					return nil, &ClaimedError{have.Instance, have.Ledger, other}
				}
			}
			revision, err = bucket.Update(ctx, claimKey, value, entry.Revision())
		}
		switch {
		case err == nil:
			c := &Claim{bus: b, value: value, reopened: make(chan struct{})}
			c.revision.Store(revision)
			return c, nil
		case errors.Is(err, jetstream.ErrKeyExists), errors.Is(err, jetstream.ErrKeyRevisionMismatch): // another was faster: look again
		default:
			return nil, fmt.Errorf("taking the streams: %w", err)
		}
	}
}

// ofAnother reports whether whoever holds the streams has published another ledger to them than ours.
func (b *Bus) ofAnother(ctx context.Context, holder, ours events.LedgerID) (bool, error) {
	if holder == ours {
		return false, nil
	}
	stream, err := b.js.Stream(ctx, string(Ledger))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("opening %s: %w", Ledger, err)
	}
	return stream.CachedInfo().State.Msgs > 0, nil
}

// claims opens the bucket of claims, and makes it where it is missing.
func (b *Bus) claims(ctx context.Context) (jetstream.KeyValue, error) {
	bucket, err := b.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: claimBucket, Description: "which instance publishes to the streams", Replicas: b.opts.replicas(),
	})
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: %w", claimBucket, err)
	}
	return bucket, nil
}

// Held returns nil while the claim stands. It returns an error that matches
// [publisher.ErrTakenOver] when somebody has taken the streams since, be it the same instance started twice. Where the
// NATS server has lost everything, claims too, it opens the streams and takes them again, unless another is faster.
func (c *Claim) Held(ctx context.Context) error {
	c.asking.Lock()
	defer c.asking.Unlock()
	bucket, err := c.bus.js.KeyValue(ctx, claimBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return c.again(ctx)
	}
	if err != nil {
		return fmt.Errorf("reading who holds the streams: %w", err)
	}
	entry, err := bucket.Get(ctx, claimKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return c.again(ctx)
	}
	if err != nil {
		return fmt.Errorf("reading who holds the streams: %w", err)
	}
	return c.same(entry)
}

func (c *Claim) same(entry jetstream.KeyValueEntry) error {
	if entry.Revision() != c.revision.Load() {
		return fmt.Errorf("%w (%s)", publisher.ErrTakenOver, entry.Value())
	}
	return nil
}

// again opens streams that were lost, and takes them. The claim comes last: it says that all of them are there.
func (c *Claim) again(ctx context.Context) error {
	if err := c.bus.OpenStreams(ctx); err != nil {
		return err
	}
	bucket, err := c.bus.claims(ctx)
	if err != nil {
		return err
	}
	revision, err := bucket.Create(ctx, claimKey, c.value)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("%w, after they were lost", publisher.ErrTakenOver)
	}
	if err != nil {
		return fmt.Errorf("taking the streams again: %w", err)
	}
	c.revision.Store(revision)
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.reopened)
	c.reopened = make(chan struct{})
	return nil
}

// Reopened returns a channel that is closed once the streams were lost after now, and are opened again: what is in them and
// not in the log is to be put there again.
func (c *Claim) Reopened() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reopened
}

// Lost waits until somebody else takes the streams, and returns an error that matches [publisher.ErrTakenOver]; or until ctx
// ends, or it can wait no longer, and returns why.
func (c *Claim) Lost(ctx context.Context) error {
	bucket, err := c.bus.js.KeyValue(ctx, claimBucket)
	if err != nil {
		return fmt.Errorf("watching who holds the streams: %w", err)
	}
	watcher, err := bucket.Watch(ctx, claimKey)
	if err != nil {
		return fmt.Errorf("watching who holds the streams: %w", err)
	}
	defer func() { _ = watcher.Stop() }() // it ends with the connection at the latest
	for {
		select {
		case entry, ok := <-watcher.Updates():
			if !ok {
				return errors.New("who holds the streams can no longer be watched")
			}
			if entry == nil { // that is how it stands
				continue
			}
			if err := c.same(entry); err != nil && c.Held(ctx) != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
