package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"keyturn/internal/config"
	"keyturn/internal/playtest"
	"keyturn/internal/worker"
)

// tested is what `keyturn config test --json` prints.
type tested struct {
	Dir      string    `json:"dir"`
	Passed   bool      `json:"passed"`
	Tests    []testRow `json:"tests"`
	Coverage float64   `json:"coverage"` // part of the rules that a test has tried, in percent
	Rules    []ruleRow `json:"rules"`
}

type testRow struct {
	Name   string     `json:"name"`
	File   string     `json:"file"`
	Line   int        `json:"line"`
	Passed bool       `json:"passed"`
	Faults []faultRow `json:"faults,omitempty"`
	Diff   []string   `json:"diff,omitempty"` // expected (-) and planned (+) actions
}

type ruleRow struct {
	What  string `json:"what"`
	File  string `json:"file"`
	Line  int    `json:"line"`
	Tried bool   `json:"tried"`
	Idle  string `json:"idle,omitempty"` // why no test can try it; such a rule does not count
}

// newConfigTestCmd makes `keyturn config test`.
func newConfigTestCmd(a *app) *cobra.Command {
	var least float64
	cmd := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Run the tests of the playbooks: what must become of which event",
		Long: `Plan every event of playbooks_test.yaml in DIR with the playbooks beside it, and compare the actions, holds and
refusals with what the test expects. Nothing is sent and no provider is called; neither a broker nor a secret is needed.
It says as well which playbooks, conditions and guards no test has tried. Exit code 1 when a test does not hold, or
when less than --min-coverage percent of the rules were tried.`,
		Example: "  keyturn config test deploy/config --min-coverage 100",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().Float64Var(&least, "min-coverage", 0, "least part of the rules that must be tried, in `percent`")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		dir, err := a.configDir(args)
		if err != nil {
			return err
		}
		report, err := runTests(dir)
		if err != nil {
			return err
		}
		t := rowsOf(dir, report)
		if err := a.print(t, func(s *screen) { s.configTest(t, report) }); err != nil {
			return err
		}
		switch failed := report.Failed(); {
		case failed > 0:
			return fmt.Errorf("playbooks %s: %s of %d failed", dir, plural(failed, "test"), len(report.Tests))
		case report.Coverage() < least:
			return fmt.Errorf("playbooks %s: %.1f %% of the rules were tried, less than %v", dir, report.Coverage(), least)
		}
		return nil
	}
	return cmd
}

// runTests reads the configuration and its tests, and runs them. Every fault of either is one error.
func runTests(dir string) (playtest.Report, error) {
	refs := config.Resolver{Unresolved: func(config.Fault) {}} // a plan needs no secret
	files, ferr := config.Read(dir, refs)
	tests, terr := config.ReadPlaybookTests(dir, refs)
	_, perr := worker.Playbooks(files.Playbooks)
	if err := config.Join(ferr, terr, perr); err != nil {
		return playtest.Report{}, err
	}
	return playtest.Run(files.Playbooks, worker.Kinds(), tests)
}

func rowsOf(dir string, r playtest.Report) tested {
	t := tested{Dir: dir, Passed: r.Failed() == 0, Coverage: r.Coverage(), Tests: []testRow{}, Rules: []ruleRow{}}
	for _, one := range r.Tests {
		row := testRow{Name: one.Name, File: one.At.File, Line: one.At.Line, Passed: len(one.Fault) == 0, Diff: one.Diff}
		for _, f := range one.Fault {
			row.Faults = append(row.Faults, rowOf(f))
		}
		t.Tests = append(t.Tests, row)
	}
	for _, rule := range r.Rules {
		t.Rules = append(t.Rules, ruleRow{What: rule.What, File: rule.At.File, Line: rule.At.Line, Tried: rule.Tried, Idle: rule.Idle})
	}
	return t
}

// configTest tells which tests failed and how, and what no test has tried.
func (s *screen) configTest(t tested, r playtest.Report) {
	for _, one := range t.Tests {
		if one.Passed {
			continue
		}
		_, _ = fmt.Fprintf(s, "%s %s\n", s.paint(red, "FAIL"), clean(one.Name))
		s.faultLines(one.Faults)
		for _, line := range one.Diff {
			_, _ = fmt.Fprintf(s, "    %s\n", clean(line))
		}
	}
	for _, rule := range t.Rules {
		switch {
		case rule.Idle != "":
			_, _ = fmt.Fprintf(s, "cannot be tried: %s:%d: %s: %s\n", clean(rule.File), rule.Line, clean(rule.What), clean(rule.Idle))
		case !rule.Tried:
			_, _ = fmt.Fprintf(s, "never tried: %s:%d: %s\n", clean(rule.File), rule.Line, clean(rule.What))
		}
	}
	verdict := s.paint(green, "passed")
	if !t.Passed {
		verdict = s.paint(red, plural(r.Failed(), "test")+" failed")
	}
	rules, tried := r.Counts()
	_, _ = fmt.Fprintf(s, "%s: %s, %d of %s tried (%.1f %%): %s\n", clean(t.Dir), plural(len(t.Tests), "test"), tried, plural(rules, "rule"),
		t.Coverage, verdict)
}
