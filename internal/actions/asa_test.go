package actions_test

import (
	"strings"
	"testing"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

func TestLostLaptop(t *testing.T) {
	o := newOrg(t, 3, sandbox.Options{})
	before, lost := o.sb.Snapshot(), o.acme.Traveller
	other := o.sb.AddASAClient(sandbox.ASAClientSpec{UserName: o.acme.Leaver.ASAName, Hostname: lost.Hostnames[0]})
	o.run(act("s", "asa.revoke_clients", map[string]any{"user": ref(lost), "hostname": strings.ToUpper(lost.Hostnames[0])}))
	rec := o.ends("s", ledger.Verified)
	o.onlyDeleted(before, lost.Devices[0])
	if d, _ := o.sb.Snapshot().ASA.Client(other); d.State != "ACTIVE" {
		t.Error("somebody else's device of the same name was revoked")
	}
	if got := saw(rec, "client "+lost.Devices[0]); !strings.HasPrefix(got, "DELETED") {
		t.Errorf("the proof says %q", got)
	}
}

func TestHostnameThatNobodyHas(t *testing.T) {
	for choice, want := range map[string]ledger.State{"fail": ledger.Dead, "all": ledger.Verified} {
		o := newOrg(t, 1, sandbox.Options{})
		before := o.sb.Snapshot()
		o.run(act("s", "asa.revoke_clients", map[string]any{"user": ref(o.acme.Traveller), "hostname": "no-such-host", "no_match": choice}))
		o.ends("s", want)
		var gone []string
		if choice == "all" {
			gone = o.acme.Traveller.Devices
		}
		o.onlyDeleted(before, gone...)
	}
}

// TestEmptyListingIsNoProof: a service user without the role sees no client of anybody, and no action passes for done.
func TestEmptyListingIsNoProof(t *testing.T) {
	hide := sandbox.Fault{Method: "GET", Path: "/asa/v1/teams/acme/clients", Kind: sandbox.KindStatus, Status: 200, Body: `{"list":[]}`, Times: -1}
	o := newOrg(t, 1, sandbox.Options{})
	o.fault(hide)
	o.run(act("s", "asa.revoke_clients", map[string]any{"user": ref(o.acme.Leaver)}))
	if rec := o.ends("s", ledger.Dead); !strings.Contains(rec.Evidence.Failure.Suggestion, "access_admin") {
		t.Errorf("advice: %q", rec.Evidence.Failure.Suggestion)
	}
	// A person without clients beside people with some is proven.
	o = newOrg(t, 1, sandbox.Options{})
	o.sb.AddASAUser(sandbox.ASAUserSpec{Name: "New.Comer", Email: "new.comer@acme.example"})
	o.run(act("s", "asa.revoke_clients", map[string]any{"user": events.UserRef{Email: "new.comer@acme.example"}}))
	if rec := o.ends("s", ledger.Verified); saw(rec, "clients of the team") == "nothing" {
		t.Errorf("no positive control in %+v", rec.Evidence.Seen)
	}
}

func TestLimitedServiceUser(t *testing.T) {
	o := newOrg(t, 1, sandbox.Options{})
	o.clients = o.connect(o.sb.Credentials().ASAUser)
	o.begin(act("s", "asa.revoke_clients", map[string]any{"user": ref(o.acme.Leaver)}))
	o.deliver(o.queue[0])
	if s := o.last("s").State; s == ledger.Verified {
		t.Error("a service user that may not revoke has proven that nothing is left")
	}
	if len(o.sb.Journal().Effects()) != 0 {
		t.Errorf("effects %q", o.sb.Journal().Effects())
	}
}

func TestVendorsChoicesOfDeletion(t *testing.T) {
	for _, opt := range []sandbox.ASAOptions{{}, {ListDeleted: true}, {RepeatedDeleteOK: true}, {ListDeleted: true, RepeatedDeleteOK: true}} {
		o := newOrg(t, 0, sandbox.Options{ASA: opt})
		before := o.sb.Snapshot()
		o.fault(sandbox.Fault{Method: "DELETE", Kind: sandbox.KindEffectThenTimeout, Times: 2})
		o.run(act("s", "asa.revoke_clients", map[string]any{"user": ref(o.acme.Leaver)}))
		rec := o.ends("s", ledger.Verified)
		o.onlyDeleted(before, o.acme.Leaver.Devices...)
		if len(rec.Evidence.Applied) != 3 {
			t.Errorf("%+v: applied %+v", opt, rec.Evidence.Applied)
		}
		o.once()
	}
}

func TestWhoIsMeantAtASA(t *testing.T) {
	for name, tc := range map[string]struct {
		user  events.UserRef
		with  string
		want  ledger.State
		setup func(o *org)
	}{
		"by name":            {user: events.UserRef{ASAUsername: "Ada.Berg"}, want: ledger.Verified},
		"by a wrong name":    {user: events.UserRef{ASAUsername: "Nobody", Email: "ada.berg@acme.example"}, want: ledger.Dead},
		"by nobody's e-mail": {user: events.UserRef{Email: "nobody@acme.example"}, want: ledger.Dead},
		"by the login":       {user: events.UserRef{Login: "ada.berg@acme.example"}, want: ledger.Verified},
		"by nobody's login":  {user: events.UserRef{Login: "nobody@acme.example"}, with: "holds", want: ledger.Dead},
		"without ASA":        {user: events.UserRef{Email: "nobody@acme.example"}, with: "holds", want: ledger.Verified},
		"by two's e-mail": {user: events.UserRef{Email: "ada.berg@acme.example"}, want: ledger.Dead, setup: func(o *org) {
			o.sb.AddASAUser(sandbox.ASAUserSpec{Name: "Ada.Berg.2", Email: "ADA.BERG@acme.example"})
		}},
		"by two's e-mail, one deleted": {user: events.UserRef{Email: "ada.berg@acme.example"}, want: ledger.Verified, setup: func(o *org) {
			o.sb.AddASAUser(sandbox.ASAUserSpec{Name: "Ada.Berg.2", Email: "ada.berg@acme.example", Status: "DELETED"})
		}},
		"a deleted user": {user: events.UserRef{ASAUsername: "Ada.Berg"}, want: ledger.Verified, setup: func(o *org) {
			o.sb.SetASAUserStatus("Ada.Berg", "DELETED")
		}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			o := newOrg(t, 1, sandbox.Options{})
			if tc.setup != nil {
				tc.setup(o)
			}
			with := map[string]any{"user": tc.user}
			if tc.with != "" {
				with["no_user"] = tc.with
			}
			before := o.sb.Snapshot()
			o.run(act("s", "asa.revoke_clients", with))
			rec := o.ends("s", tc.want)
			var gone []string
			if tc.want == ledger.Verified && tc.with == "" {
				gone = o.acme.Leaver.Devices
			}
			o.onlyDeleted(before, gone...)
			if tc.want == ledger.Dead && rec.Evidence.Failure.Suggestion == "" {
				t.Error("no advice")
			}
		})
	}
}

