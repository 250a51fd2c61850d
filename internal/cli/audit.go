package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"tallystick/events"
	"tallystick/internal/operate"
	"tallystick/internal/query"
	"tallystick/internal/verify"
	"tallystick/ledger"
	"tallystick/ledger/keyring"
	"tallystick/projections/views"
)

func (a *app) verify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Check everything against everything",
		Long: `Check everything against everything: the bytes of the log, the Merkle tree, signed checkpoints, the balance of each
record's postings, gaps, and the index of idempotency keys; all billing, which is done again from the usage and the
catalog; the views and their snapshots, which are folded again from the first record; the keys of personal data, and those
that sign checkpoints; and the published stream. What is wrong is named, by record or by file, and gives exit status 1.

Views that cannot be read when the ledger is opened are made again from the log: that is said, and is no failure.`,
		Example: `  tally verify --data DIR
  tally verify --data DIR --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := a.verifyNow(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				err = writeJSON(a.Out, report)
			} else {
				a.showReport(report)
			}
			if err == nil && !report.OK {
				return errSilent
			}
			return err
		},
	}
}

// verifyNow verifies the ledger: here, or by the server that has it open. One that cannot be opened for what is in its
// files has a report too.
func (a *app) verifyNow(ctx context.Context) (report *verify.Report, err error) {
	b, err := a.open(ctx)
	if corrupt(err) && !errors.Is(err, syscall.ENOSPC) { // a full disk has damaged nothing
		if advice := a.advice(err); advice != "" {
			defer a.note("%s\n", advice) // it is no part of the report
		}
		step := verify.Step{Name: "open", Problem: wording(err)}
		if c, ok := errors.AsType[*ledger.CorruptError](err); ok {
			step.Record = c.Seq
		}
		return &verify.Report{Steps: []verify.Step{step}}, nil
	}
	if err != nil {
		return nil, err
	}
	if l, ok := b.(*local); ok {
		report, err = a.verifyHere(ctx, l)
	} else {
		report, err = ask[*verify.Report](ctx, b, "Verify", object{})
	}
	return report, errors.Join(err, b.Close())
}

// verifyHere verifies a directory that is open here, with its streams.
func (a *app) verifyHere(ctx context.Context, l *local) (*verify.Report, error) {
	target := l.Target()
	closeStream, err := target.OpenStream(ctx)
	switch {
	case err == nil:
		defer closeStream()
	case ctx.Err() != nil:
		return nil, err
	default:
		target.StreamErr = err // the log is to be looked at all the same
	}
	return target.Verify(ctx, a.stepper())
}

// corrupt reports whether err says that stored bytes are not what was written, or made the store give up.
func corrupt(err error) bool {
	for _, target := range []error{ledger.ErrCorrupt, ledger.ErrFailed, views.ErrCorrupt, views.ErrFailed, keyring.ErrCorrupt} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// stepper returns a function that shows how far a task of several steps has come.
func (a *app) stepper() func(step string, done, total events.Seq) {
	current := ""
	bar := a.bar(-1, "", false)
	return func(step string, done, total events.Seq) {
		if step != current {
			current = step
			bar = a.bar(int64(total), step, false)
		}
		_ = bar.Set64(int64(done)) // it writes to the terminal only
	}
}

func (a *app) showReport(r *verify.Report) {
	t := newTable("", "", "")
	for _, s := range r.Steps {
		state, detail := "ok", s.Detail
		switch {
		case s.Skipped:
			state = "-"
		case !s.OK && s.Record != 0:
			state, detail = "WRONG", fmt.Sprintf("record %d: %s", s.Record, s.Problem)
		case !s.OK:
			state, detail = "WRONG", s.Problem
		}
		t.add(state, s.Name, detail)
	}
	t.write(a.Out)
	if r.OK {
		a.say("\n%d records of %s hold, root %s, in %.1f s\n", r.Size, r.Ledger, r.Root, r.Seconds)
	} else {
		a.say("\nThe ledger does not hold.\n")
	}
}

func (a *app) rebuild() *cobra.Command {
	var accept bool
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Make all views again from the log, compare, and swap",
		Long: `Make all views again from the first record, beside the ones in use, and compare both by digest. If they are equal the new
