package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCallsAreThoseOfTheClients: the table of docs/PROVIDERS.md, which is held against the clients, is the one that buckets
// are checked by.
func TestCallsAreThoseOfTheClients(t *testing.T) {
	doc, err := os.ReadFile("../../docs/PROVIDERS.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| [^|]+ \\| `((?:GET|PUT|POST|DELETE) [^`]+)` \\| `(okta|asa|transmit)\\.Client\\.")
	varies := regexp.MustCompile(`\$?\{[^}]+\}`)
	listed := map[string][]Call{}
	for _, m := range row.FindAllStringSubmatch(string(doc), -1) {
		listed[m[2]] = append(listed[m[2]], parseCall(varies.ReplaceAllString(m[1], "*")))
	}
	for _, provider := range Providers() {
		if len(listed[provider]) < 5 {
			t.Fatalf("%s: %d rows", provider, len(listed[provider]))
		}
		for _, c := range listed[provider] {
			if !slices.ContainsFunc(operationsOf(provider), func(o Call) bool { return o.covers(c) }) {
				t.Errorf("%s: no bucket can count %s /%s", provider, c.Method, strings.Join(c.Path, "/"))
			}
		}
		for _, o := range operationsOf(provider) {
			if !slices.ContainsFunc(listed[provider], func(c Call) bool { return o.covers(c) && c.covers(o) }) {
				t.Errorf("%s: nobody makes %s /%s", provider, o.Method, strings.Join(o.Path, "/"))
			}
		}
		for _, name := range bucketsOf(provider) {
			if !strings.Contains(string(doc), " | `"+name+"`") {
				t.Errorf("%s: bucket %s is not in the table of rate budgets", provider, name)
			}
		}
	}
}

func TestPatternsOfCalls(t *testing.T) {
	for _, c := range []struct {
		pattern, call string
		meets, covers bool
	}{
		{"GET /a/*", "GET /a/*", true, true},
		{"/a/*", "GET /a/*", true, true},
		{"PUT /a/*", "GET /a/*", false, false},
		{"/a/b", "GET /a/*", true, false},
		{"/a/b", "GET /a/b", true, true},
		{"/a/b", "GET /a/c", false, false},
		{"/a/*", "GET /a/b", true, true},
		{"/a/*", "GET /a", false, false},
		{"/a", "GET /a/*", false, false},
		{"/a/**", "GET /a", true, true},
		{"/a/**", "GET /a/*/b", true, true},
		{"/**", "GET /a/*/b", true, true},
		{"/a/*", "/a/**", true, false},
		{"/a/**", "/a/**", true, true},
		{"GET /a/**", "/a/**", false, false},
	} {
		pattern, call := parseCall(c.pattern), parseCall(c.call)
		if meets, covers := pattern.meets(call), pattern.covers(call); meets != c.meets || covers != c.covers {
			t.Errorf("%s and %s: meets %v, covers %v", c.pattern, c.call, meets, covers)
		}
	}
}
