package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/events"
	"keyturn/internal/ingest"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/rehearsal"
	"keyturn/internal/replay"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
	"keyturn/internal/worker"
)

// planFlags are the flags of `keyturn plan`.
type planFlags struct {
	file, caseID, source, dir string
	observe, diff             bool
}

// newPlanCmd makes `keyturn plan`.
func newPlanCmd(a *app) *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan (--file EVENT | --case ID) [--playbooks DIR] [--observe] [--diff]",
		Short: "Show what playbooks would do with an event, and do nothing",
		Long: `Show the actions that playbooks and guards would make of an event: whether they would go out, be held, refused or
scheduled, and why. Nothing is sent, stored or changed.

The event comes from a file (- for standard input; the forms that keyturn send takes), or from a case of the ledger. The
playbooks are those in force, as a worker tells them, or those in DIR, which needs no broker and no secrets. Brakes are
named with what they allow; how many have passed already is not counted. Of what is scheduled it shows as well what these
playbooks will make of it when it is due; of what is paused now, until when, where a broker is asked.

With --observe the worker that holds each lane looks what the action would change at the provider now, and the calls are
listed; nothing is changed. With --diff the plan is compared with that of the playbooks in force.

Exit code 0 for a plan, also one without actions; 5 when --diff shows a difference; 1 when the playbooks cannot be applied
to the event, or when an action could not be looked at.`,
		Example: "  keyturn plan -f leaver.json --playbooks deploy/config\n  keyturn plan --case qdfwqpxehbd2 --observe",
		Args:    cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "file", "f", "", "`file` with an event in JSON; - for standard input")
	flags.StringVar(&f.caseID, "case", "", "`id` of a case whose event is planned anew")
	flags.StringVar(&f.source, "source", "rehearsal", "`name` of the source that the event of --file would come from, where guards tell by it")
	flags.StringVar(&f.dir, "playbooks", "", "`directory` with playbooks.yaml (default: the playbooks in force)")
	flags.BoolVar(&f.observe, "observe", false, "list the calls that each action would make at its provider now")
	flags.BoolVar(&f.diff, "diff", false, "compare with the playbooks in force")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case (f.file == "") == (f.caseID == ""):
			return usage(errors.New("plan: say --file EVENT or --case ID"))
		case f.diff && f.dir == "":
			return usage(errors.New("plan: --diff compares with the playbooks in force: say --playbooks DIR"))
		}
		return a.plan(cmd.Context(), f)
	}
	return cmd
}

// rehearsed is what `keyturn plan --json` prints.
type rehearsed struct {
	Event       string       `json:"event"`
	Case        string       `json:"case"`
	Principal   string       `json:"principal"`
	Class       events.Class `json:"class"`
	EffectiveAt time.Time    `json:"effective_at,omitzero"`
	From        string       `json:"from"`   // whose playbooks
	Config      string       `json:"config"` // the version of their file
	fate
	Paused    []string          `json:"paused,omitempty"` // what of it stands still now on an operator's word, for a person
	Playbooks []string          `json:"playbooks"`        // those that match
	Actions   []rehearsedAction `json:"actions"`
	DryRuns   []events.DryRun   `json:"dry_runs,omitempty"`
	Diff      *rehearsedDiff    `json:"diff,omitempty"`
}

// rehearsedAction is an action that would be made.
type rehearsedAction struct {
	events.Action
	Observed *worker.Observed `json:"observed,omitempty"`
	Fault    string           `json:"fault,omitempty"`      // why it could not be looked at
	Advice   string           `json:"suggestion,omitempty"` // what to do about that
}

// rehearsedDiff is what the playbooks in force make of the same event.
type rehearsedDiff struct {
	From   string `json:"from"`
	Config string `json:"config"`
	fate
	Changes []replay.Change `json:"changes"`
	Same    bool            `json:"same"`
}

// plan rehearses one event.
func (a *app) plan(ctx context.Context, f planFlags) error {
	var s *session
	if f.dir == "" || f.caseID != "" || f.observe || f.diff {
		var err error
		if s, err = a.connect(ctx); err != nil {
			return err
		}
		defer s.close()
	}
	e, err := a.eventOf(ctx, s, f)
	if err != nil {
		return err
	}
	given, err := a.rulesOf(ctx, s, f.dir)
	if err != nil {
		return err
	}
	judged, what := fateOf(given, e, a.now())
	r := rehearse(e, given, judged, what)
	if s != nil {
		if r.Paused, err = s.paused(ctx, judged.Plan, a.now()); err != nil {
			return err
		}
	}
	if f.observe {
		a.observe(ctx, s, &r)
	}
	if f.diff {
		active, err := s.activeRules(ctx)
		if err != nil {
			return err
		}
		then, was := fateOf(active, e, a.now())
		r.compare(active, was, replay.Compare(then.Outcome, judged.Outcome))
	}
	if err := a.print(r, func(sc *screen) { sc.rehearsed(r) }); err != nil {
		return err
	}
	return r.verdict()
}

