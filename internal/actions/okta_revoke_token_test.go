package actions_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// oneToken gives the parameters for the leaver's first token.
func oneToken(a sandbox.Acme) map[string]string {
	return map[string]string{"client_id": a.Apps[0], "token_id": a.Leaver.Tokens[0]}
}

func TestOneTokenIsFound(t *testing.T) {
	for _, options := range []sandbox.OktaOptions{{}, {RepeatedDeleteOK: true}} {
		for _, given := range []bool{false, true} {
			o := newOrg(t, 5, sandbox.Options{Okta: options})
			with, server := oneToken(o.acme), o.sb.AuthServers()[0].ID
			if given {
				with["authorization_server"] = server
			}
			before := o.sb.Snapshot()
			o.run(act("s", "okta.revoke_token", with))
			rec := o.ends("s", ledger.Verified)
			o.onlyRevoked(before, with["token_id"])
			at := "refresh token " + with["token_id"] + " at " + server
			if rec.Evidence.Pins["server"] != server || saw(rec, at) != "gone (404)" || saw(rec, "listing of "+with["client_id"]+" at "+server) != "answers" {
				t.Errorf("evidence %+v", rec.Evidence)
			}
			if left := rec.Evidence.Residual; len(left) != 1 || left[0].Until.IsZero() {
				t.Errorf("residual %+v", left)
			}
			o.once()
		}
	}
}

// TestTokenThatNobodyKnows: what was never seen is not taken for gone, unless the playbook says so, and never when the
// client is not known either.
func TestTokenThatNobodyKnows(t *testing.T) {
	for name, tc := range map[string]struct {
		change map[string]string
		want   ledger.State
		says   string
	}{
		"a wrong id":          {map[string]string{"token_id": "oarnone"}, ledger.Dead, "not_found: holds"},
		"which is all right":  {map[string]string{"token_id": "oarnone", "not_found": "holds"}, ledger.Verified, ""},
		"a wrong client":      {map[string]string{"client_id": "0oanone", "not_found": "holds"}, ledger.Dead, "check client_id"},
		"another client":      {map[string]string{"client_id": "shared"}, ledger.Dead, "check token_id"},
		"another server":      {map[string]string{"authorization_server": "last"}, ledger.Dead, "check token_id"},
		"a server of nowhere": {map[string]string{"authorization_server": "ausnone", "not_found": "holds"}, ledger.Dead, "authorization_server"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			o := newOrg(t, 3, sandbox.Options{})
			with, servers := oneToken(o.acme), o.sb.AuthServers()
			for k, v := range tc.change {
				switch v {
				case "shared":
					v = o.acme.SharedClient
				case "last":
					v = servers[len(servers)-1].ID
				}
				with[k] = v
			}
			o.run(act("s", "okta.revoke_token", with))
			rec := o.ends("s", tc.want)
			if tc.want == ledger.Dead && !strings.Contains(rec.Evidence.Failure.Suggestion, tc.says) {
				t.Errorf("advice %q", rec.Evidence.Failure.Suggestion)
			}
			if effects := o.once(); len(effects) != 0 {
				t.Errorf("effects %v", effects)
			}
		})
	}
	o := newOrg(t, 0, sandbox.Options{Okta: sandbox.OktaOptions{NoAPIAccessManagement: true}})
	o.run(act("s", "okta.revoke_token", oneToken(o.acme)))
	if rec := o.ends("s", ledger.Dead); !strings.Contains(rec.Evidence.Failure.Suggestion, "by hand") {
		t.Errorf("advice %q", rec.Evidence.Failure.Suggestion)
	}
}

