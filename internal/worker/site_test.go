package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
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
	log    *text         // what all workers log, debug and all
	off    time.Duration // how far the clocks of those who connect from now on are ahead
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
	o, off := s.broker.Options(), s.off
	o.Clock = func() time.Time { return time.Now().Add(off) }
	bus, err := stream.Connect(s.t.Context(), o)
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

// steadily repeats a read under which the lane was lost: on a busy machine a lease may end by itself.
func steadily(read func() error) error {
	var said *stream.ReadError
	for deadline := time.Now().Add(time.Minute); ; {
		err := read()
		if !errors.As(err, &said) || said.Code != stream.ReadMoved || time.Now().After(deadline) {
			return err
		}
	}
}

// get reads rows.
func (s *site) get(connection string, q reads.Query) (all []row, err error) {
	s.t.Helper()
	err = steadily(func() error {
		all = nil
		return s.asked(stream.ReadGet, connection, q, func(data []byte) error {
			var p struct{ Rows []row }
			if err := json.Unmarshal(data, &p); err != nil {
				return err
			}
			all = append(all, p.Rows...)
			return nil
		})
	})
	return all, err
}

// check checks a connection.
func (s *site) check(connection string) reads.Report {
	s.t.Helper()
	var r reads.Report
	if err := steadily(func() error {
		return s.asked(stream.ReadCheck, connection, nil, func(data []byte) error { return json.Unmarshal(data, &r) })
	}); err != nil {
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
