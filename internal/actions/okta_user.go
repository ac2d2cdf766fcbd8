package actions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// pinUser is the pin of the user that an action acts upon: Okta's id, or the name of an ASA user.
const pinUser = "user"

// userParameter is what the kinds about a person take.
var userParameter = Parameter{Name: "user", Required: true, Form: Object, Fields: userFields(), About: "the person, with at least one identifier"}

// oktaUser finds the one user that an action is about. The first find fixes the id: a login can be given to someone
// else between two attempts.
type oktaUser struct {
	all    Clients
	client *okta.Client
	ref    events.UserRef
	id     string // fixed by an earlier observation; empty = not yet
	found  *foundUser
	goes   bool // the action ends their sign-in: another one may not count on them any more
}

// newOktaUser reads the parameter user.
func newOktaUser(p parameters, c Clients, pins map[string]string) (oktaUser, error) {
	u := oktaUser{all: c, client: c.Okta, id: pins[pinUser]}
	if err := p.into("user", &u.ref); err != nil {
		return u, err
	}
	if u.ref.OktaID == "" && u.ref.Login == "" && u.ref.Email == "" && u.ref.EmployeeNumber == "" {
		return u, errors.New("with.user: none of okta_id, login, email and employee_number")
	}
	return u, nil
}

// foundUser is what a look at the user showed.
type foundUser struct {
	okta.User
	gone bool          // the fixed id is not there any more
	by   string        // how it was found
	seen []ledger.Fact // the positive control: the user and its status
	pins map[string]string
}

// find reads the user. One that is protected, under whatever name, is an error.
func (u *oktaUser) find(ctx context.Context) (foundUser, error) {
	var f foundUser
	var err error
	if u.id == "" {
		f, err = u.resolve(ctx)
	} else {
		f.by = "its id"
		f.User, err = u.client.GetUser(ctx, u.id)
		if missing(err) {
			// The id was there once: it is gone, not mistaken.
			f.User, f.gone, err = okta.User{ID: u.id}, true, nil
		}
	}
	if err != nil {
		return f, err
	}
	if err := u.all.spare(f.ID, u.id != "", oktaNames(f.User)); err != nil {
		return f, err
	}
	if err := u.spareOwner(ctx, f.ID); err != nil {
		return f, err
	}
	if err := u.spareLastAdmin(ctx, f); err != nil {
		return f, err
	}
	if f.TransitioningToStatus != "" {
		return f, &apiclient.Error{Op: "okta.getUser", Err: errors.New("the user is on its way to another status")}
	}
	u.id = f.ID
	f.pins = map[string]string{pinUser: f.ID}
	status := f.Status
	if f.gone {
		status = "gone (404)"
	}
	f.seen = []ledger.Fact{{What: "user " + f.ID + " status", Value: status}, {What: "user " + f.ID + " found by", Value: f.by}}
	return f, nil
}

// control reads the user once for an attempt whose end does not depend on the user's status: that the user is there is
// what makes an empty listing mean something. Whether the user is protected is asked each time.
func (u *oktaUser) control(ctx context.Context) (foundUser, error) {
	if u.found == nil {
		f, err := u.find(ctx)
		if err == nil {
			u.found = &f
		}
		return f, err
	}
	if err := u.all.spare(u.found.ID, true, oktaNames(u.found.User)); err != nil {
		return foundUser{}, err
	}
	again := *u.found
	again.seen = slices.Clone(again.seen)
	return again, nil
}

// forget has the next control read the user.
func (u *oktaUser) forget() { u.found = nil }

// spareOwner refuses the account that made the API token of this connection: the token dies with it, and with the token
// everything that is still to be done here (vendor page create-an-api-token).
func (u *oktaUser) spareOwner(ctx context.Context, id string) error {
	owner, err := u.client.Owner(ctx)
	if err != nil || owner != id {
		return err
	}
	return protectedError("user "+id, "who made the API token of this connection",
		"protected principal: nothing at this connection works without that account; have the connection sign in as a service app first, then send the event anew")
}

