package worker

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/reads"
	"keyturn/internal/sandbox"
)

// TestOneMissingScope hurts only what needs it: that waits, says why, alerts, and goes on by itself when it is granted; the
// breaker stays closed and the others go on.
func TestOneMissingScope(t *testing.T) {
	t.Parallel() // it waits for actions that come again
	for name, c := range map[string]struct {
		lacks, paths string
		stuck, goes  string
		with         func(acme sandbox.Acme) (stuck, goes string)
	}{
		"authorization servers": {"okta.authorizationServers.read", "/okta/api/v1/authorizationServers/**", "okta.revoke_user_tokens", "okta.suspend_user",
			func(acme sandbox.Acme) (string, string) { return userOf(acme.Leaver), userOf(acme.Staff[0]) }},
		"users": {"okta.users.read", "/okta/api/v1/users/**", "okta.suspend_user", "okta.revoke_client_tokens",
			func(acme sandbox.Acme) (string, string) {
				return userOf(acme.Leaver), `{"client_id":"` + acme.Leaver.Clients[0] + `"}`
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, sandbox.Options{})
			acme := s.sb.SeedAcme(2)
			s.forbid(c.paths)
			s.work("worker-1", s.connections()[:1], nil)
			s.until("the streams", func() bool { return s.tool.CheckTopology(t.Context()) == nil })
			stuckWith, goesWith := c.with(acme)
			stuck := s.act("stuck", c.stuck, stuckWith)
			s.until("the one that lacks it to wait", func() bool { return s.record(stuck).State == ledger.Waiting })
			goes := s.act("goes", c.goes, goesWith)
			s.until("the other one to be done", func() bool { return s.record(goes).State == ledger.Verified })
			f := s.record(stuck).Evidence.Failure
			if f.Cause != "denied" || !strings.Contains(f.Suggestion, c.lacks) || s.record(stuck).Attempts != 0 {
				t.Errorf("it waits because of %+v, with %d attempts", f, s.record(stuck).Attempts)
			}
			told := s.told("okta-prod")
			if told.Standing != reads.Working || len(told.Lacks) != 1 || told.Lacks[0].Right != c.lacks || told.Lacks[0].Actions != 1 {
				t.Errorf("the lane says %+v", told)
			}
			if log := s.log.String(); strings.Count(log, `alert="right missing"`) != 1 || strings.Contains(log, "breaker open") {
				t.Error("no alert in the log, or another one")
			}
			s.sb.ClearFaults()
			s.check("okta-prod")
			s.patiently("the one that has it now to be done", func() bool { return s.record(stuck).State == ledger.Verified })
			if told := s.told("okta-prod"); len(told.Lacks) != 0 {
				t.Errorf("still lacks %+v", told.Lacks)
			}
		})
	}
}

// TestAScopeThatIsNotAskedFor is known to be missing: nothing dies for it, whatever the reads say.
func TestAScopeThatIsNotAskedFor(t *testing.T) {
	t.Parallel() // as above
	s := newSite(t, sandbox.Options{})
	acme := s.sb.SeedAcme(1)
	okta := s.connections()[:1]
	okta[0].Auth.ServiceApp = &config.ServiceApp{ClientID: okta[0].Auth.ServiceApp.ClientID, KeyID: okta[0].Auth.ServiceApp.KeyID,
		PrivateKey: okta[0].Auth.ServiceApp.PrivateKey, Scopes: []string{"okta.users.read", "okta.authorizationServers.manage"}}
	stop := s.work("worker-1", okta, nil)
	s.until("the streams", func() bool { return s.tool.CheckTopology(t.Context()) == nil })
	stuck := s.act("stuck", "okta.suspend_user", userOf(acme.Leaver))
	s.until("it to wait", func() bool { return s.record(stuck).State == ledger.Waiting })
	if f := s.record(stuck).Evidence.Failure; !strings.Contains(f.Suggestion, "okta.users.manage") {
		t.Errorf("it waits because of %+v", f)
	}
	if told := s.told("okta-prod"); told.Standing != reads.Working || len(told.Lacks) != 1 {
		t.Errorf("the lane says %+v", told)
	}
	stop()
	s.work("worker-2", s.connections()[:1], nil)
	s.patiently("it to be done", func() bool { return s.record(stuck).State == ledger.Verified })
}

