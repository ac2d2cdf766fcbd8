package config

import (
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUnresolvedReferences: where secrets are not, the files can be checked without them; a reference of another form
// is a fault all the same, and so is everything else.
func TestUnresolvedReferences(t *testing.T) {
	files := map[string]string{
		"c/sources.yaml": `sources:
  a: {preset: cloudevents, verify: {standard_webhooks: {secrets: ["${env:A}", "${file:a}", "plain text"]}}}
  b: {preset: cloudevents, verify: {hmac: {header: X-S, secrets: ["${env:B}"]}}}
`,
		"c/connections.yaml": `connections:
  okta: {provider: okta, base_url: https://okta.example, auth: {ssws: "${env:S}"}}
  asa: {provider: asa, base_url: "http://asa.example", team: t, auth: {service_user: {key_id: k, key_secret: "${env:S}"}}}
`,
		"c/playbooks.yaml": "playbooks: []\n",
	}
	var told []string
	refs := Resolver{
		LookupEnv:  func(string) (string, bool) { return "", false },
		Unresolved: func(f Fault) { told = append(told, f.Path) },
		ReadFile: func(name string) ([]byte, error) {
			if text, ok := files[name]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		},
	}
	_, serr := ReadSources("c", refs)
	_, err := Read("c", refs)
	var got []string
	for _, e := range []error{serr, err} {
		if faults, ok := e.(Faults); ok {
			for _, f := range faults {
				got = append(got, f.Path)
			}
		}
	}
	if diff := cmp.Diff([]string{"sources.a.verify.standard_webhooks.secrets[2]", "connections.asa.base_url"}, got); diff != "" {
		t.Errorf("faults: -want +got\n%s\n%v\n%v", diff, serr, err)
	}
	want := []string{"sources.a.verify.standard_webhooks.secrets[0]", "sources.a.verify.standard_webhooks.secrets[1]",
		"sources.b.verify.hmac.secrets[0]", "connections.okta.auth.ssws", "connections.asa.auth.service_user.key_secret"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("unresolved: -want +got\n%s", diff)
	}
}
