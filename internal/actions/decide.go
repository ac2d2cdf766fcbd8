package actions

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v4"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// decision is what becomes of an action after a failed call.
type decision struct {
	state   ledger.State // waiting or dead
	delay   time.Duration
	charged bool // an attempt of the action; being told to wait is none
	denied  bool // the credential is the fault: the lane must know
}

// How long to wait when the provider did not say. ASA's own client waits 5-10 s then (pam-sdk-go); a refused
// credential is looked at again by the lane's own probe, not by the actions.
const (
	unsaidWait = 5 * time.Second
	deniedWait = 30 * time.Second
)

// decide is the only place where a cause becomes a fate (docs/ARCHITECTURE.md, "Two tables, two switches"). away says
// that the provider as a whole cannot be reached, as the lane knows. charged counts the tries that were charged before;
// first is when the first of them was, zero for none.
func decide(cause apiclient.Cause, away bool, retryAfter time.Duration, charged int, first, now time.Time, l Limits) decision {
	if away && cause == apiclient.Transient { // nobody's fault: it comes again, and waits with the others in the lane
		return decision{state: ledger.Waiting, delay: delayAfter(charged, l)}
	}
	switch cause {
	case apiclient.Later:
		wait := max(retryAfter, 0)
		if wait == 0 {
			wait = unsaidWait
		}
		// Many wait for the same moment: up to a fifth later, so that they do not come together.
		return decision{state: ledger.Waiting, delay: wait + rand.N(wait/5+time.Second)}
	case apiclient.Denied:
		return decision{state: ledger.Waiting, delay: deniedWait + rand.N(deniedWait/5), denied: true}
	case apiclient.Permanent:
		return decision{state: ledger.Dead, charged: true}
	default: // Transient, and AlreadyDone from a read, which no provider should say
		if charged+1 >= l.GiveUpTries && !first.IsZero() && now.Sub(first) >= l.GiveUpAfter {
			return decision{state: ledger.Dead, charged: true}
		}
		return decision{state: ledger.Waiting, delay: delayAfter(charged, l), charged: true}
	}
}

// delayAfter is the delay after the given number of charged tries before: exponential with full jitter (anything
// between nothing and the bound), bounded by BackoffCap, and never so short that a provider in trouble is hammered.
func delayAfter(charged int, l Limits) time.Duration {
	// v4 jitters around an interval; half the bound with a factor of one gives zero to the bound.
	b := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(l.BackoffBase/2), backoff.WithMaxInterval(l.BackoffCap/2),
		backoff.WithMultiplier(2), backoff.WithRandomizationFactor(1), backoff.WithMaxElapsedTime(0),
	)
	d := b.NextBackOff()
	for range min(charged, 32) { // 2 s doubled 32 times is beyond any cap
		d = b.NextBackOff()
	}
	return min(max(d, l.BackoffBase/4), l.BackoffCap)
}

// fail records what a failed call means for the action, and says what becomes of its message.
func (at *attempt) fail(ctx context.Context, err error) (ledger.Record, events.Outcome) {
	first, lerr := at.firstCharged(ctx)
	if lerr != nil {
		return at.rec, at.lookAgain(lerr)
	}
	err = Named(err, at.action.Do)
	if s, ok := errors.AsType[spared](err); ok && at.untouched() {
		return at.refuse(ctx, err, s)
	}
	f := failureOf(err)
	away := at.Away != nil && at.Away()
	d := decide(apiclient.CauseOf(err), away, retryAfterOf(err), at.charged, first, at.now(), at.limits)
	if d.charged {
		at.charged++
	}
	if at.ev.Pending != "" {
		// A change whose end nobody knows may be at work at the provider for a call's time.
		d.delay = max(d.delay, at.limits.CallTimeout)
	}
	if d.state == ledger.Waiting {
		f.RetryAt = at.now().Add(d.delay).UTC()
	} else if f.Cause == apiclient.Transient.String() {
		f.Suggestion = "it failed for " + at.limits.GiveUpAfter.String() + " of tries: see to the provider, then redrive"
	}
	at.ev.Failure = f
	if err := at.append(ctx, d.state, f.Error); err != nil {
		return at.rec, at.lookAgain(err)
	}
	if d.denied && at.Denied != nil {
		at.Denied(at.action, err)
	}
	if d.state == ledger.Dead {
		out := at.finish(ctx, at.action, at.rec)
		if out.Err == nil {
			out.Err = err
		}
		return at.rec, out
	}
	// Dying here: `waiting` stands; the message comes again after its ack wait, a little earlier or later than said.
	return at.rec, events.Outcome{Verdict: events.Retry, Delay: d.delay, Err: err}
}