// TestAScopeThatIsGrantedLater is asked for anew by a check: the token in hand, which is good for minutes, has not got it.
func TestAScopeThatIsGrantedLater(t *testing.T) {
	t.Parallel() // as above
	s := newSite(t, sandbox.Options{})
	acme, app := s.sb.SeedAcme(2), s.sb.Credentials().OktaApp
	block, _ := pem.Decode([]byte(app.PrivateKey))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	grant := func(scopes ...string) {
		s.sb.AddServiceApp(sandbox.ServiceAppSpec{ClientID: app.ClientID, KeyID: app.KeyID, Scopes: scopes,
			PublicKey: key.(interface{ Public() crypto.PublicKey }).Public()})
	}
	okta := s.connections()[:1]
	all := okta[0].Auth.ServiceApp.Scopes
	grant(slices.DeleteFunc(slices.Clone(all), func(scope string) bool { return scope == "okta.users.manage" })...)
	s.work("worker-1", okta, nil)
	s.until("the streams", func() bool { return s.tool.CheckTopology(t.Context()) == nil })
	stuck := []events.Action{s.act("stuck", "okta.suspend_user", userOf(acme.Leaver)), s.act("other", "okta.suspend_user", userOf(acme.Staff[0]))}
	for _, a := range stuck {
		s.until("it to wait", func() bool { return s.record(a).State == ledger.Waiting })
	}
	grant(all...)
	s.check("okta-prod")
	for _, a := range stuck {
		s.patiently("it to be done", func() bool { return s.record(a).State == ledger.Verified })
	}
	if !strings.Contains(s.log.String(), "the credential has a right that it lacked") {
		t.Error("nobody says that it is there")
	}
}

// TestAWholeRefusalOpensTheBreaker: where no scope's probe is answered it is the credential.
func TestAWholeRefusalOpensTheBreaker(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	acme := s.sb.SeedAcme(1)
	s.forbid("/okta/api/**")
	s.work("worker-1", s.connections()[:1], nil)
	s.until("the streams", func() bool { return s.tool.CheckTopology(t.Context()) == nil })
	s.act("stuck", "okta.suspend_user", userOf(acme.Leaver))
	s.until("the breaker to open", func() bool { return s.told("okta-prod").Fault == "refused" })
	if told := s.told("okta-prod"); len(told.Lacks) != 0 {
		t.Errorf("the lane says %+v", told)
	}
}

// forbid has Okta answer 403 to all calls of some paths.
func (s *site) forbid(paths string) {
	s.t.Helper()
	for _, path := range []string{strings.TrimSuffix(paths, "/**"), paths} {
		if _, err := s.sb.Fault(sandbox.Fault{Path: path, Kind: sandbox.KindStatus, Status: 403, Times: -1}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// patiently is until for what comes again after half a minute.
func (s *site) patiently(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !holds() && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
	}
	s.until(what, holds)
}

func userOf(p sandbox.Person) string { return `{"user":{"login":"` + p.Login + `"}}` }

// act publishes an action that is a case of its own.
func (s *site) act(name, do, with string) events.Action {
	s.t.Helper()
	a := events.Action{ID: events.ActionID(name, "p", "s"), Case: name, Playbook: "p", Step: "s", Do: do, Connection: "okta-prod",
		Class: events.Normal, Target: name, With: json.RawMessage(with)}
	if err := s.tool.PublishAction(s.t.Context(), a); err != nil {
		s.t.Fatal(err)
	}
	return a
}

// record is the newest record of an action.
func (s *site) record(a events.Action) ledger.Record {
	s.t.Helper()
	rec, err := ledger.New(s.tool.Log(), nil).Last(s.t.Context(), ledger.ActionSubject(a.Case, a.ID))
	if err != nil {
		s.t.Fatal(err)
	}
	return rec
}
