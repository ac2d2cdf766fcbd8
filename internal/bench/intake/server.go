package intake

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/bench/figures"
	"keyturn/internal/ingest"
	"keyturn/internal/process"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/stream/slowsync"
)

// source is how the load signs.
func source() ingest.SourceSpec {
	return ingest.SourceSpec{Name: "bench", Preset: "cloudevents", Verify: ingest.VerifySpec{HMAC: &ingest.HMACSpec{
		Signature: ingest.SignatureSpec{Header: "X-Signature", Prefix: "sha256="}, Secrets: []secret.Value{secret.New("a secret of the benchmark")},
	}}}
}

// hello is what the child says when it is ready, or why it never will be.
type hello struct {
	URL     string        `json:"url"`
	Sync    time.Duration `json:"sync"` // what one append and fsync costs in the store's directory
	NoDelay string        `json:"no_delay,omitempty"`
}

// errNoDelay: syncs cannot be delayed on this machine.
var errNoDelay = errors.New("syncs cannot be delayed here")

// slow adds delay to every sync of this process.
func slow(delay time.Duration) error {
	if delay <= 0 {
		return nil
	}
	d, err := slowsync.Install()
	if err != nil {
		return err
	}
	d.Set(delay)
	return nil
}

// Serve is the child: the intake over an embedded broker in dir, with delay added to every sync, until stdin ends. What
// its parent must know it writes to stdout.
func Serve(ctx context.Context, mode stream.Durability, dir string, delay time.Duration, stdin io.Reader, stdout io.Writer) (err error) {
	process.SpareMemory(ctx) // as keyturn serve does
	if err := slow(delay); err != nil {
		return json.NewEncoder(stdout).Encode(hello{NoDelay: err.Error()})
	}
	cost, err := figures.SyncCost(dir)
	if err != nil {
		return err
	}
	broker, err := embedded.Start(embedded.Options{Dir: filepath.Join(dir, "store"), Durability: mode, MaxStore: 8 << 30})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	process.SpareForSync(ctx, broker.Options().Barrier)
	bus, err := stream.Connect(ctx, broker.Options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bus.Close(context.WithoutCancel(ctx))) }()
	if err := bus.CreateTopology(ctx); err != nil {
		return err
	}
	src, err := ingest.NewSource(source())
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	handler, err := ingest.NewHandler(ingest.Options{
		Sources: []*ingest.Source{src}, Publisher: bus, Log: log, Metrics: prometheus.NewRegistry(), Concurrency: 1024,
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, stdin) // its end is the sign to stop
	}()
	if err := json.NewEncoder(stdout).Encode(hello{URL: "http://" + listener.Addr().String(), Sync: cost}); err != nil {
		return err
	}
	return ingest.NewServer(ingest.ServerOptions{Handler: handler, Log: log}).Serve(serving, listener)
}

// child is a server in a process of its own.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	hello hello
}

// startChild starts one, with delay added to every sync, and waits until it is ready.
func startChild(ctx context.Context, mode stream.Durability, dir string, delay time.Duration) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, "-serve", string(mode), "-dir", dir, "-delay", delay.String())}
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	c.stdin = stdin
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &c.hello)
	}
	if c.hello.NoDelay != "" {
		err = fmt.Errorf("%w: %s", errNoDelay, c.hello.NoDelay)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the server did not start: %w", err), c.stop())
	}
	return c, nil
}

// stop ends the child and waits for it.
func (c *child) stop() error {
	return errors.Join(c.stdin.Close(), c.cmd.Wait())
}
