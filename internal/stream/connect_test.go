package stream_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/stream/streamtest"
)

// external runs a NATS server of its own, as an operator would.
func external(t testing.TB, change func(*server.Options)) *server.Server {
	t.Helper()
	s := launch(t, change)
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s
}

// launch starts a server without waiting for it.
func launch(t testing.TB, change func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{ServerName: t.Name(), Host: "127.0.0.1", Port: server.RANDOM_PORT, HTTPHost: "127.0.0.1",
		HTTPPort: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true}
	if change != nil {
		change(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

func TestAServerWhoseDurabilityIsUnknownIsRefused(t *testing.T) {
	always := external(t, func(o *server.Options) { o.SyncAlways = true })
	other := external(t, func(o *server.Options) { o.SyncAlways = true })
	lazy := external(t, nil)
	monitor := func(s *server.Server) string { return "http://" + s.MonitorAddr().String() }
	for _, c := range []struct {
		name string
		opts stream.Options
		says string // empty: accepted
	}{
		{"seen", stream.Options{URL: always.ClientURL(), Monitor: []string{monitor(always) + "/"}}, ""},
		{"vouched for", stream.Options{URL: lazy.ClientURL(), AssertDurable: true, Durability: stream.Always}, ""},
		{"neither", stream.Options{URL: always.ClientURL()}, "KEYTURN_NATS_ASSERT_DURABLE"},
		{"does not sync", stream.Options{URL: lazy.ClientURL(), Monitor: []string{monitor(lazy)}}, "sync_interval: always"},
		{"another server's monitor", stream.Options{URL: lazy.ClientURL(), Monitor: []string{monitor(always)}}, "does not show"},
		{"one of two", stream.Options{URL: always.ClientURL(), Monitor: []string{monitor(other), monitor(always)}}, ""},
		{"one of two is lazy", stream.Options{URL: always.ClientURL(), Monitor: []string{monitor(always), monitor(lazy)}},
			"sync_interval: always"},
		{"no monitor there", stream.Options{URL: always.ClientURL(), Monitor: []string{always.ClientURL()}}, "cannot be seen"},
		{"for measurements", stream.Options{URL: lazy.ClientURL(), Durability: stream.None}, "use \"always\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bus, err := stream.Connect(t.Context(), c.opts)
			if err == nil {
				defer bus.Close(context.Background())
			}
			switch {
			case c.says == "" && err != nil:
				t.Error(err)
			case c.says != "" && (!errors.Is(err, stream.ErrServer) || !strings.Contains(err.Error(), c.says)):
				t.Errorf("got %v, want it to say %q", err, c.says)
			}
		})
	}
}

func TestAnOldServerIsRefused(t *testing.T) {
	for version, ok := range map[string]bool{"2.10.29": false, "2.13.9": false, "1.99.0": false, "dev": false,
		"2.14.0": true, "2.15.2-beta.1": true, "3.0.0": true} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go impostor(ln, version)
		bus, err := stream.Connect(t.Context(), stream.Options{URL: "nats://" + ln.Addr().String(), AssertDurable: true})
		if ok != (err == nil) || !ok && (!errors.Is(err, stream.ErrServer) || !strings.Contains(err.Error(), stream.MinServer)) {
			t.Errorf("version %s: %v", version, err)
		}
		if bus != nil {
			_ = bus.Close(t.Context())
		}
		_ = ln.Close()
	}
}

// impostor speaks as much of the NATS protocol as a connect needs, and reports the version.
func impostor(ln net.Listener, version string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		fmt.Fprintf(c, "INFO {\"server_id\":\"X\",\"version\":%q,\"max_payload\":1048576,\"headers\":true}\r\n", version)
		go func() {
			defer c.Close()
			for lines := bufio.NewScanner(c); lines.Scan(); {
				if lines.Text() == "PING" {
					fmt.Fprint(c, "PONG\r\n")
				}
			}
		}()
	}
}

