package sandbox

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

// unreadFields are accepted by create and update and missing from the response
// schema: nobody can read them back.
func unreadFields() []string {
	return []string{"role_ids", "is_third_party", "allowed_scopes", "consent_uri", "consent_validity_period"}
}

// mosaicView is a client as every answer shows it, secret included.
func (c *call) mosaicView(m *mosaicClient, fresh bool) map[string]json.RawMessage {
	v := maps.Clone(m.fields)
	for _, f := range unreadFields() {
		delete(v, f)
	}
	s := c.w.mosaic
	v["app_id"], v["tenant_id"], v["client_id"] = jsonOf(s.appID), jsonOf(s.tenant), jsonOf(m.id)
	v["created_at"], v["updated_at"] = jsonOf(m.created.UTC().Format(time.RFC3339)), jsonOf(m.updated.UTC().Format(time.RFC3339))
	secret := m.secrets[0].value
	if c.sb.opt.Mosaic.MaskSecrets && !fresh {
		secret = "********"
	}
	v["client_secret"] = jsonOf(secret)
	return v
}

// mosaicCreate is not idempotent: names may repeat, and a repeat makes another
// client.
func mosaicCreate(c *call) reply {
	fields, refused := mosaicFields(c, true)
	if refused != nil {
		return *refused
	}
	if refused := c.entityTaken(fields, ""); refused != nil {
		return *refused
	}
	m := c.sb.newMosaicClient(fields)
	s := c.w.mosaic
	c.change("mosaic.client.created "+m.id, func() { s.clients[m.id] = m })
	return reply{status: http.StatusCreated, body: c.mosaicView(m, true)}
}

// entityTaken is the 409 of two clients with one sp_entity_id. What else may
// collide is not published.
func (c *call) entityTaken(fields map[string]json.RawMessage, self string) *reply {
	entity := (&mosaicClient{fields: fields}).text("sp_entity_id")
	if entity == "" {
		return nil
	}
	for id, m := range c.w.mosaic.clients {
		if id != self && m.text("sp_entity_id") == entity {
			return refuse(reply{status: http.StatusConflict, body: mosaicFault{
				Message: "Identifier is taken", ErrorCode: http.StatusConflict, TSError: "identifier_is_taken",
			}})
		}
	}
	return nil
}

// mosaicList is a plain array of everything.
func mosaicList(c *call) reply {
	views := []map[string]json.RawMessage{}
	for _, m := range ordered(c.w.mosaic.clients) {
		views = append(views, c.mosaicView(m, false))
	}
	return reply{status: http.StatusOK, body: views}
}

func (c *call) mosaicClient() (*mosaicClient, *reply) {
	m := c.w.mosaic.clients[c.param(0)]
	if m == nil {
		return nil, refuse(reply{status: http.StatusNotFound, body: mosaicFault{Message: "Client not found", ErrorCode: http.StatusNotFound}})
	}
	return m, nil
}

func mosaicGet(c *call) reply {
	m, refused := c.mosaicClient()
	if refused != nil {
		return *refused
	}
	return reply{status: http.StatusOK, body: c.mosaicView(m, false)}
}

// mosaicUpdate replaces the fields that are sent, objects as a whole, and keeps
// the others.
func mosaicUpdate(c *call) reply {
	m, refused := c.mosaicClient()
	if refused != nil {
		return *refused
	}
	sent, refused := mosaicFields(c, false)
	if refused != nil {
		return *refused
	}
	if refused := c.entityTaken(sent, m.id); refused != nil {
		return *refused
	}
	return c.mosaicReplace(m, sent)
}

// mosaicSetResources replaces the list; it is called resource_ids here and
// resources everywhere else.
func mosaicSetResources(c *call) reply {
	m, refused := c.mosaicClient()
	if refused != nil {
		return *refused
	}
	var in struct {
		IDs []string `json:"resource_ids"`
	}
	if err := json.Unmarshal(c.body, &in); err != nil || in.IDs == nil {
		return mosaicInvalid([]string{"resource_ids must be an array"})
	}
	return c.mosaicReplace(m, map[string]json.RawMessage{"resources": jsonOf(in.IDs)})
}

// mosaicReplace stores a client with some fields changed. If none differs there
// is no effect.
func (c *call) mosaicReplace(m *mosaicClient, sent map[string]json.RawMessage) reply {
	next := *m
	next.fields = maps.Clone(m.fields)
	changed := false
	for k, v := range sent {
		changed = changed || !slices.Equal(next.fields[k], v)
		next.fields[k] = v
	}
	if changed {
		next.updated = c.now
		s := c.w.mosaic
		c.change("mosaic.client.updated "+m.id, func() { s.clients[m.id] = &next })
	}
	return reply{status: http.StatusOK, body: c.mosaicView(&next, false)}
}

func mosaicDelete(c *call) reply {
	m, refused := c.mosaicClient()
	if refused != nil {
		return *refused
	}
	c.mosaicDeleted(m.id)
	return noContent()
}

// mosaicDeleteAll deletes every client of the app, the caller's own too: nobody
// can speak for the app afterwards.
func mosaicDeleteAll(c *call) reply {
	for _, m := range ordered(c.w.mosaic.clients) {
		c.mosaicDeleted(m.id)
	}
	return noContent()
}

func (c *call) mosaicDeleted(id string) {
	s := c.w.mosaic
	c.change("mosaic.client.deleted "+id, func() { delete(s.clients, id) })
}

// mosaicAddSecret makes a second secret; a client has at most two.
func mosaicAddSecret(c *call) reply {
	m, refused := c.mosaicClient()
	if refused != nil {
		return *refused
	}
	if len(m.secrets) >= 2 {
		return mosaicInvalid([]string{"a client has at most two active secrets"})
	}
	secret := mosaicSecret{c.sb.ids.uuid("mosaic-secret-id"), c.sb.ids.uuid("mosaic-secret")}
	next := *m
	next.secrets = append(slices.Clone(m.secrets), secret)
	s := c.w.mosaic
	c.change("mosaic.secret.created "+secret.id, func() { s.clients[m.id] = &next })
	return reply{status: http.StatusCreated, body: map[string]string{
		"id": secret.id, "client_secret": secret.value, "created_at": c.now.UTC().Format(time.RFC3339),
	}}
}
