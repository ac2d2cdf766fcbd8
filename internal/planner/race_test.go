package planner_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
)

// meeting is a message that is worked off while another planner works off a second one.
type meeting struct {
	name  string
	setup func(w *world) (first, second any)
	check func(w *world)
}

// Another planner works off the second message between any two writes of the first; both outcomes of the race must be
// right.
func TestMeetAtEveryWrite(t *testing.T) {
	for _, m := range meetings() {
		t.Run(m.name, func(t *testing.T) {
			for at := 0; ; at++ {
				w := newWorld(t)
				w.armed = false
				first, second := m.setup(w)
				w.armed, w.meetAt = true, at
				w.meet = func() {
					if lane, ok := second.(func()); ok {
						lane()
						return
					}
					w.send(second)
					w.deliverLast()
				}
				w.send(first)
				w.deliver()
				if w.meet != nil {
					return // the first was through before they could meet
				}
				w.settle()
				m.check(w)
				w.wantRest()
				if t.Failed() {
					t.Fatalf("met at write %d of %v", at, w.steps)
				}
			}
		})
	}
}

// deliverLast hands over the message that came last.
func (w *world) deliverLast() {
	m := w.inbox[len(w.inbox)-1]
	w.inbox = w.inbox[:len(w.inbox)-1]
	if !w.handle(m) {
		w.inbox = append(w.inbox, m)
	}
}

func meetings() []meeting {
	return slices.Concat(personMeetings(), startMeetings(), joinedMeetings(), commandMeetings())
}

// joinedMeetings are those of an event that joins two people's names.
func joinedMeetings() []meeting {
	day := 24 * time.Hour
	byMail := func(w *world) events.Event {
		return w.called("user.terminated", "1", ids(mail1), begin, begin.Add(day))
	}
	byNumber := func(w *world) events.Event {
		return w.called("user.termination_rescinded", "2", ids(number), begin.Add(time.Hour), time.Time{})
	}
	joint := func(w *world) events.Event {
		return w.called("user.compromised", "3", ids(number, mail1), begin, time.Time{})
	}
	turned := func(w *world) events.Event {
		return w.called("user.compromised", "4", ids(mail1, number), begin, time.Time{})
	}
	taken := func(w *world) {
		w.advance(2 * day)
		w.settle()
		w.wantDone()
		if s := w.state(ledger.PlanSubject(byMail(w).Case())); s != cancelled && s != superseded {
			w.t.Errorf("termination %q", s)
		}
	}
	return []meeting{
		{"joint meets termination", func(w *world) (any, any) {
			w.send(byNumber(w))
			w.settle()
			return joint(w), byMail(w)
		}, taken},
		{"termination meets joint", func(w *world) (any, any) {
			w.send(byNumber(w))
			w.settle()
			return byMail(w), joint(w)
		}, taken},
		{"rescind meets joint", func(w *world) (any, any) {
			w.send(byMail(w))
			w.settle()
			return byNumber(w), joint(w)
		}, taken},
		{"joint meets rescind", func(w *world) (any, any) {
			w.send(byMail(w))
			w.settle()
			return joint(w), byNumber(w)
		}, taken},
		{"joint meets joint", func(w *world) (any, any) {
			w.send(byMail(w), byNumber(w))
			w.settle()
			return joint(w), turned(w)
		}, taken},
		{"taking apart meets an event", func(w *world) (any, any) {
			w.send(joint(w), byMail(w))
			w.settle()
			return w.command("c1", events.Unmerge, planner.UnmergeTarget(w.keyer.Key("user:n-1")), "ann"), byNumber(w)
		}, func(w *world) {
			w.advance(2 * day)
			w.settle()
			e := byMail(w)
			if s := w.state(ledger.PlanSubject(e.Case())); s == planned {
				w.wantDone(both(e.Case())...)
			} else {
				w.wantDone()
			}
		}},
	}
}

