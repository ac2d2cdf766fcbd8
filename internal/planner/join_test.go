package planner_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
)

// ids makes identifiers of "kind:value".
func ids(list ...string) map[string]string {
	user := map[string]string{}
	for _, id := range list {
		kind, value, _ := strings.Cut(id, ":")
		user[kind] = value
	}
	return user
}

// The names of one person, and of somebody else.
const (
	mail1   = "email:maria@acme.example"
	number  = "employee_number:n-1"
	okta    = "okta_id:00uMaria"
	login   = "login:maria"
	mail2   = "email:m.smith@acme.example"
	number2 = "employee_number:n-2"
	okta2   = "okta_id:00uOther"
)

// joinedScenarios are those of a person whom events call by several names.
func joinedScenarios() []scenario {
	day := 24 * time.Hour
	return []scenario{
		{"an e-mail, then a number, then both", func(w *world) {
			term := w.called("user.terminated", "1", ids(mail1), w.clock, w.clock.Add(day))
			back := w.called("user.termination_rescinded", "2", ids(number), w.clock.Add(time.Hour), time.Time{})
			both := w.called("user.compromised", "3", ids(number, mail1), w.clock, time.Time{})
			w.send(term)
			w.settle()
			w.send(back)
			w.settle()
			w.want("not known to be one", term.Case(), ledger.Scheduled, ledger.Open)
			w.send(both)
			w.settle()
			w.want("pending before they were joined", term.Case(), cancelled, closed)
			again := w.called("user.terminated", "4", ids(mail1), w.clock.Add(-time.Hour), time.Time{})
			w.send(again)
			w.settle()
			w.want("late, and older than the rescind by number", again.Case(), superseded, closed)
			w.advance(2 * day)
			w.settle()
			w.wantDone()
			w.wantRest()
		}},
		{"joined while both are on their way", func(w *world) {
			term := w.called("user.terminated", "1", ids(mail1), w.clock, w.clock.Add(day))
			later := w.called("user.terminated", "2", ids(okta), w.clock.Add(time.Minute), w.clock.Add(2*day))
			both := w.called("user.terminated", "3", ids(okta, mail1), w.clock.Add(-time.Hour), time.Time{})
			w.send(term, later, both)
			w.settle()
			w.advance(3 * day)
			w.settle()
			w.want("the newest", later.Case(), planned, closed)
			if s := w.state(ledger.PlanSubject(term.Case())); s != superseded {
				w.t.Errorf("the older one: %q", s)
			}
			if s := w.state(ledger.PlanSubject(both.Case())); s == ledger.Scheduled {
				w.t.Errorf("the oldest one: %q", s)
			}
			w.wantRest()
		}},
		{"what was done before they were joined is listed", func(w *world) {
			term := w.called("user.terminated", "1", ids(mail1), w.clock, time.Time{})
			back := w.called("user.rehired", "2", ids(number), w.clock.Add(time.Hour), time.Time{})
			w.send(term, back)
			w.settle()
			both2 := w.called("user.compromised", "3", ids(number, mail1), w.clock, time.Time{})
			w.send(both2)
			w.settle()
			w.want("the event that joined them", both2.Case(), planned, needs)
			if d := w.decision(both2.Case()); len(d.Begun) != 2 || !slices.Equal(d.Joined, []string{number, mail1}) {
				w.t.Errorf("begun %+v, joined %v", d.Begun, d.Joined)
			}
			w.wantDone(both(term.Case())...)
			w.send(w.command("c1", events.Cancel, both2.Case(), "ann"))
			w.settle()
			w.wantRest()
		}},
	}
}

// chainScenarios are those of names that become one person's bit by bit.
func chainScenarios() []scenario {
	day := 24 * time.Hour
	return []scenario{
		{"a chain of names", func(w *world) {
			term := w.called("user.terminated", "1", ids(login), w.clock, w.clock.Add(day))
			w.send(term)
			w.settle()
			for i, pair := range [][]string{{mail1, number}, {okta, number}, {mail1, login}} {
				w.send(w.called("user.compromised", "j"+string(rune('a'+i)), ids(pair...), w.clock, time.Time{}))
				w.settle()
			}
			w.send(w.called("user.termination_rescinded", "2", ids(okta), w.clock.Add(time.Hour), time.Time{}))
			w.settle()
			w.want("termination by login, rescinded by Okta id", term.Case(), cancelled, closed)
			w.advance(2 * day) // what a power cut scheduled again finds that it is cancelled
			w.settle()
			w.wantDone()
			w.wantRest()
		}},
	}
}

