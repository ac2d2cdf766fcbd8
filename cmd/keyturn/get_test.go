package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/reads"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/worker"
)

// TestGetScripts runs the commands that read providers, against a broker, a worker and the sandbox in this process.
func TestGetScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/get",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			s, err := newTenants(env.WorkDir)
			if err != nil {
				return err
			}
			env.Defer(s.stop)
			env.Values[tenantsKey{}] = s
			env.Values[answererKey{}] = &answerer{env: env, dir: "testdata/get"}
			env.Setenv("KEYTURN_STORE", s.store)
			env.Setenv("GORACE", endAtOnce)
			ada := s.acme.Leaver
			for name, value := range map[string]string{"USER": ada.OktaID, "CLIENT": ada.Clients[0], "TOKEN": ada.Tokens[0],
				"DEVICE": ada.Devices[0], "SHARED": s.acme.SharedClient, "MOSAIC": s.sb.Credentials().Mosaic.ClientID,
				"MOSAIC_SECRET": s.sb.Credentials().Mosaic.ClientSecret} {
				env.Setenv(name, value)
			}
			own := `{"type":"client.compromised","id":"siem-1","data":{"client_id":"` + s.sb.Credentials().Mosaic.ClientID + `"}}`
			return os.WriteFile(filepath.Join(env.WorkDir, "own.json"), []byte(own), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": cmdExits, "keep": cmdKeep, "until": cmdUntil, "work": cmdWork, "rest": cmdRest, "expire": cmdExpire,
			"call": cmdCall, "fails": cmdFails,
		},
	})
}

// tenants is a broker with the sandbox's tenants behind it. A script starts and stops the worker.
type tenants struct {
	store  string
	active string // directory of the playbooks that the worker plans by; none there = none
	broker *embedded.Server
	bus    *stream.Bus
	sb     *sandbox.Server
	acme   sandbox.Acme
	rest   func()
}

type tenantsKey struct{}

func newTenants(dir string) (*tenants, error) {
	s := &tenants{store: filepath.Join(dir, "store"), active: filepath.Join(dir, "active"), rest: func() {}}
	var err error
	if s.sb, err = sandbox.Start(sandbox.Options{}); err != nil {
		return nil, err
	}
	s.acme = s.sb.SeedAcme(2)
	if s.broker, err = embedded.Start(embedded.Options{Dir: s.store, Listen: true, Durability: stream.Group, Sync: func() error { return nil }}); err != nil {
		return nil, err
	}
	s.bus, err = stream.Connect(context.Background(), s.broker.Options())
	return s, err
}

// work starts a worker, with an Okta connection whose scopes are all, or just these.
func (s *tenants) work(scopes ...string) error {
	c := s.sb.Credentials()
	if len(scopes) == 0 {
		scopes = c.OktaApp.Scopes
	}
	connections := config.Connections{
		{Name: "okta-prod", Provider: config.ProviderOkta, BaseURL: sandbox.OktaURL(s.sb.URL), Concurrency: 4,
			Auth: config.Auth{ServiceApp: &config.ServiceApp{ClientID: c.OktaApp.ClientID, KeyID: c.OktaApp.KeyID,
				PrivateKey: secret.New(c.OktaApp.PrivateKey), Scopes: scopes}}},
		{Name: "asa-prod", Provider: config.ProviderASA, BaseURL: sandbox.ASAURL(s.sb.URL), Team: "acme", Concurrency: 4,
			Auth: config.Auth{ServiceUser: &config.ServiceUser{KeyID: c.ASAAdmin.KeyID, KeySecret: secret.New(c.ASAAdmin.KeySecret)}}},
		{Name: "mosaic-prod", Provider: config.ProviderTransmit, BaseURL: sandbox.MosaicURL(s.sb.URL), Concurrency: 4,
			TokenURL: sandbox.MosaicTokenURL(s.sb.URL), Auth: config.Auth{ClientCredentials: &config.ClientCredentials{
				ClientID: c.Mosaic.ClientID, ClientSecret: secret.New(c.Mosaic.ClientSecret)}}},
	}
	keyer, kerr := events.NewKeyer([]byte("sample deployment key of acme.example"))
	var books config.Playbooks
	if _, err := os.Stat(s.active); err == nil {
		if books, err = config.ReadPlaybooks(s.active, config.Resolver{}); err != nil {
			return err
		}
	}
	set, perr := worker.Playbooks(books)
	w, err := worker.New(worker.Options{Bus: s.bus, Name: "worker-1", Keyer: keyer, Connections: connections, Playbooks: set,
		Log: slog.New(slog.DiscardHandler)})
	if err := errors.Join(kerr, perr, err); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Run(ctx)
	}()
	s.rest = sync.OnceFunc(func() { cancel(); <-done })
	return nil
}

func (s *tenants) stop() {
	s.rest()
	_ = s.bus.Close(context.Background())
	_ = s.broker.Close()
	_ = s.sb.Close()
}

func tenantsOf(ts *testscript.TestScript) *tenants { return ts.Value(tenantsKey{}).(*tenants) }