// term is a termination of maria, rehire the end of it. gone checks that the rehire came last and lists what was done.
func term(w *world, id string, at, effective time.Duration) events.Event {
	var when time.Time
	if effective > 0 {
		when = begin.Add(effective)
	}
	return w.happening("user.terminated", id, "maria", begin.Add(at), when)
}

func rehire(w *world, at time.Duration) events.Event {
	return w.happening("user.rehired", "back", "maria", begin.Add(at), time.Time{})
}

func gone(w *world) {
	e, r := term(w, "1", 0, 0), rehire(w, time.Hour)
	if n := len(w.decision(r.Case()).Begun); n != len(w.done) {
		w.t.Errorf("listed %d, done %v", n, w.done)
	}
	if s := w.state(ledger.LifecycleSubject(e.Case())); s != closed {
		w.t.Errorf("termination %q", s)
	}
}

// personMeetings are those of two events.
func personMeetings() []meeting {
	return []meeting{
		{"termination meets rehire", func(w *world) (any, any) { return term(w, "1", 0, 0), rehire(w, time.Hour) }, gone},
		{"rehire meets termination", func(w *world) (any, any) { return rehire(w, time.Hour), term(w, "1", 0, 0) }, gone},
		{"termination meets itself", func(w *world) (any, any) { e := term(w, "1", 0, 0); return e, e }, func(w *world) {
			w.wantDone(both(term(w, "1", 0, 0).Case())...)
		}},
		{"termination meets another date", func(w *world) (any, any) {
			return term(w, "1", 0, 0), term(w, "2", time.Hour, 48*time.Hour)
		}, func(w *world) {
			w.wantDone()
			w.advance(50 * time.Hour)
			w.settle()
			w.wantDone(both(term(w, "2", time.Hour, 48*time.Hour).Case())...)
		}},
		{"due meets rehire", func(w *world) (any, any) {
			w.send(term(w, "1", 0, time.Hour))
			w.settle()
			w.advance(2 * time.Hour)
			due := w.inbox[0].event
			w.inbox = nil
			return &mail{kind: "due", event: due, stored: w.clock}, rehire(w, time.Hour)
		}, func(w *world) {
			w.wantDone()
			if s := w.state(ledger.LifecycleSubject(term(w, "1", 0, time.Hour).Case())); s != closed {
				w.t.Errorf("termination %q", s)
			}
		}},
		{"content meets other content", func(w *world) (any, any) {
			return term(w, "1", 0, 0), w.happening("user.terminated", "1", "peter", begin, time.Time{})
		}, func(w *world) {
			if len(w.now.letters) != 1 || len(w.done) != 2 {
				w.t.Errorf("letters %v, done %v", w.now.letters, w.done)
			}
			for id := range w.now.letters {
				w.send(w.command("c1", events.Drop, id, "ann"))
			}
			w.settle()
		}},
		{"the last place of a brake", func(w *world) (any, any) {
			w.rules.brakes = []playbook.Brake{{Name: "terminations", Max: 1, Per: time.Hour}}
			return term(w, "1", 0, 0), w.happening("user.terminated", "2", "peter", begin, time.Time{})
		}, func(w *world) {
			w.armed = false
			states := map[ledger.State]int{}
			for _, e := range []events.Event{term(w, "1", 0, 0), w.happening("user.terminated", "2", "peter", begin, time.Time{})} {
				states[w.state(ledger.PlanSubject(e.Case()))]++
			}
			if states[planned] != 1 || states[ledger.Held] != 1 {
				w.t.Errorf("plans: %v", states)
			}
		}},
	}
}

