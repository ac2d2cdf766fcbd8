package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"keyturn/deploy"
	"keyturn/internal/config"
	"keyturn/internal/sandbox"
)

// sampleProtected is whom the sample configuration protects: the sandbox's own break-glass account.
const sampleProtected = "user:break.glass@acme.example"

// writeSample writes a configuration for the sandbox into dir, as an operator would write one for real tenants: three
// files, the tests of the playbooks, and secrets in files of mode 0600 that they refer to. What is there already stays as
// it is, so that what a person changed is kept; the connections follow the sandbox's address. brake is
// how many terminations may pass in an hour; 0 = as many as in the default set.
func writeSample(dir, origin string, c sandbox.Credentials, brake int) error {
	secrets := filepath.Join(dir, "secrets")
	if err := os.MkdirAll(filepath.Join(secrets, "created"), 0o700); err != nil {
		return fmt.Errorf("sample configuration: %w", err)
	}
	playbooks, err := samplePlaybooks(brake)
	tests, terr := sampleText(config.PlaybookTestsFile)
	for _, name := range []string{"siem", "bamboohr", "jamf", "alerts", "okta-hooks", "hris"} {
		err = errors.Join(err, putOnce(filepath.Join(secrets, name), newSecret()))
	}
	return errors.Join(err, terr,
		putOnce(filepath.Join(secrets, "hr-relay"), "whsec_"+newSecret()),
		putOnce(filepath.Join(secrets, "onboarding"), "whsec_"+newSecret()),
		put(filepath.Join(secrets, "okta.pem"), c.OktaApp.PrivateKey),
		put(filepath.Join(secrets, "asa"), c.ASAAdmin.KeySecret),
		put(filepath.Join(secrets, "mosaic"), c.Mosaic.ClientSecret),
		putOnce(filepath.Join(dir, config.SourcesFile), sampleSources),
		put(filepath.Join(dir, config.ConnectionsFile), sampleConnections(origin, c)),
		putOnce(filepath.Join(dir, config.PlaybooksFile), playbooks),
		putOnce(filepath.Join(dir, config.PlaybookTestsFile), tests),
	)
}

const sampleSources = `# yaml-language-server: $schema=https://keyturn.dev/schemas/config/sources/v1.json
# Who may send: one endpoint each, POST /hooks/<name>.
sources:
  hr-relay:   {preset: cloudevents, verify: {standard_webhooks: {secrets: ["${file:secrets/hr-relay}"]}}}
  siem:       {preset: cloudevents, verify: {hmac: {header: X-Signature, prefix: "sha256=", secrets: ["${file:secrets/siem}"]}}}
  onboarding: {preset: standard-webhooks, verify: {standard_webhooks: {secrets: ["${file:secrets/onboarding}"]}}}
  # Those below post what their vendors make them post. response: null answers with the ids of the cases; without it
  # each is answered as its vendor asks.
  bamboohr:   {preset: bamboohr, response: null, map: {effective_at: {zone: Europe/Berlin}}, verify: {hmac: {secrets: ["${file:secrets/bamboohr}"]}}}
  jamf:       {preset: jamf, verify: {header_token: {values: ["${file:secrets/jamf}"]}}}
  alerts:     {preset: alertmanager, verify: {header_token: {values: ["${file:secrets/alerts}"]}}}
  okta-hooks: {preset: okta-event-hook, response: null, verify: {header_token: {values: ["${file:secrets/okta-hooks}"]}}}
  hris:       {preset: generic-hris, map: {effective_at: {zone: Europe/Berlin}}, verify: {header_token: {values: ["${file:secrets/hris}"]}}}
`

// sampleConnections are the sandbox's three tenants. The sandbox's credentials follow from its seed, so that only its
// port differs from run to run.
func sampleConnections(origin string, c sandbox.Credentials) string {
	return fmt.Sprintf(`# yaml-language-server: $schema=https://keyturn.dev/schemas/config/connections/v1.json
# The sandbox's tenants. For real ones change base_url, token_url and the credentials, nothing else.
connections:
  okta-prod:
    provider: okta
    base_url: %s
    auth: {service_app: {client_id: %s, key_id: %q, private_key: "${file:secrets/okta.pem}", scopes: [%s]}}
  asa-prod:
    provider: asa
    base_url: %s
    team: acme
    auth: {service_user: {key_id: %s, key_secret: "${file:secrets/asa}"}}
  mosaic-prod:
    provider: transmit
    base_url: %s
    token_url: %s
    auth: {client_credentials: {client_id: %s, client_secret: "${file:secrets/mosaic}"}}
    secret_sink: {dir: secrets/created}
`, sandbox.OktaURL(origin), c.OktaApp.ClientID, c.OktaApp.KeyID, strings.Join(c.OktaApp.Scopes, ", "),
		sandbox.ASAURL(origin), c.ASAAdmin.KeyID, sandbox.MosaicURL(origin), sandbox.MosaicTokenURL(origin), c.Mosaic.ClientID)
}

// samplePlaybooks is the default set, with the sandbox's break-glass account as the protected one.
func samplePlaybooks(brake int) (string, error) {
	text, err := sampleText(config.PlaybooksFile)
	if err != nil {
		return "", err
	}
	if brake > 0 {
		const usual = "{on: [user.terminated], max: 25,"
		if !strings.Contains(text, usual) {
			return "", errors.New("sample configuration: the default set has no brake on terminations")
		}
		text = strings.Replace(text, usual, fmt.Sprintf("{on: [user.terminated], max: %d,", brake), 1)
	}
	return text, nil
}

// sampleText is a file of the default set, about the sandbox's break-glass account. An editor finds its schema by the
// address: the file stands in no checkout.
func sampleText(name string) (string, error) {
	data, err := fs.ReadFile(deploy.Config, "config/"+name)
	if err != nil {
		return "", fmt.Errorf("sample configuration: %w", err)
	}
	return strings.NewReplacer("user:breakglass@acme.example", sampleProtected, "BreakGlass@acme.example", "Break.Glass@acme.example",
		"$schema=../../schemas/config/playbooks.json", "$schema=https://keyturn.dev/schemas/config/playbooks/v1.json",
		"$schema=../../schemas/config/playbooks_test.json", "$schema=https://keyturn.dev/schemas/config/playbooks_test/v1.json",
	).Replace(string(data)), nil
}

// newSecret makes a webhook secret: 24 random bytes in base64, as Standard Webhooks recommends (24 to 64 bytes).
func newSecret() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return base64.StdEncoding.EncodeToString(b)
}

// put writes a file that only its owner reads.
func put(path, content string) error { return os.WriteFile(path, []byte(content), 0o600) }

// putOnce writes a file that is not there yet.
func putOnce(path, content string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return put(path, content)
}
