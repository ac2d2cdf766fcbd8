package figures

import (
	"os"
	"strconv"
	"strings"
)

// Demand is how much time of its processors a machine has wanted since it started, in ticks, and how much of that its host
// gave to other machines (proc_stat(5), steal): figures of a run in which that was much are the host's.
type Demand struct{ wanted, stolen uint64 }

// MeasureDemand reads it; zero where the system does not tell.
func MeasureDemand() Demand {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Demand{}
	}
	first, _, _ := strings.Cut(string(stat), "\n")
	return demand(first)
}

// demand reads the line of all processors: user, nice, system, idle, iowait, irq, softirq, steal.
func demand(line string) (d Demand) {
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return Demand{}
	}
	for i, f := range fields[1:9] {
		n, err := strconv.ParseUint(f, 10, 64)
		switch {
		case err != nil:
			return Demand{}
		case i == 3 || i == 4: // nobody wanted it
		case i == 7:
			d.stolen = n
			fallthrough
		default:
			d.wanted += n
		}
	}
	return d
}

// StolenSince gives the per cent of what was wanted since then that others got.
func (d Demand) StolenSince(then Demand) float64 {
	if d.wanted <= then.wanted {
		return 0
	}
	return 100 * float64(d.stolen-then.stolen) / float64(d.wanted-then.wanted)
}
