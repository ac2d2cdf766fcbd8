package planner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// holdFor joins what the guards and the brakes ask for; nil = the plan goes on. missing is the word of a second source
// that it waits for; brake is the one that it was too much for, and over says why.
func (t *turn) holdFor(g Guard, d Decision, missing *unheard, brake, over string) *Hold {
	if g.Approvers == 0 && over == "" && missing == nil {
		return nil
	}
	h := &Hold{Need: max(g.Approvers, 1), Asked: t.askers(d), Brake: brake, Unheard: missing != nil}
	why := []string{g.Why, over}
	if missing != nil {
		why = append(why, missing.why)
	}
	h.Why = strings.Join(slices.DeleteFunc(why, func(s string) bool { return s == "" }), "; ")
	switch {
	case missing != nil && !missing.till.IsZero():
		h.Until, h.Then = missing.till, ledger.LapseAgain
	case g.Expires > 0 && !g.Proceed:
		h.Until, h.Then = t.now().Add(g.Expires), ledger.LapseDeny
	case g.Expires > 0 && over == "" && missing == nil:
		h.Until, h.Then = t.now().Add(g.Expires), ledger.LapseProceed
	}
	return h
}

// askers are the people who asked for what is held: who sent the event, and who sent it on.
func (t *turn) askers(d Decision) []string {
	var list []string
	for _, name := range []string{events.Asker(d.Event), t.actor} {
		if name != "" && !slices.ContainsFunc(list, func(other string) bool { return samePerson(name, other) }) {
			list = append(list, name)
		}
	}
	return list
}

// samePerson reports whether two names in commands are one person's: by default a name is user@host, and another
// machine makes nobody another person.
func samePerson(a, b string) bool {
	user := func(name string) string {
		name, _, _ = strings.Cut(events.Normalize(events.Login, name), "@")
		return name
	}
	return user(a) == user(b)
}

// approve gives one person's word to a held plan; the last one that it needs lets it go on as it was shown.
func (t *turn) approve(ctx context.Context, c events.Command, rec ledger.Record, d Decision) (string, error) {
	switch {
	case d.Hold != nil && d.Hold.Has(func(w Consent) bool { return w.Command == c.ID }):
		return counted(d.Hold, rec.State), t.follow(ctx, rec, d)
	case rec.State == ledger.Refused && rec.Attempt == c.ID:
		return "refused: " + rec.Reason, t.follow(ctx, rec, d)
	case rec.State != ledger.Held || d.Hold == nil:
		return "the case is " + string(rec.State) + ", not held", nil
	}
	if no := rejects(d.Hold, c); no != "" {
		return no, nil
	}
	if no, err := t.recheck(ctx, rec, d, "approved by "+c.Actor+reason(c)); no != "" || err != nil {
		return no, err
	}
	d.Hold.Given = append(d.Hold.Given, consent(c))
	state, more, err := ledger.Held, "", error(nil)
	if len(d.Hold.Given) >= d.Hold.Need {
		if state, more, err = t.enter(ctx, &d); err != nil {
			return "", err
		}
		// Dying here: it may have its place, and what it takes back is taken; the command comes again and finds it so.
	}
	rec, err = t.write(ctx, rec, d, state, counted(d.Hold, state)+more+reason(c))
	if err != nil {
		return "", err
	}
	// Dying here: the word is given, and the plan as it stands goes on when the command comes again.
	return counted(d.Hold, state), t.follow(ctx, rec, d)
}

// rejects says why a word does not count; empty = it does.
func rejects(h *Hold, c events.Command) string {
	same := func(other string) bool { return samePerson(c.Actor, other) }
	switch {
	case len(h.Pauses) > 0:
		return "it waits for a pause, which no approval ends: " + h.Why
	case c.Actor == "":
		return "an approval needs a name"
	case h.Has(func(w Consent) bool { return same(w.Actor) }):
		return c.Actor + " has approved it already; another person must"
	case slices.ContainsFunc(h.Asked, same):
		return c.Actor + " asked for it; another person must approve"
	}
	return ""
}

