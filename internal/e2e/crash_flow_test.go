package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// flow is a way from an event to its end.
type flow struct {
	name string
	cast func(tr *trial)                            // makes the people and apps, the events, and what must happen
	play func(ctx context.Context, tr *trial) error // what people do before it can end; nil = nothing
}

// flows are all of them.
func flows() []flow {
	return []flow{
		{name: "terminate", cast: castTermination},
		{name: "onboard", cast: castOnboarding},
		{name: "held, then approved by two", cast: castLock, play: playApproval},
		{name: "dead, then redriven", cast: castLoss, play: playRedrive},
		{name: "scheduled, then due", cast: castDated},
	}
}

// twins are two cases at once of whom only one may be.
func twins() []flow {
	return []flow{
		{name: "one person terminated twice at once", cast: func(tr *trial) {
			castTermination(tr)
			tr.event("user.terminated", map[string]any{"user": tr.user(), "reason": "said twice"})
		}},
		{name: "one app onboarded twice at once", cast: func(tr *trial) {
			castOnboarding(tr)
			tr.event("app.onboarded", map[string]any{"app": tr.request(), "reason": "said twice"})
		}},
	}
}

// user is the person of the trial as events name them.
func (tr *trial) user() map[string]any {
	return map[string]any{"okta_id": tr.oktaID, "login": tr.login(), "asa_username": tr.asaName()}
}

func (tr *trial) login() string   { return tr.asaName() + "@acme.example" }
func (tr *trial) asaName() string { return fmt.Sprintf("p%06d", tr.n) }

// hire makes the person of the trial, with so many sessions, and names them.
func (tr *trial) hire(sessions int) (ended []string) {
	tr.oktaID = tr.sb.AddUser(sandbox.UserSpec{Login: tr.login(), FirstName: "Sam", LastName: tr.asaName(), RememberedDevices: 1})
	tr.sb.AddASAUser(sandbox.ASAUserSpec{Name: tr.asaName(), Email: tr.login()})
	for range sessions {
		ended = append(ended, "okta.session.ended "+tr.sb.AddSession(tr.oktaID))
	}
	for _, id := range []events.Identifier{{Kind: events.OktaID, Value: tr.oktaID}, {Kind: events.Login, Value: tr.login()}, {Kind: events.ASAUsername, Value: tr.asaName()}} {
		id, _ := events.NewIdentifier(id.Kind, id.Value)
		tr.name(tr.keyer.Key(id.Principal()), "key")
	}
	tr.name(tr.oktaID, "user")
	tr.name(tr.asaName(), "name")
	return ended
}

// grant gives the person an OAuth client of their own with a refresh token and a grant.
func (tr *trial) grant(word string) (revoked []string) {
	client := tr.sb.AddOAuthClient(sandbox.OAuthClientSpec{Name: word + " of " + tr.asaName()})
	tr.name(client, word)
	return []string{
		"okta.token.revoked " + tr.sb.AddRefreshToken(tr.oktaID, client, sandbox.DefaultServer),
		"okta.grant.revoked " + tr.sb.AddGrant(tr.oktaID, client, sandbox.DefaultServer, "offline_access"),
	}
}

// issue gives the person a device.
func (tr *trial) issue(word, state string) (id, deleted string) {
	id = tr.sb.AddASAClient(sandbox.ASAClientSpec{UserName: tr.asaName(), Hostname: word, State: state})
	tr.name(id, word)
	return id, "asa.client.deleted " + id
}

// castTermination: someone leaves.
func castTermination(tr *trial) {
	tr.want = append(tr.hire(2), tr.grant("wiki")...)
	_, laptop := tr.issue("laptop", sandbox.ASAActive)
	_, tablet := tr.issue("tablet", sandbox.ASAPending)
	tr.want = append(tr.want, laptop, tablet, "okta.user.suspended "+tr.oktaID, "okta.devices.forgotten "+tr.oktaID)
	tr.event("user.terminated", map[string]any{"user": tr.user(), "reason": "left the company"})
}

// castDated: someone leaves in a moment.
func castDated(tr *trial) {
	tr.want = append(tr.hire(1), "okta.user.suspended "+tr.oktaID)
	at := time.Now().Add(4 * time.Second).UTC().Format(time.RFC3339Nano)
	tr.event("user.terminated", map[string]any{"user": tr.user(), "reason": "dated", "effective_at": at})
}

// castOnboarding: a team brings an app.
func castOnboarding(tr *trial) {
	tr.app = fmt.Sprintf("app%06d", tr.n)
	tr.name(tr.app, "app")
	id, _ := events.NewIdentifier(events.AppKey, tr.app)
	tr.name(tr.keyer.Key(id.Principal()), "key")
	tr.event("app.onboarded", map[string]any{"app": tr.request()})
}

// request is what the team asks for.
func (tr *trial) request() map[string]any {
	return map[string]any{
		"key": tr.app, "name": "The " + tr.app, "redirect_uris": []string{"https://" + tr.app + ".acme.example/callback"},
		"role_ids": []string{"role-reader"},
	}
}

// castLock: an account is in other hands, and locking it for good takes two.
func castLock(tr *trial) {
	tr.want = append(tr.hire(1), "okta.user.deactivated "+tr.oktaID)
	tr.want = append(tr.want, tr.grant("wiki")[0])
	tr.event("user.compromised", map[string]any{"user": tr.user()})
}

// playApproval: two people approve.
func playApproval(ctx context.Context, tr *trial) error {
	id := tr.sent[0].caseID
	err := tr.await(ctx, "held", func(ctx context.Context) (bool, error) {
		rec, err := tr.ledger.Last(ctx, ledger.LifecycleSubject(id))
		return rec.State == ledger.NeedsPerson, err
	})
	for _, actor := range []string{"ann", "bob"} {
		if err == nil {
			err = tr.command(ctx, events.Approve, id, actor)
		}
	}
	return err
}

// castLoss: a laptop is lost, and ASA refuses to delete it.
func castLoss(tr *trial) {
	tr.want = tr.hire(1)
	id, deleted := tr.issue("laptop", sandbox.ASAActive)
	tr.issue("tablet", sandbox.ASAActive)
	tr.want = append(tr.want, deleted, "okta.devices.forgotten "+tr.oktaID)
	fault, err := tr.sb.Fault(sandbox.Fault{Method: http.MethodDelete, Path: "/asa/v1/teams/acme/clients/" + id,
		Kind: sandbox.KindStatus, Status: http.StatusBadRequest, Times: -1})
	if err != nil {
		panic(err)
	}
	tr.fault = fault
	tr.event("device.lost", map[string]any{"user": tr.user(), "device": map[string]any{"hostname": "laptop"}})
}

// playRedrive: a person sees to it at ASA, and sends the action again.
func playRedrive(ctx context.Context, tr *trial) error {
	id := tr.sent[0].caseID
	err := tr.await(ctx, "dead", func(ctx context.Context) (bool, error) {
		rec, err := tr.ledger.Last(ctx, ledger.LifecycleSubject(id))
		return rec.State == ledger.NeedsPerson, err
	})
	tr.sb.ClearFaults(tr.fault)
	if err != nil {
		return err
	}
	return tr.command(ctx, events.RedriveVerb, events.ActionID(id, "lost", "device"), "ann")
}
