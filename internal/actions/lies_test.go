package actions_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// lie is how the providers can lie to a scenario, and what must come of it.
type lie struct {
	// back gives the access back behind Keyturn's back, or takes away what was given; nil = it cannot come back.
	back func(o *org)
	// blind: nobody can read the end state. What was said to be made is recorded as applied, never as verified.
	blind bool
	// hidden are the listings that show nothing to a credential without the right.
	hidden []string
	// found: the hidden listings are not the only way to what is looked for.
	found bool
}

// The listings of the sandbox's providers.
const (
	oktaUsers   = "/okta/api/v1/users"
	oktaOwn     = "/okta/api/v1/users/*/clients"
	oktaServers = "/okta/api/v1/authorizationServers"
	asaClients  = "/asa/v1/teams/acme/clients"
	asaUsers    = "/asa/v1/teams/acme/users"
	mosaicApps  = "/mosaic/cis/v1/clients"
)

// lies has those of every scenario, by its name.
func lies() map[string]lie {
	active := func(o *org) { o.sb.SetUserStatus(o.acme.Leaver.OktaID, sandbox.StatusActive) }
	token := func(o *org) { o.sb.AddRefreshToken(o.acme.Leaver.OktaID, o.acme.Apps[0], o.sb.AuthServers()[0].ID) }
	enrolled := func(o *org) {
		o.sb.AddASAClient(sandbox.ASAClientSpec{UserName: o.acme.Leaver.ASAName, Hostname: o.acme.Leaver.Hostnames[1]})
	}
	return map[string]lie{
		"suspend":     {back: active, hidden: []string{oktaUsers}, found: true}, // the e-mail is a login too
		"deactivate":  {back: active, hidden: []string{oktaUsers}, found: true},
		"sessions":    {blind: true, hidden: []string{oktaUsers}, found: true},
		"user tokens": {back: token, hidden: []string{oktaOwn}, found: true}, // the sweep sees them
		"client tokens": {back: func(o *org) {
			o.sb.AddRefreshToken(o.acme.Leaver.OktaID, o.acme.SharedClient, o.sb.AuthServers()[0].ID)
		}, hidden: []string{oktaServers}},
		"one token":      {hidden: []string{oktaServers}}, // an id is never given again
		"asa clients":    {back: enrolled, hidden: []string{asaClients}},
		"one asa client": {back: enrolled, hidden: []string{asaUsers}},
		"approve": {back: func(o *org) {
			_, err := o.clients.ASA.AssignClient(o.t.Context(), o.acme.Unassigned, sandbox.ASAPending, o.acme.Traveller.ASAName)
			o.must(err)
		}, hidden: []string{asaUsers}},
		"create": {back: func(o *org) {
			for _, c := range o.sb.Snapshot().Mosaic.Named("Wiki") {
				_, err := o.clients.Transmit.DeleteClient(o.t.Context(), c.ID)
				o.must(err)
			}
		}, hidden: []string{mosaicApps}},
		"app update": {back: func(o *org) {
			_, _, err := o.clients.Transmit.UpdateClient(o.t.Context(), o.app(), transmit.Update{OIDCFields: transmit.OIDCFields{RedirectURIs: []string{"https://wiki.acme.example/old"}}})
			o.must(err)
		}, hidden: []string{mosaicApps}},
		"app roles": {blind: true, hidden: []string{mosaicApps}},
		"app resources": {back: func(o *org) {
			_, _, err := o.clients.Transmit.SetResources(o.t.Context(), o.app(), []string{"c"})
			o.must(err)
		}, hidden: []string{mosaicApps}},
		"app delete":     {hidden: []string{mosaicApps}}, // an id is never given again
		"app delete all": {hidden: []string{mosaicApps}}, // and no credential is left that could see others
	}
}

// must ends the test at an error of what the test itself does at a provider.
func (o *org) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// app gives the id of the client named Wiki.
func (o *org) app() string {
	o.t.Helper()
	made := o.sb.Snapshot().Mosaic.Named("Wiki")
	if len(made) != 1 {
		o.t.Fatalf("%d clients named Wiki", len(made))
	}
	return made[0].ID
}

// writes arms a fault at every change of any provider.
func (o *org) writes(f sandbox.Fault) {
	o.t.Helper()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		for _, path := range []string{"/okta/api/v1/**", asaClients + "/**", "/mosaic/cis/**"} { // not where tokens are fetched
			f.Method, f.Path = method, path
			o.fault(f)
		}
	}
}

