package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/playbook"
)

// kinds are those that the samples name.
func kinds() []playbook.Kind {
	user := []playbook.Parameter{{Name: "user", Required: true}}
	return []playbook.Kind{{Name: "okta.suspend_user", Parameters: user}, {Name: "okta.clear_sessions", Parameters: user},
		{Name: "okta.deactivate_user", Parameters: user, Approvers: 1}}
}

// rules compiles playbooks.yaml.
func rules(t *testing.T, text string) *playbook.Set {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, config.PlaybooksFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := config.ReadPlaybooks(dir, config.Resolver{})
	if err != nil {
		t.Fatal(err)
	}
	set, err := playbook.Compile(p, kinds())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

const offboard = `
playbooks:
  - name: offboard
    on: [user.terminated]
    actions:
      - {step: suspend, do: okta.suspend_user, at: okta-prod, with: {user: "${{ event.data.user }}"}}
      - {step: sessions, do: okta.clear_sessions, at: okta-prod, with: {user: "${{ event.data.user }}"}}
`

// monday is when the sample histories begin.
var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// leaver is a termination of a person, by the names that are given.
func leaver(id string, names string) events.Event {
	var user events.UserRef
	if err := json.Unmarshal([]byte("{"+names+"}"), &user); err != nil {
		panic(err)
	}
	return events.Event{ID: id, Source: "https://hr.acme.example", Type: "dev.keyturn.user.terminated.v1", Scope: "hr-relay",
		Subject: user.Identifiers()[0].Principal(), Class: events.Normal, Data: json.RawMessage(`{"user":{` + names + `}}`)}
}

// from is the event as another source sends it.
func from(source string, e events.Event) events.Event {
	e.Scope = source
	return e
}

func email(n int) string { return fmt.Sprintf(`"email":"p%d@acme.example"`, n) }

// stored is an event as the stream keeps it, so many minutes after monday.
func stored(t *testing.T, e events.Event, minutes int) Message {
	t.Helper()
	data, err := events.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return Message{Data: data, Stored: monday.Add(time.Duration(minutes) * time.Minute)}
}

// played plays messages through one set of playbooks a year later, with its brakes.
func played(t *testing.T, text string, list ...Message) History {
	t.Helper()
	h, err := Play(t.Context(), []Rules{rules(t, text)}, monday.AddDate(1, 0, 0), func(_ context.Context, hand func(Message) error) error {
		for _, m := range list {
			if err := hand(m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Count(nil, nil, monday.AddDate(1, 0, 0), nil)
	return h
}

// states lists what becomes of each case, in the order of time.
func states(h History) string {
	var list []string
	for _, c := range h.Cases {
		list = append(list, string(c.Outcomes[0].State))
	}
	return strings.Join(list, " ")
}

// TestBrakesCountInTheTimeOfTheEvents: a person once, a window after which there is room again, and no more names than
// the planner would believe.
func TestBrakesCountInTheTimeOfTheEvents(t *testing.T) {
	const two = offboard + "guards: {brake: [{on: [user.terminated], max: 2, per: 1h, then: hold}]}\n"
	at := func(n, minutes int) Message {
		return stored(t, leaver(fmt.Sprintf("e%d-%d", n, minutes), email(n)), minutes)
	}
	for _, c := range []struct {
		name string
		list []Message
		want string
	}{
		{"the third is held", []Message{at(1, 0), at(2, 1), at(3, 2)}, "planned planned held"},
		{"one person counts once", []Message{at(1, 0), at(1, 1), at(1, 2), at(2, 3)}, "planned planned planned planned"},
		{"after the window there is room", []Message{at(1, 0), at(2, 1), at(3, 61), at(4, 61), at(5, 121)}, "planned planned planned planned planned"},
		{"within it there is none", []Message{at(1, 0), at(2, 1), at(3, 60), at(4, 60)}, "planned planned planned held"},
		{"held ones do not count", []Message{at(1, 0), at(2, 1), at(3, 2), at(4, 3), at(5, 62)}, "planned planned held held planned"},
		{"another name of the same person", []Message{
			stored(t, leaver("a", `"email":"ada@acme.example","employee_number":"7"`), 0), at(2, 1),
			stored(t, leaver("b", `"email":"ada@acme.example"`), 2)}, "planned planned planned"},
		{"and another", []Message{
			stored(t, leaver("a", `"email":"ada@acme.example","login":"ada"`), 0), stored(t, leaver("b", `"email":"ada2@acme.example","login":"ada"`), 1),
			stored(t, leaver("c", `"email":"ada3@acme.example","login":"ada"`), 2), stored(t, leaver("d", `"email":"ada4@acme.example","login":"ada"`), 3)},
			"planned planned planned held"},
		{"and many under one number", []Message{
			stored(t, leaver("a", `"employee_number":"7","email":"ada@acme.example"`), 0), stored(t, leaver("b", `"employee_number":"7","email":"ben@acme.example"`), 1),
			stored(t, leaver("c", `"employee_number":"7","email":"cai@acme.example"`), 2), stored(t, leaver("d", `"employee_number":"7","email":"dan@acme.example"`), 3)},
			"planned planned planned held"},
		{"two people who share a name", []Message{
			stored(t, leaver("a", `"okta_id":"00u1","email":"ada@acme.example"`), 0), stored(t, leaver("b", `"okta_id":"00u2","email":"ada@acme.example"`), 1),
			stored(t, leaver("c", `"okta_id":"00u3","email":"ada@acme.example"`), 2)}, "planned planned held"},
	} {
		if got := states(played(t, two, c.list...)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestConfirmationInTheTimeOfTheEvents: what a second source says within the window lets both go on, whoever was first;
// the same source, another person, too late, or nobody leaves them held, and uses up no brake.
func TestConfirmationInTheTimeOfTheEvents(t *testing.T) {
	const confirmed = offboard + `guards:
  confirm_by: [{on: [user.terminated], within: 1h}]
  brake: [{on: [user.terminated], max: 1, per: 1h, then: hold}]
`
	says := func(source string, n, minutes int) Message {
		e := leaver(fmt.Sprintf("%s-%d-%d", source, n, minutes), email(n))
		e.Scope = source
		return stored(t, e, minutes)
	}
	for _, c := range []struct {
		name string
		list []Message
		want string
	}{
		{"nobody", []Message{says("hr", 1, 0)}, "held"},
		{"another source", []Message{says("hr", 1, 0), says("it", 1, 60)}, "planned planned"},
		{"too late", []Message{says("hr", 1, 0), says("it", 1, 61)}, "held held"},
		{"the same source", []Message{says("hr", 1, 0), says("hr", 1, 1)}, "held held"},
		{"about another e-mail of the same number", []Message{
			stored(t, leaver("a", `"employee_number":"7","email":"ada@acme.example"`), 0),
			stored(t, from("it", leaver("b", `"employee_number":"7","email":"ben@acme.example"`)), 1)}, "held held"},
		{"about somebody else", []Message{says("hr", 1, 0), says("it", 2, 1)}, "held held"},
		{"the brake counts what is confirmed", []Message{says("hr", 1, 0), says("hr", 2, 1), says("it", 2, 2), says("it", 1, 3)},
			"held planned planned held"},
	} {
		if got := states(played(t, confirmed, c.list...)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	alone := Judge(rules(t, confirmed), leaver("e", email(1)), false).Alone()
	if alone.State != Held || !strings.Contains(alone.Why, "another source must say the same within 1h0m0s") {
		t.Errorf("alone: %+v", alone)
	}
}

// TestBrakeOfAShareNeedsItsCount: who cannot be counted holds everything, as in the planner.
func TestBrakeOfAShareNeedsItsCount(t *testing.T) {
	of := func(n int) playbook.Rider {
		return playbook.Rider{Who: fmt.Sprint(n), Keys: []string{fmt.Sprint(n)}, Name: fmt.Sprint(n), Case: fmt.Sprint(n)}
	}
	b := playbook.Brake{Name: "b", Per: time.Hour, Share: &playbook.Share{Percent: 50, Of: playbook.Count{Connection: "okta-prod", What: "active_users"}}}
	if why := newWheels(nil).ask(of(0), monday, []playbook.Brake{b}); !strings.Contains(why, "not known how many active users okta-prod has") {
		t.Errorf("unknown: %q", why)
	}
	w := newWheels(func(playbook.Count) (int, bool) { return 2, true })
	for i, want := range []bool{true, false} {
		if why := w.ask(of(i), monday, []playbook.Brake{b}); (why == "") != want {
			t.Errorf("%d: %q", i, why)
		}
	}
}

// TestPlayTellsRepeats: a resend is no second case, other content under a known id is set apart, and what is no event
// is counted.
func TestPlayTellsRepeats(t *testing.T) {
	other := leaver("e1", email(9))
	h := played(t, offboard, stored(t, leaver("e1", email(1)), 0), stored(t, leaver("e1", email(1)), 5), stored(t, other, 6),
		Message{Data: []byte("{}"), Stored: monday}, stored(t, leaver("e2", email(2)), 7))
	if h.Events != 5 || len(h.Cases) != 2 || h.Resent != 1 || h.Conflicts != 1 || h.Unreadable != 1 {
		t.Errorf("%d events, %d cases, %d resent, %d conflicts, %d unreadable", h.Events, len(h.Cases), h.Resent, h.Conflicts, h.Unreadable)
	}
}

// TestPlayKeepsTheOrder: many batches on many cores give the cases in the order of time; a date moves a case to its day.
func TestPlayKeepsTheOrder(t *testing.T) {
	var list []Message
	for i := range 3*batch + 10 {
		e := leaver(fmt.Sprintf("e%d", i), email(i))
		if i == 0 {
			e.EffectiveAt = monday.AddDate(0, 6, 0)
			e.Data = json.RawMessage(`{"user":{` + email(i) + `},"effective_at":"` + e.EffectiveAt.Format(time.RFC3339) + `"}`)
		}
		list = append(list, stored(t, e, i))
	}
	h := played(t, offboard, list...)
	for i, c := range h.Cases[:len(h.Cases)-1] {
		if want := fmt.Sprintf("user:p%d@acme.example", i+1); c.Principal != want {
			t.Fatalf("case %d is of %s, want %s", i, c.Principal, want)
		}
	}
	if last := h.Cases[len(h.Cases)-1]; last.Principal != "user:p0@acme.example" || !last.At.Equal(monday.AddDate(0, 6, 0)) {
		t.Errorf("the last is of %s at %s", last.Principal, last.At)
	}
}

// TestPlayEndsWithItsReader: an error of whoever hands the messages over ends it.
func TestPlayEndsWithItsReader(t *testing.T) {
	gone := errors.New("the broker is away")
	_, err := Play(t.Context(), []Rules{rules(t, offboard)}, monday, func(_ context.Context, hand func(Message) error) error {
		for i := range 10 * batch {
			if err := hand(stored(t, leaver(fmt.Sprint(i), email(i)), i)); err != nil {
				return err
			}
		}
		return gone
	})
	if !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

// TestJudge: each verdict of the guards, and what cannot be judged.
func TestJudge(t *testing.T) {
	const guarded = offboard + `
  - name: gone
    on: [user.terminated]
    when: "has(event.data.reason) && event.data.reason == 'gone'"
    actions: [{step: deactivate, do: okta.deactivate_user, at: okta-prod, with: {user: "${{ event.data.user }}"}}]
  - name: odd
    on: [user.terminated]
    when: "event.raw.odd == 'yes'"
    actions: [{step: odd, do: okta.clear_sessions, at: okta-prod, with: {user: "${{ event.data.user }}"}}]
guards: {protected: ["user:glass@acme.example"]}
`
	set := rules(t, guarded)
	with := func(more string) events.Event {
		e := leaver("e", email(1))
		e.Data = json.RawMessage(`{"user":{` + email(1) + `},"odd":"no"` + more + `}`)
		return e
	}
	glass := leaver("e", `"email":"glass@acme.example"`)
	glass.Data = json.RawMessage(`{"user":{"email":"glass@acme.example"},"odd":"no"}`)
	other := with("")
	other.Type = "dev.keyturn.user.rehired.v1"
	for _, c := range []struct {
		name   string
		event  events.Event
		future bool
		want   State
		why    string
		steps  int
	}{
		{"planned", with(""), false, Planned, "", 2},
		{"scheduled", with(""), true, Scheduled, "", 2},
		{"held", with(`,"reason":"gone"`), false, Held, "okta.deactivate_user", 3},
		{"refused", glass, true, Refused, "is protected", 2},
		{"nothing", other, false, Planned, "", 0},
		{"faulty", leaver("e", email(1)), false, Faulty, "no such key", 0},
	} {
		got := Judge(set, c.event, c.future)
		if got.State != c.want || !strings.Contains(got.Why, c.why) || len(got.Steps) != c.steps {
			t.Errorf("%s: %s %q with %d steps", c.name, got.State, got.Why, len(got.Steps))
		}
	}
}
