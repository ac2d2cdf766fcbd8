package lane

import (
	"fmt"
	"time"

	"keyturn/internal/events"
)

// Budget is how much of a provider's windows a lane may use. The zero value is all of them, with the default reserves.
type Budget struct {
	// Share is the part of each window's limit that the lane uses at most, above 0 and up to 1; 0 = 1. Of a limit of
	// which it is less than one call it uses one. What others leave of the rest is not touched.
	Share float64
	// Reserve is the part of that, in per cent, that each class leaves to those above it, up to 95; nil = DefaultReserve.
	// None may leave less than the class above it. The last seconds of a window serve whoever is left, but for 4 per cent.
	Reserve map[events.Class]int
	// Known are limits of buckets that are known from elsewhere than replies. They hold beside what replies tell.
	Known map[string]Limit
}

// DefaultReserve is what each class leaves to those above it, in per cent of a window. A stolen laptop is a few calls;
// that a burst of thousands waits for the next window anyway makes room for it.
func DefaultReserve() map[events.Class]int {
	return map[events.Class]int{events.Normal: 15, events.Bulk: 50}
}

// check says what is wrong with a budget.
func (b Budget) check() error {
	if b.Share < 0 || b.Share > 1 {
		return fmt.Errorf("share %v: must be above 0 and at most 1", b.Share)
	}
	for name, l := range b.Known {
		if l.Calls < 1 || l.Window < 2*time.Second {
			return fmt.Errorf("bucket %s: limit of %d calls in %s: must be at least 1 call, in at least 2 s", name, l.Calls, l.Window)
		}
	}
	above := 0
	for _, class := range events.Classes() {
		leaves := b.reserve()[class]
		if leaves < above || leaves > 95 {
			return fmt.Errorf("reserve %d of class %s: must be at least %d, as of the class above, and at most 95", leaves, class, above)
		}
		above = leaves
	}
	return nil
}

func (b Budget) reserve() map[events.Class]int {
	if b.Reserve == nil {
		return DefaultReserve()
	}
	return b.Reserve
}

// allowed is how many calls of a window's limit the lane may make.
func (b Budget) allowed(limit int) int {
	if !b.shared() || limit <= 0 {
		return limit
	}
	return max(int(b.Share*float64(limit)+1e-9), 1) // 0.29 × 100 is a little below 29
}

// shared reports whether a part of each window is for others.
func (b Budget) shared() bool { return b.Share > 0 && b.Share < 1 }

// leaves is what of so many calls a rank leaves to those above it.
func (b Budget) leaves(rank, calls int) int {
	return calls * b.reserve()[events.Classes()[rank]] / 100
}
