package reads

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
)

// ofUser makes a read about one person: whoever is named is resolved to an id first, for the operations below a user
// take nothing else.
func ofUser(read func(ctx context.Context, c *okta.Client, user string, a args) Rows) func(context.Context, Clients, args) Rows {
	return func(ctx context.Context, c Clients, a args) Rows {
		user, err := theUser(ctx, c.Okta, a["user"])
		if err != nil {
			return some[okta.User](nil, err, oktaUser)
		}
		return read(ctx, c.Okta, user.ID, a)
	}
}

// openUser reads a person by whichever identifier was given.
func openUser(ctx context.Context, c Clients, a args) Rows {
	var found []okta.User
	var err error
	by, value := "", ""
	for by, value = range a { // exactly one
		switch by {
		case "id":
			found, err = userBy(ctx, c.Okta, value, func(u okta.User) bool { return u.ID == value })
		case "login":
			found, err = userByLogin(ctx, c.Okta, value)
		case "email":
			found, err = c.Okta.FindUsers(ctx, okta.ByEmail, value)
		case "employee-number":
			found, err = c.Okta.FindUsers(ctx, okta.ByEmployeeNumber, value)
		default:
			var u okta.User
			u, err = theUser(ctx, c.Okta, value)
			found = []okta.User{u}
		}
	}
	if err == nil && len(found) == 0 {
		err = &Fault{Code: NotFound, Message: fmt.Sprintf("no user has the %s %q", strings.ReplaceAll(by, "-", " "), value)}
	}
	return some(found, err, oktaUser)
}

// theUser finds the one person that text names: by id or login, else by e-mail, else by employee number.
func theUser(ctx context.Context, c *okta.Client, text string) (okta.User, error) {
	tries := []func() ([]okta.User, error){
		func() ([]okta.User, error) {
			if strings.Contains(text, "/") {
				return c.FindUsers(ctx, okta.ByLogin, text)
			}
			return userBy(ctx, c, text, func(okta.User) bool { return true })
		},
		func() ([]okta.User, error) {
			if !strings.Contains(text, "@") {
				return nil, nil
			}
			return c.FindUsers(ctx, okta.ByEmail, text)
		},
		func() ([]okta.User, error) { return c.FindUsers(ctx, okta.ByEmployeeNumber, text) },
	}
	for _, try := range tries {
		found, err := try()
		switch {
		case err != nil:
			return okta.User{}, err
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			var ids []string
			for _, u := range found {
				ids = append(ids, u.ID+" ("+u.Status+")")
			}
			return okta.User{}, &Fault{Code: Invalid, Message: fmt.Sprintf("%d users are %q", len(found), text),
				Suggestion: "say which one, by id: " + strings.Join(ids, ", ")}
		}
	}
	return okta.User{}, &Fault{Code: NotFound, Message: fmt.Sprintf("no user has the id, login, e-mail or employee number %q", text)}
}

// userBy reads the user that Okta finds under text, if it is right.
func userBy(ctx context.Context, c *okta.Client, text string, right func(okta.User) bool) ([]okta.User, error) {
	u, err := c.GetUser(ctx, text)
	switch {
	case apiclient.IsStatus(err, http.StatusNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case !right(u):
		return nil, nil
	}
	return []okta.User{u}, nil
}

// userByLogin reads by the whole login. Okta itself would take an unambiguous beginning of it too.
func userByLogin(ctx context.Context, c *okta.Client, login string) ([]okta.User, error) {
	if strings.Contains(login, "/") {
		return c.FindUsers(ctx, okta.ByLogin, login)
	}
	return userBy(ctx, c, login, func(u okta.User) bool { return strings.EqualFold(u.Profile.Login, login) })
}
