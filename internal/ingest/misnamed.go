package ingest

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"keyturn/internal/events"
)

// misnamedDay matches members that hold a last day under another name: the `days` of the preset generic-hris, which
// TestMisnamedDaysAreThoseOfTheHRIS holds against each other. last_updated_at and calendar_day are none.
var misnamedDay = regexp.MustCompile(
	`(?i)last[ _-]?(work(ing|ed)?|employ(ed|ment)?|paid|active|service)?[ _-]?(day|date)` +
		`|(term|effective|exit|leav|(^|[ _-])end|(?-i:[a-z]End))[a-z _-]*(day|date|[ _-]at$|[ _-]on$|(?-i:(At|On)$))`)

// ruleMisnamed is what is wrong with such a member.
const ruleMisnamed = "says when under a name that nobody looks at, and without effective_at in the data it takes effect at once: " +
	"give that, a time with its zone such as 2026-12-01T17:00:00+01:00"

// demandDay refuses an event that would take effect at once although it seems to name a day, under another name or in
// another place: whoever it is about would be locked out early. attributes are those of the event; one in the data's
// place, or in an object of the data such as the person, counts too. An event that says effective_at may name any other days.
func (d *Draft) demandDay(attributes map[string]json.RawMessage) {
	row, ok := events.Lookup(events.Event{Type: d.Type}.Name())
	if !ok || !row.Dated || d.EffectiveAt != "" {
		return
	}
	if !mayNameDay(attributes, d.Data) {
		return
	}
	members, err := events.Split(d.Data)
	if err != nil || given(members["effective_at"]) {
		return // complete says what is wrong with the data
	}
	d.misnamed("", attributes, "effectiveat")
	d.misnamed("/data", members, "effective_at")
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if raw := members[name]; len(raw) > 0 && raw[0] == '{' {
			below, _ := events.Split(raw)
			d.misnamed("/data/"+pointerOf(name), below)
		}
	}
}

// mayNameDay is a look at the names alone, which is enough for nearly every event: data is read only where one reads like a
// day. A name ends in a quote with a colon behind it; what looks so within a text costs no more than the reading.
func mayNameDay(attributes map[string]json.RawMessage, data []byte) bool {
	for name := range attributes {
		if namesDay(name) && name != "effectiveat" {
			return true
		}
	}
	for at := 0; ; at++ {
		next := bytes.IndexByte(data[at:], ':')
		if next < 0 {
			return false
		}
		at += next
		head, quoted := bytes.CutSuffix(bytes.TrimRight(data[:at], " \t\r\n"), []byte{'"'})
		if !quoted {
			continue
		}
		name := head[bytes.LastIndexByte(head, '"')+1:]
		if bytes.IndexByte(name, '\\') >= 0 || namesDay(string(name)) { // what is escaped may be anything
			return true
		}
	}
}

// misnamed notes the members that name a day, but those that may.
func (d *Draft) misnamed(at string, members map[string]json.RawMessage, may ...string) {
	var found []string
	for name, raw := range members {
		if namesDay(name) && !slices.Contains(may, name) && given(raw) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	for _, name := range found {
		d.fault(at+"/"+pointerOf(name), ruleMisnamed)
	}
}

// namesDay reports whether a member's name reads like a last day. Most are told by their letters, without the expression.
func namesDay(name string) bool {
	if name == "specversion" || name == "reason" { // every event has them
		return false
	}
	low := strings.ToLower(name)
	if !strings.Contains(low, "day") && !strings.Contains(low, "date") && !strings.HasSuffix(low, "at") && !strings.HasSuffix(low, "on") {
		return false
	}
	return misnamedDay.MatchString(name) || plainName.Replace(low) == "effectiveat"
}

// plainName takes out of a name what it may be written with or without.
var plainName = strings.NewReplacer("_", "", "-", "", " ", "")

// given reports whether a member says anything.
func given(raw json.RawMessage) bool {
	text := string(raw)
	return text != "" && text != "null" && text != `""`
}

// pointerOf writes a member's name as a part of a JSON pointer (RFC 6901, section 3).
func pointerOf(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }
