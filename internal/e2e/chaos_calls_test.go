//go:build !race

package e2e

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// laneOf are the connections of the workers' configuration, by the path of their provider.
var laneOf = map[string]string{"okta": "okta-prod", "asa": "asa-prod", "mosaic": "mosaic-prod"}

// called is one call of a worker to a provider.
type called struct {
	at     time.Time
	worker int
	lane   string
}

// callers keeps who called which provider when.
type callers struct {
	mu   sync.Mutex
	list []called
}

// from keeps the calls of a worker, which next answers.
func (c *callers) from(worker int, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		provider, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		c.mu.Lock()
		c.list = append(c.list, called{at: time.Now(), worker: worker, lane: laneOf[provider]})
		c.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// byOther gives the first call after a moment, in a lane, of anybody but one worker.
func (c *callers) byOther(lane string, after time.Time, worker int) (called, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := called{}, false
	for i := len(c.list) - 1; i >= 0 && c.list[i].at.After(after); i-- {
		if one := c.list[i]; one.lane == lane && one.worker != worker {
			found, ok = one, true
		}
	}
	return found, ok
}

func (c *callers) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.list)
}

// stalls measures how long this machine stood still: a wait is late by what nobody could help.
type stalls struct {
	mu    sync.Mutex
	total time.Duration
	end   chan struct{}
	over  sync.WaitGroup
}

const stallStep = 50 * time.Millisecond

// watch measures until stop is called.
func (s *stalls) watch() (stop func()) {
	s.end = make(chan struct{})
	s.over.Go(func() {
		tick := time.NewTicker(stallStep)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case <-tick.C:
			case <-s.end:
				return
			}
			s.mu.Lock()
			if late := time.Since(last) - 2*stallStep; late > 0 {
				s.total += late
			}
			last = time.Now()
			s.mu.Unlock()
		}
	})
	return func() { close(s.end); s.over.Wait() }
}

// sum is how long in all so far.
func (s *stalls) sum() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}