// TestTokenGoneBetweenAttempts: a token that was found and is not there any more is gone, whoever revoked it.
func TestTokenGoneBetweenAttempts(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	o.fault(sandbox.Fault{Method: "DELETE", Kind: sandbox.KindStatus, Status: http.StatusBadGateway})
	o.begin(act("s", "okta.revoke_token", oneToken(o.acme)))
	o.deliver(o.queue[0])
	if rec := o.last("s"); rec.State != ledger.Waiting || rec.Evidence.Pins["server"] == "" {
		t.Fatalf("%s, %+v", rec.State, rec.Evidence)
	}
	o.sb.RemoveUser(o.acme.Leaver.OktaID)
	o.work()
	o.ends("s", ledger.Verified)
	if effects := o.once(); len(effects) != 0 {
		t.Errorf("effects %v", effects)
	}
}

func TestTokenRepliesAreRead(t *testing.T) {
	for body, want := range map[string]ledger.State{
		`{"id":"%s","status":"REVOKED","clientId":"%s"}`:       ledger.Verified,
		`{"id":"another%s","status":"ACTIVE","clientId":"%s"}`: ledger.Dead,
		`{"id":"%s","status":"ACTIVE","clientId":"another%s"}`: ledger.Dead,
	} {
		o := newOrg(t, 0, sandbox.Options{})
		with := oneToken(o.acme)
		o.fault(sandbox.Fault{
			Method: "GET", Path: "/okta/api/v1/authorizationServers/*/clients/*/tokens/*", Kind: sandbox.KindStatus, Status: 200,
			Body: fmt.Sprintf(body, with["token_id"], with["client_id"]), Times: -1,
		})
		o.run(act("s", "okta.revoke_token", with))
		o.ends("s", want)
		if effects := o.once(); len(effects) != 0 {
			t.Errorf("%s: effects %v", body, effects)
		}
	}
}

// TestSessionsOfTokensAreNoCondition: an org that refuses the one call for all tokens still loses each of them.
func TestSessionsOfTokensAreNoCondition(t *testing.T) {
	for _, status := range []int{403, 404, 400} {
		o := newOrg(t, 0, sandbox.Options{})
		o.fault(sandbox.Fault{Path: "/okta/api/v1/users/{userId}/sessions", Kind: sandbox.KindStatus, Status: status, Times: -1})
		o.run(act("s", "okta.revoke_user_tokens", map[string]any{"user": ref(o.acme.Leaver)}))
		o.ends("s", ledger.Verified)
		if n := len(o.sb.Snapshot().Okta.TokensOf(o.acme.Leaver.OktaID)); n != 0 {
			t.Errorf("%d tokens are left", n)
		}
	}
	o := newOrg(t, 0, sandbox.Options{})
	o.run(act("s", "okta.revoke_user_tokens", map[string]any{"user": ref(o.acme.Leaver), "sessions": false}))
	o.ends("s", ledger.Verified)
	if len(o.sb.Snapshot().Okta.SessionsOf(o.acme.Leaver.OktaID)) == 0 {
		t.Error("the sessions ended, and nobody asked for it")
	}
}

// TestFirstResolveFixesWhoever: what was found before a later read failed is fixed all the same.
func TestFirstResolveFixesWhoever(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	leaver := o.acme.Leaver
	o.fault(sandbox.Fault{Method: "GET", Path: "/okta/api/v1/users/{userId}/clients", Kind: sandbox.KindStatus, Status: 502})
	o.begin(act("s", "okta.revoke_user_tokens", map[string]any{"user": map[string]string{"login": leaver.Login}}))
	o.deliver(o.queue[0])
	if rec := o.last("s"); rec.State != ledger.Waiting || rec.Evidence.Pins["user"] != leaver.OktaID {
		t.Fatalf("%s, pins %v", rec.State, rec.Evidence.Pins)
	}
	o.sb.RemoveUser(leaver.OktaID)
	heir := o.sb.AddUser(sandbox.UserSpec{Login: leaver.Login})
	o.sb.AddRefreshToken(heir, o.acme.Apps[0], o.sb.AuthServers()[0].ID)
	o.work()
	o.ends("s", ledger.Verified)
	if n := len(o.sb.Snapshot().Okta.TokensOf(heir)); n != 1 {
		t.Errorf("the new owner of the login has %d tokens", n)
	}
}
