package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
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
	reg      *prometheus.Registry
	hooks    string // URLs
	admin    string
	log      *buffer
	ledger   *ledger.Ledger
	view     *view.Reader
	broken   atomic.Value // what a failing readiness check says; nothing when there is none
	stop     func()

	idle map[string]string // the worker, its options and the handler as they print before they work: then nothing moves in them

	answers []string // what senders were told
	cases   []string
	faults  string            // the errors of clients
	read    []string          // what operators were told
	made    map[string]string // names of clients that were created, by id
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
	w := &world{dir: dir, marks: newMarks(), log: &buffer{}, reg: admin.NewRegistry(), made: map[string]string{}}
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
	handler, err := ingest.NewHandler(ingest.Options{
		Sources: made, Publisher: trap{w.bus}, Log: log, Metrics: w.reg, TooLarge: stream.IsTooLarge,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.idle = map[string]string{
		"form of options": printed(w.options), "form of worker": printed(w.worker), "form of handler": printed(handler),
	}
	server := ingest.NewServer(ingest.ServerOptions{Handler: handler, Log: log})
	w.run(t, server, admin.Handler(w.reg, func() []admin.Check {
		own := []admin.Check{{Name: "listener", Run: server.Ready}, process.BrokerCheck(w.bus), {Name: "extra", Run: w.extra}}
		return append(own, w.worker.Checks()...)
	}))
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
		slip(nil, list[0].ID, list[0])
	}
	return p.Publisher.PublishEvents(ctx, list)
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
