package stream_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/stream/embedded"
)

// raw opens a client of its own at srv, to look past the bus.
func raw(t testing.TB, srv *embedded.Server) jetstream.JetStream {
	t.Helper()
	o := srv.Options()
	nc, err := nats.Connect("", nats.InProcessServer(o.InProcess), nats.UserInfo(o.User, o.Password.Reveal()))
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

// streamInfo reads a stream of srv.
func streamInfo(t testing.TB, srv *embedded.Server, name string) *jetstream.StreamInfo {
	t.Helper()
	s, err := raw(t, srv).Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo()
}

// count is how many messages a stream of srv holds.
func count(t testing.TB, srv *embedded.Server, name string) uint64 {
	t.Helper()
	return streamInfo(t, srv, name).State.Msgs
}
