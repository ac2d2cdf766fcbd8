package asa

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"keyturn/internal/apiclient"
)

// State of a device. The API may add others: an unknown one is no error, and counts as live.
const (
	Active  = "ACTIVE"
	Pending = "PENDING" // enrolled, not approved yet
	Deleted = "DELETED"
)

// Device is the enrolment of a person's device, the vendor's ASA Client.
type Device struct {
	ID          string    `json:"id"`        // UUID
	UserName    string    `json:"user_name"` // empty = assigned to nobody
	Hostname    string    `json:"hostname"`
	OS          string    `json:"os"`
	Description string    `json:"description"`
	Encrypted   bool      `json:"encrypted"`
	State       string    `json:"state"`
	DeletedAt   time.Time `json:"deleted_at"` // zero = not deleted; the API writes null or year one
}

// Live reports whether the device can still be used, or approved later: everything but a deleted one. The API may
// answer 200 with deleted_at set for what is gone.
func (d Device) Live() bool { return d.State != Deleted && d.DeletedAt.IsZero() }

func deviceID(d Device) string { return d.ID }

// ListClientsOptions chooses devices. Exactly one of All and Username must be set.
type ListClientsOptions struct {
	All        bool   // of the whole team
	Username   string // of one user, by ASA user name; never empty space
	State      string // only this state; empty = whatever the API gives, which is not said
	Count      int    // per page; 0 = the API's default
	Descending bool
	Offset     string // where to start; empty = at the beginning
	Prev       bool   // page backwards
}

// query checks the choice. What would read as another question is refused.
func (o ListClientsOptions) query() (url.Values, error) {
	switch {
	case o.Username != "" && strings.TrimSpace(o.Username) == "":
		return nil, errors.New("a blank user name")
	case o.All == (o.Username != ""):
		return nil, errors.New("a listing is either of one user or of all: without either it shows the caller's own devices")
	}
	q := url.Values{}
	set := func(name, value string, on bool) {
		if on {
			q.Set(name, value)
		}
	}
	set("all", "true", o.All)
	set("username", o.Username, o.Username != "")
	set("state", o.State, o.State != "")
	set("count", strconv.Itoa(o.Count), o.Count > 0)
	set("descending", "true", o.Descending)
	set("offset", o.Offset, o.Offset != "")
	set("prev", "true", o.Prev)
	return q, nil
}

// ListClients lists devices. Filter by state yourself too: which states are left out is not documented. A device of
// another user in the listing of one is an error: acting on it would cut off a stranger.
//
//	GET /v1/teams/{team_name}/clients  200, paged; 400, 401, 403, 404, 429
//	role access_user, access_admin or reporting_user; bucket /v1; a repeat is safe
func (c *Client) ListClients(ctx context.Context, o ListClientsOptions) iter.Seq2[Device, error] {
	const op = "asa.listClients"
	query, err := o.query()
	if err != nil {
		return apiclient.Failed[Device](refuse(op, err.Error()))
	}
	q := apiclient.Request{Op: op, Path: []string{"clients"}, Query: query}
	return func(yield func(Device, error) bool) {
		for d, err := range list(ctx, c, q, deviceID) {
			if err == nil && o.Username != "" && !strings.EqualFold(d.UserName, o.Username) {
				d, err = Device{}, &apiclient.Error{Op: op, Cause: apiclient.Permanent,
					Err: errors.New("the listing of one user holds a device of another")}
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// GetClient reads one device. It may be gone although it is found: see Device.Live.
//
//	GET /v1/teams/{team_name}/clients/{client_id}  200; 401, 403, 404, 429
//	role access_user, access_admin or reporting_user; bucket /v1; a repeat is safe
func (c *Client) GetClient(ctx context.Context, id string) (Device, error) {
	return get(ctx, c, apiclient.Request{Op: "asa.getClient", Path: []string{"clients", id}}, deviceID)
}

// RevokeClient revokes a device's access to the team. One that is gone gives 404 (AlreadyDone): read it to see.
//
//	DELETE /v1/teams/{team_name}/clients/{client_id}  204; 401, 403, 404, 429
//	role access_admin, or access_user for its own devices; bucket /v1; a repeat is safe
func (c *Client) RevokeClient(ctx context.Context, id string) (requestID string, err error) {
	r, err := c.api.Do(ctx, apiclient.Request{Op: "asa.revokeClient", Method: http.MethodDelete, Path: []string{"clients", id}})
	return r.RequestID, err
}

// AssignClient sets state and user of a device: Active approves it. To revoke one use RevokeClient.
//
//	PUT /v1/teams/{team_name}/clients/{client_id} {state, user_name}  204; 400, 401, 403, 404, 429
//	role access_admin (Privileged Access: resource_admin); bucket /v1; a repeat is safe
func (c *Client) AssignClient(ctx context.Context, id, state, userName string) (requestID string, err error) {
	const op = "asa.assignClient"
	if state != Active && state != Pending {
		return "", refuse(op, "a state that is neither ACTIVE nor PENDING")
	}
	if strings.TrimSpace(userName) == "" {
		return "", refuse(op, "an empty user name")
	}
	r, err := c.api.Do(ctx, apiclient.Request{
		Op: op, Method: http.MethodPut, Path: []string{"clients", id},
		JSON: map[string]string{"state": state, "user_name": userName},
	})
	return r.RequestID, err
}
