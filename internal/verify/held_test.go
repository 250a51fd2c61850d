package verify

import (
	"errors"
	"testing"

	"tallystick/events"
)

// TestHeldEvents holds that the auditor misses no event that was held, finds none that comes out twice, out of order or to another, and
// sees that keys go with the last event and not before.
func TestHeldEvents(t *testing.T) {
	acme, external, key, other := events.OrganizationID{1}, events.Digest{2}, events.OrganizationID{3}, events.OrganizationID{4}
	customer, stranger := events.CustomerID{5}, events.CustomerID{6}
	hold := func(seq events.Seq, key events.OrganizationID) events.Record {
		return record(seq, 0, 0, acme, events.EventHeld{External: external, Body: events.Sealed{Key: key}})
	}
	use := func(seq events.Seq, command byte, held events.Seq, who events.CustomerID) events.Record {
		return record(seq, command, held, acme, &events.UsageReported{Customer: who})
	}
	release := func(seq events.Seq, command byte, held events.Seq, code string, keys ...events.OrganizationID) events.Record {
		return record(seq, command, 0, acme, events.EventReleased{External: external, Held: held, Code: code, Keys: keys})
	}
	discard := func(n uint64, keys ...events.OrganizationID) events.Record {
		return record(9, 9, 0, acme, events.HeldDiscarded{External: external, Count: n, Keys: keys})
	}
	for _, tt := range []struct {
		name    string
		records []events.Record
		bad     events.Seq // the first that is wrong; 0 for none
	}{
		{"billed", []events.Record{hold(1, key), use(2, 2, 1, customer), release(3, 2, 1, "", key)}, 0},
		{"let go", []events.Record{hold(1, key), hold(2, key), release(3, 2, 1, "INVALID"), release(4, 3, 2, "INVALID", key)}, 0},
		{"discarded", []events.Record{hold(1, key), hold(2, other), discard(2, key, other)}, 0},
		{"usage that was not held", []events.Record{use(1, 2, 0, customer), use(2, 3, 0, customer)}, 0},

		{"twice", []events.Record{hold(1, key), hold(2, key), release(3, 2, 1, "INVALID"), release(4, 3, 1, "INVALID")}, 4},
		{"out of order", []events.Record{hold(1, key), hold(2, key), release(3, 2, 2, "INVALID")}, 3},
		{"never held", []events.Record{release(1, 2, 1, "INVALID")}, 1},
		{"billed and still held", []events.Record{hold(1, key), use(2, 2, 1, customer), hold(3, key)}, 3},
		{"billed and still held, at the end", []events.Record{hold(1, key), use(2, 2, 1, customer)}, 2},
		{"billed and let go", []events.Record{hold(1, key), use(2, 2, 1, customer), release(3, 2, 1, "INVALID", key)}, 3},
		{"billed without usage", []events.Record{hold(1, key), release(2, 2, 1, "", key)}, 2},
		{"billed by the usage of another", []events.Record{hold(1, key), hold(2, key), use(3, 2, 2, customer), release(4, 2, 1, "")}, 4},
		{"billed to a stranger", []events.Record{hold(1, key), use(2, 2, 1, stranger), release(3, 2, 1, "", key)}, 3},
		{"a key that is left", []events.Record{hold(1, key), hold(2, other), release(3, 2, 1, "INVALID"), release(4, 3, 2, "INVALID", key)}, 4},
		{"a key that goes too early", []events.Record{hold(1, key), hold(2, key), release(3, 2, 1, "INVALID", key)}, 3},
		{"some discarded", []events.Record{hold(1, key), hold(2, key), discard(1, key)}, 9},
		{"discarded, and the key is left", []events.Record{hold(1, key), discard(1)}, 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAuditor()
			a.customers[customer] = customerOf(acme, external)
			a.customers[stranger] = customerOf(acme, events.Digest{})
			var bad events.Seq
			for i := range tt.records {
				if a.released(&tt.records[i]) != nil {
					bad = tt.records[i].Seq
					break
				}
			}
			if left, ok := errors.AsType[*Finding](a.finished()); ok && bad == 0 {
				bad = left.Record
			}
			if bad != tt.bad {
				t.Errorf("found %d, want %d", bad, tt.bad)
			}
		})
	}
}

func customerOf(m events.OrganizationID, external events.Digest) customer {
	return customer{merchant: m, external: external}
}

func record(seq events.Seq, command byte, cause events.Seq, m events.OrganizationID, e events.Event) events.Record {
	return events.Record{Envelope: events.Envelope{Seq: seq, Merchant: m, Command: events.CommandID{15: command}, Cause: cause}, Event: e}
}
