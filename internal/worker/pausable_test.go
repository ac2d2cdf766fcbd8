package worker

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/sandbox"
)

// TestPausable: a pause of what does not exist is refused where that can be known, and a source goes by its scope.
func TestPausable(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	set, err := Playbooks(config.Playbooks{List: []config.Playbook{{Name: "offboard", On: []config.Text{{Value: "user.terminated"}},
		Steps: []config.Step{{Name: "a", Do: config.Text{Value: "transmit.delete_all_clients"}, On: config.Text{Value: "mosaic-prod"},
			With: []config.Param{{Name: "app_id", Value: config.Value{Literal: "portal"}}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(Options{Bus: s.bus(), Name: "worker-1", Connections: s.connections(), Playbooks: set, Log: slog.New(slog.DiscardHandler),
		Sources: func() (config.Sources, error) {
			return config.Sources{{Name: "hr-hook", DedupScope: "hr"}, {Name: "siem", DedupScope: "siem"}}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ target, as, no, note string }{
		{"all", "all", "", ""},
		{"connection:okta-prod", "connection:okta-prod", "", ""},
		{"connection:okta-prd", "connection:okta-prd", `did you mean "okta-prod"?`, ""},
		{"playbook:offboard", "playbook:offboard", "", ""},
		{"playbook:ofboard", "playbook:ofboard", `did you mean "offboard"?`, ""},
		{"source:hr", "source:hr", "", ""},
		{"source:hr-hook", "source:hr", "", "dedup_scope"},
		{"source:seim", "source:seim", `did you mean "siem"?`, ""},
	} {
		as, no, note := w.pausable(c.target)
		if as != c.as || !strings.Contains(no, c.no) || (no == "") != (c.no == "") || !strings.Contains(note, c.note) || (note == "") != (c.note == "") {
			t.Errorf("%s: %q %q %q", c.target, as, no, note)
		}
	}
	w.opts.Sources = func() (config.Sources, error) { return nil, errors.New("no such file") }
	if as, no, note := w.pausable("source:seim"); as != "source:seim" || no != "" || note == "" {
		t.Errorf("without sources.yaml: %q %q %q", as, no, note)
	}
}
