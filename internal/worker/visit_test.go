package worker

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// unsuspend sets a person free at Okta, as an administrator would.
func (s *site) unsuspend(id string) {
	s.t.Helper()
	url := sandbox.OktaURL(s.sb.URL) + "/api/v1/users/" + id + "/lifecycle/unsuspend"
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "SSWS "+s.sb.Credentials().OktaAPIToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("unsuspend: %s", resp.Status)
	}
}

// TestWhatCameBackIsTakenAwayByTheLane: a person is set free at the provider after the proof, and the lane finds it at
// the next look, although the worker was restarted in between.
func TestWhatCameBackIsTakenAwayByTheLane(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	acme := s.sb.SeedAcme(1)
	book := ledger.New(s.tool.Log(), nil)
	stop := s.work("worker-1", s.connections()[:1], nil)
	a := events.Action{ID: events.ActionID("sample", "offboard", "suspend"), Case: "sample", Playbook: "offboard", Step: "suspend",
		Do: "okta.suspend_user", Connection: "okta-prod", Class: events.Normal, Target: "user:" + acme.Leaver.Login,
		With:    json.RawMessage(`{"user":{"login":"` + acme.Leaver.Login + `"}}`),
		Recheck: []events.Span{events.Span(2 * time.Second)}, Regressed: events.Act}
	plan, err := json.Marshal(events.Plan{Case: a.Case, Class: a.Class, Actions: []events.Action{a}})
	if err != nil {
		t.Fatal(err)
	}
	s.until("the streams", func() bool { return s.tool.CheckTopology(t.Context()) == nil })
	for _, rec := range []ledger.Record{
		{Subject: ledger.PlanSubject(a.Case), State: ledger.Planned, Body: plan},
		{Subject: ledger.LifecycleSubject(a.Case), State: ledger.Open},
	} {
		if _, err := book.Append(t.Context(), ledger.Record{}, rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.tool.PublishAction(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	states := func(subject string) (all []ledger.State) {
		err := book.Range(t.Context(), subject, time.Time{}, func(r ledger.Record) error { all = append(all, r.State); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	s.until("the proof", func() bool { return slices.Contains(states(ledger.ActionSubject(a.Case, a.ID)), ledger.Verified) })
	stop()
	s.unsuspend(acme.Leaver.OktaID)
	s.work("worker-2", s.connections()[:1], nil)
	s.until("it to be taken away again, and to hold", func() bool {
		all := states(ledger.ActionSubject(a.Case, a.ID))
		return slices.Contains(all, ledger.Regressed) && slices.Equal(all[max(0, len(all)-2):], []ledger.State{ledger.Verified, ledger.Verified})
	})
	s.until("the case to close", func() bool {
		return slices.Equal(states(ledger.LifecycleSubject(a.Case)), []ledger.State{ledger.Open, ledger.Closed, ledger.Open, ledger.Closed})
	})
	if !strings.Contains(s.log.String(), "needed again: okta.suspendUser") {
		t.Errorf("the log says nothing:\n%s", s.log.String())
	}
}
