package main

import (
	"fmt"
	"strings"

	"keyturn/internal/view"
)

// shortID is how much of a case id a table shows: enough to name it to any command.
const shortID = 12

// caseRows lists cases.
func (s *screen) caseRows(rows []view.CaseRow) {
	var cells [][]any
	for _, r := range rows {
		cells = append(cells, []any{short(r.ID), r.Event, r.Principal, string(r.Class), s.state(r.Standing()),
			brief(r.Tally), s.moment(r.Accepted), inTime(r)})
	}
	s.table([]string{"CASE", "EVENT", "PRINCIPAL", "CLASS", "STATE", "ACTIONS", "ACCEPTED", "VERIFIED IN"}, cells)
}

// inTime tells how long a case took, and whether that is longer than it was to.
func inTime(r view.CaseRow) string {
	text := millis(r.VerifiedMS)
	if r.Late != nil && *r.Late {
		text = strings.TrimSpace(text + " LATE, of " + millis(r.SLAMS))
	}
	return text
}

// holdRows lists plans that wait for a person.
func (s *screen) holdRows(rows []view.CaseRow) {
	var cells [][]any
	for _, r := range rows {
		cells = append(cells, []any{short(r.ID), r.Event, r.Principal, plural(r.Tally.Total, "action"), s.moment(r.Accepted), r.Reason})
	}
	s.table([]string{"CASE", "EVENT", "PRINCIPAL", "PLAN", "ACCEPTED", "WHY"}, cells)
}

// short is the beginning of a case id.
func short(id string) string { return id[:min(shortID, len(id))] }

// brief counts actions in a cell: "3/4, 1 dead".
func brief(t view.Tally) string {
	parts := []string{fmt.Sprintf("%d/%d", t.Done, t.Total)}
	if t.Waiting > 0 {
		parts = append(parts, fmt.Sprintf("%d waiting", t.Waiting))
	}
	if t.Dead > 0 {
		parts = append(parts, fmt.Sprintf("%d dead", t.Dead))
	}
	return strings.Join(parts, ", ")
}
