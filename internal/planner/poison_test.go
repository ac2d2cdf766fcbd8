package planner_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
)

// company is the configuration that the poisoned feeds meet.
const company = `playbooks:
  - name: offboard
    on: [user.terminated]
    actions:
      - {step: suspend, do: okta.suspend_user, at: okta-prod, with: {user: "${{ event.data.user }}"}}
      - {step: tokens, do: okta.clear_sessions, at: okta-prod, with: {user: "${{ event.data.user }}"}}
  - name: compromised
    on: [user.compromised]
    actions: [{step: suspend, do: okta.suspend_user, at: okta-prod, with: {user: "${{ event.data.user }}"}}]
guards:
  protected:
    - user:breakglass@acme.example
    - user:n-root
    - {when: "event.data.user.email.endsWith('@admins.acme.example')", why: administrators}
  brake:
    - {on: [user.terminated, user.compromised], max: 8, per: 1h, then: hold}
    - {on: [user.terminated, user.compromised], max: 20, per: 24h, then: hold}
    - {on: [user.termination_rescinded, user.rehired], max: 8, per: 1h, then: hold}
`

// How many persons the brakes of that configuration let pass, and under how many names at most.
const (
	hourly, hourlyNames = 8, 10
	daily               = 20
)

// poisoned begins a world with that configuration.
func poisoned(t *testing.T) *world {
	w := newWorld(t)
	w.armed = false
	files := map[string]string{
		"c/connections.yaml": `connections: {okta-prod: {provider: okta, base_url: https://okta.example, auth: {ssws: "${env:S}"}}}`,
		"c/playbooks.yaml":   company,
	}
	c, err := config.Read("c", config.Resolver{
		LookupEnv: func(string) (string, bool) { return "a secret of the tests", true },
		ReadFile: func(name string) ([]byte, error) {
			if s, ok := files[name]; ok {
				return []byte(s), nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
	})
	user := []playbook.Parameter{{Name: "user", Required: true}}
	set, cerr := playbook.Compile(c.Playbooks, []playbook.Kind{
		{Name: "okta.suspend_user", Parameters: user}, {Name: "okta.clear_sessions", Parameters: user},
	})
	if err := config.Join(err, cerr); err != nil {
		t.Fatal(err)
	}
	w.plans = set
	return w
}

// hostile makes an event of somebody, as a stolen key lets anybody do. more is what else its data says.
func (w *world) hostile(name, id string, user events.UserRef, more map[string]any) events.Event {
	w.t.Helper()
	data := map[string]any{"user": user}
	maps.Copy(data, more)
	raw, err := json.Marshal(data)
	if err != nil {
		w.t.Fatal(err)
	}
	row, _ := events.Lookup(name)
	e := events.Event{ID: id, Source: "/hr/acme", Type: row.Type(), Time: w.clock, Scope: "hr-relay", Class: row.Class}
	if e.Data, err = events.Canonical(raw); err != nil {
		w.t.Fatal(err)
	}
	if e.Subject, err = events.SubjectOf(e); err != nil {
		w.t.Fatal(err)
	}
	e.EffectiveAt = events.EffectiveAtOf(e)
	return e
}

// employee is somebody who works there.
func employee(i int) events.UserRef {
	return events.UserRef{Email: fmt.Sprintf("p%d@acme.example", i), EmployeeNumber: fmt.Sprintf("n-%d", i)}
}

// acted lists whom something was done to, by the subjects of the cases.
func (w *world) acted() []string {
	var who []string
	for id := range w.done {
		caseID, _, _ := strings.Cut(id, ":")
		if s := w.decision(caseID).Event.Subject; !slices.Contains(who, s) {
			who = append(who, s)
		}
	}
	return who
}

// chosen lists the cases that one command would cancel, and those that it keeps from coming back by that.
func (w *world) chosen() (unbegun, overtaken []string) {
	w.t.Helper()
	standing := map[string]ledger.State{}
	off := map[string]bool{}
	err := w.ledger().Range(w.t.Context(), ledger.AllCases(), time.Time{}, func(rec ledger.Record) error {
		switch id := ledger.CaseOf(rec.Subject); {
		case rec.Subject == ledger.PlanSubject(id):
			standing[id] = rec.State
		case rec.Subject != ledger.LifecycleSubject(id):
			off[id] = off[id] || rec.State == cancelled
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, id := range slices.Sorted(maps.Keys(standing)) {
		switch s := standing[id]; {
		case s == ledger.Held, s == ledger.Scheduled, s == ledger.Conflict:
			unbegun = append(unbegun, id)
		case s == planned && playbook.TakesBack(w.decision(id).Event):
			unbegun = append(unbegun, id)
		case s == superseded, s == cancelled, s == planned && off[id]:
			overtaken = append(overtaken, id)
		}
	}
	return unbegun, overtaken
}

// recover does what one command does: it cancels everything that has not begun, and first keeps from coming back what that
// had overtaken. Nothing more may come of the feed then, whatever a person approves and however long one waits.
func (w *world) recover() {
	w.t.Helper()
	before := maps.Clone(w.done)
	list, overtaken := w.chosen()
	for i, id := range overtaken {
		w.send(w.command(fmt.Sprint("first", i), events.Withdraw, id, "ann"))
	}
	w.settle()
	for i, id := range list {
		verb := events.Cancel
		if playbook.TakesBack(w.decision(id).Event) {
			verb = events.Withdraw
		}
		w.send(w.command(fmt.Sprint("cancel", i), verb, id, "ann"))
	}
	w.settle()
	if left, _ := w.chosen(); len(left) > 0 {
		w.t.Errorf("%d cases still wait", len(left))
	}
	for i, id := range list {
		w.send(w.command(fmt.Sprint("late", i), events.Approve, id, "bob"))
	}
	w.advance(400 * 24 * time.Hour)
	w.settle()
	if !maps.Equal(before, w.done) {
		w.t.Errorf("after the recovery %d things were done more", len(w.done)-len(before))
	}
}

// feed is what a wrong or hostile source sends, and how many may be acted upon.
type feed struct {
	name string
	send func(w *world)
	most int
	want int // how many are acted upon at least: the brake stops the feed, and not everybody
}

// TestPoisonedFeeds: whatever a source sends, nothing is done beyond the brake, nobody protected is touched, and one
// command takes back what is still to come.
func TestPoisonedFeeds(t *testing.T) {
	for _, f := range slices.Concat(crowdFeeds(), forgedFeeds()) {
		t.Run(strings.ReplaceAll(f.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			w := poisoned(t)
			f.send(w)
			w.settle()
			who := w.acted()
			if len(who) > f.most || len(who) < f.want {
				t.Errorf("%d are acted upon, want %d to %d: %v", len(who), f.want, f.most, who)
			}
			for _, s := range who {
				if strings.Contains(s, "breakglass") || strings.Contains(s, "root") || strings.Contains(s, "admin") {
					t.Errorf("%s is protected", s)
				}
			}
			w.recover()
			w.wantRest(slices.Collect(maps.Keys(w.now.letters))...)
		})
	}
}

// flood sends a termination of everybody from a to b.
func flood(w *world, a, b int, more map[string]any) {
	for i := a; i < b; i++ {
		w.send(w.hostile("user.terminated", fmt.Sprint("t", i), employee(i), more))
	}
}

// crowdFeeds are those that say that too many go.
func crowdFeeds() []feed {
	return []feed{
		{"everyone at once", func(w *world) { flood(w, 0, 120, nil) }, hourly, hourly},
		{"everyone at once, sent again and again", func(w *world) {
			for range 3 {
				flood(w, 0, 40, nil)
				w.settle()
			}
		}, hourly, hourly},
		{"in small batches for hours", func(w *world) {
			for hour := range 12 {
				flood(w, hour*6, hour*6+6, nil)
				w.settle()
				w.advance(time.Hour)
			}
		}, daily, daily},
		{"everyone at a time to come", func(w *world) {
			flood(w, 0, 60, map[string]any{"effective_at": w.clock.Add(26 * time.Hour).Format(time.RFC3339)})
			w.settle()
			w.advance(27 * time.Hour)
		}, hourly, hourly},
		{"dates in the past", func(w *world) {
			flood(w, 0, 60, map[string]any{"effective_at": "2019-03-31T02:30:00+02:00"})
		}, hourly, hourly},
		{"admins among them", func(w *world) {
			for i := range 60 {
				u := employee(i)
				switch i % 3 {
				case 0:
					u = events.UserRef{Email: fmt.Sprintf("Admin%d@ADMINS.acme.example", i)}
				case 1:
					u.EmployeeNumber = []string{"n-root", "N-Root", " ｎ-root "}[i%9/3]
				}
				w.send(w.hostile("user.terminated", fmt.Sprint("a", i), u, nil))
			}
		}, hourly, hourly},
	}
}

// forgedFeeds are those of somebody who knows the rules and has the key of a source.
func forgedFeeds() []feed {
	spellings := []events.UserRef{
		{Email: "maria@acme.example"}, {Email: "MARIA@ACME.EXAMPLE"}, {Email: " maria@acme.example "}, {Email: "ｍaria@acme.example"},
		{Login: "maria@acme.example"}, {Login: "Maria@Acme.Example"}, {EmployeeNumber: "n-maria", Email: "maria@acme.example"},
		{EmployeeNumber: "N-MARIA"}, {EmployeeNumber: "ｎ-maria"}, {ASAUsername: "maria@acme.example"},
	}
	return []feed{
		{"one person under ten spellings, and everyone", func(w *world) {
			for i, u := range spellings {
				w.send(w.hostile("user.terminated", fmt.Sprint("s", i), u, nil))
				w.settle()
				w.advance(time.Second)
			}
			flood(w, 0, 60, nil)
		}, hourlyNames, hourly},
		{"the emergency account under ten spellings", func(w *world) {
			for i, u := range spellings {
				raw, err := json.Marshal(u)
				if err != nil {
					w.t.Fatal(err)
				}
				text := strings.NewReplacer("ｍaria", "ｂreakglass", "ｎ-maria", "ｎ-root", "N-MARIA", "N-ROOT", "n-maria", "n-root",
					"maria", "breakglass", "Maria", "Breakglass", "MARIA", "BREAKGLASS").Replace(string(raw))
				if err := json.Unmarshal([]byte(text), &u); err != nil {
					w.t.Fatal(err)
				}
				w.send(w.hostile("user.terminated", fmt.Sprint("b", i), u, nil), w.hostile("user.compromised", fmt.Sprint("c", i), u, nil))
			}
		}, 0, 0},
		{"everyone made one person first", func(w *world) {
			for i := range 40 {
				w.send(w.hostile("user.rehired", fmt.Sprint("j", i), events.UserRef{EmployeeNumber: "n-1", Email: employee(i).Email}, nil))
			}
			w.settle()
			for i := range 40 {
				w.advance(time.Second)
				w.send(w.hostile("user.compromised", fmt.Sprint("k", i), events.UserRef{Email: employee(i).Email}, nil))
			}
		}, hourlyNames, 1},
		{"two kinds of event, urgent and dated", func(w *world) {
			for i := range 60 {
				e := w.hostile("user.compromised", fmt.Sprint("u", i), employee(i), nil)
				e.Class = events.Urgent
				w.send(e)
			}
			flood(w, 60, 120, map[string]any{"effective_at": w.clock.Add(time.Minute).Format(time.RFC3339)})
			w.settle()
			w.advance(2 * time.Minute)
		}, hourly, hourly},
		{"other content under the same ids, and rehires between", func(w *world) {
			for i := range 60 {
				w.send(w.hostile("user.terminated", fmt.Sprint("x", i%10), employee(i), nil))
				w.send(w.hostile("user.rehired", fmt.Sprint("y", i), employee(i+1), nil))
				w.settle()
				w.advance(time.Second)
				w.send(w.hostile("user.terminated", fmt.Sprint("z", i), employee(i), map[string]any{"reason": "again"}))
			}
		}, hourly, hourly},
	}
}
