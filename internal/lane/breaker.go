package lane

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"keyturn/internal/apiclient"
	"keyturn/internal/shield"
)

const (
	probeFirst = 5 * time.Second // about so long after the breaker opened comes the first probe; doubling
	probeLast  = 5 * time.Minute // about so long at most between two of them while the credential is refused: each counts against it
	// probeAway is the same while the provider is away: a read every half a minute harms nobody, and a stolen laptop must
	// not wait longer than that for a provider that is back.
	probeAway = 30 * time.Second
	probeTime = 30 * time.Second
	// probePeace is how long the lane must have worked before the delays begin anew: what was mended may pass the probe
	// and fail where it matters.
	probePeace = 10 * time.Minute
	// probeSoon is how long a person waits for the probe that they asked for.
	probeSoon = 5 * time.Second
)

// Fault is why a breaker is open.
type Fault string

// The faults. Both are told by the connection's probe: from a target that is forbidden, and from one that fails.
const (
	Refused     Fault = "refused"     // the provider refuses the credential
	Unreachable Fault = "unreachable" // no connection, no reply, or nothing but failures
)

// Faults lists the faults.
func Faults() []Fault { return []Fault{Refused, Unreachable} }

// breaker holds a lane still whose credential was refused or whose provider is away: nothing goes out but one harmless
// read at a time, and when that is answered the work goes on by itself. Work that waits for it is not charged, and none
// of it dies of a bad key or of an outage.
type breaker struct {
	probe func(context.Context) error // nil when the credential works
	stop  func(bool)                  // holds all calls back, or lets them go on
	log   *slog.Logger

	opened chan struct{} // one for each time it opens
	hurry  chan struct{} // one while somebody wants the next probe at once
	outage *outage

	mu     sync.Mutex
	err    error         // why it is open; nil = closed
	fault  Fault         // of which kind that is
	since  time.Time     // when it opened
	closed chan struct{} // closed when work may go on
}

func newBreaker(probe func(context.Context) error, stop func(bool), log *slog.Logger) *breaker {
	b := &breaker{probe: probe, stop: stop, log: log, opened: make(chan struct{}, 1), hurry: make(chan struct{}, 1), outage: newOutage(), closed: make(chan struct{})}
	close(b.closed)
	return b
}

// open stops the lane because of err. It may be called any number of times, by several actions at once.
func (b *breaker) open(fault Fault, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return
	}
	b.err, b.since, b.closed = err, time.Now(), make(chan struct{})
	b.stop(true)
	b.opened <- struct{}{} // there is room: run took the last one before it closed
	b.blame(fault, err)
}

// blame says what is the fault, and what to do about it. b.mu is held.
func (b *breaker) blame(fault Fault, err error) {
	b.fault, b.err = fault, err
	if fault == Unreachable {
		b.log.Error("lane stands still: the provider cannot be reached", "alert", "breaker open", "fault", string(fault), "error", err,
			"next", "see to the network, the address and the provider; the work waits, uncharged, and goes on by itself")
		return
	}
	b.log.Error("lane stands still: the provider refuses the credential", "alert", "breaker open", "fault", string(fault), "error", err,
		"next", "renew the credential or its rights; the work waits and goes on by itself")
}

// why says why the lane stands still; nil when it does not.
func (b *breaker) why() error {
	fault, since, err := b.standing()
	if err == nil {
		return nil
	}
	what := "credential refused"
	if fault == Unreachable {
		what = "provider not reachable"
	}
	return fmt.Errorf("%s since %s: %w", what, since.UTC().Format(time.RFC3339), err)
}

// standing says why the breaker is open and since when; an empty fault and nil when it is closed.
func (b *breaker) standing() (fault Fault, since time.Time, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		return "", time.Time{}, nil
	}
	return b.fault, b.since, b.err
}

