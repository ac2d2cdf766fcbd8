package planner_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
)

// tellsOf works off an event by itself and gives the line about it.
func (w *world) tellsOf(name, id, names string, after time.Duration, effective time.Time) (caseID, line string) {
	w.t.Helper()
	var b bytes.Buffer
	p := w.planner()
	p.Log = slog.New(slog.NewTextHandler(&b, nil))
	e := w.overWire(w.called(name, id, ids(strings.Fields(names)...), begin.Add(after), effective))
	if out := p.Event(w.t.Context(), e, w.clock); out.Verdict != events.Done {
		w.t.Fatalf("%s: %+v", name, out)
	}
	w.settle()
	return e.Case(), b.String()
}

// TestEverythingIsTold: one alert does not hide another.
func TestEverythingIsTold(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.tellsOf("user.terminated", "1", "employee_number:7 email:maria@acme.example", 0, begin.Add(24*time.Hour))
	w.tellsOf("user.terminated", "2", "employee_number:8", 0, time.Time{})
	for i, c := range []struct{ id, name, told string }{
		{"3", "user.rehired", "2 actions of older events had begun"},
		{"4", "user.terminated", "waits for a person"},
		{"5", "user.terminated", "asked to act on a protected principal"},
	} {
		w.rules.hold(len(c.id))
		w.rules.protected["user:8"] = c.id == "5"
		at := time.Duration(i+1) * time.Minute
		w.tellsOf("user.rehired", "back"+c.id, "employee_number:7 email:maria@acme.example", at, time.Time{})
		_, line := w.tellsOf(c.name, c.id, "employee_number:8 email:maria@acme.example", at+time.Second, time.Time{})
		if !strings.Contains(line, "two people have one name (email)") || !strings.Contains(line, c.told) {
			t.Errorf("%s: told %s", c.name, line)
		}
	}
}