func TestApproveTakesNothingFromAnybody(t *testing.T) {
	for name, tc := range map[string]struct {
		with func(a sandbox.Acme) map[string]any
		want ledger.State
	}{
		"by host name": {func(a sandbox.Acme) map[string]any {
			return map[string]any{"user": ref(a.Leaver), "hostname": a.Leaver.Hostnames[2]}
		}, ledger.Verified},
		"of somebody else": {func(a sandbox.Acme) map[string]any {
			return map[string]any{"user": ref(a.Traveller), "client_id": a.Leaver.Devices[2]}
		}, ledger.Dead},
		"by an unknown host name": {func(a sandbox.Acme) map[string]any {
			return map[string]any{"user": ref(a.Leaver), "hostname": "no-such-host"}
		}, ledger.Dead},
		"that is unknown": {func(a sandbox.Acme) map[string]any {
			return map[string]any{"user": ref(a.Leaver), "client_id": "1b4e28ba-2fa1-41d2-883f-0016d3cca427"}
		}, ledger.Dead},
		"as it is": {func(a sandbox.Acme) map[string]any {
			return map[string]any{"user": ref(a.Leaver), "client_id": a.Leaver.Devices[0]}
		}, ledger.Verified},
	} {
		o := newOrg(t, 0, sandbox.Options{})
		o.run(act("s", "asa.approve_client", tc.with(o.acme)))
		rec := o.last("s")
		if rec.State != tc.want {
			t.Errorf("%s: %s: %s", name, rec.State, rec.Reason)
		}
		effects := len(o.once())
		if want := name == "by host name"; (effects == 1) != want {
			t.Errorf("%s: %d effects", name, effects)
		}
	}
}

// TestAnUnknownClientIsNoProof: a service user that loses its role after the revocation is shown nothing, and told 404 of what
// it revoked; a client that is gone beside others that are shown is proven gone.
func TestAnUnknownClientIsNoProof(t *testing.T) {
	unknown := sandbox.Fault{Method: "GET", Path: "/asa/v1/teams/{team}/clients/{clientId}", Kind: sandbox.KindStatus, Status: 404, Times: -1}
	o := newOrg(t, 1, sandbox.Options{})
	o.fault(unknown)
	o.run(act("s", "asa.revoke_clients", map[string]any{"user": ref(o.acme.Leaver)}))
	if rec := o.ends("s", ledger.Verified); saw(rec, "client "+o.acme.Leaver.Devices[0]) != "gone (404)" || saw(rec, "clients of the team") == "nothing" {
		t.Errorf("saw %+v", rec.Evidence.Seen)
	}
	o = newOrg(t, 1, sandbox.Options{})
	o.fault(unknown)
	o.fault(sandbox.Fault{Method: "GET", Path: "/asa/v1/teams/acme/clients", Kind: sandbox.KindStatus, Status: 200, Body: `{"list":[]}`, Times: -1, Skip: 1})
	o.run(act("s", "asa.revoke_clients", map[string]any{"user": ref(o.acme.Leaver)}))
	if rec := o.ends("s", ledger.Dead); !strings.Contains(rec.Evidence.Failure.Suggestion, "access_admin") {
		t.Errorf("advice: %q", rec.Evidence.Failure.Suggestion)
	}
}
