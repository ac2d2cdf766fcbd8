package planner

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"keyturn/internal/ledger"
	"keyturn/internal/people"
)

// recalled is the body of an action's record that a newer event cancelled.
type recalled struct {
	Newer string `json:"newer"` // its case
}

// restore brings back the terminations of a person that only what is void by now had taken: all that are newer than any
// event which takes terminations back, and the newest of these if it was overtaken itself. One that was not planned any
// more is decided anew. One whose actions lanes had, and of which some were called back, is decided anew as a case of its
// own: its actions look at what was done of it, and do the rest. Both go through the guards and the order of this moment.
// It says for a receipt what came back.
func (t *turn) restore(ctx context.Context, who person) (string, error) {
	newest, _ := who.Newest()
	var back, gone []string
	for _, e := range slices.Backward(slices.Clone(who.Entries)) {
		if e.Returns() && (e.Void || e.Case != newest.Case) {
			if e.Void {
				continue
			}
			break
		}
		id, why, err := t.bring(ctx, &who, e, newest.Case == e.Case)
		switch {
		case err != nil:
			return "", err
		case why != "":
			gone = append(gone, e.Case+" ("+why+")")
		case id != "" && !slices.Contains(back, id):
			back = append(back, id)
		}
		if e.Returns() {
			break
		}
	}
	said := ""
	if len(back) > 0 {
		said = "; decided anew: " + strings.Join(back, ", ")
	}
	if len(gone) > 0 {
		said += "; not decided anew: " + strings.Join(gone, ", ")
		t.warn("a termination that was taken back by what is cancelled now does not come back: case " + strings.Join(gone, ", "))
	}
	return said, nil
}

// bring brings one termination back, if it was taken by what is void. It gives the case under which it was decided anew
// in this turn or an earlier one of the same command, or why it could not be.
func (t *turn) bring(ctx context.Context, who *person, e people.Entry, newest bool) (id, why string, err error) {
	rec, d, err := t.plan(ctx, e.Case)
	if err != nil || d.Hash != e.Hash {
		return "", "", err // or other content decided the case
	}
	switch {
	case rec.Attempt == t.attempt && d.Denied == nil && !e.Void && rec.State != ledger.Superseded:
		return e.Case, "", t.resume(ctx, e.Case)
	case rec.State == ledger.Planned && !e.Returns():
		by, err := t.recaller(ctx, *who, d)
		if err != nil || by == "" {
			return "", "", err
		}
		return t.anew(ctx, who, e, d, by)
	case !newest || d.Denied != nil || !who.Voided(d.Newer):
		return "", "", nil
	case rec.State != ledger.Superseded && rec.State != ledger.Cancelled:
		return "", "", nil
	case d.Event.Data == nil:
		return "", "what it says was not kept: have it sent anew", nil
	}
	d.Newer, d.Hold, d.Confirmed, t.replaced = "", nil, nil, nil
	if err := t.decide(ctx, rec, d); err != nil {
		return "", "", err
	}
	if t.unplanned != nil {
		return "", t.unplanned.Error(), nil
	}
	// Dying here: decided, and its case is closed; the command comes again, knows its own decision, and opens it.
	return e.Case, "", t.resume(ctx, e.Case)
}

// recaller gives the void case that called actions of a plan back; empty = none did.
func (t *turn) recaller(ctx context.Context, who person, d Decision) (string, error) {
	for _, a := range d.Actions {
		rec, err := t.Ledger.Last(ctx, ledger.ActionSubject(d.Case, a.ID))
		if err != nil {
			return "", err
		}
		if rec.State != ledger.Cancelled || len(rec.Body) == 0 {
			continue
		}
		var by recalled
		if err := json.Unmarshal(rec.Body, &by); err != nil {
			return "", fmt.Errorf("action %s: %w", a.ID, err)
		}
		if who.Voided(by.Newer) {
			return by.Newer, nil
		}
	}
	return "", nil
}

// anew decides a termination, of which actions were called back, as a case of its own that has its place in the order. The
// id follows from both cases, so that it is one case however often it is asked for.
func (t *turn) anew(ctx context.Context, who *person, e people.Entry, d Decision, by string) (id, why string, err error) {
	own := d.Event
	own.ID += "~" + by
	next := Decision{Plan: blank(own.Case(), own.ContentHash(), own, d.Accepted), Said: ledger.Said{Anew: d.Case}}
	if who.Index(next.Case) < 0 {
		if e.Void {
			return "", "", nil // a person ended it
		}
		who.Entries[who.Index(e.Case)].Void = true
		place := entryOf(next)
		place.By = e.By
		who.Put(place)
		if err := t.save(ctx, who, "case "+next.Case+" takes the place of "+e.Case); err != nil {
			return "", "", err
		}
		// Dying here: it has the place, and is not decided; the command comes again and finds the actions called back.
	}
	rec, err := t.Ledger.Last(ctx, ledger.PlanSubject(next.Case))
	if err != nil {
		return "", "", err
	}
	if rec.Seq != 0 {
		if next, err = Decode(rec); err == nil {
			err = t.follow(ctx, rec, next)
		}
		if rec.Attempt != t.attempt {
			return "", "", err // decided before, by another command
		}
		return next.Case, "", err
	}
	t.replaced = nil
	if err := t.decide(ctx, rec, next); err != nil {
		return "", "", err
	}
	if t.unplanned != nil {
		return "", t.unplanned.Error(), nil
	}
	// Dying here: decided and followed under an id of its own; the command comes again and finds its plan.
	*who, err = t.whose(ctx, d.Event)
	return next.Case, "", err
}
