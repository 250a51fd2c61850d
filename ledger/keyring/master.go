package keyring

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
)

// The measures of AES-256-GCM.
const (
	keySize   = 32
	nonceSize = 12
	tagSize   = 16
)

// newAEAD returns the cipher of a key of keySize bytes.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("keyring: impossible: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("keyring: impossible: " + err.Error())
	}
	return aead
}

// masterID tells master keys apart, and says nothing else about them.
type masterID [8]byte

// master is a key that wraps others.
type master struct {
	id   masterID
	text string // as it stands in the file
	aead cipher.AEAD
}

func newMaster(key []byte) master {
	sum := sha256.Sum256(append([]byte("tallystick master key\x00"), key...))
	return master{masterID(sum[:8]), base64.StdEncoding.EncodeToString(key), newAEAD(key)}
}

func drawMaster(random io.Reader) (master, error) {
	key := make([]byte, keySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return master{}, fmt.Errorf("keyring: drawing a master key: %w", err)
	}
	return newMaster(key), nil
}

// wrapData is what a blob is bound to: it opens for its own consumer and state only.
func wrapData(consumer events.OrganizationID, s state) []byte {
	return append(append([]byte("tallystick wrapped key\x00"), byte(s)), consumer[:]...)
}

// wrap returns the blob of a key, or of a tombstone if key is nil.
func (m *master) wrap(random io.Reader, consumer events.OrganizationID, key []byte) (state, []byte, error) {
	s := live
	if key == nil {
		s = ended
	}
	b := append(make([]byte, 0, maxBlob), byte(s))
	b = append(b, m.id[:]...)
	nonce := b[len(b) : len(b)+nonceSize]
	if _, err := io.ReadFull(random, nonce); err != nil {
		return none, nil, fmt.Errorf("keyring: drawing a nonce: %w", err)
	}
	return s, m.aead.Seal(b[:len(b)+nonceSize], nonce, key, wrapData(consumer, s)), nil
}

// unwrap opens a blob with whichever of ms it was wrapped by: the key, or nil for a tombstone.
func unwrap(ms []master, consumer events.OrganizationID, blob []byte) ([]byte, error) {
	if len(blob) != maxBlob && len(blob) != maxBlob-keySize {
		return nil, fmt.Errorf("%w: a wrapped key of %d bytes", ErrCorrupt, len(blob))
	}
	s, id := state(blob[0]), masterID(blob[1:9])
	for i := range ms {
		if ms[i].id != id {
			continue
		}
		nonce, box := blob[9:9+nonceSize], blob[9+nonceSize:]
		key, err := ms[i].aead.Open(nil, nonce, box, wrapData(consumer, s))
		if err != nil || (s == live) != (len(key) == keySize) {
			return nil, fmt.Errorf("%w: the wrapped key of %s does not open", ErrCorrupt, consumer)
		}
		if s == ended {
			return nil, nil
		}
		return key, nil
	}
	return nil, fmt.Errorf("%w: the key is wrapped by master key %x, which is not at hand", ErrMasterKey, id)
}

const masterPreamble = `# The master key of a Tallystick ledger. Keep a copy of this file in a safe place,
# apart from the backups: without it no personal data of this ledger can be read.
`

// readMasters reads the file of master keys: one a line, the one that wraps new keys first.
func readMasters(fs vfs.FS, name string) ([]master, error) {
	b, err := readFile(fs, name)
	if err != nil {
		return nil, err
	}
	var ms []master
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(key) != keySize {
			return nil, fmt.Errorf("%w: %s holds a line that is no master key: want %d bytes in base64", ErrMasterKey, name, keySize)
		}
		ms = append(ms, newMaster(key))
	}
	if len(ms) == 0 {
		return nil, fmt.Errorf("%w: %s holds none: put the file back from where you keep its copy", ErrMasterKey, name)
	}
	return ms, nil
}

// writeMasters replaces the file of master keys.
func writeMasters(fs vfs.FS, name string, ms []master) error {
	b := []byte(masterPreamble)
	for _, m := range ms {
		b = append(append(b, m.text...), '\n')
	}
	return writeFile(fs, name, b)
}

func readFile(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// writeFile writes a file that its owner alone can read: whole or not at all, and
// on disk when it returns nil.
func writeFile(fs vfs.FS, name string, b []byte) error {
	return replaceFile(fs, name, func(f vfs.File) error {
		_, err := f.Write(b)
		return err
	})
}

func replaceFile(fs vfs.FS, name string, fill func(vfs.File) error) error {
	next := name + ".new"
	f, err := fs.Create(next, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if c, ok := f.(interface{ Chmod(os.FileMode) error }); ok { // files on disk have it
		err = c.Chmod(0o600)
	}
	if err == nil {
		err = fill(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fs.Rename(next, name)
	}
	if err != nil {
		return err
	}
	return syncDir(fs, fs.PathDir(name))
}

// syncDir puts the names in dir on disk.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(path.Clean(dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
