package natsbus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
)

// keysBucket mirrors the wrapped keys of consumers (D4). It is a bucket as the library makes
// them, but for one thing: a value can be deleted and overwritten on disk.
const keysBucket = "TALLY_KEYS"

func (b *Bus) openKeys(ctx context.Context) error {
	_, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:              "KV_" + keysBucket,
		Description:       "wrapped keys of consumers",
		Subjects:          []string{"$KV." + keysBucket + ".>"},
		MaxMsgsPerSubject: 1,
		Discard:           jetstream.DiscardNew,
		Storage:           jetstream.FileStorage,
		Replicas:          b.opts.replicas(),
		AllowRollup:       true,
		AllowDirect:       true,
	})
	if err != nil {
		return fmt.Errorf("opening the bucket %s: %w", keysBucket, err)
	}
	return nil
}

// rootName is where the key that belongs to no consumer is mirrored.
const rootName = "root"

func wrappedName(consumer events.OrganizationID) string {
	if consumer.IsZero() {
		return rootName
	}
	return consumer.String()
}

// PutWrapped mirrors the wrapped key of a consumer.
func (b *Bus) PutWrapped(ctx context.Context, consumer events.OrganizationID, wrapped []byte) error {
	bucket, err := b.js.KeyValue(ctx, keysBucket)
	if err == nil {
		_, err = bucket.Put(ctx, wrappedName(consumer), wrapped)
	}
	if err != nil {
		return fmt.Errorf("mirroring the key of %s: %w", consumer, err)
	}
	return nil
}

// DeleteWrapped removes the key of a consumer and overwrites it on the server's disk. It is no error
// if there is none.
func (b *Bus) DeleteWrapped(ctx context.Context, consumer events.OrganizationID) error {
	err := b.deleteWrapped(ctx, consumer)
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("removing the mirrored key of %s: %w", consumer, err)
	}
	return nil
}

func (b *Bus) deleteWrapped(ctx context.Context, consumer events.OrganizationID) error {
	bucket, err := b.js.KeyValue(ctx, keysBucket)
	if err != nil {
		return err
	}
	entry, err := bucket.Get(ctx, wrappedName(consumer))
	if err != nil {
		return err
	}
	stream, err := b.js.Stream(ctx, "KV_"+keysBucket)
	if err != nil {
		return err
	}
	return stream.SecureDeleteMsg(ctx, entry.Revision())
}

// EachWrapped calls fn with every key that is mirrored, in no particular order.
func (b *Bus) EachWrapped(ctx context.Context, fn func(consumer events.OrganizationID, wrapped []byte) error) error {
	bucket, err := b.js.KeyValue(ctx, keysBucket)
	if err != nil {
		return fmt.Errorf("opening the bucket %s: %w", keysBucket, err)
	}
	watcher, err := bucket.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return fmt.Errorf("reading the bucket %s: %w", keysBucket, err)
	}
	defer func() { _ = watcher.Stop() }() // it ends with the connection at the latest
	for {
		select {
		case entry := <-watcher.Updates():
			if entry == nil { // that was all
				return nil
			}
			var consumer events.OrganizationID
			if entry.Key() != rootName {
				if consumer, err = events.ParseID[events.OrganizationNoun](entry.Key()); err != nil {
					return fmt.Errorf("reading the bucket %s: %w", keysBucket, err)
				}
			}
			if err := fn(consumer, entry.Value()); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