func TestAnExternalServerServesThePipeline(t *testing.T) {
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := user.PublicKey()
	seed, _ := user.Seed()
	dir := t.TempDir()
	path := filepath.Join(dir, "user.nk")
	if err := os.WriteFile(path, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	s := external(t, func(o *server.Options) {
		o.SyncAlways = true
		o.Nkeys = []*server.NkeyUser{{Nkey: public}}
		o.Users = []*server.User{{Username: "keyturn", Password: "acme-sample"}}
	})
	context := filepath.Join(dir, "context.json")
	text := fmt.Sprintf(`{"url": %q, "user": "keyturn", "password": "acme-sample"}`, s.ClientURL())
	if err := os.WriteFile(context, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string]stream.Options{
		"nkey":     {URL: s.ClientURL(), NKey: path},
		"password": {URL: s.ClientURL(), User: "keyturn", Password: secret.New("acme-sample")},
		"context":  {Context: context},
	} {
		t.Run(name, func(t *testing.T) {
			opts.AssertDurable = true
			bus, err := stream.Connect(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			defer bus.Close(t.Context())
			if err := bus.CreateTopology(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := bus.PublishEvents(t.Context(), []events.Event{event(name)}); err != nil {
				t.Fatal(err)
			}
			take(t, bus, stream.EventsOf(events.Normal), 1, nil)
		})
	}
	if _, err := stream.Connect(t.Context(), stream.Options{URL: s.ClientURL(), AssertDurable: true}); err == nil {
		t.Error("connected without a credential")
	}
	_, err = stream.Connect(t.Context(), stream.Options{URL: s.ClientURL(), User: "keyturn", Password: secret.New("acme-wrong"),
		AssertDurable: true, Wait: time.Minute})
	if err == nil || strings.Contains(err.Error(), "acme-wrong") {
		t.Errorf("a wrong password: %v", err)
	}
}

// An address may hold a password, and one that cannot be read is not repeated.
func TestConnectKeepsAnAddressToItself(t *testing.T) {
	for _, url := range []string{"nats://keyturn:acme-pass@host:99x", "nats://keyturn:acme-p%zass@host", "keyturn:acme-pass@h o:1"} {
		_, err := stream.Connect(t.Context(), stream.Options{URL: url, AssertDurable: true})
		if err == nil || strings.Contains(err.Error(), "acme") {
			t.Errorf("%v", err)
		}
	}
}

func TestConnectWaitsForAServerThatIsAway(t *testing.T) {
	addr := streamtest.Address(t)
	opts := stream.Options{URL: "nats://" + addr, AssertDurable: true}
	if _, err := stream.Connect(t.Context(), opts); err == nil {
		t.Fatal("connected to nobody")
	}
	opts.Wait = 300 * time.Millisecond
	begun := time.Now()
	if _, err := stream.Connect(t.Context(), opts); err == nil || time.Since(begun) > 10*time.Second {
		t.Fatalf("after %s: %v", time.Since(begun), err)
	}
	opts.Wait = time.Minute
	time.AfterFunc(200*time.Millisecond, func() {
		if ln, err := net.Listen("tcp", addr); err == nil {
			t.Cleanup(func() { _ = ln.Close() })
			go impostor(ln, "2.15.2")
		}
	})
	bus, err := stream.Connect(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	_ = bus.Close(t.Context())
}

func TestIngestSaysWhenTheStreamsAreMissing(t *testing.T) {
	srv := start(t, embedded.Options{})
	bus, err := stream.Connect(t.Context(), srv.Options())
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close(t.Context())
	if err := bus.CheckTopology(t.Context()); !errors.Is(err, stream.ErrTopology) || !strings.Contains(err.Error(), "worker") {
		t.Errorf("got %v", err)
	}
	if err := bus.Ready(t.Context()); !errors.Is(err, stream.ErrTopology) {
		t.Errorf("ready: %v", err)
	}
	if err := bus.PublishEvents(t.Context(), []events.Event{event("1")}); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("publish: %v", err)
	}
	if err := bus.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := bus.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAServerOfItsOwnSaysWhatToSet(t *testing.T) {
	opts := start(t, embedded.Options{}).Options()
	opts.Replicas = 3
	bus, err := stream.Connect(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close(t.Context())
	if err := bus.CreateTopology(t.Context()); err == nil || !strings.Contains(err.Error(), "KEYTURN_REPLICAS=1") {
		t.Errorf("got %v", err)
	}
}

func TestManyWorkersMakeTheStreamsAtOnce(t *testing.T) {
	srv := start(t, embedded.Options{})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			bus, err := stream.Connect(t.Context(), srv.Options())
			if err != nil {
				t.Error(err)
				return
			}
			defer bus.Close(t.Context())
			if err := bus.CreateTopology(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	info := streamInfo(t, srv, "LEDGER")
	if !info.Config.AllowDirect {
		t.Error("LEDGER is not read directly where the server is alone")
	}
	if n := len(info.Config.Subjects); n != 2 {
		t.Errorf("LEDGER takes %v", info.Config.Subjects)
	}
}

// TestAStartOverStreamsThatAreRightUpdatesNone: an update says something, and it races with whoever makes a consumer. A bucket
// is right as the library makes it, and one that somebody changed is put back.
func TestAStartOverStreamsThatAreRightUpdatesNone(t *testing.T) {
	srv := start(t, embedded.Options{MaxStore: 400 << 20})
	js := client(t, "", within(srv)...)
	updated, err := js.Conn().SubscribeSync("$JS.EVENT.ADVISORY.STREAM.UPDATED.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []jetstream.KeyValueConfig{
		{Bucket: "LEASES", Description: "who holds which lane", TTL: 9 * time.Second},
		{Bucket: "LANES", Description: "what spares a starting worker reading the ledger"},
	} {
		if _, err := js.CreateKeyValue(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		connect(t, srv)
	}
	editBound(t, srv, "KV_LANES", 50<<20)
	connect(t, srv)
	for _, want := range []string{"edited", "put back"} {
		if m, err := updated.NextMsg(10 * time.Second); err != nil || !strings.HasSuffix(m.Subject, ".KV_LANES") {
			t.Fatalf("an update is of %+v, %v; want the one by which LANES is %s", m, err, want)
		}
	}
	if got := streamInfo(t, srv, "KV_LANES").Config.MaxBytes; got != -1 {
		t.Errorf("LANES may fill %d bytes, want no bound", got)
	}
}

func TestWhatAnOperatorChoseStays(t *testing.T) {
	srv := start(t, embedded.Options{MaxStore: 400 << 20})
	connect(t, srv)
	if got := streamInfo(t, srv, "EVENTS").Config.MaxBytes; got != 100<<20 {
		t.Errorf("EVENTS may fill %d bytes, want a quarter of the store", got)
	}
	connect(t, srv, func(o *stream.Options) { o.EventBytes = 50 << 20 })
	connect(t, srv)
	if got := streamInfo(t, srv, "EVENTS").Config.MaxBytes; got != 50<<20 {
		t.Errorf("EVENTS may fill %d bytes, want what was chosen", got)
	}
}

// TestWhatAnOperatorChoseFirstStays: also when it was chosen before the stream was looked at for the second time.
func TestWhatAnOperatorChoseFirstStays(t *testing.T) {
	const chosen = 50 << 20
	set := start(t, embedded.Options{MaxStore: 400 << 20})
	connect(t, set, func(o *stream.Options) { o.EventBytes = chosen })
	edited := start(t, embedded.Options{MaxStore: 400 << 20})
	connect(t, edited)
	editBound(t, edited, "EVENTS", chosen)
	for name, srv := range map[string]*embedded.Server{"by the options": set, "at the server": edited} {
		connect(t, srv)
		if got := streamInfo(t, srv, "EVENTS").Config.MaxBytes; got != chosen {
			t.Errorf("EVENTS may fill %d bytes, want what was chosen %s", got, name)
		}
	}
}

// editBound has an operator give a stream another bound at the server, in bytes; -1 = none.
func editBound(t *testing.T, srv *embedded.Server, name string, bytes int64) {
	t.Helper()
	o := srv.Options()
	nc, err := nats.Connect("", nats.InProcessServer(o.InProcess), nats.UserInfo(o.User, o.Password.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	cfg := streamInfo(t, srv, name).Config
	cfg.MaxBytes = bytes
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

// TestABoundThatWasTakenOffIsPutBack: by the next worker that starts, and from then on it follows the size of the store as if
// it had never been taken off. What was stored meanwhile stays, though it is more.
func TestABoundThatWasTakenOffIsPutBack(t *testing.T) {
	const mib = 1 << 20
	srv := start(t, embedded.Options{MaxStore: 400 * mib})
	bus := connect(t, srv)
	if err := bus.PublishEvents(t.Context(), []events.Event{event("1"), event("2")}); err != nil {
		t.Fatal(err)
	}
	editBound(t, srv, "EVENTS", 50*mib) // a choice, taken back below
	connect(t, srv)
	editBound(t, srv, "EVENTS", -1)
	editBound(t, srv, "OUTCOMES", -1)
	for _, c := range []struct{ store, want int64 }{{600 * mib, 150 * mib}, {800 * mib, 200 * mib}} {
		connect(t, srv, func(o *stream.Options) { o.StoreBytes = c.store })
		for name, want := range map[string]int64{"EVENTS": c.want, "OUTCOMES": c.want / 4} {
			if got := streamInfo(t, srv, name).Config.MaxBytes; got != want {
				t.Errorf("a store of %d bytes lets %s fill %d, want %d", c.store, name, got, want)
			}
		}
	}
	editBound(t, srv, "EVENTS", -1)
	connect(t, srv, func(o *stream.Options) { o.EventBytes = 1 })
	if got := streamInfo(t, srv, "EVENTS"); got.Config.MaxBytes != 1 || got.State.Msgs != 2 {
		t.Errorf("EVENTS may fill %d bytes and has %d of 2 events", got.Config.MaxBytes, got.State.Msgs)
	}
}

// TestALargerStoreHasRoomForMoreEvents: it is the way out of one that is full, and what it had stays when the store
// gets smaller.
func TestALargerStoreHasRoomForMoreEvents(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ store, want int64 }{{64 << 20, 16 << 20}, {256 << 20, 64 << 20}, {128 << 20, 64 << 20}} {
		srv := start(t, embedded.Options{Dir: dir, MaxStore: c.store})
		bus := connect(t, srv)
		if got := streamInfo(t, srv, "EVENTS").Config.MaxBytes; got != c.want {
			t.Errorf("a store of %d bytes lets EVENTS fill %d, want %d", c.store, got, c.want)
		}
		if got := streamInfo(t, srv, "OUTCOMES").Config.MaxBytes; got != c.want/4 {
			t.Errorf("a store of %d bytes lets OUTCOMES fill %d, want %d", c.store, got, c.want/4)
		}
		if err := errors.Join(bus.Close(t.Context()), srv.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTwoBusesShareOneRegistry(t *testing.T) {
	srv := start(t, embedded.Options{})
	reg := prometheus.NewRegistry()
	for i := range 2 {
		bus := connect(t, srv, func(o *stream.Options) { o.Metrics = reg })
		if err := bus.PublishEvents(t.Context(), []events.Event{event(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "keyturn_stream_writes_total" {
			if got := f.GetMetric()[0].GetCounter().GetValue(); got != 2 {
				t.Errorf("%v writes counted, want 2", got)
			}
			return
		}
	}
	t.Error("no count of writes")
}

// TestALedgerThatMovedIsReadFromTheLeader: a ledger that was kept by one server says that it may be read directly. Whoever
// found it so before a worker says otherwise reads it as the others do from then on.
func TestALedgerThatMovedIsReadFromTheLeader(t *testing.T) {
	s := external(t, nil)
	bus, err := stream.Connect(t.Context(), stream.Options{URL: s.ClientURL(), AssertDurable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close(context.Background()) })
	if err := bus.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	moved := clientInfo(t, s.ClientURL(), "LEDGER").Config
	moved.AllowDirect = true
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.UpdateStream(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	subject := ledger.PersonSubject("k", "c")
	if _, err := bus.Log().Append(t.Context(), subject, 0, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, _, err := bus.Log().Last(t.Context(), subject); err != nil {
			t.Fatal(err)
		}
		if err := bus.CreateTopology(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
