package ingest

import (
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
	members, err := events.Split(d.Data)
	if err != nil || given(members["effective_at"]) {
		return // complete says what is wrong with the data
	}
	d.misnamed("", attributes, "effectiveat", "data", "data_base64")
	d.misnamed("/data", members, "effective_at")
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if raw := members[name]; len(raw) > 0 && raw[0] == '{' {
			below, _ := events.Split(raw)
			d.misnamed("/data/"+pointerOf(name), below)
		}
	}
}

// misnamed notes the members that name a day, but those that may.
func (d *Draft) misnamed(at string, members map[string]json.RawMessage, may ...string) {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		plain := strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(name))
		if (plain == "effectiveat" || misnamedDay.MatchString(name)) && !slices.Contains(may, name) && given(members[name]) {
			d.fault(at+"/"+pointerOf(name), ruleMisnamed)
		}
	}
}

// given reports whether a member says anything.
func given(raw json.RawMessage) bool {
	text := string(raw)
	return text != "" && text != "null" && text != `""`
}

// pointerOf writes a member's name as a part of a JSON pointer (RFC 6901, section 3).
func pointerOf(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }
