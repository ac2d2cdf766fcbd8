package worker

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/reads"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
)

// results gives the result of each operation.
func results(r reads.Report) map[string]reads.Result {
	m := map[string]reads.Result{}
	for _, o := range r.Operations {
		m[o.Op] = o.Result
	}
	return m
}

func TestCheckOfWhatWorks(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.sb.SeedAcme(1)
	s.work("worker-1", s.connections(), nil)
	for connection, want := range map[string]struct{ tried, untried, buckets int }{
		"okta-prod": {12, 8, 3}, "asa-prod": {5, 2, 1}, "mosaic-prod": {3, 5, 1},
	} {
		r := s.check(connection)
		tried, untried := 0, 0
		for _, o := range r.Operations {
			switch {
			case o.Result == reads.Works && o.Status == http.StatusOK:
				tried++
			case o.Result == reads.Untried && o.Status == 0:
				untried++
			default:
				t.Errorf("%s: %+v", connection, o)
			}
		}
		if !r.OK || len(r.Problems) > 0 || tried != want.tried || untried != want.untried || len(r.Buckets) != want.buckets ||
			r.Worker != "worker-1" || r.Epoch == 0 || r.Breaker != "" {
			t.Errorf("%s: %d tried, %d untried: %+v", connection, tried, untried, r)
		}
		if effects := s.sb.Journal().Effects(); len(effects) > 0 {
			t.Errorf("%s: the check changed %v", connection, effects)
		}
	}
}

// faulty are connections of which each but ssws and limited has one fault.
func (s *site) faulty() config.Connections {
	creds := s.sb.Credentials()
	all := s.connections()
	few, none, ssws, limited, expired, away := all[0], all[0], all[0], all[1], all[1], all[2]
	few.Name, none.Name, ssws.Name, limited.Name, expired.Name, away.Name = "few", "none", "ssws", "limited", "expired", "away"
	app := *few.Auth.ServiceApp
	app.Scopes = []string{"okta.authorizationServers.read"}
	few.Auth = config.Auth{ServiceApp: &app}
	other := app
	other.KeyID = "unknown"
	none.Auth = config.Auth{ServiceApp: &other}
	ssws.Auth = config.Auth{SSWS: &config.SSWS{Token: secret.New(creds.OktaAPIToken)}}
	limited.Auth = config.Auth{ServiceUser: &config.ServiceUser{KeyID: creds.ASAUser.KeyID, KeySecret: secret.New(creds.ASAUser.KeySecret)}}
	key := s.sb.AddASAServiceUser(sandbox.ASAServiceUserSpec{Key: sandbox.ASAKey{UserName: "svc-old"}, Role: sandbox.RoleAccessAdmin})
	s.sb.ExpireASAKey(key.KeyID)
	expired.Auth = config.Auth{ServiceUser: &config.ServiceUser{KeyID: key.KeyID, KeySecret: secret.New(key.KeySecret)}}
	away.BaseURL, away.TokenURL = "http://127.0.0.1:1", "http://127.0.0.1:1/token"
	return config.Connections{few, none, ssws, limited, expired, away}
}

// TestCheckOfWhatDoesNot: each fault of a credential, its result, and advice.
func TestCheckOfWhatDoesNot(t *testing.T) {
	s := newSite(t, sandbox.Options{Okta: sandbox.OktaOptions{NoAPIAccessManagement: true}})
	acme := s.sb.SeedAcme(1)
	s.work("worker-1", s.faulty(), nil)
	for _, c := range []struct {
		name    string
		ok      bool
		want    map[string]reads.Result
		problem string
	}{
		{"ssws", true, map[string]reads.Result{"okta.listAuthorizationServers": reads.None, "okta.getUser": reads.Works,
			"okta.listUserGrants": reads.Works, "okta.suspendUser": reads.Untried}, ""},
		{"few", false, map[string]reads.Result{"okta.token": reads.Works, "okta.listAuthorizationServers": reads.None,
			"okta.getUser": reads.Refused, "okta.suspendUser": reads.Missing}, "Add okta.users.read to auth.service_app.scopes"},
		{"none", false, map[string]reads.Result{"okta.token": reads.Refused, "okta.getUser": reads.Untried}, "Check client_id, key_id"},
		{"limited", true, map[string]reads.Result{"asa.listClients": reads.Works, "asa.revokeClient": reads.Untried}, ""},
		{"expired", false, map[string]reads.Result{"asa.serviceToken": reads.Refused, "asa.listUsers": reads.Untried}, "Check team, key_id"},
		{"away", false, map[string]reads.Result{"transmit.token": reads.Broken, "transmit.getAll": reads.Untried}, "Check the address"},
	} {
		r := s.check(c.name)
		got := results(r)
		for op, want := range c.want {
			if got[op] != want {
				t.Errorf("%s: %s is %s, want %s", c.name, op, got[op], want)
			}
		}
		if r.OK != c.ok || (c.problem != "") != (len(r.Problems) > 0) || !strings.Contains(strings.Join(r.Problems, "\n"), c.problem) {
			t.Errorf("%s: ok %v: %q", c.name, r.OK, r.Problems)
		}
	}
	s.readsAgree(acme.Leaver.OktaID)
}

// readsAgree: what a check finds, a read runs into.
func (s *site) readsAgree(user string) {
	s.t.Helper()
	for connection, want := range map[string]reads.Code{"few": reads.Denied, "expired": reads.Denied, "away": reads.Unreachable} {
		q := reads.Query{Resource: "user", Filters: filters("id", user)}
		if connection != "few" {
			q = reads.Query{Resource: "clients"}
		}
		if connection == "expired" {
			q.Filters = filters("all", "true")
		}
		var said *stream.ReadError
		if _, err := s.get(connection, q); !errors.As(err, &said) || said.Code != stream.ReadCode(want) || said.Suggestion == "" {
			s.t.Errorf("get at %s: %v, want %s", connection, err, want)
		}
	}
	var said *stream.ReadError
	if _, err := s.get("few", reads.Query{Resource: "servers"}); !errors.As(err, &said) || said.Code != stream.ReadCode(reads.NotAvailable) {
		s.t.Errorf("servers of an org without them: %v", err)
	}
}

// TestCheckOfWhoIsAnAdministrator: where the playbooks protect the last one, a check tells whether that can be read.
func TestCheckOfWhoIsAnAdministrator(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.sb.SeedAcme(1)
	set, err := Playbooks(config.Playbooks{Guards: config.Guards{Admins: []config.Text{{Value: "okta-prod"}, {Value: "few"}}}})
	if err != nil {
		t.Fatal(err)
	}
	all := s.connections()
	few := all[0]
	app := *few.Auth.ServiceApp
	app.Scopes = []string{"okta.users.manage", "okta.authorizationServers.manage"}
	few.Name, few.Auth = "few", config.Auth{ServiceApp: &app}
	s.work("worker-1", append(all, few), nil, func(w *Worker) { w.set.Store(set) })
	for connection, want := range map[string]reads.Result{"okta-prod": reads.Works, "few": reads.Refused} {
		r := s.check(connection)
		got := results(r)
		for _, op := range []string{"okta.listUsersWithRoleAssignments", "okta.listAssignedRolesForUser"} {
			if got[op] != want || want == reads.Refused && !strings.Contains(strings.Join(r.Problems, " "), "Add okta.roles.read") {
				t.Errorf("%s: %s is %s, want %s: %q", connection, op, got[op], want, r.Problems)
			}
		}
	}
}
