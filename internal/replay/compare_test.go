package replay

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/events"
)

// TestCompare: every way in which two plans of one event differ.
func TestCompare(t *testing.T) {
	action := func(step, do, at, with string, after ...string) events.Action {
		return events.Action{Case: "c", Playbook: "p", Step: step, Do: do, Connection: at, Class: events.Normal, With: json.RawMessage(with), After: after}
	}
	urgent := action("f", "d", "x", "{}")
	urgent.Class = events.Urgent
	then := Outcome{State: Planned, Steps: Steps([]events.Action{action("a", "d", "x", "{}"), action("b", "d", "x", "{}"), action("c", "d", "x", "{}"),
		action("d", "d", "x", "{}"), action("e", "d", "x", "{}"), action("f", "d", "x", "{}")}, false)}
	now := Outcome{State: Planned, Steps: Steps([]events.Action{action("a", "d", "x", "{}"), action("b", "d2", "x", "{}"), action("c", "d", "y", "{}"),
		action("d", "d", "x", `{"a":1}`), action("e", "d", "x", "{}", "a"), urgent, action("g", "d", "x", "{}")}, false)}
	then.Steps = append(then.Steps, Step{Playbook: "p", Name: "z", Do: "d", Connection: "x"})
	var got []string
	for _, c := range Compare(then, now) {
		got = append(got, fmt.Sprintf("%s%s %s", c.How.Sign(), c.Step, c.What))
	}
	want := []string{"-z ", "~b was d at x", "~c was at x", "~d other parameters", "~e another place in the order, or class",
		"~f another place in the order, or class", "+g "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if list := Compare(then, Outcome{State: Faulty}); len(list) != 0 {
		t.Errorf("against what could not be planned: %v", list)
	}
}

// TestPast: what the rules said then is the first decision, whatever people made of it.
func TestPast(t *testing.T) {
	body := []byte(`{"actions":[{"playbook":"p","step":"s","do":"d","connection":"x"}]}`)
	for _, c := range []struct {
		states string
		want   State
		apart  string
	}{
		{"planned", Planned, ""},
		{"held planned", Held, ""},
		{"held cancelled", Held, ""},
		{"scheduled", Scheduled, ""},
		{"scheduled planned", Planned, ""},
		{"scheduled held planned", Held, ""},
		{"scheduled refused", Refused, ""},
		{"scheduled cancelled", "", "cancelled"},
		{"scheduled superseded", "", "superseded"},
		{"superseded", "", "superseded"},
		{"conflict planned", Planned, ""},
		{"", "", "undecided"},
	} {
		p := NewPlans()
		for state := range strings.FieldsSeq(c.states) {
			if err := p.Add("c1", monday, state, "why", body); err != nil {
				t.Fatal(err)
			}
		}
		past, _ := p.Of("c1")
		if past.Apart() != c.apart {
			t.Errorf("%s: apart %q, want %q", c.states, past.Apart(), c.apart)
		}
		if c.apart == "" && (past.Outcome.State != c.want || len(past.Outcome.Steps) != 1) {
			t.Errorf("%s: %+v, want %s", c.states, past.Outcome, c.want)
		}
	}
	for _, c := range []struct {
		name   string
		bodies []string // of records, each behind its state
		want   State
		apart  string
	}{
		{"confirmed", []string{`held {"hold":{"unheard":true}}`, `planned {}`}, Planned, ""},
		{"let go unconfirmed", []string{`held {"hold":{"unheard":true}}`, `planned {"hold":{"unheard":true,"given":[{}]}}`}, Held, ""},
		{"never confirmed", []string{`held {"hold":{"unheard":true}}`, `cancelled {}`}, Held, ""},
		{"paused, then held by the rules", []string{`held {"hold":{"pauses":["everything"]}}`, `held {"hold":{}}`, `planned {}`}, Held, ""},
		{"approved, overtaken at that, and brought back", []string{`held {"hold":{}}`, `superseded {"hold":{"given":[{}]}}`, `scheduled {}`}, Held, "in doubt"},
		{"not denied in time, overtaken at that, and brought back", []string{`held {"hold":{"until":"2026-01-05T09:00:00Z","then":"proceed"}}`,
			`superseded {"hold":{"until":"2026-01-05T09:00:00Z","then":"proceed"}}`, `scheduled {}`}, Held, "in doubt"},
		{"overtaken while it was held, and brought back", []string{`held {"hold":{}}`, `superseded {"hold":{}}`, `scheduled {}`}, Scheduled, ""},
		{"paused still", []string{`held {"hold":{"pauses":["everything"]}}`}, "", "paused"},
	} {
		p := NewPlans()
		for _, rec := range c.bodies {
			state, body, _ := strings.Cut(rec, " ")
			if err := p.Add("c1", monday, state, "why", []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
		past, _ := p.Of("c1")
		if past.Apart() != c.apart || c.apart == "" && past.Outcome.State != c.want {
			t.Errorf("%s: %+v, apart %q", c.name, past.Outcome, past.Apart())
		}
	}
	if err := NewPlans().Add("c1", monday, "planned", "", []byte("{")); err == nil {
		t.Error("a plan that cannot be read is no error")
	}
}

// TestReport: what differs is counted by playbook and kind, by verdict, and listed by whom it is about; what was played
// for the brakes alone, and what no playbook decided upon, is not compared.
func TestReport(t *testing.T) {
	more := strings.Replace(offboard, "okta.clear_sessions", "okta.deactivate_user", 1)
	list := []Message{stored(t, leaver("early", email(0)), 0), stored(t, leaver("e1", email(1)), 60), stored(t, leaver("e2", email(2)), 61),
		stored(t, leaver("e3", email(1)), 62)}
	then, now := played(t, offboard, list...), played(t, more, list...)
	old := map[string]Outcome{}
	for _, c := range then.Cases {
		old[c.ID] = c.Outcomes[0]
	}
	r := Report{Since: monday.Add(time.Minute)}
	r.Compare(now, 0, func(c Case) (Outcome, string) {
		if c.Principal == "user:p2@acme.example" {
			return Outcome{}, "superseded"
		}
		return old[c.ID], ""
	})
	if r.Events != 4 || r.Cases != 2 || r.Different != 2 || r.Apart["superseded"] != 1 {
		t.Errorf("%d events, %d cases, %d different, apart %v", r.Events, r.Cases, r.Different, r.Apart)
	}
	if diff := cmp.Diff([]RuleDiff{{Playbook: "offboard", Do: "okta.deactivate_user", Changed: 2}}, r.Rules); diff != "" {
		t.Error(diff)
	}
	if len(r.Verdicts) != 1 || r.Verdicts[0].Then != Planned || r.Verdicts[0].Now != Held || r.Verdicts[0].Cases != 2 || r.Verdicts[0].Why == "" {
		t.Errorf("verdicts %+v", r.Verdicts)
	}
	if len(r.People) != 1 || r.People[0].Principal != "user:p1@acme.example" || len(r.People[0].Cases) != 2 || len(r.People[0].Cases[0].Changes) != 1 {
		t.Errorf("people %+v", r.People)
	}
	same := Report{}
	same.Compare(then, 0, func(c Case) (Outcome, string) { return old[c.ID], "" })
	if same.Different != 0 || same.Cases != 4 || len(same.People)+len(same.Rules)+len(same.Verdicts) != 0 {
		t.Errorf("against itself: %+v", same)
	}
}
