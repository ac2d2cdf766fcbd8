package stream_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/stream/embedded"
)

// client is one of its own, past the bus, until the test ends.
func client(t testing.TB, url string, opts ...nats.Option) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// clientInfo reads a stream past the bus.
func clientInfo(t testing.TB, url, name string, opts ...nats.Option) *jetstream.StreamInfo {
	t.Helper()
	js := client(t, url, opts...)
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo()
}

// streamInfo reads a stream of srv.
func streamInfo(t testing.TB, srv *embedded.Server, name string) *jetstream.StreamInfo {
	t.Helper()
	return clientInfo(t, "", name, within(srv)...)
}

// within are the options of a client of srv in this process.
func within(srv *embedded.Server) []nats.Option {
	o := srv.Options()
	return []nats.Option{nats.InProcessServer(o.InProcess), nats.UserInfo(o.User, o.Password.Reveal())}
}

// count is how many messages a stream of srv holds.
func count(t testing.TB, srv *embedded.Server, name string) uint64 {
	t.Helper()
	return streamInfo(t, srv, name).State.Msgs
}
