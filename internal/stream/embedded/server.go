package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/crypto/bcrypt"

	"keyturn/internal/secret"
	"keyturn/internal/stream"
)

// Options say where the store is and how it is made durable.
type Options struct {
	Dir    string // the store; made if it is not there (0700)
	Listen bool   // listen on a random loopback port, with a new credential in <Dir>/nats.json; else in-process only

	// Durability is Group, Always, or None for measurements. Empty is Group where it can be kept (Linux, ext4, xfs or
	// btrfs), else Always. Group where it cannot be kept is an error.
	Durability stream.Durability
	// Sync replaces the sync of Group (tests, measurements); any file system will do then. Nil syncs the store's own.
	Sync func() error

	MaxStore int64        // bytes that all streams may fill; 0 = three quarters of what they fill and what is free at the start
	Log      *slog.Logger // nil = none
}

// startTimeout is how long a start may take: a million ledger subjects after a hard kill need 3 s, five million 15 s.
const startTimeout = 2 * time.Minute

// maxPayload bounds one message, in bytes. A plan carries its event, of up to 900 KiB, and what its actions take from
// it: the server's own 1 MiB would accept events whose plans it refuses.
const maxPayload = 4 << 20

// Errors of a store that nothing more may be written to before somebody saw to it.
var (
	// ErrFailed: a barrier failed in this store's last life.
	ErrFailed = errors.New("the store's last durability barrier failed")
	// ErrFull: the file system of the store was full. The server writes to no stream of which that was said, even when there is room
	// again, before its next start.
	ErrFull = errors.New("the file system of the store is full")
)

// Server is a running server over a store.
type Server struct {
	opts  Options
	store *store
	nats  *server.Server
	user  string
	pass  secret.Value

	durability stream.Durability
	maxStore   int64 // bytes that all streams may fill
	barrier    *stream.Barrier
	boot       stream.Boot
	closed     atomic.Bool

	failing sync.Once
	failed  chan struct{} // closed when nothing can be stored any more
	why     error         // set before that
}

