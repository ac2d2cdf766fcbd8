package asa_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/asa"
	"keyturn/internal/secret"
)

const (
	date  = "Fri, 21 Nov 2025 10:00:00 GMT"
	epoch = 1763719200
	mark  = "hunter2-mark" // stands in credentials and bodies, and must stand in no error
)

// team serves the token exchange and hands all else to h. It counts the exchanges.
type team struct {
	*asa.Client
	exchanges int
	reply     string // of the exchange; empty = a good token
}

func newTeam(t *testing.T, h http.HandlerFunc) *team {
	t.Helper()
	tm := &team{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", date)
		w.Header().Set("X-Request-Id", "req-1")
		if r.URL.Path != "/v1/teams/acme/service_token" {
			h(w, r)
			return
		}
		tm.exchanges++
		var key struct{ KeyID, KeySecret string }
		b, _ := io.ReadAll(r.Body)
		if want := `{"key_id":"k1","key_secret":"` + mark + `"}`; string(b) != want || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("exchange %s %+v", b, key)
		}
		if tm.reply != "" {
			_, _ = io.WriteString(w, tm.reply)
			return
		}
		_, _ = fmt.Fprintf(w, `{"bearer_token":"t%d","expires_at":"2025-11-21T11:00:00Z","team_name":"ACME"}`, tm.exchanges)
	}))
	t.Cleanup(srv.Close)
	c, err := asa.New(asa.Options{
		BaseURL: srv.URL, Team: "acme", ServiceUser: asa.ServiceUser{KeyID: "k1", KeySecret: secret.New(mark)},
		Wiring: apiclient.Wiring{Rand: func() float64 { return 0.5 }},
	})
	if err != nil {
		t.Fatal(err)
	}
	tm.Client = c
	return tm
}

func collect[T any](seq func(func(T, error) bool)) error {
	_, err := apiclient.Collect(seq)
	return err
}

func second[T any](_ T, err error) error { return err }

// gate notes what it is asked and told.
type gate struct{ log []string }

func (g *gate) Admit(_ context.Context, bucket string) error {
	g.log = append(g.log, bucket)
	return nil
}

func (g *gate) Learn(_ string, b apiclient.Budget) {
	g.log = append(g.log, fmt.Sprintf("%d/%d in %v", b.Remaining, b.Limit, b.Reset))
}

