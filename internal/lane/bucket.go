package lane

import (
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

const (
	// lastCalls is the end of a window in which little is left to the classes above: whoever comes later than that and
	// finds nothing is served by the next window, this soon. A window of Okta is a minute ("Rate limits").
	lastCalls = 6 * time.Second
	// lastLeaves is what is left to the classes above even then, in per cent of a window, unless less is left to them at
	// any time: a stolen laptop or two. Without it one that is reported in a window's last seconds waits for the next.
	lastLeaves = 4
	// urgentLook is how long an urgent call believes a provider that wants to be left alone for longer than holdAtMost: a
	// wrong time must not keep a stolen laptop waiting, and one call a minute harms nobody.
	urgentLook = time.Minute
	// sameWindow is how far the ends of one window may lie apart in two replies: servers count in whole seconds.
	sameWindow = time.Second
)

// bucket is what replies told of one rate limit. It errs towards fewer calls, and only for as long as a call is out
// or, for one that nobody answered, until the window ends.
type bucket struct {
	budget   Budget    // what of it is ours
	known    *known    // a limit that holds beside it; nil = none
	inFlight int       // calls admitted and not yet learned of
	paused   time.Time // told to wait until then
	heard    time.Time // when a call last came back
	look     bool      // the call in flight went before its time, to see whether that is right
	refused  int       // replies in a row that refused a call without a word on when the next one may come

	limit  int       // calls a window
	left   int       // the least that a reply of the window told: replies come out of order
	lost   int       // calls in the window that no reply tells about: they may have counted
	mine   int       // calls of ours that may count in the window: those in flight, and those it was told of
	window time.Time // which window that is: its end by the server's clock; zero = none was ever told
	ends   time.Time // when it ends by ours; never too early, as servers cut seconds off their Date

	calls int           // that went out, ever
	span  time.Duration // how long a window is: the longest that the first reply of one told

	open   bool // the window told last is running
	before int  // while none is open: how many of inFlight were admitted before
	blind  int  // while none is open: how many more than one may be out. The first of a window goes alone, or with one urgent
}

// free says whether a call of the rank may go, or how long it may certainly not; 0 = until another one returns. A long
// time that the provider told holds for the urgent until urgentLook: then one of them goes alone and sees. What is known from
// elsewhere, and the share of others, is obeyed by all.
func (b *bucket) free(rank int, now time.Time) (wait time.Duration, ok bool) {
	if wait, ok := b.known.free(rank, now); !ok {
		return wait, false
	}
	wait, ok = b.told(rank, now)
	if ok || wait == 0 || rank > 0 || now.Add(wait).Sub(b.heard) <= holdAtMost || b.budget.shared() && b.mine >= b.budget.allowed(b.limit) {
		return wait, ok
	}
	if until := b.heard.Add(urgentLook).Sub(now); until > 0 {
		return min(wait, until), false
	}
	return 0, b.inFlight == 0
}

// told is free by what replies told.
func (b *bucket) told(rank int, now time.Time) (wait time.Duration, ok bool) {
	b.turn(now)
	rest := b.ends.Sub(now)
	free, allowed := b.rest(), b.budget.allowed(b.limit)
	switch {
	case now.Before(b.paused):
		return b.paused.Sub(now), false
	case !b.open && b.budget.shared() && b.limit > 0 && b.inFlight > 0 && b.mine >= allowed:
		return 0, false // those that are out may count in the next window already
	case !b.open && rank == 0 && (b.limit == 0 || b.inFlight < allowed):
		return 0, b.inFlight-b.before <= b.blind+1
	case !b.open:
		return 0, b.inFlight-b.before <= b.blind
	case free <= 0:
		return rest, false
	case rest > lastCalls && free <= b.budget.leaves(rank, allowed):
		return rest - lastCalls, false
	case free <= b.budget.leavesLast(rank, allowed):
		return rest, false
	}
	return 0, true
}

// take counts a call that goes.
func (b *bucket) take(now time.Time) {
	b.known.take(now)
	b.look = now.Before(b.paused) || b.open && b.rest() <= 0
	b.inFlight++
	b.calls++
	b.mine++
}

// rest is how many calls the lane may still make in the window.
func (b *bucket) rest() int {
	free := b.left - b.lost - b.inFlight
	if b.budget.shared() {
		free = min(free, b.budget.allowed(b.limit)-b.mine)
	}
	return free
}

// turn closes a window that is over. How much the next one holds is not known before its first reply: the server may
// have begun it later, and others may spend the same budget.
func (b *bucket) turn(now time.Time) {
	if b.open && !now.Before(b.ends) {
		b.open, b.before, b.blind = false, b.inFlight, 0
		b.mine = b.inFlight
	}
}

// learn takes what came of one call.
func (b *bucket) learn(said apiclient.Budget, now time.Time) {
	b.known.learn(now)
	b.turn(now)
	straggler := b.before > 0
	b.inFlight--
	b.before = max(b.before-1, 0)
	if b.heard = now; b.look && said.Wait == 0 && !said.Failed { // what was told before was wrong
		b.paused, b.open = time.Time{}, b.open && said.Ends.Sub(b.window) >= -sameWindow
	}
	b.look = false
	if until := now.Add(b.patience(said)); said.Wait > 0 && until.After(b.paused) {
		b.paused = until
	}
	ends, newer := now.Add(said.Reset), said.Ends.Sub(b.window)
	said.Remaining = min(said.Remaining, max(said.Limit, 0)) // more than there are is a fault of the reply
	switch {
	case said.Limit <= 0 || said.Remaining < 0 || said.Ends.IsZero():
		b.lost++
		b.trust(said)
	case newer > sameWindow,
		newer < -sameWindow && !b.open && !straggler: // the server's clock was set back
		if b.open {
			b.mine = b.inFlight + b.lost + 1
		}
		b.mine = min(b.mine, said.Limit-said.Remaining+b.inFlight) // no more than the server counted can be ours
		b.window, b.ends, b.open = said.Ends, ends, true
		b.span = max(b.span, said.Reset)
		b.limit, b.left, b.lost = said.Limit, said.Remaining, 0
	case newer < -sameWindow:
		b.mine = max(b.mine-1, 0) // it tells of a window that is over
	default:
		b.limit, b.left = said.Limit, min(b.left, said.Remaining)
		if ends.Before(b.ends) {
			b.ends = ends // this reply was faster
		}
		b.trust(said)
	}
}

// patience is how long a reply lets the bucket wait. One that refuses and does not say until when, or names a time that is
// over by its own clock, is believed longer each time in a row: nothing else says when it is worth a call.
func (b *bucket) patience(said apiclient.Budget) time.Duration {
	if said.Wait == 0 {
		b.refused = 0
		return 0
	}
	if said.Reset > 0 || said.Crowded {
		return said.Wait
	}
	b.blind = 0
	wait := min(said.Wait<<min(b.refused, 8), holdAtMost)
	b.refused++
	return max(wait, said.Wait)
}

// trust lets one more call out where replies come and tell of no window that runs: the provider may have no limit, or
// hide it, and then only its refusals hold anything back.
func (b *bucket) trust(said apiclient.Budget) {
	if !b.open && said.Wait == 0 {
		b.blind++
	}
}

// leavesLast is what of so many calls a rank leaves to those above it until the window ends.
func (b Budget) leavesLast(rank, calls int) int {
	return min(b.leaves(rank, calls), calls*lastLeaves/100)
}

// Most is how many calls of a window's limit a class makes at most, those in its last seconds included.
func (b Budget) Most(class events.Class, limit int) int {
	allowed := b.allowed(limit)
	return allowed - b.leavesLast(rank(class), allowed)
}
