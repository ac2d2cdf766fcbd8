package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"keyturn/internal/apiclient"
	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/reads"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// site is a broker, the sandbox on loopback, and an operator's tool. Workers are started by the tests.
type site struct {
	t      *testing.T
	broker *embedded.Server
	sb     *sandbox.Server
	tool   *stream.Bus
	log    *text // what all workers log, debug and all
}

// text is a buffer for many writers.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

func newSite(t *testing.T, o sandbox.Options) *site {
	t.Helper()
	broker, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Durability: stream.Group, Sync: func() error { return nil }, MaxStore: 1 << 28})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	sb, err := sandbox.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sb.Close() })
	s := &site{t: t, broker: broker, sb: sb, log: &text{}}
	s.tool = s.bus()
	return s
}

func (s *site) bus() *stream.Bus {
	s.t.Helper()
	bus, err := stream.Connect(s.t.Context(), s.broker.Options())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = bus.Close(context.Background()) })
	return bus
}

// connections are the sandbox's tenants, with its credentials.
func (s *site) connections() config.Connections {
	c := s.sb.Credentials()
	return config.Connections{
		{Name: "okta-prod", Provider: config.ProviderOkta, BaseURL: sandbox.OktaURL(s.sb.URL), Concurrency: 4,
			Auth: config.Auth{ServiceApp: &config.ServiceApp{ClientID: c.OktaApp.ClientID, KeyID: c.OktaApp.KeyID,
				PrivateKey: secret.New(c.OktaApp.PrivateKey), Scopes: c.OktaApp.Scopes}}},
		{Name: "asa-prod", Provider: config.ProviderASA, BaseURL: sandbox.ASAURL(s.sb.URL), Team: "acme", Concurrency: 4,
			Auth: config.Auth{ServiceUser: &config.ServiceUser{KeyID: c.ASAAdmin.KeyID, KeySecret: secret.New(c.ASAAdmin.KeySecret)}}},
		{Name: "mosaic-prod", Provider: config.ProviderTransmit, BaseURL: sandbox.MosaicURL(s.sb.URL), Concurrency: 4,
			TokenURL: sandbox.MosaicTokenURL(s.sb.URL),
			Auth: config.Auth{ClientCredentials: &config.ClientCredentials{ClientID: c.Mosaic.ClientID,
				ClientSecret: secret.New(c.Mosaic.ClientSecret)}}},
	}
}

