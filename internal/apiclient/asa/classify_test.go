package asa_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/asa"
)

func TestClassification(t *testing.T) {
	const none = apiclient.Cause(99)
	named := func(name string) string { return fmt.Sprintf(`{"code":403,"error":%q,"message":%q}`, name, mark) }
	sdk := `{"message":"` + mark + ` is wrong","errors":[{"path":"x","message":"` + mark + `"}]}`
	const page = `<html>` + mark
	tests := map[string]struct {
		call   string // get, delete, put
		status int
		header []string
		body   string
		want   apiclient.Cause
		wait   time.Duration
		code   string
		shown  int // status in the error; 0 = the reply's, -1 = none
	}{
		"204":                     {call: "delete", status: 204, want: none},
		"200 in place of 204":     {call: "put", status: 200, body: `{}`, want: none},
		"unreadable 200":          {call: "get", status: 200, body: mark, want: apiclient.Transient},
		"page for an effect":      {call: "delete", status: 200, body: page, want: apiclient.Transient},
		"redirect":                {call: "delete", status: 302, want: apiclient.Transient},
		"400 invalid_request":     {call: "put", status: 400, body: named("invalid_request"), want: apiclient.Permanent, code: "invalid_request"},
		"400 of the SDK's shape":  {call: "put", status: 400, body: sdk, want: apiclient.Permanent},
		"401 authentication":      {call: "get", status: 401, body: named("authentication_error"), want: apiclient.Permanent, code: "authentication_error"},
		"401 authorization_error": {call: "delete", status: 401, body: `{"message":"authorization_error"}`, want: apiclient.Permanent, code: "authorization_error"},
		"401 page":                {call: "get", status: 401, body: page, want: apiclient.Permanent},
		"403 forbidden_error":     {call: "delete", status: 403, body: named("forbidden_error"), want: apiclient.Permanent, code: "forbidden_error"},
		"403 page":                {call: "delete", status: 403, body: page, want: apiclient.Transient, shown: -1},
		"404 on a delete":         {call: "delete", status: 404, body: named("resource_does_not_exist"), want: apiclient.AlreadyDone, code: "resource_does_not_exist"},
		"404 on a delete, empty":  {call: "delete", status: 404, want: apiclient.AlreadyDone},
		"404 on a read":           {call: "get", status: 404, body: named("resource_does_not_exist"), want: apiclient.Permanent, code: "resource_does_not_exist"},
		"404 on a change":         {call: "put", status: 404, body: sdk, want: apiclient.Permanent},
		"404 deprecated":          {call: "delete", status: 404, body: `{"type":"resource_deprecated"}`, want: apiclient.Permanent, code: "resource_deprecated"},
		"404 page":                {call: "delete", status: 404, body: page, want: apiclient.Transient, shown: -1},
		"408":                     {call: "get", status: 408, want: apiclient.Transient},
		"409":                     {call: "put", status: 409, body: named("resource_already_exists"), want: apiclient.Permanent, code: "resource_already_exists"},
		"410 on a delete":         {call: "delete", status: 410, want: apiclient.AlreadyDone},
		"415":                     {call: "put", status: 415, body: named("unsupported_content_type"), want: apiclient.Permanent, code: "unsupported_content_type"},
		"499":                     {call: "get", status: 499, body: named("client_closed_connection"), want: apiclient.Transient, code: "client_closed_connection"},
		"500":                     {call: "delete", status: 500, body: named("unknown_error"), want: apiclient.Transient, code: "unknown_error"},
		"502":                     {call: "get", status: 502, body: page, want: apiclient.Transient},
		"503":                     {call: "get", status: 503, body: named("service_offline"), want: apiclient.Transient, code: "service_offline"},
		"503 with Retry-After":    {call: "get", status: 503, header: []string{"Retry-After", "Fri, 21 Nov 2025 10:02:00 GMT"}, want: apiclient.Later, wait: 2 * time.Minute},
		"504":                     {call: "get", status: 504, body: named("gateway_timeout"), want: apiclient.Transient, code: "gateway_timeout"},
		"429 with Retry-At": {call: "get", status: 429, header: []string{"X-RateLimit-Retry-At", fmt.Sprint(epoch + 20)}, body: named("too_many_requests"),
			want: apiclient.Later, wait: 20*time.Second + 1550*time.Millisecond, code: "too_many_requests"},
		"429 with a past Retry-At": {call: "get", status: 429, header: []string{"X-RateLimit-Retry-At", fmt.Sprint(epoch - 20)},
			want: apiclient.Later, wait: time.Second + 1550*time.Millisecond},
		"429 with a far Retry-At": {call: "get", status: 429, header: []string{"X-RateLimit-Retry-At", fmt.Sprint(epoch + 9999)},
			want: apiclient.Later, wait: 90*time.Second + 1550*time.Millisecond},
		"429 in Okta's other spelling": {call: "get", status: 429, header: []string{"X-Rate-Limit-Retry-At", fmt.Sprint(epoch + 20)},
			want: apiclient.Later, wait: 7500 * time.Millisecond},
		"429 with Retry-After": {call: "get", status: 429, header: []string{"Retry-After", "4"}, want: apiclient.Later, wait: 4 * time.Second},
		"429 with nothing":     {call: "get", status: 429, want: apiclient.Later, wait: 7500 * time.Millisecond},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := newTeam(t, func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("count") == "1" { // the probe
					_, _ = io.WriteString(w, `{"list":[]}`)
					return
				}
				for i := 0; i < len(tt.header); i += 2 {
					w.Header().Set(tt.header[i], tt.header[i+1])
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			var err error
			switch tt.call {
			case "get":
				_, err = c.GetClient(t.Context(), "20dd")
			case "delete":
				_, err = c.RevokeClient(t.Context(), "20dd")
			case "put":
				_, err = c.AssignClient(t.Context(), "20dd", asa.Active, "jo")
			}
			if tt.want == none {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e, ok := errors.AsType[*apiclient.Error](err)
			if !ok || e.Cause != tt.want || e.RetryAfter != tt.wait || e.Code != tt.code || e.RequestID != "req-1" {
				t.Fatalf("error %+v, want %v %v %q", err, tt.want, tt.wait, tt.code)
			}
			if want := map[int]int{0: tt.status, -1: 0}[tt.shown]; e.Status != want {
				t.Errorf("status %d, want %d", e.Status, want)
			}
			if strings.Contains(err.Error(), mark) {
				t.Errorf("the mark stands in %v", err)
			}
		})
	}
}

func TestProbeRefused(t *testing.T) {
	c := newTeam(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	if _, err := c.RevokeClient(t.Context(), "20dd"); apiclient.CauseOf(err) != apiclient.Denied {
		t.Errorf("error %v", err)
	}
	if err := c.Probe(t.Context()); apiclient.CauseOf(err) != apiclient.Denied {
		t.Errorf("error %v", err)
	}
}

func FuzzErrorBody(f *testing.F) {
	f.Add(404, `{"code":404,"error":"resource_does_not_exist","error_cause":[{"error":"x","location_type":"path"}]}`)
	f.Add(400, `{"message":"bad","errors":[{"path":"x","message":"y"}]}`)
	f.Add(429, `<html>`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 || status == 401 || status == 403 {
			return
		}
		c := newTeam(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
		_, err := c.RevokeClient(t.Context(), "20dd")
		e, ok := errors.AsType[*apiclient.Error](err)
		if err != nil && (!ok || len(err.Error()) > 300) {
			t.Errorf("error %v", err)
		}
		if ok && e.Cause == apiclient.AlreadyDone && status != 404 && status != 410 {
			t.Errorf("%d passes for done", status)
		}
	})
}
