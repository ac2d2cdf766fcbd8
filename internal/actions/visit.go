package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// waits reports whether an action that regressed waits for a person.
func waits(a events.Action, s ledger.State) bool {
	return s == ledger.Regressed && a.Regressed != events.Act
}

// due says which look at an action that reached its end state comes next, by its last record; false when none does.
// One that is not watched any more is not re-checked; the ends of its residuals come all the same.
func due(a events.Action, rec ledger.Record, watched bool) (events.Visit, bool) {
	var rechecks []time.Duration
	if watched {
		rechecks = a.Rechecks()
	}
	at, ends := rec.NextLook(rechecks)
	kind := events.VisitRecheck
	if ends {
		kind = events.VisitResidual
	}
	return events.Visit{At: at, Kind: kind}, !at.IsZero()
}

// again has the action come back for its next look. It may be repeated: what is scheduled follows from the ledger, and
// replaces what was scheduled before.
func (r *Runner) again(ctx context.Context, a events.Action, rec ledger.Record) error {
	if _, any := due(a, rec, true); !any {
		return nil
	}
	why, err := r.unwatched(ctx, a.Case)
	if err != nil {
		return err
	}
	next, any := due(a, rec, why == "")
	if !any {
		return nil
	}
	a.Visit, a.Sole = &next, nil
	// Dying before or after it: the message that ended the action, or looked at it, comes again and so does this.
	return r.Queue.PublishLater(ctx, a, next.At)
}

// unwatched says why the actions of a case are not looked at any more; empty = they are.
func (r *Runner) unwatched(ctx context.Context, caseID string) (string, error) {
	rec, err := r.Ledger.Last(ctx, ledger.LifecycleSubject(caseID))
	if err != nil {
		return "", err
	}
	life, err := rec.Life()
	if err != nil {
		return "", fmt.Errorf("lifecycle of case %s: %w", caseID, err)
	}
	return life.Unwatched, nil
}

// visit looks again at an action that reached its end state, and changes nothing. The record that it gives says what
// was seen: the same state, or `regressed`. A visit that is not the next one, because an earlier copy of it was made or
// the action was done anew since, only has the next one come.
func (r *Runner) visit(ctx context.Context, a events.Action, last ledger.Record) (ledger.Record, events.Outcome) {
	why, err := r.unwatched(ctx, a.Case)
	if err != nil {
		return last, r.lookAgain(err)
	}
	next, any := due(a, last, why == "")
	if !any || a.Visit.At.Before(next.At) {
		return last, r.finish(ctx, a, last)
	}
	at := &attempt{
		Runner: r, limits: r.Limits.withDefaults(), action: a, id: r.NewID(), rec: last, ev: *last.Evidence,
		tries: last.Tries, charged: last.Attempts, asked: map[string]bool{},
	}
	if why != "" {
		err = at.still(ctx, nil, "not looked at again: "+why)
	} else {
		err = at.revisit(ctx)
	}
	if err == nil {
		// Dying here: what the look showed stands; the message comes again and finds it made.
		r.alert(ctx, a, at.rec)
		return at.rec, r.finish(ctx, a, at.rec)
	}
	if _, ours := errors.AsType[interrupted](err); ours || ctx.Err() != nil {
		return at.rec, r.lookAgain(err)
	}
	return at.rec, at.visitLater(ctx, err)
}

// revisit observes, and records what it means. An error is either interrupted, or what the provider said and that the
// look is to be made again for.
func (at *attempt) revisit(ctx context.Context) error {
	obs, back, err := at.lookBack(ctx)
	switch {
	case err == nil && len(back) == 0:
		return at.still(ctx, obs.Seen, at.occasion()+": it still holds")
	case err == nil:
		return at.regressed(ctx, obs, back)
	}
	if _, ours := errors.AsType[interrupted](err); ours || ctx.Err() != nil {
		return err
	}
	if d, _ := at.lookFailed(err); d.state != ledger.Dead {
		return err
	}
	return at.unseen(ctx, Named(err, at.action.Do))
}

// lookFailed says what becomes of a look that failed, by the table that holds for actions, and how long it fails. A
// look dies of hours of being tried, as an action does, not of hours of an outage, a budget or a credential.
func (at *attempt) lookFailed(err error) (decision, ledger.Failing) {
	var f ledger.Failing
	if l := at.rec.Evidence.Looks; l != nil && l.Failing != nil {
		f = *l.Failing
		f.Since = f.Since.Add(max(at.now().Sub(f.Again), 0))
	}
	away := at.Away != nil && at.Away()
	return decide(apiclient.CauseOf(err), away, retryAfterOf(err), f.Tries, f.Since, at.now(), at.limits), f
}

// lookBack observes, and names the changes that are needed again. What is needed is looked for twice, a pause apart: a
// stale read is no proof of anything.
func (at *attempt) lookBack(ctx context.Context) (obs Observation, back []string, err error) {
	kind, err := at.Build(at.action, maps.Clone(at.ev.Pins))
	if err != nil {
		return obs, nil, permanent(at.action.Do, err)
	}
	for look := range 2 {
		if look > 0 {
			if err := at.pause(ctx, at.limits.LookAgain); err != nil {
				return obs, nil, interrupted{err}
			}
		}
		residual := at.ev.Residual
		obs, err = at.observe(ctx, kind)
		// The ends are those that the proof gave: a kind counts them from when it looks, and looking prolongs nothing.
		at.ev.Residual = residual
		if err != nil {
			return obs, nil, err
		}
		t := at.part(obs)
		back = nil
		for _, c := range slices.Concat(t.apply, t.stuck) {
			back = append(back, c.name())
		}
		if len(back) == 0 {
			break
		}
	}
	return obs, back, nil
}

