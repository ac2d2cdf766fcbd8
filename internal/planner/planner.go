// Package planner decides, once per event and before anything is done, what becomes of it: planned, scheduled for its
// effective time, held for a person, refused, superseded or cancelled. It works off operators' commands in the same
// way. Everything that it decides stands in the ledger, and what stands there is never decided again.
//
// A decision is a compare-and-swap on the plan's subject. Every handler begins by reading what is decided already and
// then repeats only what follows from it (publish, schedule, bury, move the case): a message may come any number of
// times, from any point of a crash, to any number of planners at once. Events of one person are ordered by their own
// time, not by arrival, through the person's order, which is a compare-and-swap too.
//
// The order of writes is the promise: the person's order → what older events of that person lose → the plan → barrier
// → what the plan publishes → the message is acknowledged behind another barrier.
//
// It knows no provider, and of the broker only what package stream offers: whoever runs it hands in where actions, due
// events and dead letters go.
package planner

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
)

// Queue is where actions go. Package stream implements it, as it does Timetable and Morgue.
type Queue interface {
	// PublishAction sends an action to its lane; repeating it is harmless.
	PublishAction(ctx context.Context, a events.Action) error
	// Barrier returns when everything that this process wrote is on disk.
	Barrier(ctx context.Context) error
}

// Timetable keeps events until they take effect.
type Timetable interface {
	// Schedule makes the event come back at its EffectiveAt; scheduling a case again replaces it.
	Schedule(ctx context.Context, e events.Event) error
	// Unschedule takes it back. Nothing scheduled is no error; a copy that came back already stays.
	Unschedule(ctx context.Context, caseID string) error
}

// Morgue keeps what cannot be done without a person.
type Morgue interface {
	// Bury keeps a dead letter; burying it again replaces it.
	Bury(ctx context.Context, d events.DeadLetter) error
	// Unbury removes it; one that is not there is no error.
	Unbury(ctx context.Context, id string) error
	// Exhume removes it if it is the letter of that death, and no later one.
	Exhume(ctx context.Context, id string, died time.Time) error
	// DeadLetter reads it; an error that is stream.ErrNotFound when it is not there.
	DeadLetter(ctx context.Context, id string) (events.DeadLetter, error)
}

// Plans is what the playbooks and the guards of this day say. It is pure: no I/O and no clock. *playbook.Set
// implements it.
type Plans interface {
	// Plan gives the actions of an event; none is a plan too. An error is a fault of the playbooks or of the event.
	Plan(e events.Event) (events.Plan, error)
	// Guard says what stands between the plan and its actions. An error is a fault of the playbooks or of the event:
	// nobody knows then whether it may be done.
	Guard(p events.Plan) (Guard, error)
	// Confirms reports whether the event may be the second word that another event of its type waits for.
	Confirms(e events.Event) bool
}

// Guard and Brake are the playbooks' own forms of what stands between a plan and its actions.
type (
	Guard = playbook.Verdict
	Brake = playbook.Brake
)

// Keyer gives the key under which a principal stands in subjects.
type Keyer interface{ Key(principal string) string }

// Planner decides. It relies on nothing that it keeps between two messages, must not be copied once it is used, and is safe for concurrent use, also with others of its kind
// in other processes.
type Planner struct {
	Ledger    *ledger.Ledger
	Queue     Queue
	Timetable Timetable
	Morgue    Morgue
	Plans     Plans
	// Latest gives the Plans that are in force at this moment, where they may change while the planner runs; nil =
	// Plans, for ever. It is asked once per message: one message is decided by one configuration.
	Latest func() Plans
	Keyer  Keyer
	// Follow moves a case, and publishes what may go now, after an action of it was ended without being run. It may be
	// repeated. actions.Runner implements it.
	Follow func(ctx context.Context, caseID string) error
	// Remap and Intake map a delivery again that could not be mapped; without them a redrive says so.
	Remap  Remap
	Intake Intake
	// Pausable says by what target a pause stops something, or why it would stop nothing, and a note for a person; nil =
	// every target is taken as it is.
	Pausable func(target string) (as, no, note string)
	// Late is told of a case that nears, or missed, the time in which it was to be verified; nil = nobody is. After a
	// crash it may be left out; the ledger has it.
	Late func(class events.Class, missed bool)
	// Outlast is how long the command of a pause waits for those who go by what they read before; 0 = PausesHold, less in
	// tests that have nobody else.
	Outlast time.Duration
	Process string        // unique id of this process (events.Sole); empty = nothing goes along with an action
	Worker  string        // who writes the records
	NewID   func() string // unique for ever
	Log     *slog.Logger  // nil = none
	// Now is the clock that all workers share; nil = time.Now. Come is the time that has come by every clock there is, this
	// machine's and the broker's, which is never later; nil = Now.
	Now, Come func() time.Time

	// counting lets one turn at a time ask the brakes. It decides nothing, the compare-and-swap does: many that are due
	// in the same second would only take each other's place at the same record, again and again. tallies are what this
	// planner knew last of them, by subject: enough to let somebody pass, for a swap upon an old one fails.
	counting sync.Mutex
	tallies  map[string]wheel
}

