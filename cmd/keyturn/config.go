package main

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"keyturn/internal/config"
)

// newConfigCmd makes `keyturn config` and its commands.
func newConfigCmd(a *app) *cobra.Command {
	group := &cobra.Command{Use: "config", Short: "Check a configuration, and test its playbooks", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	group.AddCommand(newConfigCheckCmd(a), newConfigTestCmd(a))
	return group
}

// configDir is the directory that is meant: the argument, else KEYTURN_CONFIG_DIR, else where keyturn dev writes its
// sample.
func (a *app) configDir(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	settings, err := config.ToolFromEnv()
	if err != nil {
		return "", err
	}
	return cmp.Or(settings.ConfigDir, filepath.Join(cmp.Or(a.place.store, settings.Store), "config")), nil
}

// faultRow is a fault as --json prints it.
type faultRow struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Path   string `json:"path,omitempty"` // in the document: playbooks[0].actions[1].do
	What   string `json:"what"`
}

func rowOf(f config.Fault) faultRow {
	return faultRow{File: f.File, Line: f.Line, Column: f.Column, Path: f.Path, What: f.What}
}

func (r faultRow) String() string {
	at := config.Position{File: r.File, Line: r.Line, Column: r.Column, Path: r.Path}
	return config.Fault{Position: at, What: r.What}.String()
}

// faultLines writes faults as an editor or a person follows them, one a line.
func (s *screen) faultLines(list []faultRow) {
	for _, f := range list {
		_, _ = fmt.Fprintln(s, clean(f.String()))
	}
}