// Named gives an error of the action itself, not of one of its calls, the action's kind as its operation.
func Named(err error, do string) error {
	e, ok := errors.AsType[*apiclient.Error](err)
	if !ok || e.Op != "" {
		return err
	}
	copied := *e
	copied.Op = do
	return &copied
}

// firstCharged finds when the first try that counts was charged, since the last redrive, as if the action had been tried
// ever since: what it waited for its lane does not bring it nearer to its end. It is asked for only when the answer can
// decide something.
func (at *attempt) firstCharged(ctx context.Context) (time.Time, error) {
	var first time.Time
	if at.charged+1 < at.limits.GiveUpTries {
		return first, nil
	}
	var before ledger.Record
	err := at.Ledger.Range(ctx, at.rec.Subject, time.Time{}, func(rec ledger.Record) error {
		switch {
		case rec.Attempts == 0 || rec.State == ledger.Redriven || rec.State == ledger.Regressed:
			first = time.Time{}
		case first.IsZero():
			first = rec.Time
		default:
			first = first.Add(idle(before, rec.Time, at.limits))
		}
		before = rec
		return nil
	})
	if !first.IsZero() {
		first = first.Add(idle(before, at.now(), at.limits))
	}
	return first, err
}

// idle is how much of the time between a record of an action and what came next the action was not being tried: it
// waited for budget, for a credential, for a provider that was away, for an operator, or for any worker at all.
func idle(rec ledger.Record, next time.Time, l Limits) time.Duration {
	gap := max(next.Sub(rec.Time), 0)
	if rec.State != ledger.Waiting || rec.Evidence == nil || rec.Evidence.Failure == nil {
		return max(gap-l.BackoffCap, 0) // an attempt that waits between two calls
	}
	f := rec.Evidence.Failure
	if f.Cause != apiclient.Transient.String() {
		return gap
	}
	return max(gap-max(f.RetryAt.Sub(rec.Time), 0), 0)
}

// failureOf puts an error into the words of the ledger.
func failureOf(err error) *ledger.Failure {
	f := &ledger.Failure{Cause: apiclient.CauseOf(err).String(), Error: err.Error()}
	if e, ok := errors.AsType[*apiclient.Error](err); ok {
		f.Op, f.Status, f.Code, f.RequestID = e.Op, e.Status, e.Code, e.RequestID
	}
	f.Suggestion = Suggestion(err)
	return f
}

// advised is an error that knows what a person should do.
type advised struct {
	error
	advice string
}

func (e advised) Unwrap() error { return e.error }

// permanent makes err the action's own fault, unless it says already whose fault it is.
func permanent(op string, err error) error {
	if _, ok := errors.AsType[*apiclient.Error](err); ok {
		return err
	}
	return &apiclient.Error{Op: op, Cause: apiclient.Permanent, Err: err}
}

// Suggestion says what a person should do next about the fault of an action; empty = wait.
func Suggestion(err error) string {
	if e, ok := errors.AsType[advised](err); ok {
		return e.advice
	}
	e, _ := errors.AsType[*apiclient.Error](err)
	switch {
	case apiclient.CauseOf(err) == apiclient.Denied && e != nil && e.Needs != "":
		return "the credential lacks " + e.Needs + ": grant it, and a role that may do it; what needs it waits and goes on by itself"
	case apiclient.CauseOf(err) == apiclient.Denied:
		return "the provider refuses the connection's credential: renew it or its rights; the work waits and goes on by itself"
	case apiclient.CauseOf(err) != apiclient.Permanent:
		return ""
	case e.Status == 403 && e.Needs != "":
		return "the credential works but may not do this to this target: give it the right, by a role that may use " + e.Needs + ", then redrive"
	case e.Status == 401, e.Status == 403:
		return "the credential works but may not do this to this target: give it the right, then redrive"
	case e.Status == 404:
		return "the provider does not know the target: check the identifiers in the event, then redrive or drop"
	case e.Status == 0:
		return "the action cannot be made as it stands: correct the playbook or the event, then send it again or drop"
	}
	return "the provider will never accept this call: read its error, correct the cause there, then redrive or drop"
}

// retryAfterOf reads how long the provider wants to be left alone; 0 when it did not say.
func retryAfterOf(err error) time.Duration {
	if e, ok := errors.AsType[*apiclient.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}
