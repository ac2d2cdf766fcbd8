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
		h.Count(nil, func(c Case) Past { p, _ := plans.Of(c.ID); return p }, now, nil)
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
	h.Count(nil, func(c Case) Past { p, _ := plans.Of(c.ID); return p }, monday.AddDate(1, 0, 0), nil)
	if got := h.Cases[2].Outcomes[0]; got.State != Held || !strings.Contains(got.Why, "brake") {
		t.Errorf("the next one is %s: %s", got.State, got.Why)
	}
}

// TestSentAgainItHears: an event says that two are one who each wait for the other's word; nothing tells them, and one is sent
// again.
func TestSentAgainItHears(t *testing.T) {
	const confirmed = offboard + "guards: {confirm_by: [{on: [user.terminated], within: 1h}]}\n"
	one, other := leaver("a", `"employee_number":"1"`), from("it", leaver("b", email(1)))
	both := leaver("c", `"employee_number":"1",`+email(1))
	both.Type = "dev.keyturn.user.compromised.v1"
	list := []Message{stored(t, one, 0), stored(t, other, 1), stored(t, both, 2)}
	if got := states(played(t, confirmed, list...)); got != "held held planned" {
		t.Errorf("nobody told them: %s", got)
	}
	if h := played(t, confirmed, append(list, stored(t, other, 3))...); states(h) != "planned planned planned" || h.Resent != 1 {
		t.Errorf("sent again: %s, %d resent", states(h), h.Resent)
	}
}

// TestWhoIsCountedGoesByTheKeys: a name that nobody had been told to be anybody's is one person's and then another's. Whether
// what passed by it was the first one's follows from the keys by which the planner counts.
func TestWhoIsCountedGoesByTheKeys(t *testing.T) {
	const braked = `
playbooks:
  - name: stolen
    on: [user.compromised]
    actions: [{step: sessions, do: okta.clear_sessions, at: okta-prod, with: {user: "${{ event.data.user }}"}}]
guards: {brake: [{on: [user.compromised], max: 1, per: 1h, then: hold}]}
`
	is := func(what string, e events.Event) events.Event {
		e.Type = "dev.keyturn." + what + ".v1"
		return e
	}
	const desk, first, second = `"email":"desk@acme.example"`, `"employee_number":"1"`, `"employee_number":"2"`
	for smaller, want := range map[string]string{"user:desk@acme.example": "planned planned planned planned", "user:1": "planned planned planned held"} {
		h, err := Play(t.Context(), []Rules{rules(t, braked)}, monday.AddDate(1, 0, 0), func(_ context.Context, hand func(Message) error) error {
			return errors.Join(hand(stored(t, is("user.compromised", leaver("a", desk)), 0)),
				hand(stored(t, is("user.termination_rescinded", leaver("b", first+","+desk)), 1)),
				hand(stored(t, is("user.termination_rescinded", leaver("c", second+","+desk)), 2)),
				hand(stored(t, is("user.compromised", leaver("d", first)), 3)))
		})
		if err != nil {
			t.Fatal(err)
		}
		h.Count(nil, nil, monday.AddDate(1, 0, 0), func(principal string) string {
			if principal == smaller {
				return "0"
			}
			return "1" + principal
		})
		if got := states(h); got != want {
			t.Errorf("%s has the smaller key: %s, want %s", smaller, got, want)
		}
	}
}