// resolve finds the user by the identifiers of the event, the surest first, and refuses one that contradicts them.
func (u *oktaUser) resolve(ctx context.Context) (foundUser, error) {
	for _, try := range []struct {
		by, value string
		find      func(context.Context, string) ([]okta.User, error)
	}{
		{"okta_id", u.ref.OktaID, u.byID},
		{"login", u.ref.Login, u.byLogin},
		{"email", u.ref.Email, u.byEmail},
		{"employee_number", u.ref.EmployeeNumber, u.byNumber},
	} {
		if strings.TrimSpace(try.value) == "" {
			continue
		}
		users, err := try.find(ctx, try.value)
		if err != nil {
			return foundUser{}, err
		}
		users = living(users)
		switch {
		case len(users) > 1:
			return foundUser{}, advise(fmt.Errorf("%d users have this %s", len(users), try.by),
				"send the event with okta_id or login, which are unique")
		case len(users) == 1:
			return foundUser{User: users[0], by: try.by}, u.agrees(ctx, users[0], try.by)
		case try.by == "okta_id":
			return foundUser{}, advise(errors.New("no user has this okta_id"), "check the okta_id and the connection in the event")
		}
	}
	return foundUser{}, advise(errors.New("no user has any of these identifiers"),
		"check the identifiers in the event, and that the person belongs to this org")
}

// living leaves out deprovisioned users beside a single other: an address that was given to someone again names that
// one.
func living(users []okta.User) []okta.User {
	var live []okta.User
	for _, u := range users {
		if u.Status != okta.UserDeprovisioned {
			live = append(live, u)
		}
	}
	if len(live) == 1 {
		return live
	}
	return users
}

// agrees refuses a user who was found by a name that can be given anew, and who need not be who is meant: of whom another
// identifier of the event is not true, or who has no employee number while somebody else has that of the event.
func (u *oktaUser) agrees(ctx context.Context, found okta.User, by string) error {
	if err := u.contradiction(found, by); err != nil {
		return err
	}
	number := strings.TrimSpace(u.ref.EmployeeNumber)
	if by == "okta_id" || number == "" || found.Profile.EmployeeNumber != "" {
		return nil
	}
	holders, err := u.byNumber(ctx, number)
	if err != nil || len(holders) == 0 {
		return err
	}
	return advise(fmt.Errorf("the user %s, found by %s, has no employee_number, and another user has that of the event", found.ID, by),
		"find out who is meant: the "+by+" may have been given to someone else since; give each account its employee_number, or send the event with okta_id")
}

// contradiction refuses a user of whom another identifier of the event is not true: a search goes on to the next
// identifier when one finds nobody, and who is found then need not be who is meant. An e-mail that is the user's login
// is theirs, whatever the profile says is their e-mail: the login is unique.
func (u *oktaUser) contradiction(found okta.User, by string) error {
	has := oktaNames(found)
	if events.Normalize(events.Email, u.ref.Email) == events.Normalize(events.Login, has.Login) {
		has.Email = u.ref.Email
	}
	return contradicts(found.ID, by, u.ref, has)
}

// oktaNames are the identifiers of a user at Okta.
func oktaNames(u okta.User) events.UserRef {
	p := u.Profile
	return events.UserRef{OktaID: u.ID, EmployeeNumber: p.EmployeeNumber, Email: p.Email, Login: p.Login}
}

func (u *oktaUser) byID(ctx context.Context, id string) ([]okta.User, error) {
	found, err := u.client.GetUser(ctx, id)
	if missing(err) {
		return nil, nil
	}
	if err == nil && found.ID != id {
		return nil, permanent("okta.getUser", errors.New("the reply is about another user"))
	}
	return []okta.User{found}, err
}

// byLogin reads by login, which is unique. A short login would find someone too: only the whole one counts.
func (u *oktaUser) byLogin(ctx context.Context, login string) ([]okta.User, error) {
	if strings.Contains(login, "/") {
		return u.client.FindUsers(ctx, okta.ByLogin, login)
	}
	found, err := u.client.GetUser(ctx, login)
	switch {
	case missing(err):
		return nil, nil
	case err == nil && !strings.EqualFold(found.Profile.Login, strings.TrimSpace(login)):
		return nil, nil
	}
	return []okta.User{found}, err
}

// byEmail searches by e-mail, and then reads by it as a login, which it mostly is.
func (u *oktaUser) byEmail(ctx context.Context, email string) ([]okta.User, error) {
	found, err := u.client.FindUsers(ctx, okta.ByEmail, email)
	if err != nil || len(found) > 0 {
		return found, err
	}
	return u.byLogin(ctx, email)
}

func (u *oktaUser) byNumber(ctx context.Context, number string) ([]okta.User, error) {
	return u.client.FindUsers(ctx, okta.ByEmployeeNumber, number)
}

// advise makes err permanent and says what a person should do about it.
func advise(err error, advice string) error {
	return &apiclient.Error{Cause: apiclient.Permanent, Err: advised{error: err, advice: advice}}
}

// missing reports whether a read says that its target is not there.
func missing(err error) bool { return apiclient.IsStatus(err, http.StatusNotFound) }