ones take the place of the old. If they differ the first row that does is printed, the old ones stay, and the exit
status is 1; --accept swaps nonetheless.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(b Backend) error { return a.rebuildNow(cmd.Context(), b, accept) })
		},
	}
	cmd.Flags().BoolVar(&accept, "accept", false, "use the new views although the old ones differ")
	return cmd
}

func (a *app) rebuildNow(ctx context.Context, b Backend, accept bool) (err error) {
	var res operate.Rebuilt
	if l, ok := b.(*local); ok {
		step := a.stepper()
		res, err = l.Target().Rebuild(ctx, accept, func(done, total events.Seq) { step("rebuilding", done, total) })
	} else {
		res, err = ask[operate.Rebuilt](ctx, b, "Rebuild", object{"accept": accept})
	}
	if err != nil {
		return err
	}
	if a.json {
		err = writeJSON(a.Out, res)
	} else {
		a.showRebuilt(&res)
	}
	if err == nil && !res.Identical {
		return errSilent
	}
	return err
}

func (a *app) showRebuilt(res *operate.Rebuilt) {
	t := newTable("projection", ">rows", "digest")
	for _, d := range res.Digests {
		t.add(d.Projection, fmt.Sprint(d.Rows), d.Hash.String())
	}
	t.write(a.Out)
	switch {
	case res.Identical:
		a.say("identical at sequence %d\n", res.Sequence)
	case res.Swapped:
		a.say("different at sequence %d, and accepted: %s\n", res.Sequence, res.Difference)
	default:
		a.say("DIFFERENT at sequence %d: %s\n", res.Sequence, res.Difference)
	}
}

func (a *app) prove() *cobra.Command {
	var file, since string
	cmd := &cobra.Command{
		Use:   "prove SEQUENCE|INVOICE-LINE|--since CHECKPOINT-FILE",
		Short: "Write a proof that anybody can check",
		Long: `Write a proof that a record is in the ledger: the record, the path from it to the root of the Merkle tree, and a signed
checkpoint of that tree. The proof of an invoice line (li_…) has all usage that the line stands for too, so that it
shows that the line has neither more nor less. tally check-proof checks it, without the ledger and without a server.

With --since it is a proof that the ledger has only grown since a checkpoint that was kept (tally checkpoint): the records of
then are the first of those of now, none changed. If they are not, that is said, and gives exit status 1.`,
		Example: `  tally prove 120000 -o record.proof
  tally prove li_01JD3W0000000000000000000A -o line.proof
  tally check-proof line.proof --key "$(cat DIR/keys/checkpoint.pub)"
  tally prove --since january.checkpoint -o year.proof`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, what, err := proofWanted(args, since)
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(b Backend) error {
				proof, err := ask[json.RawMessage](cmd.Context(), b, name, what)
				if err != nil {
					return err
				}
				if file == "" {
					return writeRaw(a.Out, proof)
				}
				return os.WriteFile(file, append(proof, '\n'), 0o600)
			})
		},
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "file to write (default standard output)")
	cmd.Flags().StringVar(&since, "since", "", "file with a checkpoint that was kept: prove that the ledger has only grown since")
	return cmd
}

// proofWanted returns the query for a proof, and its arguments.
func proofWanted(args []string, since string) (name string, what any, err error) {
	if (len(args) == 0) == (since == "") {
		return "", nil, usagef("say what is to be proved: a sequence, an invoice line (li_…), or --since CHECKPOINT-FILE")
	}
	if since == "" {
		what, err = proofArgs(args[0])
		return "Proof", what, err
	}
	kept, err := os.ReadFile(since)
	return "Consistency", query.ConsistencyArgs{Since: string(kept)}, err
}