// Start starts the server over the store of opts.Dir. It refuses a store that another process owns, and one whose last
// barrier failed (ErrFailed) until Check has passed.
func Start(opts Options) (*Server, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	st, err := openStore(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	s := &Server{opts: opts, store: st, failed: make(chan struct{})}
	if err := s.start(); err != nil {
		if s.nats != nil {
			s.stop()
		}
		return nil, errors.Join(fmt.Errorf("start broker: %w", err), st.close())
	}
	return s, nil
}

// start brings up everything over an open store.
func (s *Server) start() error {
	if s.store.has(fileFailed) {
		return fmt.Errorf("%w: run `keyturn store check` on %s before the next start", ErrFailed, s.store.dir)
	}
	if err := s.choose(); err != nil {
		return err
	}
	if s.maxStore = s.opts.MaxStore; s.maxStore <= 0 {
		s.maxStore = (s.store.room() + s.store.used()) / 4 * 3
	}
	if !s.store.has(server.JetStreamStoreDir) {
		// A file system that was not mounted looks like that too.
		s.opts.Log.Info("broker begins an empty store: nothing of before is in it", "store", s.store.dir)
	}
	unclean, err := s.store.mark()
	if err != nil {
		return err
	}
	// A killed process may have left acknowledged messages in the page cache only: they are synced, or the start fails.
	if s.barrier != nil {
		if err := s.barrier.Wait(context.Background()); err != nil {
			return err
		}
	}
	if err := s.run(); err != nil {
		return err
	}
	if unclean {
		if s.boot, err = s.lookBack(); err != nil {
			return err
		}
		s.opts.Log.Warn("broker starts after an unclean stop", "store", s.store.dir, "boot", s.boot.ID)
	}
	if s.opts.Listen {
		return s.announce()
	}
	return nil
}

// choose settles the durability, and makes the barrier that it needs.
func (s *Server) choose() error {
	s.durability = s.opts.Durability
	flush := s.opts.Sync
	if flush == nil {
		flush = s.store.sync
	}
	var why error
	if s.opts.Sync == nil {
		why = s.store.groupable()
	}
	switch {
	case s.durability == "" && why != nil:
		s.durability = stream.Always
		s.opts.Log.Info("broker syncs every message", "durability", s.durability, "reason", why)
	case s.durability == "":
		s.durability = stream.Group
	case s.durability == stream.Group && why != nil:
		return fmt.Errorf("durability %q: %w; use %q", stream.Group, why, stream.Always)
	case s.durability != stream.Group && s.durability != stream.Always && s.durability != stream.None:
		return fmt.Errorf("durability %q: not %q or %q", s.durability, stream.Group, stream.Always)
	}
	if s.durability == stream.Group {
		s.barrier = stream.NewBarrier(func() error { return errors.Join(s.store.inPlace(), flush()) }, s.fail)
	}
	return nil
}

// fail is told of the barrier's first error. The mark makes the next start ask for a check; when the disk does not
// even take that, the store stays marked as unclean.
func (s *Server) fail(err error) {
	next, why := "repair the disk, then run `keyturn store check`", ErrFailed
	if s.store.inPlace() != nil {
		next, why = "start again over what is there now: nothing of this process is in it, and senders of what was not answered repeat", err
	}
	s.opts.Log.Error("durability barrier failed: nothing is answered as stored any more", "error", err, "next", next)
	if werr := s.store.put(fileFailed, []byte(err.Error()+"\n")); werr != nil {
		s.opts.Log.Error("store not marked as failed", "error", werr)
	}
	s.end(fmt.Errorf("%w: %s", why, next))
}

// unwritten is told that the server could not write to a stream, which it never does again in this life. A disk without
// room has lost nothing; after any other error nobody knows what it holds.
func (s *Server) unwritten(err error) {
	if at := new(fs.PathError); errors.As(err, &at) {
		err = at.Err
	}
	err = fmt.Errorf("write to store %s: %w", s.store.dir, err)
	switch {
	case errors.Is(err, syscall.ENOSPC):
		s.end(fmt.Errorf("%w: make room, and start again: %w", ErrFull, err))
	case s.barrier != nil:
		_ = s.barrier.Fail(err) // it tells fail
	default:
		s.fail(err)
	}
}

// end says for good that nothing can be stored any more.
func (s *Server) end(why error) {
	s.failing.Do(func() {
		s.why = why
		close(s.failed)
	})
}

// run starts the NATS server.
func (s *Server) run() error {
	o := &server.Options{
		ServerName: "keyturn", JetStream: true, StoreDir: s.store.at, JetStreamMaxStore: s.maxStore,
		SyncAlways: s.durability == stream.Always, DontListen: !s.opts.Listen, Host: "127.0.0.1", Port: server.RANDOM_PORT,
		NoSigs: true, DisableJetStreamBanner: true, MaxPayload: maxPayload,
	}
	if s.opts.Listen {
		s.user, s.pass = "keyturn", secret.New(random())
		// Hashed, or the server warns at every start of a password in plain text. It is random: a costlier hash protects nothing.
		hash, err := bcrypt.GenerateFromPassword([]byte(s.pass.Reveal()), bcrypt.MinCost)
		if err != nil {
			return err
		}
		o.Username, o.Password = s.user, string(hash)
	}
	var err error
	if s.nats, err = server.NewServer(o); err != nil {
		return err
	}
	s.nats.SetLoggerV2(logger{server: s}, false, false, false)
	s.nats.Start()
	if !s.nats.ReadyForConnections(startTimeout) || !s.nats.JetStreamEnabled() {
		return fmt.Errorf("server not ready within %s; its log says why", startTimeout)
	}
	return nil
}

// Options are what a Bus in this process needs to use the server. The caller adds its own (Name, Log, Metrics).
func (s *Server) Options() stream.Options {
	return stream.Options{InProcess: s.nats, User: s.user, Password: s.pass, Durability: s.durability, Barrier: s.barrier,
		Boot: s.boot, StoreBytes: s.maxStore}
}

// URL is where the server listens; empty when it does not.
func (s *Server) URL() string {
	if !s.opts.Listen {
		return ""
	}
	if a, ok := s.nats.Addr().(*net.TCPAddr); ok {
		return "nats://" + a.String()
	}
	return ""
}

// Durability is what was chosen.
func (s *Server) Durability() stream.Durability { return s.durability }

// Failed is closed when nothing can be stored any more: the barrier has failed, or a stream could not be written. The
// process must end; Err says why.
func (s *Server) Failed() <-chan struct{} { return s.failed }

// Err is why nothing can be stored any more, and what to do: ErrFailed, ErrFull, or that the store was moved away. It is for
// whoever saw Failed closed.
func (s *Server) Err() error {
	<-s.failed
	return s.why
}

// Close stops the server after its clients are closed, syncs the store and marks it as clean. After a failed barrier,
// or Kill, it stays marked.
func (s *Server) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.stop()
	var err error
	if s.opts.Listen {
		err = s.store.remove(fileNATS)
	}
	if s.barrier != nil {
		// What the server wrote while it stopped.
		err = errors.Join(err, s.barrier.Wait(context.Background()))
	}
	if err == nil {
		// Dying before this line costs a repeated copy of events that are resent, nothing else.
		err = s.store.unmark()
	}
	return errors.Join(err, s.store.close())
}

// Kill stops the server and leaves the store as a killed process does: marked as unclean. It is for tests of recovery.
func (s *Server) Kill() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.stop()
	return s.store.close()
}

// stop stops the NATS server.
func (s *Server) stop() {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
}

// logger passes what the server has to say on, in the words of who started it: the store by the path that they gave. That a
// stream cannot be written the server tells nobody but its log.
type logger struct{ server *Server }

func (l logger) Noticef(string, ...any)         {}
func (l logger) Warnf(format string, v ...any)  { l.server.opts.Log.Warn(l.text(format, v)) }
func (l logger) Fatalf(format string, v ...any) { l.server.opts.Log.Error(l.text(format, v)) }
func (l logger) Debugf(string, ...any)          {}
func (l logger) Tracef(string, ...any)          {}

// Errorf is called with locks of the server held.
func (l logger) Errorf(format string, v ...any) {
	l.server.opts.Log.Error(l.text(format, v))
	if len(v) == 0 || !strings.Contains(format, "ritical write error") {
		return
	}
	if err, ok := v[len(v)-1].(error); ok {
		go l.server.unwritten(err)
	}
}

func (l logger) text(format string, v []any) string {
	return strings.ReplaceAll("broker: "+fmt.Sprintf(format, v...), l.server.store.at, l.server.store.dir)
}
