package stream_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/stream/embedded"
)

// clientInfo reads a stream through a client of its own, past the bus.
func clientInfo(t testing.TB, url, name string, opts ...nats.Option) *jetstream.StreamInfo {
	t.Helper()
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo()
}

// streamInfo reads a stream of srv.
func streamInfo(t testing.TB, srv *embedded.Server, name string) *jetstream.StreamInfo {
	t.Helper()
	o := srv.Options()
	return clientInfo(t, "", name, nats.InProcessServer(o.InProcess), nats.UserInfo(o.User, o.Password.Reveal()))
}

// count is how many messages a stream of srv holds.
func count(t testing.TB, srv *embedded.Server, name string) uint64 {
	t.Helper()
	return streamInfo(t, srv, name).State.Msgs
}
