package outcome_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/ledger"
	"keyturn/internal/outcome"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/stream/streamtest"
)

// death is the panic of a teller that dies.
type death struct{}

// handled is the context's key of the message in hand.
type handled struct{}

// strikes hits the writes that belong to the message of one case: the case says which one, and how.
type strikes struct {
	mu   sync.Mutex
	left map[string]bool // that have not struck
}

// modes are what a write can meet: the death before or after it, an error before it, and its answer lost.
var modes = []struct {
	name       string
	after, die bool
}{{"dies-before", false, true}, {"dies-after", true, true}, {"refused", false, false}, {"lost", true, false}}

// fault implements stream.Fault.
func (s *strikes) fault(ctx context.Context, op stream.Op, _ string, persisted bool) error {
	m, _ := ctx.Value(handled{}).(*stream.Message)
	if m == nil {
		return nil
	}
	at := "hook"
	if strings.HasPrefix(m.Subject, "ledger.") {
		at = "relay"
	}
	for _, mode := range modes {
		name := fmt.Sprintf("%s-%s-%s", at, op, mode.name)
		s.mu.Lock()
		hit := mode.after == persisted && s.left[name] && strings.Contains(string(m.Data), name)
		if hit {
			delete(s.left, name)
		}
		s.mu.Unlock()
		switch {
		case hit && mode.die:
			panic(death{})
		case hit:
			return errors.New("struck")
		}
	}
	return nil
}

// TestATellerThatDiesAnywhere dies, is refused and loses the answer at each of its writes, once each: before and after
// an outcome is published, the disk is waited for and the record is acknowledged, and likewise when it is posted. Every
// change is told all the same, and stored once; whoever hears of one twice hears the same id.
func TestATellerThatDiesAnywhere(t *testing.T) {
	srv := streamtest.Serve(t, embedded.Options{})
	s := &strikes{left: map[string]bool{}}
	for _, at := range []string{"relay-outcome", "relay-barrier", "relay-ack", "hook-barrier", "hook-ack"} {
		for _, m := range modes {
			s.left[at+"-"+m.name] = true
		}
	}
	bus := streamtest.Connect(t, srv, func(o *stream.Options) {
		o.AckWait = 300 * time.Millisecond
		o.Enter = func(ctx context.Context, m *stream.Message) context.Context {
			return context.WithValue(ctx, handled{}, m)
		}
		o.Fault = s.fault
		o.Rescue = func(v any) {
			if _, ours := v.(death); !ours {
				panic(v)
			}
		}
	})
	if err := bus.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	exists(t, bus)
	book := ledger.New(bus.Log(), time.Now)
	to := &receiver{taken: map[string]event.Event{}}
	front := httptest.NewServer(to)
	t.Cleanup(front.Close)
	hook, err := outcome.NewHook(front.URL, secret.New(sampleSecret), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{} // by the id of what is told
	for _, name := range slices.Sorted(maps.Keys(s.left)) {
		var last ledger.Record
		for _, state := range []ledger.State{ledger.Open, ledger.Closed} {
			last, err = book.Append(t.Context(), last, ledger.Record{Subject: ledger.LifecycleSubject(name), State: state})
			if err != nil {
				t.Fatal(err)
			}
			want[last.Hash[:32]] = true
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	relay := &outcome.Relay{Bus: bus, Ledger: book}
	running.Go(func() { _ = relay.Run(ctx) })
	running.Go(func() { _ = hook.Run(ctx, bus) })
	to.wait(t, len(want))
	s.wait(t)
	stop()
	running.Wait()
	for id := range to.taken {
		if !want[id] {
			t.Errorf("told of %s, which no record is", id)
		}
	}
	if n := stored(t, srv); n != len(want) || len(to.taken) != len(want) {
		t.Errorf("%d changes stored and %d told, want %d", n, len(to.taken), len(want))
	}
}

// stored counts the outcomes that a server keeps.
func stored(t *testing.T, srv *embedded.Server) int {
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
	s, err := js.Stream(t.Context(), "OUTCOMES")
	if err != nil {
		t.Fatal(err)
	}
	return int(s.CachedInfo().State.Msgs) //nolint:gosec // a few dozen
}

// wait waits until everything has struck.
func (s *strikes) wait(t *testing.T) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for deadline := time.After(20 * time.Second); ; {
		s.mu.Lock()
		left := slices.Sorted(maps.Keys(s.left))
		s.mu.Unlock()
		if len(left) == 0 {
			return
		}
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("never struck: %v", left)
		}
	}
}
