package worker

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/lane"
	"keyturn/internal/reads"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
)

// readCase is one question and what must come of it: these values of a field in all rows, or so many rows, or a code.
type readCase struct {
	resource string
	filters  map[string]string
	field    string
	want     []string
	count    int
	code     reads.Code
}

// try asks the questions at a connection.
func (s *site) try(connection string, cases []readCase) {
	s.t.Helper()
	for _, c := range cases {
		rows, err := s.get(connection, reads.Query{Resource: c.resource, Filters: c.filters})
		var said *stream.ReadError
		switch errors.As(err, &said); {
		case c.code != "":
			if said == nil || said.Code != stream.ReadCode(c.code) {
				s.t.Errorf("%s %v: %v, want code %s", c.resource, c.filters, err, c.code)
			}
		case err != nil:
			s.t.Errorf("%s %v: %v", c.resource, c.filters, err)
		case c.want != nil && !slices.Equal(column(rows, c.field), c.want):
			s.t.Errorf("%s %v: %s %q, want %q", c.resource, c.filters, c.field, column(rows, c.field), c.want)
		case c.want == nil && len(rows) != c.count:
			s.t.Errorf("%s %v: %d rows, want %d", c.resource, c.filters, len(rows), c.count)
		}
	}
	if strings.Contains(s.log.String(), "@acme.example") {
		s.t.Error("the log names a person")
	}
}

// TestEveryOktaResource reads each resource, by every way of asking.
func TestEveryOktaResource(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	acme := s.sb.SeedAcme(3)
	for _, login := range []string{"one@acme.example", "two@acme.example"} {
		s.sb.AddUser(sandbox.UserSpec{Login: login, Email: "shared@acme.example", EmployeeNumber: "77"})
	}
	slash := s.sb.AddUser(sandbox.UserSpec{Login: "acme/kim@acme.example"})
	s.work("worker-1", s.connections()[:1], nil)
	ada := acme.Leaver
	s.sb.AssignRole(ada.OktaID, sandbox.RoleSuperAdmin)
	client, id := ada.Clients[0], []string{ada.OktaID}
	s.try("okta-prod", []readCase{
		{resource: "user-roles", filters: filters("user", ada.Login), field: "type", want: []string{sandbox.RoleSuperAdmin}},
		{resource: "user-roles", filters: filters("user", "acme/kim@acme.example")},
		{resource: "user-roles", code: reads.Invalid},
		{resource: "admins", field: "id", want: id},
		{resource: "user", filters: filters("id", ada.OktaID), field: "id", want: id},
		{resource: "user", filters: filters("id", ada.Login), code: reads.NotFound},
		{resource: "user", filters: filters("login", ada.Login), field: "id", want: id},
		{resource: "user", filters: filters("login", "ada.berg"), code: reads.NotFound},
		{resource: "user", filters: filters("login", "acme/kim@acme.example"), field: "id", want: []string{slash}},
		{resource: "user", filters: filters("email", ada.Login), field: "id", want: id},
		{resource: "user", filters: filters("email", "shared@acme.example"), field: "email", count: 2},
		{resource: "user", filters: filters("employee-number", "1001"), field: "login", want: []string{ada.Login}},
		{resource: "user", filters: filters("employee-number", "999999"), code: reads.NotFound},
		{resource: "user", filters: filters("user", "1001"), field: "id", want: id},
		{resource: "user", filters: filters("user", "acme/kim@acme.example"), field: "id", want: []string{slash}},
		{resource: "user", filters: filters("user", "shared@acme.example"), code: reads.Invalid},
		{resource: "user", filters: filters("user", "me"), code: reads.Invalid},
		{resource: "user", code: reads.Invalid},
		{resource: "user", filters: filters("id", "1", "login", "2"), code: reads.Invalid},
		{resource: "user-clients", filters: filters("user", ada.Login), field: "client_id", want: ada.Clients},
		{resource: "user-clients", filters: filters("user", "nobody@acme.example"), code: reads.NotFound},
		{resource: "user-clients", code: reads.Invalid},
		{resource: "user-tokens", filters: filters("user", ada.EmployeeNumber, "client", client), field: "user_id", count: 3},
		{resource: "user-tokens", filters: filters("user", ada.Login, "client", client, "expand", "true"), field: "client_id", count: 3},
		{resource: "user-token", filters: filters("user", ada.Login, "client", client, "id", ada.Tokens[0]), field: "id", want: ada.Tokens[:1]},
		{resource: "user-token", filters: filters("user", ada.Login, "client", client, "id", "oar1"), code: reads.NotFound},
		{resource: "user-grants", filters: filters("user", ada.Login), field: "client_id", want: ada.Clients},
		{resource: "user-grants", filters: filters("user", ada.Login, "scope", "offline_access"), field: "id", count: 4},
		{resource: "user-grants", filters: filters("user", ada.Login, "client", client), field: "client_id", want: []string{client}},
		{resource: "user-grants", filters: filters("user", ada.Login, "client", client, "scope", "x"), code: reads.Invalid},
		{resource: "servers", field: "name", want: []string{"default", "Payments", "Intranet"}},
		{resource: "server-clients", filters: filters("server", "default"), field: "client_id", count: 5},
		{resource: "tokens", filters: filters("server", "default", "client", acme.SharedClient), field: "id", count: 3},
		{resource: "tokens", filters: filters("server", "default", "client", "0oa1"), code: reads.NotFound},
		{resource: "token", filters: filters("server", "default", "client", client, "id", ada.Tokens[0], "expand", "true"), field: "id", want: ada.Tokens[:1]},
		{resource: "secrets", code: reads.Invalid},
		{field: "resource", want: []string{"user", "user-clients", "user-tokens", "user-token", "user-grants", "user-roles", "admins", "servers", "server-clients", "tokens", "token"}},
	})
}

