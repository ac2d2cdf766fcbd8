package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/synadia-io/orbit.go/natscontext"
)

// A server that went silent, with nobody to say that it is gone, is left for another one of the cluster after the third
// unanswered ping. The client's own two minutes between two of them would keep an intake from its work for six.
const (
	pingEvery = 5 * time.Second
	pingsLost = 2
)

// Bus is one connection to the broker. It may be used by many goroutines, and reconnects by itself for ever.
type Bus struct {
	opts    Options
	id      string
	log     *slog.Logger
	nc      *nats.Conn
	js      jetstream.JetStream
	metrics *metrics
	reads   shared // of the ledger
	newest  newest

	clockOff atomic.Int64           // nanoseconds (clock.go)
	filling  atomic.Int64           // hundredths of the bound of EVENTS; 0 = it has room (fill.go)
	denied   atomic.Pointer[denial] // denied.go; nil = nothing was

	mu      sync.Mutex
	streams map[string]jetstream.Stream
	keys    map[string]jetstream.KeyValue
}

// Connect reaches the broker, and refuses a server that is too old or whose durability is neither seen nor vouched
// for, with a message that says what to do. It makes nothing at the server (CreateTopology, CheckTopology).
func Connect(ctx context.Context, opts Options) (*Bus, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(opts.Metrics, opts.Barrier)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	b := &Bus{opts: opts, id: nuid.Next(), log: opts.Log, metrics: m,
		streams: map[string]jetstream.Stream{}, keys: map[string]jetstream.KeyValue{}}
	settings, err := b.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if err := b.accept(ctx, settings); err != nil {
		b.nc.Close()
		return nil, err
	}
	return b, nil
}

// ID is unique to this connection, for ever.
func (b *Bus) ID() string { return b.id }

// accept checks the server, and makes the JetStream client over the connection.
func (b *Bus) accept(ctx context.Context, s natscontext.Settings) error {
	if err := checkVersion(b.nc.ConnectedServerVersion()); err != nil {
		return err
	}
	if err := b.checkDurability(ctx); err != nil {
		return err
	}
	opts := []jetstream.JetStreamOpt{
		jetstream.WithPublishAsyncMaxPending(maxUnanswered),
		jetstream.WithPublishAsyncTimeout(publishTimeout),
		jetstream.WithDefaultTimeout(publishTimeout),
	}
	var err error
	switch {
	case s.JSDomain != "":
		b.js, err = jetstream.NewWithDomain(b.nc, s.JSDomain, opts...)
	case s.JSAPIPrefix != "":
		b.js, err = jetstream.NewWithAPIPrefix(b.nc, s.JSAPIPrefix, opts...)
	default:
		b.js, err = jetstream.New(b.nc, opts...)
	}
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	if err := b.serveBarrier(); err != nil {
		return fmt.Errorf("connect to NATS: serve the barrier: %w", err)
	}
	return nil
}

// dial connects, again and again for Options.Wait when the server is away. A refusal is final.
func (b *Bus) dial(ctx context.Context) (natscontext.Settings, error) {
	opts, err := b.connOptions()
	if err != nil {
		return natscontext.Settings{}, err
	}
	var s natscontext.Settings
	once := func() error {
		if b.opts.Context != "" {
			b.nc, s, err = natscontext.Connect(b.opts.Context, opts...)
		} else {
			b.nc, err = nats.Connect(b.opts.url(), opts...)
		}
		if _, unread := errors.AsType[*url.Error](err); unread { // which repeats the address, with a password that stands in it
			err = errAddress
		}
		if err != nil && !away(err) {
			return backoff.Permanent(err)
		}
		return err
	}
	policy := newDelay()
	policy.MaxElapsedTime = b.opts.Wait
	if b.opts.Wait <= 0 {
		return s, unwrapPermanent(once())
	}
	err = backoff.RetryNotify(once, backoff.WithContext(policy, ctx), func(err error, d time.Duration) {
		b.log.WarnContext(ctx, "broker away", "servers", b.opts.servers(), "error", err, "retry_in", d)
	})
	return s, err
}

// errAddress is all that is said of an address that cannot be read.
var errAddress = errors.New("the address of the server is not a URL: write nats://host:4222 or tls://host:4222")

// away reports whether err says that nobody answers, which may change: refused, timed out, or no such name yet.
func away(err error) bool {
	var op *net.OpError
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.As(err, &op)
}

