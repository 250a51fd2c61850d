package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"tallystick/ledger"
)

// A LockedError reports that another process has a ledger's directory open.
type LockedError struct {
	Dir string
	PID int // of the other process; 0 if it is not known
}

func (e *LockedError) Error() string {
	return e.Holder() + ": talk to it with --server, or stop it first"
}

// Holder says who has the directory open.
func (e *LockedError) Holder() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("%s is in use by %s", e.Dir, who)
}

// A MissingError reports that there is no ledger in a directory.
type MissingError struct{ Dir string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("there is no ledger in %s: `tally serve --data %s` makes one", e.Dir, e.Dir)
}

// lock takes the directory for this process, until the file it returns is closed. The kernel
// gives it up when the process ends, however it ends.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			b, _ := os.ReadFile(f.Name())
			pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
			return nil, &LockedError{dir, pid}
		}
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	if err = f.Truncate(0); err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return f, nil
}

// A LostError reports a directory that a ledger was in, whose log is gone.
type LostError struct {
	Dir  string
	Name string // of something that there is of the ledger
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%[1]s holds %[2]s of a ledger, and no log: no ledger is made there. Make another directory, by `tally restore COPY --data NEW` "+
		"from a backup or by `tally restore --from-nats --data NEW --nats-dir %[1]s/nats` from what was published; or name one that is empty", e.Dir, e.Name)
}

// prepare makes the directory of a new ledger, or checks that there is one. It reports whether the ledger is to be made: never where something is left
// of one, whose keys and streams would be another's then.
func prepare(dir string, create bool) (isNew bool, err error) {
	of, err := ledger.Remains(filepath.Join(dir, "log"))
	switch {
	case err != nil:
		return false, fmt.Errorf("looking for a ledger: %w", err)
	case of != "":
		return false, nil
	}
	for _, name := range []string{"views", "snapshots", "nats", "keys/" + ledger.PublicKeyFile} { // all of them made when there is a log
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return false, &LostError{dir, name}
		}
	}
	if !create {
		return false, &MissingError{dir}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("making a ledger: %w", err)
	}
	return true, nil
}
