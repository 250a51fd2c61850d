// Package operate is what an operator or an auditor has done by the process that has a ledger open: verify it, make its
// views again, copy it, prove a record.
//
// A server offers these tasks by name beside its queries ([Target.Operations]); the command line carries them out on a
// directory that it has opened itself.
package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/copies"
	"tallystick/internal/query"
	"tallystick/internal/verify"
	"tallystick/ledger"
	"tallystick/ledger/keyring"
	"tallystick/projections/views"
)

// Target is an open ledger.
type Target struct {
	Dir     string
	Log     *ledger.Log
	Views   *views.Views
	Keyring *keyring.Keyring

	Stream    verify.Stream // nil: not looked at
	NoStream  string        // why there is no Stream
	StreamErr error         // why it cannot be read

	Clock func() time.Time // real time
}

// Operations returns the tasks under the names by which a server offers them.
func (t *Target) Operations() map[string]query.Operation {
	return map[string]query.Operation{
		"Verify": {Auditors: true, Run: func(ctx context.Context, _ []byte) (any, error) { return t.Verify(ctx, nil) }},
		"Rebuild": {Run: func(ctx context.Context, b []byte) (any, error) {
			var args struct {
				Accept bool `json:"accept"`
			}
			if err := decode(b, &args); err != nil {
				return nil, err
			}
			return t.Rebuild(ctx, args.Accept, nil)
		}},
		"Backup": {Run: func(_ context.Context, b []byte) (any, error) {
			var args struct {
				Directory string `json:"directory"`
			}
			if err := decode(b, &args); err != nil {
				return nil, err
			}
			if !filepath.IsAbs(args.Directory) {
				return nil, commands.Reject(commands.Invalid, "directory must be an absolute path on the server's machine")
			}
			return t.Backup(args.Directory)
		}},
	}
}

func decode(b []byte, args any) error {
	if len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, args); err != nil {
		return commands.Reject(commands.Invalid, "the arguments: %v", err)
	}
	return nil
}

// Verify checks everything against everything. progress, which may be nil, is told how much of a step is done.
func (t *Target) Verify(ctx context.Context, progress func(step string, done, total events.Seq)) (report *verify.Report, err error) {
	scratch, err := os.MkdirTemp(t.Dir, "verify-")
	if err != nil {
		return nil, fmt.Errorf("making room for a second copy of the views: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	return verify.Run(ctx, verify.Subject{
		Log: t.Log, Views: t.Views, Keys: t.Keyring, Stream: t.Stream, NoStream: t.NoStream, StreamErr: t.StreamErr, Scratch: filepath.Join(scratch, "views"),
		SigningKeys: t.keys(),
	}, verify.Options{Clock: t.Clock, Progress: progress})
}

// Rebuilt is what making the views again came to.
type Rebuilt struct {
	Sequence   events.Seq     `json:"sequence"` // at which live and rebuilt views were compared
	Identical  bool           `json:"identical"`
	Difference string         `json:"difference,omitempty"` // the first one
	Swapped    bool           `json:"swapped"`              // whether the rebuilt views are in use
	Digests    []views.Digest `json:"digests"`              // of the rebuilt views
	Seconds    float64        `json:"seconds"`
}

// Rebuild makes the views again from the first record, compares them with the live ones, and puts them in their place if
// they are equal, or if accept is set. progress may be nil.
func (t *Target) Rebuild(ctx context.Context, accept bool, progress func(done, total events.Seq)) (Rebuilt, error) {
	began := t.Clock()
	if err := t.Views.WaitFor(ctx, t.Log.Durable()); err != nil {
		return Rebuilt{}, err
	}
	res, err := t.Views.Rebuild(ctx, views.RebuildOptions{Accept: accept, Progress: progress})
	if err != nil {
		return Rebuilt{}, err
	}
	r := Rebuilt{Sequence: res.Seq, Identical: res.Equal(), Swapped: res.Swapped, Digests: res.Rebuilt, Seconds: t.Clock().Sub(began).Seconds()}
	switch {
	case res.LiveErr != nil:
		r.Difference = "the live views cannot be read: " + res.LiveErr.Error()
	case res.Difference != nil:
		r.Difference = res.Difference.String()
	}
	return r, nil
}

// Backup copies the ledger into a new directory.
func (t *Target) Backup(dir string) (copies.Manifest, error) {
	m, err := copies.Backup(t.Log, t.Keyring, t.keys(), dir)
	if _, there := errors.AsType[*fs.PathError](err); errors.Is(err, fs.ErrExist) {
		err = commands.Reject(commands.Conflict, "%v", err)
	} else if there && t.Log.Err() == nil { // it is the directory, not the ledger
		err = commands.Reject(commands.Invalid, "the copy cannot be made, and nothing is left of it: %v", err)
	}
	return m, err
}

func (t *Target) keys() string { return filepath.Join(t.Dir, "keys") }
