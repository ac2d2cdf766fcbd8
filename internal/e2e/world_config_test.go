package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

// origin is where the providers are, for those who call them without a socket.
const origin = "https://sandbox.test"

// sourceName is the source that sends everything, eventSource what it calls itself in its events.
const (
	sourceName  = "hr-relay"
	eventSource = "https://hr.acme.example"
)

// sampleConnections are the sandbox's tenants. The providers' own pace is not what is tested here.
const sampleConnections = `
connections:
  okta-prod:
    provider: okta
    base_url: ORIGIN/okta
    concurrency: 64
    auth: {ssws: "${env:okta}"}
  asa-prod:
    provider: asa
    base_url: ORIGIN/asa
    team: acme
    concurrency: 64
    auth: {service_user: {key_id: sample-key, key_secret: "${env:asa}"}}
  mosaic-prod:
    provider: transmit
    base_url: ORIGIN/mosaic/cis
    token_url: ORIGIN/mosaic/oidc/token
    concurrency: 64
    auth: {client_credentials: {client_id: sample-client, client_secret: "${env:mosaic}"}}
    secret_sink: {dir: created}
`

// samplePlaybooks are one for each flow. The sweep stays with the person's own clients: thousands of people are
// terminated at once, and every sweep of everything would read the tokens of all of them.
const samplePlaybooks = `
playbooks:
  - name: offboard
    on: [user.terminated]
    when: "event.data.reason != 'dated'"
    actions:
      - {step: suspend, do: okta.suspend_user, at: okta-prod, with: {user: "${{ event.data.user }}"}}
      - {step: sessions, do: okta.clear_sessions, at: okta-prod, with: {user: "${{ event.data.user }}"}}
      - {step: tokens, do: okta.revoke_user_tokens, at: okta-prod, with: {user: "${{ event.data.user }}", sweep: clients}}
      - {step: devices, do: asa.revoke_clients, at: asa-prod, with: {user: "${{ event.data.user }}"}}
  - name: dated
    on: [user.terminated]
    when: "event.data.reason == 'dated'"
    actions:
      - {step: suspend, do: okta.suspend_user, at: okta-prod, with: {user: "${{ event.data.user }}"}}
  - name: lock
    on: [user.compromised]
    actions:
      - {step: deactivate, do: okta.deactivate_user, at: okta-prod, with: {user: "${{ event.data.user }}"}}
  - name: lost
    on: [device.lost]
    actions:
      - step: device
        do: asa.revoke_clients
        at: asa-prod
        with: {user: "${{ event.data.user }}", hostname: "${{ event.data.device.hostname }}"}
      - {step: sessions, do: okta.clear_sessions, at: okta-prod, needs: [device], with: {user: "${{ event.data.user }}"}}
  - name: onboard
    on: [app.onboarded]
    actions:
      - {step: client, do: transmit.ensure_client, at: mosaic-prod, with: {app: "${{ event.data.app }}"}}
guards:
  approve:
    - {do: [okta.deactivate_user], approvers: 2}
`

// credentials are what the sample connections speak with.
func credentials() sandbox.Credentials {
	return sandbox.Credentials{
		OktaAPIToken: "sample-okta",
		ASAAdmin:     sandbox.ASAKey{UserName: "svc-keyturn", KeyID: "sample-key", KeySecret: "sample-asa"},
		Mosaic:       sandbox.MosaicKey{ClientID: "sample-client", ClientSecret: "sample-mosaic"},
	}
}

// configure writes the configuration into dir as an operator would, and reads it as a worker does. It gives the
// directory where secrets of created clients go besides.
func configure(t testing.TB, dir string) (c config.Config, sink string) {
	t.Helper()
	sink = filepath.Join(dir, "created")
	files := map[string]string{
		config.ConnectionsFile: strings.ReplaceAll(sampleConnections, "ORIGIN", origin), config.PlaybooksFile: samplePlaybooks,
	}
	if err := os.MkdirAll(sink, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Read(dir, config.Resolver{LookupEnv: func(name string) (string, bool) { return "sample-" + name, true }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Connections {
		c.Connections[i].Concurrency = 256 // beyond what the file may say: so many cases at once
	}
	return c, sink
}

// sourceSpec is the one sender.
func sourceSpec() ingest.SourceSpec {
	return ingest.SourceSpec{Name: sourceName, Preset: "cloudevents", Verify: ingest.VerifySpec{
		StandardWebhooks: &ingest.StandardWebhooksSpec{Secrets: []secret.Value{secret.New("whsec_c2FtcGxlLXNlY3JldC1vZi1hY21lLWV4YW1wbGU=")}},
	}}
}
