package e2e_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/actions"
	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ingest"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// ackWait is when the message of a worker that died is delivered again.
const ackWait = time.Second

// limits are the runner's, in the proportions of its own and so much shorter that thousands of deaths take seconds.
func limits() actions.Limits {
	return actions.Limits{
		RoundPause: 100 * time.Millisecond, CallTimeout: 2 * time.Second, LookAgain: 200 * time.Millisecond,
		Conflict: 300 * time.Millisecond, BackoffBase: 200 * time.Millisecond,
	}
}

// world is Keyturn in one process over one broker, and the providers. Workers are employed one by one (host).
type world struct {
	t      testing.TB
	sb     *sandbox.Sandbox
	before sandbox.State // with everybody who must be left alone
	server *embedded.Server
	ledger *ledger.Ledger
	keyer  events.Keyer
	books  config.Config
	sink   string // where the secrets of created clients go

	bus   *stream.Bus  // of the intake and the operators
	again *stream.Bus  // what is sent through it a second time is stored a second time, as beyond the window
	front http.Handler // the intake
	side  http.Handler // the intake over again

	complaints atomic.Int64
	running    sync.WaitGroup // trials that nobody waits for yet

	mu     sync.Mutex
	trials map[string]*trial // by event and by case
	all    []*trial
}

// newWorld starts everything but a worker.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, sb: sandbox.New(sandbox.Options{
		Limits: sandbox.Unlimited(), Credentials: credentials(), BaseURL: origin,
	}), trials: map[string]*trial{}}
	w.sb.SeedAcme(8)
	w.before = w.sb.Snapshot()
	dir := t.TempDir()
	w.books, w.sink = configure(t, filepath.Join(dir, "config"))
	var err error
	// The disk is not what is tested here: a sync that does nothing keeps every barrier in its place.
	w.server, err = embedded.Start(embedded.Options{Dir: filepath.Join(dir, "store"), Durability: stream.Group,
		MaxStore: 4 << 30, Sync: func() error { return nil }})
	w.must(err)
	t.Cleanup(func() { w.must(w.server.Close()) })
	w.bus = w.connect(w.fault, stream.Boot{})
	w.again = w.connect(w.fault, stream.Boot{ID: "again", Last: map[string]uint64{
		"EVENTS": math.MaxUint64, "ACTIONS": math.MaxUint64, "COMMANDS": math.MaxUint64,
	}})
	w.must(w.bus.CreateTopology(t.Context()))
	w.front, w.side = w.intake(w.bus), w.intake(w.again)
	w.ledger = ledger.New(w.bus.Log(), nil)
	w.keyer, err = events.NewKeyer([]byte("sample deployment key"))
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// complain fails the test, and says why at the first few times.
func (w *world) complain(err error) {
	if w.complaints.Add(1) <= 10 {
		w.t.Error(err)
		return
	}
	w.t.Fail()
}

// connect opens one more connection to the broker.
func (w *world) connect(fault stream.Fault, boot stream.Boot) *stream.Bus {
	w.t.Helper()
	o := w.server.Options()
	o.AckWait, o.Boot = ackWait, boot
	o.Fault, o.Enter, o.Rescue = fault, w.enter, rescue
	bus, err := stream.Connect(w.t.Context(), o)
	w.must(err)
	w.t.Cleanup(func() { w.must(bus.Close(context.Background())) })
	return bus
}

// mortal is an intake's way to the broker, on which it may die: then its sender gets no answer.
type mortal struct{ *stream.Bus }

// PublishEvents implements ingest.Publisher.
func (m mortal) PublishEvents(ctx context.Context, list []events.Event) error {
	defer func() {
		if v := recover(); v != nil {
			rescue(v)
			panic(http.ErrAbortHandler)
		}
	}()
	return m.Bus.PublishEvents(ctx, list)
}

// intake is the public face over a bus, without its listener.
func (w *world) intake(bus *stream.Bus) http.Handler {
	w.t.Helper()
	source, err := ingest.NewSource(sourceSpec())
	w.must(err)
	h, err := ingest.NewHandler(ingest.Options{
		Sources: []*ingest.Source{source}, Publisher: mortal{bus}, Log: slog.New(slog.DiscardHandler),
		Metrics: prometheus.NewRegistry(), TooLarge: stream.IsTooLarge,
	})
	w.must(err)
	return h
}

// enter finds out whose message it is that a worker has in hand.
func (w *world) enter(ctx context.Context, m *stream.Message) context.Context {
	var ids struct{ ID, Case, Target string } // an event's, an action's, a command's
	if err := json.Unmarshal(m.Data, &ids); err != nil {
		panic(err)
	}
	caseID, _, _ := strings.Cut(ids.Target, ":")
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range []string{ids.Case, caseID, ids.ID} {
		if tr := w.trials[id]; tr != nil {
			return tr.enter(ctx, m)
		}
	}
	panic("a message of nobody: " + m.Subject)
}

// fault strikes the writes of a case.
func (w *world) fault(ctx context.Context, op stream.Op, subject string, persisted bool) error {
	v, ok := visitOf(ctx)
	if !ok {
		return nil // nobody's: a lease, the topology, the janitor
	}
	if persisted {
		v.trial.wrote(v, op, subject)
	}
	return v.trial.hit(v, string(op)+" "+subject, persisted)
}
