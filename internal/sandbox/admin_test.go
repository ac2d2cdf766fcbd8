package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/sandbox"
)

func TestAdministrationOverHTTP(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(1)
	body := `{"method":"GET","path":"/okta/**","kind":"status","status":503,"retry_in":"1.5s","times":-1}`
	b.do(415, "POST", "/_sandbox/faults", body)
	b.do(400, "POST", "/_sandbox/faults", `{"kind":"flood"}`, "Content-Type", "application/json")
	b.do(400, "POST", "/_sandbox/faults", `{"kind":"cut","for":"soon"}`, "Content-Type", "application/json")
	var armed struct{ ID string }
	b.do(201, "POST", "/_sandbox/faults", body, "Content-Type", "application/json").into(t, &armed)
	b.okta(503, "GET", users)
	var states []sandbox.FaultState
	b.do(200, "GET", "/_sandbox/faults", "").into(t, &states)
	want := sandbox.Fault{Method: "GET", Path: "/okta/**", Kind: "status", Status: 503, RetryIn: 1500 * time.Millisecond, Times: -1}
	if len(states) != 1 || states[0].Struck != 1 || !cmp.Equal(states[0].Fault, want) {
		t.Errorf("faults: %+v", states)
	}
	b.do(204, "DELETE", "/_sandbox/faults/"+armed.ID, "")
	b.okta(204, "DELETE", users+"/"+a.Leaver.OktaID+"/sessions")
	b.do(204, "DELETE", "/_sandbox/faults", "")

	var j sandbox.Journal
	b.do(200, "GET", "/_sandbox/journal?provider=okta&since=1", "").into(t, &j)
	if len(j) != 1 || len(j.Effects()) != 3 || j.Count(204) != 1 {
		t.Errorf("journal: %+v", j)
	}
	var s sandbox.State
	b.do(200, "GET", "/_sandbox/state", "").into(t, &s)
	if len(s.Okta.SessionsOf(a.Leaver.OktaID)) != 0 || len(s.Okta.TokensOf(a.Leaver.OktaID)) != 9 ||
		len(s.ASA.ClientsOf("Ada.Berg")) != 3 || len(s.Mosaic.Clients) != 1 {
		t.Errorf("state: %+v", s.Okta.Sessions)
	}
	b.do(204, "DELETE", "/_sandbox/journal", "")
	if got := string(b.do(200, "GET", "/_sandbox/journal", "").body); got != "[]" {
		t.Errorf("journal after reset: %s", got)
	}
	b.do(204, "POST", "/_sandbox/expire", "", "Content-Type", "application/json")
	b.do(404, "GET", "/_sandbox/nothing", "")
	b.do(400, "GET", "/_sandbox/journal?since=x", "")
}

func TestAdministrationOverTheTransport(t *testing.T) {
	sb := sandbox.New(sandbox.Options{})
	client := &http.Client{Transport: sb.Transport()}
	resp, err := client.Get(sandbox.InProcessURL + "/_sandbox/state")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var s sandbox.State
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil || len(s.Okta.Servers) != 3 {
		t.Errorf("state: %+v, %v", s, err)
	}
}

func TestSnapshotIsACopy(t *testing.T) {
	sb := sandbox.New(sandbox.Options{})
	a := sb.SeedAcme(1)
	s := sb.Snapshot()
	s.Okta.Tokens[0].Scopes[0] = "changed"
	s.Okta.Users[0].Status = "changed"
	s.ASA.Clients[0].State = "changed"
	s.Mosaic.Clients[0].Fields["name"][1] = 'x'
	again := sb.Snapshot()
	if again.Okta.Tokens[0].Scopes[0] == "changed" || again.Okta.Users[0].Status == "changed" ||
		again.ASA.Clients[0].State == "changed" || again.Mosaic.Clients[0].Name != "Default client" {
		t.Errorf("a change of the copy came through")
	}
	sb.RemoveUser(a.Leaver.OktaID)
	if got := len(s.Okta.TokensOf(a.Leaver.OktaID)); got != 9 {
		t.Errorf("the copy lost %d tokens", 9-got)
	}
}

func TestJournalIsBounded(t *testing.T) {
	b := start(t, sandbox.Options{JournalSize: 3})
	for i := range 5 {
		b.okta(404, "GET", fmt.Sprintf("%s/%d", users, i))
	}
	var got []string
	for _, e := range b.Journal() {
		got = append(got, fmt.Sprint(e.Seq, " ", strings.TrimPrefix(e.Path, users)))
	}
	if diff := cmp.Diff([]string{"3 /2", "4 /3", "5 /4"}, got); diff != "" {
		t.Error(diff)
	}
	if j := b.JournalSince(4); len(j) != 1 || j[0].Seq != 5 {
		t.Errorf("since 4: %+v", j)
	}
	b.ResetJournal()
	b.okta(200, "GET", users)
	if j := b.Journal(); len(j) != 1 || j[0].Seq != 6 {
		t.Errorf("after reset: %+v", j)
	}
}

