package okta

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"keyturn/internal/apiclient"
)

// owner is who made an API token, once that is known. A token never changes hands.
type owner struct {
	none bool // the credential is a service app: it is nobody's

	mu    sync.Mutex
	known bool
	id    string
}

// Owner gives the id of the user who made the API token that the client signs in with; empty for a service app, and
// where the org does not know. It makes one call in the life of the client.
//
//	getUser  GET /api/v1/users/me  200; 403, 404 E0000007, 429
//	scope okta.users.read; bucket GET /api/v1/users/{id}; a repeat is safe
func (c *Client) Owner(ctx context.Context) (string, error) {
	if c.owner == nil || c.owner.none {
		return "", nil
	}
	c.owner.mu.Lock()
	defer c.owner.mu.Unlock()
	if c.owner.known {
		return c.owner.id, nil
	}
	q := apiclient.Request{Op: "okta.getUser", Path: path("users", "me")}
	r, err := c.api.Do(ctx, q)
	var u User
	switch {
	case apiclient.IsStatus(err, http.StatusNotFound):
	case err != nil:
		return "", err
	default:
		if err = r.Decode(&u); err == nil && u.ID == "" {
			err = errors.New("an object without id")
		}
		if err != nil {
			return "", r.Unreadable(q.Op, err)
		}
	}
	c.owner.id, c.owner.known = u.ID, true
	return u.ID, nil
}
