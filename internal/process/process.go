// Package process is what all of Keyturn's processes do alike when they start: their log, their connection to the
// broker, and the signal that stops them.
package process

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/admin"
	"keyturn/internal/config"
	"keyturn/internal/stream"
)

// connectWait is how long a starting process waits for a broker that starts beside it.
const connectWait = 30 * time.Second

// Context ends at the first interrupt or termination signal; the second one kills, as is usual.
func Context() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Hangup receives each SIGHUP until ctx ends: the request to load a changed configuration. From the call on the signal
// does not end the process any more.
func Hangup(ctx context.Context) <-chan os.Signal {
	told := make(chan os.Signal, 1) // one that waits stands for all that follow it
	signal.Notify(told, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { signal.Stop(told) })
	return told
}

// Unless gives err, unless it came of being told to stop: a process that is stopped while it starts ends in order.
func Unless(stopped context.Context, err error) error {
	if stopped.Err() != nil && errors.Is(err, stopped.Err()) {
		return nil
	}
	return err
}

// Deadline ends the process with exit code 1 when it still runs limit after ctx ended; the returned function calls that
// off. Being cut off costs nothing but time: what was answered is on disk, and what was not is repeated.
func Deadline(ctx context.Context, limit time.Duration, log *slog.Logger) func() {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		late := time.NewTimer(limit)
		defer late.Stop()
		select {
		case <-late.C:
			log.Error("not stopped in time: what is under way is cut off", "limit", limit.String())
			os.Exit(exitFailed)
		case <-ended:
		}
	})
	return func() {
		stop()
		close(ended)
	}
}

// Logger writes to w in the configured format, from the configured level on.
func Logger(c config.Log, w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.Level, ReplaceAttr: spelled}
	if c.Format == config.PlainText {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// spelled writes a span of time as people do, 1.5s: JSON would have it as a bare number of nanoseconds.
func spelled(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// Broker says how to reach an external NATS server. name is shown in the server's list of connections.
func Broker(n config.NATS, name string, log *slog.Logger, reg prometheus.Registerer) stream.Options {
	o := stream.Options{
		URL: n.URL, Context: n.Context, Name: name,
		Creds: n.Creds, NKey: n.Nkey, TLSCA: n.TLS.CA, TLSCert: n.TLS.Cert, TLSKey: n.TLS.Key,
		Wait: connectWait, Durability: stream.Always, AssertDurable: n.AssertDurable,
		Log: log, Metrics: reg,
	}
	for url := range strings.SplitSeq(n.Monitor, ",") {
		if url = strings.TrimSpace(url); url != "" {
			o.Monitor = append(o.Monitor, url)
		}
	}
	return o
}

// Exit codes of the processes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// misconfigured is a wrong call or configuration: trying again does not help.
type misconfigured struct{ error }

func (m misconfigured) Unwrap() error { return m.error }

// Misconfigured marks an error as one that only a changed call or configuration mends.
func Misconfigured(err error) error { return misconfigured{err} }

// Flags takes a command line that has no flags but -help, which prints the settings that spec describes (a pointer to
// one of config's structs).
func Flags(name string, args []string, w io.Writer, spec any) error {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(w)
	set.Usage = func() {
		_, _ = fmt.Fprintf(w, "usage: %s\n\nSettings come from the environment:\n\n", name)
		_ = config.Usage(w, spec)
	}
	err := set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return Misconfigured(err)
	case set.NArg() > 0:
		return Misconfigured(fmt.Errorf("unexpected argument %q: %s takes none", set.Arg(0), name))
	}
	return nil
}

// ExitCode shows the error of a process on w, once, and gives what the process exits with.
func ExitCode(w io.Writer, name string, err error) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	_, _ = fmt.Fprintf(w, "%s: %v\n", name, err)
	if _, ok := errors.AsType[misconfigured](err); ok {
		return exitUsage
	}
	return exitFailed
}

// Close ends the connection to the broker at the end of a process. A broker that does not take the last of it in time is
// told in the log and nothing else: whatever it did not hear is repeated by who comes next, and the stop is an orderly
// one.
func Close(ctx context.Context, bus *stream.Bus, log *slog.Logger) {
	if err := bus.Close(context.WithoutCancel(ctx)); err != nil {
		log.WarnContext(ctx, "stopped without the broker", "error", err)
	}
}

// BrokerCheck is the readiness of the broker: connected, with room, streams there, disk trusted. A clock that differs from the
// broker's is shown and keeps nobody from being ready: nobody knows which of the two is wrong. So is that accepted events have
// nearly filled their room.
func BrokerCheck(bus *stream.Bus) admin.Check {
	return admin.Check{Name: "broker", Run: bus.Ready, Notes: func() string {
		said := "durability " + string(bus.Durability())
		if off := bus.ClockOff().Round(time.Second); off > 0 {
			said += fmt.Sprintf("; this clock is %s ahead of the broker's: set one of the two right", off)
		} else if off < 0 {
			said += fmt.Sprintf("; this clock is %s behind the broker's: set one of the two right", -off)
		}
		if filling := bus.Filling(); filling != "" {
			said += "; " + filling
		}
		return said
	}}
}
