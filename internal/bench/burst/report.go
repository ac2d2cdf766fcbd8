package burst

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"keyturn/internal/bench/figures"
)

// leavesOut is said above every table.
const leavesOut = "virtual time: lanes, gate, runner, kinds, clients and the sandbox with Okta's published limits are the real ones; " +
	"left out are broker, disk, planner and sockets. A call takes 60 to 180 ms, work of the processor takes none."

// row is one figure beside what it is held to.
type row struct {
	what, bound, ours, field string
	ratio                    float64 // of ours to the bound's base; 0 = none is told
	holds                    bool
}

// table prints rows; field names what the column of the common design holds, empty = there is none.
func table(w io.Writer, title, field string, rows []row) error {
	fmt.Fprintf(w, "\n%s\n", title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := []string{"measured", "bound", "ours"}
	if field != "" {
		head = append(head, field)
	}
	fmt.Fprintln(t, strings.Join(append(head, "ratio", "holds"), "\t"))
	for _, r := range rows {
		cells := []string{r.what, r.bound, r.ours}
		if field != "" {
			cells = append(cells, r.field)
		}
		ratio := ""
		if r.ratio > 0 {
			ratio = fmt.Sprintf("%.3f", r.ratio)
		}
		fmt.Fprintln(t, strings.Join(append(cells, ratio, figures.Holds(r.holds)), "\t"))
	}
	return t.Flush()
}

// tellNeeds prints the minimum, call by call.
func tellNeeds(w io.Writer) error {
	by, all := needs()
	fmt.Fprintf(w, "\nthe least that the proof about one leaver needs: %d calls\n", all)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range needed() {
		fmt.Fprintf(t, "  %d\t%s\t%s\n", c.times, c.bucket, c.what)
	}
	var sums []string
	for bucket, n := range by {
		sums = append(sums, fmt.Sprintf("%d %s", n, bucket))
	}
	slices.Sort(sums)
	fmt.Fprintf(t, "  together: %s\n", strings.Join(sums, ", "))
	return t.Flush()
}

// short is a time for a person.
func short(d time.Duration) string {
	if d < time.Minute {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// megabytes of memory.
func megabytes(bytes uint64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
