// Package figures is what all parts of the benchmark reckon and print alike.
package figures

import (
	"os"
	"slices"
	"time"
)

// Median is that of one figure of several runs; there must be one.
func Median[T any, N float64 | time.Duration](runs []T, figure func(T) N) N {
	var all []N
	for _, r := range runs {
		all = append(all, figure(r))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// Holds is the word for whether a bound is kept. The one that is not is to be seen from afar.
func Holds(kept bool) string {
	if kept {
		return "yes"
	}
	return "NO"
}

// SyncCost is what one append of 1 KiB and its fsync cost in a directory: the mean of a hundred.
func SyncCost(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "sync-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	const times = 100
	began := time.Now()
	for range times {
		if _, err := f.Write(make([]byte, 1<<10)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return (time.Since(began) / times).Round(10 * time.Microsecond), nil
}
