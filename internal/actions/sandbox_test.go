package actions_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/asa"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

// org is a world whose actions run against the sandbox.
type org struct {
	*world
	sb      *sandbox.Sandbox
	acme    sandbox.Acme
	clients actions.Clients
	dir     string // of secrets
	calls   int
	dieAt   int    // the process dies at this call, before it is sent or, negative, after its effect; 0 = never
	after   func() // what others do after each change; nil = nothing

	met func(*http.Request) // what others do before each call; nil = nothing
}

// RoundTrip makes the org the transport of its clients.
func (o *org) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "token") { // tokens are fetched beside the handler
		return o.sb.Transport().RoundTrip(req)
	}
	o.calls++
	if o.met != nil {
		o.met(req)
	}
	if o.calls == o.dieAt {
		panic(died{"before " + req.URL.Path})
	}
	res, err := o.sb.Transport().RoundTrip(req)
	if o.calls == -o.dieAt {
		panic(died{"after " + req.URL.Path})
	}
	if after := o.after; after != nil && req.Method != http.MethodGet {
		o.after = nil // what it calls itself is no change that it answers
		after()
		o.after = after
	}
	return res, err
}

// newOrg makes the sample company, with so many staff, on the world's clock.
func newOrg(t *testing.T, staff int, opt sandbox.Options) *org {
	t.Helper()
	o := &org{world: newWorld(t), dir: t.TempDir()}
	opt.Now = func() time.Time { return o.now }
	if opt.Limits == nil {
		opt.Limits = sandbox.Unlimited()
	}
	o.sb = sandbox.New(opt)
	o.acme = o.sb.SeedAcme(staff)
	o.clients = o.connect(o.sb.Credentials().ASAAdmin)
	o.builder = func(a events.Action, pins map[string]string) (actions.Kind, error) { return o.clients.Build(a, pins) }
	return o
}

