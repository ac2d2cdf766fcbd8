package worker

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/reads"
	"keyturn/internal/sandbox"
	"keyturn/internal/stream"
)

// TestWaitingForATokenIsTold: while a token endpoint answers 429 nothing of its connection goes, and its lane says so and until
// when, to a person and to metrics; then what waited is done.
func TestWaitingForATokenIsTold(t *testing.T) {
	t.Parallel() // it waits for times of a provider
	s := newSite(t, sandbox.Options{})
	acme := s.sb.SeedAcme(1)
	for _, path := range []string{"/okta/oauth2/v1/token", "/asa/v1/teams/*/service_token", "/mosaic/oidc/token"} {
		if _, err := s.sb.Fault(sandbox.Fault{Method: "POST", Path: path, Kind: sandbox.KindStatus, Status: 429, Times: -1,
			Header: map[string][]string{"Retry-After": {"1"}}, RetryIn: time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	reg := prometheus.NewRegistry()
	s.work("worker-1", s.connections(), nil, func(made *Worker) {
		reg.MustRegister(&gauges{worker: made})
	})
	a := events.Action{ID: events.ActionID("sample", "offboard", "suspend"), Case: "sample", Playbook: "offboard", Step: "suspend",
		Do: "okta.suspend_user", Connection: "okta-prod", Class: events.Normal, Target: "user:" + acme.Leaver.Login,
		With: json.RawMessage(`{"user":{"login":"` + acme.Leaver.Login + `"}}`)}
	s.until("the streams", func() bool { return s.tool.CheckTopology(t.Context()) == nil })
	if err := s.tool.PublishAction(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	for name, resource := range map[string]string{"okta-prod": "", "asa-prod": "users", "mosaic-prod": "clients"} {
		began := time.Now()
		var told reads.Lane
		s.until(name+" to tell of it", func() bool {
			if _, err := s.get(name, reads.Query{Resource: resource}); resource != "" && err == nil {
				t.Fatalf("%s: answered without a token", name)
			}
			told = s.told(name)
			left := samples(t, reg)["keyturn_lane_bucket_paused_seconds{bucket=token endpoint,connection="+name+"}"]
			return slices.ContainsFunc(told.Buckets, atTokens) && left > 0 && left < 10
		})
		until := told.Buckets[slices.IndexFunc(told.Buckets, atTokens)].Paused
		if until.Before(began) || until.After(time.Now().Add(10*time.Second)) {
			t.Errorf("%s: the token endpoint wants to be left alone until %s, asked at %s", name, until, began)
		}
		if name == "okta-prod" && (told.ToDo() != 1 || told.Forecast.Unknown != "the token endpoint wants to be left alone") {
			t.Errorf("%d to do, forecast %+v", told.ToDo(), told.Forecast)
		}
	}
	s.sb.ClearFaults()
	s.until("the action to be done", func() bool {
		rec, err := ledger.New(s.tool.Log(), nil).Last(t.Context(), ledger.ActionSubject(a.Case, a.ID))
		return err == nil && rec.State == ledger.Verified
	})
	if told := s.told("okta-prod"); slices.ContainsFunc(told.Buckets, atTokens) {
		t.Errorf("with a token: %+v", told.Buckets)
	}
	if left, ok := samples(t, reg)["keyturn_lane_bucket_paused_seconds{bucket=token endpoint,connection=okta-prod}"]; !ok || left != 0 {
		t.Errorf("with a token %v s by the metrics (there: %v)", left, ok)
	}
}

// atTokens reports whether a row is that of the token endpoint, which wants to be left alone.
func atTokens(w reads.Window) bool { return w.Bucket == reads.TokenEndpoint && !w.Paused.IsZero() }

// told asks how a lane stands.
func (s *site) told(connection string) (l reads.Lane) {
	s.t.Helper()
	if err := s.asked(stream.ReadLane, connection, nil, func(page []byte) error { return json.Unmarshal(page, &l) }); err != nil {
		s.t.Fatal(err)
	}
	return l
}
