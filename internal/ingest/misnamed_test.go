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
