package actions_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

func ensure(name string, app events.App) events.Action {
	return act(name, "transmit.ensure_client", map[string]any{"app": app})
}

func TestTwoEventsOfOneAppMakeOneClient(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	app := wiki()
	app.Description = strings.Repeat("wörter ", 40)
	o.run(ensure("first", app), ensure("second", wiki()))
	first, second := o.ends("first", ledger.Verified), o.ends("second", ledger.Verified)
	made := o.sb.Snapshot().Mosaic.Named("Wiki")
	if len(made) != 1 || first.Evidence.Pins["client"] != made[0].ID || second.Evidence.Pins["client"] != made[0].ID {
		t.Fatalf("%d clients; pins %v and %v", len(made), first.Evidence.Pins, second.Evidence.Pins)
	}
	if d := made[0].Description; len(d) > 100 || !strings.HasPrefix(d, "[idem:") || strings.ContainsRune(d, '�') {
		t.Errorf("description %q", d)
	}
	if roles := string(made[0].Fields["role_ids"]); roles != `["reader"]` {
		t.Errorf("roles %s", roles)
	}
	if s := o.stored(made[0].ID); s["client_secret"] == "" || s["key"] != "REQ-1" || s["name"] != "Wiki" {
		t.Error("the sink holds something else")
	}
}

func TestTwoClientsWithTheMark(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	o.run(ensure("first", wiki()))
	made := o.sb.Snapshot().Mosaic.Named("Wiki")[0]
	o.now = o.now.Add(time.Hour)
	younger := o.sb.AddMosaicClient(sandbox.MosaicClientSpec{Name: "Wiki", Description: made.Description})
	second := newWorld(t)
	second.builder, second.now = o.builder, o.now
	second.begin(ensure("again", wiki()))
	second.work()
	rec := second.last("again")
	if rec.State != ledger.Verified || rec.Evidence.Pins["client"] != made.ID {
		t.Errorf("%s with %v, want the older one", rec.State, rec.Evidence.Pins)
	}
	if got := saw(rec, "client "+younger.ClientID); !strings.Contains(got, "younger") {
		t.Errorf("evidence says %q of the other", got)
	}
	if n := len(o.sb.Snapshot().Mosaic.Named("Wiki")); n != 2 {
		t.Errorf("%d clients: nobody asked for a deletion", n)
	}
}

func TestSameNameOfAnotherOrigin(t *testing.T) {
	for choice, want := range map[string]ledger.State{"fail": ledger.Dead, "create": ledger.Verified} {
		o := newOrg(t, 0, sandbox.Options{})
		o.sb.AddMosaicClient(sandbox.MosaicClientSpec{Name: "Wiki"})
		o.run(act("s", "transmit.ensure_client", map[string]any{"app": wiki(), "same_name": choice}))
		rec := o.ends("s", want)
		if want == ledger.Dead && !strings.Contains(rec.Evidence.Failure.Suggestion, "[idem:") {
			t.Errorf("advice: %q", rec.Evidence.Failure.Suggestion)
		}
	}
}

func TestIdentifierTaken(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	o.fault(sandbox.Fault{Method: "POST", Path: "/mosaic/cis/v1/clients", Kind: sandbox.KindStatus, Status: 409, Times: -1})
	o.run(ensure("s", wiki()))
	if rec := o.ends("s", ledger.Dead); rec.Evidence.Failure.Status != 409 || rec.Evidence.Failure.Suggestion == "" {
		t.Errorf("failure %+v", rec.Evidence.Failure)
	}
	o = newOrg(t, 0, sandbox.Options{})
	o.fault(sandbox.Fault{Method: "POST", Path: "/mosaic/cis/v1/clients", Kind: sandbox.KindEffectThenStatus, Status: 409})
	o.run(ensure("s", wiki()))
	o.ends("s", ledger.Verified) // it was ours
	o.once()
}

