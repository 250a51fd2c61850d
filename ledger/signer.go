package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"tallystick/events"
)

// Signer signs checkpoints with Ed25519 keys that lie in a directory, and knows the
// public halves of all that ever did.
//
// The file checkpoint.key holds the private keys, one a line, the current one first,
// then the one before it, if the key was rotated: both sign, so that those who know
// the old key only have a checkpoint that tells them of the new one. checkpoint.pub
// holds every public key there was, the oldest first. Both are in the text form of
// golang.org/x/mod/sumdb/note, whose public keys are to be given to auditors.
//
// Its methods may be called from any goroutine.
type Signer struct {
	dir    string
	name   string
	random io.Reader

	mu      sync.Mutex // guards the fields below
	private []string
	public  []string
}

// PublicKeyFile is the file with the public keys of a ledger's checkpoints, in its directory of keys.
const PublicKeyFile = "checkpoint.pub"

const (
	privateFile = "checkpoint.key"
	maxPrivate  = 2
)

// OpenSigner reads the keys of a ledger in dir, or makes them if there are none, which
// takes randomness from random, such as crypto/rand.Reader.
func OpenSigner(dir string, ledger events.LedgerID, random io.Reader) (*Signer, error) {
	s := &Signer{dir: dir, name: Origin(ledger), random: random}
	var err error
	if s.private, err = readLines(dir, privateFile); err != nil {
		return nil, err
	}
	if s.public, err = readLines(dir, PublicKeyFile); err != nil {
		return nil, err
	}
	if len(s.private) == 0 {
		if err := s.Rotate(); err != nil {
			return nil, err
		}
	}
	if _, err := s.signers(s.private); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, privateFile), err)
	}
	if _, err := s.Keys(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, PublicKeyFile), err)
	}
	return s, nil
}

// ReadKeys returns the public keys of checkpoints in dir, the oldest first, as far as
// there are any.
func ReadKeys(dir string) ([]string, error) { return readLines(dir, PublicKeyFile) }

// CheckKeys reads the keys of a ledger's checkpoints in dir, makes none, and returns how many there are: private ones, which sign, and
// public ones. The error names a file with a line that is no key of this ledger, or a private key whose public half is not there.
func CheckKeys(dir string, ledger events.LedgerID) (private, public int, err error) {
	s := &Signer{dir: dir, name: Origin(ledger)}
	if s.public, err = readLines(dir, PublicKeyFile); err != nil {
		return 0, 0, err
	}
	if s.private, err = readLines(dir, privateFile); err != nil {
		return 0, 0, err
	}
	known, err := s.Keys()
	if err != nil {
		return 0, 0, fmt.Errorf("file %s is damaged: %w", filepath.Join(dir, PublicKeyFile), err)
	}
	signers, err := s.signers(s.private)
	if err != nil {
		return 0, 0, fmt.Errorf("file %s is damaged, and signs nothing: %w", filepath.Join(dir, privateFile), err)
	}
	for _, signer := range signers {
		if _, err := known.Verifier(signer.Name(), signer.KeyHash()); err != nil {
			return 0, 0, fmt.Errorf("file %s has a key whose public half is not in %s: %w", filepath.Join(dir, privateFile), PublicKeyFile, err)
		}
	}
	return len(s.private), len(s.public), nil
}

// Rotate makes a new key. From now on checkpoints are signed with it, and with the one
// before it until the next rotation.
func (s *Signer) Rotate() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	private, public, err := note.GenerateKey(s.random, s.name)
	if err != nil {
		return fmt.Errorf("making a key for checkpoints: %w", err)
	}
	// First the public one: what is signed can always be verified.
	all := append(append([]string(nil), s.public...), public)
	if err := s.replace(PublicKeyFile, 0o644, all); err != nil {
		return err
	}
	s.public = all
	signing := append([]string{private}, s.private[:min(len(s.private), maxPrivate-1)]...)
	if err := s.replace(privateFile, 0o600, signing); err != nil {
		return err
	}
	s.private = signing
	return nil
}

// PublicKey returns the public half of the current key.
func (s *Signer) PublicKey() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.public[len(s.public)-1]
}

// Keys returns all public keys, for verifying.
func (s *Signer) Keys() (note.Verifiers, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Verifiers(s.public...)
}

// KeysIn returns the public keys of checkpoints in a directory, for verifying. Keys that come later are known too: the
// directory is read when a key is asked for.
func KeysIn(dir string) note.Verifiers { return keysIn(dir) }

type keysIn string

// Verifier implements [note.Verifiers].
func (dir keysIn) Verifier(name string, hash uint32) (note.Verifier, error) {
	texts, err := ReadKeys(string(dir))
	if err != nil {
		return nil, err
	}
	keys, err := Verifiers(texts...)
	if err != nil {
		return nil, err
	}
	return keys.Verifier(name, hash)
}

// Verifiers returns public keys, given as text, for verifying.
func Verifiers(keys ...string) (note.Verifiers, error) {
	var list []note.Verifier
	for _, key := range keys {
		v, err := note.NewVerifier(strings.TrimSpace(key))
		if err != nil {
			return nil, fmt.Errorf("%.60q is no public key of checkpoints: %w", key, err)
		}
		list = append(list, v)
	}
	return note.VerifierList(list...), nil
}

func (s *Signer) sign(text string) ([]byte, error) {
	s.mu.Lock()
	keys := s.private
	s.mu.Unlock()
	signers, err := s.signers(keys)
	if err != nil {
		return nil, err
	}
	return note.Sign(&note.Note{Text: text}, signers...)
}

func (s *Signer) signers(keys []string) ([]note.Signer, error) {
	var signers []note.Signer
	for _, key := range keys {
		signer, err := note.NewSigner(key)
		if err != nil {
			return nil, err
		}
		if signer.Name() != s.name {
			return nil, fmt.Errorf("the key is that of %s, not of %s", signer.Name(), s.name)
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

// readLines returns the lines of a file, none if it is missing.
func readLines(dir, name string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(b)), nil
}

// replace replaces a file by one with the given lines, all at once, so that it is one or
// the other after a crash.
func (s *Signer) replace(name string, mode fs.FileMode, lines []string) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	target := filepath.Join(s.dir, name)
	f, err := os.OpenFile(target+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(target+".new", target); err != nil {
		return err
	}
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
