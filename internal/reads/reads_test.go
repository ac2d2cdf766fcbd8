package reads

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryGetOperationIsAResource compares the table with what the clients' docstrings list.
func TestEveryGetOperationIsAResource(t *testing.T) {
	named := regexp.MustCompile(`(?m)^//\t(\w+)  GET /`)
	for _, provider := range []string{Okta, Transmit} {
		var ops []string
		for _, r := range Of(provider) {
			ops = append(ops, r.Ops...)
		}
		files, err := filepath.Glob("../apiclient/" + provider + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		found := 0
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range named.FindAllStringSubmatch(string(src), -1) {
				found++
				if !slices.Contains(ops, m[1]) {
					t.Errorf("%s: %s is in no resource", file, m[1])
				}
			}
		}
		if found < 2 {
			t.Errorf("%s: %d GET operations found: the docstrings have another form", provider, found)
		}
	}
}

func TestTheTable(t *testing.T) {
	seen := map[string]Kind{}
	for _, r := range All() {
		if r.Provider == "" || r.About == "" || len(r.Ops) == 0 || r.open == nil {
			t.Errorf("%s %s is not whole", r.Provider, r.Name)
		}
		if !slices.ContainsFunc(r.Columns, func(c Column) bool { return !c.Wide }) {
			t.Errorf("%s %s has no column", r.Provider, r.Name)
		}
		for _, f := range r.Filters {
			if kind, ok := seen[f.Name]; ok && kind != f.Kind {
				t.Errorf("%s %s: --%s is a %s, elsewhere a %s", r.Provider, r.Name, f.Name, f.Kind, kind)
			}
			seen[f.Name] = f.Kind
		}
		for _, name := range r.OneOf {
			if !slices.ContainsFunc(r.Filters, func(f Filter) bool { return f.Name == name }) {
				t.Errorf("%s %s: no filter %s", r.Provider, r.Name, name)
			}
		}
	}
	if list := Filters(); len(list) != len(seen) {
		t.Errorf("%d filters, want %d", len(list), len(seen))
	}
}

func numbers(n int, last error) Rows {
	return func(yield func(any, error) bool) {
		for i := range n {
			if !yield(map[string]int{"n": i}, nil) {
				return
			}
		}
		if last != nil {
			yield(nil, last)
		}
	}
}

// TestSend: every row once, in order, on pages of a bounded size; those before an error too.
func TestSend(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		rows, limit int
		err         error
		pages       int
	}{{0, 0, nil, 1}, {1, 0, nil, 1}, {100, 0, nil, 1}, {101, 0, nil, 2}, {250, 0, broken, 3}, {0, 0, broken, 0}, {250, 101, broken, 2}, {250, 100, nil, 1}} {
		var pages []Page
		sent, err := Send([]Column{{Title: "N", Field: "n"}}, limited(numbers(c.rows, c.err), c.limit), func(data []byte) error {
			var p Page
			if err := json.Unmarshal(data, &p); err != nil {
				t.Fatal(err)
			}
			pages = append(pages, p)
			return nil
		})
		n := 0
		for i, p := range pages {
			if (p.Columns != nil) != (i == 0) || len(p.Rows) > pageRows {
				t.Errorf("%+v: page %d has %d columns and %d rows", c, i, len(p.Columns), len(p.Rows))
			}
			for _, row := range p.Rows {
				if string(row) != fmt.Sprintf(`{"n":%d}`, n) {
					t.Errorf("%+v: row %d is %s", c, n, row)
				}
				n++
			}
		}
		want, wantErr := c.rows, c.err
		if c.limit > 0 {
			want, wantErr = min(c.limit, c.rows), nil
		}
		if n != want || sent != want || !errors.Is(err, wantErr) || len(pages) != c.pages {
			t.Errorf("%+v: %d rows, %d sent on %d pages, %v", c, n, sent, len(pages), err)
		}
	}
}

func TestSendBoundsThePagesBytes(t *testing.T) {
	big := strings.Repeat("x", 50<<10)
	rows := func(yield func(any, error) bool) {
		for range 10 {
			if !yield(big, nil) {
				return
			}
		}
	}
	pages := 0
	sent, err := Send(nil, rows, func(data []byte) error {
		if pages++; len(data) > pageBytes+100 {
			t.Errorf("a page of %d bytes", len(data))
		}
		return nil
	})
	if err != nil || sent != 10 || pages != 5 {
		t.Errorf("%d rows on %d pages, %v", sent, pages, err)
	}
	gone := errors.New("gone")
	if _, err := Send(nil, rows, func([]byte) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("nobody takes the page: %v", err)
	}
}

// TestRedact: what a name says is a secret never leaves, wherever it stands; the rest does, unchanged.
func TestRedact(t *testing.T) {
	in := `{"client_id":"c1","client_secret":"mark","nested":[{"keySecret":"mark","x":{"Private-Key":"mark"}}],
		"jwks":{"keys":[{"kty":"EC","crv":"P-256","x":"1","y":"2","d":"mark"},{"kty":"oct","k":"mark"}]},
		"d":"kept","k":"kept","access_token":"mark","token_endpoint_auth_method":"client_secret_basic",
		"pkce":"enforcePkceInsteadOfClientCredentials","response_types":["id_token"],"n":12345678901234567890,
		"created_at":"0001-01-01T00:00:00Z","updated_at":"2026-01-02T03:04:05Z","password":{"hash":"mark"}}`
	out, err := encode(json.RawMessage(in))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "mark") {
		t.Errorf("a secret is left: %s", out)
	}
	var got, want map[string]any
	_ = json.Unmarshal(out, &got)
	_ = json.Unmarshal([]byte(strings.ReplaceAll(in, `"mark"`, `"[redacted]"`)), &want)
	want["password"] = "[redacted]"
	delete(want, "created_at")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !strings.Contains(string(out), "12345678901234567890") {
		t.Errorf("a number changed: %s", out)
	}
	plain := `{"z":1,"a":{"secretive":"kept"}}`
	if out, err := encode(json.RawMessage(plain)); err != nil || string(out) != plain {
		t.Errorf("%s became %s, %v", plain, out, err)
	}
}

func TestJudge(t *testing.T) {
	r := Report{Operations: []Operation{
		{Op: "a", Result: Works}, {Op: "b", Result: Refused, Note: "E0000006", Fix: "Grant x"}, {Op: "c", Result: Refused, Note: "E0000006", Fix: "Grant x"},
		{Op: "d", Result: Untried}, {Op: "e", Result: HeldBack}, {Op: "f", Result: None}, {Op: "g", Result: Missing, Fix: "Add y"},
	}}
	r.Judge()
	want := []string{"denied: b, c. E0000006. Grant x", "missing: g. Add y"}
	if r.OK || !slices.Equal(r.Problems, want) {
		t.Errorf("%v %q, want %q", r.OK, r.Problems, want)
	}
	fine := Report{Operations: []Operation{{Op: "a", Result: Works}}}
	if fine.Judge(); !fine.OK {
		t.Error(fine.Problems)
	}
}
