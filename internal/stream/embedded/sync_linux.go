package embedded

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// sync flushes everything dirty on the store's file system (syncfs(2)). It reports write-back errors since the
// directory was opened, once: since Linux 5.8, and only through this same open file.
func (s *store) sync() error {
	if err := unix.Syncfs(int(s.root.Fd())); err != nil {
		return fmt.Errorf("syncfs %s: %w", s.dir, err)
	}
	return nil
}

// reach gives a path to an open directory that leads to it for as long as it is open, wherever it is moved to (proc(5),
// "/proc/pid/fd"): a server goes by paths, and what it writes must never come into a store that was put in the place of its own.
func reach(root *os.File, dir string) string {
	at := fmt.Sprintf("/proc/self/fd/%d", root.Fd())
	if _, err := os.Stat(at); err != nil {
		return dir
	}
	return at
}

// groupable says why one sync of the file system is no proof here; nil where it is.
//
// Only file systems of a local disk whose syncfs waits for the disk and reports its errors. overlayfs passes the sync
// on to the layer below but not the errors of its write-back; tmpfs keeps nothing; a network file system answers for
// another machine. Old kernels do not report write-back errors from syncfs at all.
func (s *store) groupable() error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.root.Fd()), &st); err != nil {
		return fmt.Errorf("statfs %s: %w", s.dir, err)
	}
	switch st.Type {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC:
		return kernelReports()
	}
	return fmt.Errorf("the store's file system (type %#x) is none of ext4, xfs, btrfs", st.Type)
}

// kernelReports fails before Linux 5.8 (syncfs(2), "VERSIONS").
func kernelReports() error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("uname: %w", err)
	}
	release := unix.ByteSliceToString(u.Release[:])
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return fmt.Errorf("kernel release %q: %w", release, err)
	}
	if major < 5 || major == 5 && minor < 8 {
		return fmt.Errorf("kernel %s does not report write-back errors from syncfs; 5.8 does", release)
	}
	return nil
}

// room is what the store's file system has left for us, in bytes.
func (s *store) room() int64 {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.root.Fd()), &st); err != nil {
		return fallbackRoom
	}
	return int64(st.Bavail) * st.Bsize //nolint:gosec // no disk has 2^63 blocks
}

// evict drops a file's clean pages from memory, so that it is read from the disk next.
func evict(fd uintptr) error { return unix.Fadvise(int(fd), 0, 0, unix.FADV_DONTNEED) }
