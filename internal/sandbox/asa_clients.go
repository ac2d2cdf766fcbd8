package sandbox

import (
	"encoding/json"
	"net/http"
	"time"
)

// asaClientView is a client as the API writes it: null where it has no user and
// is not deleted.
type asaClientView struct {
	DeletedAt   *string `json:"deleted_at"`
	Description string  `json:"description"`
	Encrypted   bool    `json:"encrypted"`
	Hostname    string  `json:"hostname"`
	ID          string  `json:"id"`
	OS          string  `json:"os"`
	State       string  `json:"state"`
	UserName    *string `json:"user_name"`
}

func viewASAClient(d *ASAClient) asaClientView {
	v := asaClientView{
		Description: d.Description, Encrypted: d.Encrypted, Hostname: d.Hostname, ID: d.ID, OS: d.OS, State: d.State,
	}
	if d.DeletedAt != nil {
		at := d.DeletedAt.UTC().Format(time.RFC3339)
		v.DeletedAt = &at
	}
	if d.UserName != "" {
		v.UserName = &d.UserName
	}
	return v
}

// asaListClients lists, in this order of precedence: the clients of the user in
// username, where an empty username means the unassigned ones; with all, those
// of the team; otherwise the caller's own.
func asaListClients(c *call) reply {
	s, refused := asaSpan(c)
	if refused != nil {
		return *refused
	}
	all, ok := boolQuery(c, "all", false)
	state := c.query.Get("state")
	if !ok || !(state == "" || asaClientState(state)) {
		return asaFailure(c, http.StatusBadRequest)
	}
	ids := c.w.asa.userClients[c.who.user]
	if c.query.Has("username") {
		ids = c.w.asa.userClients[c.query.Get("username")]
	} else if all {
		ids = c.w.asa.clientOrder
	}
	page, more := cut(ids, c.w.asa.clients, s, func(d *ASAClient) bool {
		if state != "" {
			return d.State == state
		}
		return d.State != ASADeleted || c.sb.opt.ASA.ListDeleted
	})
	return asaList(c, s, page, more, viewASAClient)
}

func asaClientState(s string) bool { return s == ASAActive || s == ASAPending || s == ASADeleted }

// asaGetClient finds deleted clients too: 200 with deleted_at.
func asaGetClient(c *call) reply {
	d := c.w.asa.clients[c.param(1)]
	if d == nil {
		return asaFailure(c, http.StatusNotFound)
	}
	return reply{status: http.StatusOK, body: viewASAClient(d)}
}

// asaDeleteClient deletes softly. access_user may delete its own clients only;
// a deleted client is 404, or 204 by option.
func asaDeleteClient(c *call) reply {
	d := c.w.asa.clients[c.param(1)]
	switch {
	case d == nil:
		return asaFailure(c, http.StatusNotFound)
	case c.who.role != RoleAccessAdmin && !(c.who.role == RoleAccessUser && d.UserName == c.who.user):
		return *asaNoRole()
	case d.State == ASADeleted && c.sb.opt.ASA.RepeatedDeleteOK:
		return noContent()
	case d.State == ASADeleted:
		return asaFailure(c, http.StatusNotFound)
	}
	c.asaClientBecomes(d, ASADeleted, d.UserName)
	return noContent()
}

// asaPutClient approves, assigns or, by state, deletes.
func asaPutClient(c *call) reply {
	if c.who.role != RoleAccessAdmin {
		return *asaNoRole()
	}
	d := c.w.asa.clients[c.param(1)]
	if d == nil || d.State == ASADeleted {
		return asaFailure(c, http.StatusNotFound)
	}
	in := struct {
		State    string  `json:"state"`
		UserName *string `json:"user_name"`
	}{State: d.State}
	if err := json.Unmarshal(c.body, &in); err != nil || !asaClientState(in.State) {
		return asaFailure(c, http.StatusBadRequest)
	}
	user := d.UserName
	if in.UserName != nil {
		user = *in.UserName
	}
	if u := c.w.asa.users[user]; user != "" && (u == nil || u.Status == ASADeleted) {
		return asaError(http.StatusBadRequest, "invalid_request", "user_name is unknown")
	}
	c.asaClientBecomes(d, in.State, user)
	return noContent()
}

// asaClientBecomes notes what changes: the assignment, then the state.
func (c *call) asaClientBecomes(d *ASAClient, state, user string) {
	s, at := c.w.asa, c.now
	if user != d.UserName {
		c.change("asa.client.assigned "+d.ID, func() {
			next := *s.clients[d.ID]
			next.UserName = user
			s.put(&next)
		})
	}
	if state == d.State {
		return
	}
	verb := map[string]string{ASAActive: "approved", ASAPending: "suspended", ASADeleted: "deleted"}[state]
	c.change("asa.client."+verb+" "+d.ID, func() {
		next := *s.clients[d.ID]
		next.State = state
		if state == ASADeleted {
			next.DeletedAt = &at
		}
		s.put(&next)
	})
}
