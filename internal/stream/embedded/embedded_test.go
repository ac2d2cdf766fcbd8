package embedded_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"keyturn/internal/events"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

func start(t testing.TB, opts embedded.Options) *embedded.Server {
	t.Helper()
	srv, err := embedded.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return srv
}

func connect(t testing.TB, opts stream.Options) *stream.Bus {
	t.Helper()
	bus, err := stream.Connect(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close(context.Background()) })
	return bus
}

func event(id string) events.Event {
	return events.Event{ID: id, Source: "https://hr.acme.example", Type: "dev.keyturn.user.terminated.v1", Scope: "hr",
		Subject: "user:maria@acme.example", Class: events.Normal, Data: json.RawMessage(`{"user":{"email":"maria@acme.example"}}`)}
}

func TestAnotherProcessFindsTheServerAndSharesItsBarrier(t *testing.T) {
	for _, durability := range []stream.Durability{stream.Group, stream.Always} {
		t.Run(string(durability), func(t *testing.T) {
			dir := t.TempDir()
			var syncs atomic.Int32
			opts := embedded.Options{Dir: dir, Listen: true, Durability: durability}
			if durability == stream.Group {
				opts.Sync = func() error { syncs.Add(1); return nil }
			}
			srv := start(t, opts)
			owner := connect(t, srv.Options())
			if err := owner.CreateTopology(t.Context()); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(filepath.Join(dir, "nats.json")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("nats.json: %v, %v", info.Mode(), err)
			}
			found, err := embedded.Find(dir)
			if err != nil {
				t.Fatal(err)
			}
			host, _, err := net.SplitHostPort(strings.TrimPrefix(found.URL, "nats://"))
			if err != nil || !net.ParseIP(host).IsLoopback() {
				t.Errorf("listens on %s: %v", found.URL, err)
			}
			if s := fmt.Sprintf("%+v", found); strings.Contains(s, found.Password.Reveal()) {
				t.Error("the password shows")
			}
			tool := connect(t, found)
			before := syncs.Load()
			if err := tool.PublishCommand(t.Context(), events.Command{ID: "c1", Verb: events.Deny, Target: "case1"}); err != nil {
				t.Fatal(err)
			}
			if durability == stream.Group && syncs.Load() != before+1 {
				t.Errorf("%d syncs for the command, want 1", syncs.Load()-before)
			}
			stranger := found
			stranger.User = ""
			if _, err := stream.Connect(t.Context(), stranger); err == nil {
				t.Error("connected without the credential")
			}
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
			if _, err := embedded.Find(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("found a server that has stopped: %v", err)
			}
		})
	}
}

func TestAToolIsNotAnsweredWhenTheOwnersBarrierFails(t *testing.T) {
	dir := t.TempDir()
	var broken atomic.Bool
	srv := start(t, embedded.Options{Dir: dir, Listen: true, Durability: stream.Group, Sync: func() error {
		if broken.Load() {
			return errors.New("input/output error")
		}
		return nil
	}})
	if err := connect(t, srv.Options()).CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	found, err := embedded.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	tool := connect(t, found)
	broken.Store(true)
	err = tool.PublishCommand(t.Context(), events.Command{ID: "c1", Verb: events.Deny, Target: "case1"})
	if !errors.Is(err, stream.ErrBarrier) || !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutAListenerNobodyComesIn(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, embedded.Options{Dir: dir})
	if srv.URL() != "" {
		t.Errorf("listens on %s", srv.URL())
	}
	if _, err := embedded.Find(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("found %v", err)
	}
}

func TestAStoreHasOneOwner(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, embedded.Options{Dir: dir})
	if _, err := embedded.Start(embedded.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second start: %v", err)
	}
	if _, err := embedded.Check(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a check of a running store: %v", err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(); err != nil {
		t.Errorf("a second close: %v", err)
	}
	start(t, embedded.Options{Dir: dir})
}