// TestSecretIsNotLost: dying between creation and sink, the secret is read again; where the provider masks it then, a
// person is told, and the action does not pass for done.
func TestSecretIsNotLost(t *testing.T) {
	for _, mask := range []bool{false, true} {
		o := newOrg(t, 0, sandbox.Options{Mosaic: sandbox.MosaicOptions{MaskSecrets: mask}})
		o.fault(sandbox.Fault{Method: "POST", Path: "/mosaic/cis/v1/clients", Kind: sandbox.KindEffectThenTimeout})
		o.run(ensure("s", wiki()))
		made := o.sb.Snapshot().Mosaic.Named("Wiki")
		if len(made) != 1 {
			t.Fatalf("%d clients", len(made))
		}
		want := ledger.Verified
		if mask {
			want = ledger.Dead
		}
		rec := o.ends("s", want)
		if got := o.stored(made[0].ID)["client_secret"]; (got == "") != mask || strings.Contains(got, "*") {
			t.Errorf("masked %v: the sink holds %d characters", mask, len(got))
		}
		if mask && !strings.Contains(rec.Evidence.Failure.Suggestion, "second secret") {
			t.Errorf("advice %q", rec.Evidence.Failure.Suggestion)
		}
	}
	o := newOrg(t, 0, sandbox.Options{Mosaic: sandbox.MosaicOptions{MaskSecrets: true}})
	o.run(ensure("s", wiki())) // without a death it is handed on at once
	o.ends("s", ledger.Verified)
}

func TestSinkThatFails(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	o.clients.Sink = actions.DirSink{Dir: filepath.Join(o.dir, "not-yet")}
	o.begin(ensure("s", wiki()))
	out := o.deliver(o.queue[0])
	if rec := o.last("s"); rec.State != ledger.Waiting || out.Verdict != events.Retry || len(rec.Evidence.Applied) != 1 {
		t.Fatalf("%s, %+v", rec.State, out)
	}
	o.clients.Sink = actions.DirSink{Dir: o.dir}
	o.work()
	rec := o.ends("s", ledger.Verified)
	if o.stored(rec.Evidence.Pins["client"])["client_secret"] == "" {
		t.Error("the secret is not in the sink")
	}
	o.once()
	o.silent()
}

func TestCommandSinkIsBlind(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{Mosaic: sandbox.MosaicOptions{MaskSecrets: true}})
	out := filepath.Join(o.dir, "handed.json")
	o.clients.Sink = actions.CommandSink{Command: []string{"/bin/sh", "-c", `cat >> "$0"`, out}}
	o.run(ensure("s", wiki()))
	rec := o.ends("s", ledger.Applied)
	if o.stored("handed")["client_id"] != rec.Evidence.Pins["client"] { // two lines would not be one JSON
		t.Error("the command did not get one secret")
	}
	o.silent()
}

// TestClientThatSomebodyDeleted: a person redrives, and a new client is made under a new id.
func TestClientThatSomebodyDeleted(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	o.fault(sandbox.Fault{Method: "POST", Path: "/mosaic/cis/v1/clients", Kind: sandbox.KindNoEffect})
	o.run(ensure("s", wiki()))
	last := o.ends("s", ledger.Contested)
	if _, err := o.ledger().Append(t.Context(), last, ledger.Record{
		Subject: last.Subject, State: ledger.Redriven, Attempt: "cmd", Evidence: last.Evidence, Attempts: last.Attempts,
	}); err != nil {
		t.Fatal(err)
	}
	again := o.plan.Actions[0]
	again.Redrive = 1
	o.queue = []events.Action{again}
	o.work()
	rec := o.ends("s", ledger.Verified)
	if made := o.sb.Snapshot().Mosaic.Named("Wiki"); len(made) != 1 || made[0].ID != rec.Evidence.Pins["client"] {
		t.Errorf("%d clients, pins %v", len(made), rec.Evidence.Pins)
	}
}

