package actions_test

import (
	"testing"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// heir deletes the leaver's account and makes another under the same names, with access of its own.
func (o *org) heir() string {
	o.t.Helper()
	leaver := o.acme.Leaver
	o.sb.RemoveUser(leaver.OktaID)
	id := o.sb.AddUser(sandbox.UserSpec{Login: leaver.Login, Email: leaver.Login, EmployeeNumber: leaver.EmployeeNumber, Sessions: 1})
	o.sb.AddRefreshToken(id, o.acme.Apps[0], o.sb.AuthServers()[0].ID)
	return id
}

// untouched checks that an account has all that it was made with.
func (o *org) untouched(id string) {
	o.t.Helper()
	now := o.sb.Snapshot().Okta
	if u, _ := now.User(id); u.Status != sandbox.StatusActive || len(now.SessionsOf(id)) != 1 || len(now.TokensOf(id)) != 1 {
		o.t.Errorf("the new account is %s, with %d sessions and %d tokens", u.Status, len(now.SessionsOf(id)), len(now.TokensOf(id)))
	}
}

// TestAnAccountMadeAnewIsAnother: what was taken from an account is not looked for in one that is made under the same names
// after it was deleted: the re-check finds the pinned id gone, which is no regression, and neither it nor a redrive touches
// the new one.
func TestAnAccountMadeAnewIsAnother(t *testing.T) {
	for _, do := range []string{"okta.suspend_user", "okta.deactivate_user", "okta.clear_sessions", "okta.revoke_user_tokens"} {
		for _, then := range []events.Regressed{events.Alert, events.Act} {
			t.Run(do+"_"+string(then), func(t *testing.T) {
				o := newOrg(t, 0, sandbox.Options{})
				o.begin(watched(act("s", do, map[string]any{"user": ref(o.acme.Leaver)}), then, hour, 48*hour))
				o.work()
				proven := o.last("s")
				if !proven.State.Achieved() {
					t.Fatalf("%s: %s", proven.State, proven.Reason)
				}
				heir := o.heir()
				o.workOn()
				rec := o.ends("s", proven.State)
				if n := states(t, o.world, "lifecycle"); o.life().State != ledger.Closed || len(o.dead) != 0 {
					t.Errorf("case %s, letters %v", n, o.dead)
				}
				gone := "gone (404)"
				if do == "okta.clear_sessions" { // nobody can read it back, and nobody looks again
					gone = sandbox.StatusActive
				}
				if got := saw(rec, "user "+o.acme.Leaver.OktaID+" status"); got != gone || rec.Evidence.Pins["user"] != o.acme.Leaver.OktaID {
					t.Errorf("evidence says %q of %v", got, rec.Evidence.Pins)
				}
				o.untouched(heir)
				o.verify()
			})
		}
	}
}

// TestARedriveOfWhatIsGone: what came back is gone with its account when a person sends the action again.
func TestARedriveOfWhatIsGone(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	o.begin(watched(act("s", "okta.suspend_user", map[string]any{"user": ref(o.acme.Leaver)}), "", hour))
	o.work()
	o.sb.SetUserStatus(o.acme.Leaver.OktaID, sandbox.StatusActive)
	o.fire()
	o.work()
	last := o.ends("s", ledger.Regressed)
	heir := o.heir()
	_, err := o.ledger().Append(t.Context(), last, ledger.Record{Subject: last.Subject, State: ledger.Redriven, Tries: last.Tries})
	o.must(err)
	o.queue = []events.Action{o.plan.Actions[0]}
	o.workOn()
	if rec := o.ends("s", ledger.Verified); saw(rec, "user "+o.acme.Leaver.OktaID+" status") != "gone (404)" || o.life().State != ledger.Closed {
		t.Errorf("%v, case %s", rec.Evidence.Seen, o.life().State)
	}
	o.untouched(heir)
	o.verify()
}
