package actions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// TestTerminationInOrder runs the whole default flow of a leaver with real limits.
func TestTerminationInOrder(t *testing.T) {
	o := newOrg(t, 20, sandbox.Options{Limits: sandbox.DefaultLimits()})
	with := map[string]any{"user": ref(o.acme.Leaver)}
	o.run(
		act("suspend", "okta.suspend_user", with), act("sessions", "okta.clear_sessions", with, "suspend"),
		act("tokens", "okta.revoke_user_tokens", with, "sessions"), act("devices", "asa.revoke_clients", with),
	)
	o.ends("suspend", ledger.Verified)
	o.ends("sessions", ledger.Applied)
	o.ends("devices", ledger.Verified)
	rec := o.ends("tokens", ledger.Verified)
	if n := len(rec.Evidence.Applied); n != 2 { // sessions with tokens, and grants
		t.Errorf("%d changes, want 2: %+v", n, rec.Evidence.Applied)
	}
	if len(rec.Evidence.Residual) != 1 || rec.Evidence.Residual[0].Until.Sub(o.now) > 24*time.Hour {
		t.Errorf("residual %+v", rec.Evidence.Residual)
	}
	if got := saw(rec, "refresh tokens of "+o.acme.Leaver.OktaID+" in these listings"); got != "0" {
		t.Errorf("the sweep saw %s", got)
	}
	if life := o.life(); life.State != ledger.ClosedWithResidual {
		t.Errorf("case is %s: %s", life.State, life.Reason)
	}
	o.once()
	o.verify()
}

// TestSweepFindsWhatTheListingHides: the person's own listings show nothing, the authorization server still has it.
func TestSweepFindsWhatTheListingHides(t *testing.T) {
	o := newOrg(t, 3, sandbox.Options{})
	o.fault(sandbox.Fault{
		Method: "GET", Path: "/okta/api/v1/users/*/clients", Kind: sandbox.KindStatus, Status: 200, Body: "[]", Times: -1,
	})
	o.run(act("s", "okta.revoke_user_tokens", map[string]any{"user": ref(o.acme.Leaver), "grants": false}))
	o.ends("s", ledger.Verified)
	if left := o.sb.Snapshot().Okta.TokensOf(o.acme.Leaver.OktaID); len(left) != 0 {
		t.Errorf("%d tokens are left", len(left))
	}
	for _, e := range o.once() {
		if !strings.HasPrefix(e, "okta.token.revoked ") {
			t.Errorf("effect %s", e)
		}
	}
}

func TestNoAuthorizationServers(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{Okta: sandbox.OktaOptions{NoAPIAccessManagement: true}})
	o.run(act("s", "okta.revoke_user_tokens", map[string]any{"user": ref(o.acme.Leaver)}))
	rec := o.ends("s", ledger.Verified)
	if got := saw(rec, "custom authorization servers"); !strings.Contains(got, "E0000015") {
		t.Errorf("evidence says %q", got)
	}
	o = newOrg(t, 0, sandbox.Options{Okta: sandbox.OktaOptions{NoAPIAccessManagement: true}})
	o.run(act("s", "okta.revoke_client_tokens", map[string]string{"client_id": o.acme.SharedClient}))
	o.ends("s", ledger.Dead)
}

func TestWhoIsMeant(t *testing.T) {
	suspend := func(o *org, u events.UserRef) ledger.Record {
		o.run(act("s", "okta.suspend_user", map[string]any{"user": u}))
		return o.last("s")
	}
	add := func(o *org, s sandbox.UserSpec) string { return o.sb.AddUser(s) }
	for name, tc := range map[string]struct {
		want ledger.State
		do   func(o *org) (events.UserRef, string) // gives whom to suspend, and the id of who must be it
	}{
		"by id": {ledger.Verified, func(o *org) (events.UserRef, string) {
			return events.UserRef{OktaID: o.acme.Leaver.OktaID}, o.acme.Leaver.OktaID
		}},
		"by login in other case": {ledger.Verified, func(o *org) (events.UserRef, string) {
			return events.UserRef{Login: strings.ToUpper(o.acme.Leaver.Login)}, o.acme.Leaver.OktaID
		}},
		"by number": {ledger.Verified, func(o *org) (events.UserRef, string) {
			return events.UserRef{EmployeeNumber: "1001"}, o.acme.Leaver.OktaID
		}},
		"by e-mail that is no login": {ledger.Verified, func(o *org) (events.UserRef, string) {
			id := add(o, sandbox.UserSpec{Login: "x1@acme.example", Email: "maria@acme.example"})
			return events.UserRef{Email: "Maria@acme.example"}, id
		}},
		"a short login is no login": {ledger.Dead, func(*org) (events.UserRef, string) {
			return events.UserRef{Login: "ada.berg"}, ""
		}},
		"two with the e-mail": {ledger.Dead, func(o *org) (events.UserRef, string) {
			add(o, sandbox.UserSpec{Login: "x1@acme.example", Email: "maria@acme.example"})
			add(o, sandbox.UserSpec{Login: "x2@acme.example", Email: "maria@acme.example"})
			return events.UserRef{Email: "maria@acme.example"}, ""
		}},
		"two, one of them long gone": {ledger.Verified, func(o *org) (events.UserRef, string) {
			add(o, sandbox.UserSpec{Login: "x1@acme.example", Email: "maria@acme.example", Status: sandbox.StatusDeprovisioned})
			id := add(o, sandbox.UserSpec{Login: "x2@acme.example", Email: "maria@acme.example"})
			return events.UserRef{Email: "maria@acme.example"}, id
		}},
		"address given to someone else": {ledger.Dead, func(o *org) (events.UserRef, string) {
			return events.UserRef{Email: o.acme.Leaver.Login, EmployeeNumber: "0815"}, ""
		}},
		"nobody": {ledger.Dead, func(*org) (events.UserRef, string) {
			return events.UserRef{Email: "nobody@acme.example", EmployeeNumber: "0815"}, ""
		}},
		"an id of nowhere": {ledger.Dead, func(o *org) (events.UserRef, string) {
			return events.UserRef{OktaID: "00u0000000000000none", Login: o.acme.Leaver.Login}, ""
		}},
		"the credential's own user": {ledger.Dead, func(*org) (events.UserRef, string) {
			return events.UserRef{Login: "me"}, ""
		}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			o := newOrg(t, 0, sandbox.Options{})
			who, id := tc.do(o)
			rec := suspend(o, who)
			if rec.State != tc.want {
				t.Fatalf("%s: %s", rec.State, rec.Reason)
			}
			want := "[]"
			if id != "" {
				want = fmt.Sprintf("[okta.user.suspended %s", id)
			}
			if got := fmt.Sprint(o.once()); !strings.HasPrefix(got, want) {
				t.Errorf("effects %s, want %s", got, want)
			}
			if tc.want == ledger.Dead && rec.Evidence.Failure.Suggestion == "" {
				t.Errorf("no advice: %+v", rec.Evidence.Failure)
			}
		})
	}
}

