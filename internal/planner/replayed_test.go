package planner_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
	"keyturn/internal/replay"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/stream/streamtest"
)

// past is a history that is made up as it goes on, and what a replay will find of it in EVENTS.
type past struct {
	*world
	draw   *rapid.T
	sent   []replay.Message
	events []events.Event
	came   map[string]int // by case: which of the events
	said   int            // commands
}

// forms are the names by which somebody may be called: two people, of whom each has some of their own, share a mailbox.
var forms = []map[string]string{
	{"email": "p%d@acme.example", "employee_number": "n-%d"},
	{"email": "p%d@acme.example"},
	{"employee_number": "n-%d"},
	{"login": "p%d"},
	{"login": "p%d", "email": "p%d@acme.example"},
	{"okta_id": "00u%d", "login": "p%d"},
	{"email": "desk@acme.example", "employee_number": "n-%d"},
	{"email": "desk@acme.example"},
}

// arm draws the guards and playbooks of a history.
func (p *past) arm() {
	r := p.rules
	r.steps["user.compromised"] = []string{"tokens"}
	on := func(what string) bool { return rapid.IntRange(0, 2).Draw(p.draw, what) == 0 }
	if on("nothing is done for a termination") {
		r.steps["user.terminated"] = nil
	}
	if on("something is done for a rehire") {
		r.steps["user.rehired"] = []string{"restore"}
	}
	r.back = rapid.Bool().Draw(p.draw, "guards before what takes back")
	for i := range rapid.IntRange(0, 2).Draw(p.draw, "brakes") {
		r.brakes = append(r.brakes, planner.Brake{Name: fmt.Sprint("b", i), Max: rapid.IntRange(0, 4).Draw(p.draw, "max"),
			Per: time.Duration(rapid.IntRange(1, 4).Draw(p.draw, "per")) * 20 * time.Minute})
	}
	if on("confirmed") {
		rule := playbook.Confirmation{Within: time.Duration(rapid.IntRange(1, 4).Draw(p.draw, "within")) * 20 * time.Minute}
		if on("by one source") {
			rule.Sources = []string{"siem"}
		}
		r.confirm = append(r.confirm, rule)
	}
	if on("approved") {
		r.hold(1)
		if on("until") {
			r.expires, r.proceed = 25*time.Minute, rapid.Bool().Draw(p.draw, "proceed")
		}
	}
	if on("protected") {
		r.protected["user:n-1"] = true
	}
}

// next draws the next event.
func (p *past) next() events.Event {
	names := []string{"user.terminated", "user.terminated", "user.terminated", "user.compromised", "user.rehired", "user.termination_rescinded"}
	name := rapid.SampledFrom(names).Draw(p.draw, "event")
	who := map[string]string{}
	n := rapid.IntRange(0, 3).Draw(p.draw, "person")
	for kind, form := range rapid.SampledFrom(forms).Draw(p.draw, "called") {
		if who[kind] = form; form != "desk@acme.example" {
			who[kind] = fmt.Sprintf(form, n)
		}
	}
	effective := time.Time{}
	if name == "user.terminated" && rapid.IntRange(0, 2).Draw(p.draw, "dated") == 0 {
		effective = p.clock.Add(time.Duration(rapid.IntRange(-10, 90).Draw(p.draw, "ahead"))*time.Minute + 30*time.Second)
	}
	late := time.Duration(rapid.SampledFrom([]int{0, 0, 0, 15, 40, -3, -30}).Draw(p.draw, "late")) * time.Minute
	e := p.called(name, fmt.Sprint(len(p.events)), who, p.clock.Add(-late), effective)
	if playbook.TakesBack(e) && rapid.IntRange(0, 2).Draw(p.draw, "later") == 0 {
		e.EffectiveAt = p.clock.Add(40*time.Minute + 30*time.Second)
	}
	if rapid.IntRange(0, 5).Draw(p.draw, "raised") == 0 {
		e.Class = events.Urgent
	}
	e.Scope = rapid.SampledFrom([]string{"hr-relay", "siem", "desk"}).Draw(p.draw, "source")
	return p.overWire(e)
}

// happen lets one thing happen: an event, one that came before, or what a person says.
func (p *past) happen() {
	kind := rapid.IntRange(0, 9).Draw(p.draw, "what")
	switch {
	case kind < 7 || len(p.events) == 0:
		e := p.next()
		p.came[e.Case()] = len(p.events)
		p.events = append(p.events, e)
		p.store(e)
	case kind == 7:
		p.store(rapid.SampledFrom(p.events).Draw(p.draw, "again"))
	default:
		p.said++
		id := rapid.SampledFrom(p.events).Draw(p.draw, "whose").Case()
		verb := rapid.SampledFrom([]events.Verb{events.Approve, events.Approve, events.Deny, events.Cancel, events.RedriveVerb}).Draw(p.draw, "verb")
		if letters := slices.Sorted(maps.Keys(p.now.letters)); verb == events.RedriveVerb && len(letters) > 0 {
			id = rapid.SampledFrom(letters).Draw(p.draw, "letter")
		}
		p.send(p.command(fmt.Sprint("c", p.said), verb, id, "ann"))
	}
	p.plan()
}

