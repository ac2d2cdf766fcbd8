package actions_test

import (
	"slices"
	"testing"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// TestGivesUpAlikeInEveryClass: whatever the class, a fault that goes on for a day is the end, and says what to do.
func TestGivesUpAlikeInEveryClass(t *testing.T) {
	for _, class := range events.Classes() {
		t.Run(string(class), func(t *testing.T) {
			w := newWorld(t)
			w.limits = actions.Limits{BackoffBase: time.Hour, BackoffCap: 2 * time.Hour} // a day has fewer tries
			a := step("suspend", "okta.suspend_user")
			a.Class = class
			w.begin(a)
			w.scripts["look suspend"] = slices.Repeat([]error{&apiclient.Error{
				Op: "look", Status: 503, Cause: apiclient.Transient, RequestID: "req-1"}}, 200)
			began, before := w.now, w.now
			for n := 0; w.last("suspend").State != ledger.Dead; n++ {
				if n == 200 {
					t.Fatal("it never gave up")
				}
				before = w.now
				w.now = w.now.Add(w.deliver(w.queue[0]).Delay)
			}
			if took := before.Sub(began); took < 24*time.Hour || took > 26*time.Hour {
				t.Errorf("gave up after %s", took)
			}
			d := w.dead["c1:p:suspend"]
			if d.Cause != "transient" || d.Status != 503 || d.RequestID != "req-1" || d.Suggestion == "" || d.Attempts < 10 {
				t.Errorf("dead letter %+v", d)
			}
		})
	}
}

// TestDelaysAreSpread: many that fail at the same moment do not come back at the same moment. Behind the first tries the
// delays fill the whole span up to the cap, none beyond it, and none so short that it hammers.
func TestDelaysAreSpread(t *testing.T) {
	const limit, least = 10 * time.Minute, 500 * time.Millisecond
	var delays []time.Duration
	for range 80 {
		w := newWorld(t)
		w.begin(step("suspend", "okta.suspend_user"))
		w.scripts["look suspend"] = slices.Repeat([]error{transient("look")}, 13)
		for i := range 13 {
			out := w.deliver(w.queue[0])
			if bound := min(2*time.Second<<i, limit); out.Delay < least || out.Delay > bound {
				t.Fatalf("delay %d is %s, not within %s and %s", i, out.Delay, least, bound)
			}
			w.now = w.now.Add(out.Delay)
			if i >= 9 {
				delays = append(delays, out.Delay)
			}
		}
	}
	var quarters [4]int
	for _, d := range delays {
		quarters[min(int(4*d/limit), 3)]++
	}
	for i, n := range quarters {
		if n < len(delays)/10 { // a quarter each: so few of them come by chance once in 10^9 times
			t.Errorf("quarter %d of the span has %d of %d delays: %v", i, n, len(delays), quarters)
		}
	}
}

// TestNothingButFaultsCounts: a wait that the provider asked for, however long, brings the end no nearer than the faults
// around it do.
func TestNothingButFaultsCounts(t *testing.T) {
	w := newWorld(t)
	w.begin(step("suspend", "okta.suspend_user"))
	w.scripts["look suspend"] = slices.Concat([]error{transient("look")},
		slices.Repeat([]error{&apiclient.Error{Op: "look", Status: 429, Cause: apiclient.Later, RetryAfter: time.Hour}}, 48),
		[]error{transient("look")})
	for range 50 {
		out := w.deliver(w.queue[0])
		w.now = w.now.Add(out.Delay)
	}
	if rec := w.last("suspend"); rec.State != ledger.Waiting || rec.Attempts != 2 {
		t.Errorf("two faults in two days of waiting: %s after %d attempts", rec.State, rec.Attempts)
	}
	w.work()
	if rec := w.last("suspend"); rec.State != ledger.Verified {
		t.Errorf("then it is %s", rec.State)
	}
}
