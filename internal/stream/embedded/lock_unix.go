//go:build unix

package embedded

import (
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes the lock of f until f is closed or the process ends.
func tryLock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