func proofArgs(s string) (p query.ProofArgs, err error) {
	if n, err := strconv.ParseUint(s, 10, 64); err == nil && n > 0 {
		p.Sequence = events.Seq(n)
		return p, nil
	}
	if p.Line, err = events.ParseID[events.LineNoun](s); err != nil {
		return p, usagef("%q is neither a sequence nor an invoice line (li_…)", s)
	}
	return p, nil
}

func (a *app) checkProof() *cobra.Command {
	var keys []string
	cmd := &cobra.Command{
		Use:   "check-proof FILE|-",
		Short: "Check a proof, with nothing but a public key",
		Long: `Check a proof that tally prove has written. It needs neither a ledger nor a server, only the public key of the ledger's
checkpoints, as text or as the name of a file with it (DIR/keys/checkpoint.pub). The key must come from somebody you
trust, not with the proof.`,
		Example: `  tally check-proof line.proof --pub checkpoint.pub
  tally check-proof record.proof --key tallystick/ldg_01JD3W…+5a5a5a5a+AbCd…`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if a.at.key != "" {
				keys = append(keys, a.at.key)
			}
			return a.checkNow(args[0], keys)
		},
	}
	cmd.Flags().StringArrayVar(&keys, "pub", nil, "public key, or a file with public keys; can be repeated; --key does the same")
	return cmd
}

func (a *app) checkNow(file string, keys []string) error {
	verifiers, err := publicKeys(keys)
	if err != nil {
		return err
	}
	in, _, err := a.input(file)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was read only
	proof, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading the proof: %w", err)
	}
	if ledger.IsConsistency(proof) {
		first, second, err := ledger.CheckConsistency(proof, verifiers)
		if err != nil {
			return err
		}
		return a.showConsistency(&first, &second)
	}
	proven, err := ledger.CheckProof(proof, verifiers)
	if err != nil {
		return err
	}
	return a.showProven(proven)
}

// publicKeys returns public keys of checkpoints, given as text or as names of files with some.
func publicKeys(keys []string) (note.Verifiers, error) {
	var texts []string
	for _, k := range keys {
		b, err := os.ReadFile(k)
		switch {
		case err == nil:
			k = string(b)
		case !strings.Contains(k, "+"): // which every key has
			return nil, usagef("%q is no public key, and no file that can be read: %v", k, err)
		}
		texts = append(texts, strings.Fields(k)...)
	}
	if len(texts) == 0 {
		return nil, usagef("give the public key of the ledger's checkpoints with --key")
	}
	verifiers, err := ledger.Verifiers(texts...)
	if err != nil {
		return nil, &usageError{err}
	}
	return verifiers, nil
}

func (a *app) showProven(p *ledger.Proven) error {
	if a.json {
		out := struct {
			OK       bool            `json:"ok"`
			Ledger   events.LedgerID `json:"ledgerId"`
			Size     events.Seq      `json:"size"`
			Root     events.Hash     `json:"root"`
			Record   query.Record    `json:"record"`
			UsageLen int             `json:"usageEvents"`
		}{true, p.Checkpoint.Ledger, p.Checkpoint.Size, p.Checkpoint.Root, query.RenderRecord(&p.Record, false), len(p.Usage)}
		return writeJSON(a.Out, out)
	}
	a.say("Record %d is in ledger %s, as signed at %d records.\n", p.Record.Seq, p.Checkpoint.Ledger, p.Checkpoint.Size)
	a.say("  %s  %s  %s\n", when(p.Record.RecordedAt), kindName(p.Record.Event.Kind()), summary(&p.Record))
	if line, ok := p.Record.Event.(events.InvoiceLineClosed); ok {
		a.say("Line %s has exactly these %d usage events, records %d to %d, which come to %s.\n",
			line.Line, len(p.Usage), line.First, line.Last, decimals(line.Nanos))
	}
	return nil
}
