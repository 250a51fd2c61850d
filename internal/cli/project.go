package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/projections/views"
)

// projecting is the flags of tally project.
type projecting struct {
	store   string
	until   uint64
	follow  bool
	compare bool
	slot    int
}

func (a *app) project() *cobra.Command {
	var p projecting
	cmd := &cobra.Command{
		Use:   "project",
		Short: "Make the views from the stream alone, elsewhere, and print their digests",
		Long: `Make the views from the stream LEDGER alone, in a process of its own: with nothing but the records that a server has
published. The digests must be those of the server's own views at the same sequence; --compare asks for them, and gives
exit status 1 if they differ.

It needs --server, and an operator's or an auditor's key; or --data of a server on this machine. It goes on where the
store --store stands, and ends when it has everything that is published now, or at --until; with --follow it goes on until
it is interrupted.`,
		Example: `  tally project --server nats://ledger:4222 --key "$AUDITOR_KEY" --inbox _INBOX_key_01J… --compare
  tally project --data DIR --store /tmp/views --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(b Backend) error {
				r, ok := b.(remote)
				if !ok {
					return usagef("the stream is read from a running server: start one, or give --server")
				}
				return a.projectNow(cmd.Context(), r, &p)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.store, "store", "", "directory that the views are kept in (default a temporary one)")
	f.Uint64Var(&p.until, "until", 0, "last sequence to take")
	f.BoolVarP(&p.follow, "follow", "f", false, "go on with records as they are published")
	f.BoolVar(&p.compare, "compare", false, "compare with the digests of the server's views")
	f.IntVar(&p.slot, "slot", 4, "which of the key's consumers is used, 1 to 4")
	cmd.MarkFlagsMutuallyExclusive("follow", "until")
	cmd.MarkFlagsMutuallyExclusive("follow", "compare")
	cmd.MarkFlagsMutuallyExclusive("until", "compare")
	return cmd
}

// projection is what tally project came to.
type projection struct {
	Sequence events.Seq             `json:"sequence"`
	Digests  map[string]events.Hash `json:"digests"`
	Compared string                 `json:"compared,omitempty"` // "identical", or the projection that differs
}

func (a *app) projectNow(ctx context.Context, r remote, p *projecting) (err error) {
	dir := p.store
	if dir == "" {
		if dir, err = os.MkdirTemp("", "tally-project-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		dir = filepath.Join(dir, "views")
	}
	until := events.Seq(p.until)
	var want query.Digests
	if p.compare {
		if want, err = ask[query.Digests](ctx, r, "Digests", object{}); err != nil {
			return err
		}
		until = want.Sequence
	}
	if until == 0 && !p.follow {
		st, err := ask[query.Status](ctx, r, "Status", object{})
		if err != nil {
			return err
		}
		until = st.Published
	}
	out, err := a.fold(ctx, r, dir, until, p.slot)
	if err != nil {
		return err
	}
	if p.compare {
		out.Compared = compareDigests(out, want)
	}
	if a.json {
		err = writeJSON(a.Out, out)
	} else {
		a.say("sequence %d\n", out.Sequence)
		a.showDigests(out.Digests)
		if p.compare {
			a.say("\nthe server's views are %s\n", out.Compared)
		}
	}
	if err == nil && p.compare && out.Compared != "identical" {
		return errSilent
	}
	return err
}

func compareDigests(got *projection, want query.Digests) string {
	if got.Sequence != want.Sequence {
		return fmt.Sprintf("at sequence %d, not %d", want.Sequence, got.Sequence)
	}
	for name, digest := range want.Digests {
		if got.Digests[name] != digest {
			return "different in " + name
		}
	}
	return "identical"
}

// fold brings the store in dir up to a sequence, or, where that is 0, goes on until ctx ends.
func (a *app) fold(ctx context.Context, r remote, dir string, until events.Seq, slot int) (out *projection, err error) {
	opts := views.Options{NoSnapshots: true, Clock: a.Clock, Logger: a.logger()}
	store, err := openStore(dir, opts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	at, err := store.Checkpoint()
	if err != nil {
		return nil, err
	}
	if until != 0 && at.Seq > until {
		return nil, fmt.Errorf("the store in %s stands at sequence %d already, beyond %d", dir, at.Seq, until)
	}
	in, err := openRecords(ctx, r, at.Seq+1, until, slot)
	if err != nil {
		return nil, err
	}
	runner, err := views.StartRunner(store, in)
	if err != nil {
		return nil, err
	}
	err = a.watch(ctx, runner, until)
	if err = errors.Join(err, runner.Stop()); err != nil {
		return nil, err
	}
	rows, err := store.Reader()
	if err != nil {
		return nil, err
	}
	digests, err := rows.Digests(context.WithoutCancel(ctx))
	out = &projection{Sequence: rows.Seq(), Digests: make(map[string]events.Hash)}
	for _, d := range digests {
		out.Digests[d.Projection] = d.Hash
	}
	return out, errors.Join(err, rows.Close())
}

func openStore(dir string, opts views.Options) (*views.Store, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return views.CreateStore(dir, opts)
	}
	return views.OpenStore(dir, opts)
}

// watch waits until the runner has reached a sequence, or, where that is 0, until ctx ends, which is no error then.
func (a *app) watch(ctx context.Context, runner *views.Runner, until events.Seq) error {
	if until == 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-runner.Done():
			return runner.Err()
		}
	}
	return runner.WaitFor(ctx, until)
}

// records is the stream LEDGER as something to follow.
type records struct {
	consumer jetstream.Consumer
	until    events.Seq // 0 for no end
	last     events.Seq
}

// openRecords begins to read the stream with a record.
func openRecords(ctx context.Context, r remote, from, until events.Seq, slot int) (*records, error) {
	// The consumer of this slot may be left from an earlier run, and stand elsewhere. To ask for another kind first replaces it.
	var named struct {
		receipt
		Name string `json:"name"`
	}
	for _, start := range []object{{"new": true}, {"from": from}} {
		start["stream"], start["slot"] = "LEDGER", slot
		body, err := json.Marshal(start)
		if err != nil {
			return nil, err
		}
		answer, err := r.Conn().RequestWithContext(ctx, r.Subject("query", "OpenConsumer"), body)
		if err != nil {
			return nil, fmt.Errorf("opening the stream: %w", err)
		}
		if err := json.Unmarshal(answer.Data, &named); err != nil {
			return nil, fmt.Errorf("reading the answer to OpenConsumer: %w", err)
		}
		if err := named.err(); err != nil {
			return nil, fmt.Errorf("opening the stream: %w", err)
		}
	}
	js, err := jetstream.New(r.Conn())
	if err != nil {
		return nil, err
	}
	consumer, err := js.Consumer(ctx, "LEDGER", named.Name)
	if err != nil {
		return nil, fmt.Errorf("opening the stream: %w", err)
	}
	return &records{consumer, until, from - 1}, nil
}

// Next implements views.Follower.
func (in *records) Next(ctx context.Context) (recs []events.Record, err error) {
	if in.until != 0 && in.last >= in.until {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	const atOnce = 1000
	for len(recs) == 0 {
		batch, err := in.consumer.FetchNoWait(atOnce)
		if err == nil {
			recs, err = in.take(batch)
		}
		if err == nil && len(recs) == 0 { // nothing there: wait for one
			if batch, err = in.consumer.Fetch(1, jetstream.FetchMaxWait(2*time.Second)); err == nil {
				recs, err = in.take(batch)
			}
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
	}
	return recs, nil
}

// take returns the records of a batch that were not there before.
func (in *records) take(batch jetstream.MessageBatch) (recs []events.Record, err error) {
	for msg := range batch.Messages() {
		rec, err := events.DecodeRecord(msg.Data())
		if err != nil {
			return nil, fmt.Errorf("reading the stream after record %d: %w", in.last, err)
		}
		if rec.Seq > in.last && (in.until == 0 || rec.Seq <= in.until) {
			in.last = rec.Seq
			recs = append(recs, rec)
		}
	}
	return recs, batch.Error()
}
