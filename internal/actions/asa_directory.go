package actions

import (
	"context"
	"strings"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/asa"
)

// directory is the users of an ASA team by e-mail, which the API cannot be asked for: a listing of everybody, that begins
// after the action came and serves all that wait for one. An older one would not show whom the e-mail was given to since:
// of two who have it nobody is chosen.
type directory struct {
	listed time.Time // when its listing began
	users  int       // listed
	mail   map[string][]asa.User
}

// of gives the users with an e-mail.
func (d directory) of(email string) []asa.User { return d.mail[mailKey(email)] }

func mailKey(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// anew lists the directory as it is from now on, together with all others who want that.
func (c Clients) anew(ctx context.Context) (directory, error) {
	return fresh(ctx, c.share(), "users", c.listUsers)
}

// listUsers lists a directory.
func (c Clients) listUsers(ctx context.Context) (directory, error) {
	d := directory{listed: c.now(), mail: map[string][]asa.User{}}
	all, err := apiclient.Gather(c.ASA.ListUsers(ctx, asa.ListUsersOptions{}))
	if err != nil {
		return d, err
	}
	d.users = len(all)
	for _, u := range all {
		if key := mailKey(u.Details.Email); key != "" {
			d.mail[key] = append(d.mail[key], u)
		}
	}
	return d, nil
}
