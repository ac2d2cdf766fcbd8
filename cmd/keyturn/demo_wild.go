package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// wild is what became of the feed that went wrong: everybody in one delivery, more than the brake lets pass.
type wild struct {
	scenes []scene // one for each person
	held   int     // how many the brake held
	resent bool    // the same delivery was answered with the same cases
}

// runWild posts the feed, waits until the brake has done its part, approves what it held, and waits for the rest.
func (st *stage) runWild(ctx context.Context) error {
	people := st.acme.Staff[:wildPeople]
	feed := scene{source: "hris", id: "hris-export", body: wildFeed(people, st.began)}
	cases, err := st.post(ctx, feed)
	if err != nil {
		return err
	}
	st.enlist(people, cases)
	again, err := st.post(ctx, feed)
	if err != nil {
		return err
	}
	st.wild.resent = slices.Equal(again, cases)
	for _, id := range cases {
		if err := st.decided(ctx, id); err != nil {
			return err
		}
	}
	for _, id := range cases {
		rec, err := st.ledger.Last(ctx, ledger.PlanSubject(id))
		if err != nil {
			return err
		}
		if rec.State != ledger.Held {
			continue
		}
		st.wild.held++
		err = st.machine.bus.PublishCommand(ctx, events.Command{
			ID: uuid.NewString(), Verb: events.Approve, Target: id, Actor: "on-call@acme.example",
			Reason: "asked HR: these people did leave", Time: st.now().UTC(),
		})
		if err != nil {
			return err
		}
	}
	return st.rest(ctx, st.wild.scenes)
}

// enlist makes a scene of each person in the feed, so that they are shown with the others.
func (st *stage) enlist(people []sandbox.Person, cases []string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for i, p := range people {
		s := scene{title: "a feed gone wrong: " + p.Login, source: "hris", id: "hris-" + p.EmployeeNumber, want: "closed_with_residual"}
		st.wild.scenes = append(st.wild.scenes, s)
		st.cases[s.id] = cases[i]
	}
}

// onStage are the scenes that were sent so far.
func (st *stage) onStage() []scene {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Concat(st.scenes, st.wild.scenes)
}

// wildRow is the feed in the final table: what all its cases took together.
func (st *stage) wildRow(ctx context.Context) ([]any, error) {
	var longest *int64
	calls, throttled, tries := 0, 0, 0
	for _, sc := range st.wild.scenes {
		v, err := st.view.Case(ctx, st.cases[sc.id])
		if err != nil {
			return nil, err
		}
		if v.VerifiedMS != nil && (longest == nil || *v.VerifiedMS > *longest) {
			longest = v.VerifiedMS
		}
		for _, a := range v.Actions {
			tries += a.Tries
		}
		c := st.meter.count(v.ID)
		calls, throttled = calls+c.calls, throttled+c.throttled
	}
	title := fmt.Sprintf("a feed gone wrong (%d people)", len(st.wild.scenes))
	ended := fmt.Sprintf("%d passed, %d held, approved", len(st.wild.scenes)-st.wild.held, st.wild.held)
	return []any{title, millis(longest), calls, throttled, tries, ended, "-"}, nil
}