// still records that the action stands as it did, and which of its residuals are over.
func (at *attempt) still(ctx context.Context, seen []ledger.Fact, reason string) error {
	made := 0
	if len(seen) > 0 {
		at.ev.Seen, made = seen, 1
	}
	at.ev.Failure = nil
	until := at.looked(made)
	at.ev.Residual = slices.DeleteFunc(slices.Clone(at.ev.Residual), func(left ledger.Residual) bool {
		return !left.Until.IsZero() && !left.Until.After(until)
	})
	// Dying before it: the visit comes again and looks anew. After it: the record says until when was looked, and the visit
	// ends without another look.
	return at.append(ctx, at.rec.State, reason)
}

// unseen records that the target cannot be looked at. The state stays, as nothing speaks against it; so do the
// residuals, as nothing says that they are over.
func (at *attempt) unseen(ctx context.Context, err error) error {
	at.ev.Seen, at.ev.Failure = at.rec.Evidence.Seen, failureOf(err)
	at.ev.Failure.Suggestion = "nobody knows whether it still holds: look at the target at the provider"
	at.looked(0)
	// Dying before or after it: as in still.
	return at.append(ctx, at.rec.State, at.occasion()+": it could not be looked at")
}

// regressed records that the end state does not hold any more, unless the case is not watched any more since the look
// began.
func (at *attempt) regressed(ctx context.Context, obs Observation, back []string) error {
	why, err := at.unwatched(ctx, at.action.Case)
	if err != nil {
		return interrupted{err}
	}
	if why != "" {
		return at.still(ctx, nil, "not looked at again: "+why)
	}
	at.ev.Seen, at.ev.Needed, at.ev.Looks = obs.Seen, back, nil
	at.ev.Failure = &ledger.Failure{
		Cause:      string(ledger.Regressed),
		Error:      at.occasion() + ": needed again: " + strings.Join(back, ", "),
		Suggestion: "find out who gave the access back, then redrive to take it away again, or drop if it is meant to be",
	}
	// Dying after it: whoever decides about the case reads this record. Where a newer event ends the watch at this
	// moment, either it is seen above, or its planner finds the action regressed and cancels it.
	return at.append(ctx, ledger.Regressed, at.ev.Failure.Error)
}

// alert warns of changes that the provider takes and does not show, and of a look that did not show that the action
// holds.
func (r *Runner) alert(ctx context.Context, a events.Action, rec ledger.Record) {
	if r.Log != nil && rec.Evidence.Failure != nil {
		r.Log.WarnContext(ctx, "action "+a.Step, "alert", rec.Reason, "case", a.Case, "action", a.ID, "do", a.Do,
			"connection", a.Connection, "state", string(rec.State))
	}
}

// looked notes that the looks until now are made, and gives until when.
func (at *attempt) looked(made int) time.Time {
	l := ledger.Looks{Proven: at.rec.Proven()}
	if old := at.ev.Looks; old != nil {
		l = *old
	}
	l.Until = at.action.Visit.At
	if now := at.now().UTC(); now.After(l.Until) {
		l.Until = now
	}
	l.Made += made
	l.Failing = nil
	at.ev.Looks = &l
	return l.Until
}

// occasion says in words which look it is.
func (at *attempt) occasion() string {
	if at.action.Visit.Kind == events.VisitResidual {
		return "looked again when access was to end"
	}
	return "checked again " + at.action.Visit.At.Sub(at.rec.Proven()).Round(time.Second).String() + " after the proof"
}

// visitLater has a look that could not be made come again: as the provider says, or after as long as it fails by now,
// which doubles each time. A failure that is charged is recorded, or nobody would know how long it was tried.
func (at *attempt) visitLater(ctx context.Context, err error) events.Outcome {
	d, f := at.lookFailed(err)
	if d.denied && at.Denied != nil {
		at.Denied(at.action, err)
	}
	if d.charged {
		if f.Since.IsZero() {
			f.Since = at.now().UTC()
		}
		d.delay = min(max(at.now().Sub(f.Since), at.limits.BackoffBase), at.limits.BackoffCap)
		f.Tries, f.Since, f.Again = f.Tries+1, f.Since.UTC(), at.now().Add(d.delay).UTC()
		if lost := at.stillFails(ctx, err, f); lost != nil {
			return at.lookAgain(lost)
		}
	}
	return events.Outcome{Verdict: events.Retry, Delay: d.delay, Err: err}
}

// stillFails records how long a look fails. What was proven, and when the look was due, stays as it is.
func (at *attempt) stillFails(ctx context.Context, err error, f ledger.Failing) error {
	at.ev = *at.rec.Evidence
	l := ledger.Looks{Proven: at.rec.Proven()}
	if old := at.ev.Looks; old != nil {
		l = *old
	}
	l.Failing, at.ev.Looks = &f, &l
	at.ev.Failure = failureOf(Named(err, at.action.Do))
	at.ev.Failure.RetryAt = f.Again
	// Dying before it: this try counts for nothing. After it: the message comes again, a little earlier than said.
	return at.append(ctx, at.rec.State, at.occasion()+": it fails, and is made again")
}

// reopen opens the case of an action that is brought about again.
func (r *Runner) reopen(ctx context.Context, caseID, why string) error {
	life, err := r.Ledger.Last(ctx, ledger.LifecycleSubject(caseID))
	if err != nil || life.State == ledger.Open {
		return err
	}
	_, err = r.Ledger.Append(ctx, life, ledger.Record{
		Subject: ledger.LifecycleSubject(caseID), State: ledger.Open, By: r.Worker, Attempt: r.NewID(), Epoch: r.Epoch,
		Reason: why, Body: json.RawMessage(life.Body),
	})
	return err
}
