package replay

import (
	"context"
	"testing"
	"time"

	"keyturn/internal/events"
)

// TestWhatTheLedgerSaysOfAMoment: a rescind that passed its brake and was overtaken counts, when it came or later; a word
// that was taken back before the other one came confirms nothing.
func TestWhatTheLedgerSaysOfAMoment(t *testing.T) {
	const braked = offboard + "guards: {brake: [{on: [user.termination_rescinded], max: 1, per: 1h, then: hold}]}\n"
	const confirmed = offboard + "guards: {confirm_by: [{on: [user.terminated], within: 1h}]}\n"
	rescind := func(id string, n int) events.Event {
		e := leaver(id, email(n))
		e.Type = "dev.keyturn.user.termination_rescinded.v1"
		return e
	}
	for _, c := range []struct {
		name, text string
		first      events.Event
		states     []string // of the first, a minute apart
		second     events.Event
		want       State
	}{
		{"overtaken when it came", braked, rescind("a", 1), []string{"superseded"}, rescind("b", 2), Held},
		{"overtaken later", braked, rescind("a", 1), []string{"scheduled", "superseded"}, rescind("b", 2), Held},
		{"a word", confirmed, leaver("a", email(1)), []string{"held"}, from("it", leaver("b", email(1))), Planned},
		{"a word that was overtaken", confirmed, leaver("a", email(1)), []string{"held", "superseded"}, from("it", leaver("b", email(1))), Planned},
		{"a word that was taken back", confirmed, leaver("a", email(1)), []string{"held", "cancelled"}, from("it", leaver("b", email(1))), Held},
	} {
		plans := NewPlans()
		for i, s := range c.states {
			if err := plans.Add(c.first.Case(), monday.Add(time.Duration(i)*time.Minute), s, "", []byte(`{"hold":{"unheard":true}}`)); err != nil {
				t.Fatal(err)
			}
		}
		if err := plans.Add(c.second.Case(), monday.Add(10*time.Minute), "planned", "", []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		now := monday.AddDate(1, 0, 0)
		h, err := Play(t.Context(), []Rules{rules(t, c.text)}, now, func(_ context.Context, hand func(Message) error) error {
			for i, e := range []events.Event{c.first, c.second} {
				if err := hand(stored(t, e, 10*i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		h.Count(nil, func(c Case) Past { p, _ := plans.Of(c.ID); return p }, now)
		if got := h.Cases[1].Outcomes[0]; got.State != c.want {
			t.Errorf("%s: the second is %s (%s), want %s", c.name, got.State, got.Why, c.want)
		}
	}
}
