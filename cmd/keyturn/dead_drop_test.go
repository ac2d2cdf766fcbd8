package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// watched has a case of one person, whose actions all begin at once.
func (y *yard) watched(user string, actions ...events.Action) {
	y.t.Helper()
	p := events.Plan{Case: "sample", Class: events.Normal, Event: events.Event{Subject: "user:" + user, Type: "dev.keyturn.user.terminated.v1"}}
	for _, a := range actions {
		a.ID, a.Case, a.Playbook, a.Connection, a.Class = events.ActionID(p.Case, "offboard", a.Step), p.Case, "offboard", "okta-prod", p.Class
		a.Target, a.With = p.Event.Subject, json.RawMessage(`{"user":{"login":"`+user+`"}}`)
		p.Actions = append(p.Actions, a)
	}
	body, err := json.Marshal(p)
	y.must(err)
	for _, rec := range []ledger.Record{
		{Subject: ledger.PlanSubject(p.Case), State: ledger.Planned, Body: body},
		{Subject: ledger.LifecycleSubject(p.Case), State: ledger.Open},
	} {
		_, err := y.ledger.Append(y.t.Context(), ledger.Record{}, rec)
		y.must(err)
	}
	for _, a := range p.Actions {
		y.must(y.bus.PublishAction(y.t.Context(), a))
	}
}

// stands waits until a thing of the case stands so, and gives its record.
func (y *yard) stands(subject string, want ledger.State) ledger.Record {
	y.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-look.C {
		rec, err := y.ledger.Last(y.t.Context(), subject)
		y.must(err)
		if rec.State == want {
			return rec
		}
		if time.Now().After(deadline) {
			y.t.Fatalf("%s is %s, want %s: %s", subject, rec.State, want, rec.Reason)
		}
	}
}

// TestWhatCameBackIsDropped: a person gives up what a re-check found undone. Its case closes, nothing of it waits for a look
// that nobody makes, and the tool tells no more of it than what is true: a case that an earlier version left behind with the
// residual of such an action is closed by a cancellation.
func TestWhatCameBackIsDropped(t *testing.T) {
	t.Parallel() // it waits for a look
	y := newYard(t, func() error { return nil })
	leaver := y.sb.SeedAcme(0).Leaver
	y.employ("worker-1")
	y.watched(leaver.Login, events.Action{Step: "tokens", Do: "okta.revoke_user_tokens", Recheck: []events.Span{events.Span(time.Second)}},
		events.Action{Step: "suspend", Do: "okta.suspend_user"})
	id := events.ActionID("sample", "offboard", "tokens")
	action, life := ledger.ActionSubject("sample", id), ledger.LifecycleSubject("sample")
	y.stands(life, ledger.ClosedWithResidual)
	client := y.sb.Snapshot().Okta.Clients[0].ID
	y.sb.AddRefreshToken(leaver.OktaID, client, y.sb.AuthServers()[0].ID)
	rec := y.stands(action, ledger.Regressed)
	y.stands(life, ledger.NeedsPerson)
	if len(rec.Evidence.Residual) == 0 {
		t.Fatalf("%+v", rec.Evidence)
	}
	y.shows([]string{"needs_person", "tokens is regressed", "advice", "next       keyturn dead redrive " + id}, []string{"residual"})

	out, err := y.tool(t.Context(), "dead", "drop", id, "--yes", "--reason", "it is meant to be", "--as", "lee@acme.example")
	if err != nil || !strings.Contains(out, "dropped") {
		t.Fatalf("%v: %s", err, out)
	}
	y.stands(life, ledger.Closed)
	y.shows([]string{"closed, 1 of 2 actions done, 1 cancelled", "dropped by lee@acme.example: it is meant to be", "cause regressed"},
		[]string{"residual", "advice", "redrive", "re-check"})
	if out, err := y.tool(t.Context(), "dead", "list", "--all"); err != nil || !strings.Contains(out, "no dead letter") {
		t.Errorf("%v: %s", err, out)
	}
	if n := len(y.sb.Snapshot().Okta.TokensOf(leaver.OktaID)); n != 1 {
		t.Errorf("%d tokens are left of what is meant to be", n)
	}

	for _, s := range []ledger.State{ledger.Open, ledger.ClosedWithResidual} { // as an earlier version left it
		last, err := y.ledger.Last(t.Context(), life)
		y.must(err)
		_, err = y.ledger.Append(t.Context(), last, ledger.Record{Subject: life, State: s, Reason: rec.Evidence.Residual[0].What, Body: last.Body})
		y.must(err)
	}
	if out, err := y.tool(t.Context(), "cancel", "sample", "--reason", "it waits for nothing", "--as", "lee@acme.example"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	y.stands(life, ledger.Closed)
	if _, broken, err := y.ledger.Verify(t.Context(), ledger.Everything()); err != nil || len(broken) > 0 {
		t.Errorf("the chain does not hold: %v, %v", broken, err)
	}
}

// shows checks what the tool tells of the case.
func (y *yard) shows(want, not []string) {
	y.t.Helper()
	out, err := y.tool(y.t.Context(), "case", "sample")
	y.must(err)
	for _, text := range want {
		if !strings.Contains(out, text) {
			y.t.Errorf("it does not say %q:\n%s", text, out)
		}
	}
	for _, text := range not {
		if strings.Contains(out, text) {
			y.t.Errorf("it says %q:\n%s", text, out)
		}
	}
}
