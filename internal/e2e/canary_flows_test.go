package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ingest"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
	"keyturn/internal/view"
)

type object = map[string]any

func personOf(p sandbox.Person) object { return object{"email": p.Login} }

func appOf(key string) object {
	return object{"app": object{
		"key": key, "name": "App " + key, "redirect_uris": []string{"https://" + key + ".acme.example/callback"}, "role_ids": []string{"reader"},
	}}
}

// post delivers an event, signed unless the id says otherwise, and gives its case.
func (w *world) post(t *testing.T, source, id, kind string, data any) string {
	t.Helper()
	body, err := json.Marshal(object{
		"specversion": "1.0", "id": id, "source": "https://" + source + ".acme.example",
		"type": "dev.keyturn." + kind + ".v1", "time": time.Now().UTC().Format(time.RFC3339Nano), "data": data,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, answer := w.deliver(t, source, id, body, nil)
	var taken struct{ Cases []string }
	if json.Unmarshal([]byte(answer), &taken) != nil || len(taken.Cases) != 1 {
		t.Fatalf("%s: answered %s", id, answer)
	}
	w.cases = append(w.cases, taken.Cases[0])
	return taken.Cases[0]
}

// deliver posts a body. spoil, when given, changes the request after it was signed.
func (w *world) deliver(t *testing.T, source, id string, body []byte, spoil func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.hooks+"/hooks/"+source, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	c, _ := w.sources.Find(source)
	if err := ingest.Sign(ingest.Configured(c), req, body, id, time.Now()); err != nil {
		t.Fatal(err)
	}
	if spoil != nil {
		spoil(req)
	}
	status, text := 0, ""
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		text = err.Error()
	} else {
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		status, text = resp.StatusCode, string(b)
	}
	w.answers = append(w.answers, text)
	return status, text
}

// rests waits until a case rests and has every action where want says, in the order of the plan.
func (w *world) rests(t *testing.T, id string, plan ledger.State, want ...ledger.State) {
	t.Helper()
	var v view.CaseView
	var got []ledger.State
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	// Whoever listed all users while their lane stood still keeps the next listing off for up to two minutes.
	deadline := time.After(3 * time.Minute)
	for {
		var err error
		v, err = w.view.Case(t.Context(), id)
		got = got[:0]
		for _, a := range v.Actions {
			got = append(got, a.State)
		}
		if err == nil && v.Resting() && v.Plan == plan && (plan != ledger.Planned || slices.Equal(got, want)) {
			return
		}
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("case %s (%s): plan %s, actions %v, %v; want %s, %v", id, v.Event, v.Plan, got, err, plan, want)
		}
	}
}

