package sandbox_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/sandbox"
)

const team = "/asa/v1/teams/acme"

// asaCaller calls ASA with one key's token.
type asaCaller struct {
	*bench
	token string
}

func (b *bench) asASA(key sandbox.ASAKey) asaCaller { return asaCaller{b, b.asaToken(key)} }

func (c asaCaller) call(want int, method, path, body string) answer {
	c.t.Helper()
	headers := []string{"Authorization", "Bearer " + c.token}
	if body != "" {
		headers = append(headers, "Content-Type", "application/json")
	}
	return c.do(want, method, path, body, headers...)
}

// list returns the ids, or names, of a listing with its links.
func (c asaCaller) list(path, key string) ([]string, map[string]string) {
	c.t.Helper()
	a := c.call(200, "GET", path, "")
	var out struct {
		List json.RawMessage `json:"list"`
	}
	a.into(c.t, &out)
	return ids(c.t, out.List, key), links(c.t, a)
}

// asaErrorName is the name in an ASA error.
func asaErrorName(t *testing.T, a answer) string {
	t.Helper()
	var e struct {
		Code  int    `json:"code"`
		Error string `json:"error"`
	}
	a.into(t, &e)
	if e.Code != a.StatusCode {
		t.Errorf("code %d in a %d", e.Code, a.StatusCode)
	}
	return e.Error
}

func TestASAListScope(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(0)
	c := b.asASA(b.creds.ASAAdmin)
	own := b.AddASAClient(sandbox.ASAClientSpec{UserName: b.creds.ASAAdmin.UserName, Hostname: "runner"})
	for query, want := range map[string][]string{
		"":                                 {own}, // not the team's, and not the leaver's
		"?username=Ada.Berg":               a.Leaver.Devices,
		"?username=Ada.Berg&all=true":      a.Leaver.Devices,
		"?username=Ada.Berg&state=PENDING": a.Leaver.Devices[2:],
		"?username=":                       {a.Unassigned}, // the trap: strangers' devices
		"?username=nobody":                 {},
		"?username=ada.berg@acme.example&all=true": {}, // a login is no user name
	} {
		if got, _ := c.list(team+"/clients"+query, "id"); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
	}
	if got, _ := c.list(team+"/clients?all=true", "id"); len(got) != 9 {
		t.Errorf("all: %d", len(got))
	}
	if got := asaErrorName(t, c.call(400, "GET", team+"/clients?state=LOST", "")); got != "invalid_request" {
		t.Errorf("unknown state: %s", got)
	}
}

func TestASAPaging(t *testing.T) {
	b := start(t, sandbox.Options{})
	b.SeedAcme(0)
	c := b.asASA(b.creds.ASAAdmin)
	all, none := c.list(team+"/clients?all=true", "id")
	if len(none) != 0 {
		t.Errorf("links of a whole list: %v", none)
	}
	for _, order := range []string{"false", "true"} {
		want := slices.Clone(all)
		if order == "true" {
			slices.Reverse(want)
		}
		var seen []string
		next, last := b.URL+team+"/clients?all=true&count=3&descending="+order, ""
		for next != "" {
			page, l := c.list(next, "id")
			seen = append(seen, page...)
			if l["next"] != "" && !strings.Contains(l["next"], "count=3") {
				t.Errorf("count did not propagate: %s", l["next"])
			}
			next, last = l["next"], l["prev"]
		}
		if !slices.Equal(seen, want) {
			t.Errorf("descending=%s: %v, want %v", order, seen, want)
		}
		if page, l := c.list(last, "id"); !slices.Equal(page, want[len(want)-5:len(want)-2]) || l["next"] == "" {
			t.Errorf("descending=%s: page before the last %v, links %v", order, page, l)
		}
	}
	for range 100 {
		b.AddASAClient(sandbox.ASAClientSpec{Hostname: "spare"})
	}
	if got, l := c.list(team+"/clients?all=true", "id"); len(got) != 100 || l["next"] == "" {
		t.Errorf("default page: %d", len(got))
	}
	c.call(400, "GET", team+"/clients?offset=nonsense", "")
	c.call(400, "GET", team+"/clients?count=0", "")
}

