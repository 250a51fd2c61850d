package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/ledger/keyring"
)

const heldEvent = `{"type":"llm.call","source":"gw","idempotencyKey":"gw/1","externalSubject":"c-2","externalId":"call_7","namespace":"eu","timestamp":"2024-01-15T10:30:00Z","data":{"n":1,"m":"x"}}`

// TestHeldAsItStands holds that what an event says is the same after it was held: no byte of its data is written in another way.
func TestHeldAsItStands(t *testing.T) {
	d, k, _ := newHolder()
	long := strings.Repeat("<", mostEventBytes-60) // which encoding/json writes with six bytes each
	event := strings.Replace(heldEvent, `{"n":1,"m":"x"}`, `{ "n" : 1.50, "list":[1,  "\u00e9",{ "a":2 }], "long":"`+long+`"}`, 1)
	w, err := decode(d, "IngestEvent", event)
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.Requests[0].Command.(*commands.IngestEvent)
	e := events.EventHeld{External: k.ExternalDigest(merchant, "c-1"), HappenedAt: cmd.HappenedAt, Body: cmd.Held.Body}
	r, found, err := d.Attach(t.Context(), &events.Record{Envelope: events.Envelope{Merchant: merchant}, Event: e}, e)
	if !found || err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(cmd.Data, r.Command.(*commands.AttachEvent).Event.Data); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

// newHolder returns a decoder that never draws an identity twice.
func newHolder() (*Decoder, *fakeKeyring, *fakeDirectory) {
	d, k, dir := newTestDecoder()
	var n uint64
	d.opts.NewConsumer = func() (id events.OrganizationID) {
		n++
		binary.BigEndian.PutUint64(id[8:], n)
		return id
	}
	return d, k, dir
}

// TestHoldAndAttach holds that an event without a customer is sealed as it came, under a key of its own, and that once there is one it is
// the command that it would have been.
func TestHoldAndAttach(t *testing.T) {
	d, k, _ := newHolder()
	w, err := decode(d, "IngestEvent", heldEvent)
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.Requests[0].Command.(*commands.IngestEvent)
	external := k.ExternalDigest(merchant, "c-2")
	if cmd.Held == nil || cmd.Held.External != external || !cmd.Held.NewKey || cmd.Held.Body.Key == consumer || !cmd.Metadata.IsZero() {
		t.Fatalf("held is %+v", cmd.Held)
	}
	e := events.EventHeld{External: external, HappenedAt: cmd.HappenedAt, Body: cmd.Held.Body}
	rec := &events.Record{Envelope: events.Envelope{Seq: 7, Merchant: merchant, Actor: events.Actor{Kind: events.ActorKey}}, Event: e}
	if _, found, err := d.Attach(t.Context(), rec, e); found || err != nil {
		t.Errorf("attached to nobody: %v", err)
	}
	e.External = k.ExternalDigest(merchant, "c-1") // whom the directory knows
	r, found, err := d.Attach(t.Context(), rec, e)
	if !found || err != nil {
		t.Fatalf("found %v, %v", found, err)
	}
	named, err := decode(d, "IngestEvent", strings.Replace(heldEvent, "c-2", "c-1", 1))
	if err != nil {
		t.Fatal(err)
	}
	want := *named.Requests[0].Command.(*commands.IngestEvent)
	want.External = "c-2"
	got := r.Command.(*commands.AttachEvent)
	if diff := cmp.Diff(want, got.Event); diff != "" || got.Held != 7 || got.External != e.External || r.Merchant != merchant || r.Actor != rec.Actor || r.Key != "" {
		t.Errorf("request %+v (-want +got):\n%s", r, diff)
	}
	k.keys[cmd.Held.Body.Key] = false
	if _, _, err := d.Attach(t.Context(), rec, e); !errors.Is(err, keyring.ErrErased) {
		t.Errorf("what nobody can read is attached: %v", err)
	}
}

// TestHeldKeys holds that the events which wait for the same customer share a key while it is good, and which of them say that it is new.
func TestHeldKeys(t *testing.T) {
	d, k, dir := newHolder()
	read := func(body string) (keys []string) {
		w, err := decode(d, "ReportUsage", body)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range w.Requests {
			held := r.Command.(*commands.IngestEvent).Held
			keys = append(keys, map[bool]string{true: "new ", false: ""}[held.NewKey]+held.Body.Key.String())
		}
		return keys
	}
	cloud := `{"specversion":"1.0","id":"1","source":"gw","type":"llm.call","externalsubject":"c-2","data":{"n":1}}`
	both := `[` + cloud + `,` + strings.Replace(cloud, `"1",`, `"2",`, 1) + `,` + strings.Replace(cloud, "c-2", "c-3", 1) + `]`
	first := read(both)
	if first[0] != first[1] || first[0] == first[2] || !strings.HasPrefix(first[0], "new ") || !strings.HasPrefix(first[2], "new ") {
		t.Errorf("in one batch the keys are %q", first)
	}
	if again := read(cloud); again[0] == first[0] {
		t.Errorf("what another call has made is used without being known: %q", again)
	}
	w, err := decode(d, "IngestEvent", heldEvent)
	if err != nil {
		t.Fatal(err)
	}
	dir.heldUnder = w.Requests[0].Command.(*commands.IngestEvent).Held.Body.Key
	if got := read(cloud); !slices.Equal(got, []string{dir.heldUnder.String()}) {
		t.Errorf("beside others the key is %q, want theirs, %s", got, dir.heldUnder)
	}
	k.keys[dir.heldUnder] = false
	if got := read(cloud); !strings.HasPrefix(got[0], "new ") {
		t.Errorf("after the others have ended the key is %q", got)
	}
	k.failed = errors.New("the disk is full")
	if _, err := d.Command(context.Background(), "IngestEvent", merchant, owner, []byte(heldEvent)); RejectionOf(err).Code != commands.LedgerFailed {
		t.Errorf("without a key the event is answered %v", err)
	}
}
