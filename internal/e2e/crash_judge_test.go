package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
	"keyturn/internal/stream"
)

// drained waits until nothing is left to deliver or in hand anywhere.
func (w *world) drained(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		lags, err := w.bus.Lag(ctx)
		if err != nil {
			return err
		}
		lags = slices.DeleteFunc(lags, func(l stream.Lag) bool { return l.Waiting == 0 && l.InHand == 0 })
		if len(lags) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("never drained: %w: %+v", ctx.Err(), lags)
		}
	}
}

// judge looks at what the providers know: each effect that had to be, once, and no other; everybody else as before.
func (w *world) judge() {
	w.t.Helper()
	want := map[string]int{}
	apps := 0
	for _, tr := range w.all {
		for _, e := range tr.want {
			want[e]++
		}
		if tr.app != "" {
			apps++
		}
	}
	created := 0
	for _, e := range w.sb.Journal().Effects() {
		switch {
		case strings.HasPrefix(e, "mosaic.client.created "):
			created++
		case strings.HasPrefix(e, "mosaic.client.deleted "): // by this test, of what it had counted
		default:
			want[e]--
		}
	}
	wrong := slices.Sorted(maps.Keys(want))
	wrong = slices.DeleteFunc(wrong, func(e string) bool { return want[e] == 0 })
	for _, e := range wrong[:min(len(wrong), 20)] {
		w.t.Errorf("%q: %d times too few (below nothing: too many)", e, want[e])
	}
	if created != apps {
		w.t.Errorf("%d clients were created for %d apps", created, apps)
	}
	w.bystanders()
}

// bystanders compares everybody who was there before any event with how they are now.
func (w *world) bystanders() {
	w.t.Helper()
	now := w.sb.Snapshot()
	same(w.t, "user", w.before.Okta.Users, now.Okta.Users, func(u sandbox.User) string { return u.ID })
	same(w.t, "session", w.before.Okta.Sessions, now.Okta.Sessions, func(s sandbox.Session) string { return s.ID })
	same(w.t, "token", w.before.Okta.Tokens, now.Okta.Tokens, func(r sandbox.RefreshToken) string { return r.ID })
	same(w.t, "grant", w.before.Okta.Grants, now.Okta.Grants, func(g sandbox.Grant) string { return g.ID })
	same(w.t, "ASA client", w.before.ASA.Clients, now.ASA.Clients, func(d sandbox.ASAClient) string { return d.ID })
	same(w.t, "Mosaic client", w.before.Mosaic.Clients, now.Mosaic.Clients, func(m sandbox.MosaicClient) string { return m.ID })
	if n, was := len(now.Mosaic.Clients), len(w.before.Mosaic.Clients); n != was {
		w.t.Errorf("%d clients are left at Mosaic, want %d", n, was)
	}
}

// same checks that what was there before is there unchanged.
func same[T any](t testing.TB, what string, before, now []T, id func(T) string) {
	t.Helper()
	there := map[string]T{}
	for _, thing := range now {
		there[id(thing)] = thing
	}
	for _, thing := range before {
		if got, ok := there[id(thing)]; !ok || !reflect.DeepEqual(got, thing) {
			t.Errorf("%s %s was touched: %+v, now %+v", what, id(thing), thing, got)
		}
	}
}

// audit looks at the ledger: every chain holds, and every case is told from its plan to its end. Nothing waits for a
// person.
func (w *world) audit(ctx context.Context) {
	w.t.Helper()
	n, broken, err := w.ledger.Verify(ctx, ledger.Everything())
	w.must(err)
	for _, b := range broken[:min(len(broken), 20)] {
		w.t.Errorf("%s, record %d: %s", b.Subject, b.Seq, b.Why)
	}
	last := map[string]ledger.Record{}
	w.must(w.ledger.Range(ctx, ledger.Everything(), time.Time{}, func(r ledger.Record) error {
		last[r.Subject] = r
		return nil
	}))
	var faults []string
	for _, tr := range w.all {
		if fault := tr.told(last); fault != "" {
			faults = append(faults, fmt.Sprintf("%s\n%s", tr, fault))
		}
	}
	for _, f := range faults[:min(len(faults), 20)] {
		w.t.Error(f)
	}
	w.must(w.bus.DeadLetters(ctx, func(d events.DeadLetter) error {
		tr := w.trials[d.Case]
		w.t.Errorf("%s\ndead letter %s is left: %s\n%s", tr, tr.say(d.ID), d.Error, tr.report())
		return nil
	}))
	w.t.Logf("%d cases, %d records", len(w.trials)/2, n)
}