func TestASADeleteIsSoft(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(0)
	c := b.asASA(b.creds.ASAAdmin)
	one := team + "/clients/" + a.Leaver.Devices[0]
	var d struct {
		State     string     `json:"state"`
		UserName  *string    `json:"user_name"`
		DeletedAt *time.Time `json:"deleted_at"`
	}
	c.call(200, "GET", one, "").into(t, &d)
	if d.State != "ACTIVE" || d.DeletedAt != nil || *d.UserName != "Ada.Berg" {
		t.Errorf("before: %+v", d)
	}
	c.call(204, "DELETE", one, "")
	c.call(200, "GET", one, "").into(t, &d)
	if d.State != "DELETED" || d.DeletedAt == nil || !d.DeletedAt.Equal(b.clock.Now()) {
		t.Errorf("after: %+v", d)
	}
	if got := asaErrorName(t, c.call(404, "DELETE", one, "")); got != "resource_does_not_exist" {
		t.Errorf("second delete: %s", got)
	}
	c.call(404, "PUT", one, `{"state":"ACTIVE"}`)
	c.call(404, "GET", team+"/clients/nobody", "")
	if got, _ := c.list(team+"/clients?username=Ada.Berg", "id"); !slices.Equal(got, a.Leaver.Devices[1:]) {
		t.Errorf("list: %v", got)
	}
	if got, _ := c.list(team+"/clients?username=Ada.Berg&state=DELETED", "id"); !slices.Equal(got, a.Leaver.Devices[:1]) {
		t.Errorf("deleted list: %v", got)
	}
	if n := count(b.Journal().Effects(), "asa.client.deleted "+a.Leaver.Devices[0]); n != 1 {
		t.Errorf("effect %d times", n)
	}
	if got := b.Snapshot().ASA.ClientsOf("Ada.Berg"); len(got) != 2 {
		t.Errorf("state: %v", got)
	}
}

func TestASAOptionsForWhatIsUnconfirmed(t *testing.T) {
	b := start(t, sandbox.Options{ASA: sandbox.ASAOptions{ListDeleted: true, RepeatedDeleteOK: true, TokenLife: time.Minute}})
	a := b.SeedAcme(0)
	c := b.asASA(b.creds.ASAAdmin)
	one := team + "/clients/" + a.Leaver.Devices[0]
	c.call(204, "DELETE", one, "")
	c.call(204, "DELETE", one, "")
	if got, _ := c.list(team+"/clients?username=Ada.Berg", "id"); len(got) != 3 {
		t.Errorf("list: %v", got)
	}
	if got := len(b.Journal().Effects()); got != 1 {
		t.Errorf("%d effects", got)
	}
	b.clock.Add(time.Minute)
	c.call(401, "GET", one, "")
}

func TestASAApproveAndAssign(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(0)
	c := b.asASA(b.creds.ASAAdmin)
	one := team + "/clients/" + a.Unassigned
	c.call(204, "PUT", one, `{"state":"ACTIVE","user_name":"Tom.Okafor"}`)
	c.call(204, "PUT", one, `{"state":"ACTIVE","user_name":"Tom.Okafor"}`)
	if got, _ := c.list(team+"/clients?username=Tom.Okafor", "id"); !slices.Contains(got, a.Unassigned) {
		t.Errorf("list: %v", got)
	}
	want := []string{"asa.client.assigned " + a.Unassigned, "asa.client.approved " + a.Unassigned}
	if got := b.Journal().Effects(); !slices.Equal(got, want) {
		t.Errorf("effects %v", got)
	}
	for _, body := range []string{`{"state":"LOST"}`, `{"state":"ACTIVE","user_name":"nobody"}`, `not json`} {
		if got := asaErrorName(t, c.call(400, "PUT", one, body)); got != "invalid_request" {
			t.Errorf("%s: %s", body, got)
		}
	}
	c.call(204, "PUT", one, `{"state":"DELETED"}`)
	if d, _ := b.Snapshot().ASA.Client(a.Unassigned); d.State != "DELETED" || d.DeletedAt == nil {
		t.Errorf("PUT DELETED: %+v", d)
	}
}

func TestASARoles(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(0)
	c := b.asASA(b.creds.ASAUser)
	own := b.AddASAClient(sandbox.ASAClientSpec{UserName: b.creds.ASAUser.UserName, Hostname: "own"})
	stranger := team + "/clients/" + a.Leaver.Devices[0]
	c.call(200, "GET", stranger, "")
	if got := asaErrorName(t, c.call(401, "DELETE", stranger, "")); got != "authorization_error" {
		t.Errorf("delete: %s", got)
	}
	if got := asaErrorName(t, c.call(401, "PUT", stranger, `{"state":"ACTIVE"}`)); got != "authorization_error" {
		t.Errorf("put: %s", got)
	}
	c.call(204, "DELETE", team+"/clients/"+own, "")
	reader := b.asASA(b.AddASAServiceUser(sandbox.ASAServiceUserSpec{
		Key: sandbox.ASAKey{UserName: "svc-report"}, Role: sandbox.RoleReportingUser,
	}))
	reader.call(401, "DELETE", stranger, "")
	reader.call(200, "GET", team+"/clients?all=true", "")
}