// TestDeletedClientLeavesAnother: the fixed client is gone, another one with the mark takes its place, and no third is
// made.
func TestDeletedClientLeavesAnother(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	o.run(ensure("first", wiki()))
	made := o.sb.Snapshot().Mosaic.Named("Wiki")[0]
	o.now = o.now.Add(time.Hour)
	other := o.sb.AddMosaicClient(sandbox.MosaicClientSpec{Name: "Wiki", Description: made.Description})
	if _, err := o.clients.Transmit.DeleteClient(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	k, err := o.clients.Build(act("again", "transmit.ensure_client", map[string]any{"app": wiki(), "same_name": "create"}),
		map[string]string{"client": made.ID})
	if err != nil {
		t.Fatal(err)
	}
	obs, err := k.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(obs.Needed) != 1 || obs.Needed[0].Call != "sink.store" || obs.Pins["client"] != other.ClientID {
		t.Errorf("needed %+v with %v, want the secret of %s in the sink", obs.Needed, obs.Pins, other.ClientID)
	}
}

func TestParametersAreStrict(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	app := func(change func(*events.App)) string {
		a := wiki()
		change(&a)
		raw, err := json.Marshal(map[string]any{"app": a})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for _, tc := range []struct{ do, with, want string }{
		{"okta.suspend_user", ``, "with.user: required"},
		{"okta.suspend_user", `[]`, "no object"},
		{"okta.suspend_user", `{"user": null}`, "with.user: required"},
		{"okta.suspend_user", `{"user": {}}`, "none of okta_id"},
		{"okta.suspend_user", `{"user": "maria@acme.example"}`, "with.user"},
		{"okta.suspend_user", `{"user": {"email": "m@acme.example"}, "notactive": "fail"}`, "with.notactive: no such parameter"},
		{"okta.suspend_user", `{"user": {"email": "m@acme.example"}, "not_active": "delete"}`, "one of fail, deactivate"},
		{"okta.clear_sessions", `{"user": {"email": "m@acme.example"}, "forget_devices": "yes"}`, "with.forget_devices"},
		{"okta.revoke_user_tokens", `{"user": {"email": "m@acme.example"}, "sweep": "some"}`, "one of all"},
		{"okta.revoke_client_tokens", `{"client_id": " "}`, "with.client_id: empty"},
		{"okta.deactivate_user", `{"user": {"email": "m@acme.example"}, "send_email": 1}`, "with.send_email"},
		{"asa.revoke_clients", `{"user": {"login": "maria"}}`, "neither asa_username nor email"},
		{"asa.approve_client", `{"user": {"login": "m@acme.example"}, "client_id": "c"}`, "neither asa_username nor email"},
		{"asa.revoke_clients", `{"user": {"email": "m@acme.example"}, "hostname": ""}`, "with.hostname: empty"},
		{"asa.approve_client", `{"user": {"email": "m@acme.example"}}`, "neither client_id nor hostname"},
		{"asa.approve_client", `{"user": {"email": "m@acme.example"}, "client_id": "x", "state": "DELETED"}`, "one of ACTIVE"},
		{"transmit.ensure_client", app(func(a *events.App) { a.Key = "" }), "with.app.key"},
		{"transmit.ensure_client", app(func(a *events.App) { a.RoleIDs = nil }), "role_ids"},
		{"transmit.ensure_client", app(func(a *events.App) { a.RolesWaived = true }), "contradicts"},
		{"transmit.ensure_client", app(func(a *events.App) { a.RedirectURIs[0] = "http://wiki.acme.example" }), "redirect_uris[0]"},
		{"transmit.ensure_client", app(func(a *events.App) { a.RedirectURIs[0] = "com.acme.wiki:/cb" }), "redirect_uris[0]"},
		{"transmit.ensure_client", app(func(a *events.App) { a.AuthenticationProtocol = "saml" }), "only oidc"},
		{"transmit.delete_world", `{}`, "no such kind"},
	} {
		a := step("s", tc.do)
		a.With = json.RawMessage(tc.with)
		if _, err := o.clients.Build(a, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %s: %v, want %q", tc.do, tc.with, err, tc.want)
		}
	}
	for _, good := range []string{
		app(func(a *events.App) { a.RedirectURIs[0] = "http://127.0.0.1:8080/cb" }),
		app(func(a *events.App) { a.ClientType, a.RedirectURIs[0] = "native", "com.acme.wiki:/cb" }),
		app(func(a *events.App) { a.RoleIDs, a.RolesWaived = nil, true }),
		`{"app": {"key": "k", "name": "n", "redirect_uris": ["https://a.example"], "role_ids": ["r"], "cost_centre": 7}}`,
	} {
		a := step("s", "transmit.ensure_client")
		a.With = json.RawMessage(good)
		if _, err := o.clients.Build(a, nil); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	c := o.clients
	c.Sink = nil
	if _, err := c.Build(ensure("s", wiki()), nil); err == nil || !strings.Contains(err.Error(), "secret_sink") {
		t.Errorf("without a sink: %v", err)
	}
	c.Okta = nil
	if _, err := c.Build(act("s", "okta.suspend_user", map[string]any{"user": ref(o.acme.Leaver)}), nil); err == nil {
		t.Error("an Okta action at a connection that is none")
	}
}

func TestKindsAreDescribed(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range actions.Kinds() {
		provider, _, ok := strings.Cut(k.Name, ".")
		if !ok || provider != k.Provider || seen[k.Name] || len(k.Parameters) == 0 {
			t.Errorf("%+v", k)
		}
		seen[k.Name] = true
		for _, p := range k.Parameters {
			if p.Name == "" || p.About == "" {
				t.Errorf("%s: parameter %+v", k.Name, p)
			}
		}
		destroys := slices.Contains([]string{"okta.deactivate_user", "transmit.delete_client", "transmit.delete_all_clients"}, k.Name)
		if k.Destructive != destroys || actions.Destructive(k.Name) != destroys {
			t.Errorf("%s destroys: %v", k.Name, k.Destructive)
		}
		if (k.Approvers > 0) != (k.Name == "transmit.delete_all_clients") {
			t.Errorf("%s needs %d approvers", k.Name, k.Approvers)
		}
	}
	if len(seen) != 13 {
		t.Errorf("%d kinds", len(seen))
	}
	if !actions.Destructive("okta.something_new") {
		t.Error("a kind that nobody knows is taken to be harmless")
	}
}

// TestAMarkIsNobodysToWrite: a description that holds the mark of another app neither makes a client that passes for that
// app's nor makes one of a client that is there. An app's own mark, read back and sent again, is no harm.
func TestAMarkIsNobodysToWrite(t *testing.T) {
	others := actions.MarkOf("sample", "REQ-2")
	app := wiki()
	app.Description = "a wiki " + others
	for name, a := range map[string]events.Action{
		"made":            ensure("s", app),
		"changed":         change("transmit.update_client", map[string]any{"description": "a wiki " + others}),
		"hidden by a key": act("s", "transmit.update_client", map[string]any{"app": map[string]string{"key": "REQ-1", "description": others, "Description": "x"}}),
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			o := newOrg(t, 0, sandbox.Options{})
			if name != "made" {
				o.addWiki(nil)
			}
			o.run(a)
			if f := o.ends("s", ledger.Dead).Evidence.Failure; !strings.Contains(f.Error, "with.app.description") || f.Suggestion == "" {
				t.Errorf("failure %+v", f)
			}
			if effects := o.once(); len(effects) != 0 {
				t.Errorf("effects %v", effects)
			}
		})
	}
	o := newOrg(t, 0, sandbox.Options{})
	app.Description = actions.MarkOf("sample", app.Key) + " a wiki"
	o.run(ensure("s", app))
	o.ends("s", ledger.Verified)
}
