package events

import "time"

// ClientCompromised is the payload of client.compromised.
type ClientCompromised struct {
	ClientID            string `json:"client_id"`
	AuthorizationServer string `json:"authorization_server,omitempty"` // empty = every one
	Reason              string `json:"reason,omitempty"`
	Extra               Extra  `json:"-"`
}

func (d *ClientCompromised) names() []Identifier  { return one(ClientID, d.ClientID) }
func (d *ClientCompromised) person() []Identifier { return nil }
func (d *ClientCompromised) effective() time.Time { return time.Time{} }

// UnmarshalJSON keeps the members that ClientCompromised does not name.
func (d *ClientCompromised) UnmarshalJSON(b []byte) error {
	type plain ClientCompromised
	return decodeKeeping(b, (*plain)(d), &d.Extra)
}

// MarshalJSON writes the kept members back.
func (d ClientCompromised) MarshalJSON() ([]byte, error) {
	type plain ClientCompromised
	return encodeKeeping(plain(d), d.Extra)
}

// TokenCompromised is the payload of token.compromised. Its principal is the client that holds the token.
type TokenCompromised struct {
	TokenID             string `json:"token_id"` // the id of the refresh token, not the token
	ClientID            string `json:"client_id"`
	AuthorizationServer string `json:"authorization_server"`
	Reason              string `json:"reason,omitempty"`
	Extra               Extra  `json:"-"`
}

func (d *TokenCompromised) names() []Identifier  { return one(ClientID, d.ClientID) }
func (d *TokenCompromised) person() []Identifier { return nil }
func (d *TokenCompromised) effective() time.Time { return time.Time{} }

// UnmarshalJSON keeps the members that TokenCompromised does not name.
func (d *TokenCompromised) UnmarshalJSON(b []byte) error {
	type plain TokenCompromised
	return decodeKeeping(b, (*plain)(d), &d.Extra)
}

// MarshalJSON writes the kept members back.
func (d TokenCompromised) MarshalJSON() ([]byte, error) {
	type plain TokenCompromised
	return encodeKeeping(plain(d), d.Extra)
}

// one is the list of a single identifier; empty when nothing is left of value.
func one(k Kind, value string) []Identifier {
	if id, ok := NewIdentifier(k, value); ok {
		return []Identifier{id}
	}
	return nil
}
