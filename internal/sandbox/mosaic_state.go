package sandbox

import (
	"encoding/json"
	"maps"
	"time"
)

// MosaicClient is a client of the Mosaic app, without its secrets.
type MosaicClient struct {
	ID          string                     `json:"client_id"`
	Name        string                     `json:"name"`
	Description string                     `json:"description,omitempty"`
	Protocol    string                     `json:"authentication_protocol"`
	Resources   []string                   `json:"resources"`
	Created     time.Time                  `json:"created_at"`
	Updated     time.Time                  `json:"updated_at"`
	Fields      map[string]json.RawMessage `json:"fields"` // all that was set, role_ids and its like included
	Secrets     int                        `json:"secrets"`
}

// mosaicClient is a stored client. Fields are as they were sent, with defaults.
type mosaicClient struct {
	id      string
	secrets []mosaicSecret // at most two; the first is shown as client_secret
	fields  map[string]json.RawMessage
	created time.Time
	updated time.Time
	seq     int
}

type mosaicSecret struct {
	id    string
	value string
}

func (m *mosaicClient) number() int { return m.seq }

// text is a field that holds a string.
func (m *mosaicClient) text(field string) string {
	var s string
	_ = json.Unmarshal(m.fields[field], &s) // absent or of another type: empty
	return s
}

// mosaicState is the app.
type mosaicState struct {
	seq     int
	appID   string
	tenant  string
	clients map[string]*mosaicClient
}

func newMosaicState(ids *idSource) *mosaicState {
	return &mosaicState{appID: ids.secret("mosaic-app")[:20], tenant: ids.secret("mosaic-tenant")[:20], clients: map[string]*mosaicClient{}}
}

func (s *mosaicState) clone() *mosaicState {
	c := *s
	c.clients = maps.Clone(s.clients)
	return &c
}

// adopt adds a client that the app began with.
func (s *mosaicState) adopt(key MosaicKey, name string, at time.Time) {
	fields := map[string]json.RawMessage{"name": jsonOf(name), "redirect_uris": jsonOf([]string{})}
	withDefaults(fields)
	s.seq++
	s.clients[key.ClientID] = &mosaicClient{
		id: key.ClientID, secrets: []mosaicSecret{{"default", key.ClientSecret}}, fields: fields,
		created: at, updated: at, seq: s.seq,
	}
}

// jsonOf encodes a value that cannot fail to encode.
func jsonOf(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("sandbox: encode: " + err.Error())
	}
	return b
}

// MosaicClientSpec describes a client to add. Fields are further fields as the
// API takes them.
type MosaicClientSpec struct {
	Name         string
	Description  string
	RedirectURIs []string
	Fields       map[string]any
}

// AddMosaicClient adds a client to the app and returns its key.
func (sb *Sandbox) AddMosaicClient(spec MosaicClientSpec) MosaicKey {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	fields := map[string]json.RawMessage{"name": jsonOf(spec.Name), "redirect_uris": jsonOf(append([]string{}, spec.RedirectURIs...))}
	if spec.Description != "" {
		fields["description"] = jsonOf(spec.Description)
	}
	for k, v := range spec.Fields {
		fields[k] = jsonOf(v)
	}
	m := sb.newMosaicClient(fields)
	sb.live.mosaic.clients[m.id] = m
	return MosaicKey{ClientID: m.id, ClientSecret: m.secrets[0].value}
}

// newMosaicClient makes a client that no list shows yet.
func (sb *Sandbox) newMosaicClient(fields map[string]json.RawMessage) *mosaicClient {
	withDefaults(fields)
	s, now := sb.live.mosaic, sb.now()
	s.seq++
	return &mosaicClient{
		id: sb.ids.uuid("mosaic-client"), fields: fields, created: now, updated: now, seq: s.seq,
		secrets: []mosaicSecret{{sb.ids.uuid("mosaic-secret-id"), sb.ids.uuid("mosaic-secret")}},
	}
}
