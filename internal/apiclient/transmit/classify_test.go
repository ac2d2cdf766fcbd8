package transmit_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/transmit"
)

func TestClassification(t *testing.T) {
	const (
		none = apiclient.Cause(99)
		list = `{"message":["` + mark + ` must be a URL","x"],"error_code":400}`
		text = `{"message":"` + mark + `","error_code":404}`
		page = `<!DOCTYPE html>` + mark
	)
	tests := map[string]struct {
		call   string // get, delete, put, post, all
		status int
		header string // of Retry-After
		body   string
		want   apiclient.Cause
		wait   time.Duration
		code   string
		shown  int // status in the error; 0 = the reply's, -1 = none
	}{
		"204":                    {call: "delete", status: 204, want: none},
		"200 in place of 201":    {call: "post", status: 200, body: `{"client_id":"c1"}`, want: none},
		"unreadable 201":         {call: "post", status: 201, body: `{"client_secret":"` + mark, want: apiclient.Transient},
		"201 without id":         {call: "post", status: 201, body: `{"client_secret":"` + mark + `"}`, want: apiclient.Transient},
		"null for a list":        {call: "all", status: 200, body: `null`, want: apiclient.Transient},
		"object for a list":      {call: "all", status: 200, body: `{}`, want: apiclient.Transient},
		"list item without id":   {call: "all", status: 200, body: `[{}]`, want: apiclient.Transient},
		"page for an effect":     {call: "delete", status: 200, body: page, want: apiclient.Transient},
		"redirect":               {call: "get", status: 301, want: apiclient.Transient},
		"400 message a list":     {call: "put", status: 400, body: list, want: apiclient.Permanent, code: "400"},
		"400 message a text":     {call: "put", status: 400, body: text, want: apiclient.Permanent, code: "404"},
		"401, probe fine":        {call: "get", status: 401, want: apiclient.Permanent},
		"403, probe fine":        {call: "get", status: 403, want: apiclient.Later, wait: 5 * time.Minute},
		"403 page":               {call: "get", status: 403, body: page, want: apiclient.Transient, shown: -1},
		"404 on a delete":        {call: "delete", status: 404, body: text, want: apiclient.AlreadyDone, code: "404"},
		"404 on a read":          {call: "get", status: 404, body: text, want: apiclient.Permanent, code: "404"},
		"404 on a change":        {call: "put", status: 404, body: text, want: apiclient.Permanent, code: "404"},
		"404 page":               {call: "delete", status: 404, body: page, want: apiclient.Transient, shown: -1},
		"408":                    {call: "get", status: 408, want: apiclient.Transient},
		"409 on a create":        {call: "post", status: 409, body: `{"message":"` + mark + `","error_code":409,"ts_error_code":"identifier_taken"}`, want: apiclient.AlreadyDone, code: "identifier_taken"},
		"409 on a change":        {call: "put", status: 409, want: apiclient.Permanent},
		"410 on a delete":        {call: "delete", status: 410, want: apiclient.AlreadyDone},
		"422":                    {call: "put", status: 422, body: mark, want: apiclient.Permanent},
		"429":                    {call: "get", status: 429, want: apiclient.Later, wait: 7500 * time.Millisecond},
		"429 in seconds":         {call: "get", status: 429, header: "12", body: page, want: apiclient.Later, wait: 12 * time.Second},
		"429 as a date":          {call: "get", status: 429, header: "Fri, 21 Nov 2025 10:00:07 GMT", want: apiclient.Later, wait: 7 * time.Second},
		"500":                    {call: "post", status: 500, body: text, want: apiclient.Transient, code: "404"},
		"502 of the edge":        {call: "get", status: 502, body: page, want: apiclient.Transient},
		"520 of the edge":        {call: "post", status: 520, body: page, want: apiclient.Transient},
		"503":                    {call: "get", status: 503, want: apiclient.Transient},
		"503 with Retry-After":   {call: "get", status: 503, header: "60", want: apiclient.Later, wait: time.Minute},
		"error code of any kind": {call: "put", status: 400, body: `{"error_code":{"x":"` + mark + `"},"ts_error_code":7}`, want: apiclient.Permanent},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := newApp(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" && strings.HasSuffix(r.URL.Path, "/clients") && tt.call != "all" { // the probe
					_, _ = io.WriteString(w, `[]`)
					return
				}
				if tt.header != "" {
					w.Header().Set("Retry-After", tt.header)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			err := call(t, c.Client, tt.call)
			if tt.want == none {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e, ok := errors.AsType[*apiclient.Error](err)
			if !ok || e.Cause != tt.want || e.RetryAfter != tt.wait || e.Code != tt.code || e.RequestID != "ray-1" {
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

// call makes a read, a listing, a delete, an update or a create.
func call(t *testing.T, c *transmit.Client, kind string) error {
	t.Helper()
	switch kind {
	case "get":
		return second(c.GetClient(t.Context(), "c1"))
	case "all":
		return second(c.ListClients(t.Context()))
	case "delete":
		return second(c.DeleteClient(t.Context(), "c1"))
	case "put":
		return third(c.UpdateClient(t.Context(), "c1", transmit.Update{}))
	default:
		return third(c.CreateOIDC(t.Context(), fullOIDC()))
	}
}

func TestProbeRefused(t *testing.T) {
	for _, status := range []int{401, 403} {
		c := newApp(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if _, err := c.DeleteClient(t.Context(), "c1"); apiclient.CauseOf(err) != apiclient.Denied {
			t.Errorf("%d: error %v", status, err)
		}
		if err := c.Probe(t.Context()); apiclient.CauseOf(err) != apiclient.Denied {
			t.Errorf("%d: error %v", status, err)
		}
	}
}

func TestNew(t *testing.T) {
	for name, o := range map[string]transmit.Options{
		"no base":   {TokenURL: "https://api.example/oidc/token"},
		"no token":  {BaseURL: "https://api.example/cis"},
		"no secret": {BaseURL: "https://api.example/cis", TokenURL: "https://api.example/oidc/token", ClientID: "c1"},
		"plain":     {BaseURL: "https://api.example/cis", TokenURL: "http://api.example/oidc/token", ClientID: "c1"},
	} {
		if _, err := transmit.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzErrorBody(f *testing.F) {
	f.Add(404, `{"message":["a","b"],"error_code":404}`)
	f.Add(409, `{"message":"a","error_code":4e99,"ts_error_code":"x"}`)
	f.Add(429, `<html>`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 || status == 401 || status == 403 {
			return
		}
		c := newApp(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
		_, err := c.DeleteClient(t.Context(), "c1")
		e, ok := errors.AsType[*apiclient.Error](err)
		if err != nil && (!ok || len(err.Error()) > 300) {
			t.Errorf("error %v", err)
		}
		if ok && e.Cause == apiclient.AlreadyDone && status != 404 && status != 410 {
			t.Errorf("%d passes for done", status)
		}
	})
}
