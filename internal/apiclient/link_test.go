package apiclient

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestNextTarget(t *testing.T) {
	at, _ := url.Parse("https://acme.okta.example/api/v1/users?limit=2")
	tests := map[string]struct {
		lines []string
		want  string
	}{
		"none":           {nil, ""},
		"separate lines": {[]string{`<https://acme.okta.example/api/v1/users?limit=2>; rel="self"`, `<https://acme.okta.example/api/v1/users?after=x&limit=2>; rel="next"`}, "/api/v1/users?after=x&limit=2"},
		"one line":       {[]string{`<https://acme.okta.example/a>; rel="self", <https://acme.okta.example/b>; rel="next"`}, "/b"},
		"prev only":      {[]string{`<https://acme.okta.example/a>; rel="prev"`}, ""},
		"no quotes":      {[]string{`<https://acme.okta.example/a>;rel=next`}, "/a"},
		"more relations": {[]string{`<https://acme.okta.example/a>; rel="last next"`}, "/a"},
		"more params":    {[]string{`<https://acme.okta.example/a>; title="a, b; rel=\"x\""; REL = "Next"`}, "/a"},
		"comma in URL":   {[]string{`<https://acme.okta.example/a?x=1,2>; rel="next"`}, "/a?x=1,2"},
		"port and case":  {[]string{`<HTTPS://ACME.okta.example:443/a>; rel="next"`}, "/a"},
		"relative":       {[]string{`</b?after=1>; rel="next"`}, "/b?after=1"},
		"query only":     {[]string{`<?after=1>; rel="next"`}, "/api/v1/users?after=1"},
		"escapes stay":   {[]string{`<https://acme.okta.example/a%2Fb?c=%20>; rel="next"`}, "/a%2Fb?c=%20"},
		"broken":         {[]string{`<https://acme.okta.example/a; rel="next"`, `rel="next"`, `<>`}, ""},
		"first rel":      {[]string{`<https://acme.okta.example/a>; rel="self"; rel="next"`}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := nextTarget(http.Header{"Link": tt.lines}, at)
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func FuzzNextTarget(f *testing.F) {
	f.Add(`<https://acme.okta.example/a>; rel="self", <https://acme.okta.example/b?x=1,2>; rel="next"`)
	f.Add(`<//evil.example/>; rel=next`)
	f.Add(`<https://acme.okta.example//evil.example/x>; title="\"; rel=next`)
	at, _ := url.Parse("https://acme.okta.example/api/v1/users")
	f.Fuzz(func(t *testing.T, line string) {
		got, err := nextTarget(http.Header{"Link": {line}}, at)
		if err != nil && got != "" {
			t.Errorf("%q beside %v", got, err)
		}
		if got == "" {
			return
		}
		u, err := at.Parse(got)
		if err != nil || !sameOrigin(u, at) || u.User != nil || !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") {
			t.Errorf("%q leads to %v, %v", line, u, err)
		}
	})
}
