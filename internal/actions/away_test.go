package actions_test

import (
	"testing"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// failing lets the next looks of a step fail with err.
func (w *world) failing(step string, n int, err error) {
	for range n {
		w.scripts["look "+step] = append(w.scripts["look "+step], err)
	}
}

// tries delivers an action so often, each time when its delay is over.
func (w *world) tries(n int) {
	w.t.Helper()
	for range n {
		out := w.deliver(w.queue[0])
		if out.Verdict != events.Retry || out.Delay <= 0 {
			w.t.Fatalf("%+v, %s", out, w.last("suspend").State)
		}
		w.now = w.now.Add(out.Delay)
	}
}

// TestAnOutageIsNoAttempt: what fails while the provider is known to be away is not charged, however long that lasts.
func TestAnOutageIsNoAttempt(t *testing.T) {
	w := newWorld(t)
	w.begin(step("suspend", "okta.suspend_user"))
	w.failing("suspend", 103, transient("look"))
	w.tries(3)
	w.away = true
	for range 100 {
		w.tries(1)
		w.now = w.now.Add(time.Hour) // in the lane, behind its breaker
	}
	w.away = false
	if rec := w.last("suspend"); rec.State != ledger.Waiting || rec.Attempts != 3 || rec.Tries != 103 {
		t.Errorf("%s after %d attempts, %d tries", rec.State, rec.Attempts, rec.Tries)
	}
	w.work()
	if rec := w.last("suspend"); rec.State != ledger.Verified || rec.Attempts != 4 {
		t.Errorf("%s after %d attempts", rec.State, rec.Attempts)
	}
}

// TestWhatCannotBeDoneIsDeadInAnOutageToo: a reply is a reply.
func TestWhatCannotBeDoneIsDeadInAnOutageToo(t *testing.T) {
	w := newWorld(t)
	w.away = true
	w.begin(step("suspend", "okta.suspend_user"))
	w.failing("suspend", 1, &apiclient.Error{Op: "look", Status: 404, Cause: apiclient.Permanent})
	w.work()
	if rec := w.last("suspend"); rec.State != ledger.Dead {
		t.Errorf("it is %s", rec.State)
	}
}

// TestWaitingForTheLaneIsNoTrying: the time after which an action is dead is one of being tried. What it waited for an
// outage to end, for budget, a credential, or a worker does not count, and what it was tried before does.
func TestWaitingForTheLaneIsNoTrying(t *testing.T) {
	for name, wait := range map[string]func(w *world){
		"nobody there": func(w *world) { w.now = w.now.Add(72 * time.Hour) },
		"told to wait": func(w *world) {
			w.failing("suspend", 72, &apiclient.Error{Op: "look", Status: 429, Cause: apiclient.Later, RetryAfter: time.Hour})
			w.tries(72)
		},
		"refused": func(w *world) {
			w.failing("suspend", 10, &apiclient.Error{Op: "look", Status: 401, Cause: apiclient.Denied})
			for range 10 {
				w.tries(1)
				w.now = w.now.Add(8 * time.Hour)
			}
		},
		"away": func(w *world) {
			w.away = true
			w.failing("suspend", 3, transient("look"))
			for range 3 {
				w.tries(1)
				w.now = w.now.Add(24 * time.Hour)
			}
			w.away = false
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.limits = actions.Limits{GiveUpAfter: 5 * time.Hour}
			w.begin(step("suspend", "okta.suspend_user"))
			w.failing("suspend", 25, transient("look"))
			began := w.now
			w.tries(25) // ten minutes apart at most
			tried := w.now.Sub(began)
			if tried < 20*time.Minute || tried > 4*time.Hour {
				t.Fatalf("tried for %s", tried)
			}
			wait(w)
			w.failing("suspend", 200, transient("look"))
			went := w.now
			for w.last("suspend").State != ledger.Dead {
				out := w.deliver(w.queue[0])
				if out.Verdict == events.Retry {
					w.now = w.now.Add(out.Delay)
				}
				if w.now.Sub(went) > 7*time.Hour {
					t.Fatal("it never gave up")
				}
			}
			if all := tried + w.now.Sub(went); all < 4*time.Hour+30*time.Minute || all > 5*time.Hour+30*time.Minute {
				t.Errorf("dead after %s of tries, %s before the wait", all, tried)
			}
		})
	}
}