// cmdWork starts the worker: work [SCOPE…]. Its lanes are held when it returns.
func cmdWork(ts *testscript.TestScript, _ bool, scopes []string) {
	s := tenantsOf(ts)
	ts.Check(s.work(scopes...))
	for _, connection := range []string{"okta-prod", "asa-prod", "mosaic-prod"} {
		for deadline := time.Now().Add(20 * time.Second); ; {
			err := s.bus.Ask(context.Background(), stream.ReadGet, connection, []byte("{}"), func([]byte) error { return nil })
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				ts.Fatalf("lane of %s: %v", connection, err)
			}
		}
	}
}

// cmdRest stops the worker.
func cmdRest(ts *testscript.TestScript, _ bool, _ []string) { tenantsOf(ts).rest() }

// cmdExpire ends the API key of the ASA service user.
func cmdExpire(ts *testscript.TestScript, _ bool, _ []string) {
	s := tenantsOf(ts)
	s.sb.ExpireASAKey(s.sb.Credentials().ASAAdmin.KeyID)
}

// TestRowsAreDrawnPageByPage: each form, over several pages, of which a later one is wider, and text that would drive
// a terminal.
func TestRowsAreDrawnPageByPage(t *testing.T) {
	columns := []reads.Column{{Title: "NAME", Field: "name"}, {Title: "AT", Field: "at", Kind: reads.Time},
		{Title: "ON", Field: "on"}, {Title: "LIST", Field: "list", Wide: true}, {Title: "N", Field: "n", Wide: true}}
	pages := []reads.Page{
		{Columns: columns, Rows: []json.RawMessage{[]byte(`{"name":"a","at":"2026-01-02T03:04:05Z","on":true,"list":["x","y"],"n":12345678901}`)}},
		{Rows: []json.RawMessage{[]byte(`{"name":"\u001b[31mlonger\nname","on":false}`), []byte(`{}`)}},
	}
	for form, want := range map[string]string{
		outTable: "NAME  AT                          ON\na     2026-01-02 03:04:05 +00:00  yes\n" +
			"�[31mlonger name  -                           no\n-                 -                           -\n",
		outWide: "NAME  AT                          ON   LIST  N\na     2026-01-02 03:04:05 +00:00  yes  x, y  12345678901\n" +
			"�[31mlonger name  -                           no   -     -\n-                 -                           -    -     -\n",
		outLines: `{"name":"a","at":"2026-01-02T03:04:05Z","on":true,"list":["x","y"],"n":12345678901}` + "\n" +
			`{"name":"\u001b[31mlonger\nname","on":false}` + "\n{}\n",
	} {
		if got := drawnRows(t, form, pages); got != want {
			t.Errorf("%s:\n%q, want\n%q", form, got, want)
		}
	}
	var rows []map[string]any
	if err := json.Unmarshal([]byte(drawnRows(t, outJSON, pages)), &rows); err != nil || len(rows) != 3 {
		t.Errorf("json: %d rows, %v", len(rows), err)
	}
	for form, want := range map[string]string{outJSON: "[]\n", outLines: "", outTable: "nothing found\n"} {
		if got := drawnRows(t, form, []reads.Page{{Columns: columns, Rows: []json.RawMessage{}}}); got != want {
			t.Errorf("%s without rows: %q, want %q", form, got, want)
		}
	}
}

// drawnRows prints pages, messages and all.
func drawnRows(t *testing.T, form string, pages []reads.Page) string {
	t.Helper()
	var out bytes.Buffer
	p := &rowPrinter{app: &app{out: &out, err: &out, now: time.Now, zone: time.UTC}, form: form}
	for _, page := range pages {
		if err := p.page(page); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.end("nothing found"); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestAReportIsDrawn with everything that can be wrong.
func TestAReportIsDrawn(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	a := &app{out: &out, err: &out, now: func() time.Time { return now }, zone: time.UTC}
	r := reads.Report{Connection: "okta-prod", Provider: "okta", BaseURL: "https://acme.okta.com", Credential: "service_app",
		Worker: "worker-1", Epoch: 7, AtOnce: 4, Breaker: "credential refused since 08:00",
		Operations: []reads.Operation{{Op: "okta.listUsers", Needs: "okta.users.read", Result: reads.Refused, Status: 403, RequestID: "r1",
			Note: "E0000006 no permission", Fix: "Grant it"}, {Op: "okta.suspendUser", Needs: "okta.users.manage", Result: reads.Untried, Note: "a change"}},
		Buckets: []reads.Bucket{{Name: "/api/v1", Limit: 600, Left: 12, Resets: now.Add(30 * time.Second)}, {Name: "/v1/clients"},
			{Name: "/api/v1/users", Limit: 300, Unknown: true, Paused: now.Add(time.Minute)}},
	}
	r.Judge()
	if err := a.print([]reads.Report{r}, func(s *screen) { s.report(r) }); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"something is wrong", "worker-1, epoch 7", "open: credential refused", "denied", "403", "r1", "12    in 30.0 s",
		"paused, in 1 m 00 s", "not told", "problem    denied: okta.listUsers. E0000006 no permission. Grant it"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
