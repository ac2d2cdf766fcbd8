// Package streamtest gives tests a broker of their own, in the process and on a directory that goes with the test.
package streamtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"

	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// Serve starts a broker for the length of a test. Without a directory it gets one that is removed afterwards.
func Serve(t testing.TB, o embedded.Options) *embedded.Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	srv, err := embedded.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return srv
}

// Connect opens a connection to a broker for the length of a test, with its options as change leaves them; nil changes
// nothing.
func Connect(t testing.TB, srv *embedded.Server, change func(*stream.Options)) *stream.Bus {
	t.Helper()
	o := srv.Options()
	if change != nil {
		change(&o)
	}
	bus, err := stream.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close(context.Background()) })
	return bus
}

// Bus gives a connection to a new broker that has all streams.
func Bus(t testing.TB, o embedded.Options) *stream.Bus {
	t.Helper()
	bus := Connect(t, Serve(t, o), nil)
	if err := bus.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	return bus
}

// Address is a free address of the loopback interface, below the ports that a system gives out by itself: a server that
// must know it before it starts, or is killed and started again, finds it free.
func Address(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return l.Addr().String()
	}
	t.Fatal("no free port on the loopback interface")
	return ""
}
