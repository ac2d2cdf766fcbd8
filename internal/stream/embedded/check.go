package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/stream"
)

// Report is what Check found.
type Report struct {
	Unclean bool           `json:"unclean"`          // the last stop was not clean
	Failed  string         `json:"failed,omitempty"` // why the last barrier failed, when it did
	Streams []StreamReport `json:"streams"`
}

// StreamReport is one stream as the disk holds it.
type StreamReport struct {
	Name     string `json:"name"`
	Messages uint64 `json:"messages"` // that the server says it has
	Read     uint64 `json:"read"`     // that could be read
	Lost     int    `json:"lost"`     // that the server found damaged
	Last     uint64 `json:"last"`     // sequence
}

// ErrDamaged: the disk does not hold everything that the server says it has.
var ErrDamaged = errors.New("store is damaged")

// Check reads the whole store of dir as its disk holds it, without a running server, and takes the mark of a failed
// barrier off when every message could be read. What the failed barrier lost was never answered as stored: its senders
// repeat it. With ErrDamaged, restore the store from a backup.
func Check(ctx context.Context, dir string, log *slog.Logger) (Report, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if _, err := os.Stat(dir); err != nil {
		return Report{}, fmt.Errorf("check store: %w", err)
	}
	st, err := openStore(dir)
	if err != nil {
		return Report{}, fmt.Errorf("check store: %w", err)
	}
	s := &Server{opts: Options{Dir: dir, Log: log}, store: st, durability: stream.Always}
	rep, err := s.check(ctx)
	if s.nats != nil {
		s.stop()
	}
	if err == nil {
		// Dying before this line: the store must be checked again.
		err = st.remove(fileFailed)
	}
	if err := errors.Join(err, st.close()); err != nil {
		return rep, fmt.Errorf("check store %s: %w", st.dir, err)
	}
	return rep, nil
}

// check does the reading.
func (s *Server) check(ctx context.Context) (Report, error) {
	rep := Report{Unclean: s.store.has(fileUnclean)}
	if why, err := os.ReadFile(filepath.Join(s.store.dir, fileFailed)); err == nil {
		rep.Failed = strings.TrimSpace(string(why))
	}
	if err := s.store.forget(); err != nil {
		return rep, err
	}
	if err := s.run(); err != nil {
		return rep, err
	}
	nc, js, err := s.client()
	if err != nil {
		return rep, err
	}
	defer nc.Close()
	lost, err := s.lost()
	if err != nil {
		return rep, err
	}
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		r, err := readStream(ctx, js, name)
		if err != nil {
			return rep, fmt.Errorf("stream %s: %w", name, err)
		}
		r.Lost = lost[name]
		rep.Streams = append(rep.Streams, r)
	}
	return rep, errors.Join(names.Err(), rep.damage())
}

// damage names the streams that could not be read to the end.
func (r Report) damage() error {
	var bad []string
	for _, s := range r.Streams {
		if s.Lost > 0 || s.Read < s.Messages {
			bad = append(bad, fmt.Sprintf("%s: %d of %d messages read, %d lost", s.Name, s.Read, s.Messages, s.Lost))
		}
	}
	if bad != nil {
		return fmt.Errorf("%w: %s", ErrDamaged, strings.Join(bad, "; "))
	}
	return nil
}

// forget writes out every file of the server and drops it from memory: after a failed write-back the kernel's memory
// may hold what the disk does not, and only the disk counts.
func (s *store) forget() error {
	return filepath.WalkDir(filepath.Join(s.dir, server.JetStreamStoreDir), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a new store
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), evict(f.Fd()), f.Close())
	})
}

// lost counts the messages that the server found damaged when it opened the streams.
func (s *Server) lost() (map[string]int, error) {
	info, err := s.nats.Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		return nil, err
	}
	lost := map[string]int{}
	for _, a := range info.AccountDetails {
		for _, st := range a.Streams {
			if st.State.Lost != nil {
				lost[st.Name] = len(st.State.Lost.Msgs)
			}
		}
	}
	return lost, nil
}

// quiet is how long a read may find nothing before the stream counts as read.
const quiet = 2 * time.Second

// readStream reads every message of a stream: the server checks each one's hash. What expires meanwhile is no loss, so
// that the count is compared with what is there afterwards.
func readStream(ctx context.Context, js jetstream.JetStream, name string) (StreamReport, error) {
	rep := StreamReport{Name: name}
	s, err := js.Stream(ctx, name)
	if err != nil {
		return rep, err
	}
	last := s.CachedInfo().State.LastSeq
	if s.CachedInfo().State.Msgs > 0 {
		if rep.Read, err = readTo(ctx, s, last); err != nil {
			return rep, err
		}
	}
	info, err := s.Info(ctx)
	if err != nil {
		return rep, err
	}
	rep.Messages, rep.Last = info.State.Msgs, info.State.LastSeq
	return rep, nil
}

// readTo counts the messages up to the sequence last.
func readTo(ctx context.Context, s jetstream.Stream, last uint64) (uint64, error) {
	cons, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return 0, err
	}
	iter, err := cons.Messages()
	if err != nil {
		return 0, err
	}
	defer iter.Stop()
	var n uint64
	for {
		waiting, cancel := context.WithTimeout(ctx, quiet)
		msg, err := iter.Next(jetstream.NextContext(waiting))
		cancel()
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return n, err
		}
		n++
		if meta.Sequence.Stream >= last || meta.NumPending == 0 {
			return n, nil
		}
	}
}