// command does what an operator asks for, and waits until it is worked off.
func (w *world) command(t *testing.T, verb events.Verb, target string) {
	t.Helper()
	c := events.Command{ID: string(verb) + "-" + fmt.Sprint(len(w.answers)), Verb: verb, Target: target, Actor: "operator", Reason: "looked at it", Time: time.Now()}
	w.answers = append(w.answers, c.ID)
	if err := w.bus.PublishCommand(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	until(t, "the planner to work off "+c.ID, func() bool {
		rec, err := w.ledger.Last(t.Context(), ledger.PersonSubject("commands", c.ID))
		return err == nil && rec.Seq != 0
	})
}

// flows run everything that Keyturn does, while the providers do everything that providers do.
func (w *world) flows(t *testing.T) {
	t.Helper()
	const done, blind, dead = ledger.Verified, ledger.Applied, ledger.Dead
	w.troubles(t)
	leaver := w.post(t, "hr", "leaver", "user.terminated", object{
		"user": object{"email": w.acme.Leaver.Login, "employee_number": w.acme.Leaver.EmployeeNumber}, "reason": "left",
	})
	lost := w.post(t, "siem", "lost", "device.lost", object{"user": personOf(w.acme.Traveller), "device": object{"hostname": w.acme.Traveller.Hostnames[0]}})
	client := w.post(t, "siem", "client", "client.compromised", object{"client_id": w.acme.SharedClient})
	portal := w.post(t, "hr", "portal", "app.onboarded", appOf("portal"))
	w.rests(t, leaver, ledger.Planned, done, blind, done, done)
	w.rests(t, lost, ledger.Planned, done)
	w.rests(t, client, ledger.Planned, done)
	w.rests(t, portal, ledger.Planned, done)
	for _, f := range w.provider.sandbox.Faults() {
		if f.Struck == 0 {
			t.Errorf("never struck: %+v", f.Fault)
		}
	}
	w.persons(t, dead)
	w.apps(t)
	if left := w.provider.left(); len(left) > 0 {
		t.Errorf("never came to pass: %v", left)
	}
	w.intruders(t)
}

// apps leads an app through its life, and asks for one token to be revoked.
func (w *world) apps(t *testing.T) {
	t.Helper()
	const done = ledger.Verified
	held := w.provider.sandbox.Snapshot().Okta.TokensOf(w.acme.Staff[3].OktaID)[0]
	token := w.post(t, "siem", "token", "token.compromised", object{"token_id": held.ID, "client_id": held.ClientID, "authorization_server": "default"})
	w.rests(t, token, ledger.Planned, done)
	w.rests(t, w.post(t, "hr", "chat", "app.onboarded", appOf("chat")), ledger.Planned, done)
	w.provider.plot(mischief{"PUT", "/resources", garbled}, mischief{"DELETE", "", preamble})
	change := object{"app": object{"key": "chat", "description": "for everybody", "session_expiration": 600}}
	update := w.post(t, "hr", "update", "app.updated", change)
	w.rests(t, update, ledger.Planned, done)
	resources := w.post(t, "hr", "resources", "app.resources_changed", object{"app": object{"key": "chat", "resources": []string{"r1"}}})
	w.rests(t, resources, ledger.Planned, done)
	w.keep()
	w.rests(t, w.post(t, "hr", "retired", "app.retired", object{"app": object{"key": "chat"}}), ledger.Planned, done)
}

// end deletes all clients of the application, after which nobody can speak for it.
func (w *world) end(t *testing.T) {
	t.Helper()
	_, _, app := w.clients(t)
	clients, err := app.ListClients(t.Context())
	if err != nil || len(clients) < 3 {
		t.Fatal(len(clients), err)
	}
	all := w.post(t, "siem", "everything", "app.retired", object{"app": object{"key": clients[0].AppID}})
	w.rests(t, all, ledger.Held)
	w.command(t, events.Approve, all)
	until(t, "all clients to be gone", func() bool { return len(w.provider.sandbox.Snapshot().Mosaic.Clients) == 0 })
}

// troubles arms the faults of the first flows.
func (w *world) troubles(t *testing.T) {
	t.Helper()
	const user, clients = "/okta/api/v1/users/{userId}", "/mosaic/cis/v1/clients"
	for _, f := range []sandbox.Fault{
		{Method: "POST", Path: user + "/lifecycle/suspend", Kind: sandbox.KindStatus, Status: 429, RetryIn: time.Second},
		{Method: "DELETE", Path: user + "/sessions", Kind: sandbox.KindCut},
		{Method: "DELETE", Path: user + "/grants", Kind: sandbox.KindEffectThenTimeout},
		{Method: "DELETE", Path: user + "/sessions", Skip: 1, Kind: sandbox.KindNoEffect},
		{Method: "DELETE", Path: "/asa/v1/teams/{team}/clients/{clientId}", Kind: sandbox.KindEffectThenStatus, Status: 500},
		{Method: "POST", Path: clients, Kind: sandbox.KindEffectThenTimeout},
	} {
		if _, err := w.provider.sandbox.Fault(f); err != nil {
			t.Fatal(err)
		}
	}
	w.provider.plot(
		mischief{"POST", "/oauth2/v1/token", repeats(500, false)}, mischief{"POST", "/oauth2/v1/token", half},
		mischief{"POST", "/oidc/token", repeats(502, true)}, mischief{"POST", "/oidc/token", garbled},
		mischief{"POST", "/oidc/token", mistyped}, mischief{"POST", "/service_token", mistyped}, mischief{"POST", "/service_token", malformed},
		mischief{"POST", "/lifecycle/suspend", repeats(503, true)}, mischief{"DELETE", "/sessions", repeats(500, false)},
		mischief{"GET", "/tokens", half}, mischief{"GET", "/tokens", repeats(404, true)}, mischief{"GET", "/authorizationServers", garbled},
		mischief{"GET", "/v1/clients", half}, mischief{"GET", "/v1/clients", garbled}, mischief{"GET", "/v1/clients", malformed},
		mischief{"GET", "/v1/clients", preamble}, mischief{"GET", "/v1/clients", elsewhere}, mischief{"GET", "/v1/clients", mistyped},
		mischief{"GET", "/teams/acme/clients", half}, mischief{"GET", "/teams/acme/users", repeats(504, false)},
		mischief{"GET", "/teams/acme/users", repeats(401, false)},
	)
}

// persons run what needs a person: held, dead, redriven, dropped, scheduled, rescinded, refused.
func (w *world) persons(t *testing.T, dead ledger.State) {
	t.Helper()
	const done, blind = ledger.Verified, ledger.Applied
	held := w.post(t, "siem", "held", "user.compromised", object{"user": personOf(w.acme.Staff[0])})
	w.rests(t, held, ledger.Held)
	w.command(t, events.Approve, held)
	w.rests(t, held, ledger.Planned, done, blind, done, done)

	w.provider.plot(mischief{"POST", "/v1/clients", repeats(400, false)})
	app := w.post(t, "hr", "wiki", "app.onboarded", appOf("wiki"))
	w.rests(t, app, ledger.Planned, dead)
	w.command(t, events.RedriveVerb, events.ActionID(app, "onboard", "client"))
	w.rests(t, app, ledger.Planned, done)

	forbidden := mischief{"DELETE", "/clients/" + w.acme.NextDay.Devices[0], repeats(403, false)}
	w.provider.plot(forbidden, forbidden) // it is asked twice before it is believed
	lost := w.post(t, "siem", "lost-2", "device.lost", object{"user": personOf(w.acme.NextDay), "device": object{"hostname": w.acme.NextDay.Hostnames[0]}})
	w.rests(t, lost, ledger.Planned, dead)
	w.command(t, events.Drop, events.ActionID(lost, "lost-device", "device"))

	nobody := w.post(t, "hr", "nobody", "user.terminated", object{"user": object{"email": "nobody@acme.example"}})
	w.rests(t, nobody, ledger.Planned, dead, dead, dead, dead)

	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	later := w.post(t, "hr", "later", "user.terminated", object{"user": personOf(w.acme.Staff[1]), "effective_at": tomorrow})
	until(t, "the schedule", func() bool {
		rec, err := w.ledger.Last(t.Context(), ledger.PlanSubject(later))
		return err == nil && rec.State == ledger.Scheduled
	})
	w.post(t, "hr", "rescinded", "user.termination_rescinded", object{"user": personOf(w.acme.Staff[1])})
	w.rests(t, later, ledger.Cancelled)
	w.rests(t, w.post(t, "hr", "glass", "user.terminated", object{"user": personOf(w.acme.BreakGlass)}), ledger.Refused)
}

// intruders are deliveries that must not pass.
func (w *world) intruders(t *testing.T) {
	t.Helper()
	forge := func(r *http.Request) {
		r.Header.Set("X-Signature", "sha256="+strings.Repeat("00", 32))
		r.Header.Set("Webhook-Signature", "v1,AAAA")
	}
	for _, source := range []string{"hr", "siem"} {
		if status, _ := w.deliver(t, source, "forged", []byte(`{"specversion":"1.0"}`), forge); status != http.StatusUnauthorized {
			t.Errorf("forged for %s: answered %d", source, status)
		}
		w.deliver(t, source, "unmappable", []byte(`{"specversion":"1.0","id":"x","source":"y","type":"z"}`), nil)
		w.deliver(t, source, "no-event", []byte(`no event`), nil)
		if status, text := w.deliver(t, source, "panics", fmt.Appendf(nil, `{"specversion":"1.0","id":"panics","source":"https://x.acme.example",`+
			`"type":"dev.keyturn.user.rehired.v1","data":{"user":{"email":"x@acme.example"}}}`), nil); status != http.StatusInternalServerError {
			t.Errorf("the panic was answered %d %s", status, text)
		}
	}
}

// outage has every provider refuse every credential, until every lane stands still.
func (w *world) outage(t *testing.T) {
	t.Helper()
	w.provider.refuse.Store(true)
	w.post(t, "hr", "late leaver", "user.terminated", object{"user": personOf(w.acme.Staff[2])})
	w.post(t, "siem", "late client", "client.compromised", object{"client_id": w.acme.Apps[0]})
	w.post(t, "hr", "late app", "app.onboarded", appOf("late"))
	until(t, "every lane to stand still", func() bool {
		_, text := w.get(t, w.admin+"/readyz?verbose")
		return strings.Count(text, "credential refused since") == len(w.files.Connections)
	})
}
