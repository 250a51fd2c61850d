package natsbus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrInUse reports streams that another process has open. JetStream does not see that itself, and two servers on one store spoil it.
var ErrInUse = errors.New("are in use by another process: stop it first")

// lock takes the store of the embedded server for this bus, until the file it returns is closed. The kernel gives it up when the process ends.
func lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, errors.Join(fmt.Errorf("the streams in %s %w", dir, err), f.Close())
	}
	return f, nil
}
