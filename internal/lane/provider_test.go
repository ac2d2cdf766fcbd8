package lane

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

// provider is a server with one rate limit in fixed windows, as Okta counts: whole seconds, a Date that is cut, and a
// window that begins where the last one ended, or with the first call after it.
type provider struct {
	limit    int
	window   time.Duration
	adjacent bool          // each window begins where the last one ended
	slow     time.Duration // at most, there and back
	loses    float64       // the part of the replies that never arrives

	mu                          sync.Mutex
	ends                        time.Time
	used                        int
	refused, worst              int // 429s in this window, and in the worst
	out, most                   int // calls in flight
	ours, peak                  int // calls of the gate under test in this window, and in the fullest
	early, peakEarly            int // of these, those that came well before the end of the window
	calls, refusals, lost, away int // away: sent away at the gate
}

// now turns the window over.
func (p *provider) now() time.Time {
	now := time.Now()
	if now.Before(p.ends) {
		return now
	}
	switch {
	case p.adjacent && !p.ends.IsZero():
		p.ends = p.ends.Add(now.Sub(p.ends).Truncate(p.window) + p.window)
	default:
		p.ends = now.Truncate(time.Second).Add(p.window)
	}
	p.used, p.refused, p.ours, p.early = 0, 0, 0, 0
	return now
}

// count counts a call and gives its reply.
func (p *provider) count() (said apiclient.Budget, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	date := p.now().Truncate(time.Second)
	p.calls++
	p.ours++
	p.peak = max(p.peak, p.ours)
	if time.Until(p.ends) > lastCalls+p.slow+time.Second {
		p.early++
		p.peakEarly = max(p.peakEarly, p.early)
	}
	said = apiclient.Budget{Limit: p.limit, Reset: p.ends.Sub(date), Ends: p.ends}
	if p.used >= p.limit {
		p.refused++
		p.refusals++
		p.worst = max(p.worst, p.refused)
		said.Wait = said.Reset + time.Second
		return said, false
	}
	p.used++
	said.Remaining = p.limit - p.used
	return said, true
}

// spend is somebody else's call.
func (p *provider) spend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now()
	p.used = min(p.used+1, p.limit)
}

// fly notes calls in flight.
func (p *provider) fly(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out += n
	p.most = max(p.most, p.out)
}

// call makes one call through the gate, again and again until it is answered.
func (p *provider) call(t *testing.T, g apiclient.Gate, rng *rand.Rand) {
	for {
		if err := g.Admit(t.Context(), "b"); err != nil {
			e, ok := errors.AsType[*apiclient.Error](err)
			if !ok || e.Cause != apiclient.Later || e.RetryAfter <= 0 {
				t.Errorf("sent away with %v", err)
				return
			}
			p.mu.Lock()
			p.away++
			p.mu.Unlock()
			time.Sleep(e.RetryAfter)
			continue
		}
		p.fly(1)
		time.Sleep(upTo(rng, p.slow/2))
		said, ok := p.count()
		time.Sleep(upTo(rng, p.slow/2))
		p.fly(-1)
		if rng.Float64() < p.loses {
			p.mu.Lock()
			p.lost++
			p.mu.Unlock()
			said, ok = nothing, false
		}
		g.Learn("b", said)
		if ok {
			return
		}
	}
}

// crowd is many actions at one gate.
type crowd struct {
	seed              uint64
	actions, each, in int // how many, with how many calls, how many calls in flight
	classes           []events.Class
	budget            Budget
}

// run makes all the calls and gives how long that took. The error is a gate that lost a place, or gave one too many.
func (c crowd) run(t *testing.T, p *provider) (time.Duration, error) {
	g := newGate(c.in)
	g.budget = c.budget
	began := time.Now()
	var wg sync.WaitGroup
	for i := range c.actions {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(c.seed, uint64(i)))
			pass := g.pass(c.classes[i%len(c.classes)])
			for range c.each {
				p.call(t, pass, rng)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	synctest.Wait()
	if err := g.left(); err != nil || p.most > c.in+min(urgentPlaces, c.in) {
		return took, fmt.Errorf("in the end: %v; %d were in flight, of %d", err, p.most, c.in)
	}
	return took, nil
}

// upTo is a time between nothing and d.
func upTo(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(d) + 1))
}

// nothing is what is learned of a call that nobody answered, or of a provider that tells nothing.
var nothing = apiclient.Budget{Limit: -1, Remaining: -1}
