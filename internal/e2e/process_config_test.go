package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
	"keyturn/internal/sandbox"
)

// put writes a file that only its owner reads, and gives its path.
func put(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Sample secrets, of nobody.
const (
	relaySecret = "whsec_YSBzYW1wbGUgc2VjcmV0IG9mIGFjbWUuZXhhbXBsZQ=="
	siemSecret  = "another sample secret of acme.example"
)

// intakeConfig writes what ingest reads: two sources, their secrets in files.
func intakeConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, "hr-relay.secret", relaySecret)
	put(t, dir, "siem.secret", siemSecret)
	put(t, dir, config.SourcesFile, `
sources:
  hr-relay: {preset: cloudevents, verify: {standard_webhooks: {secrets: ["${file:hr-relay.secret}"]}}}
  siem:
    preset: cloudevents
    verify: {hmac: {header: X-Signature, prefix: "sha256=", timestamp_header: X-Timestamp, secrets: ["${file:siem.secret}"]}}
`)
	return dir
}

// signers gives what signs as each source of an intake's configuration does.
func signers(t *testing.T, dir string) map[string]ingest.SourceSpec {
	t.Helper()
	list, err := config.ReadSources(dir, config.Resolver{})
	if err != nil {
		t.Fatal(err)
	}
	specs := map[string]ingest.SourceSpec{}
	for _, s := range list {
		specs[s.Name] = ingest.Configured(s)
	}
	return specs
}

// workerConfig writes what a worker reads: connections to the sandbox at origin, their credentials in files, and
// playbooks without a brake. It gives the directory, and that of the secrets of created clients.
func workerConfig(t *testing.T, origin string, c sandbox.Credentials) (dir, sink string) {
	t.Helper()
	dir, sink = t.TempDir(), t.TempDir()
	put(t, dir, "okta.pem", c.OktaApp.PrivateKey)
	put(t, dir, "asa.secret", c.ASAAdmin.KeySecret)
	put(t, dir, "mosaic.secret", c.Mosaic.ClientSecret)
	put(t, dir, config.ConnectionsFile, fmt.Sprintf(`
connections:
  okta-prod:
    provider: okta
    base_url: %s
    auth: {service_app: {client_id: %s, key_id: %q, private_key: "${file:okta.pem}", scopes: [%s]}}
  asa-prod:
    provider: asa
    base_url: %s
    team: acme
    auth: {service_user: {key_id: %s, key_secret: "${file:asa.secret}"}}
  mosaic-prod:
    provider: transmit
    base_url: %s
    token_url: %s
    auth: {client_credentials: {client_id: %s, client_secret: "${file:mosaic.secret}"}}
    secret_sink: {dir: %s}
`, sandbox.OktaURL(origin), c.OktaApp.ClientID, c.OktaApp.KeyID, strings.Join(c.OktaApp.Scopes, ", "),
		sandbox.ASAURL(origin), c.ASAAdmin.KeyID,
		sandbox.MosaicURL(origin), sandbox.MosaicTokenURL(origin), c.Mosaic.ClientID, sink))
	put(t, dir, config.PlaybooksFile, `
playbooks:
  - name: offboard
    on: [user.terminated]
    actions:
      - {step: suspend, do: okta.suspend_user, at: okta-prod, with: {user: "${{ event.data.user }}"}}
      - {step: sessions, do: okta.clear_sessions, at: okta-prod, with: {user: "${{ event.data.user }}"}}
      - {step: tokens, do: okta.revoke_user_tokens, at: okta-prod, with: {user: "${{ event.data.user }}"}}
      - {step: devices, do: asa.revoke_clients, at: asa-prod, with: {user: "${{ event.data.user }}"}}
  - name: lost-device
    on: [device.lost]
    actions:
      - {step: device, do: asa.revoke_clients, at: asa-prod, with: {user: "${{ event.data.user }}", hostname: "${{ event.data.device.hostname }}"}}
  - name: compromised-client
    on: [client.compromised]
    actions:
      - {step: tokens, do: okta.revoke_client_tokens, at: okta-prod, with: {client_id: "${{ event.data.client_id }}"}}
  - name: onboard-app
    on: [app.onboarded]
    actions:
      - {step: client, do: transmit.ensure_client, at: mosaic-prod, with: {app: "${{ event.data.app }}"}}
`)
	return dir, sink
}
