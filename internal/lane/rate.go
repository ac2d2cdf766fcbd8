package lane

import "time"

// rateOver is the time over which a rate is told.
const rateOver = time.Minute

// rate counts what happened within the last minute, to the second. Its owner guards it.
type rate struct {
	counts [rateOver / time.Second]int
	second [rateOver / time.Second]int64 // which second each count is of, since 1970
	total  int                           // since it was made
}

// add counts one more.
func (r *rate) add(now time.Time) {
	at := now.Unix()
	i := at % int64(len(r.counts))
	if r.second[i] != at {
		r.second[i], r.counts[i] = at, 0
	}
	r.counts[i]++
	r.total++
}

// last is how many there were within the last minute.
func (r *rate) last(now time.Time) int {
	n, at := 0, now.Unix()
	for i, second := range r.second {
		if second <= at && at-second < int64(len(r.counts)) {
			n += r.counts[i]
		}
	}
	return n
}
