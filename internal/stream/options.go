package stream

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/secret"
)

// Durability is what makes an acknowledged message survive a power cut.
type Durability string

const (
	// Group: one shared sync of the store's file system before any answer. With the embedded server only, on Linux, on a
	// local file system.
	Group Durability = "group"
	// Always: the server syncs every message before it acknowledges it (sync_interval: always).
	Always Durability = "always"
	// None: acknowledged messages are lost in a power cut. For measurements only.
	None Durability = "none"
)

// Options say where the broker is and how far it can be trusted. One of URL, Context and InProcess names the server;
// none of them is the server at nats://127.0.0.1:4222.
type Options struct {
	URL       string                                         // one or more servers, separated by commas
	Context   string                                         // a context of the nats command, by name or by absolute path
	InProcess interface{ InProcessConn() (net.Conn, error) } // the embedded server
	Name      string                                         // shown in the server's list of connections

	Creds    string       // path of a credentials file (JWT and seed)
	NKey     string       // path of an nkey seed
	User     string       // with Password
	Password secret.Value // of User
	TLSCA    string       // path of the authorities to trust, PEM
	TLSCert  string       // path of the client certificate, PEM; with TLSKey
	TLSKey   string       // path of its key, PEM

	Wait time.Duration // how long Connect tries to reach a server that is away; 0 = once

	Durability    Durability // of an embedded server; for any other it must be Always, or empty
	Barrier       *Barrier   // of an embedded server under Group
	Boot          Boot       // of an embedded server
	Monitor       []string   // monitoring URLs of every server (http://host:8222), to see sync_interval: always
	AssertDurable bool       // the operator vouches for sync_interval: always on every server

	AckWait time.Duration // when the message of a dead worker is delivered again; 0 = 10 s, less in tests of recovery

	Replicas   int   // of every stream; 0 = as they are; new: 3 on a cluster of three servers or more, else 1
	StoreBytes int64 // size of the store, in bytes, where known; 0 = unknown
	EventBytes int64 // bound of EVENTS, in bytes; 0 = as it is, or a quarter of StoreBytes

	Log     *slog.Logger          // nil = none
	Metrics prometheus.Registerer // nil = none
	Fault   Fault                 // tests only
	Clock   func() time.Time      // of this machine, wrong in tests only; nil = time.Now
	// Enter, in tests only, gives the context in which a message is handled and settled: how Fault and what a handler
	// calls know whose write they are.
	Enter func(ctx context.Context, m *Message) context.Context
	// Rescue, in tests only, takes a panic out of a handler or its settlement, and the message is left as it is: the
	// death of a worker. Nil lets the panic go on.
	Rescue func(v any)
}

// Boot tells of a start of the embedded server after an unclean stop. The zero Boot is a start after a clean one.
//
// After an unclean stop an acknowledgement that says "duplicate" proves nothing about the disk: the first copy may
// have been acknowledged by a process whose barrier never returned. Then the message is published once more under an
// id of this start, and that copy goes through the barrier.
type Boot struct {
	ID   string            // unique for this start
	Last map[string]uint64 // the last sequence of each stream at this start
}

// doubts reports whether the stored copy at seq of the stream is older than this start, after an unclean stop.
func (b Boot) doubts(stream string, seq uint64) bool { return b.ID != "" && seq <= b.Last[stream] }
