package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tallystick/internal/natsbus"
	"tallystick/ledger"
	"tallystick/ledger/keyring"
)

// checkpoint signs the tree at intervals, if it has grown, until ctx ends.
func (d *doors) checkpoint(ctx context.Context) {
	every := time.NewTicker(d.opts.CheckpointEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		if d.s.Err() != nil {
			return
		}
		if err := d.sign(ctx); err != nil && ctx.Err() == nil {
			d.s.cfg.Logger.Warn("a checkpoint is not signed or not published", "error", err)
		}
	}
}

// sign signs the tree over all that is durable, keeps the checkpoint and publishes it.
func (d *doors) sign(ctx context.Context) error {
	c, grown, err := d.s.SignCheckpoint()
	if err != nil || !grown {
		return err
	}
	select {
	case <-d.ready:
		return d.bus.PostCheckpoint(ctx, c.Ledger, c.Note)
	default:
		return nil // it is kept in the log, and a later one covers it
	}
}

// SignCheckpoint signs the tree over all that is durable, unless the newest checkpoint does already, and keeps it.
func (s *Server) SignCheckpoint() (c ledger.Checkpoint, grown bool, err error) {
	signer, err := s.signer()
	if err != nil {
		return c, false, err
	}
	if last, found, err := s.Log.LatestCheckpoint(); err != nil || found && last.Size >= s.Log.Durable() {
		return last, false, err
	}
	if c, err = s.Log.Sign(signer); err != nil {
		return c, false, err
	}
	return c, true, s.Log.StoreCheckpoint(c)
}

// RotateSigning makes a new key of checkpoints and returns its public half. The one before signs too, until the next rotation.
func (s *Server) RotateSigning() (public string, err error) {
	signer, err := s.signer()
	if err != nil {
		return "", err
	}
	if err := signer.Rotate(); err != nil {
		return "", err
	}
	return signer.PublicKey(), nil
}

// signer opens the keys of checkpoints, which it makes when they are first needed.
func (s *Server) signer() (*ledger.Signer, error) {
	s.signing.Lock()
	defer s.signing.Unlock()
	if s.signs == nil {
		signs, err := ledger.OpenSigner(filepath.Join(s.cfg.Dir, "keys"), s.Ledger(), s.cfg.Rand)
		if err != nil {
			return nil, fmt.Errorf("opening the keys of checkpoints: %w", err)
		}
		s.signs = signs
	}
	return s.signs, nil
}

// mirrorKeys copies wrapped keys of consumers, and that they are destroyed, to the streams, until ctx ends (D4): all of them
// again after the streams were lost, with the newest checkpoint.
func (d *doors) mirrorKeys(ctx context.Context, claim *natsbus.Claim) {
	reopened := claim.Reopened()
	for {
		err := d.mirrorRest(ctx)
		if err == nil {
			err = d.changed(ctx, d.mirrored, reopened)
		}
		if errors.Is(err, errReopened) {
			again := claim.Reopened()
			if err = d.repost(ctx); err == nil { // else it is tried again, since reopened stays closed
				d.mirrored, reopened = 0, again
			}
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil || errors.Is(err, keyring.ErrClosed) {
			return
		}
		d.s.cfg.Logger.Warn("keys are not mirrored", "error", err)
		select {
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
			return
		}
	}
}

// mirrorRest copies the keys that have changed since they were copied last. One goroutine at a time may call it.
func (d *doors) mirrorRest(ctx context.Context) (err error) {
	d.mirrored, err = d.s.Keyring.Changes(d.mirrored, func(e keyring.Entry) error { return d.mirror(ctx, e) })
	return err
}

func (d *doors) mirror(ctx context.Context, e keyring.Entry) error {
	if d.s.Keyring.Erased(e.Consumer) { // what is put over it leaves no trace of the key
		if err := d.bus.DeleteWrapped(ctx, e.Consumer); err != nil {
			return err
		}
	}
	return d.bus.PutWrapped(ctx, e.Consumer, e.Wrapped)
}

var errReopened = errors.New("the streams were lost, and are opened again")

// changed waits until there is a key to mirror, or returns errReopened.
func (d *doors) changed(ctx context.Context, revision uint64, reopened <-chan struct{}) error {
	waiting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-reopened:
			stop(errReopened)
		case <-waiting.Done():
		}
	}()
	if err := d.s.Keyring.Wait(waiting, revision); err != nil {
		return context.Cause(waiting)
	}
	return nil
}

// repost publishes the newest checkpoint to streams that have lost it: on a quiet ledger no other follows.
func (d *doors) repost(ctx context.Context) error {
	c, found, err := d.s.Log.LatestCheckpoint()
	if err != nil || !found {
		return err
	}
	return d.bus.PostCheckpoint(ctx, c.Ledger, c.Note)
}

// endpointFile is the name of the file that says where a running server is, for whoever may read its directory.
const endpointFile = "endpoint.json"

// writeEndpoint leaves word in the directory of where this server is, and a key to it.
func (d *doors) writeEndpoint() error {
	url := d.bus.URL()
	if url == "" {
		return nil
	}
	where := map[string]string{"nats": url, "http": d.s.HTTPURL(), "api": d.s.APIURL(), "key": d.secret}
	if e := d.opts.NATS.External; e != nil {
		for name, file := range map[string]string{"ca": e.CA, "clientCert": e.Cert, "clientKey": e.Key} {
			if file == "" {
				continue
			}
			path, err := filepath.Abs(file)
			if err != nil {
				return fmt.Errorf("leaving word of the server: %w", err)
			}
			where[name] = path
		}
	}
	b, err := json.Marshal(where)
	if err != nil {
		return err
	}
	path := filepath.Join(d.s.cfg.Dir, endpointFile)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("leaving word of the server: %w", err)
	}
	return os.Rename(path+".new", path)
}
