package main

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/stream"
)

// app is what every command works with: the process's surroundings and the flags that all commands share.
type app struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time
	zone     *time.Location

	asJSON  bool
	as      string
	place   place
	bus     *stream.Bus // of the last session; nil = none yet
	started bool        // the command line was right, the command itself began (a command must not have a PersistentPreRun of its own)
}

// The headings of the help text.
const (
	groupRun  = "run"
	groupLook = "look"
	groupAct  = "act"
	groupKeep = "keep"
)

// newRootCmd builds the command line.
func newRootCmd(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "keyturn",
		Short: "Turn HR, security and app events into access changes, and prove that each one is done",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// run shows errors; a usage text in front of an error hides it.
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun: func(*cobra.Command, []string) { a.started = true },
	}
	root.AddGroup(&cobra.Group{ID: groupRun, Title: "Run:"}, &cobra.Group{ID: groupLook, Title: "See what became of an event:"},
		&cobra.Group{ID: groupAct, Title: "Decide:"}, &cobra.Group{ID: groupKeep, Title: "Check:"})
	flags := root.PersistentFlags()
	flags.BoolVar(&a.asJSON, "json", false, "print the answer as JSON")
	flags.StringVar(&a.as, "as", "", "who acts, in the ledger (default user@host)")
	a.place.flags(flags)
	for group, list := range commands(a) {
		for _, cmd := range list {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	return root
}

// commands is every command under its heading: a new one is added here and nowhere else.
func commands(a *app) map[string][]*cobra.Command {
	return map[string][]*cobra.Command{
		groupRun:  {newDemoCmd(a), newDevCmd(a), newServeCmd(a), newSendCmd(a)},
		groupLook: {newCaseCmd(a), newCasesCmd(a), newPersonCmd(a), newGetCmd(a)},
		groupAct:  {newHoldsCmd(a), newDeadCmd(a), newCancelCmd(a), newPauseCmd(a), newResumeCmd(a), newPausesCmd(a)},
		groupKeep: {newConfigCmd(a), newPlanCmd(a), newReplayCmd(a), newSourceCmd(a), newConnectionCmd(a), newLanesCmd(a), newStoreCmd(a), newAuditCmd(a), newVersionCmd(a)},
	}
}

// actor is who acts: --as, else the user of this machine.
func (a *app) actor() string {
	if a.as != "" {
		return a.as
	}
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}

// note writes a message for the person at the terminal.
func (a *app) note(format string, args ...any) {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = clean(text)
		}
	}
	_, _ = fmt.Fprintf(a.err, "%s\n", cleanLines(fmt.Sprintf(format, args...)))
}
