package planner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
)

// Confirmation is whose word a plan needs beside its own event's.
type Confirmation = playbook.Confirmation

// unheard is what a plan still waits for.
type unheard struct {
	why  string
	till time.Time // when a word takes effect that would do; zero = none is known
}

// hear looks for a second source's word about the same, once for each rule. It fills in d.Confirmed with the cases that
// gave it, and gives what is missing; nil = nothing is.
func (t *turn) hear(ctx context.Context, d *Decision, rules []Confirmation) (*unheard, error) {
	d.Confirmed = nil
	if len(rules) == 0 {
		return nil, nil
	}
	others, err := t.alike(ctx, *d)
	if err != nil {
		return nil, err
	}
	for _, rule := range rules {
		var soon time.Time
		heard := false
		for _, o := range others {
			apart := o.Accepted.Sub(d.Accepted).Abs()
			switch at := o.EffectiveAt; {
			case !rule.Counts(d.Event.Scope, o.Event.Scope) || apart > rule.Within:
			case !at.After(t.come()):
				if heard = true; !slices.Contains(d.Confirmed, o.Case) {
					d.Confirmed = append(d.Confirmed, o.Case)
				}
			case soon.IsZero() || at.Before(soon):
				soon = at
			}
		}
		if !heard {
			from := "another source"
			if len(rule.Sources) > 0 {
				from = strings.Join(rule.Sources, " or ")
			}
			return &unheard{fmt.Sprintf("%s must say the same within %s", from, rule.Within), soon}, nil
		}
	}
	return nil, nil
}

// word is what was decided about another event of the same type and about the same, and where that stands.
type word struct {
	Decision
	state ledger.State
}

// alike gives the decisions about other events of the same type and about the same: the same person, by whichever names
// it came, or else the same subject. One that a person denied, that was rescinded, that waits for a pause, or that
// concerns somebody protected says nothing, nor does content that came under another event's id.
func (t *turn) alike(ctx context.Context, d Decision) ([]word, error) {
	own, err := t.identity(ctx, d.Event)
	if err != nil {
		return nil, err
	}
	cases, err := t.listedWith(ctx, d, own)
	if err != nil {
		return nil, err
	}
	var list []word
	for _, id := range cases {
		rec, err := t.Ledger.Last(ctx, ledger.PlanSubject(id))
		if err != nil {
			return nil, err
		}
		switch rec.State {
		case "", ledger.Cancelled, ledger.Refused, ledger.Conflict:
			continue
		}
		o, err := Decode(rec)
		if err != nil {
			return nil, err
		}
		if rec.State == ledger.Held && o.Hold != nil && len(o.Hold.Pauses) > 0 {
			continue
		}
		same, err := t.about(ctx, d.Event, own, o.Event)
		if err != nil {
			return nil, err
		}
		if same {
			list = append(list, word{o, rec.State})
		}
	}
	return list, nil
}

// listedWith gives the other cases that are listed under any name of an event or of its person.
func (t *turn) listedWith(ctx context.Context, d Decision, own called) ([]string, error) {
	keys := []string{t.Keyer.Key(d.Event.Subject)}
	for _, id := range events.Principals(d.Event) {
		keys = append(keys, t.Keyer.Key(id.Principal()))
	}
	var cases []string
	for _, key := range append(keys, own.Keys...) {
		err := t.Ledger.Range(ctx, ledger.PersonFilter(key), time.Time{}, func(rec ledger.Record) error {
			if id := ledger.CaseOf(rec.Subject); id != "" && id != d.Case && !slices.Contains(cases, id) {
				cases = append(cases, id)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return cases, nil
}

// about reports whether another event is of the same type and about the same, which words that contradict each other are
// not.
func (t *turn) about(ctx context.Context, e events.Event, own called, o events.Event) (bool, error) {
	switch {
	case o.Type != e.Type || playbook.Contradict(events.PersonIdentifiers(e), events.PersonIdentifiers(o)):
		return false, nil
	case o.Subject == e.Subject:
		return true, nil
	case !strings.HasPrefix(e.Subject, "user:"):
		return false, nil // of one person, and about two devices
	}
	other, err := t.identity(ctx, o)
	return other.Key == own.Key, err
}

// confirm brings back whatever waits for the word of this event, to be judged anew: now, or when that takes effect. It comes after the event's own
// record stands and is listed: of two that wait for each other, at least one sees the other.
func (t *turn) confirm(ctx context.Context, d Decision) error {
	if !t.Plans.Confirms(d.Event) {
		return nil
	}
	others, err := t.alike(ctx, d)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.state != ledger.Held || o.Hold == nil || !o.Hold.Unheard {
			continue
		}
		missing, err := t.unheard(ctx, o.Decision)
		if err != nil {
			return err
		}
		at := t.now()
		if missing != nil {
			if at = missing.till; at.IsZero() || !o.Hold.Until.IsZero() && !at.Before(o.Hold.Until) {
				continue
			}
		}
		if err := t.Queue.Barrier(ctx); err != nil {
			return err
		}
		if err := t.comeBack(ctx, o.Event, at); err != nil {
			return err
		}
		// Dying here: it comes back by itself, and as long as it has not, our own message brings it back once more.
	}
	return nil
}

// heard reports whether a held plan waits for a second source's word, and has it now.
func (t *turn) heard(ctx context.Context, d Decision) (bool, error) {
	if !d.Hold.Unheard {
		return false, nil
	}
	missing, err := t.unheard(ctx, d)
	return err == nil && missing == nil, err
}

// unheard says what a held plan still waits for; nil = nothing.
func (t *turn) unheard(ctx context.Context, d Decision) (*unheard, error) {
	g, err := t.Plans.Guard(d.Plan)
	if err != nil {
		t.alert = "a held plan cannot be confirmed: the guards could not be applied: " + err.Error()
		return &unheard{}, nil
	}
	return t.hear(ctx, &d, g.Confirm)
}
