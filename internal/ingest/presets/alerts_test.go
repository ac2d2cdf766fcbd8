package presets_test

import (
	"maps"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ingest/presets"
	"keyturn/internal/rehearsal"
)

// TestAlertsSayTheSame holds all senders of alerts to one convention: a rule that says what happened is written once,
// and moved from one to another without a change.
func TestAlertsSayTheSame(t *testing.T) {
	person := `"user":{"asa_username":"maria","email":"maria@acme.example","employee_number":"004217","login":"maria@acme.example","okta_id":"00u1maria"}`
	want := map[string]string{
		"user-compromised":   `{"reason":"as the rule says",` + person + `}`,
		"device-lost":        `{"device":{"hostname":"maria-mbp","serial":"C02XK0AAJG5H"},"reason":"as the rule says",` + person + `}`,
		"client-compromised": `{"authorization_server":"default","client_id":"0oa1crm","reason":"as the rule says"}`,
		"token-compromised":  `{"authorization_server":"default","client_id":"0oa1crm","reason":"as the rule says","token_id":"oar1"}`,
	}
	senders := []string{"alertmanager", "crowdstrike", "datadog", "falcosidekick", "grafana", "kibana", "pagerduty", "splunk"}
	for _, name := range senders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite := load(t, name)
			for kind, data := range want {
				list := give(t, suite, name, "convention-"+kind)
				if len(list) != 1 || string(list[0].Data) != data {
					t.Errorf("%s: %s, want %s", kind, list, data)
				}
			}
		})
	}
}

// TestSentAgain: what a sender sends again, in another order or with what changes meanwhile, is the same cases.
func TestSentAgain(t *testing.T) {
	for _, c := range []struct{ preset, first, again string }{
		{"alertmanager", "all-kinds", "resent-reordered"},
		{"crowdstrike", "user", "user-at-the-top"},
		{"datadog", "triggered", "renotified"},
		{"falcosidekick", "token", "token-received-again"},
		{"grafana", "several", "resent-reordered"},
		{"graph", "several", "several-reordered"},
		{"jamf", "lost", "lost-reordered"},
		{"kibana", "active", "still-active"},
		{"pagerduty", "fields-set", "another-field-changed"},
		{"splunk", "row-with-id", "row-found-again"},
	} {
		t.Run(c.preset, func(t *testing.T) {
			t.Parallel()
			suite := load(t, c.preset)
			first, again := cases(give(t, suite, c.preset, c.first)), cases(give(t, suite, c.preset, c.again))
			if len(first) == 0 || !maps.Equal(first, again) {
				t.Errorf("(-first +again):\n%s", cmp.Diff(first, again))
			}
		})
	}
}

// cases are what events say, by their case.
func cases(list []events.Event) map[string]string {
	said := map[string]string{}
	for _, e := range list {
		said[e.Case()] = e.ContentHash()
	}
	return said
}

// suites are the cases of all presets. They are loaded once, and each of their sources is compiled once, for all tests:
// a case has a handler of its own, whatever plays it.
var suites = sync.OnceValues(func() (map[string]rehearsal.Suite, error) {
	all := map[string]rehearsal.Suite{}
	for _, name := range config.Presets() {
		suite, err := rehearsal.Load(presets.FS, "testdata/"+name)
		if err != nil {
			return nil, err
		}
		all[name] = suite
	}
	return all, nil
})

func load(t testing.TB, preset string) rehearsal.Suite {
	t.Helper()
	all, err := suites()
	if err != nil {
		t.Fatal(err)
	}
	return all[preset]
}

// give plays a case of a suite, and gives its events.
func give(t *testing.T, suite rehearsal.Suite, preset, name string) []events.Event {
	t.Helper()
	text, ok := suite.Cases["testdata/"+preset+"/"+name+".txt"]
	if !ok {
		t.Fatalf("testdata/%s has no case %s", preset, name)
	}
	_, got, err := suite.Play(text)
	if err != nil {
		t.Fatal(err)
	}
	return got.Events
}