// claimedScenarios are those of two people who are called by one name.
func claimedScenarios() []scenario {
	day := 24 * time.Hour
	return []scenario{
		{"a reused e-mail", func(w *world) {
			old := w.called("user.terminated", "1", ids(number, mail1), w.clock, w.clock.Add(day))
			hired := w.called("user.rehired", "2", ids(number2, mail1), w.clock.Add(time.Hour), time.Time{})
			term := w.called("user.terminated", "3", ids(number2), w.clock.Add(time.Hour+time.Minute), w.clock.Add(day))
			back := w.called("user.termination_rescinded", "4", ids(mail1), w.clock.Add(2*time.Hour), time.Time{})
			for _, e := range []events.Event{old, hired, term, back} {
				w.send(e)
				w.settle()
				w.advance(time.Hour)
			}
			w.want("of who had it", old.Case(), ledger.Scheduled, ledger.Open)
			w.want("of who has it", term.Case(), cancelled, closed)
			if d := w.decision(hired.Case()); !slices.Equal(d.Claimed, []string{mail1}) {
				w.t.Errorf("claimed %v", d.Claimed)
			}
			w.advance(day)
			w.settle()
			w.wantDone(both(old.Case())...)
			w.wantRest()
		}},
		{"two Okta ids", func(w *world) {
			term := w.called("user.terminated", "1", ids(okta, number), w.clock, w.clock.Add(day))
			back := w.called("user.rehired", "2", ids(okta2, number), w.clock.Add(time.Hour), time.Time{})
			late := w.called("user.rehired", "3", ids(okta, number), w.clock.Add(-time.Hour), time.Time{})
			for _, e := range []events.Event{term, back, late} {
				w.send(e)
				w.settle()
			}
			w.want("of the first", term.Case(), ledger.Scheduled, ledger.Open)
			w.want("late", late.Case(), superseded, closed)
			byNumber := w.called("user.termination_rescinded", "4", ids(number), w.clock.Add(2*time.Hour), time.Time{})
			w.send(byNumber)
			w.settle()
			w.want("the number goes with the newest", term.Case(), ledger.Scheduled, ledger.Open)
			w.advance(2 * day)
			w.settle()
			w.wantDone(both(term.Case())...)
			w.wantRest()
		}},
	}
}

// apartScenarios are those of two people whom a wrong event made one, until an operator said that they are two.
func apartScenarios() []scenario {
	day := 24 * time.Hour
	apart := func(w *world, id string, names ...string) events.Command {
		var keys []string
		for _, n := range names {
			_, value, _ := strings.Cut(n, ":")
			keys = append(keys, w.keyer.Key("user:"+value))
		}
		return w.command(id, events.Unmerge, planner.UnmergeTarget(keys...), "ann")
	}
	return []scenario{
		{"joined by mistake, and taken apart", func(w *world) {
			hers := w.called("user.terminated", "1", ids(number, mail1), w.clock, w.clock.Add(day))
			his := w.called("user.terminated", "2", ids(login), w.clock.Add(time.Minute), w.clock.Add(2*day))
			wrong := w.called("user.compromised", "3", ids(mail1, login), w.clock, time.Time{})
			for _, m := range []any{hers, his, wrong, apart(w, "c1", login), apart(w, "c1", login), wrong} {
				w.send(m)
				w.settle()
			}
			w.want("hers was lost to his", hers.Case(), superseded, closed)
			w.want("his waits", his.Case(), ledger.Scheduled, ledger.Open)
			if r := w.receipt("c1"); !strings.Contains(r.Outcome, hers.Case()) || strings.Contains(r.Outcome, his.Case()) {
				w.t.Errorf("told: %s", r.Outcome)
			}
			again := w.called("user.compromised", "4", ids(mail1, login), w.clock.Add(time.Hour), time.Time{})
			back := w.called("user.rehired", "5", ids(mail1), w.clock.Add(time.Hour), time.Time{})
			w.send(again, back)
			w.settle()
			w.want("his still waits, whatever comes for her", his.Case(), ledger.Scheduled, ledger.Open)
			if d := w.decision(again.Case()); !slices.Equal(d.Claimed, []string{login}) {
				w.t.Errorf("claimed %v", d.Claimed)
			}
			w.send(w.called("user.termination_rescinded", "6", ids(login), w.clock.Add(2*time.Hour), time.Time{}))
			w.settle()
			w.want("his is taken back by his own name", his.Case(), cancelled, closed)
			w.advance(3 * day)
			w.settle()
			w.wantDone()
			w.wantRest()
		}},
		{"what is nobody's, or all there is, is not taken apart", func(w *world) {
			w.send(w.called("user.compromised", "1", ids(number, mail1), w.clock, time.Time{}),
				w.called("user.compromised", "2", ids(login), w.clock, time.Time{}))
			w.settle()
			w.send(apart(w, "c1", mail1, login), apart(w, "c2", mail1, number), apart(w, "c3", mail2))
			w.settle()
			for id, want := range map[string]string{"c1": "these names are not joined", "c2": "the person has no other name", "c3": "these names are not joined"} {
				if r := w.receipt(id); !strings.HasPrefix(r.Outcome, want) {
					w.t.Errorf("%s: %s", id, r.Outcome)
				}
			}
			w.wantRest()
		}},
	}
}

