package ingest

import (
	"regexp"
	"strings"
	"testing"

	"keyturn/internal/ingest/presets"
)

// TestMisnamedDaysAreThoseOfTheHRIS: what one preset takes for a last day under another name, the others do.
func TestMisnamedDaysAreThoseOfTheHRIS(t *testing.T) {
	text, err := presets.FS.ReadFile("generic-hris.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, days, _ := strings.Cut(string(text), "name: days")
	days, _, _ = strings.Cut(days, "- {name:")
	days, _, _ = strings.Cut(days, "- name:")
	var theirs strings.Builder
	for _, m := range regexp.MustCompile(`'([^']+)'`).FindAllStringSubmatch(days, -1) {
		theirs.WriteString(m[1])
	}
	if theirs.String() != misnamedDay.String() {
		t.Errorf("generic-hris has\n%s\nhere is\n%s", theirs.String(), misnamedDay)
	}
}

// TestALookAtTheNamesLosesNone: however a member is written, the quick look sends it to the reading.
func TestALookAtTheNamesLosesNone(t *testing.T) {
	for text, want := range map[string]bool{
		`{"user":{"email":"maria@acme.example"},"reason":"last day: today, end_date: none"}`: false,
		`{"user":{"email":"maria@acme.example","department":"Sales: end","hire":":"}}`:       false,
		`{"user":{"email":"maria@acme.example"},"effective_date":"2026-12-31"}`:              true,
		"{\"user\":{\"lastDay\" \n:\"2026-12-31\"}}":                                         true,
		`{"user":{"last\u005fday":"2026-12-31"}}`:                                            true,
		`{"EffectiveAt":"2026-12-31T17:00:00Z"}`:                                             true,
	} {
		if got := mayNameDay(nil, []byte(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
