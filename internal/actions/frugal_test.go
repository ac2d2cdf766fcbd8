package actions_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// called counts the calls since the journal was last reset whose method and path begin like this.
func (o *org) called(method, path string) int {
	n := 0
	for _, e := range o.sb.Journal() {
		if e.Method == method && strings.HasPrefix(e.Path, path) {
			n++
		}
	}
	return n
}

// TestACaseLooksAPersonUpOnce: the steps behind the first one act upon the account that it found, also when the
// e-mail belongs to someone else by then.
func TestACaseLooksAPersonUpOnce(t *testing.T) {
	o := newOrg(t, 2, sandbox.Options{})
	with := map[string]any{"user": ref(o.acme.Leaver)}
	o.begin(act("suspend", "okta.suspend_user", with), act("sessions", "okta.clear_sessions", with, "suspend"),
		act("tokens", "okta.revoke_user_tokens", with, "sessions"))
	o.deliver(o.queue[0])
	o.sb.SetUserStatus(o.acme.Leaver.OktaID, sandbox.StatusSuspended)
	heir := o.sb.AddUser(sandbox.UserSpec{Login: "heir@acme.example", Email: o.acme.Leaver.Login, Sessions: 1})
	o.work()
	o.ends("sessions", ledger.Applied)
	rec := o.ends("tokens", ledger.Verified)
	if rec.Evidence.Pins["user"] != o.acme.Leaver.OktaID {
		t.Errorf("the tokens of %s were revoked", rec.Evidence.Pins["user"])
	}
	if n := o.called("GET", "/okta/api/v1/users?"); n != 1 {
		t.Errorf("%d searches", n)
	}
	if len(o.sb.Snapshot().Okta.SessionsOf(heir)) != 1 {
		t.Error("the sessions of someone else were ended")
	}
	o.once()
	o.verify()
}

// TestSomebodyElsesStepIsNotInherited: only the same person at the same connection is the same account.
func TestSomebodyElsesStepIsNotInherited(t *testing.T) {
	o := newOrg(t, 2, sandbox.Options{})
	o.run(act("one", "okta.suspend_user", map[string]any{"user": ref(o.acme.Leaver)}),
		act("two", "okta.suspend_user", map[string]any{"user": ref(o.acme.Traveller)}, "one"))
	if rec := o.ends("two", ledger.Verified); rec.Evidence.Pins["user"] != o.acme.Traveller.OktaID {
		t.Errorf("%s was suspended", rec.Evidence.Pins["user"])
	}
}

// TestAnEmailIsLookedForInAListingOfNow: whom an older one does not show, or shows without a second one who has the e-mail
// by now, is not concluded from it: of two nobody is chosen.
func TestAnEmailIsLookedForInAListingOfNow(t *testing.T) {
	o := newOrg(t, 3, sandbox.Options{})
	revoke := func(i int, email string) ledger.Record {
		o.now = o.now.Add(time.Second)
		one := org{world: newWorld(t), sb: o.sb, acme: o.acme, clients: o.clients}
		one.builder, one.now = o.builder, o.now
		one.run(act(fmt.Sprint("s", i), "asa.revoke_clients", map[string]any{"user": events.UserRef{Email: email}}))
		return one.last(fmt.Sprint("s", i))
	}
	for i, p := range o.acme.Staff[:2] {
		if rec := revoke(i, p.Login); rec.State != ledger.Verified {
			t.Fatalf("%s: %s", rec.State, rec.Reason)
		}
	}
	o.sb.AddASAUser(sandbox.ASAUserSpec{Name: "New.Comer", Email: "new.comer@acme.example"})
	if rec := revoke(20, "new.comer@acme.example"); rec.State != ledger.Verified || rec.Evidence.Pins["user"] != "New.Comer" {
		t.Errorf("%s: %s", rec.State, rec.Reason)
	}
	if rec := revoke(21, "nobody@acme.example"); rec.State != ledger.Dead {
		t.Errorf("somebody was found: %s", rec.State)
	}
	before := len(o.sb.Journal().Effects())
	o.sb.AddASAUser(sandbox.ASAUserSpec{Name: "Name.Sake", Email: o.acme.Staff[2].Login})
	rec := revoke(22, o.acme.Staff[2].Login)
	if rec.State != ledger.Dead || !strings.Contains(rec.Evidence.Failure.Error, "2 ASA users have this e-mail") {
		t.Errorf("one of two was chosen: %s %s", rec.State, rec.Reason)
	}
	if all := o.sb.Journal().Effects(); len(all) != before {
		t.Errorf("changed all the same: %v", all[before:])
	}
}

// TestWhoGoesBetweenTwoLooks: that the account of whom an attempt is about is deleted while it is at work ends the access
// like anything else would: the next look reads that it is gone, and nobody is asked about it.
func TestWhoGoesBetweenTwoLooks(t *testing.T) {
	for _, do := range []string{"okta.revoke_user_tokens", "asa.revoke_clients"} {
		t.Run(do, func(t *testing.T) {
			o := newOrg(t, 0, sandbox.Options{})
			o.after = sync.OnceFunc(func() {
				o.sb.RemoveUser(o.acme.Leaver.OktaID)
				o.fault(sandbox.Fault{Path: "/asa/v1/teams/acme/users/" + o.acme.Leaver.ASAName, Kind: sandbox.KindStatus, Status: http.StatusNotFound, Times: -1})
				o.fault(sandbox.Fault{Path: "/asa/v1/teams/acme/clients", Kind: sandbox.KindStatus, Status: http.StatusNotFound, Times: -1})
			})
			o.run(act("s", do, map[string]any{"user": ref(o.acme.Leaver)}))
			o.ends("s", ledger.Verified)
		})
	}
}

// TestWhoGoesBeforeTheSessionsEnd: a call that finds nobody has the next look read whether anybody is there.
func TestWhoGoesBeforeTheSessionsEnd(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	o.begin(act("s", "okta.clear_sessions", map[string]any{"user": ref(o.acme.Leaver)}))
	o.met = func(req *http.Request) {
		if req.Method == http.MethodDelete {
			o.met = nil
			o.sb.RemoveUser(o.acme.Leaver.OktaID)
		}
	}
	o.work()
	if rec := o.last("s"); !rec.State.Achieved() {
		t.Errorf("%s: %s", rec.State, rec.Reason)
	}
}

// TestWhoGoesWithinTheFirstLook: an account that is deleted right after it was found has nothing left to revoke, and is read
// to be gone.
func TestWhoGoesWithinTheFirstLook(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	o.begin(act("s", "okta.revoke_user_tokens", map[string]any{"user": ref(o.acme.Leaver)}))
	o.met = func(req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/"+o.acme.Leaver.OktaID+"/clients") {
			o.met = nil
			o.sb.RemoveUser(o.acme.Leaver.OktaID)
		}
	}
	o.work()
	if rec := o.ends("s", ledger.Verified); saw(rec, "user "+o.acme.Leaver.OktaID+" status") != "gone (404)" {
		t.Errorf("evidence %v", rec.Evidence.Seen)
	}
}
