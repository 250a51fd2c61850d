package views

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// currentFile is the name of the file that names the generation in use.
const currentFile = "CURRENT"

// generation is one store of views and who uses it.
type generation struct {
	number uint64
	store  *Store
	runner *Runner // nil before Start

	// Guarded by Views.mu.
	users  int           // readers, and Views while it is the current one
	unused chan struct{} // closed when there are no users
}

// viewsDir is the directory of the generations.
type viewsDir struct {
	dir  string
	opts Options
}

func (d viewsDir) path(n uint64) string { return d.opts.FS.PathJoin(d.dir, generationName(n)) }

func generationName(n uint64) string { return fmt.Sprintf("%06d", n) }

// current returns the number of the generation in use, 0 if there is none.
func (d viewsDir) current() (uint64, error) {
	b, err := readFile(d.opts.FS, d.dir, currentFile)
	if missing(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, nil // as good as none
	}
	return n, nil
}

func (d viewsDir) setCurrent(n uint64) error {
	return writeFile(d.opts.FS, d.dir, currentFile, []byte(generationName(n)+"\n"))
}

// numbers returns the generations that have a directory, in order.
func (d viewsDir) numbers() ([]uint64, error) {
	names, err := list(d.opts.FS, d.dir)
	var ns []uint64
	for _, name := range names {
		if n, err := strconv.ParseUint(name, 10, 64); err == nil {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	return ns, err
}

// next returns the number of a new generation.
func (d viewsDir) next() (uint64, error) {
	ns, err := d.numbers()
	if err != nil || len(ns) == 0 {
		return 1, err
	}
	return ns[len(ns)-1] + 1, nil
}

// removeOthers removes every generation but one.
func (d viewsDir) removeOthers(keep uint64) error {
	ns, err := d.numbers()
	for _, n := range ns {
		if n != keep {
			err = errors.Join(err, d.opts.FS.RemoveAll(d.path(n)))
		}
	}
	return err
}

func newGeneration(n uint64, store *Store) *generation {
	return &generation{number: n, store: store, users: 1, unused: make(chan struct{})}
}
