package ledger

import "strings"

// The subjects of the LEDGER stream (docs/ARCHITECTURE.md, "Streams").
const (
	casePrefix   = "ledger."
	personPrefix = "person."
	planEntry    = ".plan"
	lifeEntry    = ".lifecycle"
	orderEntry   = ".order"
)

// PlanSubject is where the plan of a case stands.
func PlanSubject(caseID string) string { return casePrefix + caseID + planEntry }

// LifecycleSubject is where the case itself stands.
func LifecycleSubject(caseID string) string { return casePrefix + caseID + lifeEntry }

// ActionSubject is where an action of the case stands.
func ActionSubject(caseID, actionID string) string { return casePrefix + caseID + "." + actionID }

// OrderSubject is where the order of a person's events stands; key is the principal's key.
func OrderSubject(key string) string { return personPrefix + key + orderEntry }

// PersonSubject indexes a case under a person.
func PersonSubject(key, caseID string) string { return personPrefix + key + "." + caseID }

// CaseFilter matches all records of a case.
func CaseFilter(caseID string) string { return casePrefix + caseID + ".>" }

// PersonFilter matches the order and the index of a person.
func PersonFilter(key string) string { return personPrefix + key + ".>" }

// AllCases matches every record of every case.
func AllCases() string { return casePrefix + ">" }

// AllPlans matches the plan of every case.
func AllPlans() string { return casePrefix + "*" + planEntry }

// Everything matches every record of the ledger, in the order in which it was written.
func Everything() string { return ">" }

// CaseOf gives the case id in a subject of a case or of a person's index; empty for a person's order.
func CaseOf(subject string) string {
	part := strings.Split(subject, ".")
	switch {
	case len(part) >= 3 && part[0]+"." == casePrefix:
		return part[1]
	case len(part) == 3 && part[0]+"." == personPrefix && "."+part[2] != orderEntry:
		return part[2]
	}
	return ""
}

// Entry gives what a subject of a case is about: "plan", "lifecycle" or an action id.
func Entry(subject string) string {
	rest, ok := strings.CutPrefix(subject, casePrefix)
	if !ok {
		return ""
	}
	_, entry, _ := strings.Cut(rest, ".")
	return entry
}

// kindOf tells which table of states rules a subject.
func kindOf(subject string) string {
	switch {
	case strings.HasPrefix(subject, personPrefix):
		return "person"
	case strings.HasSuffix(subject, planEntry):
		return "plan"
	case strings.HasSuffix(subject, lifeEntry):
		return "case"
	case strings.HasPrefix(subject, casePrefix):
		return "action"
	}
	return ""
}
