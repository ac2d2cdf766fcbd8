package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
	"keyturn/internal/worker"
)

// checked is what `keyturn config check --json` prints.
type checked struct {
	Dir        string     `json:"dir"`
	Sound      bool       `json:"sound"` // no fault; warnings do not count
	Sources    int        `json:"sources"`
	Connected  int        `json:"connections"`
	Playbooks  int        `json:"playbooks"`
	Faults     []faultRow `json:"faults"`
	Warnings   []faultRow `json:"warnings,omitempty"`   // guards that guard less than it seems
	Unresolved []faultRow `json:"unresolved,omitempty"` // references to secrets that are not on this machine
	Renamed    renamed    `json:"renamed"`
}

// renamed is what became of the names of steps since the last plans in the ledger.
type renamed struct {
	Checked bool      `json:"checked"`
	Why     string    `json:"why,omitempty"` // why not
	Since   time.Time `json:"since,omitzero"`
	Steps   []stepRow `json:"steps,omitempty"`
}

// stepRow is a step of an older plan that the playbooks do not have as it was.
type stepRow struct {
	faultRow
	Playbook string `json:"playbook"`
	Step     string `json:"step"`
	Was      string `json:"was"`           // what it did: "okta.suspend_user at okta-prod"
	Is       string `json:"is,omitempty"`  // what the step of that name does now
	Now      string `json:"now,omitempty"` // what it is probably called now, "playbook/step"
	Case     string `json:"case"`          // the last case that had it
}

// newConfigCheckCmd makes `keyturn config check`.
func newConfigCheckCmd(a *app) *cobra.Command {
	var secrets, strict bool
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "Say everything that is wrong with a configuration, in all its files at once",
		Long: `Read sources.yaml, connections.yaml and playbooks.yaml in DIR (default KEYTURN_CONFIG_DIR, else <store>/config) and
report every fault as file:line:column: path: what, and what to do. Nothing is changed and no provider is called.

References to secrets that this machine does not have are no faults, unless --secrets says that they should be here.
Guards that nothing can reach are warnings. Where a broker can be reached, steps that the last plans in the ledger have
under other names are told as warnings: the names of playbooks and steps make the ids of actions. Exit code 0 for a sound
configuration, 1 for one with faults (with --strict also for warnings).`,
		Example: "  keyturn config check deploy/config",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVar(&secrets, "secrets", false, "a reference without a value is a fault: for the machine that runs with it")
	cmd.Flags().BoolVar(&strict, "strict", false, "exit 1 for warnings too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir, err := a.configDir(args)
		if err != nil {
			return err
		}
		c, books := check(dir, secrets)
		c.Renamed = renamed{Why: "there are faults"} // of what is faulty nobody knows which steps it has
		if c.Sound {
			c.Renamed = a.renamed(cmd.Context(), books, filepath.Join(dir, config.PlaybooksFile))
		}
		if err := a.print(c, func(s *screen) { s.configCheck(c) }); err != nil {
			return err
		}
		switch warnings := len(c.Warnings) + len(c.Renamed.Steps); {
		case !c.Sound:
			return fmt.Errorf("configuration %s: %s", dir, plural(len(c.Faults), "fault"))
		case strict && warnings > 0:
			return fmt.Errorf("configuration %s: %s", dir, plural(warnings, "warning"))
		}
		return nil
	}
	return cmd
}