// TestEveryKindIsLiedTo holds the table to the kinds that there are.
func TestEveryKindIsLiedTo(t *testing.T) {
	told, covered := lies(), map[string]bool{}
	o := newOrg(t, 0, sandbox.Options{})
	for _, s := range scenarios(t) {
		if _, ok := told[s.name]; !ok {
			t.Errorf("%s is not lied to", s.name)
		}
		delete(told, s.name)
		covered[s.act(o.acme).Do] = true
	}
	for _, k := range actions.Kinds() {
		if !covered[k.Name] {
			t.Errorf("%s has no scenario", k.Name)
		}
	}
	if len(told) > 0 {
		t.Errorf("lies to nobody: %v", told)
	}
}

// TestWhatIsSaidAndNotDone: every change is answered with success and has no effect, for ever. Nothing of it passes
// for done; once the provider does what it says, a redrive brings the end state about.
func TestWhatIsSaidAndNotDone(t *testing.T) {
	eachLie(t, func(t *testing.T, s scenario, l lie) {
		o, told := s.heard(t)
		before := o.sb.Snapshot()
		o.writes(sandbox.Fault{Kind: sandbox.KindNoEffect, Times: -1})
		o.run(s.act(o.acme))
		if effects := o.sb.Journal().Effects(); len(effects) > 0 {
			t.Fatalf("%v happened", effects)
		}
		if l.blind {
			o.ends("s", ledger.Applied)
			return
		}
		o.contested(told)
		o.sb.ClearFaults()
		o.redrive(s, before)
	})
}

// TestWhatIsReadFromThePast: every read after a change shows what was before it, for a day.
func TestWhatIsReadFromThePast(t *testing.T) {
	eachLie(t, func(t *testing.T, s scenario, l lie) {
		o, told := s.heard(t)
		before := o.sb.Snapshot()
		o.writes(sandbox.Fault{Kind: sandbox.KindStale, Times: -1, For: 24 * time.Hour})
		began := o.now
		o.run(s.act(o.acme))
		if l.blind {
			o.ends("s", ledger.Applied)
			return
		}
		if s.name == "app delete all" { // the credential goes with it, and what cannot be read is not read from the past
			o.ends("s", ledger.Applied)
			return
		}
		o.contested(told)
		if took := o.now.Sub(began); took < time.Second || took > time.Minute {
			t.Errorf("looked again for %s", took)
		}
		o.sb.ClearFaults()
		o.redrive(s, before)
		o.once()
	})
}

// TestAccessThatComesBack: whatever is taken away is given back before the next look.
func TestAccessThatComesBack(t *testing.T) {
	eachLie(t, func(t *testing.T, s scenario, l lie) {
		if l.back == nil {
			return
		}
		o, told := s.heard(t)
		o.after = func() { l.back(o) }
		o.run(s.act(o.acme))
		rec := o.contested(told)
		if n := len(rec.Evidence.Applied); n == 0 || n > 40 {
			t.Errorf("%d changes were made", n)
		}
		o.after = nil
		o.verify()
	})
}

// TestAccessThatComesBackLater: a re-check finds it, and takes it away again where the playbook says so.
func TestAccessThatComesBackLater(t *testing.T) {
	eachLie(t, func(t *testing.T, s scenario, l lie) {
		for _, then := range []events.Regressed{events.Alert, events.Act} {
			o := s.org(t)
			before := o.sb.Snapshot()
			o.begin(watched(s.act(o.acme), then, hour))
			o.work()
			o.ends("s", s.done)
			if l.back == nil {
				continue
			}
			l.back(o)
			o.fire()
			o.work()
			if then == events.Act {
				o.ends("s", s.done)
				s.ok(t, o, before)
				continue
			}
			rec := o.ends("s", ledger.Regressed)
			if d := o.dead[rec.Subject[len("ledger.c1."):]]; d.Cause != "regressed" || d.Suggestion == "" || o.life().State != ledger.NeedsPerson {
				t.Errorf("case %s, letter %+v", o.life().State, d)
			}
		}
	})
}

