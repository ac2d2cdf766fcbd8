package presets_test

import (
	"os"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
)

// TestDocumentsSourcesLoad loads every sources.yaml that docs/SOURCES.md shows, with sample secrets.
func TestDocumentsSourcesLoad(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, part := range strings.Split(string(b), "\n```yaml\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		if !strings.HasPrefix(text, "sources:") {
			continue
		}
		shown++
		list, err := config.ReadSources("docs", config.Samples(func(string) ([]byte, error) { return []byte(text), nil }))
		if err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		for _, c := range list {
			if _, err := ingest.NewSource(ingest.Configured(c)); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		}
	}
	if shown < len(config.Presets())/2 {
		t.Errorf("only %d sources are shown: is the mark of their blocks another now?", shown)
	}
}

// TestDocumentsTemplatesWork fills the bodies that docs/SOURCES.md gives to senders with templates as those would, and
// plays them.
func TestDocumentsTemplatesWork(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for name, fill := range map[string][]string{
		"kibana": {
			"{{alert.uuid}}", "1f0c9f5e", "{{alert.actionGroup}}", "default", "{{date}}", "2026-11-22T11:59:30.000Z",
			"{{rule.name}}", "Impossible travel", "{{context.user}}", "maria@acme.example",
		},
		"datadog": {
			"$ALERT_CYCLE_KEY", "2961403817", "$ALERT_TRANSITION", "Triggered", "$DATE", "1795348740000", "$ALERT_ID", "4711",
			"$TAGS[keyturn_event]", "user.compromised", "$TAGS[employee_number]", "004217", "$TAGS[host]", "",
		},
	} {
		_, chapter, _ := strings.Cut(string(b), "\n### "+name+"\n")
		body := strings.NewReplacer(fill...).Replace(block(chapter, "json"))
		_, got, err := load(t, name).Play("POST /hooks/" + name + "\nContent-Type: application/json\n\n" + body)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Events) != 1 || got.Fault != nil || strings.Contains(body, "{{") || strings.Contains(body, "$") {
			t.Errorf("%s: %s gives\n%s", name, body, got)
		}
	}
}