// startMeetings are those of a cancellation with a lane that begins what is cancelled.
func startMeetings() []meeting {
	return []meeting{
		{"rehire meets a start", func(w *world) (any, any) {
			w.send(term(w, "1", 0, 0))
			w.plan()
			return rehire(w, time.Hour), func() { w.work() }
		}, gone},
		{"cancellation meets a start", func(w *world) (any, any) {
			e := term(w, "1", 0, 0)
			w.send(e)
			w.plan()
			return w.command("c1", events.Cancel, e.Case(), "ann"), func() { w.work() }
		}, func(w *world) {
			e := term(w, "1", 0, 0)
			for _, id := range both(e.Case()) {
				s := w.state(ledger.ActionSubject(e.Case(), id))
				if w.done[id] > 0 && s != ledger.Verified || w.done[id] == 0 && s != cancelled {
					w.t.Errorf("%s: %q, done %d times", id, s, w.done[id])
				}
			}
			if want := fmt.Sprintf("begun or done before: %d", len(w.done)); !strings.HasSuffix(w.receipt("c1").Outcome, want) {
				w.t.Errorf("told %q, done %v", w.receipt("c1").Outcome, w.done)
			}
		}},
	}
}

// commandMeetings are those of a command with another message.
func commandMeetings() []meeting {
	return []meeting{
		{"approval meets denial", func(w *world) (any, any) {
			w.rules.approvers = 1
			e := term(w, "1", 0, 0)
			w.send(e)
			w.settle()
			return w.command("c1", events.Approve, e.Case(), "ann"), w.command("c2", events.Deny, e.Case(), "bob")
		}, func(w *world) {
			e := term(w, "1", 0, 0)
			switch s := w.state(ledger.PlanSubject(e.Case())); s {
			case planned:
				w.wantDone(both(e.Case())...)
			case cancelled:
				w.wantDone()
			default:
				w.t.Errorf("plan %q", s)
			}
			w.want("decided", e.Case(), w.state(ledger.PlanSubject(e.Case())), closed)
		}},
		{"approval meets approval", func(w *world) (any, any) {
			w.rules.approvers = 2
			e := term(w, "1", 0, 0)
			w.send(e)
			w.settle()
			return w.command("c1", events.Approve, e.Case(), "ann"), w.command("c2", events.Approve, e.Case(), "bob")
		}, func(w *world) {
			e := term(w, "1", 0, 0)
			w.want("approved", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
		}},
		{"approval meets rehire", func(w *world) (any, any) {
			w.rules.approvers = 1
			e := term(w, "1", 0, 0)
			w.send(e)
			w.settle()
			return w.command("c1", events.Approve, e.Case(), "ann"), rehire(w, time.Hour)
		}, gone},
		{"redrive meets redrive", func(w *world) (any, any) {
			e := term(w, "1", 0, 0)
			id := action(e.Case(), "suspend")
			w.dies[id] = 1
			w.send(e)
			w.settle()
			return w.command("c1", events.RedriveVerb, id, "ann"), w.command("c2", events.RedriveVerb, id, "bob")
		}, func(w *world) {
			e := term(w, "1", 0, 0)
			w.want("redriven", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
		}},
		{"redrive meets rehire", func(w *world) (any, any) {
			e := term(w, "1", 0, 0)
			w.dies[action(e.Case(), "suspend")] = 1
			w.send(e)
			w.settle()
			return w.command("c1", events.RedriveVerb, action(e.Case(), "suspend"), "ann"), rehire(w, time.Hour)
		}, gone},
	}
}

// Two planners at once, many events each, over one brake and one person: exactly what the brake lets go goes.
func TestBrakeIsExactOverPlanners(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.brakes = []playbook.Brake{{Name: "terminations", Max: 7, Per: time.Hour}}
	var all []events.Event
	for i := range 20 {
		all = append(all, w.happening("user.terminated", fmt.Sprint(i), fmt.Sprintf("p%d", i), begin, time.Time{}))
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for _, e := range all {
				for w.planner().Event(context.Background(), e, begin).Verdict != events.Done {
				}
			}
		})
	}
	wg.Wait()
	states := map[ledger.State]int{}
	for _, e := range all {
		states[w.state(ledger.PlanSubject(e.Case()))]++
	}
	if states[planned] != 7 || states[ledger.Held] != 13 {
		t.Errorf("plans: %v", states)
	}
}
