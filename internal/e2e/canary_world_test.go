package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"keyturn/internal/actions"
	"keyturn/internal/admin"
	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ingest"
	"keyturn/internal/ledger"
	"keyturn/internal/process"
	"keyturn/internal/sandbox"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/view"
	"keyturn/internal/worker"
)

// world is one machine as `keyturn serve` wires it, over a store on disk and providers on loopback, with a mark in
// every secret.
type world struct {
	dir      string
	marks    *marks
	provider *provider
	acme     sandbox.Acme
	settings config.Local
	sources  config.Sources
	files    config.Config
	broker   *embedded.Server
	bus      *stream.Bus
	keyer    events.Keyer
	worker   *worker.Worker
	options  worker.Options
	handler  *ingest.Handler
	reg      *prometheus.Registry
	hooks    string // URLs
	admin    string
	log      *buffer
	ledger   *ledger.Ledger
	view     *view.Reader
	broken   atomic.Value // what a failing readiness check says; nothing when there is none
	stop     func()

	mu      sync.Mutex
	answers []string // what senders were told
	cases   []string
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) text() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}

// newWorld builds the machine over dir and lets it work. transport is that of all connections; nil is their own.
func newWorld(t *testing.T, dir string, transport func(*world) http.RoundTripper) *world {
	t.Helper()
	w := &world{dir: dir, marks: newMarks(), log: &buffer{}, reg: admin.NewRegistry()}
	w.credentials(t)
	api := httptest.NewServer(w.provider)
	api.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo) // the provider's, not ours
	t.Cleanup(api.Close)
	w.configure(t, api.URL)
	log := process.Logger(w.settings.Log, w.log)
	var err error
	if w.broker, err = embedded.Start(embedded.Options{
		Dir: w.path("store"), Listen: true, Durability: stream.Group, Sync: func() error { return nil }, MaxStore: 1 << 28, Log: log,
	}); err != nil {
		t.Fatal(err)
	}
	options := w.broker.Options()
	w.marks.add("NATS password", options.Password.Reveal())
	options.Name, options.Log, options.Metrics = "keyturn", log, w.reg
	if w.bus, err = stream.Connect(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	if w.keyer, err = events.NewKeyer([]byte(w.settings.DeploymentKey.Reveal())); err != nil {
		t.Fatal(err)
	}
	w.ledger = ledger.New(w.bus.Log(), time.Now)
	w.view = view.New(w.ledger)
	w.wire(t, log, transport)
	return w
}

// wire puts worker, intake and administration together, as `keyturn serve` does, and starts them.
func (w *world) wire(t *testing.T, log *slog.Logger, transport func(*world) http.RoundTripper) {
	t.Helper()
	set, err := worker.Playbooks(w.files.Playbooks)
	if err != nil {
		t.Fatal(err)
	}
	w.options = worker.Options{
		Bus: w.bus, Name: "machine", Version: "test", Keyer: w.keyer, Connections: w.files.Connections, Playbooks: set, Log: log,
		Limits: actions.Limits{
			RoundPause: 10 * time.Millisecond, CallTimeout: 2 * time.Second, LookAgain: 50 * time.Millisecond,
			Conflict: 50 * time.Millisecond, BackoffBase: 20 * time.Millisecond, BackoffCap: 100 * time.Millisecond,
		},
	}
	if transport != nil {
		w.options.Transport = transport(w)
	}
	if w.worker, err = worker.New(w.options); err != nil {
		t.Fatal(err)
	}
	made, err := ingest.NewSources(w.sources)
	if err != nil {
		t.Fatal(err)
	}
	if w.handler, err = ingest.NewHandler(ingest.Options{
		Sources: made, Publisher: trap{w.bus}, Log: log, Metrics: w.reg, TooLarge: stream.IsTooLarge,
	}); err != nil {
		t.Fatal(err)
	}
	server := ingest.NewServer(ingest.ServerOptions{Handler: w.handler, Log: log})
	checks := append([]admin.Check{{Name: "listener", Run: server.Ready}, process.BrokerCheck(w.bus), {Name: "extra", Run: w.extra}},
		w.worker.Checks()...)
	w.run(t, server, admin.Handler(w.reg, checks...))
}

// extra is a readiness check that fails with what a test says.
func (w *world) extra(context.Context) error {
	if text, ok := w.broken.Load().(string); ok {
		return errors.New(text)
	}
	return nil
}

// run serves until the test ends, or until stop.
func (w *world) run(t *testing.T, server *ingest.Server, handler http.Handler) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	public, private := listen(t), listen(t)
	w.hooks, w.admin = "http://"+public.Addr().String(), "http://"+private.Addr().String()
	g.Go(func() error { return w.worker.Run(ctx) })
	g.Go(func() error { return server.Serve(ctx, public) })
	g.Go(func() error { return admin.Serve(ctx, private, handler) })
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		closing, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		if err := errors.Join(w.bus.Close(closing), w.broker.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.stop)
	until(t, "the machine to be ready", func() bool { return w.bus.Ready(t.Context()) == nil && server.Ready(t.Context()) == nil })
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// trap is the publisher of the intake. It panics over one event, as a bug would.
type trap struct{ ingest.Publisher }

func (p trap) PublishEvents(ctx context.Context, list []events.Event) error {
	if list[0].ID == "panics" {
		var none map[string]events.Event
		none[list[0].ID] = list[0]
	}
	return p.Publisher.PublishEvents(ctx, list)
}

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

// get asks a listener of ours.
func (w *world) get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
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
guards:
  protected: ["user:break.glass@acme.example"]
  brake: [{on: [user.compromised], max: 0, per: 1h, then: hold}]
`
