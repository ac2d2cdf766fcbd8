package sandbox_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/sandbox"
)

const (
	users = "/okta/api/v1/users"
	auth  = "/okta/api/v1/authorizationServers"
)

func TestUserIsFoundByIDLoginShortNameAndSearch(t *testing.T) {
	b := start(t, sandbox.Options{})
	id := b.AddUser(sandbox.UserSpec{Login: "Ada.Berg@acme.example", EmployeeNumber: "1001"})
	b.AddUser(sandbox.UserSpec{Login: "odd/name@acme.example"})
	for _, key := range []string{id, "ada.berg@acme.example", "Ada.Berg%40acme.example", "ada.berg"} {
		var u struct{ ID, Status string }
		a := b.okta(200, "GET", users+"/"+key)
		a.into(t, &u)
		if u.ID != id || u.Status != "ACTIVE" || a.Header.Get("Etag") == "" {
			t.Errorf("GET user %s: %+v", key, u)
		}
	}
	b.okta(200, "GET", users+"/odd%2Fname@acme.example")
	if code := errorCode(t, b.okta(404, "GET", users+"/nobody@acme.example")); code != "E0000007" {
		t.Errorf("unknown user: %s", code)
	}
	for query, want := range map[string][]string{
		`search=profile.employeeNumber+eq+"1001"`:                                   {id},
		`search=profile.employeeNumber+eq+"9"`:                                      {},
		`search=profile.login+eq+"ada.berg@acme.example"+and+status+eq+"ACTIVE"`:    {id},
		`search=profile.email+eq+"ADA.berg@acme.example"+and+status+eq+"SUSPENDED"`: {},
	} {
		if got := ids(t, b.okta(200, "GET", users+"?"+query).body, "id"); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	if code := errorCode(t, b.okta(400, "GET", users+`?search=profile.login+sw+"a"`)); code != "E0000031" {
		t.Errorf("unsupported search: %s", code)
	}
}

func TestUserListLeavesOutDeprovisionedUnlessSearched(t *testing.T) {
	b := start(t, sandbox.Options{})
	in := b.AddUser(sandbox.UserSpec{Login: "a@acme.example"})
	out := b.AddUser(sandbox.UserSpec{Login: "b@acme.example", EmployeeNumber: "7", Status: sandbox.StatusDeprovisioned})
	if got := ids(t, b.okta(200, "GET", users).body, "id"); !slices.Equal(got, []string{in}) {
		t.Errorf("list: %v", got)
	}
	if got := ids(t, b.okta(200, "GET", users+`?search=profile.employeeNumber+eq+"7"`).body, "id"); !slices.Equal(got, []string{out}) {
		t.Errorf("search: %v", got)
	}
	b.okta(200, "GET", users+"/b@acme.example")
}

func TestLifecycle(t *testing.T) {
	b := start(t, sandbox.Options{})
	id := b.AddUser(sandbox.UserSpec{Login: "a@acme.example", Sessions: 2})
	app := b.AddOAuthClient(sandbox.OAuthClientSpec{Name: "Wiki"})
	token := b.AddRefreshToken(id, app, sandbox.DefaultServer)
	act := func(want int, verb string) answer {
		return b.okta(want, "POST", users+"/a@acme.example/lifecycle/"+verb)
	}
	if got := string(act(200, "suspend").body); got != "{}" {
		t.Errorf("suspend body: %s", got)
	}
	s := b.Snapshot().Okta
	if u, _ := s.User(id); u.Status != "SUSPENDED" || len(s.SessionsOf(id)) != 0 || len(s.TokensOf(id)) != 1 {
		t.Errorf("after suspend: %+v", s)
	}
	if code := errorCode(t, act(400, "suspend")); code != "E0000001" {
		t.Errorf("second suspend: %s", code)
	}
	act(200, "unsuspend")
	act(400, "unsuspend")
	act(200, "deactivate")
	if code := errorCode(t, act(404, "deactivate")); code != "E0000007" {
		t.Errorf("second deactivate: %s", code)
	}
	act(400, "suspend")
	if u, _ := b.Snapshot().Okta.User(id); u.Status != "DEPROVISIONED" {
		t.Errorf("after deactivate: %s", u.Status)
	}
	effects := b.Journal().Effects()
	for _, want := range []string{"okta.user.suspended " + id, "okta.user.unsuspended " + id, "okta.user.deactivated " + id, "okta.token.revoked " + token} {
		if n := count(effects, want); n != 1 {
			t.Errorf("%s: %d times", want, n)
		}
	}
}

func count(all []string, want string) (n int) {
	for _, s := range all {
		if s == want {
			n++
		}
	}
	return n
}

func TestSessionsRevokeOnlyWhatIsAsked(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(2)
	leaver := users + "/" + a.Leaver.OktaID
	b.okta(204, "DELETE", leaver+"/sessions?forgetDevices=false")
	s := b.Snapshot().Okta
	if u, _ := s.User(a.Leaver.OktaID); u.RememberedDevices != 1 || len(s.SessionsOf(u.ID)) != 0 || len(s.TokensOf(u.ID)) != 9 {
		t.Errorf("after DELETE sessions without tokens: %+v", u)
	}
	b.okta(204, "DELETE", leaver+"/sessions?oauthTokens=true")
	s = b.Snapshot().Okta
	if u, _ := s.User(a.Leaver.OktaID); u.RememberedDevices != 0 || len(s.TokensOf(u.ID)) != 0 || len(s.GrantsOf(u.ID)) != 4 {
		t.Errorf("after DELETE sessions with tokens: %+v", u)
	}
	for _, p := range a.Staff {
		if got := len(s.TokensOf(p.OktaID)); got != len(p.Tokens) {
			t.Errorf("%s has %d tokens, want %d", p.Login, got, len(p.Tokens))
		}
	}
	before := len(b.Journal().Effects())
	b.okta(204, "DELETE", leaver+"/sessions?oauthTokens=true")
	if after := len(b.Journal().Effects()); after != before {
		t.Errorf("a repeat had %d effects", after-before)
	}
	b.okta(404, "DELETE", users+"/"+a.Leaver.Login+"/sessions")
	b.okta(400, "DELETE", leaver+"/sessions?oauthTokens=perhaps")
}

func TestUserClientsAndTokens(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(0)
	leaver := users + "/" + a.Leaver.OktaID
	if got := ids(t, b.okta(200, "GET", leaver+"/clients").body, "client_id"); !slices.Equal(got, a.Leaver.Clients) {
		t.Fatalf("clients %v, want %v", got, a.Leaver.Clients)
	}
	b.okta(404, "GET", users+"/"+a.Leaver.Login+"/clients")
	wiki := leaver + "/clients/" + a.Apps[0] + "/tokens"
	list := b.okta(200, "GET", wiki)
	if got := ids(t, list.body, "id"); len(got) != 3 {
		t.Fatalf("tokens at one client: %v", got)
	}
	var tokens []map[string]any
	list.into(t, &tokens)
	for _, key := range []string{"id", "status", "clientId", "userId", "issuer", "scopes", "created", "lastUpdated", "expiresAt", "_links"} {
		if tokens[0][key] == nil {
			t.Errorf("token lacks %s", key)
		}
	}
	one := wiki + "/" + tokens[0]["id"].(string)
	if a := b.okta(200, "GET", one+"?expand=scope"); !strings.Contains(string(a.body), "_embedded") {
		t.Errorf("no _embedded: %s", a.body)
	}
	b.okta(204, "DELETE", one)
	b.okta(404, "GET", one)
	if code := errorCode(t, b.okta(404, "DELETE", one)); code != "E0000007" {
		t.Errorf("second delete: %s", code)
	}
	b.okta(204, "DELETE", wiki)
	b.okta(204, "DELETE", wiki)
	if code := errorCode(t, b.okta(404, "DELETE", leaver+"/clients/0oaunknown/tokens")); code != "E0000007" {
		t.Errorf("unknown client: %s", code)
	}
	// The grant is still there, so the client still is.
	if got := ids(t, b.okta(200, "GET", leaver+"/clients").body, "client_id"); !slices.Contains(got, a.Apps[0]) {
		t.Errorf("clients after revocation: %v", got)
	}
	b.okta(204, "DELETE", leaver+"/clients/"+a.Apps[0]+"/grants")
	if got := ids(t, b.okta(200, "GET", leaver+"/clients").body, "client_id"); slices.Contains(got, a.Apps[0]) {
		t.Errorf("clients after grants: %v", got)
	}
}

func TestGrants(t *testing.T) {
	b := start(t, sandbox.Options{})
	id := b.AddUser(sandbox.UserSpec{Login: "a@acme.example"})
	app := b.AddOAuthClient(sandbox.OAuthClientSpec{Name: "Wiki"})
	one := b.AddGrant(id, app, sandbox.DefaultServer, "read")
	b.AddGrant(id, app, sandbox.OrgServer, "write")
	token := b.AddRefreshToken(id, app, sandbox.DefaultServer)
	if got := ids(t, b.okta(200, "GET", users+"/"+id+"/grants?scopeId=read").body, "id"); !slices.Equal(got, []string{one}) {
		t.Errorf("grants by scope: %v", got)
	}
	if got := ids(t, b.okta(200, "GET", users+"/"+id+"/clients/"+app+"/grants").body, "id"); len(got) != 2 {
		t.Errorf("grants by client: %v", got)
	}
	page := b.okta(200, "GET", users+"/"+id+"/grants?limit=1")
	next := b.okta(200, "GET", links(t, page)["next"])
	if links(t, next)["next"] != "" || len(ids(t, next.body, "id")) != 1 {
		t.Errorf("second page: %s", next.body)
	}
	b.okta(204, "DELETE", users+"/"+id+"/grants")
	b.okta(204, "DELETE", users+"/"+id+"/grants")
	s := b.Snapshot().Okta
	if len(s.GrantsOf(id)) != 0 || len(s.TokensOf(id)) != 1 || s.Tokens[0].ID != token {
		t.Errorf("after revocation: %+v", s)
	}
}

func TestServerWideRevocationSignsOutEveryUserOfTheClient(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(5)
	at := auth + "/default/clients"
	if got := ids(t, b.okta(200, "GET", at).body, "client_id"); !slices.Contains(got, a.SharedClient) {
		t.Fatalf("clients of default: %v", got)
	}
	shared := at + "/" + a.SharedClient + "/tokens"
	list := ids(t, b.okta(200, "GET", shared).body, "id")
	if len(list) != 5 {
		t.Fatalf("tokens: %v", list)
	}
	b.okta(200, "GET", shared+"/"+list[0])
	b.okta(204, "DELETE", shared+"/"+list[0])
	b.okta(404, "DELETE", shared+"/"+list[0])
	b.okta(204, "DELETE", shared)
	b.okta(204, "DELETE", shared)
	if got := b.Snapshot().Okta.TokensOfClient(a.SharedClient); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	for _, id := range list {
		if n := count(b.Journal().Effects(), "okta.token.revoked "+id); n != 1 {
			t.Errorf("%s revoked %d times", id, n)
		}
	}
	if got := len(b.Snapshot().Okta.TokensOf(a.Leaver.OktaID)); got != 9 {
		t.Errorf("leaver has %d tokens", got)
	}
	b.okta(404, "GET", auth+"/ausunknown/clients")
	b.okta(404, "GET", auth+"/default/clients/0oaunknown/tokens")
}

func TestOrgServerTokensAreInNoServerListing(t *testing.T) {
	b := start(t, sandbox.Options{})
	id := b.AddUser(sandbox.UserSpec{Login: "a@acme.example"})
	app := b.AddOAuthClient(sandbox.OAuthClientSpec{Name: "Wiki"})
	b.AddRefreshToken(id, app, sandbox.OrgServer)
	for _, s := range b.AuthServers() {
		if got := ids(t, b.okta(200, "GET", auth+"/"+s.ID+"/clients").body, "client_id"); len(got) != 0 {
			t.Errorf("%s: %v", s.ID, got)
		}
	}
	if got := ids(t, b.okta(200, "GET", users+"/"+id+"/clients/"+app+"/tokens").body, "id"); len(got) != 1 {
		t.Errorf("user listing: %v", got)
	}
}

func TestPathsAndMethodsThatDoNotExist(t *testing.T) {
	b := start(t, sandbox.Options{})
	b.SeedAcme(1)
	if code := errorCode(t, b.okta(404, "GET", "/okta/api/v1/nothing")); code != "E0000008" {
		t.Errorf("unknown path: %s", code)
	}
	if code := errorCode(t, b.okta(405, "PUT", auth)); code != "E0000022" {
		t.Errorf("wrong method: %s", code)
	}
	// An id that resolved to nothing must not become another operation.
	b.okta(404, "DELETE", users+"//sessions")
	b.okta(404, "DELETE", auth+"/default/clients//tokens")
	if got := b.Journal().Effects(); len(got) != 0 {
		t.Errorf("effects: %v", got)
	}
	b.do(404, "GET", "/elsewhere", "")
}

func TestOrgWithoutAPIAccessManagement(t *testing.T) {
	b := start(t, sandbox.Options{Okta: sandbox.OktaOptions{NoAPIAccessManagement: true}})
	if code := errorCode(t, b.okta(401, "GET", auth)); code != "E0000015" {
		t.Errorf("code %s", code)
	}
	b.okta(200, "GET", users)
}

func TestOktaOptionsForWhatIsUnconfirmed(t *testing.T) {
	b := start(t, sandbox.Options{Okta: sandbox.OktaOptions{
		RepeatedDeleteOK: true, SuspendRevokesTokens: true, DeactivateNoContent: true,
	}})
	a := b.SeedAcme(1)
	p := a.Staff[0]
	one := auth + "/default/clients/" + a.SharedClient + "/tokens/" + p.Tokens[0]
	b.okta(204, "DELETE", one)
	b.okta(204, "DELETE", one)
	b.okta(200, "POST", users+"/"+a.Leaver.OktaID+"/lifecycle/suspend")
	if got := b.Snapshot().Okta.TokensOf(a.Leaver.OktaID); len(got) != 0 {
		t.Errorf("suspension left %d tokens", len(got))
	}
	b.okta(204, "POST", users+"/"+a.Leaver.OktaID+"/lifecycle/deactivate")
}

func TestStatusChangedBehindEverybodysBack(t *testing.T) {
	b := start(t, sandbox.Options{})
	id := b.AddUser(sandbox.UserSpec{Login: "a@acme.example", Sessions: 1})
	b.SetUserStatus(id, sandbox.StatusLockedOut)
	b.okta(400, "POST", users+"/"+id+"/lifecycle/suspend")
	if s := b.Snapshot().Okta; len(s.SessionsOf(id)) != 1 || len(b.Journal().Effects()) != 0 {
		t.Errorf("it had consequences: %+v", s.Sessions)
	}
	b.okta(200, "POST", users+"/"+id+"/lifecycle/deactivate")
}

func TestRemovedUserIsGoneAndTheLoginIsFree(t *testing.T) {
	b := start(t, sandbox.Options{})
	id := b.AddUser(sandbox.UserSpec{Login: "a@acme.example", EmployeeNumber: "1", Sessions: 1})
	b.RemoveUser(id)
	b.okta(404, "GET", users+"/"+id)
	again := b.AddUser(sandbox.UserSpec{Login: "a@acme.example", EmployeeNumber: "1"})
	if again == id {
		t.Fatal("the id was used again")
	}
	if got := ids(t, b.okta(200, "GET", users+`?search=profile.employeeNumber+eq+"1"`).body, "id"); !slices.Equal(got, []string{again}) {
		t.Errorf("search: %v", got)
	}
}

func TestSameSeedSameIDs(t *testing.T) {
	one, two := sandbox.New(sandbox.Options{Seed: 7}), sandbox.New(sandbox.Options{Seed: 7})
	if diff := cmp.Diff(one.SeedAcme(3), two.SeedAcme(3)); diff != "" {
		t.Error(diff)
	}
	if !cmp.Equal(one.Credentials(), two.Credentials()) {
		t.Error("credentials differ")
	}
	if other := sandbox.New(sandbox.Options{Seed: 8}); other.Credentials().OktaAPIToken == one.Credentials().OktaAPIToken {
		t.Error("another seed has the same credentials")
	}
}

func TestOktaHeadersOnEveryAnswer(t *testing.T) {
	b := start(t, sandbox.Options{})
	for _, a := range []answer{b.okta(200, "GET", users), b.okta(404, "GET", users+"/x"), b.do(401, "GET", users, "")} {
		for _, h := range []string{"X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset", "X-Okta-Request-Id"} {
			if a.Header.Get(h) == "" {
				t.Errorf("%s %d: no %s", a.Request.URL.Path, a.StatusCode, h)
			}
		}
		if got := a.Header.Get("Date"); got != b.clock.Now().Format(time.RFC1123[:len(time.RFC1123)-3]+"GMT") {
			t.Errorf("Date %q", got)
		}
	}
	ids := map[string]bool{}
	for _, e := range b.Journal() {
		ids[e.RequestID] = true
	}
	if len(ids) != 3 {
		t.Errorf("request ids: %v", ids)
	}
}
