package main

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
	"keyturn/internal/ingest/presets"
	"keyturn/internal/rehearsal"
)

// newSourceCmd makes `keyturn source` and its commands.
func newSourceCmd(a *app) *cobra.Command {
	group := &cobra.Command{Use: "source", Short: "See, test and try how senders are verified and mapped to events", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	group.AddCommand(newSourceListCmd(a), newSourceShowCmd(a), newSourceTestCmd(a), newSourceTryCmd(a))
	return group
}

// sourceRow is a preset or a configured source.
type sourceRow struct {
	Name     string            `json:"name"`
	Preset   string            `json:"preset,omitempty"` // of a configured source
	About    string            `json:"about,omitempty"`
	Proof    string            `json:"proof"` // the kind of its verifier
	Words    map[string]string `json:"words,omitempty"`
	Facts    []config.Fact     `json:"facts,omitempty"`
	Endpoint string            `json:"endpoint,omitempty"`
}

// presetRow reads a preset as its own test cases configure it.
func presetRow(name string) (sourceRow, error) {
	c, err := sampleOf(name)
	if err != nil {
		return sourceRow{}, err
	}
	row := rowOfSource(c)
	row.Name, row.Preset, row.Endpoint = name, "", ""
	return row, nil
}

// sampleOf is the first source of the test cases of a preset. Its secrets are samples.
func sampleOf(preset string) (config.Source, error) {
	list, err := config.ReadSources("testdata/"+preset, config.Samples(func(name string) ([]byte, error) { return fs.ReadFile(presets.FS, name) }))
	if err != nil || len(list) == 0 {
		return config.Source{}, fmt.Errorf("preset %s: %w", preset, err)
	}
	return list[0], nil
}

func rowOfSource(c config.Source) sourceRow {
	row := sourceRow{Name: c.Name, Preset: c.Preset, About: c.About, Proof: c.Verify.Kind(), Facts: c.Facts, Endpoint: "/hooks/" + c.Name}
	if c.Mapping == nil {
		return row
	}
	row.Words = map[string]string{}
	for _, r := range c.Mapping.Rows {
		row.Words[r.Word] = r.Event.Value
	}
	return row
}

// sourceLists is what `keyturn source list --json` prints.
type sourceLists struct {
	Presets    []sourceRow `json:"presets"`
	Configured []sourceRow `json:"configured"`
}

func newSourceListCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the presets, and the sources of sources.yaml", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var lists sourceLists
			for _, name := range config.Presets() {
				row, err := presetRow(name)
				if err != nil {
					return err
				}
				lists.Presets = append(lists.Presets, row)
			}
			list, dir, err := a.configured()
			switch {
			case err != nil && len(list) > 0:
				a.note("%s cannot be loaded as it is; what follows is what can be read of it: %v", config.SourcesFile, err)
			case err != nil && dir == "":
				a.note("no sources are configured: %v", err)
			case err != nil:
				a.note("the sources of %s cannot be read: %v", dir, err)
			}
			for _, c := range list {
				lists.Configured = append(lists.Configured, rowOfSource(c))
			}
			return a.print(lists, func(s *screen) { s.sources(lists) })
		},
	}
}

// configured reads sources.yaml without its secrets, and says from where.
func (a *app) configured() (config.Sources, string, error) {
	dir, err := a.configDir(nil)
	if err != nil {
		return nil, "", err
	}
	list, err := config.ReadSources(dir, config.Samples(nil))
	return list, dir, err
}

func (s *screen) sources(lists sourceLists) {
	var rows [][]any
	for _, r := range lists.Presets {
		rows = append(rows, []any{r.Name, r.Proof, r.About})
	}
	s.table([]string{"PRESET", "PROOF", "WHAT"}, rows)
	if len(lists.Configured) == 0 {
		return
	}
	s.WriteString("\n")
	rows = nil
	for _, r := range lists.Configured {
		rows = append(rows, []any{r.Name, r.Preset, r.Proof, r.Endpoint})
	}
	s.table([]string{"SOURCE", "PRESET", "PROOF", "ENDPOINT"}, rows)
}

func newSourceShowCmd(a *app) *cobra.Command {
	asFile := false
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a preset or a source: what is known of the sender, and which of its words are events", Args: cobra.ExactArgs(1),
		Example: "  keyturn source show bamboohr\n  keyturn source show bamboohr --yaml",
	}
	cmd.Flags().BoolVar(&asFile, "yaml", false, "print the file of the preset, to begin one of your own with")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if asFile {
			b, err := fs.ReadFile(presets.FS, args[0]+".yaml")
			if err != nil {
				return notFound(fmt.Errorf("preset %s: there is none; keyturn source list shows them", args[0]))
			}
			_, err = a.out.Write(b)
			return err
		}
		row, err := a.sourceRow(args[0])
		if err != nil {
			return err
		}
		return a.print(row, func(s *screen) { s.source(row) })
	}
	return cmd
}

