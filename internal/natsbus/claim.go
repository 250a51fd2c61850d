package natsbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
	"tallystick/ledger/publisher"
)

const (
	claimBucket = "TALLY"
	claimKey    = "claim"
)

// Claim is the right of one instance to publish to the streams (D18).
type Claim struct {
	bus      *Bus
	revision uint64
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
}

func (e *ClaimedError) Error() string {
	return fmt.Sprintf("the streams belong to instance %s of ledger %s: stop it first, and start this one with --take-over if it will not come back", e.Instance, e.Ledger)
}

// Claim takes the streams for an instance. The same instance takes them again at once. Those of another one are
// refused with a [*ClaimedError], unless takeOver is set.
func (b *Bus) Claim(ctx context.Context, instance string, ledger events.LedgerID, takeOver bool) (*Claim, error) {
	bucket, err := b.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: claimBucket, Description: "which instance publishes to the streams", Replicas: b.opts.replicas(),
	})
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: %w", claimBucket, err)
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
			if have.Instance != instance && !takeOver {
				return nil, &ClaimedError{have.Instance, have.Ledger}
			}
			revision, err = bucket.Update(ctx, claimKey, value, entry.Revision())
		}
		switch {
		case err == nil:
			return &Claim{b, revision}, nil
		case errors.Is(err, jetstream.ErrKeyExists), errors.Is(err, jetstream.ErrKeyRevisionMismatch): // another was faster: look again
		default:
			return nil, fmt.Errorf("taking the streams: %w", err)
		}
	}
}

// Held returns nil while the claim stands. It returns an error that matches
// [publisher.ErrTakenOver] when somebody has taken the streams since, be it the same instance started twice.
func (c *Claim) Held(ctx context.Context) error {
	bucket, err := c.bus.js.KeyValue(ctx, claimBucket)
	if err != nil {
		return fmt.Errorf("reading who holds the streams: %w", err)
	}
	entry, err := bucket.Get(ctx, claimKey)
	if err != nil {
		return fmt.Errorf("reading who holds the streams: %w", err)
	}
	if entry.Revision() != c.revision {
		return fmt.Errorf("%w (%s)", publisher.ErrTakenOver, entry.Value())
	}
	return nil
}
