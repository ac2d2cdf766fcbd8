// Package actions brings about desired end states and proves them.
//
// An action is not a call. Its Kind observes the provider and says which changes are still needed; the Runner writes
// `started` to the ledger, applies them one by one, observes again, and writes `verified` only when an observation
// needs nothing more. The same Observe gives the dry run, the proof, the recovery after a crash, and idempotency
// against an API that has none. It never reaches NATS: the lane hands it what it needs, and takes an outcome.
package actions

import (
	"context"

	"keyturn/internal/ledger"
)

// Kind is one way to an end state, built for one action at one connection.
type Kind interface {
	// Observe reads the target. It never changes anything. An empty answer is not proof by itself: every kind makes a
	// positive control first (the user exists, the service user sees itself, the listing contains a known item) and
	// says so in Seen.
	Observe(ctx context.Context) (Observation, error)
}

// Observation is what a read of the provider showed, and the changes still needed.
type Observation struct {
	Seen     []ledger.Fact     // evidence: what the provider showed, no secrets
	Pins     map[string]string // the provider's ids that this action acts upon, from the first resolve on; an empty id frees a pin
	Needed   []Change          // calls that would bring the end state; empty = it holds
	Residual []ledger.Residual // what outlives it, until when
	// Unread: the target cannot be read any more, for what is needed takes the credential with it once it is made. A
	// change that was made, or may have been, is taken for done then, and recorded `applied`, never `verified`. One
	// that was surely not made is applied as ever, and must see for itself whether it can be.
	Unread bool
}

// Change is one call that would bring the end state nearer.
type Change struct {
	Call   string // the operation: "okta.suspendUser"
	Target string // the pinned id that it changes
	// Blind: the end state cannot be read (a session). It is applied once per case and recorded `applied` with the
	// request id, never `verified`.
	Blind bool
	// Once: a repeat would do it twice (a create). Before it is made, `started` says so behind the barrier; after an
	// unknown outcome the runner waits a call time-out and looks twice.
	Once bool
	// Apply makes the call and returns the provider's id of it. It is called at most once per observation.
	Apply func(ctx context.Context) (requestID string, err error)
}

// name is how a change is recorded.
func (c Change) name() string { return c.Call + " " + c.Target }

// lookTwice looks at what a user has, and once more from reading the user on where one who was found has nothing to be read:
// they may have gone since, be it a moment ago, which is read, not concluded, and no fault of the action.
func lookTwice(ctx context.Context, forget func(), look func(context.Context) (Observation, error)) (Observation, error) {
	obs, err := look(ctx)
	if missing(err) {
		forget()
		return look(ctx)
	}
	return obs, err
}