// sourceRow finds a configured source, or a preset.
func (a *app) sourceRow(name string) (sourceRow, error) {
	list, _, cerr := a.configured()
	if c, ok := list.Find(name); ok {
		return rowOfSource(c), nil
	}
	if slices.Contains(config.Presets(), name) {
		return presetRow(name)
	}
	if cerr != nil {
		return sourceRow{}, cerr
	}
	return sourceRow{}, notFound(fmt.Errorf("source %s: there is neither a source nor a preset of that name; keyturn source list shows them", name))
}

func (s *screen) source(r sourceRow) {
	s.line("name", "%s", r.Name)
	if r.Preset != "" {
		s.line("preset", "%s", r.Preset)
	}
	s.line("what", "%s", r.About)
	s.line("proof", "%s", r.Proof)
	if r.Endpoint != "" {
		s.line("endpoint", "POST %s", r.Endpoint)
	}
	for _, f := range r.Facts {
		known := "confirmed"
		if !f.Confirmed {
			known = "NOT confirmed"
		}
		s.line("fact", "%s (%s: %s)", f.Fact, known, f.From)
	}
	var words []string
	for w := range r.Words {
		words = append(words, w)
	}
	slices.Sort(words)
	for _, w := range words {
		s.line("word", "%s = %s", w, r.Words[w])
	}
}

// suiteRow is what `keyturn source test --json` prints of a case.
type suiteRow struct {
	Case   string   `json:"case"`
	Passed bool     `json:"passed"`
	Diff   []string `json:"diff,omitempty"`
}

func newSourceTestCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "test [NAME]", Short: "Play the cases of presets, and those beside sources.yaml",
		Long: `Play every case of a preset, of a source of sources.yaml (DIR/testdata/NAME/*.txt), or of all of them, and compare
what it gives with what it says. Secrets are samples; nothing is stored and nobody is called.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			suites, err := a.suites(strings.Join(args, ""))
			if err != nil {
				return err
			}
			rows, failed := []suiteRow{}, 0
			for _, suite := range suites {
				for _, file := range suite.Files() {
					row := suiteRow{Case: file}
					c, o, err := suite.Play(suite.Cases[file])
					switch row.Passed = err == nil && c.Matches(o); {
					case err != nil:
						row.Diff = strings.Split(err.Error(), "\n")
					case !row.Passed:
						row.Diff = rehearsal.Diff(c.Want(), o.String())
					}
					if !row.Passed {
						failed++
					}
					rows = append(rows, row)
				}
			}
			if err := a.print(rows, func(s *screen) { s.suites(rows) }); err != nil {
				return err
			}
			if failed > 0 {
				return fmt.Errorf("%s of %d failed", plural(failed, "case"), len(rows))
			}
			return nil
		},
	}
}

// suites finds the cases of a name; an empty one is all.
func (a *app) suites(name string) ([]rehearsal.Suite, error) {
	var suites []rehearsal.Suite
	for _, preset := range config.Presets() {
		if name != "" && name != preset {
			continue
		}
		suite, err := rehearsal.Load(presets.FS, "testdata/"+preset)
		if err != nil {
			return nil, err
		}
		suites = append(suites, suite)
	}
	list, dir, err := a.configured()
	for _, c := range list {
		if name != "" && name != c.Name {
			continue
		}
		suite, err := rehearsal.LoadSource(dir, ingest.Configured(c))
		if err != nil {
			return nil, err
		}
		suites = append(suites, suite)
	}
	if len(suites) == 0 && err != nil {
		return nil, err
	}
	if len(suites) == 0 {
		return nil, notFound(fmt.Errorf("source %s: there is neither a source nor a preset of that name; keyturn source list shows them", name))
	}
	return suites, nil
}

func (s *screen) suites(rows []suiteRow) {
	for _, r := range rows {
		if r.Passed {
			continue
		}
		_, _ = fmt.Fprintf(s, "%s %s\n", s.paint(red, "FAIL"), clean(r.Case))
		for _, line := range r.Diff {
			_, _ = fmt.Fprintf(s, "    %s\n", clean(line))
		}
	}
	_, _ = fmt.Fprintln(s, plural(len(rows), "case"))
}
