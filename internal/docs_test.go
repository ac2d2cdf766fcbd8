package internal_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"keyturn/internal/actions"
	"keyturn/internal/reads"
)

// providers are the packages of the clients, each with its provider's name.
var providers = []string{"okta", "asa", "transmit"}

// operation is a row of the table "Operations" of docs/PROVIDERS.md.
type operation struct {
	line      int
	document  string
	call      string   // "GET /v1/clients"
	functions []string // "okta.Client.GetUser"
	kinds     []string // "okta.suspend_user"
	gets      []string // resources of `keyturn get`
	free      string   // what stands there in place of both
	tests     []string // "okta.TestOperations"
}

// provider is whose operation it is.
func (o operation) provider() string {
	for _, f := range o.functions {
		if p, _, _ := strings.Cut(f, "."); slices.Contains(providers, p) {
			return p
		}
	}
	return ""
}

// TestProvidersTableIsTrue holds each row of docs/PROVIDERS.md against the code: functions, kinds, resources and tests
// exist, a kind or command is named if and only if it makes the call, and the path is the one in the docstring.
func TestProvidersTableIsTrue(t *testing.T) {
	code := newCode(t)
	rowed := map[string]bool{}
	for _, row := range operations(t) {
		at := "docs/PROVIDERS.md:" + strconv.Itoa(row.line)
		described := false
		for _, name := range row.functions {
			doc, ok := code.doc(name)
			if !ok {
				t.Errorf("%s: no function %s", at, name)
			}
			rowed[name] = true
			described = described || strings.HasPrefix(name, "apiclient.") || strings.Contains(doc, strings.ReplaceAll(row.call, "${", "{"))
		}
		if !described {
			t.Errorf("%s: no docstring of %v has %q", at, row.functions, row.call)
		}
		for _, name := range row.tests {
			if !code.test(name) {
				t.Errorf("%s: no test %s", at, name)
			}
		}
		if len(row.tests) == 0 || len(row.kinds)+len(row.gets) == 0 && row.free == "" {
			t.Errorf("%s: a cell is empty", at)
		}
		if !strings.HasPrefix(row.free, "every ") { // a token: each call needs one
			callers(t, at, row, code)
		}
	}
	for _, p := range providers {
		for _, name := range code.calls(p) {
			if !rowed[name] {
				t.Errorf("docs/PROVIDERS.md has no row for %s", name)
			}
		}
	}
}

// callers checks who makes the calls of a row.
func callers(t *testing.T, at string, row operation, code *code) {
	t.Helper()
	makes := func(reached map[string]bool) bool {
		return slices.ContainsFunc(row.functions, func(name string) bool { return reached[name] })
	}
	for _, k := range actions.Kinds() {
		if calls, named := makes(code.kind(t, k.Name)), slices.Contains(row.kinds, k.Name); named != calls {
			t.Errorf("%s: %s makes this call: %v, is named: %v", at, k.Name, calls, named)
		}
	}
	for _, r := range reads.Of(row.provider()) {
		if calls, named := makes(code.resource(t, r.Provider, r.Name)), slices.Contains(row.gets, r.Name); named != calls {
			t.Errorf("%s: get %s makes this call: %v, is named: %v", at, r.Name, calls, named)
		}
	}
	for _, k := range row.kinds {
		if _, ok := actions.KindOf(k); !ok {
			t.Errorf("%s: no kind %s", at, k)
		}
	}
	for _, g := range row.gets {
		if !slices.ContainsFunc(reads.Of(row.provider()), func(r reads.Resource) bool { return r.Name == g }) {
			t.Errorf("%s: no resource %s", at, g)
		}
	}
}

// TestProvidersTableIsComplete: every operation of the four documents has its row, written as the document writes it.
func TestProvidersTableIsComplete(t *testing.T) {
	const servers = "/api/v1/authorizationServers/{authServerId}/clients"
	want := map[string][]string{
		"ASA Clients": {
			"GET /v1/teams/${team_name}/clients", "GET /v1/teams/${team_name}/clients/${client_id}",
			"DELETE /v1/teams/${team_name}/clients/${client_id}", "PUT /v1/teams/${team_name}/clients/${client_id}",
		},
		"Authorization server clients": {
			"GET " + servers, "GET " + servers + "/{clientId}/tokens", "GET " + servers + "/{clientId}/tokens/{tokenId}",
			"DELETE " + servers + "/{clientId}/tokens/{tokenId}", "DELETE " + servers + "/{clientId}/tokens",
		},
		"User clients": {"GET /api/v1/users/{userId}/clients"},
		"Mosaic clients": {
			"POST /v1/clients", "GET /v1/clients", "DELETE /v1/clients", "GET /v1/clients/{clientId}", "PUT /v1/clients/{clientId}",
			"DELETE /v1/clients/{clientId}", "PUT /v1/clients/{clientId}/resources",
		},
	}
	got := map[string][]string{}
	for _, row := range operations(t) {
		if !strings.HasPrefix(row.document, "(") {
			got[row.document] = append(got[row.document], row.call)
		}
	}
	for document, calls := range want {
		slices.Sort(calls)
		slices.Sort(got[document])
		if !slices.Equal(calls, got[document]) {
			t.Errorf("%s has %q, want %q", document, got[document], calls)
		}
	}
	if len(got) != len(want) {
		t.Errorf("documents %q", slices.Sorted(maps.Keys(got)))
	}
}

// TestEveryKindIsDescribed: the table of what kinds need has each of them once, and no other.
func TestEveryKindIsDescribed(t *testing.T) {
	data, err := os.ReadFile("../docs/PROVIDERS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(data), "\n## What each kind needs\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var got, want []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\|").FindAllStringSubmatch(section, -1) {
		got = append(got, m[1])
	}
	for _, k := range actions.Kinds() {
		want = append(want, k.Name)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("described are %q, want %q", got, want)
	}
}

// operations reads the table.
func operations(t *testing.T) []operation {
	t.Helper()
	data, err := os.ReadFile("../docs/PROVIDERS.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	words := func(cell string) (all []string) {
		for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
			all = append(all, m[1])
		}
		return all
	}
	var rows []operation
	for i, line := range strings.Split(string(data), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 5 || len(words(cells[1])) != 1 || len(words(cells[2])) == 0 {
			continue
		}
		row := operation{line: i + 1, document: cells[0], call: words(cells[1])[0], functions: words(cells[2]), tests: words(cells[4])}
		if strings.HasPrefix(cells[3], "every ") || cells[3] == "client only" {
			row.free = cells[3]
		} else {
			for _, word := range words(cells[3]) {
				if r, ok := strings.CutPrefix(word, "get "); ok {
					row.gets = append(row.gets, r)
				} else {
					row.kinds = append(row.kinds, word)
				}
			}
		}
		rows = append(rows, row)
	}
	if len(rows) < 30 {
		t.Fatalf("only %d rows in the table: has its form changed?", len(rows))
	}
	return rows
}
