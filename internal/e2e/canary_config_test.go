package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/sandbox"
)

// secret makes a secret with a mark. It holds characters that change when they are escaped.
func (w *world) secret(name string) string {
	s := "canary/" + name + "+" + rand.Text() + "&="
	w.marks.add(name, s)
	return s
}

// credentials gives the providers a marked secret wherever one is chosen by whoever sets them up.
func (w *world) credentials(t *testing.T) {
	t.Helper()
	sb := sandbox.New(sandbox.Options{Credentials: sandbox.Credentials{
		OktaAPIToken: w.secret("okta API token"),
		OktaApp:      sandbox.ServiceApp{PrivateKey: w.key(t, "okta private key")},
		OktaDPoPApp:  sandbox.ServiceApp{PrivateKey: w.key(t, "okta DPoP app's private key")},
		ASAAdmin:     sandbox.ASAKey{KeySecret: w.secret("asa key secret")},
		Mosaic:       sandbox.MosaicKey{ClientSecret: w.secret("mosaic client secret")},
	}})
	w.provider, w.acme = newProvider(sb, w.marks), sb.SeedAcme(6)
}

// key makes a private key, and marks its scalar and every line of its PEM.
func (w *world) key(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	w.marks.add(name, string(scalar))
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "---") && line != strings.Split(text, "\n")[1] { // the first is the same for every key
			w.marks.add(name, line)
		}
	}
	return text
}

func (w *world) path(elements ...string) string {
	return filepath.Join(append([]string{w.dir}, elements...)...)
}

// configure writes the configuration as an operator does, with every secret behind a reference, and reads it.
func (w *world) configure(t *testing.T, origin string) {
	t.Helper()
	c := w.provider.sandbox.Credentials()
	raw := w.secret("standard webhook secret")
	whsec := base64.StdEncoding.EncodeToString([]byte(raw))
	t.Setenv("CANARY_ASA", c.ASAAdmin.KeySecret)
	t.Setenv("KEYTURN_DEPLOYMENT_KEY", w.secret("deployment key"))
	t.Setenv("KEYTURN_LOG_LEVEL", "debug")
	for name, text := range map[string]string{
		"hr": "whsec_" + whsec, "siem": w.secret("hmac webhook secret"), "ssws": c.OktaAPIToken, "app.pem": c.OktaApp.PrivateKey,
		"dpop.pem": c.OktaDPoPApp.PrivateKey, "mosaic": c.Mosaic.ClientSecret,
	} {
		w.put(t, filepath.Join("config", "secrets", name), text)
	}
	if err := os.MkdirAll(w.path("sink"), 0o700); err != nil {
		t.Fatal(err)
	}
	app := func(a sandbox.ServiceApp, file string) string {
		return fmt.Sprintf(`{service_app: {client_id: %s, key_id: %q, private_key: "${file:secrets/%s}", scopes: [%s]}}`,
			a.ClientID, a.KeyID, file, strings.Join(a.Scopes, ", "))
	}
	okta := sandbox.OktaURL(origin)
	w.put(t, "config/sources.yaml", canarySources)
	w.put(t, "config/playbooks.yaml", canaryPlaybooks)
	w.put(t, "config/connections.yaml", fmt.Sprintf(canaryConnections, okta, okta, app(c.OktaApp, "app.pem"), okta,
		app(c.OktaDPoPApp, "dpop.pem"), sandbox.ASAURL(origin), c.ASAAdmin.KeyID, sandbox.MosaicURL(origin),
		sandbox.MosaicTokenURL(origin), c.Mosaic.ClientID, w.path("sink")))
	var errs [3]error
	w.settings, errs[0] = config.LocalFromEnv()
	w.sources, errs[1] = config.ReadSources(w.path("config"), config.Resolver{})
	w.files, errs[2] = config.Read(w.path("config"), config.Resolver{})
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
}

func (w *world) put(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(w.path(name)), 0o700), os.WriteFile(w.path(name), []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

const canarySources = `sources:
  hr:   {preset: cloudevents, verify: {standard_webhooks: {secrets: ["${file:secrets/hr}"]}}}
  siem: {preset: cloudevents, verify: {hmac: {header: X-Signature, prefix: "sha256=", secrets: ["${file:secrets/siem}"]}}}
`

const canaryConnections = `connections:
  okta-token:
    provider: okta
    base_url: %s
    auth: {ssws: "${file:secrets/ssws}"}
  okta-app:
    provider: okta
    base_url: %s
    auth: %s
  okta-dpop:
    provider: okta
    base_url: %s
    auth: %s
  asa:
    provider: asa
    base_url: %s
    team: acme
    auth: {service_user: {key_id: %s, key_secret: "${env:CANARY_ASA}"}}
  mosaic:
    provider: transmit
    base_url: %s
    token_url: %s
    auth: {client_credentials: {client_id: %s, client_secret: "${file:secrets/mosaic}"}}
    secret_sink: {dir: %s}
`

const canaryPlaybooks = `playbooks:
  - name: offboard
    on: [user.terminated, user.compromised]
    actions:
      - {step: suspend, do: okta.suspend_user, at: okta-token, with: {user: "${{ event.data.user }}"}}
      - {step: sessions, do: okta.clear_sessions, at: okta-app, with: {user: "${{ event.data.user }}"}}
      - {step: tokens, do: okta.revoke_user_tokens, at: okta-dpop, with: {user: "${{ event.data.user }}"}}
      - {step: devices, do: asa.revoke_clients, at: asa, with: {user: "${{ event.data.user }}"}}
  - name: lost-device
    on: [device.lost]
    actions:
      - step: device
        do: asa.revoke_clients
        at: asa
        with: {user: "${{ event.data.user }}", hostname: "${{ event.data.device.hostname }}"}
  - name: compromised-client
    on: [client.compromised]
    actions:
      - {step: tokens, do: okta.revoke_client_tokens, at: okta-app, with: {client_id: "${{ event.data.client_id }}"}}
  - name: onboard
    on: [app.onboarded]
    actions:
      - {step: client, do: transmit.ensure_client, at: mosaic, with: {app: "${{ event.data.app }}"}}
  - name: token
    on: [token.compromised]
    actions:
      - step: token
        do: okta.revoke_token
        at: okta-dpop
        with: {token_id: "${{ event.data.token_id }}", client_id: "${{ event.data.client_id }}", authorization_server: "${{ event.data.authorization_server }}"}
  - name: update
    on: [app.updated]
    actions:
      - {step: client, do: transmit.update_client, at: mosaic, with: {app: "${{ event.data.app }}"}}
  - name: resources
    on: [app.resources_changed]
    actions:
      - {step: resources, do: transmit.set_resources, at: mosaic, with: {app: "${{ event.data.app }}"}}
  - name: retire
    on: [app.retired]
    when: "event.data.app.key == 'chat'"
    actions:
      - {step: client, do: transmit.delete_client, at: mosaic, with: {app: "${{ event.data.app }}"}}
  - name: everything
    on: [app.retired]
    when: "event.data.app.key != 'chat'"
    actions:
      - {step: clients, do: transmit.delete_all_clients, at: mosaic, with: {app_id: "${{ event.data.app.key }}"}}
guards:
  protected: ["user:break.glass@acme.example"]
  brake: [{on: [user.compromised], max: 0, per: 1h, then: hold}]
`
