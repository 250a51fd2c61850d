package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tallystick/events"
	"tallystick/ledger"
	"tallystick/projections/views"
)

// Subject is what is verified.
type Subject struct {
	Log    *ledger.Log
	Views  *views.Views // nil: not verified
	Keys   Keys         // nil: not verified
	Stream Stream       // nil: not verified

	SigningKeys string // directory of the keys that sign checkpoints; "": not verified

	NoStream  string // why there is no Stream, for the report
	StreamErr error  // why there is no Stream where there is to be one: that is found to be wrong
	Scratch   string // a directory that can be made, for a store that is removed again
}

// Keys is a ledger's keys of personal data. [tallystick/ledger/keyring.Keyring] is one.
type Keys interface {
	// Check reads all keys and returns how many there are, and how many were destroyed.
	Check(ctx context.Context) (keys, tombstones int, err error)
	Has(consumer events.OrganizationID) bool
	Erased(consumer events.OrganizationID) bool
}

// Stream is the published records.
type Stream interface {
	// Range returns the first and the last record that the stream holds; last is less than first where it holds none.
	Range(ctx context.Context) (first, last events.Seq, err error)
	// Scan calls fn with the records from from to to, both included, in order, until fn returns an error, which it
	// returns. The bytes are valid during the call only.
	Scan(ctx context.Context, from, to events.Seq, fn func(events.Seq, []byte) error) error
}

// Options say how it is verified.
type Options struct {
	Clock func() time.Time // real time
	// Progress is told how much of a step is done; nil means nobody. It is called on the goroutine of Run.
	Progress func(step string, done, total events.Seq)
}

// Report is what was found.
type Report struct {
	OK      bool            `json:"ok"`
	Ledger  events.LedgerID `json:"ledgerId"`
	Size    events.Seq      `json:"size"` // records verified
	Root    events.Hash     `json:"root"` // of their tree
	Steps   []Step          `json:"steps"`
	Seconds float64         `json:"seconds"`
}

// Step is what one check came to.
type Step struct {
	Name    string     `json:"step"`
	OK      bool       `json:"ok"`
	Skipped bool       `json:"skipped,omitempty"` // there was nothing to check, or no way to; Detail says why
	Detail  string     `json:"detail,omitempty"`  // what was checked
	Problem string     `json:"problem,omitempty"` // what is wrong
	Record  events.Seq `json:"sequence,omitzero"` // the first bad record, where one can be named
}

// Problem returns what is wrong in a line, or "".
func (r *Report) Problem() string {
	for _, s := range r.Steps {
		if !s.OK {
			return s.Name + ": " + s.Problem
		}
	}
	return ""
}

// A Finding is something that is not as it must be, at a record.
type Finding struct {
	Record events.Seq
	Err    error
}

func (f *Finding) Error() string { return fmt.Sprintf("record %d: %v", f.Record, f.Err) }

// Unwrap returns what is wrong.
func (f *Finding) Unwrap() error { return f.Err }

// Run verifies a ledger. The error is not about the ledger: ctx has ended. Everything else is in the report.
func Run(ctx context.Context, sub Subject, opts Options) (*Report, error) {
	if opts.Progress == nil {
		opts.Progress = func(string, events.Seq, events.Seq) {}
	}
	v := &verification{sub: sub, opts: opts, report: &Report{OK: true, Steps: []Step{}}}
	began := opts.Clock()
	v.log(ctx)
	v.replay(ctx)
	v.signing()
	v.stream(ctx)
	v.report.Seconds = opts.Clock().Sub(began).Seconds()
	return v.report, ctx.Err()
}

// verification is one run.
type verification struct {
	sub    Subject
	opts   Options
	report *Report
}

// add adds what a step came to.
func (v *verification) add(name, detail string, err error) {
	step := Step{Name: name, OK: err == nil, Detail: detail}
	if err != nil {
		v.report.OK = false
		step.Problem = err.Error()
		var corrupt *ledger.CorruptError
		var finding *Finding
		if errors.As(err, &corrupt) {
			step.Record = corrupt.Seq
		}
		if errors.As(err, &finding) {
			step.Record = finding.Record
		}
	}
	v.report.Steps = append(v.report.Steps, step)
}