func TestJournalNamesTheCall(t *testing.T) {
	b := start(t, sandbox.Options{})
	id := b.AddUser(sandbox.UserSpec{Login: "a@acme.example"})
	b.okta(204, "DELETE", users+"/"+id+"/sessions?oauthTokens=true")
	want := sandbox.Entry{
		Seq: 1, Time: b.clock.Now(), Provider: "okta", Method: "DELETE", Path: users + "/" + id + "/sessions?oauthTokens=true",
		Route: sessions, Bucket: sandbox.BucketOktaUsers, Principal: "ssws:default", Status: 204,
	}
	got := b.Journal()[0]
	if got.RequestID == "" {
		t.Error("no request id")
	}
	got.RequestID = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestJournalHoldsNoSecret(t *testing.T) {
	b := start(t, sandbox.Options{})
	asa, mosaic := b.asASA(b.creds.ASAAdmin), b.asMosaic()
	asa.call(200, "GET", team+"/clients", "")
	var made mosaicClient
	mosaic.call(201, "POST", clients, oidcClient).into(t, &made)
	b.okta(200, "GET", users)
	got, err := json.Marshal(b.Journal())
	if err != nil {
		t.Fatal(err)
	}
	text := string(got) + fmt.Sprintf("%v %+v %#v", b.creds, b.creds, b.creds.OktaApp)
	for _, secret := range []string{asa.token, mosaic.token, made.Secret, b.creds.OktaAPIToken, b.creds.ASAAdmin.KeySecret,
		b.creds.Mosaic.ClientSecret, b.creds.OktaApp.PrivateKey} {
		if strings.Contains(text, secret) {
			t.Error("a secret is in the journal or in printed credentials")
		}
	}
}

func TestGivenCredentialsAreUsed(t *testing.T) {
	generated := sandbox.New(sandbox.Options{Seed: 3}).Credentials()
	given := sandbox.Credentials{
		OktaAPIToken: "00given", OktaApp: generated.OktaApp,
		ASAAdmin: sandbox.ASAKey{UserName: "svc", KeyID: "k", KeySecret: "s"},
		Mosaic:   sandbox.MosaicKey{ClientID: "c", ClientSecret: "s"},
	}
	b := start(t, sandbox.Options{Credentials: given})
	b.okta(200, "GET", users)
	b.askToken(200, tokenForm(b.assertion(generated.OktaApp, nil), "okta.users.read"))
	b.asASA(given.ASAAdmin).call(200, "GET", team+"/users/svc", "")
	b.mosaicToken(given.Mosaic)
	if got := b.creds.ASAUser.KeySecret; got == "" {
		t.Error("the others were not generated")
	}
}

func TestListenRefusesOtherInterfaces(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "nonsense"} {
		if s, err := sandbox.New(sandbox.Options{}).Listen(addr); err == nil {
			_ = s.Close()
			t.Errorf("listens at %s", addr)
		}
	}
	s, err := sandbox.New(sandbox.Options{}).Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestConcurrentCallers revokes the same tokens from many sides: every
// revocation happens once.
func TestConcurrentCallers(t *testing.T) {
	b := start(t, sandbox.Options{Limits: sandbox.Unlimited()})
	a := b.SeedAcme(40)
	client := &http.Client{Transport: b.Transport()}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, p := range a.Staff {
				for _, path := range []string{"/sessions?oauthTokens=true", "/clients/" + a.SharedClient + "/tokens"} {
					req, err := http.NewRequestWithContext(t.Context(), "DELETE", b.URL+users+"/"+p.OktaID+path, nil)
					if err != nil {
						t.Error(err)
						return
					}
					req.Header.Set("Authorization", "SSWS "+b.creds.OktaAPIToken)
					resp, err := client.Do(req)
					if err != nil || resp.StatusCode != 204 {
						t.Errorf("%s: %v %v", path, resp, err)
						return
					}
				}
				b.Snapshot()
				b.Faults()
			}
		})
	}
	all.Wait()
	seen := map[string]int{}
	for _, e := range b.Journal().Effects() {
		seen[e]++
		if seen[e] > 1 {
			t.Errorf("%s twice", e)
		}
	}
	for _, p := range a.Staff {
		for _, id := range p.Tokens {
			if seen["okta.token.revoked "+id] != 1 {
				t.Errorf("%s was not revoked", id)
			}
		}
	}
}

// BenchmarkCall is one revocation in an org of 5,000 people.
func BenchmarkCall(b *testing.B) {
	sb := sandbox.New(sandbox.Options{Limits: sandbox.Unlimited(), JournalSize: 1000})
	a := sb.SeedAcme(5000)
	client := sb.Transport()
	for _, path := range []string{"", "/clients", "/clients/" + a.SharedClient + "/tokens"} {
		b.Run("GET user"+strings.ReplaceAll(path, a.SharedClient, "x"), func(b *testing.B) {
			for i := range b.N {
				req, err := http.NewRequest("GET", sandbox.InProcessURL+users+"/"+a.Staff[i%5000].OktaID+path, nil)
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("Authorization", "SSWS "+sb.Credentials().OktaAPIToken)
				if resp, err := client.RoundTrip(req); err != nil || resp.StatusCode != 200 {
					b.Fatal(resp, err)
				}
			}
		})
	}
	b.Run("New", func(b *testing.B) {
		for range b.N {
			sandbox.New(sandbox.Options{})
		}
	})
}