// TestTheFirstLookFromThePast: nothing seems to be needed, because the look shows what was before the access came back.
// Nothing tells such a look from a true one; the re-check does.
func TestTheFirstLookFromThePast(t *testing.T) {
	eachLie(t, func(t *testing.T, s scenario, l lie) {
		if l.back == nil {
			return
		}
		o := s.org(t)
		before := o.sb.Snapshot()
		o.run(s.act(o.acme))
		o.fault(sandbox.Fault{Method: http.MethodGet, Kind: sandbox.KindStale, Times: -1})
		l.back(o)
		again := org{world: newWorld(t), sb: o.sb, acme: o.acme, clients: o.clients}
		again.builder, again.now = o.builder, o.now
		again.run(watched(s.act(o.acme), events.Act, hour))
		if rec := again.last("s"); rec.State == ledger.Dead && rec.Evidence.Failure.Suggestion != "" {
			return // what is looked for by name is gone: a person is told
		}
		if rec := again.ends("s", s.done); len(rec.Evidence.Applied) > 0 {
			t.Fatalf("it was no look from the past: %+v", rec.Evidence.Applied)
		}
		o.sb.ClearFaults()
		again.fire()
		again.work()
		if rec := again.ends("s", s.done); len(rec.Evidence.Applied) == 0 {
			t.Errorf("nothing was done about it: %q", rec.Reason)
		}
		s.ok(t, o, before)
	})
}

// TestWhatMayNotBeRead: a credential that sees nothing, or is refused, proves nothing.
func TestWhatMayNotBeRead(t *testing.T) {
	eachLie(t, func(t *testing.T, s scenario, l lie) {
		o := s.org(t)
		o.fault(sandbox.Fault{Method: http.MethodGet, Kind: sandbox.KindStatus, Status: http.StatusForbidden, Times: -1})
		o.begin(s.act(o.acme))
		o.deliver(o.queue[0])
		if rec := o.last("s"); rec.State.Achieved() || len(o.sb.Journal().Effects()) > 0 {
			t.Errorf("refused everything: %s, %v", rec.State, o.sb.Journal().Effects())
		}
		o = s.org(t)
		before := o.sb.Snapshot()
		for _, path := range l.hidden {
			body := "[]"
			if strings.HasPrefix(path, "/asa") {
				body = `{"list":[]}`
			}
			o.fault(sandbox.Fault{Method: http.MethodGet, Path: path, Kind: sandbox.KindStatus, Status: http.StatusOK, Body: body, Times: -1})
		}
		o.begin(s.act(o.acme))
		o.deliver(o.queue[0])
		rec := o.last("s")
		switch {
		case l.found:
			o.ends("s", s.done)
			s.ok(t, o, before)
		case rec.State.Achieved() || len(o.sb.Journal().Effects()) > 0:
			t.Errorf("shown nothing: %s, %v", rec.State, o.sb.Journal().Effects())
		case rec.State == ledger.Dead && rec.Evidence.Failure.Suggestion == "":
			t.Errorf("no advice about %s", rec.Reason)
		}
	})
}

// heard makes the scenario's org, and gives what its runner logs.
func (s scenario) heard(t *testing.T) (*org, *bytes.Buffer) {
	o, told := s.org(t), &bytes.Buffer{}
	o.wide = slog.New(slog.NewTextHandler(told, nil))
	return o, told
}

// TestASweepOfNothing: the person's own listings show nothing, and no authorization server is shown that could.
func TestASweepOfNothing(t *testing.T) {
	for sweep, want := range map[string]ledger.State{"all": ledger.Dead, "clients": ledger.Dead, "none": ledger.Verified} {
		o := newOrg(t, 0, sandbox.Options{})
		o.fault(sandbox.Fault{Method: http.MethodGet, Path: oktaServers, Kind: sandbox.KindStatus, Status: http.StatusOK, Body: "[]", Times: -1})
		id := o.sb.AddUser(sandbox.UserSpec{Login: "new@acme.example"})
		o.run(act("s", "okta.revoke_user_tokens", map[string]any{"user": events.UserRef{OktaID: id}, "sweep": sweep}))
		if rec := o.ends("s", want); want == ledger.Dead && !strings.Contains(rec.Evidence.Failure.Suggestion, "sweep: none") {
			t.Errorf("advice: %q", rec.Evidence.Failure.Suggestion)
		}
	}
}

