package actions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// Queue is where the runner publishes what follows from an action. Package stream implements it.
type Queue interface {
	// PublishAction sends an action to its lane; repeating it is harmless.
	PublishAction(ctx context.Context, a events.Action) error
	// PublishLater has the lane get an action at a time to come, in place of any earlier such call for it.
	PublishLater(ctx context.Context, a events.Action, at time.Time) error
	// Barrier returns when everything that this process wrote is on disk.
	Barrier(ctx context.Context) error
}

// Morgue keeps what is dead for a person. Package stream implements it.
type Morgue interface {
	// Bury keeps a dead letter; repeating it is harmless.
	Bury(ctx context.Context, d events.DeadLetter) error
	// Unbury removes it; one that is not there is no error.
	Unbury(ctx context.Context, id string) error
}

// Limits bound what the runner does. A zero field takes the default named beside it.
type Limits struct {
	Rounds      int           // how often changes are applied in one attempt: 5
	RoundPause  time.Duration // before a change is repeated in one attempt, doubling each round: 1 s
	CallTimeout time.Duration // of a change that is not idempotent, its record and barrier included: 5 s
	LookAgain   time.Duration // between the two looks that decide whether such a change was made: 3 s
	Conflict    time.Duration // before looking again when another writer came first, or the broker was away: 5 s
	BackoffBase time.Duration // bound of the first delay after a transient fault: 2 s
	BackoffCap  time.Duration // bound of any delay after a transient fault: 10 min
	GiveUpAfter time.Duration // since the first try that was charged: 24 h
	GiveUpTries int           // and not before so many were charged: 10
}

// withDefaults fills the zero fields.
func (l Limits) withDefaults() Limits {
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&l.RoundPause, time.Second)
	def(&l.CallTimeout, apiclient.OnceTimeout)
	def(&l.LookAgain, 3*time.Second)
	def(&l.Conflict, 5*time.Second)
	def(&l.BackoffBase, 2*time.Second)
	def(&l.BackoffCap, 10*time.Minute)
	def(&l.GiveUpAfter, 24*time.Hour)
	if l.Rounds == 0 {
		l.Rounds = 5
	}
	if l.GiveUpTries == 0 {
		l.GiveUpTries = 10
	}
	return l
}

// Runner brings one action at a time to its end state. It keeps nothing between two runs: what a run must know of
// earlier ones stands in the ledger. It is safe for concurrent use.
type Runner struct {
	Ledger *ledger.Ledger
	Queue  Queue
	Morgue Morgue
	// Build makes the kind of an action; pins are the provider's ids that an earlier observation fixed.
	Build   func(a events.Action, pins map[string]string) (Kind, error)
	Worker  string        // who writes the records
	Process string        // unique id of this process (events.Sole); empty = whatever came with an action is read
	Epoch   uint64        // of the lease under which this worker holds the lane
	NewID   func() string // ids of attempts, unique for ever
	Log     *slog.Logger  // gets one line a run; nil = none
	Limits  Limits

	Now   func() time.Time                                 // nil = time.Now
	Pause func(ctx context.Context, d time.Duration) error // waits in place; nil = by the real clock
	// Room waits for the budget of a call that was not sent because its time was too short for that (apiclient.ErrNoRoom); nil =
	// the action comes again.
	Room func(context.Context) error
	// May says whether an action may still be begun that has looked, and not changed anything yet: it may have waited for its
	// first look while somebody paused it. An error gives it back; nil = it may.
	May func(context.Context, events.Action) error
	// Denied is told when the credential was refused, to an action; nil = nobody is.
	Denied func(events.Action, error)
	// ReadFirst says that nothing may be looked at that was called back, because others go by who is looked at; nil = it may.
	ReadFirst func() bool
	Away      func() bool // whether the provider as a whole cannot be reached; nil = never
}

// interrupted is a fault of our own broker or of the order of things, not of the action: nothing is recorded for it.
type interrupted struct{ error }

func (e interrupted) Unwrap() error { return e.error }

// errOvertaken: a worker with a newer lease works on the action.
var errOvertaken = errors.New("a worker with a newer lease began it")

// Run brings the action to its end state, or as far as it can be brought now, and says what becomes of its message.
// Done means that everything that follows from the terminal state was published; the caller's settle must put it on
// disk before it acknowledges. A context that ends gives Abandon, and whoever comes next goes on from the ledger. An
// error is in the outcome unless the runner logged it.
func (r *Runner) Run(ctx context.Context, a events.Action) events.Outcome {
	return r.framed(ctx, a, r.run)
}

// Begin is Run of an action that hardly anybody has begun, or called back, yet: it does not read first whether there is a
// record. The first one that an attempt writes is refused where there is, and nothing is changed before it.
func (r *Runner) Begin(ctx context.Context, a events.Action) events.Outcome {
	return r.framed(ctx, a, r.guess)
}

// framed runs an action in what all runs have around them.
func (r *Runner) framed(ctx context.Context, a events.Action,
	run func(context.Context, events.Action) (ledger.Record, events.Outcome)) events.Outcome {
	began := r.now()
	attempt, over := context.WithCancel(ctx) // what an attempt holds for itself alone ends with it
	defer over()
	rec, out := run(attempt, a)
	if out.Verdict == events.Retry && ctx.Err() != nil {
		out = events.Outcome{Verdict: events.Abandon, Err: context.Cause(ctx)}
	}
	if r.Log != nil {
		r.log(ctx, a, rec, out, r.now().Sub(began))
		out.Err = nil
	}
	return out
}