// connect makes clients of all three providers.
func (o *org) connect(key sandbox.ASAKey) actions.Clients {
	o.t.Helper()
	w := apiclient.Wiring{Transport: o, Now: func() time.Time { return o.now }, Rand: func() float64 { return 0.5 }}
	cred, at := o.sb.Credentials(), sandbox.InProcessURL
	ok, err := okta.New(okta.Options{BaseURL: sandbox.OktaURL(at), SSWS: secret.New(cred.OktaAPIToken), Wiring: w})
	if err != nil {
		o.t.Fatal(err)
	}
	as, err := asa.New(asa.Options{
		BaseURL: sandbox.ASAURL(at), Team: "acme",
		ServiceUser: asa.ServiceUser{KeyID: key.KeyID, KeySecret: secret.New(key.KeySecret)}, Wiring: w,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	tr, err := transmit.New(transmit.Options{
		BaseURL: sandbox.MosaicURL(at), TokenURL: sandbox.MosaicTokenURL(at),
		ClientID: cred.Mosaic.ClientID, ClientSecret: secret.New(cred.Mosaic.ClientSecret), Wiring: w,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return actions.Clients{
		Connection: "sample", Okta: ok, ASA: as, Transmit: tr, Sink: actions.DirSink{Dir: o.dir},
		Sweeps: &actions.Sweeps{}, Now: func() time.Time { return o.now },
	}
}

// act makes an action with parameters.
func act(name, do string, with any, after ...string) events.Action {
	a := step(name, do, after...)
	raw, err := json.Marshal(with)
	if err != nil {
		panic(err)
	}
	a.With = raw
	return a
}

// run runs the actions of one case to their end.
func (o *org) run(as ...events.Action) {
	o.t.Helper()
	o.begin(as...)
	o.work()
}

// ends checks the state of an action.
func (o *org) ends(step string, want ledger.State) ledger.Record {
	o.t.Helper()
	rec := o.last(step)
	if rec.State != want {
		why := ""
		if rec.Evidence != nil && rec.Evidence.Failure != nil {
			why = rec.Evidence.Failure.Error
		}
		o.t.Fatalf("%s is %s, want %s: %s", step, rec.State, want, why)
	}
	return rec
}

// once checks that no effect happened twice, and gives them all.
func (o *org) once() []string {
	o.t.Helper()
	all := o.sb.Journal().Effects()
	for _, e := range all {
		if n := count(all, e); n != 1 {
			o.t.Errorf("effect %q happened %d times", e, n)
		}
	}
	return all
}

// saw reports what an evidence says of a thing.
func saw(rec ledger.Record, what string) string {
	for _, f := range rec.Evidence.Seen {
		if f.What == what {
			return f.Value
		}
	}
	return "nothing"
}

// fault arms a fault.
func (o *org) fault(f sandbox.Fault) {
	o.t.Helper()
	if _, err := o.sb.Fault(f); err != nil {
		o.t.Fatal(err)
	}
}

func ref(p sandbox.Person) events.UserRef {
	return events.UserRef{Email: p.Login, EmployeeNumber: p.EmployeeNumber}
}

// scenario is one kind at work on the sample company.
type scenario struct {
	name string
	act  func(a sandbox.Acme) events.Action
	done ledger.State
	// ok says what of the truth must hold in the end; before is the truth at the beginning.
	ok func(t *testing.T, o *org, before sandbox.State)
}

// scenarios lists those of every kind.
func scenarios(t *testing.T) []scenario { return slices.Concat(personScenarios(), appScenarios(t)) }

func personScenarios() []scenario {
	user := func(a sandbox.Acme) map[string]any { return map[string]any{"user": ref(a.Leaver)} }
	return []scenario{
		{"suspend", func(a sandbox.Acme) events.Action { return act("s", "okta.suspend_user", user(a)) }, ledger.Verified,
			func(t *testing.T, o *org, _ sandbox.State) {
				if u, _ := o.sb.Snapshot().Okta.User(o.acme.Leaver.OktaID); u.Status != "SUSPENDED" {
					t.Errorf("the leaver is %s", u.Status)
				}
			}},
		{"deactivate", func(a sandbox.Acme) events.Action { return act("s", "okta.deactivate_user", user(a)) }, ledger.Verified,
			func(t *testing.T, o *org, _ sandbox.State) {
				if u, _ := o.sb.Snapshot().Okta.User(o.acme.Leaver.OktaID); u.Status != "DEPROVISIONED" {
					t.Errorf("the leaver is %s", u.Status)
				}
			}},
		{"sessions", func(a sandbox.Acme) events.Action { return act("s", "okta.clear_sessions", user(a)) }, ledger.Applied,
			func(t *testing.T, o *org, _ sandbox.State) {
				lied := len(o.sb.Faults()) > 0 && o.sb.Faults()[0].Fault.Kind == sandbox.KindNoEffect
				if s := o.sb.Snapshot().Okta.SessionsOf(o.acme.Leaver.OktaID); len(s) != 0 && !lied { // nobody can tell
					t.Errorf("%d sessions are left", len(s))
				}
			}},
		{"user tokens", func(a sandbox.Acme) events.Action { return act("s", "okta.revoke_user_tokens", user(a)) }, ledger.Verified,
			func(t *testing.T, o *org, before sandbox.State) {
				now := o.sb.Snapshot().Okta
				id := o.acme.Leaver.OktaID
				if len(now.TokensOf(id)) != 0 || len(now.GrantsOf(id)) != 0 {
					t.Errorf("%d tokens and %d grants are left", len(now.TokensOf(id)), len(now.GrantsOf(id)))
				}
				if len(before.Okta.Tokens)-len(now.Tokens) != 9 {
					t.Errorf("%d tokens went, want 9", len(before.Okta.Tokens)-len(now.Tokens))
				}
			}},
		{"client tokens", func(a sandbox.Acme) events.Action {
			return act("s", "okta.revoke_client_tokens", map[string]string{"client_id": a.SharedClient})
		}, ledger.Verified,
			func(t *testing.T, o *org, before sandbox.State) {
				now := o.sb.Snapshot().Okta
				if n := len(now.TokensOfClient(o.acme.SharedClient)); n != 0 || len(before.Okta.Tokens)-len(now.Tokens) != 3 {
					t.Errorf("%d are left, %d went", n, len(before.Okta.Tokens)-len(now.Tokens))
				}
			}},
		{"one token", func(a sandbox.Acme) events.Action {
			return act("s", "okta.revoke_token", map[string]string{"client_id": a.Apps[0], "token_id": a.Leaver.Tokens[len(a.Apps)]})
		}, ledger.Verified,
			func(t *testing.T, o *org, before sandbox.State) {
				o.onlyRevoked(before, o.acme.Leaver.Tokens[len(o.acme.Apps)])
			}},
		{"asa clients", func(a sandbox.Acme) events.Action { return act("s", "asa.revoke_clients", user(a)) }, ledger.Verified,
			func(t *testing.T, o *org, before sandbox.State) { o.onlyDeleted(before, o.acme.Leaver.Devices...) }},
		{"one asa client", func(a sandbox.Acme) events.Action {
			return act("s", "asa.revoke_clients", map[string]any{"user": ref(a.Leaver), "hostname": a.Leaver.Hostnames[1]})
		}, ledger.Verified,
			func(t *testing.T, o *org, before sandbox.State) { o.onlyDeleted(before, o.acme.Leaver.Devices[1]) }},
		{"approve", func(a sandbox.Acme) events.Action {
			return act("s", "asa.approve_client", map[string]any{"user": ref(a.Traveller), "client_id": a.Unassigned})
		}, ledger.Verified,
			func(t *testing.T, o *org, _ sandbox.State) {
				if d, _ := o.sb.Snapshot().ASA.Client(o.acme.Unassigned); d.State != "ACTIVE" || d.UserName != o.acme.Traveller.ASAName {
					t.Errorf("the client is %+v", d)
				}
			}},
		{"create", func(sandbox.Acme) events.Action {
			return act("s", "transmit.ensure_client", map[string]any{"app": wiki()})
		}, ledger.Verified,
			func(t *testing.T, o *org, _ sandbox.State) {
				made := o.sb.Snapshot().Mosaic.Named("Wiki")
				if len(made) != 1 {
					t.Fatalf("%d clients were made", len(made))
				}
				if stored, _, err := o.clients.Sink.Stored(t.Context(), made[0].ID); !stored || err != nil {
					t.Errorf("its secret is in the sink: %v, %v", stored, err)
				}
			}},
	}
}

// onlyDeleted checks that these ASA clients are deleted and every other one is as it was.
func (o *org) onlyDeleted(before sandbox.State, ids ...string) {
	o.t.Helper()
	for _, was := range before.ASA.Clients {
		is, _ := o.sb.Snapshot().ASA.Client(was.ID)
		if gone := is.State == "DELETED"; gone != slices.Contains(ids, was.ID) {
			o.t.Errorf("client %s of %s is %s", was.Hostname, was.UserName, is.State)
		}
	}
}

func wiki() events.App {
	return events.App{
		Key: "REQ-1", Name: "Wiki", Description: "the company's wiki", RedirectURIs: []string{"https://wiki.acme.example/cb"},
		RoleIDs: []string{"reader"},
	}
}

// TestKindsReachTheirEnd runs every kind with a fault of every sort at every one of its calls.
func TestKindsReachTheirEnd(t *testing.T) {
	faults := []sandbox.Fault{
		{Kind: sandbox.KindStatus, Status: http.StatusInternalServerError},
		{Kind: sandbox.KindStatus, Status: http.StatusTooManyRequests},
		{Kind: sandbox.KindStatus, Status: http.StatusUnauthorized},
		{Kind: sandbox.KindCut},
		{Kind: sandbox.KindEffectThenTimeout},
		{Kind: sandbox.KindEffectThenStatus, Status: http.StatusBadGateway},
		{Kind: sandbox.KindNoEffect},
		{Kind: sandbox.KindStale, For: 4 * time.Second},
	}
	for _, s := range scenarios(t) {
		t.Run(strings.ReplaceAll(s.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			clean := s.run(t, nil)
			step := (stride+1)/2 + clean/20*stride
			for i, f := range faults {
				for f.Skip = i % step; f.Skip < clean; f.Skip += step { // with a step, each fault begins elsewhere
					t.Run(fmt.Sprintf("%s_%d_at_%d", f.Kind, f.Status, f.Skip), func(t *testing.T) { s.run(t, &f) })
				}
			}
		})
	}
}

// TestKindsSurviveDeath lets the process die before and after each of their calls.
func TestKindsSurviveDeath(t *testing.T) {
	for _, s := range scenarios(t) {
		t.Run(strings.ReplaceAll(s.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			clean := s.dying(t, 0)
			for at := 1; at <= clean; at += stride {
				s.dying(t, at)
				s.dying(t, -at)
			}
		})
	}
}

// dying runs the scenario with a death and gives the number of calls that it took.
func (s scenario) dying(t *testing.T, at int) int {
	t.Helper()
	o := s.org(t)
	o.dieAt = at
	before := o.sb.Snapshot()
	o.run(s.act(o.acme))
	rec := o.ends("s", s.done)
	s.ok(t, o, before)
	if len(rec.Evidence.Applied) == 0 || !s.spared(o, before) {
		t.Errorf("died at %d: somebody else was touched, or the evidence is empty: %+v", at, rec.Evidence)
	}
	o.once()
	o.verify()
	o.silent()
	return o.calls
}

// run runs the scenario with a fault and gives the number of calls that it took.
func (s scenario) run(t *testing.T, f *sandbox.Fault) int {
	o := s.org(t)
	before := o.sb.Snapshot()
	if f != nil {
		o.fault(*f)
	}
	o.run(s.act(o.acme))
	if s.once(o) {
		o.ends("s", ledger.Contested) // said to be made, and it was not: never made a second time without a person
		return 0
	}
	rec := o.ends("s", s.done)
	s.ok(t, o, before)
	if !s.spared(o, before) {
		t.Error("somebody else was touched")
	}
	o.once()
	o.verify()
	ev := rec.Evidence
	if len(ev.Seen) == 0 || len(ev.Pins) == 0 || len(ev.Applied) == 0 || len(ev.Needed) != 0 {
		t.Errorf("evidence %+v", ev)
	}
	if f == nil {
		for _, e := range ev.Applied {
			if e.RequestID == "" && strings.HasPrefix(e.Call, "okta.") {
				t.Errorf("%s %s has no request id", e.Call, e.Target)
			}
		}
	}
	o.silent()
	return len(o.sb.Journal())
}

// silent checks that no secret stands in the ledger, in a dead letter or in what waits.
func (o *org) silent() {
	o.t.Helper()
	c := o.sb.Credentials()
	text := fmt.Sprint(o.queue, o.dead)
	for _, e := range o.log.Entries() {
		text += string(e.Data)
	}
	for _, s := range []string{c.OktaAPIToken, c.ASAAdmin.KeySecret, c.Mosaic.ClientSecret} {
		if strings.Contains(text, s) {
			o.t.Error("a credential stands in the ledger")
		}
	}
	for _, made := range o.sb.Snapshot().Mosaic.Named("Wiki") {
		data := o.stored(made.ID)
		if s := data["client_secret"]; s != "" && strings.Contains(text, s) {
			o.t.Error("a created client's secret stands in the ledger")
		}
	}
}
