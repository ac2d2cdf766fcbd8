package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetProgram gives back the memory that holds pages of the program's own file: most of them only its start needed, and
// the others come back from the page cache when they are touched (madvise(2), MADV_DONTNEED). What was written to since
// it was read, as a loader does, would not come back as it was, and is left alone.
func forgetProgram() error {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer maps.Close()
	list, err := clean(maps, exe)
	for _, r := range list {
		if _, _, no := unix.Syscall(unix.SYS_MADVISE, r.from, r.to-r.from, unix.MADV_DONTNEED); no != 0 {
			err = errors.Join(err, fmt.Errorf("give back a part of %s: %w", exe, no))
		}
	}
	return err
}

// region is a part of the address space.
type region struct {
	from, to uintptr
	keep     bool
}

// clean lists the regions in the form of /proc/PID/smaps (proc(5)) that hold the file as it is and cannot be written.
func clean(smaps io.Reader, file string) ([]region, error) {
	var all []region
	ours := false
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		switch f := strings.Fields(lines.Text()); {
		case len(f) >= 5 && strings.Contains(f[0], "-"):
			ours = len(f) == 6 && f[5] == file && (f[1] == "r--p" || f[1] == "r-xp")
			if !ours {
				continue
			}
			from, to, _ := strings.Cut(f[0], "-")
			begin, err := strconv.ParseUint(from, 16, 64)
			end, err2 := strconv.ParseUint(to, 16, 64)
			if err := errors.Join(err, err2); err != nil {
				return nil, err
			}
			all = append(all, region{from: uintptr(begin), to: uintptr(end)})
		case ours && len(f) >= 2 && (f[0] == "Anonymous:" || f[0] == "Swap:" || f[0] == "Locked:") && f[1] != "0":
			all[len(all)-1].keep = true
		}
	}
	return slices.DeleteFunc(all, func(r region) bool { return r.keep }), lines.Err()
}