// wait returns when the lane may work, or with the error of ctx.
func (b *breaker) wait(ctx context.Context) error {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	select {
	case <-closed:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run asks the provider when it is doubted, and probes while the breaker is open, until ctx ends. All probes of the lane
// are made here, one after the other.
func (b *breaker) run(ctx context.Context) {
	delays := map[Fault]*backoff.ExponentialBackOff{Refused: probeDelays(probeLast), Unreachable: probeDelays(probeAway)}
	var mended time.Time
	for {
		select {
		case <-b.opened:
		case <-b.outage.doubts:
			b.doubt(ctx)
			continue
		case <-ctx.Done():
			return
		}
		if time.Since(mended) > probePeace {
			for _, d := range delays {
				d.Reset()
			}
		}
		for again := true; again; {
			fault, _, _ := b.standing()
			if b.rest(ctx, delays[fault].NextBackOff()) != nil {
				return
			}
			again = !b.mend(ctx)
		}
		mended = time.Now()
	}
}

// hasten has an open breaker probe now, and waits a moment for what comes of it: somebody mended what was the fault.
func (b *breaker) hasten(ctx context.Context) {
	if !b.want() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeSoon)
	defer cancel()
	_ = b.wait(ctx) // why says what came of it
}

// want says that the next probe is wanted at once, unless the breaker is closed, and reports whether it is.
func (b *breaker) want() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		return false
	}
	select {
	case b.hurry <- struct{}{}:
	default: // somebody else asked just now
	}
	return true
}

// rest waits between two probes for d, until the next one is wanted at once, or for the end of ctx, whose error it
// returns then.
func (b *breaker) rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.hurry:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// probeDelays doubles from probeFirst up to most, half more or less each time.
func probeDelays(most time.Duration) *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(probeFirst), backoff.WithMultiplier(2),
		backoff.WithMaxInterval(most), backoff.WithMaxElapsedTime(0))
}

// ask probes once, in its time.
func (b *breaker) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	var err error
	if met := shield.Run(func() { err = b.probe(ctx) }); met != nil {
		met.Tell(ctx, b.log, "the probe meets a fault of Keyturn; it counts as not answered, and is made again")
		err = &apiclient.Error{Op: "probe", Cause: apiclient.Transient, Err: met}
	}
	return err
}

// doubt asks a provider of which nothing was heard but failures, and opens the breaker if that is all it has to say to
// its probe as well.
func (b *breaker) doubt(ctx context.Context) {
	err := b.ask(ctx)
	if ctx.Err() != nil {
		return
	}
	cause := apiclient.CauseOf(err)
	away := err != nil && cause == apiclient.Transient
	b.outage.clear(!away, time.Now())
	switch {
	case away:
		b.open(Unreachable, err)
	case cause == apiclient.Denied:
		b.open(Refused, err)
	default:
		b.log.Warn("calls fail, and the provider answers its probe: one target or endpoint is at fault", "calls", doubtAfter)
	}
}

// mend probes once, and closes the breaker if that was answered as it must be: by a credential that works, or, where
// the provider was away, by anything that is no failure.
func (b *breaker) mend(ctx context.Context) bool {
	err := b.ask(ctx)
	if ctx.Err() != nil {
		return false
	}
	cause := apiclient.CauseOf(err)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
	case b.fault == Unreachable && cause == apiclient.Denied:
		b.blame(Refused, err) // it is back, and knows the credential no more
		return false
	case b.fault == Unreachable && cause != apiclient.Transient:
	default:
		b.log.Warn("lane stands still: the probe was not answered", "fault", string(b.fault), "error", err)
		if b.fault == Unreachable {
			b.err = err
		}
		return false
	}
	b.log.Info("lane goes on: the probe was answered", "fault", string(b.fault), "stood_for", time.Since(b.since))
	b.err = nil
	select {
	case <-b.hurry: // wanted while this probe was under way, and not when it opens again
	default:
	}
	b.outage.clear(false, time.Now())
	close(b.closed)
	b.stop(false)
	return true
}

// sleep waits for d, or for the end of ctx, whose error it returns then.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
