package sandbox_test

import (
	"slices"
	"strings"
	"testing"

	"keyturn/internal/sandbox"
)

func TestPaging(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(45)
	path := auth + "/default/clients/" + a.SharedClient + "/tokens"
	var seen []string
	pages := 0
	for next := b.URL + path; next != ""; pages++ {
		got := b.okta(200, "GET", next)
		l := links(t, got)
		if l["self"] != next {
			t.Fatalf("self %q, want %q", l["self"], next)
		}
		seen = append(seen, ids(t, got.body, "id")...)
		next = l["next"]
	}
	if pages != 3 || len(seen) != 45 || len(slices.Compact(slices.Sorted(slices.Values(seen)))) != 45 {
		t.Errorf("%d pages, %d tokens", pages, len(seen))
	}
	if got := ids(t, b.okta(200, "GET", path+"?limit=500").body, "id"); len(got) != 45 {
		t.Errorf("limit 500: %d", len(got))
	}
	if code := errorCode(t, b.okta(400, "GET", path+"?limit=-1")); code != "E0000001" {
		t.Errorf("limit -1: %s", code)
	}
}

func TestPagingSurvivesDeletionOfTheCursorsRow(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(6)
	path := auth + "/default/clients/" + a.SharedClient + "/tokens"
	first := b.okta(200, "GET", path+"?limit=3")
	for _, id := range ids(t, first.body, "id") {
		b.okta(204, "DELETE", path+"/"+id)
	}
	if got := ids(t, b.okta(200, "GET", links(t, first)["next"]).body, "id"); len(got) != 3 {
		t.Errorf("second page: %v", got)
	}
}

func TestAuthServersHaveANextLinkOnAShortPage(t *testing.T) {
	b := start(t, sandbox.Options{})
	first := b.okta(200, "GET", auth+"?limit=200")
	if got := ids(t, first.body, "id"); len(got) != 3 || got[0] != "default" {
		t.Fatalf("servers: %v", got)
	}
	last := b.okta(200, "GET", links(t, first)["next"])
	if got := ids(t, last.body, "id"); len(got) != 0 || links(t, last)["next"] != "" {
		t.Errorf("last page: %v, %v", got, links(t, last))
	}
	b.okta(200, "GET", auth+"/default")
}

func TestBadCursorIsE0000031(t *testing.T) {
	b := start(t, sandbox.Options{})
	a := b.SeedAcme(30)
	good := links(t, b.okta(200, "GET", auth+"/default/clients/"+a.SharedClient+"/tokens"))["next"]
	_, cursor, _ := strings.Cut(good, "after=")
	for _, path := range []string{
		auth + "/default/clients/" + a.SharedClient + "/tokens?after=nonsense",
		auth + "?after=" + cursor, // of another listing
	} {
		got := b.okta(400, "GET", path)
		if code := errorCode(t, got); code != "E0000031" || !strings.Contains(string(got.body), "Invalid cursor.") {
			t.Errorf("%s: %s", path, got.body)
		}
	}
}