// check reads everything that a configuration consists of, as those who run with it do.
func check(dir string, secrets bool) (checked, config.Playbooks) {
	c := checked{Dir: dir, Faults: []faultRow{}}
	refs := config.Resolver{}
	if !secrets {
		refs.Unresolved = func(f config.Fault) { c.Unresolved = append(c.Unresolved, rowOf(f)) }
	}
	sources, serr := config.ReadSources(dir, refs)
	switch {
	case serr != nil: // what could be read is looked at all the same
		serr = config.Join(serr, ingest.CheckMappings(sources))
	case len(c.Unresolved) == 0:
		_, serr = ingest.NewSources(sources)
	default:
		serr = ingest.CheckMappings(sources) // a proof cannot be made without its secrets
	}
	files, ferr := config.Read(dir, refs)
	_, perr := worker.Playbooks(files.Playbooks)
	c.Sources, c.Connected, c.Playbooks = len(sources), len(files.Connections), len(files.Playbooks.List)
	var faults config.Faults
	var gerr error
	if len(sources) > 0 {
		gerr = files.Playbooks.Guards.CheckScopes(sources)
	}
	for _, err := range []error{serr, ferr, perr, gerr} {
		var some config.Faults
		switch {
		case errors.As(err, &some):
			faults = append(faults, some...)
		case err != nil:
			faults = append(faults, config.Fault{Position: config.Position{File: dir}, What: err.Error()})
		}
	}
	var sorted config.Faults
	if errors.As(faults.Err(), &sorted) {
		for _, f := range sorted {
			c.Faults = append(c.Faults, rowOf(f))
		}
	}
	if c.Sound = len(c.Faults) == 0; c.Sound { // of what is faulty nobody knows what it would reach
		for _, f := range playbook.Warnings(files.Playbooks, sources) {
			c.Warnings = append(c.Warnings, rowOf(f))
		}
	}
	return c, files.Playbooks
}

const (
	// olderPlans is how far back the last plan of a playbook is looked for.
	olderPlans = 30 * 24 * time.Hour
	// brokerPatience bounds that: a check must end where the broker does not answer.
	brokerPatience = 15 * time.Second
)

// renamed compares the playbooks with the plans of the ledger.
func (a *app) renamed(ctx context.Context, books config.Playbooks, file string) renamed {
	ctx, cancel := context.WithTimeout(ctx, brokerPatience)
	defer cancel()
	r := renamed{Since: a.now().Add(-olderPlans).UTC()}
	last, err := a.lastPlans(ctx, r.Since)
	if err != nil {
		r.Why = err.Error()
		return r
	}
	r.Checked = true
	for _, ch := range playbook.Changed(books, file, last) {
		f := config.Fault{Position: ch.At, What: changeText(ch)}
		r.Steps = append(r.Steps, stepRow{faultRow: rowOf(f), Playbook: ch.Playbook, Step: ch.Step, Was: ch.Was, Is: ch.Is, Now: ch.Now, Case: ch.Case})
	}
	return r
}

// lastPlans reads what the last plans in the ledger know of each playbook.
func (a *app) lastPlans(ctx context.Context, since time.Time) (playbook.Last, error) {
	s, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	last := playbook.Last{}
	err = s.ledger.Range(ctx, ledger.AllPlans(), since, func(rec ledger.Record) error {
		if d, err := planner.Decode(rec); err == nil { // one that cannot be read is for `keyturn audit verify` to tell
			last.Take(d.Plan)
		}
		return nil
	})
	return last, err
}

// changeText says what became of a step, and what that means.
func changeText(c playbook.Change) string {
	name := fmt.Sprintf("step %s/%s of the last plan (case %s: %s)", c.Playbook, c.Step, c.Case, c.Was)
	const means = "the names make the ids of actions, so that what is planned from now on is another action than before"
	switch {
	case c.Is != "":
		return name + " is " + c.Is + " now: give it another name, unless it means the same"
	case c.Now != "":
		return name + " is gone; is it " + c.Now + " now? Then keep its name: " + means
	}
	return name + " is gone: events that wait for their day will be planned without it"
}

// configCheck tells what was found.
func (s *screen) configCheck(c checked) {
	s.faultLines(c.Faults)
	for _, w := range c.Warnings {
		_, _ = fmt.Fprintf(s, "%s: %s\n", s.paint(yellow, "warning"), clean(w.String()))
	}
	for _, st := range c.Renamed.Steps {
		_, _ = fmt.Fprintf(s, "%s: %s\n", s.paint(yellow, "warning"), clean(st.String()))
	}
	for _, f := range c.Unresolved {
		_, _ = fmt.Fprintf(s, "not here: %s\n", clean(f.String()))
	}
	if !c.Renamed.Checked && c.Sound {
		_, _ = fmt.Fprintf(s, "not checked: whether steps were renamed since the last plan: %s\n", clean(c.Renamed.Why))
	}
	if c.Sound {
		_, _ = fmt.Fprintf(s, "%s: %s, %s, %s: %s\n", clean(c.Dir), plural(c.Sources, "source"), plural(c.Connected, "connection"),
			plural(c.Playbooks, "playbook"), s.paint(green, "sound"))
	}
}
