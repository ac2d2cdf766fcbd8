package sandbox_test

import (
	"crypto/rand"
	"crypto/rsa"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"keyturn/internal/sandbox"
)

// oauthFault is the error of a token endpoint.
func oauthFault(t *testing.T, a answer) string {
	t.Helper()
	var e struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Code        string `json:"errorCode"`
	}
	a.into(t, &e)
	if e.Description == "" || e.Code != "" {
		t.Fatalf("error object: %s", a.body)
	}
	return e.Error
}

func TestServiceAppToken(t *testing.T) {
	b := start(t, sandbox.Options{})
	app := b.creds.OktaApp
	a := b.askToken(200, tokenForm(b.assertion(app, nil), "okta.users.read"))
	var tok struct {
		Type    string `json:"token_type"`
		Expires int    `json:"expires_in"`
		Token   string `json:"access_token"`
		Scope   string `json:"scope"`
	}
	a.into(t, &tok)
	if tok.Type != "Bearer" || tok.Expires != 3600 || tok.Scope != "okta.users.read" {
		t.Errorf("token answer: %s", a.body)
	}
	bearer := []string{"Authorization", "Bearer " + tok.Token}
	id := b.AddUser(sandbox.UserSpec{Login: "a@acme.example"})
	b.do(200, "GET", users+"/"+id, "", bearer...)
	if code := errorCode(t, b.do(403, "DELETE", users+"/"+id+"/sessions", "", bearer...)); code != "E0000006" {
		t.Errorf("scope not granted: %s", code)
	}
	b.do(403, "GET", auth, "", bearer...)
	b.do(401, "GET", users, "", "Authorization", "DPoP "+tok.Token)
	b.clock.Add(time.Hour)
	if code := errorCode(t, b.do(401, "GET", users, "", bearer...)); code != "E0000011" {
		t.Errorf("expired token: %s", code)
	}
	for _, e := range b.Journal() {
		if e.Status == 200 && e.Principal != "app:"+app.ClientID {
			t.Errorf("principal %q of %s", e.Principal, e.Path)
		}
	}
}

func TestManageScopeCoversReading(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.askToken(200, tokenForm(b.assertion(b.creds.OktaApp, nil), "okta.users.manage"))
	var tok struct {
		Token string `json:"access_token"`
	}
	a.into(t, &tok)
	b.do(200, "GET", users, "", "Authorization", "Bearer "+tok.Token)
}