func TestOperations(t *testing.T) {
	ctx := t.Context()
	tests := []struct {
		call        func(c *asa.Client) error
		reply, want string
	}{
		{func(c *asa.Client) error { return collect(c.ListClients(ctx, asa.ListClientsOptions{All: true})) }, `{"list":[]}`, "GET /clients?all=true"},
		{func(c *asa.Client) error {
			return collect(c.ListClients(ctx, asa.ListClientsOptions{
				Username: "Jo C.", State: asa.Active, Count: 7, Descending: true, Offset: "o1", Prev: true,
			}))
		}, `{"list":null}`, "GET /clients?count=7&descending=true&offset=o1&prev=true&state=ACTIVE&username=Jo+C."},
		{func(c *asa.Client) error { return second(c.GetClient(ctx, "20dd")) }, `{"id":"20dd"}`, "GET /clients/20dd"},
		{func(c *asa.Client) error { return second(c.RevokeClient(ctx, "20dd")) }, ``, "DELETE /clients/20dd"},
		{func(c *asa.Client) error { return second(c.AssignClient(ctx, "20dd", asa.Active, "jo")) }, ``, `PUT /clients/20dd {"state":"ACTIVE","user_name":"jo"}`},
		{func(c *asa.Client) error {
			return collect(c.ListUsers(ctx, asa.ListUsersOptions{
				Contains: "a", StartsWith: "b", Status: asa.UserActive, IncludeServiceUsers: true, Count: 9}))
		},
			`{"list":[]}`, "GET /users?contains=a&count=9&include_service_users=true&starts_with=b&status=ACTIVE"},
		{func(c *asa.Client) error { return second(c.GetUser(ctx, "jo/c%")) }, `{"name":"jo/c%"}`, "GET /users/jo%2Fc%25"},
		{func(c *asa.Client) error { return second(c.FindUsers(ctx, "jo@acme.example")) }, `{"list":[]}`, "GET /users"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			got, g := "", &gate{}
			c := newTeam(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				got = strings.TrimSpace(r.Method + " " + strings.TrimPrefix(r.RequestURI, "/v1/teams/acme") + " " + string(b))
				if r.Header.Get("Authorization") != "Bearer t1" {
					t.Errorf("headers %v", r.Header)
				}
				if len(b) > 0 != (r.Header.Get("Content-Type") == "application/json") {
					t.Errorf("content type %q", r.Header.Get("Content-Type"))
				}
				w.Header().Set("X-RateLimit-Limit", "100")
				w.Header().Set("X-RateLimit-Remaining", "99")
				w.Header().Set("X-RateLimit-Reset", fmt.Sprint(epoch+30))
				if tt.reply == "" {
					w.WriteHeader(204)
				}
				_, _ = io.WriteString(w, tt.reply)
			})
			if err := tt.call(c.WithGate(g)); err != nil || got != tt.want {
				t.Errorf("sent %s, %v", got, err)
			}
			if diff := cmp.Diff([]string{"/v1", "99/100 in 30s"}, g.log); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCallsThatAreRefused(t *testing.T) {
	c := newTeam(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s was sent", r.RequestURI) })
	ctx := t.Context()
	for name, err := range map[string]error{
		"nobody's devices":    collect(c.ListClients(ctx, asa.ListClientsOptions{})),
		"blank user":          collect(c.ListClients(ctx, asa.ListClientsOptions{Username: " "})),
		"both":                collect(c.ListClients(ctx, asa.ListClientsOptions{All: true, Username: "jo"})),
		"no id":               second(c.RevokeClient(ctx, "")),
		"dots":                second(c.RevokeClient(ctx, "..")),
		"assigned to nobody":  second(c.AssignClient(ctx, "20dd", asa.Active, " ")),
		"deleted by a change": second(c.AssignClient(ctx, "20dd", asa.Deleted, "jo")),
		"no e-mail":           second(c.FindUsers(ctx, "")),
		"no name":             second(c.GetUser(ctx, "")),
	} {
		if err == nil || apiclient.CauseOf(err) != apiclient.Permanent {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if c.exchanges != 0 {
		t.Error("a token was fetched for it")
	}
}

func TestDevicesReadAsTheyAreSent(t *testing.T) {
	c := newTeam(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("offset") == "" {
			w.Header().Add("Link", "<http://"+r.Host+`/v1/teams/acme/clients?offset=2&username=Jo>; rel="next"`)
			w.Header().Add("Link", "<http://"+r.Host+`/v1/teams/acme/clients?prev=true&username=Jo>; rel="prev"`)
			_, _ = io.WriteString(w, `{"list":[
				{"id":"1","state":"PENDING","user_name":"jo","hostname":"LightInAugust","os":"macOS 10.14.6","encrypted":true,"description":"Work laptop","deleted_at":null},
				{"id":"2","state":"ACTIVE","user_name":"Jo","deleted_at":"0001-01-01T00:00:00Z","serial":{"new":1}}]}`)
			return
		}
		_, _ = io.WriteString(w, `{"list":[
			{"id":"3","state":"DELETED","user_name":"jo"},
			{"id":"4","state":"ACTIVE","user_name":"jo","deleted_at":"2025-11-21T10:00:00Z"},
			{"id":"5","state":"QUARANTINED","user_name":"jo"}]}`)
	})
	got := ""
	for d, err := range c.ListClients(t.Context(), asa.ListClientsOptions{Username: "jo"}) {
		if err != nil {
			t.Fatal(err)
		}
		if d.ID == "1" && (d.Hostname != "LightInAugust" || !d.Encrypted || d.OS != "macOS 10.14.6" || d.Description != "Work laptop") {
			t.Errorf("device %+v", d)
		}
		if d.Live() {
			got += d.ID
		}
	}
	if got != "125" {
		t.Errorf("live are %s, want 125", got)
	}
}

func TestListingOfOneUserHoldsNoStranger(t *testing.T) {
	for _, list := range []string{`[{"id":"1","user_name":"ann"}]`, `[{"id":"1","user_name":null}]`, `[{"id":"1"}]`} {
		c := newTeam(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"list":`+list+`}`) })
		devices, err := apiclient.Collect(c.ListClients(t.Context(), asa.ListClientsOptions{Username: "jo"}))
		if len(devices) != 0 || err == nil || apiclient.CauseOf(err) != apiclient.Permanent {
			t.Errorf("%s: %v, %v", list, devices, err)
		}
	}
}

func TestListingThatIsNone(t *testing.T) {
	for _, body := range []string{`{}`, `[]`, `null`, mark, `{"list":{}}`, `{"list":[{}]}`, `{"list":"` + mark + `"}`} {
		c := newTeam(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		_, err := apiclient.Collect(c.ListClients(t.Context(), asa.ListClientsOptions{All: true}))
		if err == nil || apiclient.CauseOf(err) != apiclient.Transient || strings.Contains(err.Error(), mark) {
			t.Errorf("%s: error %v", body, err)
		}
	}
}

func TestFindUsersWantsTheExactAddress(t *testing.T) {
	c := newTeam(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"list":[{"name":"jo","details":{"email":"Jo@acme.example"}},{"name":"Jo.C","details":{"email":"jo@acme.example"}},
			{"name":"x","details":{"email":"jo@acme.example.org"}},{"name":"y"},{"name":"z","details":null,"deleted_at":"0001-01-01T00:00:00Z"}]}`)
	})
	users, err := c.FindUsers(t.Context(), "jo@acme.example")
	if err != nil || len(users) != 2 || users[0].Name != "jo" || users[1].Name != "Jo.C" {
		t.Errorf("%+v, %v", users, err)
	}
}

func TestTokenIsRefreshedOnce(t *testing.T) {
	good := "Bearer t2"
	c := newTeam(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != good {
			w.WriteHeader(401)
			_, _ = io.WriteString(w, `{"error":"authentication_error","message":"`+mark+`"}`)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"id": "1"})
	})
	if _, err := c.GetClient(t.Context(), "1"); err != nil || c.exchanges != 2 {
		t.Errorf("%v after %d exchanges", err, c.exchanges)
	}
	good = "none"
	_, err := c.GetClient(t.Context(), "1")
	e, ok := errors.AsType[*apiclient.Error](err)
	if !ok || e.Cause != apiclient.Denied || e.Code != "authentication_error" || strings.Contains(err.Error(), mark) {
		t.Errorf("error %v", err)
	}
}

func TestTokenExchange(t *testing.T) {
	for reply, want := range map[string]apiclient.Cause{
		`{"bearer_token":"t","expires_at":"2025-11-21T11:00:00Z","team_name":"other"}`: apiclient.Denied,
		`{"bearer_token":"t"}`:                                 apiclient.Denied,
		`{"team_name":"acme"}`:                                 apiclient.Transient,
		`{"bearer_token":"` + mark + `\n","team_name":"acme"}`: apiclient.Transient,
		mark: apiclient.Transient,
		`{"bearer_token":"t","expires_at":"` + mark + `","team_name":"acme"}`: apiclient.Transient,
	} {
		c := newTeam(t, func(http.ResponseWriter, *http.Request) { t.Error("a call without a token") })
		c.reply = reply
		err := second(c.GetClient(t.Context(), "1"))
		if err == nil || apiclient.CauseOf(err) != want || strings.Contains(err.Error(), mark) {
			t.Errorf("%s: error %v", reply, err)
		}
	}
}
