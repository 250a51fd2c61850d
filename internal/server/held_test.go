package server

import (
	"slices"
	"testing"

	"tallystick/events"
	"tallystick/projections"
)

// TestRetryMeanwhile holds that money which comes while an event is found not to be payable is not missed: it is looked at again.
func TestRetryMeanwhile(t *testing.T) {
	a := newAttaching(nil)
	of := projections.Subject{A: events.OrganizationID{1}, B: events.Digest{2}}
	a.look(of)
	if got := a.take(); !slices.Equal(got, []projections.Subject{of}) {
		t.Fatalf("to be looked at is %v", got)
	}
	a.note(&events.Record{Event: events.WalletToppedUp{}})
	a.stuck[of] = true // by what stood before the top-up
	a.rest()
	if a.idle(0) {
		t.Error("nothing is to be done")
	}
	if got := a.take(); !slices.Equal(got, []projections.Subject{of}) {
		t.Errorf("after the top-up is looked at %v", got)
	}
}
