package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/view"
)

// TestAWordGivenAgain: upon a plan that waits it is the same command, however often an interrupted bulk is repeated. A
// cancel of what goes on counts each time: a lane may have had the actions in hand when it was first given.
func TestAWordGivenAgain(t *testing.T) {
	for _, c := range []struct {
		verb events.Verb
		plan ledger.State
		same bool
	}{
		{events.Approve, ledger.Held, true},
		{events.Deny, ledger.Held, true},
		{events.Cancel, ledger.Held, true},
		{events.Cancel, ledger.Scheduled, true},
		{events.Cancel, ledger.Planned, false},
	} {
		row := view.CaseRow{ID: "c1", Plan: c.plan, Tally: view.Tally{Total: 2, Waiting: 2}}
		once, again := caseCommand(c.verb, row, "ann"), caseCommand(c.verb, row, "ann")
		if same := once == again; same != c.same {
			t.Errorf("%s upon a plan that is %s: the same command %t", c.verb, c.plan, same)
		}
	}
}

// TestBrakeByItsWindow: a brake is named by the window as the configuration has it, and by no other that begins so.
func TestBrakeByItsWindow(t *testing.T) {
	for _, c := range []struct {
		said, name string
		means      bool
	}{
		{"per 1h", "user.terminated per 1h0m0s", true},
		{"per 90m", "user.terminated per 1h30m0s", true},
		{"user.terminated per 1d", "user.terminated per 24h0m0s", true},
		{"per 1h0m0s", "user.terminated per 1h0m0s", true},
		{"per 1h", "user.terminated per 1h30m0s", false},
		{"per 4h", "user.terminated per 24h0m0s", false},
		{"device.lost", "device.lost,user.terminated per 24h0m0s", true},
		{"terminated per ", "user.terminated per 1h0m0s", true},
	} {
		if means := strings.Contains(c.name, brakeName(c.said)); means != c.means {
			t.Errorf("--brake %q means the brake %q: %t", c.said, c.name, means)
		}
	}
}

// TestConfirmation: whoever confirms sees the first of what is chosen and how much more there is, and only yes is one.
func TestConfirmation(t *testing.T) {
	rows := make([]view.CaseRow, 4000)
	for i := range rows {
		rows[i] = view.CaseRow{ID: "qdfwqpxehbd2aaaaaaaaaaaaaa", Event: "user.terminated", Principal: "user:m@acme.example", Reason: "brake"}
	}
	for answer, want := range map[string]error{"y\n": nil, "YES\n": nil, "yes": nil, "n\n": errNotConfirmed, "": errNotConfirmed, "yep\n": errNotConfirmed} {
		var asked bytes.Buffer
		a := &app{in: strings.NewReader(answer), err: &asked}
		w := word{verb: events.Approve, thing: "case"}
		if err := w.confirm(a, len(rows), chosenLines(rows)); !errors.Is(err, want) {
			t.Errorf("%q: %v", answer, err)
		}
		if text := asked.String(); strings.Count(text, "user:m@acme.example") != maxShown || !strings.Contains(text, "… and 3980 more (--dry-run lists all)") ||
			!strings.HasSuffix(text, "approve 4000 cases? [y/N] ") {
			t.Errorf("asked:\n%s", text)
		}
	}
}