// store sends an event, and keeps it for the replay.
func (p *past) store(e events.Event) {
	wire, err := events.Marshal(e)
	if err != nil {
		p.draw.Fatal(err)
	}
	p.sent = append(p.sent, replay.Message{Data: wire, Stored: p.clock})
	p.send(e)
}

// wait lets time go by, and what is due come when it is.
func (p *past) wait(d time.Duration) {
	end := p.clock.Add(d)
	for {
		var first []events.Event
		for _, e := range p.now.scheduled {
			if at := e.EffectiveAt; !at.After(end) {
				first = append(first, e)
			}
		}
		if len(first) == 0 {
			p.clock = end
			return
		}
		slices.SortFunc(first, func(a, b events.Event) int {
			return cmp.Or(a.EffectiveAt.Compare(b.EffectiveAt), cmp.Compare(p.came[a.Case()], p.came[b.Case()]))
		})
		if at := first[0].EffectiveAt; at.After(p.clock) {
			p.clock = at
		}
		for _, e := range first {
			if !e.EffectiveAt.After(p.clock) {
				delete(p.now.scheduled, e.Case())
				delete(p.disk.scheduled, e.Case())
				p.inbox = append(p.inbox, &mail{kind: "due", event: e, stored: p.clock})
			}
		}
		p.plan()
	}
}

// replayed gives how a replay of what was sent differs from what the ledger says.
func (p *past) replayed() replay.Report {
	ctx := context.Background()
	plans := replay.NewPlans()
	err := p.ledger().Range(ctx, ledger.AllPlans(), time.Time{}, func(r ledger.Record) error {
		return plans.Add(ledger.CaseOf(r.Subject), r.Time, string(r.State), r.Reason, r.Body)
	})
	if err != nil {
		p.draw.Fatal(err)
	}
	h, err := replay.Play(ctx, []replay.Rules{p.rules}, p.clock, func(_ context.Context, hand func(replay.Message) error) error {
		for _, m := range append(p.sent, plans.Anew()...) {
			if err := hand(m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		p.draw.Fatal(err)
	}
	past := func(c replay.Case) replay.Past { p, _ := plans.Of(c.ID); return p }
	h.Count(nil, past, p.clock, p.keyer.Key)
	var r replay.Report
	r.Compare(h, 0, func(c replay.Case) (replay.Outcome, string) {
		past := past(c)
		if apart := past.Apart(); apart != "" {
			if got := string(p.state(ledger.PlanSubject(c.ID))); apart != got && apart != "in doubt" {
				p.draw.Errorf("case %s is %q and set apart as %q", c.ID, got, apart)
			}
			return replay.Outcome{}, apart
		}
		return *past.Outcome, ""
	})
	return r
}

// TestReplayAgreesWithThePlanner: whatever comes, in whichever order, under whichever names and guards, and whatever people
// say to it, a replay by the same rules finds what the planner decided, or sets it apart as what the planner made of it.
func TestReplayAgreesWithThePlanner(t *testing.T) {
	compared, apart, n := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		p := &past{world: newWorld(t), draw: rt, came: map[string]int{}}
		p.armed = false
		if n++; n%40 == 20 && n < 100 { // some of them over a broker
			p.records = streamtest.Bus(t, embedded.Options{}).Log()
		}
		p.arm()
		for range rapid.IntRange(1, 14).Draw(rt, "happenings") {
			p.happen()
			p.wait(0) // what was woken
			p.wait(time.Duration(rapid.SampledFrom([]int{1, 1, 1, 11, 31}).Draw(rt, "pause")) * time.Minute)
		}
		r := p.replayed()
		compared += r.Cases
		for _, n := range r.Apart {
			apart += n
		}
		if r.Different > 0 {
			rt.Errorf("%d of %d differ: %+v, apart %v", r.Different, r.Cases, r.Verdicts, r.Apart)
			p.print(r)
		}
	})
	if compared == 0 || apart == 0 {
		t.Errorf("%d cases were compared, %d set apart", compared, apart)
	}
}

// print tells a history.
func (p *past) print(r replay.Report) {
	rules := p.rules
	p.draw.Logf("back %v, approvers %d expires %v proceed %v, brakes %+v, confirm %+v, protected %v, steps %v", rules.back, rules.approvers,
		rules.expires, rules.proceed, rules.brakes, rules.confirm, rules.protected, rules.steps)
	for i, e := range p.events {
		p.draw.Logf("%d %s %s of %s, time %s, effective %s: %s", i, e.Name(), e.Case()[:5], e.Scope, e.Time.Format("15:04:05"), e.EffectiveAt.Format("15:04:05"), e.Data)
	}
	_ = p.ledger().Range(context.Background(), ledger.AllPlans(), time.Time{}, func(rec ledger.Record) error {
		p.draw.Logf("%s %s %s: %s", rec.Time.Format("15:04:05"), ledger.CaseOf(rec.Subject)[:5], rec.State, rec.Reason)
		return nil
	})
	for _, who := range r.People {
		for _, c := range who.Cases {
			p.draw.Logf("%s was %s, is %s: %s %+v", c.Case[:5], c.Then, c.Now, c.Why, c.Changes)
		}
	}
}
