package views

import (
	"errors"
	"io"
	"strings"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// writeFile makes dir/name with the given content, at once and for good: whoever opens it,
// also after a crash, finds what was there before or all of this.
func writeFile(fs vfs.FS, dir, name string, content []byte) (err error) {
	tmp := fs.PathJoin(dir, name+".tmp")
	f, err := fs.Create(tmp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(tmp, fs.PathJoin(dir, name)); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

func readFile(fs vfs.FS, dir, name string) (content []byte, err error) {
	f, err := fs.Open(fs.PathJoin(dir, name))
	if err != nil {
		return nil, err
	}
	content, err = io.ReadAll(f)
	return content, errors.Join(err, f.Close())
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func missing(err error) bool { return oserror.IsNotExist(err) }

func exists(fs vfs.FS, dir, name string) bool {
	_, err := fs.Stat(fs.PathJoin(dir, name))
	return err == nil
}

// makeDir makes a directory and what is missing above it, for good.
func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	if parent := fs.PathDir(dir); parent != dir {
		if err := makeDir(fs, parent); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncDir(fs, fs.PathDir(dir))
}

// list returns the names in dir, none if there is no such directory.
func list(fs vfs.FS, dir string) ([]string, error) {
	names, err := fs.List(dir)
	if missing(err) {
		return nil, nil
	}
	for i := range names {
		names[i] = strings.TrimSuffix(names[i], "/")
	}
	return names, err
}

// cloneStore makes a copy of a store that is not in use. The two share their tables, which never change.
func cloneStore(fs vfs.FS, from, to string) error {
	if err := makeDir(fs, to); err != nil {
		return err
	}
	names, err := list(fs, from)
	if err != nil {
		return err
	}
	synced := vfs.NewSyncingFS(fs, vfs.SyncingFileOptions{})
	for _, name := range names {
		put := vfs.Copy
		switch {
		case name == "LOCK" || name == snapshotFile || name == condemnedFile:
			continue
		case strings.HasSuffix(name, ".sst"):
			put = vfs.LinkOrCopy
		}
		if err := put(synced, fs.PathJoin(from, name), fs.PathJoin(to, name)); err != nil {
			return err
		}
	}
	return syncDir(fs, to)
}