// recheck asks the guards once more before a held plan goes on: who is protected may have changed since, and a person
// who approves 4,000 plans looks at none. A plan that must not go on is refused, for what was said; then, or when
// nobody can say, it says so.
func (t *turn) recheck(ctx context.Context, rec ledger.Record, d Decision, said string) (string, error) {
	g, err := t.Plans.Guard(d.Plan)
	if err != nil {
		t.alert = "a held plan cannot go on: the guards could not be applied: " + err.Error()
		return "held still: the guards could not be applied: " + err.Error(), nil
	}
	if g.Protected == "" {
		paused, err := t.pausedBy(ctx, d)
		if err != nil || len(paused) == 0 {
			return "", err
		}
		return "held still: " + t.waitFor(paused, d).Why, nil
	}
	rec, err = t.write(ctx, rec, d, ledger.Refused, t.refuse(g)+"; "+said)
	if err != nil {
		return "", err
	}
	// Dying here: refused; whatever asked for it comes again and finds it so.
	return "refused: " + rec.Reason, t.follow(ctx, rec, d)
}

// keep has a held plan come back when its time is up, if it has one, or when its case is late.
func (t *turn) keep(ctx context.Context, rec ledger.Record, d Decision) error {
	if d.Hold != nil && d.Hold.Need == 0 {
		if err := t.overcome(ctx, rec, d); err != nil {
			return err
		}
	}
	if err := t.move(ctx, d.Case); err != nil {
		return err
	}
	at, err := t.back(ctx, d)
	if err == nil {
		at, err = t.said(ctx, d, at)
	}
	if err != nil {
		return err
	}
	if at.IsZero() {
		return t.lookAgain(ctx, rec, d)
	}
	if err := t.Queue.Barrier(ctx); err != nil {
		return err
	}
	// Dying here: held, and its end waits for nothing; the message comes again. The plan is on disk before its end is
	// scheduled: what comes back must find that it is held.
	e := d.Event
	if e.EffectiveAt = at; d.ticks(e) {
		// Beside the times of the clock alone: what ends the hold, and dies before it did what follows, comes again, finds
		// the plan going on, and must do what follows.
		at = at.Add(time.Nanosecond)
	}
	if err := t.comeBack(ctx, e, at); err != nil {
		return err
	}
	// Dying here: it comes back, at the latest when its time is up.
	return t.lookAgain(ctx, rec, d)
}

// overcome removes the dead letter of a case that could not be decided before, and waits for a time now: nobody has to
// look.
func (t *turn) overcome(ctx context.Context, rec ledger.Record, d Decision) error {
	life, err := t.Ledger.Last(ctx, ledger.LifecycleSubject(d.Case))
	if err != nil || undecided(life, rec) || life.State != ledger.NeedsPerson {
		return err
	}
	if err := t.Queue.Barrier(ctx); err != nil {
		return err
	}
	// Dying here: the plan is on disk, and a letter that has the only copy of an event may go.
	return t.exhume(ctx, d, life.State)
}

// said gives when a plan is to come back that waits for another source's word: before at, when a word that it was given
// takes effect.
func (t *turn) said(ctx context.Context, d Decision, at time.Time) (time.Time, error) {
	if d.Hold == nil || !d.Hold.Unheard {
		return at, nil
	}
	missing, err := t.unheard(ctx, d)
	if err != nil || missing == nil || missing.till.IsZero() || !at.IsZero() && at.Before(missing.till) {
		return at, err
	}
	return missing.till, nil
}

// lookAgain judges a held plan anew if what it waits for came at the same time: whoever ended the pause or said the same
// saw no such plan, or brought it back before we put that off. Now that the plan stands, one of the two sees the other.
func (t *turn) lookAgain(ctx context.Context, rec ledger.Record, d Decision) error {
	changed, err := false, error(nil)
	switch {
	case d.Hold == nil:
	case len(d.Hold.Pauses) > 0:
		changed, err = t.stale(ctx, d)
	default:
		changed, err = t.heard(ctx, d)
	}
	if err != nil || !changed {
		return err
	}
	return t.again(ctx, rec, d)
}

