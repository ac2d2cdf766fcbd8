package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/asa"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// asaUser finds the one ASA user that an action is about. ASA's names are its own: they need be neither the login nor
// the e-mail at Okta. They are never given again, yet the id is fixed beside the name.
type asaUser struct {
	all      Clients
	client   *asa.Client
	ref      events.UserRef
	email    string // what the user is looked for by, where no asa_username is given
	login    bool   // that e-mail is the event's login: that nobody has it proves nothing
	name, id string // fixed by an earlier observation; empty = not yet
	found    *foundASAUser
}

// pinUserID is the pin of an ASA user's id.
const pinUserID = "user_id"

// newASAUser reads the parameter user.
func newASAUser(p parameters, c Clients, pins map[string]string) (asaUser, error) {
	u := asaUser{all: c, client: c.ASA, name: pins[pinUser], id: pins[pinUserID]}
	if err := p.into("user", &u.ref); err != nil {
		return u, err
	}
	u.email = strings.TrimSpace(u.ref.Email)
	if login := strings.TrimSpace(u.ref.Login); u.email == "" && strings.Contains(login, "@") {
		// Senders that know a person at Okta only (its event hooks) say the login, which has the form of an e-mail and
		// mostly is the person's.
		u.email, u.login = login, true
	}
	if strings.TrimSpace(u.ref.ASAUsername) == "" && u.email == "" {
		return u, errors.New("with.user: neither asa_username nor email, nor a login that could be one")
	}
	return u, nil
}

// foundASAUser is what a look at the user showed.
type foundASAUser struct {
	asa.User
	none bool          // the team has no such user, and a complete listing says so
	gone bool          // the fixed user is not there any more
	seen []ledger.Fact // the positive control
	pins map[string]string
}

// find reads the user. One that is protected, under whatever name, is an error.
func (u *asaUser) find(ctx context.Context) (foundASAUser, error) {
	var f foundASAUser
	var err error
	if u.name == "" {
		f, err = u.resolve(ctx)
	} else {
		f.User, err = u.client.GetUser(ctx, u.name)
		if missing(err) {
			// The name was there once: it is gone, not mistaken.
			f.User, f.gone, err = asa.User{Name: u.name, ID: u.id}, true, nil
		}
	}
	if err != nil || f.none {
		return f, err
	}
	if err := u.all.spare(f.Name, u.name != "", asaNames(f.User)); err != nil {
		return f, err
	}
	if u.id != "" && f.ID != "" && f.ID != u.id {
		return f, permanent("asa.getUser", fmt.Errorf("the user %s was fixed with another id", f.Name))
	}
	u.name, u.id = f.Name, f.ID
	f.pins = map[string]string{pinUser: f.Name}
	if f.ID != "" {
		f.pins[pinUserID] = f.ID
	}
	status := f.Status
	if f.gone {
		status = "gone (404)"
	}
	f.seen = append(f.seen, ledger.Fact{What: "user " + f.Name + " status", Value: status})
	return f, nil
}

// resolve finds the user by the name of the event, or else by its e-mail, and refuses one that contradicts the other.
func (u *asaUser) resolve(ctx context.Context) (foundASAUser, error) {
	if strings.TrimSpace(u.ref.ASAUsername) == "" {
		return u.byEmail(ctx)
	}
	found, err := u.client.GetUser(ctx, u.ref.ASAUsername)
	if missing(err) {
		err = advise(errors.New("no ASA user has this asa_username"), "check the asa_username and the connection in the event")
	}
	if err != nil {
		return foundASAUser{}, err
	}
	return foundASAUser{User: found}, contradicts(found.Name, "asa_username", u.ref, asaNames(found))
}

// asaNames are the identifiers of a user at ASA.
func asaNames(u asa.User) events.UserRef {
	return events.UserRef{ASAUsername: u.Name, Email: u.Details.Email}
}

// byEmail finds the user whose e-mail is exactly the one that is looked for. Deleted users do not count beside another.
func (u *asaUser) byEmail(ctx context.Context) (foundASAUser, error) {
	d, err := u.all.anew(ctx)
	if err != nil {
		return foundASAUser{}, err
	}
	same := livingASA(d.of(u.email))
	switch {
	case d.users == 0:
		return foundASAUser{}, &apiclient.Error{Op: "asa.listUsers", Err: errors.New("the team's listing shows no user at all")}
	case len(same) == 0:
		return foundASAUser{none: true, seen: listedWith(0, d)}, nil
	case len(same) > 1:
		return foundASAUser{}, advise(fmt.Errorf("%d ASA users have this e-mail", len(same)), "send the event with asa_username")
	}
	return foundASAUser{User: same[0], seen: listedWith(1, d)}, nil
}

// livingASA leaves out deleted users beside a single other.
func livingASA(same []asa.User) []asa.User {
	var live []asa.User
	for _, user := range same {
		if user.Status != asa.UserDeleted && user.DeletedAt.IsZero() {
			live = append(live, user)
		}
	}
	if len(live) == 1 {
		return live
	}
	return same
}

// listedWith says how many users of a listing have the e-mail, and when it was made.
func listedWith(n int, d directory) []ledger.Fact {
	return []ledger.Fact{{
		What:  "users of the team with this e-mail",
		Value: fmt.Sprintf("%d of %d, as listed at %s", n, d.users, d.listed.UTC().Format(time.RFC3339)),
	}}
}

// control reads the user once for an attempt: that the user is there is what makes an empty listing mean something.
// Whether the user is protected is asked each time.
func (u *asaUser) control(ctx context.Context) (foundASAUser, error) {
	if u.found == nil {
		f, err := u.find(ctx)
		if err == nil && !f.none {
			u.found = &f
		}
		return f, err
	}
	if err := u.all.spare(u.found.Name, true, asaNames(u.found.User)); err != nil {
		return foundASAUser{}, err
	}
	again := *u.found
	again.seen = slices.Clone(again.seen)
	return again, nil
}

// forget has the next control read the user.
func (u *asaUser) forget() { u.found = nil }