// TestEveryASAResource does so for the devices and users of a team.
func TestEveryASAResource(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	acme := s.sb.SeedAcme(3)
	s.work("worker-1", s.connections()[1:2], nil)
	ada, tom := acme.Leaver, acme.Traveller
	s.try("asa-prod", []readCase{
		{resource: "clients", filters: filters("username", ada.ASAName), field: "id", want: ada.Devices},
		{resource: "clients", filters: filters("username", ada.ASAName, "descending", "true", "count", "1"), field: "id", want: reversed(ada.Devices)},
		{resource: "clients", filters: filters("all", "true", "state", "PENDING"), field: "hostname", want: []string{ada.Hostnames[2], tom.Hostnames[1], "spare-laptop"}},
		{resource: "clients", filters: filters("all", "true", "state", "NONSENSE"), code: reads.Invalid},
		{resource: "clients", code: reads.Invalid},
		{resource: "clients", filters: filters("username", " "), code: reads.Invalid},
		{resource: "clients", filters: filters("all", "true", "count", "0"), code: reads.Invalid},
		{resource: "client", filters: filters("id", ada.Devices[1]), field: "hostname", want: ada.Hostnames[1:2]},
		{resource: "client", filters: filters("id", "00000000-0000-4000-8000-000000000000"), code: reads.NotFound},
		{resource: "users", filters: filters("starts-with", "Ada"), field: "name", want: []string{ada.ASAName}},
		{resource: "users", filters: filters("contains", "Berg", "status", "ACTIVE", "count", "2"), field: "email", want: []string{ada.Login}},
		{resource: "users", filters: filters("service-users", "true", "contains", "svc-"), field: "user_type", want: []string{"service", "service"}},
		{resource: "user", filters: filters("name", ada.ASAName), field: "email", want: []string{ada.Login}},
		{resource: "user", filters: filters("email", strings.ToUpper(ada.Login)), field: "name", want: []string{ada.ASAName}},
		{resource: "user", filters: filters("email", "nobody@acme.example"), code: reads.NotFound},
	})
	if rows, err := s.get("asa-prod", reads.Query{Resource: "clients", Filters: filters("all", "true"), Limit: 2}); err != nil || len(rows) != 2 {
		t.Errorf("a limit of 2: %d rows, %v", len(rows), err)
	}
	if _, err := s.get("asa-prod", reads.Query{Resource: "users", Class: "soon"}); err == nil {
		t.Error("a class that there is not")
	}
}

