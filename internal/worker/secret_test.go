package worker

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"keyturn/internal/reads"
	"keyturn/internal/sandbox"
)

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
	tap, flush := s.tap()
	s.askAll(acme.Leaver.Login)
	s.sb.ExpireTokens()
	for _, status := range []int{http.StatusForbidden, http.StatusInternalServerError, http.StatusBadRequest, http.StatusOK} {
		if _, err := s.sb.Fault(sandbox.Fault{Kind: sandbox.KindStatus, Status: status, Times: -1,
			Body: `{"client_secret":"` + mark + `-body","message":"` + mark + `-body"}`}); err != nil {
			t.Fatal(err)
		}
		s.askAll(acme.Leaver.Login)
		s.sb.ClearFaults()
	}
	flush()
	seen := tap.String() + s.log.String()
	if !strings.Contains(seen, `"client_secret":"[redacted]"`) || !strings.Contains(seen, `"n":"public"`) {
		t.Error("no client crossed the broker: the test sees nothing")
	}
	secrets = append(secrets, carried.tokens()...)
	if len(secrets) < 8 {
		t.Errorf("%d secrets: no token was seen", len(secrets))
	}
	for _, secret := range secrets {
		if i := strings.Index(seen, secret); i >= 0 {
			t.Errorf("%q left the worker: …%s…", secret, seen[max(0, i-200):min(len(seen), i+50)])
		}
	}
}

// tap hears everything that crosses the broker from here on; flush waits until it has heard what was sent.
func (s *site) tap() (heard *text, flush func()) {
	s.t.Helper()
	heard = &text{}
	nc, err := nats.Connect("", nats.InProcessServer(s.broker.Options().InProcess))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	flush = func() {
		if err := nc.Flush(); err != nil {
			s.t.Fatal(err)
		}
	}
	if _, err := nc.Subscribe(">", func(m *nats.Msg) { _, _ = fmt.Fprintf(heard, "%s %v\n", m.Data, m.Header) }); err != nil {
		s.t.Fatal(err)
	}
	flush()
	return heard, flush
}

// askAll asks each connection several things and checks it.
func (s *site) askAll(login string) {
	s.t.Helper()
	for connection, list := range map[string][]reads.Query{
		"okta-prod": {{Resource: "user", Filters: filters("login", login)}, {Resource: "servers"}},
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
