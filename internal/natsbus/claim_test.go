package natsbus

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"tallystick/events"
	"tallystick/ledger/publisher"
)

// TestClaimLost says at once that another instance has taken the streams.
func TestClaimLost(t *testing.T) {
	w := newWorld(t, nil)
	claim, err := w.Claim(t.Context(), "one", events.LedgerID{1}, false)
	if err != nil {
		t.Fatal(err)
	}
	lost := make(chan error, 1)
	go func() { lost <- claim.Lost(timeout(t)) }()
	if _, err := w.Claim(t.Context(), "two", events.LedgerID{1}, true); err != nil {
		t.Fatal(err)
	}
	if err := <-lost; !errors.Is(err, publisher.ErrTakenOver) {
		t.Errorf("Lost returned %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := claim.Lost(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Lost returned %v when it was no longer asked for", err)
	}
}

// TestClaimAgain loses every stream: the claim is taken again, with all that is missing; and the second of two comes too late.
func TestClaimAgain(t *testing.T) {
	w := newWorld(t, nil)
	claim, err := w.Claim(t.Context(), "one", events.LedgerID{1}, false)
	if err != nil {
		t.Fatal(err)
	}
	other := &Claim{bus: w.Bus, value: []byte(`{"instance":"two"}`)}
	reopened := claim.Reopened()
	for name := range w.js.StreamNames(t.Context()).Name() {
		if err := w.js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := claim.Held(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-reopened:
	default:
		t.Error("it is not said that the streams are new")
	}
	select {
	case <-claim.Reopened():
		t.Error("it is said twice that the streams are new")
	default:
	}
	if err := other.Held(t.Context()); !errors.Is(err, publisher.ErrTakenOver) {
		t.Errorf("the second was answered %v", err)
	}
	if err := w.Post(t.Context(), Notify, "x.y", "", []byte("{}")); err != nil {
		t.Errorf("notices are not taken: %v", err)
	}
}

// TestClaimOfAnother takes over nothing that holds the records of another ledger, and takes what is empty.
func TestClaimOfAnother(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.Claim(t.Context(), "one", events.LedgerID{1}, false); err != nil {
		t.Fatal(err)
	}
	claim, err := w.Claim(t.Context(), "two", events.LedgerID{2}, true)
	if err != nil {
		t.Fatalf("streams without a record: %v", err)
	}
	if _, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: string(Ledger), Subjects: []string{"records"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.js.Publish(t.Context(), "records", []byte("a record")); err != nil {
		t.Fatal(err)
	}
	_, err = w.Claim(t.Context(), "three", events.LedgerID{3}, true)
	if e, ok := errors.AsType[*ClaimedError](err); !ok || !e.Other || e.Instance != "two" {
		t.Errorf("another ledger was answered %v", err)
	}
	if err := claim.Held(t.Context()); err != nil {
		t.Errorf("the claim does not stand: %v", err)
	}
	if _, err := w.Claim(t.Context(), "four", events.LedgerID{2}, true); err != nil {
		t.Errorf("the same ledger: %v", err)
	}
}
