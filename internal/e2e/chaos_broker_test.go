//go:build !race

package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// nodeKilled kills a NATS server.
func (c *chaos) nodeKilled() (string, func()) {
	n := c.site.nodes[c.rng.IntN(len(c.site.nodes))]
	n.kill()
	return n.Name, func() { n.start(c.t) }
}

// nodeStopped stops one in order.
func (c *chaos) nodeStopped() (string, func()) {
	n := c.site.nodes[c.rng.IntN(len(c.site.nodes))]
	n.stop(c.t)
	return n.Name, func() { n.start(c.t) }
}

// nodeAway kills a NATS server and a worker, and wants the worker to come back alone.
func (c *chaos) nodeAway() (string, func()) {
	what, end := c.nodeKilled()
	p := c.one(c.site.workers[:])
	p.kill()
	p.start(c.t)
	if c.single {
		await(c.t, patience, p.name+" to be ready without "+what, func() bool { c.site.tend(c.t); return p.ready() })
	}
	return p.name + " without " + what, end
}

// nodesKilled kills them all: whoever needs them says so.
func (c *chaos) nodesKilled() (string, func()) {
	for _, n := range c.site.nodes {
		n.kill()
	}
	for _, p := range c.site.parts() {
		c.expect(p, "fail broker: ")
	}
	return "all of them", func() {
		for _, n := range c.site.nodes {
			n.start(c.t)
		}
	}
}

// parted breaks the links between two NATS servers; the third one reaches both.
func (c *chaos) parted() (string, func()) {
	i := c.rng.IntN(len(c.site.nodes))
	return c.broken(c.site.between(c.site.nodes[i], c.site.nodes[(i+1)%len(c.site.nodes)])...)
}

// isolated breaks the links of one NATS server to the two others.
func (c *chaos) isolated() (string, func()) {
	i := c.rng.IntN(len(c.site.nodes))
	var list []*link
	for j := 1; j < len(c.site.nodes); j++ {
		list = append(list, c.site.between(c.site.nodes[i], c.site.nodes[(i+j)%len(c.site.nodes)])...)
	}
	what, end := c.broken(list...)
	return c.site.nodes[i].Name + ": " + what, end
}

// eventsFull lets EVENTS have no room for another event, and wants senders to be told to come back.
func (c *chaos) eventsFull() (string, func()) {
	var room int64
	c.site.change(c.t, "EVENTS", func(cfg *jetstream.StreamConfig, s jetstream.StreamState) {
		room, cfg.MaxBytes = cfg.MaxBytes, int64(max(s.Bytes, 1)) //nolint:gosec // far below
	})
	c.refused("fail broker: ", "full")
	return "EVENTS", func() {
		c.site.change(c.t, "EVENTS", func(cfg *jetstream.StreamConfig, _ jetstream.StreamState) { cfg.MaxBytes = room })
	}
}

// refused waits until senders are refused for want of room, and every intake says that something is wrong.
func (c *chaos) refused(words ...string) {
	c.t.Helper()
	if !c.single {
		return
	}
	_, _, before := c.courier.figures()
	c.courier.give(c.round.reserved(3))
	await(c.t, patience, "senders to be told to come back", func() bool {
		_, _, now := c.courier.figures()
		if now[503] > before[503] {
			return true
		}
		if c.courier.idle() { // a leader that came after the one that was asked may keep less: there was room left
			c.courier.give(c.round.reserved(3))
		}
		return false
	})
	for _, in := range c.site.intakes {
		if in.skew == "" { // to one whose clock is wrong every signature is old: it has nothing to store
			c.expect(in, words...)
		}
	}
}

// filler is a stream that takes all room of the NATS servers.
const filler = "FILLER"

// storeFull lets the NATS servers have no room for anything.
func (c *chaos) storeFull() (string, func()) {
	js, done := c.site.client(c.t)
	defer done()
	await(c.t, patience, "a place for "+filler, func() bool { // a server that was away a moment ago may count as gone
		ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
		defer cancel()
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: filler, Subjects: []string{"filler"}, Replicas: 3})
		return err == nil
	})
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	block := make([]byte, 900<<10)
	for n := 0; ; n++ {
		if _, err := js.Publish(ctx, "filler", block); err != nil {
			c.log("the store is full after %d blocks: %v", n, err)
			break
		}
	}
	c.courier.give(c.round.next(3)) // some of what is small may still find room with one server or another
	return "every NATS server", func() {
		c.enlarge(4 * storeSize)
		js, done := c.site.client(c.t)
		defer done()
		await(c.t, 2*patience, "room", func() bool {
			ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
			defer cancel()
			err := js.DeleteStream(ctx, filler)
			return err == nil || errors.Is(err, jetstream.ErrStreamNotFound)
		})
		c.enlarge(storeSize)
	}
}

// enlarge gives the NATS servers a store of another size, as an operator does: a server whose store was full takes part
// again when it is started with more.
func (c *chaos) enlarge(size int64) {
	for _, n := range c.site.nodes {
		n.kill()
		n.MaxStore = size
	}
	for _, n := range c.site.nodes {
		n.start(c.t)
	}
}

// prepare makes the streams that workers would make larger than the store of these servers is.
func (s *site) prepare(t *testing.T) {
	t.Helper()
	js, done := s.client(t)
	defer done()
	for _, cfg := range []jetstream.StreamConfig{
		{Name: "EVENTS", Subjects: []string{"events.>"}, Discard: jetstream.DiscardNew, MaxBytes: storeSize / 4, Replicas: 3},
		{Name: "OUTCOMES", Subjects: []string{"outcomes.>"}, MaxBytes: storeSize / 16, Replicas: 3},
	} {
		await(t, patience, "the cluster to make "+cfg.Name, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := js.CreateOrUpdateStream(ctx, cfg)
			return err == nil
		})
	}
}

// client is an operator's connection, past every link.
func (s *site) client(t *testing.T) (jetstream.JetStream, func()) {
	t.Helper()
	var urls []string
	for _, n := range s.nodes {
		urls = append(urls, "nats://"+n.Client)
	}
	var nc *nats.Conn
	await(t, patience, "a NATS server to answer", func() bool {
		var err error
		nc, err = nats.Connect(strings.Join(urls, ","), nats.MaxReconnects(-1), nats.Name("operator"))
		return err == nil
	})
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js, nc.Close
}

// change changes the configuration of a stream.
func (s *site) change(t *testing.T, name string, how func(*jetstream.StreamConfig, jetstream.StreamState)) {
	t.Helper()
	js, done := s.client(t)
	defer done()
	changed := false
	var cfg jetstream.StreamConfig
	await(t, patience, "the cluster to change "+name, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if !changed {
			st, err := js.Stream(ctx, name)
			if err != nil {
				return false
			}
			cfg = st.CachedInfo().Config
			how(&cfg, st.CachedInfo().State)
			changed = true
		}
		_, err := js.UpdateStream(ctx, cfg)
		return err == nil
	})
}
