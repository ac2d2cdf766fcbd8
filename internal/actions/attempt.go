package actions

import (
	"context"
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

// attempt is one run of an action. What it knows and does is in ev, and ev goes into every record that it writes.
type attempt struct {
	*Runner
	limits  Limits
	action  events.Action
	id      string        // of this attempt, in all its records
	rec     ledger.Record // the newest record of the action; the next one must follow it
	ev      ledger.Evidence
	tries   int // runs so far, this one included
	charged int // runs that were charged to the action
	known   known

	asked     map[string]bool // changes that this attempt asked for, by name
	inFlight  bool            // ev.Pending may be under way at this moment, by another worker
	uncertain bool            // ev.Pending may have been made; only looking decides
}

// achieve works in rounds until an observation needs nothing more, and records the terminal state. An error is either
// interrupted, or what the provider said and nothing was recorded for yet.
func (at *attempt) achieve(ctx context.Context) error {
	kind, err := at.Build(at.action, maps.Clone(at.ev.Pins))
	if err != nil {
		return permanent(at.action.Do, err)
	}
	if at.inFlight {
		// Its caller set its time limit before it wrote the record that we read: one time limit from now, that call
		// is over, whatever any clock says.
		if err := at.pause(ctx, at.limits.CallTimeout); err != nil {
			return interrupted{err}
		}
	}
	for round := 0; ; round++ {
		obs, todo, err := at.look(ctx, kind, round)
		if err != nil {
			return err
		}
		if len(todo.apply)+len(todo.stuck) == 0 {
			return at.achieved(ctx, obs)
		}
		if round == at.limits.Rounds {
			return at.contested(ctx, todo)
		}
		if round == 0 && at.May != nil {
			if err := at.May(ctx, at.action); err != nil {
				return interrupted{err}
			}
		}
		if err := at.intend(ctx, obs); err != nil {
			return err
		}
		if err := at.applyAll(ctx, todo.apply); err != nil {
			return err
		}
	}
}

// todo parts the changes that an observation needs.
type todo struct {
	apply []Change // to be made now
	stuck []Change // made already, and must not be made twice, but the provider does not show them
}

// any reports whether one of the changes is as f says.
func (t todo) any(f func(Change) bool) bool {
	return slices.ContainsFunc(t.apply, f) || slices.ContainsFunc(t.stuck, f)
}

// look observes and says what is to be done. What was changed a moment ago and is needed still gets a second look
// after a pause, as a stale read is the likelier reason than a change that did not hold; so does a change that may or
// may not have been made by an attempt that nobody knows the end of.
func (at *attempt) look(ctx context.Context, kind Kind, round int) (Observation, todo, error) {
	obs, err := at.observe(ctx, kind)
	if err != nil {
		return obs, todo{}, err
	}
	t := at.part(obs)
	wait := time.Duration(0)
	if t.any(func(c Change) bool { return at.asked[c.name()] }) || len(t.stuck) > 0 {
		wait = at.limits.RoundPause << max(round-1, 0)
	}
	if at.uncertain && (obs.Unread || t.any(func(c Change) bool { return c.name() == at.ev.Pending })) {
		wait = max(wait, at.limits.LookAgain)
	}
	if wait > 0 {
		if err := at.pause(ctx, wait); err != nil {
			return obs, t, interrupted{err}
		}
		if obs, err = at.observe(ctx, kind); err != nil {
			return obs, t, err
		}
		t = at.part(obs)
	}
	// Either one look showed the uncertain change, or two looks, a pause apart and both after the end of its call,
	// did not: then it was not made.
	at.uncertain, at.ev.Pending = false, ""
	at.account(obs)
	return obs, t, nil
}

// account notes what was intended, is not needed any more, and has no reply in the ledger: an attempt died between the
// call and its record, or the reply was lost.
func (at *attempt) account(obs Observation) {
	for _, name := range at.ev.Needed {
		if slices.ContainsFunc(obs.Needed, func(c Change) bool { return c.name() == name }) ||
			slices.ContainsFunc(at.ev.Applied, func(e ledger.Effect) bool { return !e.Past && e.Call+" "+e.Target == name }) {
			continue
		}
		call, target, _ := strings.Cut(name, " ")
		at.ev.Applied = append(slices.Clip(at.ev.Applied), ledger.Effect{
			Call: call, Target: target, Time: at.now().UTC(), NoReply: true,
		})
	}
	at.ev.Needed = nil
	for _, c := range obs.Needed {
		at.ev.Needed = append(at.ev.Needed, c.name())
	}
}

// observe reads the target once and takes the evidence over.
func (at *attempt) observe(ctx context.Context, kind Kind) (Observation, error) {
	obs, err := kind.Observe(ctx)
	if err != nil && ctx.Err() != nil {
		return obs, interrupted{err}
	}
	if err != nil && apiclient.CauseOf(err) == apiclient.Permanent {
		return obs, err // it may be about the very target: nothing is fixed
	}
	if moved := at.moved(obs); moved != nil {
		return obs, moved
	}
	if err != nil {
		// Whom the first resolve found is fixed, whatever failed after it: a login can be given to someone else until
		// the next attempt.
		at.pin(obs)
		return obs, err
	}
	at.ev.Seen, at.ev.Residual = obs.Seen, obs.Residual
	if obs.Unread {
		obs.Needed = slices.DeleteFunc(obs.Needed, at.taken)
	}
	return obs, nil
}

// moved refuses an observation of something else than what the action is fixed to. An empty id frees a pin.
func (at *attempt) moved(obs Observation) error {
	for name, id := range obs.Pins {
		if old := at.ev.Pins[name]; old != "" && id != "" && old != id {
			return permanent(at.action.Do, fmt.Errorf("%s was fixed as %s and now reads %s", name, old, id))
		}
	}
	return nil
}

// taken reports whether a change was made since a person last sent the action, or may have been.
func (at *attempt) taken(c Change) bool {
	return c.name() == at.ev.Pending ||
		slices.ContainsFunc(at.ev.Applied, func(e ledger.Effect) bool { return !e.Past && e.Call == c.Call && e.Target == c.Target })
}

// part parts what is needed. A blind change is made once per case; one that would happen twice is made once, until a
// person or a re-check sends the action again.
func (at *attempt) part(obs Observation) todo {
	var t todo
	for _, c := range obs.Needed {
		made := slices.IndexFunc(at.ev.Applied, func(e ledger.Effect) bool {
			return e.Call == c.Call && e.Target == c.Target && (c.Blind || !e.Past)
		})
		switch {
		case c.Blind && made >= 0:
		case c.Once && made >= 0:
			t.stuck = append(t.stuck, c)
		default:
			t.apply = append(t.apply, c)
		}
	}
	return t
}

// intend records the ids that this action is fixed to from now on, and what it is about to change, before it changes
// anything: dying between a change and the record of it leaves the intention in the ledger.
func (at *attempt) intend(ctx context.Context, obs Observation) error {
	at.pin(obs)
	if old := at.rec.Evidence; old != nil && maps.Equal(old.Pins, at.ev.Pins) &&
		!slices.ContainsFunc(at.ev.Needed, func(n string) bool { return !slices.Contains(old.Needed, n) }) {
		return nil
	}
	return at.append(ctx, ledger.Started, "")
}

// pin takes the ids of an observation over.
func (at *attempt) pin(obs Observation) {
	if len(obs.Pins) == 0 {
		return
	}
	pins := maps.Clone(at.ev.Pins) // the records of earlier steps keep theirs
	if pins == nil {
		pins = map[string]string{}
	}
	maps.Copy(pins, obs.Pins)
	at.ev.Pins = pins
}

// applyAll makes the changes one after the other. One that fails does not shield the rest: each of them is access
// that should be gone. A credential that was refused, a budget that is spent, or a create whose outcome nobody knows
// ends it at once.
func (at *attempt) applyAll(ctx context.Context, changes []Change) error {
	var kept error
	for _, c := range changes {
		err := at.apply(ctx, c)
		if err == nil {
			continue
		}
		_, ours := errors.AsType[interrupted](err)
		cause := apiclient.CauseOf(err)
		if ours || ctx.Err() != nil || c.Once || cause == apiclient.Later || cause == apiclient.Denied {
			return err
		}
		// A fault that passes comes before one that stays: the action is dead only when nothing else is left to try.
		if kept == nil || cause == apiclient.Transient {
			kept = err
		}
	}
	return kept
}

// apply makes one change and notes it. One that was not sent because its time was too short to wait for the budget waits
// without a limit, and is made when there is room for it: an action that came again would begin with the look that spent it.
func (at *attempt) apply(ctx context.Context, c Change) error {
	err := at.applyNow(ctx, c)
	if !c.Once || at.Room == nil || !errors.Is(err, apiclient.ErrNoRoom) {
		return err
	}
	// Dying here: `started` names a change that was not sent; the next attempt waits a call time-out and looks twice.
	if err := at.Room(ctx); err != nil {
		return err
	}
	return at.applyNow(ctx, c)
}

// applyNow is apply without waiting.
func (at *attempt) applyNow(ctx context.Context, c Change) error {
	call := ctx
	if c.Once {
		// The limit is set before the record: whoever reads the record knows when the call is over at the latest.
		limited, cancel := context.WithTimeout(ctx, at.limits.CallTimeout)
		defer cancel()
		call = limited
		if err := at.announce(limited, c); err != nil {
			return err
		}
	}
	at.asked[c.name()] = true
	request, err := c.Apply(call)
	if c.Once && !unknown(err) {
		at.ev.Pending = ""
	}
	switch {
	case err == nil:
		at.ev.Applied = append(slices.Clip(at.ev.Applied), ledger.Effect{
			Call: c.Call, Target: c.Target, RequestID: request, Time: at.now().UTC(), Blind: c.Blind,
		})
	case apiclient.CauseOf(err) == apiclient.AlreadyDone:
		// The next observation decides. It is no doing of ours.
		at.ev.Needed = slices.DeleteFunc(slices.Clone(at.ev.Needed), func(n string) bool { return n == c.name() })
		return nil
	default:
		return err
	}
	if !c.Once && !c.Blind {
		// Dying here: the change is made and not noted. The next attempt observes that it is not needed; its
		// intention stands in the ledger.
		return nil
	}
	// Dying before this record: a create is found by its mark in two looks; a blind change is made a second time,
	// which must not harm.
	return at.append(ctx, ledger.Started, "")
}

// announce says in the ledger, and on disk, that a change is about to be made which must not be made twice.
func (at *attempt) announce(ctx context.Context, c Change) error {
	at.ev.Pending = c.name()
	if err := at.append(ctx, ledger.Started, ""); err != nil {
		return err
	}
	if err := at.Queue.Barrier(ctx); err != nil {
		return interrupted{fmt.Errorf("barrier before %s: %w", c.Call, err)}
	}
	// Dying here: nobody knows whether the change was made. The record says which one, and until when it can be under
	// way; the next attempt waits so long and looks twice.
	return nil
}

// unknown reports whether a failed call may have had its effect all the same.
func unknown(err error) bool {
	if err == nil {
		return false
	}
	e, ok := errors.AsType[*apiclient.Error](err)
	return !ok || e.Cause == apiclient.Transient || e.Status >= 500
}

// achieved records that the end state holds.
func (at *attempt) achieved(ctx context.Context, obs Observation) error {
	at.pin(obs)
	at.ev.Needed, at.ev.Pending = nil, ""
	if at.rec.State == "" { // it held at the first look
		if err := at.append(ctx, ledger.Started, ""); err != nil {
			return err
		}
		// Dying here: begun, and nothing was changed; the next attempt looks again.
	}
	at.charged++
	state := ledger.Verified
	if obs.Unread || slices.ContainsFunc(at.ev.Applied, func(e ledger.Effect) bool { return e.Blind }) {
		state = ledger.Applied
	}
	life, sole := at.soleLife()
	if !sole {
		var err error
		if life, err = at.Ledger.Last(ctx, ledger.LifecycleSubject(at.action.Case)); err != nil {
			return interrupted{err}
		}
	}
	if err := at.append(ctx, state, ""); err != nil {
		return err
	}
	at.known = known{rec: at.rec, life: life, sole: sole}
	return nil
}

// contested records that the provider takes the changes and does not show them.
func (at *attempt) contested(ctx context.Context, t todo) error {
	at.ev.Needed = nil
	for _, c := range slices.Concat(t.apply, t.stuck) {
		at.ev.Needed = append(at.ev.Needed, c.name())
	}
	at.charged++
	at.ev.Failure = &ledger.Failure{
		Cause: string(ledger.Contested),
		Error: fmt.Sprintf("after %d rounds still needed: %s", at.limits.Rounds, strings.Join(at.ev.Needed, ", ")),
		Suggestion: "the provider accepted the changes and does not show them: look at the target there, " +
			"then redrive or drop",
	}
	return at.append(ctx, ledger.Contested, at.ev.Failure.Error)
}

// append writes the attempt's next record. Dying after it: the record stands, and the next attempt goes on from it.
func (at *attempt) append(ctx context.Context, state ledger.State, reason string) error {
	ev := at.ev
	rec, err := at.Ledger.Append(ctx, at.rec, ledger.Record{
		Subject: ledger.ActionSubject(at.action.Case, at.action.ID), State: state, By: at.Worker, Attempt: at.id,
		Tries: at.tries, Attempts: at.charged, Epoch: at.Epoch, Reason: reason, Evidence: &ev,
	})
	if err != nil {
		return interrupted{err}
	}
	at.rec = rec
	return nil
}

// remember gathers from the action's whole history what a redriven or regressed one must know: its ids and changes.
// What was made before may be made again now: whoever sent the action again said so.
func (at *attempt) remember(ctx context.Context) error {
	at.ev = ledger.Evidence{}
	err := at.Ledger.Range(ctx, at.rec.Subject, time.Time{}, func(rec ledger.Record) error {
		if e := rec.Evidence; e != nil {
			if e.Pins != nil {
				at.ev.Pins = e.Pins
			}
			if len(e.Applied) > len(at.ev.Applied) {
				at.ev.Applied = e.Applied
			}
			at.ev.Pending = e.Pending
		}
		return nil
	})
	at.ev.Applied = slices.Clone(at.ev.Applied)
	for i := range at.ev.Applied {
		at.ev.Applied[i].Past = true
	}
	return err
}
