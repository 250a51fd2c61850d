package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/server"
	"tallystick/internal/wire"
)

// begin is real time before a story has set it.
var begin = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// World is a ledger in which a story happens. One goroutine may use it.
type World struct {
	dir    string
	real   atomic.Int64 // nanoseconds since 1970; the ledger's goroutines read it
	rand   *source
	server *server.Server

	who      wire.Who
	names    map[string]string // identities by name
	called   map[string]string // names by identity
	named    time.Time         // the time that was named last
	reported int               // usage events
	refusals []string          // their messages

	noted events.Seq // the last record whose charge is noted
	open  map[events.ChargeID]struct{}
}

// source is random bits that are the same in every run. Any goroutine may read it.
type source struct {
	mu   sync.Mutex // guards the field below
	bits *rand.ChaCha8
}

// Read implements io.Reader.
func (s *source) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bits.Read(b)
}

// NewWorld makes a sandbox ledger in dir, which must be empty or not exist. Its operator acts.
func NewWorld(ctx context.Context, dir string) (*World, error) {
	w := &World{
		dir: dir, rand: &source{bits: rand.NewChaCha8([32]byte{1})}, who: wire.Who{Role: events.OperatorKey},
		names: make(map[string]string), called: make(map[string]string), named: begin, open: make(map[events.ChargeID]struct{}),
	}
	w.real.Store(begin.UnixNano())
	return w, w.start(ctx, true)
}

func (w *World) start(ctx context.Context, create bool) (err error) {
	w.server, err = server.Open(ctx, server.Config{
		Dir: w.dir, Create: create, Clock: func() time.Time { return time.Unix(0, w.real.Load()).UTC() }, Rand: w.rand,
	})
	if err != nil {
		return err
	}
	return w.settle()
}

// Close closes the ledger.
func (w *World) Close(ctx context.Context) error { return w.server.Close(ctx) }

// restart closes the ledger and opens it again.
func (w *World) restart(ctx context.Context) error {
	if err := w.server.Close(ctx); err != nil {
		return err
	}
	return w.start(ctx, false)
}

// settle waits until everything has happened that is due, the payment provider has answered, and what was held is billed.
func (w *World) settle() error {
	for {
		before := w.server.Sequencer.Applied()
		done := make(chan struct{})
		if err := w.server.Sequencer.Submit(&commands.Call{Done: func([]commands.Receipt) { close(done) }}); err != nil {
			return err
		}
		<-done
		if w.server.Sequencer.Applied() != before {
			continue
		}
		if err := errors.Join(w.server.Err(), w.noteCharges(before)); err != nil || len(w.open) == 0 && w.server.Attached(before) {
			return err
		}
		timer := time.NewTimer(time.Millisecond)
		<-timer.C
	}
}

// noteCharges notes which charges the records up to a sequence leave open.
func (w *World) noteCharges(until events.Seq) error {
	if err := w.server.Log.WaitDurable(context.Background(), until); err != nil {
		return err
	}
	for ; w.noted < until; w.noted++ {
		rec, err := w.server.Log.Record(w.noted + 1)
		if err != nil {
			return err
		}
		switch e := rec.Event.(type) {
		case events.ChargeRequested:
			w.open[e.Charge] = struct{}{}
		case events.ChargeSucceeded:
			delete(w.open, e.Charge)
		case events.ChargeFailed:
			delete(w.open, e.Charge)
		case events.ChargeActionRequired:
			delete(w.open, e.Charge)
		default: // the others are about no charge
		}
	}
	return nil
}

// command carries out a command, and returns its receipts, and the answer.
func (w *World) command(ctx context.Context, name string, fields map[string]any) ([]commands.Receipt, []byte, error) {
	body, err := json.Marshal(fields)
	if err != nil {
		return nil, nil, err
	}
	for {
		answer, err := w.server.Command(ctx, w.who, w.who.Merchant, name, body)
		if err != nil {
			return nil, nil, err
		}
		var one commands.Receipt
		var many struct {
			Receipts []commands.Receipt `json:"receipts"`
		}
		if err := errors.Join(json.Unmarshal(answer, &one), json.Unmarshal(answer, &many)); err != nil {
			return nil, nil, fmt.Errorf("the answer %s: %w", answer, err)
		}
		if one.Code == commands.Busy { // the rules' books are still being filled
			timer := time.NewTimer(time.Millisecond)
			<-timer.C
			continue
		}
		if many.Receipts == nil {
			many.Receipts = []commands.Receipt{one}
		}
		return many.Receipts, answer, w.settle()
	}
}

// query answers a question about the state after all that has happened.
func (w *World) query(ctx context.Context, name string, fields map[string]any) (any, error) {
	args, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	if err := w.server.Views.WaitFor(ctx, w.server.Sequencer.Applied()); err != nil {
		return nil, err
	}
	answer, err := w.server.Query(ctx, w.who, name, args)
	if err != nil {
		return nil, err
	}
	return decode(answer)
}

// decode reads JSON, with numbers as they are written.
func decode(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// name gives an identity a name. Answers call it by its first one.
func (w *World) name(name, id string) {
	w.names[name] = id
	if _, ok := w.called[id]; !ok {
		w.called[id] = name
		if rest, ok := strings.CutPrefix(id, "com_"); ok {
			w.called["ent_"+rest] = name // the API has both (D29)
		}
	}
}

// Finish checks what must hold of every ledger: see the package comment.
func (w *World) Finish(ctx context.Context) error {
	w.who = wire.Who{Role: events.OperatorKey}
	tb, err := w.query(ctx, "TrialBalance", nil)
	if err != nil {
		return err
	}
	if at(tb, "balanced") != true {
		return fmt.Errorf("the trial balance is not zero: %v", at(tb, "sums"))
	}
	report, err := w.server.Target().Verify(ctx, nil)
	if err != nil {
		return err
	}
	if !report.OK {
		return fmt.Errorf("the ledger does not verify: %s", report.Problem())
	}
	rebuilt, err := w.server.Target().Rebuild(ctx, false, nil)
	if err != nil {
		return err
	}
	if !rebuilt.Identical {
		return fmt.Errorf("the views made again differ: %s", rebuilt.Difference)
	}
	return nil
}
