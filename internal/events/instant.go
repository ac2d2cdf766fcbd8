package events

import (
	"strconv"
	"time"
)

// The years that a time of an event may lie in, in UTC. Outside the years 0 to 9999 a time has no RFC 3339 form, from
// 2262-04-11 on nanoseconds since 1970 overflow an int64, by which the broker keeps its schedules, and the year 1 is
// how "no time" is written by mistake.
const (
	FirstYear = 1970
	LastYear  = 2200
)

// later is what a sender can do about a time of effect that is too far off.
const later = ": use an earlier date, or leave the event out until it is known"

// CheckYear gives the rule that a time breaks by its year in UTC; empty = none.
func CheckYear(t time.Time) string {
	switch year := t.UTC().Year(); {
	case year < FirstYear:
		return "year: at least " + strconv.Itoa(FirstYear) + ", in UTC"
	case year > LastYear:
		return "year: at most " + strconv.Itoa(LastYear) + ", in UTC"
	}
	return ""
}

// CheckEffective gives the rule that a time of effect breaks by its year in UTC, and what to do; empty = none.
func CheckEffective(t time.Time) string {
	rule := CheckYear(t)
	if rule != "" && t.UTC().Year() > LastYear {
		rule += later
	}
	return rule
}

// checkDated checks the time of effect that the data of a dated event names. The payload cannot tell: the first
// second of the year 1 reads as none.
func checkDated(when any) []Violation {
	text, given := when.(string)
	if !given {
		return nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	rule := RuleDateTime
	if err == nil {
		rule = CheckEffective(at)
	}
	if rule == "" {
		return nil
	}
	return []Violation{{Field: "/effective_at", Rule: rule}}
}
