package asa

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/secret"
)

// tokenEarly is the most that a token is renewed before its end, less at random: the vendor's own client does so,
// and many workers must not come at once.
const tokenEarly = 2 * time.Minute

// key is the body of the token exchange. It marshals its secret, and so is made here alone and goes nowhere else.
type key struct {
	id     string
	secret secret.Value
}

// MarshalJSON writes the body that the API wants.
func (k key) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"key_id": k.id, "key_secret": k.secret.Reveal()})
}

// grant is the reply of the token exchange.
type grant struct {
	BearerToken secret.Value `json:"bearer_token"`
	ExpiresAt   time.Time    `json:"expires_at"`
	TeamName    string       `json:"team_name"`
}

// tokens makes the token source of a service user. Its token may end at any time: a 401 fetches another.
//
//	POST /v1/teams/{team_name}/service_token {key_id, key_secret}  200 {bearer_token, expires_at, team_name}; no role, no token
func tokens(o Options, base *url.URL, w apiclient.Wiring) *apiclient.Tokens {
	const op = "asa.serviceToken"
	fetch := func(ctx context.Context) (apiclient.Token, error) {
		asked := w.Now()
		r, err := apiclient.TokenEndpoint(base, budget(w.Rand), w).Do(ctx, apiclient.Request{
			Op: op, Method: http.MethodPost, Path: []string{"service_token"},
			JSON: key{id: o.ServiceUser.KeyID, secret: o.ServiceUser.KeySecret},
		})
		if err != nil {
			return apiclient.Token{}, err
		}
		var g grant
		if err := r.Decode(&g); err != nil {
			return apiclient.Token{}, r.Unreadable(op, err)
		}
		if !apiclient.HeaderSafe(g.BearerToken.Reveal()) {
			return apiclient.Token{}, r.Unreadable(op, errors.New("no bearer token"))
		}
		if !strings.EqualFold(g.TeamName, o.Team) {
			return apiclient.Token{}, &apiclient.Error{Op: op, Status: r.Status, Cause: apiclient.Denied,
				RequestID: r.RequestID, Err: errors.New("the key belongs to another team")}
		}
		token := apiclient.Token{Scheme: "Bearer", Value: g.BearerToken}
		token.Early = time.Duration(w.Rand() * float64(tokenEarly))
		// The end is told by the server's clock: its distance counts, not its place on ours.
		if date, ok := apiclient.Date(r.Header); ok && g.ExpiresAt.After(date) {
			token.Expires = asked.Add(g.ExpiresAt.Sub(date))
		}
		return token, nil
	}
	return &apiclient.Tokens{Fetch: fetch, Now: w.Now}
}
