package lane

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

// lacksAgain is how soon an action comes again that waits for a right; many of a kind are put off for longer.
const lacksAgain = 30 * time.Second

// renewAfter is how old a token is at least that a trial has fetched anew: with many that wait, and end for other reasons, there
// is a trial every few seconds.
const renewAfter = time.Minute

// lacks holds back the actions that were refused because the credential lacks one right, while all others go on: what comes
// new does what it can, and waits where it is refused. Of those that wait one at a time is tried again, less and less, and
// when it comes to its end, by a call that needs the right, all go on.
type lacks struct {
	log *slog.Logger

	mu     sync.Mutex
	rights map[string]*lack
	waits  map[string]string // which right an action waits for, by its id
}

// lack is one right that the credential lacks.
type lack struct {
	err   error // of the call that was refused last
	since time.Time
	trial string    // the action that is tried; empty = none
	rank  int       // of the trial's class, 0 = the most urgent
	had   bool      // a call of the trial that needs the right was answered
	next  time.Time // when the next one may be tried
	pause *backoff.ExponentialBackOff
}

func newLacks(log *slog.Logger) *lacks {
	return &lacks{log: log, rights: map[string]*lack{}, waits: map[string]string{}}
}

// needs is the one right that the credential lacks, as err says; empty = it is refused as a whole.
func needs(err error) string {
	e, ok := errors.AsType[*apiclient.Error](err)
	if !ok {
		return ""
	}
	return e.Needs
}

// refused notes that an action was refused for want of a right.
func (l *lacks) refused(id, right string, err error, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if of := l.waits[id]; of != right {
		l.moved(id, of, now)
	}
	k := l.rights[right]
	if k == nil {
		k = &lack{since: now, pause: probeDelays(probeLast)}
		k.next = now.Add(k.pause.NextBackOff())
		l.rights[right] = k
		l.log.Error("the credential lacks a right: what needs it waits", "alert", "right missing", "right", right, "error", err,
			"next", "grant it, and a role that may do it; the work waits, uncharged, and goes on by itself")
	}
	k.err = err
	l.waits[id] = right
	if k.trial == id {
		k.trial, k.next = "", now.Add(k.pause.NextBackOff())
	}
}

// moved ends an action's wait for one right because it came to another that is lacking, or to its end without either. Without
// it nobody else who waits for the first would be tried again. l.mu is held.
func (l *lacks) moved(id, of string, now time.Time) {
	delete(l.waits, id)
	k := l.rights[of]
	if k == nil {
		return
	}
	if k.trial == id {
		k.trial, k.next = "", now.Add(probeFirst)
	}
	for _, other := range l.waits {
		if other == of {
			return
		}
	}
	delete(l.rights, of) // nobody waits for it
}

// hold reports whether an action is to wait on; if not it is begun, and ended is told of its end. One of a more urgent class
// does not wait for the end of a trial, which may stand before the gate for long: it is the trial from then on.
func (l *lacks) hold(id string, rank int, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.rights[l.waits[id]]
	if k == nil {
		return false
	}
	if k.trial != "" && rank >= k.rank || now.Before(k.next) {
		return true
	}
	k.trial, k.rank, k.had = id, rank, false
	return false
}

// tried is the right for which an action is tried now; empty = it is not.
func (l *lacks) tried(id string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	right := l.waits[id]
	if k := l.rights[right]; k == nil || k.trial != id {
		return ""
	}
	return right
}

// answered notes a call of an action that was answered and needs a right.
func (l *lacks) answered(id, right string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.rights[right]; k != nil && k.trial == id {
		k.had = true
	}
}

// ended notes what became of an action that was begun. One that is done without a call that needs the right, as it was called
// back meanwhile or holds already, says nothing of it.
func (l *lacks) ended(id string, out events.Outcome, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	right := l.waits[id]
	k := l.rights[right]
	tried := k != nil && k.trial == id
	switch {
	case out.Verdict == events.Done && tried && k.had:
	case out.Verdict == events.Done:
		l.moved(id, right, now)
		return
	case tried: // it came no further than to something else
		k.trial, k.next = "", now.Add(probeFirst)
		return
	default:
		return
	}
	l.log.Info("the credential has a right that it lacked: what waits for it goes on", "right", right, "lacked_for", now.Sub(k.since))
	delete(l.rights, right)
	for other, of := range l.waits {
		if of == right {
			delete(l.waits, other)
		}
	}
}

// hasten has the next action that waits for a right be tried at once.
func (l *lacks) hasten() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.rights {
		k.next = time.Time{}
	}
}

// Lack is a right that the credential lacks, for a person.
type Lack struct {
	Right   string // as the vendor names it
	Since   time.Time
	Actions int   // that wait for it
	Err     error // of the call that was refused last
}

// tell lists what is lacking.
func (l *lacks) tell() []Lack {
	l.mu.Lock()
	defer l.mu.Unlock()
	var told []Lack
	for right, k := range l.rights {
		one := Lack{Right: right, Since: k.since, Err: k.err}
		for _, of := range l.waits {
			if of == right {
				one.Actions++
			}
		}
		told = append(told, one)
	}
	slices.SortFunc(told, func(a, b Lack) int { return cmp.Compare(a.Right, b.Right) })
	return told
}