// A mailbox that many share makes nobody one, and neither does a feed that gives one person ever new names.
func TestSharedMailboxJoinsNobody(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	desk, day := "email:desk@acme.example", 24*time.Hour
	var all []events.Event
	for i := range 6 {
		at := w.clock.Add(time.Duration(i) * time.Minute)
		all = append(all, w.called("user.terminated", fmt.Sprint("t", i), ids(desk, fmt.Sprint("login:p", i)), at, w.clock.Add(day)))
		w.send(all[i])
		w.settle()
		w.advance(time.Minute)
	}
	w.send(w.called("user.rehired", "back", ids(desk, "login:p3"), w.clock, time.Time{}),
		w.called("user.rehired", "late", ids(desk, "login:p1"), all[1].Time.Add(time.Second), time.Time{}))
	w.settle()
	for i, e := range all {
		want := ledger.Scheduled
		if i == 3 || i == 1 {
			want = cancelled
		}
		if got := w.state(ledger.PlanSubject(e.Case())); got != want {
			t.Errorf("p%d: %q, want %q", i, got, want)
		}
	}
	who := func(names ...string) string {
		return w.identity(w.called("user.compromised", "x", ids(names...), w.clock, time.Time{})).Key
	}
	if who(desk, "login:p2") != who("login:p2") || who("login:p2") == who("login:p3") {
		t.Error("whoever shares a mailbox is counted as somebody else")
	}
	for i := range 100 {
		w.send(w.called("user.compromised", fmt.Sprint("n", i), ids(number, fmt.Sprintf("email:m%d@acme.example", i)), w.clock, time.Time{}))
	}
	w.settle()
	if n := len(w.identity(w.called("user.compromised", "x", ids(number), w.clock, time.Time{})).Keys); n > 40 {
		t.Errorf("one person has %d names", n)
	}
}

func TestOneKeyForOnePerson(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	for i, list := range [][]string{{mail1}, {number}, {login, mail1}, {okta, number}} {
		w.send(w.called("user.compromised", string(rune('a'+i)), ids(list...), w.clock, time.Time{}))
	}
	w.settle()
	w.send(w.called("user.compromised", "x", ids(number, login), w.clock, time.Time{}))
	w.settle()
	who := map[string]bool{}
	for _, id := range []string{mail1, number, login, okta} {
		key := w.identity(w.called("user.compromised", "any", ids(id), w.clock, time.Time{}))
		who[key.Key] = true
		for _, other := range []string{mail1, number, login, okta} {
			_, value, _ := strings.Cut(other, ":")
			if !slices.Contains(key.Keys, w.keyer.Key("user:"+value)) {
				t.Errorf("%s: %s is not among %v", id, other, key.Keys)
			}
		}
	}
	if len(who) != 1 {
		t.Errorf("one person has the keys %v", who)
	}
	if key := w.identity(w.called("user.compromised", "any", ids(mail2), w.clock, time.Time{})); who[key.Key] {
		t.Error("somebody else has the same key")
	}
}

// A joint is a record that says by whom, when and by which event.
func TestJointsAreRecords(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	e := w.called("user.compromised", "1", ids(number, mail1), w.clock, time.Time{})
	w.send(e)
	w.settle()
	key := w.identity(e).Key
	rec := w.last(ledger.OrderSubject(key))
	var o struct {
		Joins []struct {
			Case, Event string
			Time        time.Time
			Names       []string
		}
	}
	if err := json.Unmarshal(rec.Body, &o); err != nil {
		t.Fatal(err)
	}
	if rec.By != "planner-1" || len(o.Joins) != 1 || o.Joins[0].Case != e.Case() || o.Joins[0].Event != "user.compromised" ||
		!o.Joins[0].Time.Equal(w.clock) || !slices.Equal(o.Joins[0].Names, []string{number, mail1}) {
		t.Errorf("%s by %s", rec.Body, rec.By)
	}
}