// rulesOf gives the playbooks of a directory, or without one those in force.
func (a *app) rulesOf(ctx context.Context, s *session, dir string) (rules, error) {
	if dir == "" {
		return s.activeRules(ctx)
	}
	return rulesIn(dir)
}

// rehearse puts what was judged into the form that is printed.
func rehearse(e events.Event, given rules, j replay.Judged, what fate) rehearsed {
	r := rehearsed{Event: e.Name(), Case: e.Case(), Principal: e.Subject, Class: cmp.Or(j.Plan.Class, e.Class), EffectiveAt: e.EffectiveAt,
		From: given.from, Config: given.Version(), fate: what, Playbooks: []string{}, Actions: []rehearsedAction{}, DryRuns: j.Plan.DryRuns}
	r.Playbooks = append(r.Playbooks, j.Plan.Playbooks...)
	for _, action := range j.Plan.Actions {
		r.Actions = append(r.Actions, rehearsedAction{Action: action})
	}
	return r
}

// compare adds what the playbooks in force make of the same event.
func (r *rehearsed) compare(active rules, then fate, changes []replay.Change) {
	d := &rehearsedDiff{From: active.from, Config: active.Version(), fate: then, Changes: []replay.Change{}}
	d.Changes = append(d.Changes, changes...)
	d.Same = len(d.Changes) == 0 && then.text() == r.text() && slices.Equal(then.Brakes, r.Brakes)
	r.Diff = d
}

// verdict is how the command ends.
func (r rehearsed) verdict() error {
	if r.State == replay.Faulty {
		return fmt.Errorf("plan: the playbooks cannot be applied to this event: %s", r.Why)
	}
	for _, action := range r.Actions {
		if action.Fault != "" {
			return fmt.Errorf("plan: %s could not be looked at: %s", action.Step, action.Fault)
		}
	}
	if r.Diff != nil && !r.Diff.Same {
		return differs(fmt.Errorf("plan: it differs from that of the playbooks in force (%s)", r.Diff.Config))
	}
	return nil
}

// eventOf gives the event that is meant.
func (a *app) eventOf(ctx context.Context, s *session, f planFlags) (events.Event, error) {
	if f.caseID != "" {
		return s.eventOfCase(ctx, f.caseID)
	}
	text, err := a.read(f.file)
	if err != nil {
		return events.Event{}, err
	}
	p, err := readPosted(text, a.now(), a.actor())
	if err != nil {
		return events.Event{}, fmt.Errorf("%s: %w", f.file, err)
	}
	spec := ingest.SourceSpec{Name: f.source, Preset: "cloudevents", Verify: ingest.VerifySpec{
		StandardWebhooks: &ingest.StandardWebhooksSpec{Secrets: []secret.Value{secret.New("whsec_cmVoZWFyc2FsIG5lZWRzIG5vIHNlY3JldA==")}}}}
	out, err := rehearsal.Run(spec, rehearsal.Case{Method: http.MethodPost, Path: "/hooks/" + f.source, At: a.now(),
		Header: http.Header{"Content-Type": {p.contentType}}, Body: p.body})
	switch {
	case err != nil:
		return events.Event{}, usage(fmt.Errorf("--source: %w", err))
	case out.Status != http.StatusAccepted:
		return events.Event{}, fmt.Errorf("%s: it would be refused: %d%s", f.file, out.Status, problem(out.Body))
	case len(out.Events) != 1:
		return events.Event{}, fmt.Errorf("%s: %s, and a plan is of one", f.file, plural(len(out.Events), "event"))
	}
	return out.Events[0], nil
}

// eventOfCase gives the event that a case began with.
func (s *session) eventOfCase(ctx context.Context, id string) (events.Event, error) {
	id, err := s.view.Resolve(ctx, id)
	if err != nil {
		return events.Event{}, err
	}
	rec, err := s.ledger.Last(ctx, ledger.PlanSubject(id))
	if err != nil {
		return events.Event{}, err
	}
	if rec.Seq == 0 {
		return events.Event{}, notFound(fmt.Errorf("case %s: it is not planned yet", id))
	}
	d, err := planner.Decode(rec)
	if err == nil && d.Event.Data == nil {
		err = fmt.Errorf("case %s: a newer event took it before it was planned, and the ledger has not what it said", id)
	}
	return d.Event, err
}

// observe asks what each action would change now.
func (a *app) observe(ctx context.Context, s *session, r *rehearsed) {
	for i := range r.Actions {
		action := &r.Actions[i]
		query, err := json.Marshal(worker.Observe{Action: action.Action, Actor: a.actor()})
		if err == nil {
			err = s.bus.Ask(ctx, stream.ReadObserve, action.Connection, query, func(page []byte) error {
				action.Observed = &worker.Observed{}
				return json.Unmarshal(page, action.Observed)
			})
		}
		var said *stream.ReadError
		switch {
		case err == nil:
		case errors.Is(err, stream.ErrNoHolder):
			action.Fault, action.Advice = action.Connection+": no worker holds this lane", "start keyturn serve, or a worker"
		case errors.As(err, &said):
			action.Fault, action.Advice = said.Message, said.Suggestion
		default:
			action.Fault = err.Error()
		}
	}
}
