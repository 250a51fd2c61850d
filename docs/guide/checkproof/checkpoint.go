package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// checkpoint is a tree that somebody has signed.
type checkpoint struct {
	ledger string
	size   uint64
	root   []byte
}

// open returns the checkpoint in a signed note, if one of the keys has signed it.
func open(signed, keys string) (*checkpoint, error) {
	text, signatures, ok := strings.Cut(signed, "\n\n")
	if text += "\n"; !ok {
		return nil, errors.New("the checkpoint is not signed")
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return nil, errors.New("the checkpoint has fewer than three lines")
	}
	good := false
	for key := range strings.Lines(keys) {
		if key = strings.TrimSpace(key); key == "" {
			continue
		}
		verified, err := verify(text, signatures, key, lines[0])
		if err != nil {
			return nil, err
		}
		good = good || verified
	}
	if !good {
		return nil, errors.New("none of the keys has signed the checkpoint")
	}
	c := &checkpoint{}
	var err error
	if c.ledger, ok = strings.CutPrefix(lines[0], "tallystick/"); !ok {
		return nil, fmt.Errorf("%q is no ledger of this kind", lines[0])
	}
	if c.size, err = strconv.ParseUint(lines[1], 10, 63); err != nil || c.size == 0 {
		return nil, fmt.Errorf("%q is no size", lines[1])
	}
	if c.root, err = base64.StdEncoding.DecodeString(lines[2]); err != nil || len(c.root) != sha256.Size {
		return nil, fmt.Errorf("%q is no root", lines[2])
	}
	return c, nil
}

// verify reports whether one of the signatures below a text is by key and verifies. A key is name+hash+base64 of a byte 1 and
// an Ed25519 key; a signature is a line of a dash, the name, and base64 of the hash and the signature.
func verify(text, signatures, key, origin string) (bool, error) {
	parts := strings.SplitN(key, "+", 3)
	if len(parts) != 3 {
		return false, fmt.Errorf("%.40q is no public key", key)
	}
	name := parts[0]
	public, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(public) != 1+ed25519.PublicKeySize || public[0] != 1 {
		return false, fmt.Errorf("%.40q is no Ed25519 key", key)
	}
	id := sha256.Sum256(append([]byte(name+"\n"), public...))
	if hex.EncodeToString(id[:4]) != parts[1] {
		return false, fmt.Errorf("the hash in %q is not that of the key", key)
	}
	if name != origin {
		return false, nil // the key of another ledger
	}
	for line := range strings.Lines(signatures) {
		encoded, ours := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "— "+name+" ")
		if !ours {
			continue
		}
		b, err := base64.StdEncoding.DecodeString(encoded)
		if err == nil && len(b) == 4+ed25519.SignatureSize && string(b[:4]) == string(id[:4]) && ed25519.Verify(public[1:], []byte(text), b[4:]) {
			return true, nil
		}
	}
	return false, nil
}

// crockford is how identities are written: 128 bits, five to a letter.
func crockford(id []byte) string {
	const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	n, text := new(big.Int).SetBytes(id), make([]byte, 26)
	for i := len(text) - 1; i >= 0; i-- {
		text[i] = letters[new(big.Int).And(n, big.NewInt(31)).Int64()]
		n.Rsh(n, 5)
	}
	return string(text)
}