// TestEveryNameIsAnothers: an event all of whose names are those of people who have other ones of the same kind, as a login
// that is the e-mail of one with another login, is about whom its principal calls: it is planned, takes back what stands there,
// and somebody is told.
func TestEveryNameIsAnothers(t *testing.T) {
	for _, names := range [][2][]string{
		{{"login:maria.garcia", mail1}, {"login:maria@acme.example"}},
		{{"login:maria.garcia", "asa_username:maria"}, {"login:maria"}},
		{{"employee_number:4217", "login:maria"}, {"login:4217"}},
	} {
		w := newWorld(t)
		var b bytes.Buffer
		p := w.planner()
		p.Log = slog.New(slog.NewTextHandler(&b, nil))
		tell := func(kind, id string, names []string, at, effective time.Time) string {
			e := w.overWire(w.called(kind, id, ids(names...), at, effective))
			if out := p.Event(t.Context(), e, w.clock); out.Verdict != events.Done {
				t.Fatalf("%s: %+v", kind, out)
			}
			w.settle()
			return e.Case()
		}
		term := tell("user.terminated", "1", names[0], w.clock, w.clock.Add(24*time.Hour))
		seen := tell("user.compromised", "2", names[1], w.clock, time.Time{})
		w.want("for whom it names", seen, planned, closed)
		if !strings.Contains(b.String(), "two people have one name") {
			t.Errorf("nobody was told: %s", b.String())
		}
		tell("user.termination_rescinded", "3", names[1], w.clock.Add(time.Minute), time.Time{})
		w.want("taken back", term, cancelled, closed)
	}
}

// TestWhatHadBegunIsListedWhoeverDies: a termination has begun under a login; another one joins the login to an e-mail, a
// rescind of both dies anywhere, and a newer one that knows the e-mail alone is planned meanwhile. What had begun is listed
// for a person in the end, in the case that found out who is who if in no other.
func TestWhatHadBegunIsListedWhoeverDies(t *testing.T) {
	for joins := range 6 {
		for takes := range 16 {
			w := newWorld(t)
			first := w.called("user.terminated", "1", ids(login, number), w.clock.Add(-4*time.Hour), time.Time{})
			both := w.called("user.terminated", "2", ids(login, mail1), w.clock.Add(-3*time.Hour), time.Time{})
			back := w.called("user.termination_rescinded", "3", ids(login, mail1), w.clock.Add(-2*time.Hour), time.Time{})
			newest := w.called("user.termination_rescinded", "4", ids(mail1), w.clock.Add(-time.Hour), time.Time{})
			w.send(first)
			w.plan()
			w.work()
			var died []*mail
			for _, one := range []struct {
				event events.Event
				dies  int
			}{{both, joins}, {back, takes}} {
				w.faults[w.step+one.dies] = behind
				w.send(one.event)
				w.deliver()
				clear(w.faults)
				died, w.inbox = append(died, w.inbox...), nil
			}
			w.send(newest)
			w.plan()
			w.inbox = died
			w.settle()
			listed := 0
			for _, e := range []events.Event{both, back, newest} {
				for _, b := range w.decision(e.Case()).Begun {
					if b.Action == action(first.Case(), "suspend") && w.state(ledger.LifecycleSubject(e.Case())) == needs {
						listed++
					}
				}
			}
			if listed == 0 || w.done[action(first.Case(), "tokens")] > 0 {
				t.Errorf("died after %d and %d writes: listed %d times, done %v", joins, takes, listed, w.done)
			}
		}
	}
}

// TestWhoFindsOutListsForAPerson: a termination by login is done, and a rescind by e-mail knows nothing of it; an older event that
// joins the two is superseded, and it alone can say what was done to somebody who stays. Its case waits for a person's word.
func TestWhoFindsOutListsForAPerson(t *testing.T) {
	for _, name := range []string{"user.termination_rescinded", "user.terminated"} {
		for _, verb := range []events.Verb{events.Cancel, events.Withdraw} {
			w := newWorld(t)
			w.armed = false
			w.tellsOf("user.terminated", "1", login, 0, time.Time{})
			newest, line := w.tellsOf("user.termination_rescinded", "2", mail1, 2*time.Hour, time.Time{})
			if !strings.Contains(line, "it takes nothing back") {
				t.Errorf("told %s", line)
			}
			found, line := w.tellsOf(name, "3", login+" "+mail1, time.Hour, time.Time{})
			if !strings.Contains(line, "2 actions of older events had begun") || strings.Count(line, "had begun") != 2 { // the alert, and the reason
				t.Errorf("told %s", line)
			}
			w.want("the newest", newest, planned, closed)
			w.want("who found out", found, superseded, needs)
			if n := len(w.decision(found).Begun); n != 2 {
				t.Errorf("%d are listed", n)
			}
			w.send(w.command("x1", verb, found, "ann"))
			w.settle()
			w.want("seen to", found, superseded, closed)
			w.tellsOf(name, "3", login+" "+mail1, time.Hour, time.Time{})
			w.want("sent again", found, superseded, closed)
			w.wantRest()
		}
	}
}
