package okta_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/secret"
)

// gate notes what it is asked and told.
type gate struct{ log []string }

func (g *gate) Admit(_ context.Context, bucket string) error {
	g.log = append(g.log, bucket)
	return nil
}

func (g *gate) Learn(bucket string, b apiclient.Budget) {
	g.log = append(g.log, fmt.Sprintf("%d/%d in %v", b.Remaining, b.Limit, b.Reset))
}

func collect[T any](seq func(func(T, error) bool)) error {
	_, err := apiclient.Collect(seq)
	return err
}

// TestOperations makes every call once and compares it with the vendor's reference.
func TestOperations(t *testing.T) {
	const v1 = "/api/v1"
	ctx := t.Context()
	must := func(requestID string, err error) error {
		if err == nil && requestID != "req-1" {
			err = errors.New("no request id")
		}
		return err
	}
	tests := []struct {
		call   func(c *okta.Client) error
		body   string
		want   string // method and path with query, below /api/v1
		bucket string
	}{
		{func(c *okta.Client) error { _, err := c.GetUser(ctx, "jo+x@acme.example"); return err }, `{"id":"00u1"}`,
			"GET /users/jo+x@acme.example", v1 + "/users/{id}"},
		{func(c *okta.Client) error { _, err := c.GetUser(ctx, "a%b ü"); return err }, `{"id":"00u1"}`,
			"GET /users/a%25b%20%C3%BC", v1 + "/users/{id}"},
		{func(c *okta.Client) error { _, err := c.FindUsers(ctx, okta.ByEmployeeNumber, "E 1&2"); return err }, `[]`,
			"GET /users?limit=200&search=profile.employeeNumber+eq+%22E+1%262%22", v1 + "/users"},
		{func(c *okta.Client) error { return must(c.SuspendUser(ctx, "00u1")) }, `{}`, "POST /users/00u1/lifecycle/suspend", v1 + "/users"},
		{func(c *okta.Client) error { return must(c.UnsuspendUser(ctx, "00u1")) }, `{}`, "POST /users/00u1/lifecycle/unsuspend", v1 + "/users"},
		{func(c *okta.Client) error { return must(c.DeactivateUser(ctx, "00u1", false)) }, `{}`, "POST /users/00u1/lifecycle/deactivate?sendEmail=false", v1 + "/users"},
		{func(c *okta.Client) error {
			return must(c.RevokeUserSessions(ctx, "00u1", okta.SessionOptions{OAuthTokens: true}))
		}, ``,
			"DELETE /users/00u1/sessions?forgetDevices=false&oauthTokens=true", v1 + "/users"},
		{func(c *okta.Client) error { return collect(c.ListUserClients(ctx, "00u1")) }, `[]`, "GET /users/00u1/clients", v1 + "/users"},
		{func(c *okta.Client) error { return collect(c.ListUserTokens(ctx, "00u1", "0oa1", okta.TokenOptions{})) }, `[]`,
			"GET /users/00u1/clients/0oa1/tokens?limit=200", v1 + "/users"},
		{func(c *okta.Client) error {
			return collect(c.ListUserTokens(ctx, "00u1", "0oa1", okta.TokenOptions{Expand: true, Limit: -1}))
		}, `[]`,
			"GET /users/00u1/clients/0oa1/tokens?expand=scope&limit=200", v1 + "/users"},
		{func(c *okta.Client) error { _, err := c.GetUserToken(ctx, "00u1", "0oa1", "oar1", true); return err }, `{"id":"oar1"}`,
			"GET /users/00u1/clients/0oa1/tokens/oar1?expand=scope", v1 + "/users"},
		{func(c *okta.Client) error { return must(c.RevokeUserToken(ctx, "00u1", "0oa1", "oar1")) }, ``, "DELETE /users/00u1/clients/0oa1/tokens/oar1", v1 + "/users"},
		{func(c *okta.Client) error { return must(c.RevokeUserTokens(ctx, "00u1", "0oa1")) }, ``, "DELETE /users/00u1/clients/0oa1/tokens", v1 + "/users"},
		{func(c *okta.Client) error {
			return collect(c.ListUserGrants(ctx, "00u1", okta.GrantOptions{ScopeID: "scp1", Limit: 7}))
		}, `[]`,
			"GET /users/00u1/grants?limit=7&scopeId=scp1", v1 + "/users"},
		{func(c *okta.Client) error { return must(c.RevokeUserGrants(ctx, "00u1")) }, ``, "DELETE /users/00u1/grants", v1 + "/users"},
		{func(c *okta.Client) error {
			return collect(c.ListUserClientGrants(ctx, "00u1", "0oa1", okta.GrantOptions{ScopeID: "x", Expand: true}))
		}, `[]`,
			"GET /users/00u1/clients/0oa1/grants?expand=scope&limit=200", v1 + "/users"},
		{func(c *okta.Client) error { return must(c.RevokeUserClientGrants(ctx, "00u1", "0oa1")) }, ``, "DELETE /users/00u1/clients/0oa1/grants", v1 + "/users"},
		{func(c *okta.Client) error { return collect(c.ListAuthServers(ctx)) }, `[]`, "GET /authorizationServers?limit=200", v1},
		{func(c *okta.Client) error { return collect(c.ListAuthServerClients(ctx, "default")) }, `[]`, "GET /authorizationServers/default/clients", v1},
		{func(c *okta.Client) error {
			return collect(c.ListAuthServerTokens(ctx, "default", "0oa1", okta.TokenOptions{Limit: 201}))
		}, `[]`,
			"GET /authorizationServers/default/clients/0oa1/tokens?limit=200", v1},
		{func(c *okta.Client) error {
			_, err := c.GetAuthServerToken(ctx, "default", "0oa1", "oar1", false)
			return err
		}, `{"id":"oar1"}`,
			"GET /authorizationServers/default/clients/0oa1/tokens/oar1", v1},
		{func(c *okta.Client) error { return must(c.RevokeAuthServerToken(ctx, "default", "0oa1", "oar1")) }, ``, "DELETE /authorizationServers/default/clients/0oa1/tokens/oar1", v1},
		{func(c *okta.Client) error { return must(c.RevokeAuthServerTokensOfAllUsers(ctx, "default", "0oa1")) }, ``, "DELETE /authorizationServers/default/clients/0oa1/tokens", v1},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			got := ""
			g := &gate{}
			c := newClient(t, roundTrip(func(r *http.Request) canned {
				got = r.Method + " " + strings.TrimPrefix(r.URL.RequestURI(), v1)
				if r.Header.Get("Authorization") != "SSWS "+mark || r.Header.Get("User-Agent") != "keyturn/dev" {
					t.Errorf("headers %v", r.Header)
				}
				status := 200
				if tt.body == "" {
					status = 204
				}
				return canned{status: status, body: tt.body}
			})).WithGate(g)
			if err := tt.call(c); err != nil || got != tt.want {
				t.Errorf("sent %s, %v", got, err)
			}
			if diff := cmp.Diff([]string{tt.bucket, "599/600 in 48s"}, g.log); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCallsThatAreRefused(t *testing.T) {
	c := newClient(t, roundTrip(func(r *http.Request) canned {
		t.Errorf("%s %s was sent", r.Method, r.URL)
		return canned{status: 200, body: "{}"}
	}))
	ctx := t.Context()
	second := func(_ string, err error) error { return err }
	for name, err := range map[string]error{
		"no user":        second(c.SuspendUser(ctx, "")),
		"own user":       second(c.RevokeUserSessions(ctx, "Me", okta.SessionOptions{})),
		"own clients":    collect(c.ListUserClients(ctx, "me")),
		"no client":      second(c.RevokeUserTokens(ctx, "00u1", "")),
		"no token":       second(c.RevokeUserToken(ctx, "00u1", "0oa1", "")),
		"no server":      second(c.RevokeAuthServerTokensOfAllUsers(ctx, "", "0oa1")),
		"no client here": second(c.RevokeAuthServerToken(ctx, "default", "", "oar1")),
		"dots":           second(c.RevokeAuthServerToken(ctx, "default", "0oa1", "..")),
		"slash login":    func() error { _, err := c.GetUser(ctx, "ad/jo"); return err }(),
		"empty search":   func() error { _, err := c.FindUsers(ctx, okta.ByEmail, " "); return err }(),
		"quote":          func() error { _, err := c.FindUsers(ctx, okta.ByEmail, `a" or profile.login pr "`); return err }(),
	} {
		if err == nil || apiclient.CauseOf(err) != apiclient.Permanent {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestFindUsersKeepsStrangersOut(t *testing.T) {
	c := newClient(t, roundTrip(func(*http.Request) canned {
		return canned{status: 200, body: `[
			{"id":"1","profile":{"email":"Jo@acme.example","login":"jo","employeeNumber":"e1"}},
			{"id":"2","profile":{"email":"jo@acme.example.org","login":"JO","employeeNumber":"E1"}},
			{"id":"3","profile":{}}]`}
	}))
	for field, want := range map[okta.UserField]string{okta.ByEmail: "1", okta.ByLogin: "12", okta.ByEmployeeNumber: "1"} {
		value := map[okta.UserField]string{okta.ByEmail: "jo@acme.example", okta.ByLogin: "jo", okta.ByEmployeeNumber: "e1"}[field]
		users, err := c.FindUsers(t.Context(), field, value)
		got := ""
		for _, u := range users {
			got += u.ID
		}
		if err != nil || got != want {
			t.Errorf("%s: %s, %v", field, got, err)
		}
	}
}

func TestRefreshTokenReadsBothSpellings(t *testing.T) {
	when := time.Date(2025, 11, 21, 10, 0, 0, 123e6, time.UTC)
	want := okta.RefreshToken{
		ID: "oar1", Status: "ACTIVE", ClientID: "0oa1", UserID: "00u1", Issuer: "https://acme.okta.example/oauth2/default",
		Scopes: []string{"offline_access"}, Created: when, ExpiresAt: when, ScopeDetails: []okta.Scope{{ID: "scp1", Name: "offline_access"}},
	}
	const rest = `"id":"oar1","status":"ACTIVE","issuer":"https://acme.okta.example/oauth2/default","scopes":["offline_access"],
		"created":"2025-11-21T10:00:00.123Z","lastUpdated":null,"expiresAt":"2025-11-21T10:00:00.123Z","newField":{"x":[1]},
		"_embedded":{"scopes":[{"id":"scp1","name":"offline_access","_links":{}}]},"_links":{}`
	for _, names := range []string{`"clientId":"0oa1","userId":"00u1"`, `"client_id":"0oa1","user_id":"00u1","client_uri":"null,"`} {
		c := newClient(t, roundTrip(func(*http.Request) canned { return canned{status: 200, body: "{" + names + "," + rest + "}"} }))
		got, err := c.GetAuthServerToken(t.Context(), "default", "0oa1", "oar1", true)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	for status, live := range map[string]bool{"ACTIVE": true, "REVOKED": false, "": true, "DORMANT": true} {
		if got := (okta.RefreshToken{Status: status}).Live(); got != live {
			t.Errorf("a %q token is live: %v", status, got)
		}
	}
}

func TestStaleCursorStartsOver(t *testing.T) {
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.Header().Set("X-Okta-Request-Id", "req-1")
		link := func(query, rel string) {
			w.Header().Add("Link", "<http://"+r.Host+"/api/v1/users/00u1/clients/0oa1/tokens?"+query+`>; rel="`+rel+`"`)
		}
		switch {
		case calls == 2:
			fault(400, "E0000031").write(w)
		case r.FormValue("after") == "":
			link("limit=200", "self")
			link("after=c1&limit=200", "next")
			_, _ = io.WriteString(w, `[{"id":"oar1"},{"id":"oar2"}]`)
		default:
			link("limit=200", "self")
			_, _ = io.WriteString(w, `[{"id":"oar2"},{"id":"oar3"}]`)
		}
	}))
	defer srv.Close()
	c, err := okta.New(okta.Options{BaseURL: srv.URL, SSWS: secret.New(mark)})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for token, err := range c.ListUserTokens(t.Context(), "00u1", "0oa1", okta.TokenOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		got += token.ID + " "
	}
	if got != "oar1 oar2 oar3 " || calls != 4 {
		t.Errorf("got %safter %d calls", got, calls)
	}
}

func TestNew(t *testing.T) {
	app := &okta.ServiceApp{ClientID: "0oa1", PrivateKey: secret.New(mark), Scopes: []string{"okta.users.manage"}}
	for name, o := range map[string]okta.Options{
		"no credential":  {BaseURL: "https://acme.okta.example"},
		"two":            {BaseURL: "https://acme.okta.example", SSWS: secret.New(mark), ServiceApp: app},
		"plain http":     {BaseURL: "http://acme.okta.example", SSWS: secret.New(mark)},
		"no base":        {SSWS: secret.New(mark)},
		"no key":         {BaseURL: "https://acme.okta.example", ServiceApp: app},
		"no scopes":      {BaseURL: "https://acme.okta.example", ServiceApp: &okta.ServiceApp{ClientID: "0oa1"}},
		"secrets in URL": {BaseURL: "https://u:" + mark + "@acme.okta.example", SSWS: secret.New(mark)},
	} {
		if _, err := okta.New(o); err == nil || strings.Contains(err.Error(), mark) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