// Delays before a message that could not be worked off comes again.
const (
	retryConflict = time.Second      // other writers of the same subject came first, again and again
	retryFault    = 5 * time.Second  // the broker was away; nobody knows what it stored
	retryStopped  = time.Millisecond // this process stops; the next one may begin
)

// rounds bounds how often one message is begun anew because another writer came first, before it is given back.
const rounds = 16

// turn is the working off of one message. Its methods may be called any number of times for the same message.
type turn struct {
	*Planner
	Plans    Plans  // in force when the turn began
	by       string // who writes: the worker, or the operator of a command
	actor    string // the operator of a command; empty otherwise
	attempt  string // stands in every record of this turn: how it knows its own
	line     []slog.Attr
	alert    string // what a person should look at, if anything
	early    time.Duration
	fired    time.Time // when the broker gave back what is due; zero = nothing is
	listed   string    // a case that stands under every name already
	replaced []string  // terminations with actions whose place another one takes
	pauses   []Pause   // as they stood at pausesAsked
	// pausesAsked is when the turn read them last; zero = it reads them when it needs them.
	pausesAsked time.Time
	// unplanned is why the playbooks could not be applied in this turn; nothing is decided then.
	unplanned error
}

// work runs f until it is through or gives up for now. Every refusal by the ledger begins f anew, from reading.
func (p *Planner) work(ctx context.Context, what string, t *turn, f func() error) events.Outcome {
	began := p.now()
	var err error
	for range rounds {
		t.line, t.alert, t.early, t.listed, t.replaced, t.unplanned = nil, "", 0, "", nil, nil
		t.pausesAsked = time.Time{}
		if err = f(); !errors.Is(err, ledger.ErrConflict) {
			break
		}
	}
	out := events.Outcome{Verdict: events.Done, Err: err}
	switch {
	case errors.Is(err, ledger.ErrConflict):
		out.Verdict, out.Delay = events.Retry, retryConflict
	case err != nil && ctx.Err() != nil:
		out.Verdict, out.Delay = events.Retry, retryStopped
	case err != nil:
		out.Verdict, out.Delay = events.Retry, retryFault
	case t.early > 0:
		out.Verdict, out.Delay = events.Retry, t.early
	}
	t.print(ctx, what, out, p.now().Sub(began))
	return out
}

// turn begins the working off of an event.
func (p *Planner) turn() *turn {
	t := &turn{Planner: p, Plans: p.Plans, by: p.Worker, attempt: p.NewID()}
	if p.Latest != nil {
		t.Plans = p.Latest()
	}
	return t
}

// note adds to the turn's line in the log.
func (t *turn) note(attrs ...slog.Attr) { t.line = append(t.line, attrs...) }

// print writes the one wide line of a turn. It holds no personal data but the principal.
func (t *turn) print(ctx context.Context, what string, out events.Outcome, took time.Duration) {
	if t.Log == nil {
		return
	}
	level := slog.LevelInfo
	attrs := append(t.line, slog.Duration("took", took))
	if t.alert != "" {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("alert", t.alert))
	}
	if out.Verdict == events.Retry {
		attrs = append(attrs, slog.Duration("again_in", out.Delay))
	}
	if out.Err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", out.Err.Error()))
	}
	t.Log.LogAttrs(ctx, level, what, attrs...)
}

// now is the planner's clock, in UTC and without the monotonic reading that would not survive the ledger.
func (p *Planner) now() time.Time {
	if p.Now == nil {
		return time.Now().UTC().Round(0)
	}
	return p.Now().UTC().Round(0)
}

// come is the time that has come by every clock: what has a date is not done before it.
func (p *Planner) come() time.Time {
	if p.Come == nil {
		return p.now()
	}
	return p.Come().UTC().Round(0)
}

// append writes the turn's next record behind prev.
func (t *turn) append(ctx context.Context, prev, rec ledger.Record) (ledger.Record, error) {
	rec.By, rec.Attempt = t.by, t.attempt
	return t.Ledger.Append(ctx, prev, rec)
}