// again judges a held plan anew.
func (t *turn) again(ctx context.Context, rec ledger.Record, d Decision) error {
	if err := t.Timetable.Unschedule(ctx, d.Case); err != nil {
		return err
	}
	// Dying here: nothing brings it back but the message that we work off, which comes again.
	return t.decide(ctx, rec, d)
}

// lapse ends the hold of a plan whose time is up.
func (t *turn) lapse(ctx context.Context, rec ledger.Record, d Decision) error {
	if d.Hold == nil || d.Hold.Until.IsZero() {
		return t.follow(ctx, rec, d)
	}
	// What is confirmed in the last moment does not end as what nobody approved.
	if heard, err := t.heard(ctx, d); err != nil {
		return err
	} else if heard {
		return t.again(ctx, rec, d)
	}
	switch rest := d.Hold.Until.Sub(t.now()); {
	case rest > rescheduleAfter, rest > 0 && d.Hold.Then == ledger.LapseAgain:
		return t.keep(ctx, rec, d)
	case rest > 0:
		t.early = rest
		return nil
	case d.Hold.Then == ledger.LapseAgain:
		return t.again(ctx, rec, d)
	case d.Hold.Then == ledger.LapseProceed:
		return t.lapseInto(ctx, rec, d)
	}
	if err := t.end(ctx, rec, d, ledger.Cancelled, "nobody approved it in time: denied"); err != nil {
		return err
	}
	// Dying here: denied, and what it had taken is lost; what comes back finds it so, and goes on in lapsed.
	_, err := t.withdraw(ctx, d)
	return err
}

// lapsed goes on with what nobody approved in time: neither a person nor a newer event ended it.
func (t *turn) lapsed(ctx context.Context, rec ledger.Record, d Decision) error {
	if rec.State != ledger.Cancelled || d.Denied != nil || d.Newer != "" {
		return nil
	}
	_, err := t.withdraw(ctx, d)
	return err
}

// lapseInto lets a plan go on that nobody denied in time, if pauses and guards let it.
func (t *turn) lapseInto(ctx context.Context, rec ledger.Record, d Decision) error {
	paused, err := t.pausedBy(ctx, d)
	if err != nil {
		return err
	}
	if len(paused) > 0 {
		return t.again(ctx, rec, d)
	}
	why := "nobody denied it in time: goes on"
	if no, err := t.recheck(ctx, rec, d, why); err != nil {
		return err
	} else if no != "" {
		return t.later(ctx, d, no)
	}
	state, more, err := t.enter(ctx, &d)
	if err != nil {
		return err
	}
	return t.end(ctx, rec, d, state, why+more)
}

// end writes what became of a hold that ended by itself, and does what follows.
func (t *turn) end(ctx context.Context, rec ledger.Record, d Decision, state ledger.State, why string) error {
	t.warn(why)
	rec, err := t.write(ctx, rec, d, state, why)
	if err != nil {
		return err
	}
	t.tell(rec, d)
	// Dying here: decided; what comes back finds it so and does what follows.
	return t.follow(ctx, rec, d)
}

// How often, and for how long, a plan whose hold is over is looked at again while its guards cannot be applied.
const (
	lapseEvery = 10 * time.Minute
	lapseFor   = 7 * 24 * time.Hour
)

// later has a plan that could not go on when its hold was over come back: nothing else would. In the end it is left to
// whoever approves it.
func (t *turn) later(ctx context.Context, d Decision, no string) error {
	if !strings.HasPrefix(no, "held still") || t.now().Sub(d.Hold.Until) > lapseFor {
		return nil
	}
	// Dying before or after it: the message comes again and puts it into the same place.
	return t.comeBack(ctx, d.Event, t.now().Add(lapseEvery))
}

// counted says how far the approval is.
func counted(h *Hold, state ledger.State) string {
	if state == ledger.Held {
		return fmt.Sprintf("approved %d of %d times", len(h.Given), h.Need)
	}
	return "approved"
}

// consent is the word that a command gives.
func consent(c events.Command) Consent {
	return Consent{Command: c.ID, Actor: c.Actor, Reason: c.Reason, Time: c.Time.UTC()}
}
