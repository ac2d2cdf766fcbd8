package worker

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/reads"
	"keyturn/internal/sandbox"
	"keyturn/internal/stream"
)

// observe asks what an action would change.
func (s *site) observe(do, connection string, with any) (got Observed, err error) {
	s.t.Helper()
	params, err := json.Marshal(with)
	if err != nil {
		s.t.Fatal(err)
	}
	a := events.Action{ID: events.ActionID("sample", "p", "s"), Case: "sample", Playbook: "p", Step: "s", Do: do,
		Connection: connection, Class: events.Normal, With: params}
	err = steadily(func() error {
		return s.asked(stream.ReadObserve, connection, Observe{Action: a, Actor: "sample@host"}, func(data []byte) error {
			return json.Unmarshal(data, &got)
		})
	})
	return got, err
}

// TestObserve: what each action would change is listed, and nothing is changed by looking.
func TestObserve(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	acme := s.sb.SeedAcme(1)
	s.work("worker-1", s.connections()[:2], nil)
	user := map[string]any{"user": map[string]any{"okta_id": acme.Leaver.OktaID, "email": acme.Leaver.Login}}
	for _, c := range []struct {
		do, connection string
		want           string
		calls          int
	}{
		{"okta.suspend_user", "okta-prod", "okta.suspendUser", 1},
		{"okta.revoke_user_tokens", "okta-prod", "okta.", 1},
		{"asa.revoke_clients", "asa-prod", "asa.", 1},
	} {
		got, err := s.observe(c.do, c.connection, user)
		if err != nil {
			t.Errorf("%s: %v", c.do, err)
			continue
		}
		if len(got.Needed) < c.calls || !strings.HasPrefix(got.Needed[0].Call, c.want) || got.Needed[0].Target == "" || len(got.Seen) == 0 {
			t.Errorf("%s: %+v", c.do, got)
		}
	}
	if effects := s.sb.Journal().Effects(); len(effects) > 0 {
		t.Errorf("looking changed %v", effects)
	}
	if log := s.log.String(); !strings.Contains(log, "msg=observed") || strings.Contains(log, acme.Leaver.Login) {
		t.Error("the log has no line about it, or names the person")
	}
}

// TestObserveFaults: what cannot be looked at says why, and what to do.
func TestObserveFaults(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.sb.SeedAcme(1)
	s.work("worker-1", s.connections()[:2], nil)
	nobody := map[string]any{"user": map[string]any{"email": "nobody@acme.example"}}
	for name, c := range map[string]struct {
		do, connection string
		with           any
		code           reads.Code
	}{
		"nobody there":         {"asa.revoke_clients", "asa-prod", nobody, reads.Invalid},
		"no such kind":         {"okta.promote_user", "okta-prod", nobody, reads.Invalid},
		"another provider's":   {"asa.revoke_clients", "okta-prod", nobody, reads.Invalid},
		"without a parameter":  {"okta.suspend_user", "okta-prod", map[string]any{}, reads.Invalid},
		"an unknown parameter": {"okta.suspend_user", "okta-prod", map[string]any{"usr": 1}, reads.Invalid},
	} {
		_, err := s.observe(c.do, c.connection, c.with)
		var said *stream.ReadError
		if !errors.As(err, &said) || said.Code != stream.ReadCode(c.code) || said.Suggestion == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestActivePlaybooks: the file that is in force can be asked for, however long it is, and whom Keyturn spares besides.
func TestActivePlaybooks(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	var w *Worker
	s.work("worker-1", s.connections()[:1], nil, func(made *Worker) { w = made })
	dir := t.TempDir()
	text := "playbooks: []\n" + strings.Repeat("# a long comment about the playbooks of acme.example\n", 12_000)
	if err := os.WriteFile(filepath.Join(dir, config.PlaybooksFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := config.ReadPlaybooks(dir, config.Resolver{})
	if err != nil {
		t.Fatal(err)
	}
	s.reload(w, s.connections()[:1], p)
	var pages [][]byte
	if err := steadily(func() error {
		pages = nil
		return s.asked(stream.ReadConfig, stream.AnyWorker, nil, func(data []byte) error {
			pages = append(pages, slices.Clone(data))
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	var head Active
	if err := json.Unmarshal(pages[0], &head); err != nil || len(pages) < 3 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	if got := string(slices.Concat(pages[1:]...)); got != text || head.Version != config.Version([]byte(text)) || head.Worker != "worker-1" {
		t.Errorf("%d bytes of %d; %+v", len(got), len(text), head)
	}
	if id := s.connections()[0].Auth.ServiceApp.ClientID; head.Own["client:"+id] != "okta-prod" {
		t.Errorf("own: %v", head.Own)
	}
}
