package natsbus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"
)

// The files of [MakeKeys].
const (
	booksFile  = "tally.nk"  // seed of our user in the account TALLY
	doorFile   = "door.nk"   // seed of our user in the account TALLY_DOOR
	issuerFile = "issuer.nk" // seed that user JWTs are signed with
	xkeyFile   = "xkey.nk"   // seed that auth callouts are encrypted for
	configFile = "tally.conf"
)

// MakeKeys makes in dir the keys by which a NATS server elsewhere and we know each other, those of them that are not there, and writes
// what the server must have in its configuration ([ServerConfig]). It returns that file's name. The seeds are ours to keep
// secret; the configuration has public keys only.
func MakeKeys(dir string) (config string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the keys for NATS: %w", err)
	}
	var users ServerUsers
	for _, k := range []struct {
		file   string
		make   func() (nkeys.KeyPair, error)
		public *string
	}{
		{booksFile, nkeys.CreateUser, &users.Books.Nkey},
		{doorFile, nkeys.CreateUser, &users.Door.Nkey},
		{issuerFile, nkeys.CreateAccount, &users.Issuer},
		{xkeyFile, nkeys.CreateCurveKeys, &users.XKey},
	} {
		if *k.public, err = keyIn(filepath.Join(dir, k.file), k.make); err != nil {
			return "", fmt.Errorf("making the keys for NATS: %w", err)
		}
	}
	config = filepath.Join(dir, configFile)
	if err := os.WriteFile(config, []byte(ServerConfig(users)), 0o644); err != nil { //nolint:gosec // it is public
		return "", fmt.Errorf("making the keys for NATS: %w", err)
	}
	return config, nil
}

// keyIn returns the public key of the seed in a file, which it makes if there is none.
func keyIn(path string, create func() (nkeys.KeyPair, error)) (public string, err error) {
	seed, err := seedIn(path)
	var pair nkeys.KeyPair
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if pair, err = create(); err != nil {
			return "", err
		}
		b, err := pair.Seed()
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o600); err != nil {
			return "", err
		}
	case err != nil:
		return "", err
	default:
		if strings.HasPrefix(seed, "SX") {
			pair, err = nkeys.FromCurveSeed([]byte(seed))
		} else {
			pair, err = nkeys.FromSeed([]byte(seed))
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
	}
	return pair.PublicKey()
}

func seedIn(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

// UseKeys fills in what [MakeKeys] has made in dir.
func (e *External) UseKeys(dir string) (err error) {
	e.Creds.File, e.Door.File = filepath.Join(dir, booksFile), filepath.Join(dir, doorFile)
	if e.IssuerSeed, err = seedIn(filepath.Join(dir, issuerFile)); err == nil {
		e.XKeySeed, err = seedIn(filepath.Join(dir, xkeyFile))
	}
	if err != nil {
		return fmt.Errorf("reading the keys for NATS, which tally nats-config makes: %w", err)
	}
	return nil
}
