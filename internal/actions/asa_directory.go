package actions

import (
	"context"
	"strings"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/asa"
)

// directory is the users of an ASA team by e-mail, which the API cannot be asked for: a listing of everybody that
// serves many actions. It only says whom to read: whether the user still has the e-mail the reading of that user says.
type directory struct {
	listed time.Time // when its listing began; zero = none was made
	users  int       // listed
	mail   map[string][]asa.User
}

// directoryFor is how long a listing of a team's users serves to find one of them.
const directoryFor = 10 * time.Minute

// of gives the users with an e-mail.
func (d directory) of(email string) []asa.User { return d.mail[mailKey(email)] }

func mailKey(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// known gives the directory of a connection if it is still good.
func (s *Sweeps) known(now time.Time) (directory, bool) {
	if s == nil {
		return directory{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	age := now.Sub(s.people.listed)
	return s.people, !s.people.listed.IsZero() && age >= 0 && age < directoryFor
}

// lately gives the directory of the connection, listed anew if it is not good any more, together with all others who
// want that.
func (c Clients) lately(ctx context.Context) (directory, error) {
	if d, ok := c.Sweeps.known(c.now()); ok {
		return d, nil
	}
	return latest(ctx, c.share(), "users", c.listUsers)
}

// anew lists the directory as it is from now on, together with all others who want that.
func (c Clients) anew(ctx context.Context) (directory, error) {
	return fresh(ctx, c.share(), "users", c.listUsers)
}

// listUsers lists a directory, and keeps it.
func (c Clients) listUsers(ctx context.Context) (directory, error) {
	d := directory{listed: c.now(), mail: map[string][]asa.User{}}
	all, err := apiclient.Collect(c.ASA.ListUsers(ctx, asa.ListUsersOptions{}))
	if err != nil {
		return d, err
	}
	d.users = len(all)
	for _, u := range all {
		if key := mailKey(u.Details.Email); key != "" {
			d.mail[key] = append(d.mail[key], u)
		}
	}
	if c.Sweeps != nil {
		c.Sweeps.mu.Lock()
		c.Sweeps.people = d
		c.Sweeps.mu.Unlock()
	}
	return d, nil
}
