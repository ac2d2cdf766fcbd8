package process

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// fileMemory is how much of the program's file is in memory, in KiB.
func fileMemory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatal("no RssFile in /proc/self/status: a kernel before 4.5")
	}
	n, _ := strconv.Atoi(string(found[1]))
	return n
}

func TestAProgramForgetsItsStart(t *testing.T) {
	before := fileMemory(t)
	if err := forgetProgram(); err != nil {
		t.Fatal(err)
	}
	if after := fileMemory(t); after >= before {
		t.Errorf("%d KiB of files in memory, and %d before", after, before)
	}
}

// TestOnlyWhatIsAsTheFileHasItIsForgotten: what a loader changed, what can be written, and other files stay.
func TestOnlyWhatIsAsTheFileHasItIsForgotten(t *testing.T) {
	const smaps = `00400000-00500000 r--p 00000000 fe:00 12 /bin/k
Size:               1024 kB
Private_Dirty:      1000 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
00500000-00900000 r-xp 00100000 fe:00 12 /bin/k
Private_Dirty:         0 kB
Anonymous:             0 kB
00900000-00980000 r--p 00500000 fe:00 12 /bin/k
Private_Dirty:        64 kB
Anonymous:            64 kB
00980000-00a00000 r--p 00580000 fe:00 12 /bin/k
Anonymous:             0 kB
Swap:                 64 kB
00a00000-00b00000 rw-p 00600000 fe:00 12 /bin/k
Private_Dirty:         0 kB
Anonymous:             0 kB
c000000000-c000400000 rw-p 00000000 00:00 0
Anonymous:          4096 kB
7f0000000000-7f0000100000 r-xp 00000000 fe:00 13 /lib/other
Private_Dirty:         0 kB
`
	got, err := clean(strings.NewReader(smaps), "/bin/k")
	if err != nil || len(got) != 2 || got[0] != (region{from: 0x400000, to: 0x500000}) || got[1] != (region{from: 0x500000, to: 0x900000}) {
		t.Errorf("%+v, %v", got, err)
	}
}
