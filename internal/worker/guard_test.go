package worker

import (
	"log/slog"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/sandbox"
)

// TestLanesKnowWhoIsProtected: what an action learns of an account is compared with the list of the playbooks.
func TestLanesKnowWhoIsProtected(t *testing.T) {
	const glass = "user:break.glass@acme.example"
	s := newSite(t, sandbox.Options{})
	set, err := Playbooks(config.Playbooks{Guards: config.Guards{Protected: []config.Text{{Value: glass}}}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(Options{Bus: s.bus(), Name: "worker-1", Connections: s.connections(), Playbooks: set, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range w.fleet.lanes() {
		d, ok := l.Bus.(*desk)
		if !ok {
			t.Fatalf("lane %s: its bus is %T", l.Connection, l.Bus)
		}
		protects := gated(d.made, nil).Protected
		if protects == nil {
			t.Fatalf("lane %s protects nobody", l.Connection)
		}
		if got := protects(events.UserRef{OktaID: "00u1", Login: "Break.Glass@acme.example"}.Identifiers()); got != glass {
			t.Errorf("lane %s: got %q", l.Connection, got)
		}
		for name, id := range map[string]string{"okta-prod": s.sb.Credentials().OktaApp.ClientID, "mosaic-prod": s.sb.Credentials().Mosaic.ClientID} {
			want := "client:" + id + " (Keyturn signs in with it at connection " + name + ")"
			if got := protects([]events.Identifier{{Kind: events.ClientID, Value: id}}); got != want {
				t.Errorf("lane %s: got %q, want %q", l.Connection, got, want)
			}
		}
	}
}
