package sandbox

import (
	"time"
)

// Buckets are the names under which [Options.Limits] and [Sandbox.SetLimit]
// know the rate limits. Okta's are those of its published table and of its
// Terraform provider's rate-limit lines; ASA and Mosaic publish no division, so
// each has one.
const (
	BucketOktaToken   = "okta /oauth2/v1/token"
	BucketOktaGetUser = "okta GET /api/v1/users/{id}"
	BucketOktaUsers   = "okta /api/v1/users"
	BucketOktaOther   = "okta /api/v1"
	BucketASA         = "asa"
	BucketMosaic      = "mosaic"
)

// Limit is how many calls one credential may make in one window. The window
// starts with its first call and is counted in whole seconds, rounded up. Zero
// Requests means no limit; the headers then show a very large one.
type Limit struct {
	Requests int
	Window   time.Duration
}

// unlimited is what the headers of a bucket without a limit show.
const unlimited = 1_000_000

// DefaultLimits returns the limits of a new sandbox: per minute, Okta's
// published numbers for a Workforce org times the 50 % that one credential gets
// by default ("Rate limits", "Token rate limits"), the 150 seen for the token
// endpoint, and Mosaic's 90,000 of the edge. ASA publishes no number; 300 is
// ours.
func DefaultLimits() map[string]Limit {
	return map[string]Limit{
		BucketOktaToken:   {150, time.Minute},
		BucketOktaGetUser: {1000, time.Minute},
		BucketOktaUsers:   {300, time.Minute},
		BucketOktaOther:   {600, time.Minute},
		BucketASA:         {300, time.Minute},
		BucketMosaic:      {90_000, time.Minute},
	}
}

// Unlimited returns a table without any limit.
func Unlimited() map[string]Limit {
	none := DefaultLimits()
	for b := range none {
		none[b] = Limit{}
	}
	return none
}

// window is what is left of one bucket for one credential.
type window struct {
	limit     int
	remaining int
	reset     int64 // Unix seconds at which the next window may start
}

type windowKey struct{ bucket, principal string }

// limiter counts calls per bucket and credential.
type limiter struct {
	limits map[string]Limit
	open   map[windowKey]*window
}

func newLimiter(set map[string]Limit) *limiter {
	limits := DefaultLimits()
	for b, l := range set {
		limits[b] = l
	}
	return &limiter{limits: limits, open: map[windowKey]*window{}}
}

// take spends one call and returns the window after it, or false if none was
// left. A refused call spends nothing.
func (l *limiter) take(bucket, principal string, now time.Time) (window, bool) {
	w := l.current(bucket, principal, now)
	if w.remaining == 0 {
		return *w, false
	}
	w.remaining--
	return *w, true
}

// current returns the open window, starting one if there is none.
func (l *limiter) current(bucket, principal string, now time.Time) *window {
	key := windowKey{bucket, principal}
	w := l.open[key]
	if w == nil || now.Unix() >= w.reset {
		limit := l.limits[bucket]
		if limit.Requests <= 0 {
			limit = Limit{unlimited, time.Minute}
		}
		seconds := int64((limit.Window + time.Second - 1) / time.Second)
		w = &window{limit: limit.Requests, remaining: limit.Requests, reset: now.Unix() + seconds}
		l.open[key] = w
	}
	return w
}

// set replaces a limit and closes its windows.
func (l *limiter) set(bucket string, limit Limit) {
	l.limits[bucket] = limit
	for key := range l.open {
		if key.bucket == bucket {
			delete(l.open, key)
		}
	}
}

// SetLimit replaces the limit of one bucket; what was spent of it is forgotten.
func (sb *Sandbox) SetLimit(bucket string, limit Limit) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.limits.set(bucket, limit)
}
