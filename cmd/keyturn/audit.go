package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"keyturn/internal/ledger"
)

// auditResult is what `keyturn audit verify --json` prints.
type auditResult struct {
	Verified bool            `json:"verified"`
	Records  int             `json:"records"`
	Broken   []ledger.Broken `json:"broken"`
}

// newAuditCmd makes `keyturn audit` and its commands.
func newAuditCmd(a *app) *cobra.Command {
	group := &cobra.Command{Use: "audit", Short: "Prove that the ledger is what was written", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	group.AddCommand(&cobra.Command{
		Use:   "verify",
		Short: "Check every record of the ledger: its hash, its link to the one before, its state",
		Long: `Read the whole ledger and check of every record that its hash is right, that it follows the one before it, and
that its state may follow. Exit code 1 when one does not hold; each is named.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			n, broken, err := s.ledger.Verify(cmd.Context(), ledger.Everything())
			if err != nil {
				return err
			}
			return a.printAudit(auditResult{Verified: len(broken) == 0, Records: n, Broken: broken})
		},
	})
	return group
}

// printAudit prints the result, and makes an error of a broken chain.
func (a *app) printAudit(res auditResult) error {
	if res.Broken == nil {
		res.Broken = []ledger.Broken{}
	}
	err := a.print(res, func(s *screen) {
		if res.Verified {
			_, _ = fmt.Fprintf(s, "%s: every chain %s\n", plural(res.Records, "record"), s.paint(green, "verified"))
			return
		}
		var rows [][]any
		for _, b := range res.Broken {
			rows = append(rows, []any{b.Subject, b.Seq, b.Why})
		}
		s.table([]string{"SUBJECT", "RECORD", "WHAT IS WRONG"}, rows)
	})
	if err == nil && !res.Verified {
		err = fmt.Errorf("audit verify: %s of %d do not hold", plural(len(res.Broken), "record"), res.Records)
	}
	return err
}