func TestAssertionsThatAreRefused(t *testing.T) {
	b := start(t, sandbox.Options{})
	app, now := b.creds.OktaApp, b.clock.Now()
	other := app
	other.PrivateKey = b.creds.OktaDPoPApp.PrivateKey
	kid := app
	kid.KeyID = "another"
	for name, raw := range map[string]string{
		"no jwt":          "x.y.z",
		"other audience":  b.assertion(app, map[string]any{"aud": "https://other.example/oauth2/v1/token"}),
		"expired":         b.assertion(app, map[string]any{"exp": now.Unix()}),
		"too long":        b.assertion(app, map[string]any{"exp": now.Add(61 * time.Minute).Unix()}),
		"no exp":          b.assertion(app, map[string]any{"exp": nil}),
		"other issuer":    b.assertion(app, map[string]any{"iss": "0oaother"}),
		"unknown client":  b.assertion(app, map[string]any{"iss": "0oaother", "sub": "0oaother"}),
		"other key":       b.assertion(other, nil),
		"other key id":    b.assertion(kid, nil),
		"symmetric alg":   symmetric(t, app),
		"empty assertion": "",
	} {
		if got := oauthFault(t, b.askToken(401, tokenForm(raw, "okta.users.read"))); got != "invalid_client" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := oauthFault(t, b.askToken(400, tokenForm(b.assertion(app, nil), "okta.apps.manage"))); got != "invalid_scope" {
		t.Errorf("scope: %s", got)
	}
	form := strings.Replace(tokenForm(b.assertion(app, nil), "okta.users.read"), "client_credentials", "password", 1)
	if got := oauthFault(t, b.askToken(400, form)); got != "unsupported_grant_type" {
		t.Errorf("grant type: %s", got)
	}
	b.do(400, "POST", "/okta/oauth2/v1/token", "{}", "Content-Type", "application/json")
}

// symmetric signs with a MAC, which private_key_jwt never is.
func symmetric(t *testing.T, app sandbox.ServiceApp) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(app.PrivateKey)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(s).Claims(map[string]any{"iss": app.ClientID, "sub": app.ClientID}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestAssertionIsTakenOnce(t *testing.T) {
	b := start(t, sandbox.Options{})
	raw := b.assertion(b.creds.OktaApp, nil)
	b.askToken(200, tokenForm(raw, "okta.users.read"))
	if got := oauthFault(t, b.askToken(401, tokenForm(raw, "okta.users.read"))); got != "invalid_client" {
		t.Errorf("replay: %s", got)
	}
}

func TestRSAKeysWork(t *testing.T) {
	b := start(t, sandbox.Options{})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	id := b.AddServiceApp(sandbox.ServiceAppSpec{PublicKey: key.Public(), Scopes: []string{"okta.users.read"}, NoAdminRole: true})
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(s).Claims(map[string]any{
		"iss": id, "sub": id, "aud": b.URL + "/okta/oauth2/v1/token", "exp": b.clock.Now().Add(time.Minute).Unix(), "jti": "1",
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	var tok struct {
		Token string `json:"access_token"`
	}
	b.askToken(200, tokenForm(raw, "okta.users.read")).into(t, &tok)
	// Scope without an admin role is no right.
	b.do(403, "GET", users, "", "Authorization", "Bearer "+tok.Token)
}

func TestDPoP(t *testing.T) {
	b := start(t, sandbox.Options{})
	app, key := b.creds.OktaDPoPApp, newDPoPKey(b)
	target := b.URL + "/okta/oauth2/v1/token"
	form := func() string { return tokenForm(b.assertion(app, nil), "okta.users.read") }

	if got := oauthFault(t, b.askToken(400, form())); got != "invalid_dpop_proof" {
		t.Errorf("no proof: %s", got)
	}
	asked := form()
	a := b.askToken(400, asked, "DPoP", key.proof("POST", target, "", ""))
	nonce := a.Header.Get("Dpop-Nonce")
	if got := oauthFault(t, a); got != "use_dpop_nonce" || nonce == "" {
		t.Fatalf("no nonce: %s, nonce %q", got, nonce)
	}
	// The attempt used the assertion up.
	oauthFault(t, b.askToken(401, asked, "DPoP", key.proof("POST", target, nonce, "")))

	b.clock.Add(2 * 24 * time.Hour) // the old nonce still works
	var tok struct {
		Type  string `json:"token_type"`
		Token string `json:"access_token"`
	}
	b.askToken(200, form(), "DPoP", key.proof("POST", target, nonce, "")).into(t, &tok)
	if tok.Type != "DPoP" {
		t.Fatalf("token type %s", tok.Type)
	}
	list := b.URL + users
	call := func(want int, scheme, proof string) {
		t.Helper()
		b.do(want, "GET", users+"?limit=1", "", "Authorization", scheme+" "+tok.Token, "DPoP", proof)
	}
	proof := key.proof("GET", list, "", tok.Token)
	call(200, "DPoP", proof)
	call(401, "DPoP", proof)                                                             // replayed
	call(401, "Bearer", key.proof("GET", list, "", tok.Token))                           // downgraded
	call(401, "DPoP", key.proof("POST", list, "", tok.Token))                            // other method
	call(401, "DPoP", key.proof("GET", list+"?limit=1", "", tok.Token))                  // htu with a query
	call(401, "DPoP", key.proof("GET", list, "", "another token"))                       // other ath
	call(401, "DPoP", newDPoPKey(b).proof("GET", list, "", tok.Token))                   // other key
	call(401, "DPoP", key.proof("GET", list, "", tok.Token, "jti", ""))                  // no jti
	b.do(401, "GET", users, "", "Authorization", "DPoP "+tok.Token)                      // no proof
	b.clock.Add(3 * 24 * time.Hour)                                                      // the nonce is too old
	oauthFault(t, b.askToken(400, form(), "DPoP", key.proof("POST", target, nonce, ""))) // and refused
}

func TestAPITokenDiesWithItsCreator(t *testing.T) {
	b := start(t, sandbox.Options{})
	admin := b.AddUser(sandbox.UserSpec{Login: "admin@acme.example"})
	token := b.AddAPIToken(sandbox.APITokenSpec{Name: "admin's", CreatorID: admin})
	head := []string{"Authorization", "SSWS " + token}
	b.do(200, "GET", users, "", head...)
	b.do(200, "POST", users+"/"+admin+"/lifecycle/deactivate", "", head...)
	if code := errorCode(t, b.do(401, "GET", users, "", head...)); code != "E0000011" {
		t.Errorf("code %s", code)
	}
	b.okta(200, "GET", users)
	b.RemoveAPIToken(b.creds.OktaAPIToken)
	b.okta(401, "GET", users)
}

func TestExpireTokens(t *testing.T) {
	b := start(t, sandbox.Options{})
	var tok struct {
		Token string `json:"access_token"`
	}
	b.askToken(200, tokenForm(b.assertion(b.creds.OktaApp, nil), "okta.users.read")).into(t, &tok)
	asa, mosaic := b.asaToken(b.creds.ASAAdmin), b.mosaicToken(b.creds.Mosaic)
	calls := map[string]string{users: tok.Token, "/asa/v1/teams/acme/users": asa, "/mosaic/cis/v1/clients": mosaic}
	for path, token := range calls {
		b.do(200, "GET", path, "", "Authorization", "Bearer "+token)
	}
	b.ExpireTokens()
	for path, token := range calls {
		b.do(401, "GET", path, "", "Authorization", "Bearer "+token)
	}
}

func TestPostWithoutLengthIs411(t *testing.T) {
	b := start(t, sandbox.Options{})
	id := b.AddUser(sandbox.UserSpec{Login: "a@acme.example"})
	u, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "POST "+users+"/"+id+"/lifecycle/suspend HTTP/1.1\r\nHost: "+u.Host+
		"\r\nAuthorization: SSWS "+b.creds.OktaAPIToken+"\r\nConnection: close\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(got), "HTTP/1.1 411 ") {
		t.Errorf("answer: %s", got)
	}
	b.okta(200, "POST", users+"/"+id+"/lifecycle/suspend")
}

func TestRateBuckets(t *testing.T) {
	b := start(t, sandbox.Options{Limits: map[string]sandbox.Limit{
		sandbox.BucketOktaUsers: {Requests: 3, Window: time.Minute},
	}})
	id := b.AddUser(sandbox.UserSpec{Login: "a@acme.example"})
	left := func(a answer) int {
		n, err := strconv.Atoi(a.Header.Get("X-Rate-Limit-Remaining"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// One bucket for the list and the sub-resources; another for GET of one user
	// and for the authorization servers.
	for i, path := range []string{users, users + "/" + id + "/clients", users + "/" + id + "/grants"} {
		if got := left(b.okta(200, "GET", path)); got != 2-i {
			t.Errorf("%s: %d left", path, got)
		}
	}
	if got := left(b.okta(200, "GET", users+"/"+id)); got != 999 {
		t.Errorf("GET user: %d left", got)
	}
	if got := left(b.okta(200, "GET", auth)); got != 599 {
		t.Errorf("servers: %d left", got)
	}
	b.clock.Add(10 * time.Second)
	a := b.okta(429, "DELETE", users+"/"+id+"/sessions")
	if code := errorCode(t, a); code != "E0000047" || a.Header.Get("Retry-After") != "" {
		t.Errorf("429: %s, Retry-After %q", code, a.Header.Get("Retry-After"))
	}
	reset, err := strconv.ParseInt(a.Header.Get("X-Rate-Limit-Reset"), 10, 64)
	if err != nil || reset-b.clock.Now().Unix() != 50 || a.Header.Get("X-Rate-Limit-Limit") != "3" || left(a) != 0 {
		t.Errorf("429 headers: %v", a.Header)
	}
	// Another credential has a budget of its own.
	b.do(200, "GET", users, "", "Authorization", "SSWS "+b.AddAPIToken(sandbox.APITokenSpec{Name: "other"}))
	b.clock.Add(50 * time.Second)
	b.okta(204, "DELETE", users+"/"+id+"/sessions")
	b.SetLimit(sandbox.BucketOktaUsers, sandbox.Limit{})
	if got := left(b.okta(200, "GET", users)); got < 1000 {
		t.Errorf("without a limit: %d left", got)
	}
}

func TestConcurrencyLimitIs429WithZeroes(t *testing.T) {
	b := start(t, sandbox.Options{Okta: sandbox.OktaOptions{Concurrency: 1}})
	if _, err := b.Fault(sandbox.Fault{Path: auth, Kind: sandbox.KindDelay, Delay: time.Hour}); err != nil {
		t.Fatal(err)
	}
	held := make(chan struct{})
	req, err := http.NewRequestWithContext(t.Context(), "GET", b.URL+auth, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(held)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	waitFor(t, func() bool { return b.Faults()[0].Struck == 1 })
	a := b.okta(429, "GET", users)
	if a.Header.Get("X-Rate-Limit-Limit") != "0" || a.Header.Get("X-Rate-Limit-Remaining") != "0" || errorCode(t, a) != "E0000047" {
		t.Errorf("headers: %v", a.Header)
	}
	_ = b.Close() // ends the held call
	<-held
}

// waitFor looks again and again until the condition holds.
func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !cond() {
		select {
		case <-deadline:
			t.Fatal("the condition did not come true")
		case <-tick.C:
		}
	}
}
