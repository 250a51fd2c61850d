package natsbus

import (
	"errors"
	"testing"
)

// TestOneProcessHasTheStreams opens the store of an embedded server a second time, which must be refused until the first is closed: JetStream itself
// lets two servers write to one store.
func TestOneProcessHasTheStreams(t *testing.T) {
	opts := Options{Dir: t.TempDir(), Keys: testKeys()}
	first, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(opts); !errors.Is(err, ErrInUse) {
		t.Errorf("a second server on one store: %v", err)
	}
	first.Close()
	again, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