// skip adds a step that was not taken.
func (v *verification) skip(name, why string) {
	v.report.Steps = append(v.report.Steps, Step{Name: name, OK: true, Skipped: true, Detail: why})
}

func (v *verification) log(ctx context.Context) {
	r, err := v.sub.Log.Check(ctx, func(done, total events.Seq) { v.opts.Progress("log", done, total) })
	v.report.Ledger, v.report.Size, v.report.Root = r.Head.Ledger, r.Head.Seq, r.Root
	v.add("log", fmt.Sprintf("%d records, %d tree nodes, %d idempotency keys, %d checkpoints (%d signatures checked), %d files",
		r.Head.Seq, r.Nodes, r.Keys, r.Checkpoints, r.Signed, r.Tables), err)
	if v.report.Size == 0 { // it ended before the end
		v.report.Size = v.sub.Log.Durable()
	}
}

// signing checks the keys that checkpoints are signed with.
func (v *verification) signing() {
	if v.sub.SigningKeys == "" {
		v.skip("signing", "no directory of keys was given")
		return
	}
	private, public, err := ledger.CheckKeys(v.sub.SigningKeys, v.report.Ledger)
	v.add("signing", fmt.Sprintf("%d keys sign checkpoints, %d verify them", private, public), err)
}

func (v *verification) stream(ctx context.Context) {
	if v.sub.StreamErr != nil {
		v.add("stream", "", v.sub.StreamErr)
		return
	}
	if v.sub.Stream == nil {
		v.skip("stream", v.sub.NoStream)
		return
	}
	detail, err := v.compareStream(ctx)
	v.add("stream", detail, err)
}

// compareStream compares what the stream holds with the log.
func (v *verification) compareStream(ctx context.Context) (string, error) {
	first, last, err := v.sub.Stream.Range(ctx)
	if err != nil {
		return "", fmt.Errorf("asking what the stream holds: %w", err)
	}
	size := v.report.Size
	if last > size {
		size = v.sub.Log.Durable() // appended and published meanwhile
	}
	if last > size {
		return "", &Finding{size + 1, fmt.Errorf("the stream holds records up to %d, the log up to %d", last, size)}
	}
	if last < first {
		return "the stream holds no records", nil
	}
	detail := fmt.Sprintf("records %d to %d", first, last)
	if last < size {
		detail += fmt.Sprintf("; %d are not published", size-last)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages := v.published(ctx, first, last)
	err = v.sub.Log.ScanBytes(ctx, first, last, func(seq events.Seq, b []byte) error {
		got, err := pages(seq)
		if err != nil {
			return err
		}
		if string(got) != string(b) {
			return &Finding{seq, errors.New("the stream holds something else than the log")}
		}
		if seq%1024 == 0 || seq == last {
			v.opts.Progress("stream", seq-first+1, last-first+1)
		}
		return nil
	})
	return detail, err
}

// published returns a function that returns the records of the stream, one after another. They are read by another
// goroutine, which ends with ctx.
func (v *verification) published(ctx context.Context, first, last events.Seq) func(events.Seq) ([]byte, error) {
	type message struct {
		seq events.Seq
		b   []byte
		err error
	}
	messages := make(chan message, 1024)
	go func() {
		defer close(messages)
		err := v.sub.Stream.Scan(ctx, first, last, func(seq events.Seq, b []byte) error {
			select {
			case messages <- message{seq: seq, b: append([]byte(nil), b...)}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err != nil {
			select {
			case messages <- message{err: err}:
			case <-ctx.Done():
			}
		}
	}()
	return func(seq events.Seq) ([]byte, error) {
		m, ok := <-messages
		switch {
		case m.err != nil:
			return nil, fmt.Errorf("reading the stream: %w", m.err)
		case !ok || m.seq != seq:
			return nil, &Finding{seq, errors.New("the stream does not hold it")}
		}
		return m.b, nil
	}
}
