package view

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// Moment is one entry of a case's timeline.
type Moment struct {
	Time   time.Time    `json:"time"`
	About  string       `json:"about"`            // "event", "plan", "case", or the step's name
	Action string       `json:"action,omitempty"` // the action's id, of a step
	State  ledger.State `json:"state,omitempty"`  // what held from then on; "accepted" of the event, "change" of a call
	By     string       `json:"by,omitempty"`
	Text   string       `json:"text,omitempty"` // for a person
	Seq    uint64       `json:"seq,omitempty"`  // the record's place in the ledger; absent for what is told by another record
}

// States of moments that are not records of their own.
const (
	accepted ledger.State = "accepted" // the event is on disk and was answered so
	change   ledger.State = "change"   // one call that changed something
)

// timeline tells the case in order: the records as they were written, the acceptance and each change by their own
// times. Where two carry the same time, the order of the ledger decides.
func timeline(p events.Plan, recs []ledger.Record) []Moment {
	var all []Moment
	if !p.Accepted.IsZero() {
		all = append(all, Moment{Time: utc(p.Accepted), About: "event", State: accepted, By: p.Event.Scope,
			Text: strings.TrimSpace(p.Event.Name() + " " + p.Event.Subject)})
	}
	told := map[string]*ledger.Evidence{} // what of an action's evidence is told already: later records repeat it
	for _, rec := range recs {
		m := Moment{Time: utc(rec.Time), State: rec.State, By: rec.By, Seq: rec.Seq}
		switch entry := ledger.Entry(rec.Subject); entry {
		case "plan":
			m.About, m.Text = "plan", rec.Reason
		case "lifecycle":
			m.About, m.Text = "case", rec.Reason
		default:
			before := told[entry]
			if before == nil {
				before = &ledger.Evidence{}
				told[entry] = before
			}
			m.About, m.Action, m.Text = stepOf(entry), entry, explain(rec, before)
			all = append(all, changes(m, rec, before)...)
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b Moment) int { return a.Time.Compare(b.Time) })
	return all
}

// changes tells the calls that rec knows of and no record before it did.
func changes(of Moment, rec ledger.Record, told *ledger.Evidence) []Moment {
	if rec.Evidence == nil {
		return nil
	}
	var out []Moment
	for _, e := range rec.Evidence.Applied[min(len(told.Applied), len(rec.Evidence.Applied)):] {
		text := e.Call + " " + e.Target
		if e.RequestID != "" {
			text += " (request " + e.RequestID + ")"
		}
		if e.NoReply {
			text += " (found made: no reply to it was recorded)"
		}
		out = append(out, Moment{Time: utc(e.Time), About: of.About, Action: of.Action, State: change, By: rec.By, Text: text})
		told.Applied = append(told.Applied, e)
	}
	return out
}

// explain says in one line why an action's record stands: its failure, what was seen, or what it is about to do; and
// its reason, where that says more.
func explain(rec ledger.Record, told *ledger.Evidence) string {
	var text string
	if e := rec.Evidence; e != nil {
		switch {
		case e.Failure != nil:
			text = Explain(*e.Failure)
		case rec.State.Achieved():
			text = seen(e.Seen)
		case e.Pending != "" && e.Pending == told.Pending:
			text = "looks first: it is not known whether it made " + e.Pending
		case e.Pending != "":
			text = "about to " + e.Pending
		case len(e.Applied) > len(told.Applied):
			text = fmt.Sprintf("%d recorded as changed", len(e.Applied)-len(told.Applied))
		case !maps.Equal(e.Pins, told.Pins):
			text = "acts upon " + strings.Join(Pins(e.Pins), "; ")
		}
		if len(e.Pins) > 0 {
			told.Pins = e.Pins
		}
		told.Pending = e.Pending
	}
	switch {
	case text == "":
		return rec.Reason
	case rec.Reason == "" || RepeatsFailure(rec.Reason, rec.Evidence.Failure):
		return text
	}
	return rec.Reason + "; " + text
}

// RepeatsFailure reports whether a record's reason only says what its failure says.
func RepeatsFailure(reason string, f *ledger.Failure) bool {
	return f != nil && f.Error != "" && strings.Contains(reason, f.Error)
}

// Pins puts the provider's ids that an action acts upon into short text, one entry for each sort of id: pins that are
// named "client.<id>", each by its own id, are one list.
func Pins(pins map[string]string) []string {
	lists := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(pins)) {
		sort, _ := strings.CutSuffix(name, "."+pins[name])
		lists[sort] = append(lists[sort], pins[name])
	}
	var out []string
	for _, sort := range slices.Sorted(maps.Keys(lists)) {
		out = append(out, sort+" = "+strings.Join(lists[sort], ", "))
	}
	return out
}

// seen joins the facts of an observation.
func seen(facts []ledger.Fact) string {
	var parts []string
	for _, f := range facts {
		parts = append(parts, f.What+" = "+f.Value)
	}
	return strings.Join(parts, ", ")
}

// Explain puts a failure into one line: the error, then whatever tells it apart.
func Explain(f ledger.Failure) string {
	var marks []string
	for _, m := range []struct{ name, value string }{
		{"cause", f.Cause}, {"status", positive(f.Status)}, {"code", f.Code}, {"request", f.RequestID},
	} {
		if m.value != "" {
			marks = append(marks, m.name+" "+m.value)
		}
	}
	if len(marks) == 0 {
		return f.Error
	}
	return fmt.Sprintf("%s (%s)", f.Error, strings.Join(marks, ", "))
}

// positive writes n, or nothing for what does not apply.
func positive(n int) string {
	if n <= 0 {
		return ""
	}
	return strconv.Itoa(n)
}
