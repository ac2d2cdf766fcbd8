package replay

import (
	"context"
	"errors"
	"strings"
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

// TestOvertakenByItsWord: a rescind that waits for another source passes its brake when the word comes, and then finds out
// that the word, which no brake counts, is newer and decides.
func TestOvertakenByItsWord(t *testing.T) {
	set := rules(t, offboard+"guards: {protected: [\"user:n-1\"], confirm_by: [{on: [user.termination_rescinded], within: 1h}], "+
		"brake: [{on: [user.termination_rescinded, user.terminated], max: 1, per: 1h, then: hold}]}\n")
	waits, word := leaver("a", email(1)), from("it", leaver("b", `"employee_number":"n-1",`+email(1)))
	waits.Type, word.Type = "dev.keyturn.user.termination_rescinded.v1", "dev.keyturn.user.termination_rescinded.v1"
	other := leaver("c", email(2))
	plans := NewPlans()
	for _, r := range []struct {
		event  events.Event
		minute int
		state  string
	}{{waits, 0, "held"}, {word, 1, "planned"}, {waits, 1, "superseded"}, {other, 2, "held"}} {
		if err := plans.Add(r.event.Case(), monday.Add(time.Duration(r.minute)*time.Minute), r.state, "", []byte(`{"hold":{"unheard":true}}`)); err != nil {
			t.Fatal(err)
		}
	}
	h, err := Play(t.Context(), []Rules{set}, monday.AddDate(1, 0, 0), func(_ context.Context, hand func(Message) error) error {
		return errors.Join(hand(stored(t, waits, 0)), hand(stored(t, word, 1)), hand(stored(t, other, 2)))
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Count(nil, func(c Case) Past { p, _ := plans.Of(c.ID); return p }, monday.AddDate(1, 0, 0))
	if got := h.Cases[2].Outcomes[0]; got.State != Held || !strings.Contains(got.Why, "brake") {
		t.Errorf("the next one is %s: %s", got.State, got.Why)
	}
}