// TestWhatIsDeletedAndAnswers200: ASA answers about what it has deleted as about anything else, but for one field.
func TestWhatIsDeletedAndAnswers200(t *testing.T) {
	const at = `"deleted_at":"2026-01-02T03:04:05Z"`
	gone := func(o *org, id, hostname string) sandbox.Fault {
		return sandbox.Fault{Method: http.MethodGet, Path: asaClients + "/" + id, Kind: sandbox.KindStatus, Status: http.StatusOK, Times: -1,
			Body: `{"id":"` + id + `","hostname":"` + hostname + `","state":"ACTIVE","user_name":"` + o.acme.Traveller.ASAName + `",` + at + `}`}
	}
	o := newOrg(t, 0, sandbox.Options{})
	lost := o.acme.Traveller
	o.fault(sandbox.Fault{Method: http.MethodDelete, Kind: sandbox.KindStatus, Status: http.StatusNotFound, Times: -1})
	o.fault(gone(o, lost.Devices[0], lost.Hostnames[0]))
	o.fault(sandbox.Fault{Method: http.MethodGet, Path: asaClients, Kind: sandbox.KindStatus, Status: http.StatusOK, Times: -1,
		Body: `{"list":[{"id":"` + lost.Devices[0] + `","hostname":"` + lost.Hostnames[0] + `","state":"ACTIVE","user_name":"` + lost.ASAName + `",` + at + `}]}`})
	o.run(act("s", "asa.revoke_clients", map[string]any{"user": ref(lost), "hostname": lost.Hostnames[0]}))
	if rec := o.ends("s", ledger.Verified); !strings.HasSuffix(saw(rec, "client "+lost.Devices[0]), ", deleted") {
		t.Errorf("the proof says %+v", rec.Evidence.Seen)
	}
	for name, f := range map[string]func(o *org) sandbox.Fault{
		"client": func(o *org) sandbox.Fault { return gone(o, o.acme.Unassigned, "spare-laptop") },
		"user": func(o *org) sandbox.Fault {
			return sandbox.Fault{Method: http.MethodGet, Path: asaUsers + "/**", Kind: sandbox.KindStatus, Status: http.StatusOK, Times: -1,
				Body: `{"name":"` + lost.ASAName + `","status":"ACTIVE","details":{"email":"` + lost.Login + `"},` + at + `}`}
		},
	} {
		o := newOrg(t, 0, sandbox.Options{})
		o.fault(f(o))
		o.run(act("s", "asa.approve_client", map[string]any{"user": events.UserRef{ASAUsername: lost.ASAName}, "client_id": o.acme.Unassigned}))
		if o.ends("s", ledger.Dead); len(o.sb.Journal().Effects()) > 0 {
			t.Errorf("access was given with a deleted %s", name)
		}
	}
}

// eachLie runs a test for every scenario.
func eachLie(t *testing.T, test func(t *testing.T, s scenario, l lie)) {
	told := lies()
	for _, s := range scenarios(t) {
		t.Run(strings.ReplaceAll(s.name, " ", "_"), func(t *testing.T) { t.Parallel(); test(t, s, told[s.name]) })
	}
}

// contested checks that the action ended so after bounded rounds, and that a person is told.
func (o *org) contested(told *bytes.Buffer) ledger.Record {
	o.t.Helper()
	rec := o.ends("s", ledger.Contested)
	d := o.dead["c1:p:s"]
	if d.Cause != "contested" || d.Suggestion == "" || o.life().State != ledger.NeedsPerson || len(rec.Evidence.Needed) == 0 {
		o.t.Errorf("case %s, letter %+v, evidence %+v", o.life().State, d, rec.Evidence)
	}
	if n := strings.Count(told.String(), " alert="); n != 1 {
		o.t.Errorf("%d alerts: %s", n, told)
	}
	return rec
}

// redrive has a person send the action again, and checks that it reaches its end.
func (o *org) redrive(s scenario, before sandbox.State) {
	o.t.Helper()
	rec := o.last("s")
	if !rec.State.Achieved() {
		_, err := o.ledger().Append(o.t.Context(), rec, ledger.Record{Subject: rec.Subject, State: ledger.Redriven, Tries: rec.Tries})
		o.must(err)
		o.queue = slices.Clone(o.plan.Actions)
		o.work()
	}
	o.ends("s", s.done)
	s.ok(o.t, o, before)
	o.verify()
}