// guess is Begin without its frame.
func (r *Runner) guess(ctx context.Context, a events.Action) (ledger.Record, events.Outcome) {
	if a.Redrive > 0 || a.Visit != nil || r.ReadFirst != nil && r.ReadFirst() {
		return r.run(ctx, a)
	}
	guess, over := context.WithCancel(ctx) // one that was wrong is no attempt: what it holds is free before anything else
	rec, out := r.work(guess, a, ledger.Record{})
	over()
	if rec.Seq == 0 && errors.Is(out.Err, ledger.ErrConflict) { // it had a record before this attempt wrote one
		return r.run(ctx, a)
	}
	return rec, out
}

// run is Run without its frame. It gives the last record that it knows of besides.
func (r *Runner) run(ctx context.Context, a events.Action) (ledger.Record, events.Outcome) {
	last, err := r.Ledger.Last(ctx, ledger.ActionSubject(a.Case, a.ID))
	if err != nil {
		return last, r.lookAgain(err)
	}
	if waits(a, last.State) || (last.State.Terminal() && a.Visit == nil) {
		return last, r.finish(ctx, a, last)
	}
	if r.overtaken(last) {
		return last, r.lookAgain(errOvertaken)
	}
	if last.State.Terminal() {
		rec, out := r.visit(ctx, a, last)
		if rec.State != ledger.Regressed || waits(a, rec.State) {
			return rec, out
		}
		last = rec // and it is to be brought about again
	}
	return r.work(ctx, a, last)
}

// work begins the action behind last and brings it as far as it can be brought now.
func (r *Runner) work(ctx context.Context, a events.Action, last ledger.Record) (ledger.Record, events.Outcome) {
	if last.State == ledger.Regressed {
		if err := r.reopen(ctx, a.Case, last.Reason); err != nil {
			return last, r.lookAgain(err)
		}
		// Dying here: the case is open, and the message comes again to an action that regressed.
	}
	at, err := r.begin(ctx, a, last)
	if err != nil {
		return last, r.lookAgain(err)
	}
	err = at.achieve(ctx)
	if err == nil {
		r.alert(ctx, a, at.rec)
		return at.rec, r.finishKnowing(ctx, a, at.rec, at.known)
	}
	if _, ours := errors.AsType[interrupted](err); ours || ctx.Err() != nil {
		return at.rec, r.lookAgain(err)
	}
	return at.fail(ctx, err)
}

// overtaken reports whether a newer lease is at work. An old record of a newer epoch is none: epochs begin anew when
// the lease bucket was lost, and that must not stop the action for ever.
func (r *Runner) overtaken(last ledger.Record) bool {
	const fresh = time.Minute // several times the life of a lease
	return last.Epoch > r.Epoch && r.now().Sub(last.Time) < fresh
}

// lookAgain gives the message back for a while: somebody else may be at work, or the broker was away.
func (r *Runner) lookAgain(err error) events.Outcome {
	return events.Outcome{Verdict: events.Retry, Delay: r.Limits.withDefaults().Conflict, Err: err}
}

// begin makes ready for an attempt. Of an action that was begun before it writes `started`, and every other attempt at
// it fails at its next record. The first attempt looks before it writes anything: its `started` says what it is about to
// change, and is refused when another attempt began meanwhile.
func (r *Runner) begin(ctx context.Context, a events.Action, last ledger.Record) (*attempt, error) {
	at := &attempt{
		Runner: r, limits: r.Limits.withDefaults(), action: a, id: r.NewID(), rec: last,
		tries: last.Tries + 1, charged: last.Attempts, asked: map[string]bool{},
	}
	if last.Evidence != nil {
		at.ev = *last.Evidence
	}
	if last.State == "" {
		pins, err := r.inherit(ctx, a)
		if err != nil {
			return nil, err
		}
		at.ev.Pins = pins
	}
	if last.State == ledger.Redriven || last.State == ledger.Regressed {
		at.charged = 0 // its time and tries begin anew
		if err := at.remember(ctx); err != nil {
			return nil, err
		}
	}
	at.ev.Failure, at.ev.Seen, at.ev.Residual = nil, nil, nil
	at.inFlight = last.State == ledger.Started && at.ev.Pending != ""
	at.uncertain = at.ev.Pending != ""
	if last.State == "" {
		return at, nil
	}
	if err := at.append(ctx, ledger.Started, ""); err != nil {
		return nil, err
	}
	// Dying here: the next attempt finds a `started` without an outcome and begins by observing, as this one does.
	return at, nil
}

// now is the runner's clock.
func (r *Runner) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

// pause waits in place. The message is kept alive by heartbeats meanwhile.
func (r *Runner) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	if r.Pause != nil {
		return r.Pause(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// log writes the one wide line of an attempt.
func (r *Runner) log(ctx context.Context, a events.Action, rec ledger.Record, out events.Outcome, took time.Duration) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("case", a.Case), slog.String("action", a.ID), slog.String("do", a.Do),
		slog.String("connection", a.Connection), slog.String("class", string(a.Class)),
		slog.String("state", string(rec.State)), slog.Int("tries", rec.Tries), slog.Int("attempts", rec.Attempts),
		slog.Uint64("epoch", r.Epoch), slog.Duration("took", took),
	}
	if out.Verdict == events.Retry {
		attrs = append(attrs, slog.Duration("again_in", out.Delay))
	}
	if out.Err != nil {
		if apiclient.CauseOf(out.Err) != apiclient.Later { // told to wait is nobody's fault
			level = slog.LevelWarn
		}
		attrs = append(attrs, slog.String("error", out.Err.Error()))
		if e, ok := errors.AsType[*apiclient.Error](out.Err); ok {
			attrs = append(attrs, slog.Int("status", e.Status), slog.String("cause", e.Cause.String()))
		}
	}
	r.Log.LogAttrs(ctx, level, fmt.Sprintf("action %s", a.Step), attrs...)
}