func TestASATokensAndContentType(t *testing.T) {
	b := start(t, sandbox.Options{})
	key := b.creds.ASAAdmin
	body := `{"key_id":"` + key.KeyID + `","key_secret":"` + key.KeySecret + `"}`
	if got := asaErrorName(t, b.do(415, "POST", team+"/service_token", body)); got != "unsupported_content_type" {
		t.Errorf("no content type: %s", got)
	}
	json := []string{"Content-Type", "application/json"}
	if got := asaErrorName(t, b.do(401, "POST", team+"/service_token", `{"key_id":"x"}`, json...)); got != "authentication_error" {
		t.Errorf("bad key: %s", got)
	}
	b.do(400, "POST", team+"/service_token", `{`, json...)
	b.do(404, "POST", "/asa/v1/teams/other/service_token", body, json...)
	b.do(200, "POST", "/asa/v1/teams/ACME/service_token", body, json...)

	c := b.asASA(key)
	a := b.SeedAcme(0)
	b.do(415, "PUT", team+"/clients/"+a.Unassigned, `{"state":"ACTIVE"}`, "Authorization", "Bearer "+c.token)
	c.call(404, "GET", "/asa/v1/teams/other/clients", "")
	if got := asaErrorName(t, b.do(401, "GET", team+"/clients", "")); got != "authentication_error" {
		t.Errorf("no token: %s", got)
	}
	c.call(200, "GET", team+"/clients", "")
	b.clock.Add(time.Hour)
	c.call(401, "GET", team+"/clients", "")
	c = b.asASA(key)
	b.ExpireASAKey(key.KeyID)
	c.call(401, "GET", team+"/clients", "")
	b.do(401, "POST", team+"/service_token", body, json...)
}

func TestASAUsers(t *testing.T) {
	b := start(t, sandbox.Options{})
	b.SeedAcme(0)
	b.AddASAUser(sandbox.ASAUserSpec{Name: "Old.Hand", Status: sandbox.ASADeleted})
	b.AddASAUser(sandbox.ASAUserSpec{Name: "Away.Day"})
	b.SetASAUserStatus("Away.Day", sandbox.ASADisabled)
	c := b.asASA(b.creds.ASAAdmin)
	for query, want := range map[string][]string{
		"":                  {"Ada.Berg", "Tom.Okafor", "Lena.Fischer", "Break.Glass", "Away.Day"},
		"?contains=OKA":     {"Tom.Okafor"},
		"?starts_with=ada":  {"Ada.Berg"},
		"?starts_with=berg": {},
		"?status=DISABLED":  {"Away.Day"},
		"?status=DELETED":   {"Old.Hand"},
		"?include_service_users=true&contains=svc": {"svc-access", "svc-limited"},
		"?count=2&descending=true":                 {"Away.Day", "Break.Glass"},
	} {
		if got, _ := c.list(team+"/users"+query, "name"); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
	}
	var u struct {
		Name    string `json:"name"`
		Status  string `json:"status"`
		Type    string `json:"user_type"`
		Details struct {
			Email string `json:"email"`
		} `json:"details"`
	}
	c.call(200, "GET", team+"/users/Ada.Berg", "").into(t, &u)
	if u.Status != "ACTIVE" || u.Type != "human" || u.Details.Email != "ada.berg@acme.example" {
		t.Errorf("user: %+v", u)
	}
	c.call(404, "GET", team+"/users/ada.berg@acme.example", "")
}

func TestASARateHeaders(t *testing.T) {
	b := start(t, sandbox.Options{Limits: map[string]sandbox.Limit{sandbox.BucketASA: {Requests: 2, Window: 30 * time.Second}}})
	c := b.asASA(b.creds.ASAAdmin)
	ok := c.call(200, "GET", team+"/clients", "")
	if got := ok.Header["X-Ratelimit-Remaining"]; len(got) != 1 || got[0] != "1" || ok.Header["X-Ratelimit-Retry-At"] != nil {
		t.Errorf("headers: %v", ok.Header)
	}
	c.call(200, "GET", team+"/clients", "")
	a := c.call(429, "GET", team+"/clients", "")
	if asaErrorName(t, a) != "too_many_requests" || a.Header.Get("X-RateLimit-Retry-At") != a.Header.Get("X-RateLimit-Reset") ||
		a.Header.Get("X-Rate-Limit-Limit") != "" || a.Header.Get("X-RateLimit-Retry-At") == "" {
		t.Errorf("429 headers: %v", a.Header)
	}
	b.clock.Add(30 * time.Second)
	c.call(200, "GET", team+"/clients", "")
}
