package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"keyturn/internal/config"
	"keyturn/internal/stream/embedded"
)

// checkResult is what `keyturn store check --json` prints.
type checkResult struct {
	Store string `json:"store"`
	Sound bool   `json:"sound"`
	embedded.Report
}

// newStoreCmd makes `keyturn store` and its commands.
func newStoreCmd(a *app) *cobra.Command {
	group := &cobra.Command{Use: "store", Short: "Look after the store of a broker on this machine", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	group.AddCommand(&cobra.Command{
		Use:   "check",
		Short: "Read everything in the store from its disk; needed after a failed durability barrier",
		Long: `Read every message of the store as its disk holds it, while no broker runs over it, and check its hash, and that
all files are there that a clean stop left: a copy of a store may have been cut off. A sound store may start again
after a failed durability barrier: what that lost, or tore off at the end, was never answered as stored, and its
senders repeat it. Exit code 1 for a damaged store: restore it from a backup, or make the copy anew.`,
		Example: "  keyturn store check --store /var/lib/keyturn",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := config.ToolFromEnv()
			if err != nil {
				return err
			}
			dir := cmp.Or(a.place.store, settings.Store)
			rep, err := embedded.Check(cmd.Context(), dir)
			if err != nil && !errors.Is(err, embedded.ErrDamaged) {
				return err
			}
			res := checkResult{Store: dir, Sound: err == nil, Report: rep}
			return cmp.Or(a.print(res, func(s *screen) { s.storeCheck(res) }), err)
		},
	})
	return group
}

// storeCheck tells what each stream holds.
func (s *screen) storeCheck(res checkResult) {
	var rows [][]any
	for _, st := range res.Streams {
		state := s.paint(green, "sound")
		if st.Damaged > 0 {
			state = s.paint(red, "damaged")
		}
		rows = append(rows, []any{st.Name, st.Messages, st.Last, st.Damaged, st.Torn, state})
	}
	s.table([]string{"STREAM", "MESSAGES", "NEWEST", "DAMAGED", "TORN BYTES", "STATE"}, rows)
	for _, m := range res.Differs {
		_, _ = fmt.Fprintln(s, clean(m))
	}
	if res.Unknown {
		_, _ = fmt.Fprintln(s, "nothing says which files it must have: a stop leaves a list of them, and a kill, or a build of before there was one, does not")
	}
	if res.Failed != "" {
		_, _ = fmt.Fprintf(s, "the last barrier failed: %s\n", clean(res.Failed))
	}
	if res.Unclean {
		_, _ = fmt.Fprintln(s, "the last stop was not clean")
	}
}
