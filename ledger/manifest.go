package ledger

import (
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A MANIFEST is the list of a store's tables, as the changes that made it. Pebble takes a change that it cannot read for the end of the list,
// since a crash may leave half of one; then it removes all tables that the rest names, and where nothing is left it is a new store to it. A
// flipped byte would so cost tables that are whole. So before Pebble may write, the list is read to its end ([tornManifest]), and if that fails
// what is left must be a whole log ([Log.recover]); and where there are files of a ledger, none is made ([remains]).

// openWhole opens the log, unless its files show that it was more than the store would make of them.
func openWhole(dir string, opts Options, disk guard, fail *failure) (*Log, error) {
	of, err := remains(opts.FS, dir)
	if err != nil {
		return nil, err
	}
	opts.Create = opts.Create && of == ""
	torn, err := tornManifest(opts.FS, dir)
	if err != nil {
		return nil, storeError(err)
	}
	if torn != "" && !opts.ReadOnly {
		probe := opts
		probe.ReadOnly = true
		l, err := open(dir, probe, disk, fail)
		if err == nil {
			err = l.closeStore()
		}
		if err != nil {
			return nil, lost(torn, of, err)
		}
	}
	l, err := open(dir, opts, disk, fail)
	return l, lost(torn, of, err)
}

// lost returns err, that a log cannot be opened, as damage, where the store would have it that a file is missing, or all of them: torn is the list
// of them that is damaged, and of a file of a ledger that there is.
func lost(torn, of string, err error) error {
	if err == nil || errors.Is(err, ErrLocked) || errors.Is(err, ErrNewerFormat) {
		return err
	}
	found, _ := errors.AsType[*CorruptError](err)
	c := &CorruptError{}
	switch {
	case torn != "":
		c.What = "file " + torn + " is damaged, or missing"
	case of != "" && errors.Is(err, ErrMissing):
		c.What = "file " + of + " is of a ledger, and the list of its files is missing"
	case of != "" && found == nil && errors.Is(err, fs.ErrNotExist):
		c.What = "a file is missing"
	default:
		return err
	}
	if found != nil {
		c.Seq = found.Seq
	}
	first, _, _ := strings.Cut(err.Error(), "\n") // the store names them all
	c.Err = errors.New(first)                     // and does not say that there is no ledger
	return c
}

// Remains returns the name of a file in dir that there is only where a ledger was made, "" if there is none.
func Remains(dir string) (string, error) { return remains(vfs.Default, dir) }

func remains(disk vfs.FS, dir string) (string, error) {
	names, err := disk.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	for _, name := range names {
		if name == witnessFile || strings.HasSuffix(name, ".sst") {
			return name, nil
		}
	}
	return "", err
}

// tornManifest returns the name of the MANIFEST in dir if there is to be one and it cannot be read to its end.
func tornManifest(disk vfs.FS, dir string) (name string, err error) {
	desc, err := pebble.Peek(dir, disk)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil || !desc.Exists:
		return "", err
	}
	name = disk.PathBase(desc.ManifestFilename)
	f, err := disk.Open(desc.ManifestFilename)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return name, nil
	case err != nil:
		return "", err
	}
	defer closeInto(f, &err)
	for changes := record.NewReader(f, 0); ; {
		change, err := changes.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, change)
		}
		switch {
		case errors.Is(err, io.EOF):
			return "", nil
		case record.IsInvalidRecord(err):
			return name, nil
		case err != nil:
			return "", err
		}
	}
}
