package actions_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

// protecting makes the guard of a configuration that protects these principals.
func protecting(t *testing.T, names ...string) func([]events.Identifier) string {
	t.Helper()
	var g config.Guards
	for _, n := range names {
		g.Protected = append(g.Protected, config.Text{Value: n})
	}
	set, err := playbook.Compile(config.Playbooks{Guards: g}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return set.Protects
}

// TestProtectedUnderAnotherName: the list has one name of an account, the event gives another.
func TestProtectedUnderAnotherName(t *testing.T) {
	for _, k := range actions.Kinds() {
		if k.Parameters[0].Name != "user" {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			o := newOrg(t, 0, sandbox.Options{})
			glass := o.acme.BreakGlass
			said := []events.UserRef{{OktaID: glass.OktaID}, {EmployeeNumber: glass.EmployeeNumber}, {Login: glass.Login}, {Email: glass.Login}}
			listed := []string{"user:" + glass.OktaID, "user:" + glass.EmployeeNumber, "user:" + strings.ToUpper(glass.Login)}
			if k.Provider == "asa" {
				said = []events.UserRef{{ASAUsername: glass.ASAName}, {Email: glass.Login}}
				listed = []string{"user:" + glass.ASAName, "user:" + glass.Login}
			}
			for _, u := range said {
				for _, name := range listed {
					o := newOrg(t, 0, sandbox.Options{})
					o.clients.Protected = protecting(t, "user:somebody@acme.example", name)
					with := map[string]any{"user": u}
					if k.Name == "asa.approve_client" {
						with["client_id"] = o.acme.Unassigned
					}
					o.run(act("s", k.Name, with))
					f := o.ends("s", ledger.Cancelled).Evidence.Failure
					if !strings.HasPrefix(f.Suggestion, "protected principal: nothing was changed") || f.Cause != "protected" {
						t.Errorf("%+v with %s: %+v", u, name, f)
					}
					if e := o.once(); len(e) != 0 {
						t.Errorf("%+v with %s: effects %q", u, name, e)
					}
				}
			}
		})
	}
}

func TestOthersAreNotProtected(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	o.clients.Protected = protecting(t, "user:"+o.acme.BreakGlass.Login, "user:"+o.acme.BreakGlass.OktaID)
	o.run(act("okta", "okta.suspend_user", map[string]any{"user": ref(o.acme.Leaver)}),
		act("asa", "asa.revoke_clients", map[string]any{"user": ref(o.acme.Leaver)}))
	o.ends("okta", ledger.Verified)
	o.ends("asa", ledger.Verified)
}

// TestProtectedBetweenAttempts: the list got the name after the account was fixed.
func TestProtectedBetweenAttempts(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	o.fault(sandbox.Fault{Method: "POST", Kind: sandbox.KindStatus, Status: 502})
	o.begin(act("s", "okta.suspend_user", map[string]any{"user": ref(o.acme.Leaver)}))
	o.deliver(o.queue[0])
	o.clients.Protected = protecting(t, "user:"+o.acme.Leaver.OktaID)
	o.work()
	f := o.ends("s", ledger.Dead).Evidence.Failure
	if !strings.HasPrefix(f.Suggestion, "protected principal: nothing more is changed") || len(o.once()) != 0 {
		t.Errorf("%+v, effects %q", f, o.once())
	}
}

// TestContradiction: no identifier of the event may be untrue of the account that another one finds.
func TestContradiction(t *testing.T) {
	lena, tom := "lena.fischer@acme.example", "tom.okafor@acme.example"
	for name, tc := range map[string]struct {
		user events.UserRef
		kind string // of the identifier that is untrue; empty = the person is who is meant
	}{
		"nobody's login":          {events.UserRef{Login: "nobody.here@acme.example", Email: lena}, "login"},
		"another's e-mail":        {events.UserRef{Login: lena, Email: tom}, "email"},
		"another's number":        {events.UserRef{Login: lena, EmployeeNumber: "1002"}, "employee_number"},
		"nobody's e-mail":         {events.UserRef{Email: "nobody.here@acme.example", EmployeeNumber: "1003"}, "email"},
		"login beside its number": {events.UserRef{Login: "lena", EmployeeNumber: "1003"}, "login"},
		"an id and another login": {events.UserRef{OktaID: "lena", Login: tom}, "login"},
		"an id and another mail":  {events.UserRef{OktaID: "lena", Email: tom}, "email"},
		"an id and its number":    {events.UserRef{OktaID: "lena", EmployeeNumber: " １００３ "}, ""},
		"all of hers":             {events.UserRef{OktaID: "lena", Login: strings.ToUpper(lena), Email: " " + lena, EmployeeNumber: "1003"}, ""},
		"a number Okta lacks":     {events.UserRef{Login: "x1@acme.example", Email: "sam@acme.example", EmployeeNumber: "77"}, ""},
		"a number of another":     {events.UserRef{Email: "sam@acme.example", EmployeeNumber: "1003"}, "employee_number"},
		"the login of a leaver":   {events.UserRef{Login: "x1@acme.example", EmployeeNumber: "1003"}, "employee_number"},
		"a login as its e-mail":   {events.UserRef{Email: "x1@acme.example"}, ""},
		"login as both":           {events.UserRef{Login: "x1@acme.example", Email: "x1@acme.example"}, ""},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			o := newOrg(t, 0, sandbox.Options{})
			o.sb.AddUser(sandbox.UserSpec{Login: "x1@acme.example", Email: "sam@acme.example"})
			u := tc.user
			if u.OktaID != "" {
				u.OktaID = o.acme.NextDay.OktaID
			}
			o.run(act("s", "okta.suspend_user", map[string]any{"user": u}))
			if tc.kind == "" {
				o.ends("s", ledger.Verified)
				return
			}
			f := o.ends("s", ledger.Dead).Evidence.Failure
			if !strings.Contains(f.Suggestion, tc.kind) || strings.Contains(f.Suggestion+f.Error, "acme.example") {
				t.Errorf("%+v", f)
			}
			if e := o.once(); len(e) != 0 {
				t.Errorf("effects %q", e)
			}
		})
	}
}

