package sandbox_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyturn/internal/sandbox"
)

const sessions = "/okta/api/v1/users/{userId}/sessions"

func (b *bench) fault(f sandbox.Fault) string {
	b.t.Helper()
	id, err := b.Fault(f)
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

func last(j sandbox.Journal) sandbox.Entry { return j[len(j)-1] }

func TestStatusFaultSkipsAndCounts(t *testing.T) {
	b := start(t, sandbox.Options{})
	id := b.AddUser(sandbox.UserSpec{Login: "a@acme.example", Sessions: 1})
	path := users + "/" + id + "/sessions"
	f := b.fault(sandbox.Fault{Method: "DELETE", Path: sessions, Skip: 1, Times: 2, Kind: sandbox.KindStatus, Status: 500})
	b.okta(204, "DELETE", path)
	for range 2 {
		if code := errorCode(t, b.okta(500, "DELETE", path)); code != "E0000009" {
			t.Errorf("body of the fault: %s", code)
		}
	}
	b.okta(204, "DELETE", path)
	b.okta(200, "GET", users+"/"+id)
	if got := b.Faults()[0]; got.ID != f || got.Seen != 4 || got.Struck != 2 {
		t.Errorf("state: %+v", got)
	}
	e := b.Journal()[1]
	if e.Status != 500 || e.Fault != f+" status" || e.Route != sessions || len(e.Effects) != 0 {
		t.Errorf("journal: %+v", e)
	}
}

func TestStatusFaultSpeaksTheVendorsLanguage(t *testing.T) {
	b := start(t, sandbox.Options{})
	b.fault(sandbox.Fault{Path: "/okta/**", Kind: sandbox.KindStatus, Status: 429, RetryIn: 2 * time.Second})
	b.fault(sandbox.Fault{Path: "/asa/v1/teams/*/clients", Kind: sandbox.KindStatus, Status: 429, RetryIn: 2 * time.Second})
	b.fault(sandbox.Fault{Path: "/mosaic/**", Method: "GET", Kind: sandbox.KindStatus, Status: 503, Header: http.Header{"retry-after": {"7"}}})
	reset := strconv.FormatInt(b.clock.Now().Unix()+2, 10)
	a := b.okta(429, "GET", users)
	if errorCode(t, a) != "E0000047" || a.Header.Get("X-Rate-Limit-Reset") != reset || a.Header.Get("X-Rate-Limit-Remaining") != "0" {
		t.Errorf("okta: %v", a.Header)
	}
	b.okta(200, "GET", users)
	asa, mosaic := b.asASA(b.creds.ASAAdmin), b.asMosaic()
	if a = asa.call(429, "GET", team+"/clients", ""); a.Header.Get("X-RateLimit-Retry-At") != reset {
		t.Errorf("asa: %v", a.Header)
	}
	if a = mosaic.call(503, "GET", clients, ""); a.Header.Get("Retry-After") != "7" || !strings.Contains(string(a.body), "<html>") {
		t.Errorf("mosaic: %v %s", a.Header, a.body)
	}
	b.fault(sandbox.Fault{Path: auth, Kind: sandbox.KindStatus, Status: 502, Body: "<html>", Header: http.Header{"Content-Type": {"text/html"}, "Date": {}}})
	if a = b.okta(502, "GET", auth); string(a.body) != "<html>" {
		t.Errorf("body: %s", a.body)
	}
}

func TestDelayHonoursTheCaller(t *testing.T) {
	b := start(t, sandbox.Options{})
	id := b.AddUser(sandbox.UserSpec{Login: "a@acme.example", Sessions: 1})
	b.fault(sandbox.Fault{Method: "DELETE", Kind: sandbox.KindDelay, Delay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "DELETE", b.URL+users+"/"+id+"/sessions", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "SSWS "+b.creds.OktaAPIToken)
	go func() {
		waitFor(t, func() bool { return b.Faults()[0].Struck == 1 })
		cancel()
	}()
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	waitFor(t, func() bool { return len(b.Journal()) == 1 })
	if e := b.Journal()[0]; e.Status != 0 || len(e.Effects) != 0 || len(b.Snapshot().Okta.Sessions) != 1 {
		t.Errorf("a caller that went away had an effect: %+v", e)
	}
	b.fault(sandbox.Fault{Method: "DELETE", Kind: sandbox.KindDelay, Delay: time.Millisecond})
	b.okta(204, "DELETE", users+"/"+id+"/sessions")
}

// TestCutIsAnErrorAtTheCaller cuts reads on a connection that was used before:
// there net/http would repeat the call by itself if no byte had come.
func TestCutIsAnErrorAtTheCaller(t *testing.T) {
	b := start(t, sandbox.Options{})
	for range 20 {
		b.okta(200, "GET", users)
		b.fault(sandbox.Fault{Kind: sandbox.KindCut})
		calls := len(b.Journal())
		if _, err := b.try("GET", users, "", "Authorization", "SSWS "+b.creds.OktaAPIToken); err == nil {
			t.Fatal("a cut call was answered")
		}
		if got := len(b.Journal()) - calls; got != 1 {
			t.Fatalf("the call came %d times", got)
		}
	}
}

func TestEffectThenTimeout(t *testing.T) {
	for name, delay := range map[string]time.Duration{"cut": 0, "cut later": time.Millisecond, "hang": time.Hour} {
		t.Run(name, func(t *testing.T) {
			b := start(t, sandbox.Options{})
			id := b.AddUser(sandbox.UserSpec{Login: "a@acme.example", Sessions: 1})
			path := users + "/" + id + "/lifecycle/suspend"
			b.fault(sandbox.Fault{Method: "POST", Kind: sandbox.KindEffectThenTimeout, Delay: delay})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if delay == time.Hour {
				go func() {
					waitFor(t, func() bool { return len(b.Journal()) == 1 })
					cancel()
				}()
			}
			req, err := http.NewRequestWithContext(ctx, "POST", b.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "SSWS "+b.creds.OktaAPIToken)
			if _, err := http.DefaultClient.Do(req); err == nil {
				t.Fatal("the call was answered")
			}
			if u, _ := b.Snapshot().Okta.User(id); u.Status != "SUSPENDED" {
				t.Errorf("status %s", u.Status)
			}
			if e := b.Journal()[0]; e.Status != 0 || len(e.Effects) != 2 {
				t.Errorf("journal: %+v", e)
			}
			b.okta(400, "POST", path)
		})
	}
}

func TestEffectThenStatus(t *testing.T) {
	b := start(t, sandbox.Options{})
	c := b.asMosaic()
	b.fault(sandbox.Fault{Method: "POST", Path: clients, Kind: sandbox.KindEffectThenStatus, Status: 502})
	c.call(502, "POST", clients, oidcClient)
	if got := b.Snapshot().Mosaic.Named("Portal"); len(got) != 1 {
		t.Errorf("%d clients", len(got))
	}
	// The vendor's own refusal is not covered up.
	b.fault(sandbox.Fault{Method: "POST", Path: clients, Kind: sandbox.KindEffectThenStatus, Status: 502})
	c.call(400, "POST", clients, `{}`)
}

func TestNoEffect(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(1)
	b.fault(sandbox.Fault{Path: "/**", Method: "DELETE", Times: -1, Kind: sandbox.KindNoEffect})
	b.fault(sandbox.Fault{Method: "POST", Path: clients, Kind: sandbox.KindNoEffect})
	before := b.Snapshot()
	b.okta(204, "DELETE", users+"/"+a.Leaver.OktaID+"/sessions?oauthTokens=true")
	b.okta(204, "DELETE", auth+"/default/clients/"+a.SharedClient+"/tokens")
	b.asASA(b.creds.ASAAdmin).call(204, "DELETE", team+"/clients/"+a.Leaver.Devices[0], "")
	b.asMosaic().call(201, "POST", clients, oidcClient)
	after := b.Snapshot()
	if len(after.Okta.Tokens) != len(before.Okta.Tokens) || len(after.Okta.Sessions) != len(before.Okta.Sessions) ||
		len(after.ASA.ClientsOf("Ada.Berg")) != 3 || len(after.Mosaic.Clients) != 1 {
		t.Error("something changed")
	}
	if got := b.Journal().Effects(); len(got) != 0 {
		t.Errorf("effects: %v", got)
	}
	b.ClearFaults()
	b.okta(204, "DELETE", auth+"/default/clients/"+a.SharedClient+"/tokens")
	if got := b.Snapshot().Okta.TokensOfClient(a.SharedClient); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func TestStaleReads(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(0)
	c := b.asASA(b.creds.ASAAdmin)
	list := team + "/clients?username=Ada.Berg"
	id := b.fault(sandbox.Fault{Method: "GET", Path: "/asa/v1/teams/{team}/clients", Kind: sandbox.KindStale, For: 5 * time.Second})
	c.call(204, "DELETE", team+"/clients/"+a.Leaver.Devices[0], "")
	for range 2 { // the first read opens the window
		if got, _ := c.list(list, "id"); len(got) != 3 {
			t.Errorf("stale list: %v", got)
		}
		if e := last(b.Journal()); e.Fault != id+" stale" {
			t.Errorf("journal: %+v", e)
		}
	}
	if a := c.call(200, "GET", team+"/clients/"+a.Leaver.Devices[0], ""); !strings.Contains(string(a.body), "DELETED") {
		t.Errorf("another route is stale: %s", a.body)
	}
	c.call(404, "DELETE", team+"/clients/"+a.Leaver.Devices[0], "") // writes see the truth
	b.clock.Add(5 * time.Second)
	if got, _ := c.list(list, "id"); len(got) != 2 {
		t.Errorf("list after the window: %v", got)
	}
}

func TestStaleAfterAWrite(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(3)
	tokens := auth + "/default/clients/" + a.SharedClient + "/tokens"
	b.fault(sandbox.Fault{Method: "DELETE", Path: "/okta/**", Kind: sandbox.KindStale, For: 2 * time.Second})
	b.clock.Add(time.Minute) // armed long before
	b.AddRefreshToken(a.Leaver.OktaID, a.SharedClient, sandbox.DefaultServer)
	b.okta(204, "DELETE", tokens)
	if got := ids(t, b.okta(200, "GET", tokens).body, "id"); len(got) != 4 {
		t.Errorf("stale list: %v", got)
	}
	if got := ids(t, b.okta(200, "GET", users+"/"+a.Staff[0].OktaID+"/clients").body, "client_id"); !slices.Contains(got, a.SharedClient) {
		t.Errorf("stale clients: %v", got)
	}
	if got := b.Snapshot().Okta.TokensOfClient(a.SharedClient); len(got) != 0 {
		t.Errorf("the truth is stale: %v", got)
	}
	if got := b.asASA(b.creds.ASAAdmin); got.token == "" {
		t.Error("another provider is touched")
	}
	b.clock.Add(2 * time.Second)
	if got := ids(t, b.okta(200, "GET", tokens).body, "id"); len(got) != 0 {
		t.Errorf("list after the window: %v", got)
	}
}

func TestFaultsAreCheckedBeforeTheyAreArmed(t *testing.T) {
	sb := sandbox.New(sandbox.Options{})
	for _, f := range []sandbox.Fault{
		{Kind: "flood"}, {Kind: sandbox.KindStatus}, {Kind: sandbox.KindDelay}, {Kind: sandbox.KindCut, Times: -2},
		{Kind: sandbox.KindCut, Skip: -1}, {Kind: sandbox.KindCut, Path: "/okta/[/x"},
	} {
		if _, err := sb.Fault(f); err == nil {
			t.Errorf("%+v was armed", f)
		}
	}
}

func TestFirstDueFaultShapesTheCall(t *testing.T) {
	b := start(t, sandbox.Options{})
	b.fault(sandbox.Fault{Kind: sandbox.KindStatus, Status: 500})
	second := b.fault(sandbox.Fault{Kind: sandbox.KindStatus, Status: 503})
	b.okta(500, "GET", users)
	if got := b.Faults()[1].Seen; got != 0 {
		t.Errorf("the second fault saw %d calls", got)
	}
	b.ClearFaults(second)
	b.okta(200, "GET", users)
}

// transportCall sends one call without a socket.
func transportCall(ctx context.Context, sb *sandbox.Sandbox, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, sandbox.OktaURL(sandbox.InProcessURL)+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "SSWS "+sb.Credentials().OktaAPIToken)
	client := &http.Client{Transport: sb.Transport(), Timeout: time.Minute}
	return client.Do(req)
}

func TestTransport(t *testing.T) {
	sb := sandbox.New(sandbox.Options{})
	id := sb.AddUser(sandbox.UserSpec{Login: "a@acme.example", Sessions: 1})
	resp, err := transportCall(t.Context(), sb, "POST", "/api/v1/users/"+id+"/lifecycle/suspend")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || string(body) != "{}" || resp.ContentLength != 2 || resp.Header.Get("Date") == "" {
		t.Errorf("answer: %v %s %v", resp, body, err)
	}
	resp, err = transportCall(t.Context(), sb, "GET", "/api/v1/authorizationServers")
	if err != nil {
		t.Fatal(err)
	}
	if l := resp.Header.Values("Link"); len(l) != 2 || !strings.HasPrefix(l[0], "<"+sandbox.InProcessURL+"/okta/") {
		t.Errorf("links: %v", l)
	}
}

func TestTransportFaults(t *testing.T) {
	sb := sandbox.New(sandbox.Options{})
	id := sb.AddUser(sandbox.UserSpec{Login: "a@acme.example", Sessions: 1})
	path := "/api/v1/users/" + id + "/lifecycle/suspend"
	arm := func(f sandbox.Fault) {
		t.Helper()
		if _, err := sb.Fault(f); err != nil {
			t.Fatal(err)
		}
	}
	arm(sandbox.Fault{Kind: sandbox.KindCut})
	if _, err := transportCall(t.Context(), sb, "POST", path); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := transportCall(gone, sb, "POST", path); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	if got := len(sb.Journal()); got != 1 {
		t.Errorf("%d calls", got)
	}
	for kind, effects := range map[string]int{sandbox.KindDelay: 0, sandbox.KindEffectThenTimeout: 2} {
		arm(sandbox.Fault{Kind: kind, Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		if _, err := transportCall(ctx, sb, "POST", path); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", kind, err)
		}
		cancel()
		if e := last(sb.Journal()); e.Status != 0 || len(e.Effects) != effects {
			t.Errorf("%s: %+v", kind, e)
		}
	}
	if u, _ := sb.Snapshot().Okta.User(id); u.Status != "SUSPENDED" {
		t.Errorf("status %s", u.Status)
	}
}