func TestLoginGivenToSomeoneElseBetweenAttempts(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	leaver := o.acme.Leaver
	o.fault(sandbox.Fault{Method: "POST", Kind: sandbox.KindStatus, Status: 502})
	o.begin(act("s", "okta.suspend_user", map[string]any{"user": events.UserRef{Login: leaver.Login}}))
	o.deliver(o.queue[0])
	o.sb.RemoveUser(leaver.OktaID)
	heir := o.sb.AddUser(sandbox.UserSpec{Login: leaver.Login})
	o.work()
	rec := o.ends("s", ledger.Verified)
	if got := saw(rec, "user "+leaver.OktaID+" status"); got != "gone (404)" {
		t.Errorf("evidence says %q", got)
	}
	if u, _ := o.sb.Snapshot().Okta.User(heir); u.Status != "ACTIVE" {
		t.Errorf("the new owner of the login is %s", u.Status)
	}
}

func TestSuspendByStatus(t *testing.T) {
	for _, tc := range []struct {
		status, choice string
		want           ledger.State
		end            string
	}{
		{"SUSPENDED", "", ledger.Verified, "SUSPENDED"},
		{"DEPROVISIONED", "", ledger.Verified, "DEPROVISIONED"},
		{"STAGED", "fail", ledger.Dead, "STAGED"},
		{"PASSWORD_EXPIRED", "", ledger.Dead, "PASSWORD_EXPIRED"},
		{"PASSWORD_EXPIRED", "deactivate", ledger.Verified, "DEPROVISIONED"},
		{"LOCKED_OUT", "deactivate", ledger.Verified, "DEPROVISIONED"},
		{"SOMETHING_NEW", "", ledger.Dead, "SOMETHING_NEW"},
	} {
		o := newOrg(t, 0, sandbox.Options{})
		o.sb.SetUserStatus(o.acme.Leaver.OktaID, tc.status)
		with := map[string]any{"user": ref(o.acme.Leaver)}
		if tc.choice != "" {
			with["not_active"] = tc.choice
		}
		o.run(act("s", "okta.suspend_user", with))
		u, _ := o.sb.Snapshot().Okta.User(o.acme.Leaver.OktaID)
		if rec := o.last("s"); rec.State != tc.want || u.Status != tc.end {
			t.Errorf("%s with %q: %s, the user is %s: %s", tc.status, tc.choice, rec.State, u.Status, rec.Reason)
		}
	}
}

func TestCompromisedClient(t *testing.T) {
	o := newOrg(t, 30, sandbox.Options{})
	before := o.sb.Snapshot().Okta
	o.run(act("s", "okta.revoke_client_tokens", map[string]string{"client_id": o.acme.SharedClient}))
	rec := o.ends("s", ledger.Verified)
	now := o.sb.Snapshot().Okta
	if len(now.TokensOfClient(o.acme.SharedClient)) != 0 || len(before.Tokens)-len(now.Tokens) != 30 {
		t.Errorf("%d tokens went", len(before.Tokens)-len(now.Tokens))
	}
	counted := ""
	_ = o.ledger().Range(t.Context(), rec.Subject, time.Time{}, func(r ledger.Record) error {
		if r.Evidence != nil && len(r.Evidence.Needed) > 0 && counted == "" {
			counted = saw(r, "users with live refresh tokens of "+o.acme.SharedClient)
		}
		return nil
	})
	if counted != "30" {
		t.Errorf("the ledger says %s users before the first call", counted)
	}
	o.once()
}

func TestClientTokensOfOneServer(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	app, servers := o.acme.Apps[0], o.sb.AuthServers()
	o.run(act("s", "okta.revoke_client_tokens", map[string]string{"client_id": app, "authorization_server": servers[1].ID}))
	o.ends("s", ledger.Verified)
	for _, token := range o.sb.Snapshot().Okta.TokensOfClient(app) {
		if token.ServerID == servers[1].ID {
			t.Errorf("token %s is left", token.ID)
		}
	}
	if n := len(o.sb.Snapshot().Okta.TokensOfClient(app)); n != 2 {
		t.Errorf("%d tokens of the other server are left, want 2", n)
	}
	o = newOrg(t, 0, sandbox.Options{})
	o.run(act("s", "okta.revoke_client_tokens", map[string]string{"client_id": "0oa000000000000none"}))
	if rec := o.ends("s", ledger.Dead); rec.Evidence.Failure.Suggestion == "" {
		t.Error("no advice about an unknown client")
	}
}