func TestContradictionAtASA(t *testing.T) {
	for email, want := range map[string]ledger.State{
		"tom.okafor@acme.example": ledger.Dead, "nobody@acme.example": ledger.Dead,
		"ADA.BERG@acme.example": ledger.Verified, "": ledger.Verified,
	} {
		o := newOrg(t, 0, sandbox.Options{})
		before := o.sb.Snapshot()
		o.run(act("s", "asa.revoke_clients", map[string]any{"user": events.UserRef{ASAUsername: o.acme.Leaver.ASAName, Email: email}}))
		rec := o.ends("s", want)
		if want == ledger.Verified {
			o.onlyDeleted(before, o.acme.Leaver.Devices...)
			continue
		}
		o.onlyDeleted(before)
		if f := rec.Evidence.Failure; !strings.Contains(f.Suggestion, "email") || f.Cause != "permanent" {
			t.Errorf("%+v", f)
		}
	}
	// A user without an e-mail at ASA contradicts none.
	o := newOrg(t, 0, sandbox.Options{})
	o.sb.AddASAUser(sandbox.ASAUserSpec{Name: "Old.Hand"})
	o.run(act("s", "asa.revoke_clients", map[string]any{"user": events.UserRef{ASAUsername: "Old.Hand", Email: "old.hand@acme.example"}}))
	o.ends("s", ledger.Verified)
}

// TestProtectedClientIsSpared: a client that the list names by its id is found by the mark of an app, or by an id that
// only the playbook's parameters give. The deletion of all stops at a protected one, and its own client does not stop it.
func TestProtectedClientIsSpared(t *testing.T) {
	for _, k := range actions.Kinds() {
		if k.Provider != "transmit" {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			o := newOrg(t, 0, sandbox.Options{})
			id := o.addWiki(nil)
			o.clients.Protected = protecting(t, "client:"+id)
			app := wiki()
			app.Resources = []string{"r1"}
			with := map[string]any{"app": app}
			if k.Name == "transmit.delete_all_clients" {
				with = map[string]any{"app_id": application(t)}
			}
			before := o.sb.Snapshot()
			o.run(act("s", k.Name, with))
			f := o.ends("s", ledger.Cancelled).Evidence.Failure
			if !strings.HasPrefix(f.Suggestion, "protected principal: nothing was changed") {
				t.Errorf("%+v", f)
			}
			if diff := cmp.Diff(before.Mosaic, o.sb.Snapshot().Mosaic); diff != "" {
				t.Errorf("changed: %s", diff)
			}
		})
	}
}

// TestProtectedDeviceIsSpared: the list names a device by its host name, and the event its owner, who is not protected by
// that: the devices are left to a person, and the rest of the case goes on.
func TestProtectedDeviceIsSpared(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	before := o.sb.Snapshot()
	host := ""
	for _, c := range before.ASA.Clients {
		if c.UserName == o.acme.Leaver.ASAName {
			host = c.Hostname
		}
	}
	o.clients.Protected = protecting(t, "device:"+strings.ToUpper(host))
	user := map[string]any{"user": ref(o.acme.Leaver)}
	o.run(act("s", "asa.revoke_clients", user), act("suspend", "okta.suspend_user", user))
	if f := o.ends("s", ledger.Dead).Evidence.Failure; !strings.HasPrefix(f.Suggestion, "protected principal: nothing was changed") {
		t.Errorf("%+v", f)
	}
	o.ends("suspend", ledger.Verified)
	o.onlyDeleted(before)
}

// TestNamedProtectedDeviceIsRefused: an event about the very device is refused with all that it asks for.
func TestNamedProtectedDeviceIsRefused(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	before := o.sb.Snapshot()
	host := ""
	for _, c := range before.ASA.Clients {
		if c.UserName == o.acme.Leaver.ASAName {
			host = c.Hostname
		}
	}
	o.clients.Protected = protecting(t, "device:"+host)
	o.run(act("s", "asa.revoke_clients", map[string]any{"user": ref(o.acme.Leaver), "hostname": strings.ToUpper(host)}))
	o.ends("s", ledger.Cancelled)
	o.onlyDeleted(before)
}

// TestMakerOfTheTokenIsSpared: the account whose API token the connection signs in with, though nobody listed it.
func TestMakerOfTheTokenIsSpared(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	token := o.sb.AddAPIToken(sandbox.APITokenSpec{Name: "keyturn", CreatorID: o.acme.Leaver.OktaID})
	client, err := okta.New(okta.Options{BaseURL: sandbox.OktaURL(sandbox.InProcessURL), SSWS: secret.New(token),
		Wiring: apiclient.Wiring{Transport: o, Now: func() time.Time { return o.now }, Rand: func() float64 { return 0.5 }}})
	if err != nil {
		t.Fatal(err)
	}
	o.clients.Okta = client
	o.run(act("t", "okta.suspend_user", map[string]any{"user": ref(o.acme.NextDay)}),
		act("s", "okta.suspend_user", map[string]any{"user": ref(o.acme.Leaver)}))
	if f := o.ends("s", ledger.Cancelled).Evidence.Failure; !strings.HasPrefix(f.Suggestion, "protected principal: nothing at this connection works") {
		t.Errorf("%+v", f)
	}
	o.ends("t", ledger.Verified)
}