func TestTheDurabilityIsChosenAndSaid(t *testing.T) {
	if _, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Durability: "sometimes"}); err == nil {
		t.Error("a durability that is none")
	}
	sync := func() error { return nil }
	for _, c := range []struct{ asked, got stream.Durability }{
		{"", stream.Group}, {stream.Group, stream.Group}, {stream.Always, stream.Always}, {stream.None, stream.None},
	} {
		srv := start(t, embedded.Options{Dir: t.TempDir(), Durability: c.asked, Sync: sync})
		if srv.Durability() != c.got || connect(t, srv.Options()).Durability() != c.got {
			t.Errorf("asked for %q, got %q", c.asked, srv.Durability())
		}
	}
}

func TestTheDeploymentKeyIsMadeOnceAndStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "store")
	keys := make([]string, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := embedded.DeploymentKey(dir)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key.Reveal()
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k != keys[0] || len(k) < 32 {
			t.Fatal("different keys, or a short one")
		}
	}
	info, err := os.Stat(filepath.Join(dir, "deployment.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
	if err := os.WriteFile(filepath.Join(dir, "deployment.key"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.DeploymentKey(dir); err == nil || strings.Contains(err.Error(), "short") && strings.Contains(err.Error(), `"short"`) {
		t.Errorf("a damaged key: %v", err)
	}
}

func TestNoKeyIsMadeOverALedger(t *testing.T) {
	dir := filled(t)
	path := filepath.Join(dir, "deployment.key")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if _, err := embedded.DeploymentKey(dir); !errors.Is(err, embedded.ErrNoKey) || !strings.Contains(err.Error(), path) {
		t.Errorf("a key of a store that lost it: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was made: %v", err)
	}
}

// filled makes a store of 20 events and what is left of three dead letters, stopped cleanly.
func filled(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	srv := start(t, embedded.Options{Dir: dir})
	bus := connect(t, srv.Options())
	if err := bus.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := bus.PublishEvents(t.Context(), []events.Event{event(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"f1", "f1", "f2"} { // one replaced, one removed: erased records and tombstones
		if err := bus.Bury(t.Context(), events.DeadLetter{ID: id, Kind: events.DeadFault, Source: "hr"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := bus.Unbury(t.Context(), "f1"); err != nil {
		t.Fatal(err)
	}
	_ = bus.Close(t.Context())
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCheckReadsTheWholeStore(t *testing.T) {
	dir := filled(t)
	rep, err := embedded.Check(t.Context(), dir)
	if err != nil || rep.Unclean || rep.Failed != "" || len(rep.Streams) != 9 {
		t.Fatalf("%+v, %v", rep, err)
	}
	for _, s := range rep.Streams {
		want := embedded.StreamReport{Name: s.Name}
		switch s.Name {
		case "EVENTS":
			want.Messages, want.Last = 20, 20
		case "DEAD":
			want.Messages, want.Last = s.Messages, 3
		}
		if s != want {
			t.Errorf("%+v, want %+v", s, want)
		}
	}
	if _, err := embedded.Check(t.Context(), filepath.Join(dir, "nowhere")); err == nil {
		t.Error("checked a store that is not there")
	}
}

func TestCheckTellsDamageFromWhatWasTornOff(t *testing.T) {
	dir := filled(t)
	if err := os.WriteFile(filepath.Join(dir, "unclean"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	msgs := filepath.Join(dir, "jetstream", "$G", "streams", "EVENTS", "msgs")
	change(t, msgs, func(data []byte) []byte { return data[:len(data)-10] }) // what a power cut tears off
	rep, err := embedded.Check(t.Context(), dir)
	if i := slices.IndexFunc(rep.Streams, func(s embedded.StreamReport) bool { return s.Name == "EVENTS" }); err != nil ||
		rep.Streams[i].Messages != 19 || rep.Streams[i].Torn == 0 {
		t.Errorf("after a tear: %+v, %v", rep, err)
	}
	damage(t, msgs)
	if err := os.WriteFile(filepath.Join(dir, "failed"), []byte("input/output error\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rep, err = embedded.Check(t.Context(), dir)
	if !errors.Is(err, embedded.ErrDamaged) {
		t.Errorf("after damage: %+v, %v", rep, err)
	}
	if _, err := embedded.Start(embedded.Options{Dir: dir}); !errors.Is(err, embedded.ErrFailed) {
		t.Errorf("a store that failed its check starts: %v", err)
	}
}

// TestAListBesideTheMarkIsNotAsked: whoever dies between the two, at a start or at a stop, leaves both, and the next clean stop
// leaves a list that is right.
func TestAListBesideTheMarkIsNotAsked(t *testing.T) {
	dir := filled(t)
	list, err := os.ReadFile(filepath.Join(dir, "whole"))
	srv, serr := embedded.Start(embedded.Options{Dir: dir})
	if err := errors.Join(err, serr); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "whole")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a store in use has a list: %v", err)
	}
	stale := append([]byte(`{"jetstream/gone":1,`), list[1:]...)
	if err := errors.Join(srv.Kill(), os.WriteFile(filepath.Join(dir, "whole"), stale, 0o600)); err != nil {
		t.Fatal(err)
	}
	if rep, err := embedded.Check(t.Context(), dir); err != nil || !rep.Unknown {
		t.Errorf("with both: %+v, %v", rep, err)
	}
	if srv, err = embedded.Start(embedded.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if rep, err := embedded.Check(t.Context(), dir); err != nil || rep.Unknown {
		t.Errorf("after a clean stop: %+v, %v", rep, err)
	}
}

// Each is what a copy is that was cut off; a server over it takes it for all that there ever was.
func TestCheckTellsThatACopyIsNotWhole(t *testing.T) {
	whole := filled(t)
	ledger := filepath.Join("jetstream", "$G", "streams", "LEDGER")
	for _, cut := range []struct {
		name string
		lose string // removed, with all below it
		tear string // left empty
		more string // lay there before
	}{
		{name: "a stream", lose: ledger},
		{name: "what the server knows a stream by", lose: filepath.Join(ledger, "meta.inf")},
		{name: "a consumer", lose: filepath.Join("jetstream", "$G", "streams", "EVENTS", "obs")},
		{name: "a block", lose: filepath.Join("jetstream", "$G", "streams", "EVENTS", "msgs", "1.blk")},
		{name: "what a block holds", tear: filepath.Join("jetstream", "$G", "streams", "EVENTS", "msgs", "1.blk")},
		{name: "what says so", tear: "whole"},
		{name: "everything", lose: "jetstream"},
		{name: "what an older copy left there", more: filepath.Join(ledger, "msgs", "9.blk")},
	} {
		t.Run(cut.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "copy")
			err := os.CopyFS(dir, os.DirFS(whole))
			if _, cerr := embedded.Check(t.Context(), dir); cerr != nil {
				t.Errorf("the whole copy: %v", cerr)
			}
			if cut.lose != "" {
				err = errors.Join(err, os.RemoveAll(filepath.Join(dir, cut.lose)))
			}
			if cut.tear != "" {
				err = errors.Join(err, os.Truncate(filepath.Join(dir, cut.tear), 0))
			}
			if cut.more != "" {
				err = errors.Join(err, os.WriteFile(filepath.Join(dir, cut.more), nil, 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
			if rep, err := embedded.Check(t.Context(), dir); !errors.Is(err, embedded.ErrDamaged) {
				t.Errorf("%+v, %v", rep, err)
			}
		})
	}
}

// damage flips one byte in the middle of each block.
func damage(t *testing.T, dir string) {
	t.Helper()
	change(t, dir, func(data []byte) []byte { data[len(data)/2] ^= 0xff; return data })
}

// change rewrites each block.
func change(t *testing.T, dir string, how func([]byte) []byte) {
	t.Helper()
	blocks, err := filepath.Glob(filepath.Join(dir, "*.blk"))
	if err != nil || len(blocks) == 0 {
		t.Fatalf("no blocks in %s: %v", dir, err)
	}
	for _, b := range blocks {
		data, err := os.ReadFile(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(b, how(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