// unwrapPermanent takes backoff's mark off an error.
func unwrapPermanent(err error) error {
	var p *backoff.PermanentError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func (o Options) url() string {
	if o.URL == "" {
		return nats.DefaultURL
	}
	return o.URL
}

// servers names whom it connects to, without what stands before a host: a password or a token.
func (o Options) servers() string {
	if o.Context != "" {
		return "those of the context " + o.Context
	}
	var hosts []string
	for text := range strings.SplitSeq(o.url(), ",") {
		if u, err := url.Parse(strings.TrimSpace(text)); err == nil && u.Host != "" {
			hosts = append(hosts, u.Host)
		}
	}
	return strings.Join(hosts, ",")
}

// connOptions are the client's settings.
func (b *Bus) connOptions() ([]nats.Option, error) {
	list, err := b.opts.identity()
	if err != nil {
		return nil, err
	}
	if b.opts.InProcess != nil {
		list = append(list, nats.InProcessServer(b.opts.InProcess))
	} else {
		list = append(list, nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(pingsLost))
	}
	delay := newDelay()
	return append(list,
		nats.Name(b.opts.Name),
		nats.MaxReconnects(-1),
		// Nothing is buffered while the server is away: a publish fails at once, and the sender is told to come back.
		nats.ReconnectBufSize(-1),
		nats.CustomReconnectDelay(func(attempts int) time.Duration {
			if attempts <= 1 {
				delay.Reset()
			}
			return delay.NextBackOff()
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil: Close
				b.log.Warn("broker disconnected", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { b.reconnected(nc) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.heard(err) }),
	), nil
}

// identity is how the client proves who it is, and knows the server.
func (o Options) identity() ([]nats.Option, error) {
	var list []nats.Option
	if o.User != "" {
		list = append(list, nats.UserInfo(o.User, o.Password.Reveal()))
	}
	if o.Creds != "" {
		list = append(list, nats.UserCredentials(o.Creds))
	}
	if o.NKey != "" {
		nkey, err := nats.NkeyOptionFromSeed(o.NKey)
		if err != nil {
			return nil, fmt.Errorf("nkey %s: %w", o.NKey, err)
		}
		list = append(list, nkey)
	}
	if o.TLSCA != "" {
		list = append(list, nats.RootCAs(o.TLSCA))
	}
	if o.TLSCert != "" {
		list = append(list, nats.ClientCert(o.TLSCert, o.TLSKey))
	}
	return list, nil
}

// newDelay is how long to wait between two tries to connect: 100 ms, then half as long again each time, up to 5 s,
// with jitter, for ever. The client calls it from one goroutine.
func newDelay() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
}

// reconnected looks at the server again: another one of the cluster may be older.
func (b *Bus) reconnected(nc *nats.Conn) {
	if err := checkVersion(nc.ConnectedServerVersion()); err != nil {
		b.log.Error("broker refused", "error", err)
		return
	}
	b.log.Info("broker connected again", "server", nc.ConnectedServerName())
}

// ready fails when nothing can be stored now, without asking the server.
func (b *Bus) ready() error {
	if b.opts.Barrier != nil {
		if err := b.opts.Barrier.Err(); err != nil {
			return &unavailable{op: "publish", retry: retryAway, err: err}
		}
	}
	if s := b.nc.Status(); s != nats.CONNECTED {
		return &unavailable{op: "publish", retry: retryAway, err: fmt.Errorf("connection is %s", s)}
	}
	if err := checkVersion(b.nc.ConnectedServerVersion()); err != nil {
		return &unavailable{op: "publish", retry: retryAway, err: err}
	}
	return nil
}

// Ready says why nothing can be stored now: broker away, full or without a majority, streams missing, or barrier failed.
// Nil: it can.
func (b *Bus) Ready(ctx context.Context) error {
	if err := b.ready(); err != nil {
		return err
	}
	if err := b.newest.err(time.Now()); err != nil {
		return b.Explain(err)
	}
	return b.Explain(b.CheckTopology(ctx))
}

// Failed is closed when the durability barrier has failed: the process must end. It is nil, and never closed, where
// there is no barrier of this process.
func (b *Bus) Failed() <-chan struct{} {
	if b.opts.Barrier == nil {
		return nil
	}
	return b.opts.Barrier.Failed()
}

// Durability says by what an acknowledged message survives a power cut.
func (b *Bus) Durability() Durability {
	if b.opts.Durability == "" {
		return Always
	}
	return b.opts.Durability
}

// closeTimeout is how long the end of a connection waits for a broker that does not answer.
const closeTimeout = 2 * time.Second

// Close ends the connection after what was written to it has left. Messages in hand are delivered again. The error says
// that the broker did not take the last of it in time: nothing is lost by that, as what was not heard is repeated.
func (b *Bus) Close(ctx context.Context) error {
	defer b.nc.Close()
	if b.nc.Status() != nats.CONNECTED {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	if err := b.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("close connection to NATS: %w", err)
	}
	return nil
}

// stream gives a handle of a stream.
func (b *Bus) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	b.mu.Lock()
	s, ok := b.streams[name]
	b.mu.Unlock()
	if ok {
		return s, nil
	}
	s, err := b.js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams[name] = s
	return s, nil
}
