// Command keyturn is the one tool of Keyturn: it runs the whole of it on one machine, sends events, shows what became
// of them, and lets a person decide where a person is needed.
//
// Its contract with scripts: data goes to standard output, messages to standard error; --json gives every answer in
// the stable forms of internal/view; the exit code is 0 for done, 1 for failed, 2 for a wrong call, 3 for something
// that is not there, 4 for a broker or an intake that cannot be reached, 5 for a comparison that shows a difference. It never holds a provider's credential:
// what it changes, it changes by commands that the worker carries out.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"keyturn/internal/process"
)

// version is set when a release is built.
var version = "dev"

func main() {
	ctx, stop := process.Context()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(exitCode(err))
}

// run executes one command line. The error, if any, was shown on stderr already; exitCode tells what it is worth.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	a := &app{in: stdin, out: stdout, err: stderr, now: time.Now, zone: time.Local}
	root := newRootCmd(a)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return nil
	}
	if !a.started {
		// Nothing ran: the command line itself is wrong.
		err = usage(err)
	}
	if a.bus != nil && exitCode(err) == exitUnavailable {
		err = a.bus.Explain(err) // "away" sends whoever lacks a right to look at the servers
	}
	_, _ = fmt.Fprintf(stderr, "keyturn: %s\n", cleanLines(err.Error()))
	if exitCode(err) == exitUsage {
		_, _ = fmt.Fprintf(stderr, "see %s --help\n", cmd.CommandPath())
	}
	return err
}
