package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/worker"
)

// yard is where dead letters come from and go: a broker over a store, the providers, and workers that can be killed.
type yard struct {
	t      testing.TB
	sb     *sandbox.Sandbox
	server *embedded.Server
	store  string
	files  config.Config
	bus    *stream.Bus
	ledger *ledger.Ledger
	keyer  events.Keyer
	ended  *roll // ids of actions whose messages were acknowledged
}

// roll is a set that many add to, and one waits for.
type roll struct {
	mu    sync.Mutex
	seen  map[string]bool
	want  int
	there chan struct{}
}

// expect gives what is closed when so many different things have been added from now on.
func (c *roll) expect(n int) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen, c.want, c.there = map[string]bool{}, n, make(chan struct{})
	return c.there
}

func (c *roll) add(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil || c.seen[id] {
		return
	}
	if c.seen[id] = true; len(c.seen) == c.want {
		close(c.there)
	}
}

func (c *roll) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

// yardConnections and yardPlaybooks are what the workers read. All calls may be in flight: the pace is not what is
// tested.
const (
	yardConnections = `
connections:
  okta-prod: {provider: okta, base_url: https://sandbox.test/okta, concurrency: 32, auth: {ssws: "${env:okta}"}}
  mosaic-prod:
    provider: transmit
    base_url: https://sandbox.test/mosaic/cis
    token_url: https://sandbox.test/mosaic/oidc/token
    concurrency: 32
    auth: {client_credentials: {client_id: sample-client, client_secret: "${env:mosaic}"}}
    secret_sink: {dir: created}
`
	yardPlaybooks = `
playbooks:
  - name: offboard
    on: [user.terminated]
    actions: [{step: suspend, do: okta.suspend_user, at: okta-prod, with: {user: "${{ event.data.user }}"}}]
  - name: onboard
    on: [app.onboarded]
    actions: [{step: client, do: transmit.ensure_client, at: mosaic-prod, with: {app: "${{ event.data.app }}"}}]
`
)

// newYard starts everything but a worker. sync nil syncs the disk.
func newYard(t testing.TB, sync func() error) *yard {
	t.Helper()
	dir := t.TempDir()
	y := &yard{t: t, store: filepath.Join(dir, "store"), ended: &roll{}}
	y.sb = sandbox.New(sandbox.Options{Limits: sandbox.Unlimited(), BaseURL: "https://sandbox.test", Credentials: sandbox.Credentials{
		OktaAPIToken: "sample-okta", Mosaic: sandbox.MosaicKey{ClientID: "sample-client", ClientSecret: "sample-mosaic"},
	}})
	for name, text := range map[string]string{config.ConnectionsFile: yardConnections, config.PlaybooksFile: yardPlaybooks} {
		y.must(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	y.must(os.Mkdir(filepath.Join(dir, "created"), 0o700))
	var err error
	y.files, err = config.Read(dir, config.Resolver{LookupEnv: func(name string) (string, bool) { return "sample-" + name, true }})
	y.must(err)
	y.server, err = embedded.Start(embedded.Options{Dir: y.store, Listen: true, Durability: stream.Group, Sync: sync, MaxStore: 4 << 30})
	y.must(err)
	t.Cleanup(func() { y.must(y.server.Close()) })
	key, err := embedded.DeploymentKey(y.store)
	y.must(err)
	y.keyer, err = events.NewKeyer([]byte(key.Reveal()))
	y.must(err)
	y.bus, err = stream.Connect(t.Context(), y.server.Options())
	y.must(err)
	t.Cleanup(func() { y.must(y.bus.Close(context.Background())) })
	y.must(y.bus.CreateTopology(t.Context()))
	y.ledger = ledger.New(y.bus.Log(), nil)
	return y
}

func (y *yard) must(err error) {
	y.t.Helper()
	if err != nil {
		y.t.Fatal(err)
	}
}

// hand is one worker, with its own connection to the broker and its own way to the providers, as if it were a process
// of its own.
type hand struct {
	*yard
	fuse atomic.Int64 // it dies at this write from now on; 0 = never
	gone atomic.Bool  // it died: nothing that is left of it gets any further
	died chan struct{}
	stop func()
}

// inHand marks the context of a message.
type inHand struct{}

// death is the panic of a worker that dies.
type death struct{}

// employ starts a worker, until it is stopped.
func (y *yard) employ(name string) *hand {
	y.t.Helper()
	h := &hand{yard: y, died: make(chan struct{})}
	o := y.server.Options()
	o.AckWait, o.Fault = time.Second, h.fault
	o.Enter = func(ctx context.Context, _ *stream.Message) context.Context {
		return context.WithValue(ctx, inHand{}, true)
	}
	o.Rescue = func(v any) {
		if _, ok := v.(death); !ok {
			panic(v)
		}
	}
	bus, err := stream.Connect(y.t.Context(), o)
	y.must(err)
	books, err := worker.Playbooks(y.files.Playbooks)
	y.must(err)
	w, err := worker.New(worker.Options{Bus: bus, Name: name, Version: "test", Keyer: y.keyer, Connections: y.files.Connections,
		Playbooks: books, Log: slog.New(slog.DiscardHandler), Transport: h,
		Limits: actions.Limits{CallTimeout: time.Second, LookAgain: 100 * time.Millisecond, Conflict: 100 * time.Millisecond}})
	y.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil && !h.gone.Load() {
			y.t.Error(err)
		}
		y.must(bus.Close(context.Background()))
	})
	y.t.Cleanup(h.stop)
	return h
}

