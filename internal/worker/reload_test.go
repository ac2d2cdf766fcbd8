package worker

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/reads"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
)

// until waits for a condition.
func (s *site) until(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain for %s\n%s", what, s.log.String())
		}
	}
}

// epochs are those of the lanes that the worker holds, by connection.
func epochs(w *Worker) map[string]uint64 {
	held := map[string]uint64{}
	for _, l := range w.fleet.lanes() {
		if e := l.Epoch(); e > 0 {
			held[l.Connection] = e
		}
	}
	return held
}

// reload puts another configuration in force.
func (s *site) reload(w *Worker, connections config.Connections, playbooks config.Playbooks) {
	s.t.Helper()
	set, err := Playbooks(playbooks)
	if err != nil {
		s.t.Fatal(err)
	}
	apply, err := w.Prepare(connections, set)
	if err != nil {
		s.t.Fatal(err)
	}
	apply()
}

// TestLanesFollowTheConfiguration: a lane whose connection is the same keeps its lease, one whose connection changed
// begins anew with what it is now, one whose connection is gone gives its lease back, and a new one is held.
func TestLanesFollowTheConfiguration(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.sb.SeedAcme(1)
	var w *Worker
	all := s.connections()
	s.work("worker-1", all, nil, func(made *Worker) { w = made })
	s.until("all lanes", func() bool { return len(epochs(w)) == 3 })
	before := epochs(w)

	changed := slices.Clone(all[:2]) // mosaic-prod is gone
	app := *changed[0].Auth.ServiceApp
	app.KeyID = "unknown"
	changed[0].Auth = config.Auth{ServiceApp: &app}
	again := changed[1]
	again.Name = "asa-again"
	s.reload(w, append(changed, again), config.Playbooks{})
	s.until("the lanes of the other configuration", func() bool {
		held := epochs(w)
		return held["okta-prod"] > before["okta-prod"] && held["asa-again"] > 0 && len(held) == 3
	})
	if got := epochs(w)["asa-prod"]; got != before["asa-prod"] {
		t.Errorf("asa-prod did not change and went from epoch %d to %d", before["asa-prod"], got)
	}
	if r := s.check("okta-prod"); r.OK || results(r)["okta.token"] != reads.Refused {
		t.Errorf("okta-prod works with a key that nobody knows: %+v", r)
	}
	s.until("mosaic-prod to be given back", func() bool {
		err := s.tool.Ask(t.Context(), stream.ReadCheck, "mosaic-prod", nil, func([]byte) error { return nil })
		return errors.Is(err, stream.ErrNoHolder)
	})

	s.reload(w, all, config.Playbooks{})
	s.until("all lanes again", func() bool {
		held := epochs(w)
		return held["okta-prod"] > 0 && held["mosaic-prod"] > before["mosaic-prod"] && len(held) == 3
	})
	if r := s.check("okta-prod"); !r.OK {
		t.Errorf("okta-prod: %+v", r)
	}
	if got := slices.Sorted(maps.Keys(epochs(w))); !slices.Equal(got, []string{"asa-prod", "mosaic-prod", "okta-prod"}) {
		t.Errorf("lanes %v", got)
	}
}

// TestPrepareRefuses: connections of which one cannot be made change nothing.
func TestPrepareRefuses(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	var w *Worker
	s.work("worker-1", s.connections()[1:2], nil, func(made *Worker) { w = made })
	s.until("the lane", func() bool { return len(epochs(w)) == 1 })
	before := epochs(w)
	bad := s.connections()
	bad[0].Auth.ServiceApp.PrivateKey = secret.New("no key at all")
	bad[2].SecretSink.Dir = t.TempDir() + "/nowhere"
	_, err := w.Prepare(bad, w.set.Load())
	if err == nil || !strings.Contains(err.Error(), "connection okta-prod") || !strings.Contains(err.Error(), "connection mosaic-prod") {
		t.Errorf("got %v", err)
	}
	if got := epochs(w); !maps.Equal(got, before) {
		t.Errorf("lanes %v, before %v", got, before)
	}
}

// TestActionsOfAConnectionThatIsGone are counted, in the log and in /readyz?verbose, for as long as nobody has its lane.
func TestActionsOfAConnectionThatIsGone(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.sb.SeedAcme(1)
	var w *Worker
	all := s.connections()[:2]
	refused := slices.Clone(all)
	app := *refused[0].Auth.ServiceApp
	app.KeyID = "unknown"
	refused[0].Auth = config.Auth{ServiceApp: &app}
	s.work("worker-1", refused, nil, func(made *Worker) { w = made })
	s.until("the lanes", func() bool { return len(epochs(w)) == 2 })
	for _, step := range []string{"one", "two"} {
		a := events.Action{ID: events.ActionID("sample", "offboard", step), Case: "sample", Playbook: "offboard", Step: step,
			Do: "okta.suspend_user", Connection: "okta-prod", Class: events.Normal, Target: "user:ada@acme.example",
			With: json.RawMessage(`{"user":{"email":"ada@acme.example"}}`)}
		if err := s.tool.PublishAction(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	notes := func() string {
		for _, c := range w.Checks() {
			if c.Name == "queues" && c.Run(t.Context()) == nil {
				return c.Notes()
			}
		}
		return "not checked"
	}
	s.until("the lane to stand still", func() bool { return w.fleet.find("okta-prod").lane.Err() != nil })
	s.reload(w, all[1:], config.Playbooks{}) // the lane gives its lease back a moment later, which is when they are nobody's
	s.until("the strays to be noted", func() bool { return strings.Contains(notes(), "2 actions WAIT for okta-prod") })
	if !strings.Contains(s.log.String(), "actions wait for a connection that is not configured") {
		t.Errorf("the log says nothing:\n%s", s.log.String())
	}
	s.reload(w, all, config.Playbooks{})
	s.until("the end of it", func() bool { return notes() == "each has its lane" })
}
