package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
)

// consistency is the file that shows that a ledger has only grown.
type consistency struct {
	Format string   `json:"format"`
	First  string   `json:"first"`
	Second string   `json:"second"`
	Path   [][]byte `json:"path"`
}

// checkConsistency is check for the proof that a checkpoint adds to an earlier one.
func checkConsistency(file []byte, keys string) (string, error) {
	var p consistency
	if err := decode(file, &p); err != nil {
		return "", err
	}
	first, err := open(p.First, keys)
	if err != nil {
		return "", err
	}
	second, err := open(p.Second, keys)
	if err != nil {
		return "", err
	}
	if first.ledger != second.ledger || first.size > second.size {
		return "", errors.New("the checkpoints are of two ledgers, or the later one is the first")
	}
	if err := grown(first, second, p.Path); err != nil {
		return "", err
	}
	return fmt.Sprintf("ledger %s has only grown: the first %d of its %d records are unchanged", second.ledger, first.size, second.size), nil
}

// grown returns nil if path shows that the tree of second begins with that of first (RFC 9162, 2.1.4.2).
func grown(first, second *checkpoint, path [][]byte) error {
	wrong := errors.New("the later checkpoint does not add to the first")
	if first.size == second.size {
		if len(path) > 0 || !bytes.Equal(first.root, second.root) {
			return wrong
		}
		return nil
	}
	if first.size&(first.size-1) == 0 { // a whole subtree, whose root is known
		path = append([][]byte{first.root}, path...)
	}
	if len(path) == 0 {
		return wrong
	}
	at, last := first.size-1, second.size-1
	for at&1 == 1 {
		at, last = at>>1, last>>1
	}
	before, after := path[0], path[0]
	for _, beside := range path[1:] {
		if last == 0 || len(beside) != sha256.Size {
			return wrong
		}
		if at&1 == 1 || at == last {
			before, after = hash(1, beside, before), hash(1, beside, after)
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		} else {
			after = hash(1, after, beside)
		}
		at, last = at>>1, last>>1
	}
	if last != 0 || !bytes.Equal(before, first.root) || !bytes.Equal(after, second.root) {
		return wrong
	}
	return nil
}