// TestEveryMosaicResource does so for the clients of an application.
func TestEveryMosaicResource(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	own := s.sb.Credentials().Mosaic.ClientID
	s.work("worker-1", s.connections()[2:], nil)
	s.try("mosaic-prod", []readCase{
		{resource: "clients", field: "client_id", want: []string{own}},
		{resource: "client", filters: filters("id", own), field: "client_secret", want: []string{secret.Redacted}},
		{resource: "client", filters: filters("id", "nope"), code: reads.NotFound},
	})
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// TestALongListing: 10,000 rows come whole, a page at a time, and the provider is asked for no more than is taken.
func TestALongListing(t *testing.T) {
	const many = 3_000
	s := newSite(t, sandbox.Options{Limits: sandbox.Unlimited()})
	user := s.sb.AddUser(sandbox.UserSpec{Login: "kim@acme.example"})
	app := s.sb.AddOAuthClient(sandbox.OAuthClientSpec{Name: "Wiki"})
	for range many {
		s.sb.AddRefreshToken(user, app, "default")
	}
	s.work("worker-1", s.connections()[:1], nil)
	q := reads.Query{Resource: "tokens", Filters: filters("server", "default", "client", app)}
	var ids map[string]bool
	pages := 0
	err := steadily(func() error {
		ids, pages = map[string]bool{}, 0
		s.sb.ResetJournal()
		return s.asked(stream.ReadGet, "okta-prod", q, func(data []byte) error {
			var p struct{ Rows []struct{ ID string } }
			if err := json.Unmarshal(data, &p); err != nil {
				return err
			}
			for _, r := range p.Rows {
				ids[r.ID] = true
			}
			pages++
			// A call gives 200 rows, a page has 100, and the token was one call more.
			if calls := len(s.sb.Journal()); calls > pages/2+3 {
				t.Errorf("%d calls when %d pages were taken", calls, pages)
			}
			if len(data) > 130<<10 || len(p.Rows) > 100 {
				t.Errorf("a page of %d bytes and %d rows", len(data), len(p.Rows))
			}
			return nil
		})
	})
	if err != nil || len(ids) != many || pages != many/100 {
		t.Errorf("%d rows on %d pages, %v", len(ids), pages, err)
	}
}

// TestTheLaneMoves: the answers come from the holder, and go on from the next one.
func TestTheLaneMoves(t *testing.T) {
	s := newSite(t, sandbox.Options{Limits: sandbox.Unlimited()})
	s.sb.SeedAcme(300)
	only := s.connections()[1:2]
	if err := s.tool.Ask(t.Context(), stream.ReadGet, "asa-prod", []byte("{}"), nil); !errors.Is(err, stream.ErrNoHolder) {
		t.Errorf("before any worker: %v", err)
	}
	stop := s.work("worker-1", only, nil)
	first := s.check("asa-prod")
	s.work("worker-2", only, nil)
	if again := s.check("asa-prod"); first.Worker != "worker-1" || again.Worker != "worker-1" {
		t.Errorf("held by %s, answered by %s", first.Worker, again.Worker)
	}
	err := s.asked(stream.ReadGet, "asa-prod", reads.Query{Resource: "clients", Filters: filters("all", "true")}, func([]byte) error {
		stop()
		return nil
	})
	var said *stream.ReadError
	if !errors.As(err, &said) || said.Code != stream.ReadMoved {
		t.Errorf("a listing under which the worker stopped: %v", err)
	}
	if next := s.check("asa-prod"); next.Worker != "worker-2" || next.Epoch <= first.Epoch {
		t.Errorf("then answered by %s, epoch %d after %d", next.Worker, next.Epoch, first.Epoch)
	}
}

// TestReadsUnderAnOpenBreaker: a refused credential is not worn out by reads; a check tries it all the same, and
// where it works has the lane go on.
func TestReadsUnderAnOpenBreaker(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	var l *lane.Lane
	s.work("worker-1", s.connections()[1:2], nil, func(w *Worker) { l = w.fleet.lanes()[0] })
	s.check("asa-prod")
	s.sb.ResetJournal()
	l.Denied(&apiclient.Error{Op: "asa.listClients", Status: 401, Cause: apiclient.Denied})
	var said *stream.ReadError
	if _, err := s.get("asa-prod", reads.Query{Resource: "users"}); !errors.As(err, &said) || said.Code != stream.ReadCode(reads.Denied) {
		t.Errorf("%v", err)
	}
	if calls := len(s.sb.Journal()); calls > 0 {
		t.Errorf("the read made %d calls", calls)
	}
	if r := s.check("asa-prod"); !r.OK || r.Breaker != "" || results(r)["asa.listUsers"] != reads.Works {
		t.Errorf("%+v", r)
	}
}

// TestReadsWaitForTheBudget: a read that finds no budget says when to ask again, and makes no call.
func TestReadsWaitForTheBudget(t *testing.T) {
	s := newSite(t, sandbox.Options{Limits: map[string]sandbox.Limit{sandbox.BucketASA: {Requests: 3, Window: 5 * time.Minute}}})
	s.work("worker-1", s.connections()[1:2], nil, func(w *Worker) { w.fleet.lanes()[0].Bus.(*desk).patience = 20 * time.Millisecond })
	var said *stream.ReadError
	for range 5 {
		_, err := s.get("asa-prod", reads.Query{Resource: "users"})
		if errors.As(err, &said) {
			break
		}
	}
	if said == nil || said.Code != stream.ReadCode(reads.Later) || !strings.Contains(said.Suggestion, "again in") {
		t.Errorf("%+v", said)
	}
	if n := s.sb.Journal().Count(http.StatusTooManyRequests); n > 0 {
		t.Errorf("the provider had to refuse %d calls", n)
	}
}
