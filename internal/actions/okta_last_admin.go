package actions

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
)

// Admins knows which administrators of an org its actions are at work on: of two who are each other's only other one, no
// more than one may go. It is what the actions of one lane share; whom an earlier holder of the lane let go shows at the
// provider. A nil Admins knows nobody.
type Admins struct {
	turn chan struct{} // has room for the one who looks

	mu     sync.Mutex
	leaves map[string]*leave // by user id
}

// leave is an administrator who was let go. Until the change goes out it lasts as long as the attempt that looked: one
// that only looks again, or comes too late for a cancellation, ends nobody's sign-in.
type leave struct {
	at      time.Time
	attempt <-chan struct{} // closed when it is over
	sent    bool            // the change went out: nobody may count on them any more, whatever the provider says
}

// NewAdmins makes one that knows nobody yet.
func NewAdmins() *Admins {
	return &Admins{turn: make(chan struct{}, 1), leaves: map[string]*leave{}}
}

// note remembers that somebody is let go, for as long as ctx lasts.
func (a *Admins) note(ctx context.Context, id string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.leaves[id]
	sent := old != nil && old.sent && now.Sub(old.at) < leavesFor
	a.leaves[id] = &leave{at: now, attempt: ctx.Done(), sent: sent}
}

// sent remembers that the change goes out which ends the sign-in of somebody who was let go.
func (a *Admins) sent(id string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.leaves[id]; l != nil {
		l.sent = true
	}
}

// left reports whether somebody was let go a short while ago.
func (a *Admins) left(id string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.leaves[id]
	if l == nil || now.Sub(l.at) >= leavesFor {
		return false
	}
	select {
	case <-l.attempt:
		return l.sent
	default:
		return true
	}
}

const (
	// maxAdmins bounds how many other administrators are looked at, with two calls each. The first is mostly one.
	maxAdmins = 25
	// leavesFor is how long somebody who was let go counts as gone, whatever the provider says.
	leavesFor = time.Hour
)

// spareLastAdmin refuses the last one who may do everything at the org, where the playbooks say so. Only who can still
// sign in is asked about: it is asked before the first change, and not after a user was suspended. What cannot be read
// is no answer, and the action does not go on without one.
func (u *oktaUser) spareLastAdmin(ctx context.Context, f foundUser) error {
	blocked := f.gone || f.Status == okta.UserSuspended || f.Status == okta.UserDeprovisioned
	if blocked || u.all.LastAdmin == nil || !u.all.LastAdmin() {
		return nil
	}
	super, err := isSuper(ctx, u.client, f.ID)
	if err != nil || !super {
		return err
	}
	return u.all.Admins.release(ctx, u.client, f.ID, u.goes, u.all.now())
}

// ending makes a change that ends the user's sign-in say so when it goes out.
func (u *oktaUser) ending(c Change) Change {
	apply := c.Apply
	c.Apply = func(ctx context.Context) (string, error) {
		u.all.Admins.sent(c.Target)
		return apply(ctx)
	}
	return c
}

// isSuper reports whether a user may do everything.
func isSuper(ctx context.Context, c *okta.Client, id string) (bool, error) {
	roles, err := c.ListUserRoles(ctx, id)
	return slices.ContainsFunc(roles, okta.Role.Super), rolesUnread(err)
}

// release lets an administrator be acted upon if another one stays, and remembers it of one who goes, while ctx lasts or,
// once the change went out, for leavesFor. One looks at a time.
func (a *Admins) release(ctx context.Context, c *okta.Client, id string, goes bool, now time.Time) error {
	if a == nil {
		a = NewAdmins()
	}
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ids, more, err := c.ListAdmins(ctx)
	if err != nil {
		return rolesUnread(err)
	}
	looked := 0
	for _, other := range ids {
		if other == id || a.left(other, now) {
			continue
		}
		if looked == maxAdmins {
			more = true
			break
		}
		looked++
		stays, err := stays(ctx, c, other)
		if err != nil {
			return err
		}
		if stays {
			if goes {
				a.note(ctx, id, now)
			}
			return nil
		}
	}
	return lastAdmin(id, looked, more)
}

// stays reports whether a user is an administrator who can sign in and may do everything.
func stays(ctx context.Context, c *okta.Client, id string) (bool, error) {
	u, err := c.GetUser(ctx, id)
	switch {
	case missing(err):
		return false, nil
	case err != nil:
		return false, err
	case u.Status != okta.UserActive:
		return false, nil
	}
	return isSuper(ctx, c, id)
}

// lastAdmin is the refusal; a search that was given up is no answer, and goes to a person.
func lastAdmin(id string, looked int, more bool) error {
	if more {
		return advise(fmt.Errorf("user %s is a super administrator, and none of %d others who were looked at is an active one", id, looked),
			"make sure that another account is an active super administrator, take its idle ones away, then redrive")
	}
	return protectedError(fmt.Sprintf("user %s", id), "the last super administrator of the org",
		"protected principal: make another account a super administrator first, then send the event anew")
}

// rolesUnread says what to do when it cannot be read who is an administrator.
func rolesUnread(err error) error {
	if !apiclient.IsStatus(err, http.StatusForbidden) || apiclient.CauseOf(err) != apiclient.Permanent {
		return err
	}
	return advise(fmt.Errorf("it cannot be read who is the last administrator: %w", err),
		"grant the scope okta.roles.read, and a role that may see administrators, or take last_admin out of the playbooks; then redrive")
}
