package stream_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
	"keyturn/internal/stream/streamtest"
)

// cluster runs three servers as one cluster, each of which syncs always.
func cluster(t *testing.T) []*server.Server {
	t.Helper()
	var routes []*url.URL
	ports := make([]int, 3)
	for i := range ports {
		at := netip.MustParseAddrPort(streamtest.Address(t))
		ports[i] = int(at.Port())
		routes = append(routes, &url.URL{Scheme: "nats", Host: at.String()})
	}
	var all []*server.Server
	for i, port := range ports {
		all = append(all, launch(t, func(o *server.Options) {
			o.ServerName, o.SyncAlways = fmt.Sprint("n", i), true
			o.Cluster = server.ClusterOpts{Name: "acme", Host: "127.0.0.1", Port: port}
			o.Routes = routes
		}))
	}
	until(t, "the cluster's leader", func() bool {
		for _, s := range all {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == 3 {
				return true
			}
		}
		return false
	})
	return all
}

func TestAClusterKeepsThreeCopiesAndSurvivesTheLossOfOneServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	servers := cluster(t)
	var urls, monitors []string
	for _, s := range servers {
		urls, monitors = append(urls, s.ClientURL()), append(monitors, "http://"+s.MonitorAddr().String())
	}
	opts := stream.Options{URL: strings.Join(urls, ","), Monitor: monitors[:2]}
	if _, err := stream.Connect(t.Context(), opts); !errors.Is(err, stream.ErrServer) {
		t.Fatalf("two of three monitors: %v", err)
	}
	opts.Monitor = monitors
	bus, err := stream.Connect(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close(context.Background())
	if err := bus.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"EVENTS", "LEDGER", "KV_LEASES"} {
		if n := clientInfo(t, servers[1].ClientURL(), name).Config.Replicas; n != 3 {
			t.Errorf("%s has %d replicas, want 3", name, n)
		}
	}
	if clientInfo(t, servers[1].ClientURL(), "LEDGER").Config.AllowDirect {
		t.Error("LEDGER may be read from a replica")
	}
	seq := useCluster(t, bus, "before", 0)
	due := event("due")
	due.EffectiveAt = time.Now().Add(2 * time.Second)
	if err := bus.Schedule(t.Context(), due); err != nil {
		t.Fatal(err)
	}
	servers[0].Shutdown()
	servers[0].WaitForShutdown()
	opts.URL = strings.Join(urls[1:], ",") // a process that starts now sees two of three, and most are enough
	late, err := stream.Connect(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Close(t.Context()); err != nil {
		t.Error(err)
	}
	until(t, "a publish after the loss", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return bus.PublishEvents(ctx, []events.Event{event("lost")}) == nil
	})
	until(t, "the ledger's leader", func() bool {
		_, _, err := bus.Log().Last(t.Context(), "ledger.case1.plan")
		return err == nil
	})
	useCluster(t, bus, "after", seq)
	m := take(t, bus, stream.DueOf(events.Normal), 1, nil)[0]
	if back, err := events.Unmarshal(m.Data); err != nil || back.ID != due.ID || time.Until(due.EffectiveAt) > early {
		t.Errorf("due after the loss: %+v, %v", back, err)
	}
}

func TestAClusterWithoutAMajorityIsNotReadyWhereNothingIsWritten(t *testing.T) {
	t.Parallel() // it waits for the most part
	if testing.Short() {
		t.Skip("starts three servers")
	}
	servers := cluster(t)
	bus, err := stream.Connect(t.Context(), stream.Options{URL: servers[0].ClientURL(), AssertDurable: true, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close(context.Background())
	if err := bus.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "a cluster that is ready", func() bool { return bus.Ready(t.Context()) == nil })
	for _, s := range servers[1:] {
		s.Shutdown()
		s.WaitForShutdown()
	}
	// Where the server that is left leads the stream, it takes up to twenty seconds until it gives that up.
	look := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // while it is not decided nobody answers
		defer cancel()
		return bus.Ready(ctx)
	}
	end := time.Now().Add(time.Minute)
	for err = look(); err == nil || !strings.Contains(err.Error(), "a majority must run"); err = look() {
		if time.Now().After(end) {
			t.Fatalf("a server without the others: %v", err)
		}
	}
	if !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("a server without the others: %v", err)
	}
}

// useCluster publishes, appends after seq, conflicts, and takes a lease; it returns the sequence of its record.
func useCluster(t *testing.T, bus *stream.Bus, id string, seq uint64) uint64 {
	t.Helper()
	for range 2 {
		if err := bus.PublishEvents(t.Context(), []events.Event{event(id)}); err != nil {
			t.Fatal(err)
		}
	}
	next, err := bus.Log().Append(t.Context(), "ledger.case1.plan", seq, []byte(id))
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []uint64{0, seq, next + 7} {
		if _, err := bus.Log().Append(t.Context(), "ledger.case1.plan", after, nil); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("append after %d: %v", after, err)
		}
	}
	if got, data, err := bus.Log().Last(t.Context(), "ledger.case1.plan"); err != nil || got != next || string(data) != id {
		t.Errorf("last: %d %q %v, want %d", got, data, err, next)
	}
	if err := bus.Hold(t.Context(), "okta-prod", "w", func(context.Context, uint64) error { return nil }); err != nil {
		t.Errorf("lease: %v", err)
	}
	return next
}
