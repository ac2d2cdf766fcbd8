package slowsync

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notice and answer are struct seccomp_notif and seccomp_notif_resp (linux/seccomp.h).
type notice struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

type answer struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// Install puts the delay, zero at first, before every sync of this process. It cannot be taken out again: while the
// delay is zero a sync costs some ten microseconds more. It fails where the kernel is older than 5.7, or where the
// process may not filter its own calls, and the second time: a process has one supervisor.
//
// It works by seccomp user notification (seccomp(2), seccomp_unotify(2)): the thread that syncs stands still until
// the supervisor, a goroutine here, lets the call go on unchanged.
func Install() (*Delay, error) {
	fd, err := filter()
	if err != nil {
		return nil, fmt.Errorf("delay syncs: %w", err)
	}
	d := &Delay{}
	go d.supervise(fd)
	return d, nil
}

// filter installs the filter on every thread, and returns the descriptor of its notices.
func filter() (int, error) {
	runtime.LockOSThread() // no_new_privs is set on the thread that installs the filter
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("no_new_privs: %w", err)
	}
	const load, equal, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	program := []unix.SockFilter{
		{Code: load}, // the call's number
		{Code: equal, K: unix.SYS_FSYNC, Jt: 3},
		{Code: equal, K: unix.SYS_FDATASYNC, Jt: 2},
		{Code: equal, K: unix.SYS_SYNCFS, Jt: 1},
		{Code: answer, K: unix.SECCOMP_RET_ALLOW},
		{Code: answer, K: unix.SECCOMP_RET_USER_NOTIF},
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH | unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return 0, fmt.Errorf("seccomp: %w", errno)
	}
	return int(fd), nil
}

// supervise lets every sync go on after its delay, for the life of the process.
func (d *Delay) supervise(fd int) {
	for {
		var n notice
		err := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n))
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOENT): // a signal; a thread that is gone
			continue
		case err != nil:
			panic(fmt.Sprintf("delay syncs: %v", err)) // every later sync would stand still for ever
		}
		wait := time.Duration(d.ns.Load())
		if wait <= 0 {
			release(fd, n.id)
			continue
		}
		go func() {
			// A sleep of the thread, not of the goroutine: it ends in time on a busy machine.
			ts := unix.NsecToTimespec(int64(wait))
			_ = unix.Nanosleep(&ts, nil)
			release(fd, n.id)
		}()
	}
}

// release lets the call go on as it was made.
func release(fd int, id uint64) {
	a := answer{id: id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	_ = ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a)) // an error: its thread is gone
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}