// fault counts what is done, and strikes the worker dead at a write of one of its messages.
func (h *hand) fault(ctx context.Context, op stream.Op, subject string, persisted bool) error {
	if op == stream.OpLease {
		return nil // what is told here is not how a dead worker's lease ends
	}
	if persisted && op == stream.OpAck && strings.HasPrefix(subject, "actions.") { // also a dead worker's last breath
		h.ended.add(subject[strings.LastIndexByte(subject, '.')+1:])
	}
	message := ctx.Value(inHand{}) != nil
	if err := h.breathe(message); err != nil {
		return err
	}
	if message && h.fuse.Add(-1) == 0 {
		h.gone.Store(true)
		close(h.died)
		panic(death{})
	}
	return nil
}

// breathe lets nothing of a dead worker get any further.
func (h *hand) breathe(message bool) error {
	switch {
	case !h.gone.Load():
		return nil
	case message:
		panic(death{})
	}
	return errors.New("the worker died")
}

// RoundTrip implements http.RoundTripper: the way to the providers. Of a token it is nobody's message.
func (h *hand) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := h.breathe(req.Context().Value(inHand{}) != nil && !strings.HasSuffix(req.URL.Path, "/token")); err != nil {
		return nil, err
	}
	return h.sb.Transport().RoundTrip(req)
}

// leave has people leave and apps come: one app for twenty people.
func (y *yard) leave(n int) {
	y.t.Helper()
	var list []events.Event
	for i := range n {
		kind, subject, data := "user.terminated", fmt.Sprintf("user:p%05d@acme.example", i), fmt.Sprintf(`{"user":{"email":"p%05d@acme.example"}}`, i)
		if i%20 == 19 {
			kind, subject = "app.onboarded", fmt.Sprintf("app:a%05d", i)
			data = fmt.Sprintf(`{"app":{"key":"a%05d","name":"a%05d","redirect_uris":["https://a.acme.example/callback"],"role_ids":["reader"]}}`, i, i)
		} else {
			y.sb.AddUser(sandbox.UserSpec{Login: fmt.Sprintf("p%05d@acme.example", i)})
		}
		list = append(list, events.Event{ID: fmt.Sprint("e", i), Source: "https://hr.acme.example", Type: events.TypePrefix + kind + events.TypeSuffix,
			Subject: subject, Scope: "hr-relay", Class: events.Normal, Time: time.Now().UTC(), Data: json.RawMessage(data)})
	}
	for i := 0; i < n; i += batch {
		y.must(y.bus.PublishEvents(y.t.Context(), list[i:min(i+batch, n)]))
	}
}