// work runs a worker until the returned stop, which waits for its end.
func (s *site) work(name string, connections config.Connections, transport http.RoundTripper, change ...func(*Worker)) (stop func()) {
	s.t.Helper()
	keyer, err := events.NewKeyer([]byte("sample deployment key of acme.example"))
	if err != nil {
		s.t.Fatal(err)
	}
	set, err := Playbooks(config.Playbooks{})
	if err != nil {
		s.t.Fatal(err)
	}
	w, err := New(Options{Bus: s.bus(), Name: name, Keyer: keyer, Connections: connections, Playbooks: set, Transport: transport,
		Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range change {
		c(w)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("worker %s: %v", name, err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// asked repeats a question until somebody holds the lane.
func (s *site) asked(read stream.Read, connection string, query any, page func([]byte) error) error {
	s.t.Helper()
	data, err := json.Marshal(query)
	if err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := s.tool.Ask(s.t.Context(), read, connection, data, page)
		if !errors.Is(err, stream.ErrNoHolder) || time.Now().After(deadline) {
			return err
		}
	}
}

type row = map[string]any

// get reads rows.
func (s *site) get(connection string, q reads.Query) ([]row, error) {
	s.t.Helper()
	var all []row
	err := s.asked(stream.ReadGet, connection, q, func(data []byte) error {
		var p struct{ Rows []row }
		if err := json.Unmarshal(data, &p); err != nil {
			return err
		}
		all = append(all, p.Rows...)
		return nil
	})
	return all, err
}

// check checks a connection.
func (s *site) check(connection string) reads.Report {
	s.t.Helper()
	var r reads.Report
	if err := s.asked(stream.ReadCheck, connection, nil, func(data []byte) error { return json.Unmarshal(data, &r) }); err != nil {
		s.t.Fatalf("check %s: %v", connection, err)
	}
	return r
}

// column gives one field of all rows.
func column(rows []row, field string) []string {
	var list []string
	for _, r := range rows {
		text, _ := r[field].(string)
		list = append(list, text)
	}
	return list
}

func filters(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// TestEveryResource reads each resource of each provider, by every way of asking.
func TestEveryResource(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	acme := s.sb.SeedAcme(3)
	ada := acme.Leaver
	twin := func(status string) string {
		return s.sb.AddUser(sandbox.UserSpec{Login: status + "@acme.example", Email: "shared@acme.example", EmployeeNumber: "77"})
	}
	twin("one")
	twin("two")
	slash := s.sb.AddUser(sandbox.UserSpec{Login: "acme/kim@acme.example"})
	own := s.sb.Credentials().Mosaic.ClientID
	s.work("worker-1", s.connections(), nil)
	client := ada.Clients[0]
	own1, tom := []string{ada.OktaID}, acme.Traveller
	for _, c := range []struct {
		at, resource string
		filters      map[string]string
		field        string
		want         []string // nil: see count
		count        int
		code         reads.Code
	}{
		{at: "okta-prod", resource: "user", filters: filters("id", ada.OktaID), field: "id", want: own1},
		{at: "okta-prod", resource: "user", filters: filters("id", ada.Login), code: reads.NotFound},
		{at: "okta-prod", resource: "user", filters: filters("login", ada.Login), field: "id", want: own1},
		{at: "okta-prod", resource: "user", filters: filters("login", "ada.berg"), code: reads.NotFound},
		{at: "okta-prod", resource: "user", filters: filters("login", "acme/kim@acme.example"), field: "id", want: []string{slash}},
		{at: "okta-prod", resource: "user", filters: filters("email", ada.Login), field: "id", want: own1},
		{at: "okta-prod", resource: "user", filters: filters("email", "shared@acme.example"), field: "email", count: 2},
		{at: "okta-prod", resource: "user", filters: filters("employee-number", "1001"), field: "login", want: []string{ada.Login}},
		{at: "okta-prod", resource: "user", filters: filters("employee-number", "999999"), code: reads.NotFound},
		{at: "okta-prod", resource: "user", filters: filters("user", "1001"), field: "id", want: own1},
		{at: "okta-prod", resource: "user", filters: filters("user", "acme/kim@acme.example"), field: "id", want: []string{slash}},
		{at: "okta-prod", resource: "user", filters: filters("user", "shared@acme.example"), code: reads.Invalid},
		{at: "okta-prod", resource: "user", filters: filters("user", "me"), code: reads.Invalid},
		{at: "okta-prod", resource: "user", code: reads.Invalid},
		{at: "okta-prod", resource: "user", filters: filters("id", "1", "login", "2"), code: reads.Invalid},
		{at: "okta-prod", resource: "user-clients", filters: filters("user", ada.Login), field: "client_id", want: ada.Clients},
		{at: "okta-prod", resource: "user-clients", filters: filters("user", "nobody@acme.example"), code: reads.NotFound},
		{at: "okta-prod", resource: "user-clients", code: reads.Invalid},
		{at: "okta-prod", resource: "user-tokens", filters: filters("user", ada.EmployeeNumber, "client", client), field: "user_id", count: 3},
		{at: "okta-prod", resource: "user-tokens", filters: filters("user", ada.Login, "client", client, "expand", "true"), field: "client_id", count: 3},
		{at: "okta-prod", resource: "user-token", filters: filters("user", ada.Login, "client", client, "id", ada.Tokens[0]), field: "id", want: ada.Tokens[:1]},
		{at: "okta-prod", resource: "user-token", filters: filters("user", ada.Login, "client", client, "id", "oar1"), code: reads.NotFound},
		{at: "okta-prod", resource: "user-grants", filters: filters("user", ada.Login), field: "client_id", want: ada.Clients},
		{at: "okta-prod", resource: "user-grants", filters: filters("user", ada.Login, "scope", "offline_access"), field: "id", count: 4},
		{at: "okta-prod", resource: "user-grants", filters: filters("user", ada.Login, "client", client), field: "client_id", want: []string{client}},
		{at: "okta-prod", resource: "user-grants", filters: filters("user", ada.Login, "client", client, "scope", "x"), code: reads.Invalid},
		{at: "okta-prod", resource: "servers", field: "name", want: []string{"default", "Payments", "Intranet"}},
		{at: "okta-prod", resource: "server-clients", filters: filters("server", "default"), field: "client_id", count: 5},
		{at: "okta-prod", resource: "tokens", filters: filters("server", "default", "client", acme.SharedClient), field: "id", count: 3},
		{at: "okta-prod", resource: "tokens", filters: filters("server", "default", "client", "0oa1"), code: reads.NotFound},
		{at: "okta-prod", resource: "token", filters: filters("server", "default", "client", client, "id", ada.Tokens[0], "expand", "true"), field: "id", want: ada.Tokens[:1]},
		{at: "okta-prod", resource: "secrets", code: reads.Invalid},
		{at: "okta-prod", field: "resource", want: []string{"user", "user-clients", "user-tokens", "user-token", "user-grants", "servers", "server-clients", "tokens", "token"}},

		{at: "asa-prod", resource: "clients", filters: filters("username", ada.ASAName), field: "id", want: ada.Devices},
		{at: "asa-prod", resource: "clients", filters: filters("username", ada.ASAName, "descending", "true", "count", "1"), field: "id", want: reversed(ada.Devices)},
		{at: "asa-prod", resource: "clients", filters: filters("all", "true", "state", "PENDING"), field: "hostname", want: []string{ada.Hostnames[2], tom.Hostnames[1], "spare-laptop"}},
		{at: "asa-prod", resource: "clients", filters: filters("all", "true", "state", "NONSENSE"), code: reads.Invalid},
		{at: "asa-prod", resource: "clients", code: reads.Invalid},
		{at: "asa-prod", resource: "clients", filters: filters("username", " "), code: reads.Invalid},
		{at: "asa-prod", resource: "clients", filters: filters("all", "true", "count", "0"), code: reads.Invalid},
		{at: "asa-prod", resource: "client", filters: filters("id", ada.Devices[1]), field: "hostname", want: ada.Hostnames[1:2]},
		{at: "asa-prod", resource: "client", filters: filters("id", "00000000-0000-4000-8000-000000000000"), code: reads.NotFound},
		{at: "asa-prod", resource: "users", filters: filters("starts-with", "Ada"), field: "name", want: []string{ada.ASAName}},
		{at: "asa-prod", resource: "users", filters: filters("contains", "Berg", "status", "ACTIVE", "count", "2"), field: "email", want: []string{ada.Login}},
		{at: "asa-prod", resource: "users", filters: filters("service-users", "true", "contains", "svc-"), field: "user_type", want: []string{"service", "service"}},
		{at: "asa-prod", resource: "user", filters: filters("name", ada.ASAName), field: "email", want: []string{ada.Login}},
		{at: "asa-prod", resource: "user", filters: filters("email", strings.ToUpper(ada.Login)), field: "name", want: []string{ada.ASAName}},
		{at: "asa-prod", resource: "user", filters: filters("email", "nobody@acme.example"), code: reads.NotFound},

		{at: "mosaic-prod", resource: "clients", field: "client_id", want: []string{own}},
		{at: "mosaic-prod", resource: "client", filters: filters("id", own), field: "client_secret", want: []string{secret.Redacted}},
		{at: "mosaic-prod", resource: "client", filters: filters("id", "nope"), code: reads.NotFound},
	} {
		rows, err := s.get(c.at, reads.Query{Resource: c.resource, Filters: c.filters})
		var said *stream.ReadError
		switch errors.As(err, &said); {
		case c.code != "":
			if said == nil || said.Code != stream.ReadCode(c.code) {
				t.Errorf("%s %s %v: %v, want code %s", c.at, c.resource, c.filters, err, c.code)
			}
		case err != nil:
			t.Errorf("%s %s %v: %v", c.at, c.resource, c.filters, err)
		case c.want != nil && !slices.Equal(column(rows, c.field), c.want):
			t.Errorf("%s %s %v: %s %q, want %q", c.at, c.resource, c.filters, c.field, column(rows, c.field), c.want)
		case c.want == nil && len(rows) != c.count:
			t.Errorf("%s %s %v: %d rows, want %d", c.at, c.resource, c.filters, len(rows), c.count)
		}
	}
	if rows, err := s.get("asa-prod", reads.Query{Resource: "clients", Filters: filters("all", "true"), Limit: 2}); err != nil || len(rows) != 2 {
		t.Errorf("a limit of 2: %d rows, %v", len(rows), err)
	}
	if _, err := s.get("asa-prod", reads.Query{Resource: "users", Class: "soon"}); err == nil {
		t.Error("a class that there is not")
	}
	if strings.Contains(s.log.String(), "@acme.example") {
		t.Error("the log names a person")
	}
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// TestALongListing: 10,000 rows come whole, a page at a time, and the provider is asked for no more than is taken.
func TestALongListing(t *testing.T) {
	const many = 10_000
	s := newSite(t, sandbox.Options{Limits: sandbox.Unlimited()})
	user := s.sb.AddUser(sandbox.UserSpec{Login: "kim@acme.example"})
	app := s.sb.AddOAuthClient(sandbox.OAuthClientSpec{Name: "Wiki"})
	for range many {
		s.sb.AddRefreshToken(user, app, "default")
	}
	s.work("worker-1", s.connections()[:1], nil)
	q := reads.Query{Resource: "tokens", Filters: filters("server", "default", "client", app)}
	ids, pages := map[string]bool{}, 0
	err := s.asked(stream.ReadGet, "okta-prod", q, func(data []byte) error {
		var p struct{ Rows []struct{ ID string } }
		if err := json.Unmarshal(data, &p); err != nil {
			return err
		}
		for _, r := range p.Rows {
			ids[r.ID] = true
		}
		pages++
		// A call gives 200 rows, a page has 100, and the token was one call more.
		if calls := len(s.sb.Journal()); calls > pages/2+3 {
			t.Errorf("%d calls when %d pages were taken", calls, pages)
		}
		if len(data) > 130<<10 || len(p.Rows) > 100 {
			t.Errorf("a page of %d bytes and %d rows", len(data), len(p.Rows))
		}
		return nil
	})
	if err != nil || len(ids) != many || pages != many/100 {
		t.Errorf("%d rows on %d pages, %v", len(ids), pages, err)
	}
}

// TestNoSecretLeavesTheWorker: nothing that crosses the broker or the log holds a secret, whether a read works or not.
func TestNoSecretLeavesTheWorker(t *testing.T) {
	const mark = "canary"
	creds := sandbox.Credentials{ASAAdmin: sandbox.ASAKey{UserName: "svc", KeyID: "k1", KeySecret: mark + "-asa"},
		Mosaic: sandbox.MosaicKey{ClientID: "c1", ClientSecret: mark + "-mosaic"}}
	s := newSite(t, sandbox.Options{Credentials: creds})
	acme := s.sb.SeedAcme(1)
	secrets := []string{mark, strings.Split(s.sb.Credentials().OktaApp.PrivateKey, "\n")[1]}
	for range 3 {
		secrets = append(secrets, s.sb.AddMosaicClient(sandbox.MosaicClientSpec{Name: "app", RedirectURIs: []string{"https://acme.example"},
			Fields: map[string]any{"authentication_configuration": map[string]any{"method": "private_key_jwt",
				"jwks": map[string]any{"keys": []any{map[string]any{"kty": "RSA", "n": "public", "d": mark + "-jwk"}}}}}}).ClientSecret)
	}
	carried := &carrier{}
	s.work("worker-1", s.connections(), carried)
	for _, c := range s.connections() {
		s.check(c.Name) // until it is held: with a tap there is always somebody who listens
	}
	tap := &text{}
	nc, err := nats.Connect("", nats.InProcessServer(s.broker.Options().InProcess))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if _, err := nc.Subscribe(">", func(m *nats.Msg) { _, _ = tap.Write(append(m.Data, '\n')) }); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	ask := func() {
		for connection, list := range map[string][]reads.Query{
			"okta-prod": {{Resource: "user", Filters: filters("login", acme.Leaver.Login)}, {Resource: "servers"}},
			"asa-prod":  {{Resource: "clients", Filters: filters("all", "true")}, {Resource: "users"}},
			"mosaic-prod": {{Resource: "clients"}, {Resource: "client", Filters: filters("id", "c1")},
				{Resource: "client", Filters: filters("id", "none")}},
		} {
			for _, q := range list {
				_, _ = s.get(connection, q)
			}
			s.check(connection)
		}
	}
	ask()
	s.sb.ExpireTokens()
	for _, status := range []int{http.StatusForbidden, http.StatusInternalServerError, http.StatusBadRequest, http.StatusOK} {
		if _, err := s.sb.Fault(sandbox.Fault{Kind: sandbox.KindStatus, Status: status, Times: -1,
			Body: `{"client_secret":"` + mark + `-body","message":"` + mark + `-body"}`}); err != nil {
			t.Fatal(err)
		}
		ask()
		s.sb.ClearFaults()
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	seen := tap.String() + s.log.String()
	if !strings.Contains(seen, `"client_secret":"[redacted]"`) || !strings.Contains(seen, `"n":"public"`) {
		t.Error("no client crossed the broker: the test sees nothing")
	}
	for _, token := range carried.tokens() {
		secrets = append(secrets, token)
	}
	if len(secrets) < 8 {
		t.Errorf("%d secrets: no token was seen", len(secrets))
	}
	for _, secret := range secrets {
		if i := strings.Index(seen, secret); i >= 0 {
			t.Errorf("%q left the worker: …%s…", secret, seen[max(0, i-200):min(len(seen), i+50)])
		}
	}
}

// carrier notes the tokens that calls carry.
type carrier struct{ seen sync.Map }

func (c *carrier) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, token, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok {
		c.seen.Store(token, true)
	}
	return http.DefaultTransport.RoundTrip(req)
}

func (c *carrier) tokens() (list []string) {
	c.seen.Range(func(token, _ any) bool {
		list = append(list, token.(string))
		return true
	})
	return list
}

// TestTheLaneMoves: the answers come from the holder, and go on from the next one.
func TestTheLaneMoves(t *testing.T) {
	s := newSite(t, sandbox.Options{Limits: sandbox.Unlimited()})
	s.sb.SeedAcme(300)
	only := s.connections()[1:2]
	if err := s.tool.Ask(t.Context(), stream.ReadGet, "asa-prod", []byte("{}"), nil); !errors.Is(err, stream.ErrNoHolder) {
		t.Errorf("before any worker: %v", err)
	}
	stop := s.work("worker-1", only, nil)
	first := s.check("asa-prod")
	s.work("worker-2", only, nil)
	if again := s.check("asa-prod"); first.Worker != "worker-1" || again.Worker != "worker-1" {
		t.Errorf("held by %s, answered by %s", first.Worker, again.Worker)
	}
	err := s.asked(stream.ReadGet, "asa-prod", reads.Query{Resource: "clients", Filters: filters("all", "true")}, func([]byte) error {
		stop()
		return nil
	})
	var said *stream.ReadError
	if !errors.As(err, &said) || said.Code != stream.ReadMoved {
		t.Errorf("a listing under which the worker stopped: %v", err)
	}
	if next := s.check("asa-prod"); next.Worker != "worker-2" || next.Epoch <= first.Epoch {
		t.Errorf("then answered by %s, epoch %d after %d", next.Worker, next.Epoch, first.Epoch)
	}
}

// results gives the result of each operation.
func results(r reads.Report) map[string]reads.Result {
	m := map[string]reads.Result{}
	for _, o := range r.Operations {
		m[o.Op] = o.Result
	}
	return m
}

func TestCheckOfWhatWorks(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.sb.SeedAcme(1)
	s.work("worker-1", s.connections(), nil)
	for connection, want := range map[string]struct{ tried, untried, buckets int }{
		"okta-prod": {12, 8, 3}, "asa-prod": {5, 2, 1}, "mosaic-prod": {3, 5, 1},
	} {
		r := s.check(connection)
		tried, untried := 0, 0
		for _, o := range r.Operations {
			switch {
			case o.Result == reads.Works && o.Status == http.StatusOK:
				tried++
			case o.Result == reads.Untried && o.Status == 0:
				untried++
			default:
				t.Errorf("%s: %+v", connection, o)
			}
		}
		if !r.OK || len(r.Problems) > 0 || tried != want.tried || untried != want.untried || len(r.Buckets) != want.buckets ||
			r.Worker != "worker-1" || r.Epoch == 0 || r.Breaker != "" {
			t.Errorf("%s: %d tried, %d untried: %+v", connection, tried, untried, r)
		}
		if effects := s.sb.Journal().Effects(); len(effects) > 0 {
			t.Errorf("%s: the check changed %v", connection, effects)
		}
	}
}

// TestCheckOfWhatDoesNot: each fault of a credential, its result, and advice.
func TestCheckOfWhatDoesNot(t *testing.T) {
	s := newSite(t, sandbox.Options{Okta: sandbox.OktaOptions{NoAPIAccessManagement: true}})
	acme := s.sb.SeedAcme(1)
	creds := s.sb.Credentials()
	all := s.connections()
	few, none, ssws, limited, expired, away := all[0], all[0], all[0], all[1], all[1], all[2]
	few.Name, none.Name, ssws.Name, limited.Name, expired.Name, away.Name = "few", "none", "ssws", "limited", "expired", "away"
	app := *few.Auth.ServiceApp
	app.Scopes = []string{"okta.authorizationServers.read"}
	few.Auth = config.Auth{ServiceApp: &app}
	other := app
	other.KeyID = "unknown"
	none.Auth = config.Auth{ServiceApp: &other}
	ssws.Auth = config.Auth{SSWS: &config.SSWS{Token: secret.New(creds.OktaAPIToken)}}
	limited.Auth = config.Auth{ServiceUser: &config.ServiceUser{KeyID: creds.ASAUser.KeyID, KeySecret: secret.New(creds.ASAUser.KeySecret)}}
	key := s.sb.AddASAServiceUser(sandbox.ASAServiceUserSpec{Key: sandbox.ASAKey{UserName: "svc-old"}, Role: sandbox.RoleAccessAdmin})
	s.sb.ExpireASAKey(key.KeyID)
	expired.Auth = config.Auth{ServiceUser: &config.ServiceUser{KeyID: key.KeyID, KeySecret: secret.New(key.KeySecret)}}
	away.BaseURL, away.TokenURL = "http://127.0.0.1:1", "http://127.0.0.1:1/token"
	s.work("worker-1", config.Connections{few, none, ssws, limited, expired, away}, nil)
	for _, c := range []struct {
		name    string
		ok      bool
		want    map[string]reads.Result
		problem string
	}{
		{"ssws", true, map[string]reads.Result{"okta.listAuthorizationServers": reads.None, "okta.getUser": reads.Works,
			"okta.listUserGrants": reads.Works, "okta.suspendUser": reads.Untried}, ""},
		{"few", false, map[string]reads.Result{"okta.token": reads.Works, "okta.listAuthorizationServers": reads.None,
			"okta.getUser": reads.Refused, "okta.suspendUser": reads.Missing}, "Add okta.users.read to auth.service_app.scopes"},
		{"none", false, map[string]reads.Result{"okta.token": reads.Refused, "okta.getUser": reads.Untried}, "Check client_id, key_id"},
		{"limited", true, map[string]reads.Result{"asa.listClients": reads.Works, "asa.revokeClient": reads.Untried}, ""},
		{"expired", false, map[string]reads.Result{"asa.serviceToken": reads.Refused, "asa.listUsers": reads.Untried}, "Check team, key_id"},
		{"away", false, map[string]reads.Result{"transmit.token": reads.Broken, "transmit.getAll": reads.Untried}, "Check the address"},
	} {
		r := s.check(c.name)
		got := results(r)
		for op, want := range c.want {
			if got[op] != want {
				t.Errorf("%s: %s is %s, want %s", c.name, op, got[op], want)
			}
		}
		if r.OK != c.ok || (c.problem != "") != (len(r.Problems) > 0) || !strings.Contains(strings.Join(r.Problems, "\n"), c.problem) {
			t.Errorf("%s: ok %v: %q", c.name, r.OK, r.Problems)
		}
	}
	// What a check finds, a read runs into.
	for connection, want := range map[string]reads.Code{"few": reads.Denied, "expired": reads.Denied, "away": reads.Unreachable} {
		q := reads.Query{Resource: "user", Filters: filters("id", acme.Leaver.OktaID)}
		if connection != "few" {
			q = reads.Query{Resource: "clients"}
		}
		if connection == "expired" {
			q.Filters = filters("all", "true")
		}
		var said *stream.ReadError
		if _, err := s.get(connection, q); !errors.As(err, &said) || said.Code != stream.ReadCode(want) || said.Suggestion == "" {
			t.Errorf("get at %s: %v, want %s", connection, err, want)
		}
	}
	var said *stream.ReadError
	if _, err := s.get("few", reads.Query{Resource: "servers"}); !errors.As(err, &said) || said.Code != stream.ReadCode(reads.NotAvailable) {
		t.Errorf("servers of an org without them: %v", err)
	}
}

// TestReadsUnderAnOpenBreaker: a refused credential is not worn out by reads; a check tries it all the same.
func TestReadsUnderAnOpenBreaker(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	var l *lane.Lane
	s.work("worker-1", s.connections()[1:2], nil, func(w *Worker) { l = w.lanes[0] })
	s.check("asa-prod")
	s.sb.ResetJournal()
	l.Denied(&apiclient.Error{Op: "asa.listClients", Status: 401, Cause: apiclient.Denied})
	var said *stream.ReadError
	if _, err := s.get("asa-prod", reads.Query{Resource: "users"}); !errors.As(err, &said) || said.Code != stream.ReadCode(reads.Denied) {
		t.Errorf("%v", err)
	}
	if calls := len(s.sb.Journal()); calls > 0 {
		t.Errorf("the read made %d calls", calls)
	}
	if r := s.check("asa-prod"); r.OK || r.Breaker == "" || results(r)["asa.listUsers"] != reads.Works {
		t.Errorf("%+v", r)
	}
}

// TestReadsWaitForTheBudget: a read that finds no budget says when to ask again, and makes no call.
func TestReadsWaitForTheBudget(t *testing.T) {
	s := newSite(t, sandbox.Options{Limits: map[string]sandbox.Limit{sandbox.BucketASA: {Requests: 3, Window: 5 * time.Minute}}})
	s.work("worker-1", s.connections()[1:2], nil, func(w *Worker) { w.lanes[0].Bus.(*desk).patience = 20 * time.Millisecond })
	var said *stream.ReadError
	for range 5 {
		_, err := s.get("asa-prod", reads.Query{Resource: "users"})
		if errors.As(err, &said) {
			break
		}
	}
	if said == nil || said.Code != stream.ReadCode(reads.Later) || !strings.Contains(said.Suggestion, "again in") {
		t.Errorf("%+v", said)
	}
	if n := s.sb.Journal().Count(http.StatusTooManyRequests); n > 0 {
		t.Errorf("the provider had to refuse %d calls", n)
	}
}
