package burst

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"keyturn/internal/sandbox"
)

// How long a call is under way, there and back: 60 to 180 ms, as over a country.
const (
	nearest = 60 * time.Millisecond
	spread  = 120 * time.Millisecond
)

// wire is the way to a provider: it takes time, and counts.
type wire struct {
	to http.RoundTripper

	mu    sync.Mutex
	rng   *rand.Rand
	calls map[string]int // by bucket
	waits map[string]int // those answered 429, by bucket
}

func newWire(to http.RoundTripper, seed uint64) *wire {
	return &wire{to: to, rng: rand.New(rand.NewPCG(seed, 1)), calls: map[string]int{}, waits: map[string]int{}}
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	there, back := nearest/2+time.Duration(w.rng.Int64N(int64(spread/2))), nearest/2+time.Duration(w.rng.Int64N(int64(spread/2)))
	w.mu.Unlock()
	time.Sleep(there)
	res, err := w.to.RoundTrip(req)
	time.Sleep(back)
	w.mu.Lock()
	defer w.mu.Unlock()
	bucket := bucketOf(req)
	w.calls[bucket]++
	if err == nil && res.StatusCode == http.StatusTooManyRequests {
		w.waits[bucket]++
	}
	return res, err
}

// sum adds the calls of all buckets up, and those answered 429.
func (w *wire) sum() (calls, waits int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for bucket, n := range w.calls {
		calls, waits = calls+n, waits+w.waits[bucket]
	}
	return calls, waits
}

// bucketOf is the rate limit that a call spends, as the sandbox names it.
func bucketOf(req *http.Request) string {
	path := req.URL.Path
	rest, users := strings.CutPrefix(path, "/okta/api/v1/users/")
	switch {
	case strings.HasPrefix(path, "/asa"):
		return sandbox.BucketASA
	case users && req.Method == http.MethodGet && !strings.Contains(rest, "/"):
		return sandbox.BucketOktaGetUser
	case strings.HasPrefix(path, "/okta/api/v1/users"):
		return sandbox.BucketOktaUsers
	}
	return sandbox.BucketOktaOther
}
