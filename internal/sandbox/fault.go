package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"
)

// Kinds of faults.
const (
	// KindStatus answers with Status instead of doing the operation.
	KindStatus = "status"
	// KindDelay waits Delay, then does the operation. A caller that goes away
	// while it waits has no effect.
	KindDelay = "delay"
	// KindCut ends the connection before the operation.
	KindCut = "cut"
	// KindEffectThenTimeout does the operation, waits Delay and ends the
	// connection. A Delay longer than the caller's patience is a time-out.
	KindEffectThenTimeout = "effect_then_timeout"
	// KindEffectThenStatus does the operation and then answers with Status.
	KindEffectThenStatus = "effect_then_status"
	// KindNoEffect answers as if the operation were done, and does not do it.
	KindNoEffect = "no_effect"
	// KindStale answers reads from the past. Matched by a read: that read, and
	// for the time For the other reads that the fault matches, see the state of
	// the moment when the fault was armed. Matched by a write: the write
	// happens, and for the time For every read of that provider sees the state
	// before it.
	KindStale = "stale"
)

// Fault is a scripted misbehaviour.
type Fault struct {
	// Method of the calls that it strikes; empty strikes every method.
	Method string
	// Path of the calls: a route pattern as the journal shows it
	// ("/okta/api/v1/users/{userId}/sessions"), or a glob over the escaped path
	// in which * stands for one segment or part of one and ** for any number of
	// segments. Empty strikes every path.
	Path string
	// Skip is how many matching calls pass before the first is struck.
	Skip int
	// Times is how many calls are struck; 0 is one, -1 is all.
	Times int
	// Kind is one of the Kind constants.
	Kind string
	// Status of status and effect_then_status.
	Status int
	// Header is set on the answer of status and effect_then_status, over what
	// the vendor would send. An empty list removes a header.
	Header http.Header
	// Body of status and effect_then_status; empty is the vendor's own error
	// body for that status.
	Body string
	// RetryIn is when a scripted 429 or 503 says that the next call may come;
	// 0 is the end of the caller's real window.
	RetryIn time.Duration
	// Delay of delay and effect_then_timeout, in real time.
	Delay time.Duration
	// For is how long stale lasts, by the sandbox's clock.
	For time.Duration
}

// FaultState is an armed fault and what became of it.
type FaultState struct {
	ID     string `json:"id"`
	Fault  Fault  `json:"fault"`
	Seen   int    `json:"seen"`   // matching calls
	Struck int    `json:"struck"` // calls that it shaped
}

// Fault arms a fault and returns its id. Faults are asked in the order in which
// they were armed; a call is shaped by the first that is due, and those behind
// it do not see the call.
func (sb *Sandbox) Fault(f Fault) (id string, err error) {
	if err := f.validate(); err != nil {
		return "", fmt.Errorf("fault: %w", err)
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return sb.faults.arm(f, sb.live), nil
}

// Faults returns the armed faults, those that are used up included.
func (sb *Sandbox) Faults() []FaultState {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	states := make([]FaultState, 0, len(sb.faults.armed))
	for _, a := range sb.faults.armed {
		states = append(states, FaultState{ID: a.id, Fault: a.Fault, Seen: a.seen, Struck: a.struck})
	}
	return states
}

// ClearFaults disarms the faults with these ids, or all of them, and ends stale
// windows if it disarms all.
func (sb *Sandbox) ClearFaults(ids ...string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.faults.clear(ids)
}

func (f Fault) validate() error {
	switch f.Kind {
	case KindStatus, KindEffectThenStatus:
		if f.Status < 200 || f.Status > 599 {
			return fmt.Errorf("status %d: want 200 to 599", f.Status)
		}
	case KindDelay:
		if f.Delay <= 0 {
			return fmt.Errorf("delay %v: want more than nothing", f.Delay)
		}
	case KindCut, KindEffectThenTimeout, KindNoEffect, KindStale:
	default:
		return fmt.Errorf("kind %q: unknown", f.Kind)
	}
	if f.Times < -1 || f.Skip < 0 {
		return fmt.Errorf("times %d, skip %d: want times from -1, skip from 0", f.Times, f.Skip)
	}
	for _, seg := range strings.Split(f.Path, "/") {
		if _, err := path.Match(seg, ""); err != nil {
			return fmt.Errorf("path %q: %w", f.Path, err)
		}
	}
	return nil
}

// strikes says whether the fault is about this call.
func (f Fault) strikes(c *call) bool {
	if f.Method != "" && f.Method != c.r.Method {
		return false
	}
	if f.Path == "" || f.Path == c.route.pattern {
		return true
	}
	return globMatch(strings.Split(f.Path, "/"), strings.Split(c.r.URL.EscapedPath(), "/"))
}

func globMatch(glob, segments []string) bool {
	if len(glob) == 0 {
		return len(segments) == 0
	}
	if glob[0] == "**" {
		for i := 0; i <= len(segments); i++ {
			if globMatch(glob[1:], segments[i:]) {
				return true
			}
		}
		return false
	}
	if len(segments) == 0 {
		return false
	}
	ok, _ := path.Match(glob[0], segments[0]) // validate has seen every pattern
	return ok && globMatch(glob[1:], segments[1:])
}

// wait is the only sleep in the sandbox: a scripted one, over when the caller
// goes away.
func wait(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// scripted is the answer that a fault puts in place of the vendor's.
func (sb *Sandbox) scripted(c *call, f taken) reply {
	if f.RetryIn > 0 && c.rateView.limit > 0 {
		c.rateView.reset = c.now.Add(f.RetryIn).Unix()
	}
	if f.Status == http.StatusTooManyRequests {
		c.rateView.remaining = 0
	}
	rep := reply{status: f.Status, rawType: "application/json", raw: f.Body}
	if f.Body == "" {
		rep = c.route.vendor.failure(c, f.Status)
	}
	for k, v := range f.Header {
		if rep.header == nil {
			rep.header = http.Header{}
		}
		rep.header[http.CanonicalHeaderKey(k)] = v
	}
	return rep
}