// told says what the ledger does not tell of the trial's cases; empty = it tells all.
func (tr *trial) told(last map[string]ledger.Record) string {
	var faults []string
	planned := 0
	for _, d := range tr.sent {
		plan := last[ledger.PlanSubject(d.caseID)]
		if life := last[ledger.LifecycleSubject(d.caseID)].State; life != ledger.Closed && life != ledger.ClosedWithResidual {
			faults = append(faults, fmt.Sprintf("%s is %q", tr.say(d.caseID), life))
		}
		switch plan.State {
		case ledger.Planned:
			planned++
		case ledger.Superseded:
			continue
		default:
			faults = append(faults, fmt.Sprintf("the plan of %s is %q", tr.say(d.caseID), plan.State))
		}
		var p events.Plan
		if err := json.Unmarshal(plan.Body, &p); err != nil || len(p.Actions) == 0 {
			faults = append(faults, fmt.Sprintf("the plan of %s does not read: %v", tr.say(d.caseID), err))
		}
		for _, a := range p.Actions {
			if s := last[ledger.ActionSubject(d.caseID, a.ID)].State; !s.Achieved() {
				faults = append(faults, fmt.Sprintf("%s is %q", tr.say(a.ID), s))
			}
		}
		for _, id := range events.Principals(p.Event) {
			if last[ledger.PersonSubject(tr.keyer.Key(id.Principal()), d.caseID)].State != ledger.Kept {
				faults = append(faults, fmt.Sprintf("%s is not listed under %s", tr.say(d.caseID), id.Kind))
			}
		}
	}
	if planned == 0 {
		faults = append(faults, "nothing was planned")
	}
	return strings.Join(faults, "\n")
}

// registered is a client as Mosaic shows it.
type registered struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
	Name   string `json:"name"`
}

// retire checks that the trial's app has one client whose secret is where its team finds it, and takes the client
// away: every onboarding reads the list of all clients, and thousands follow.
func (tr *trial) retire(ctx context.Context) error {
	token := struct {
		Value string `json:"access_token"`
	}{}
	c := tr.sb.Credentials().Mosaic
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ClientID}, "client_secret": {c.ClientSecret}}
	if err := tr.ask(ctx, http.MethodPost, sandbox.MosaicTokenURL(origin), "", form, &token); err != nil {
		return err
	}
	var all []registered
	if err := tr.ask(ctx, http.MethodGet, sandbox.MosaicURL(origin)+"/v1/clients", token.Value, nil, &all); err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(r registered) bool { return r.Name != "The "+tr.app })
	if len(all) != 1 {
		return fmt.Errorf("%s has %d clients", tr.app, len(all))
	}
	kept, err := os.ReadFile(filepath.Join(tr.sink, all[0].ID+".json"))
	if err != nil || !strings.Contains(string(kept), all[0].Secret) {
		return errors.Join(fmt.Errorf("the secret of %s is not in the sink", tr.app), err)
	}
	return tr.ask(ctx, http.MethodDelete, sandbox.MosaicURL(origin)+"/v1/clients/"+all[0].ID, token.Value, nil, nil)
}

// ask makes one call to Mosaic as its operator would.
func (tr *trial) ask(ctx context.Context, method, at, token string, form url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := tr.sb.Transport().RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %d", method, at, res.StatusCode)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(into)
}
