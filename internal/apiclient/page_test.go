package apiclient_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"keyturn/internal/apiclient"
)

type item struct{ ID string }

// listing reads items below /items, where 400 means that the cursor is stale.
func listing(c *apiclient.Client) apiclient.Listing[item] {
	return apiclient.Listing[item]{
		Client: c, First: apiclient.Request{Op: "x.list", Path: []string{"items"}},
		Items: func(r apiclient.Response) ([]item, error) {
			var items []item
			return items, r.Decode(&items)
		},
		ID:    func(i item) string { return i.ID },
		Stale: func(err error) bool { return apiclient.IsStatus(err, http.StatusBadRequest) },
	}
}

// reply writes one page, and a Link line for each relation.
func reply(w http.ResponseWriter, r *http.Request, next string, ids ...string) {
	w.Header().Add("Link", `<http://`+r.Host+r.RequestURI+`>; rel="self"`)
	if next != "" {
		w.Header().Add("Link", `<http://`+r.Host+next+`>; rel="next"`)
	}
	items := make([]item, len(ids))
	for i, id := range ids {
		items[i].ID = id
	}
	_ = json.NewEncoder(w).Encode(items)
}

func ids(items []item) string {
	var s []string
	for _, i := range items {
		s = append(s, i.ID)
	}
	return strings.Join(s, " ")
}

func TestListingFollowsLinks(t *testing.T) {
	type page struct {
		next string
		ids  []string
	}
	tests := map[string]struct {
		pages map[string]page // by cursor
		want  string
		fails bool
	}{
		"one page": {map[string]page{"": {"", []string{"a", "b"}}}, "a b", false},
		"nothing":  {map[string]page{"": {}}, "", false},
		"next on a short page, empty last page": {map[string]page{
			"": {"1", []string{"a"}}, "1": {"2", []string{"b"}}, "2": {}}, "a b", false},
		"empty page in between": {map[string]page{
			"": {"1", []string{"a"}}, "1": {"2", nil}, "2": {"", []string{"b"}}}, "a b", false},
		"cursor that does not change": {map[string]page{
			"": {"1", []string{"a"}}, "1": {"1", []string{"b"}}}, "a b", false},
		"content that shifts": {map[string]page{
			"": {"1", []string{"a", "b"}}, "1": {"", []string{"b", "c"}}}, "a b c", false},
		"a circle": {map[string]page{
			"": {"1", []string{"a"}}, "1": {"2", []string{"b"}}, "2": {"3", []string{"c"}}, "3": {"1", []string{"d"}}}, "a b c d", true},
		"an item without id": {map[string]page{"": {"", []string{"a", ""}}}, "", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				p, next := tt.pages[r.FormValue("after")], ""
				if p.next != "" {
					next = "/base/items?after=" + p.next
				}
				reply(w, r, next, p.ids...)
			})
			got, err := apiclient.Collect(listing(c).All(t.Context()))
			if (err != nil) != tt.fails || ids(got) != tt.want {
				t.Errorf("got %s, %v; want %s", ids(got), err, tt.want)
			}
			if tt.fails {
				mustCause(t, err, apiclient.Transient)
			}
		})
	}
}

func TestListingStartsOverOnceWhenItsCursorIsStale(t *testing.T) {
	for stale := range 3 {
		t.Run(fmt.Sprint(stale), func(t *testing.T) {
			left := stale
			c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.FormValue("after") == "":
					reply(w, r, "/base/items?after=1", "a", "b")
				case left > 0:
					left--
					w.WriteHeader(http.StatusBadRequest)
				default:
					reply(w, r, "", "c")
				}
			})
			got, err := apiclient.Collect(listing(c).All(t.Context()))
			if stale < 2 && (err != nil || ids(got) != "a b c") {
				t.Errorf("got %s, %v", ids(got), err)
			}
			if stale == 2 && (!apiclient.IsStatus(err, 400) || ids(got) != "a b") {
				t.Errorf("got %s, %v", ids(got), err)
			}
		})
	}
}

func TestListingStopsWhenItsReaderDoes(t *testing.T) {
	calls := 0
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		reply(w, r, "/base/items?after="+strconv.Itoa(calls), strconv.Itoa(calls))
	})
	for i, err := range listing(c).All(t.Context()) {
		if err != nil || i.ID == "3" {
			break
		}
	}
	if calls != 3 {
		t.Errorf("%d calls, want 3", calls)
	}
}

func TestListingNeverLeavesItsHost(t *testing.T) {
	for _, next := range []string{
		"http://evil.example/items", "//evil.example/items", "https://127.0.0.1/items", "http://u:p@HOST/items", "http:items", "::",
	} {
		c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("more") != "" || strings.Contains(r.RequestURI, "evil") {
				t.Errorf("asked for %s", r.RequestURI)
			}
			w.Header().Set("Link", "<"+strings.ReplaceAll(next, "HOST", r.Host)+`?more=1>; rel="next"`)
			_, _ = w.Write([]byte(`[{"ID":"a"}]`))
		})
		_, err := apiclient.Collect(listing(c).All(t.Context()))
		mustCause(t, err, apiclient.Permanent)
	}
}

// TestListingGivesEachItemOnce shifts the content while it is read: what stays is given once, whatever comes and goes.
func TestListingGivesEachItemOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 5).Draw(rt, "page size")
		all := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,3}`), 0, 30, rapid.ID).Draw(rt, "items")
		slices.Sort(all)
		var steady []string // never removed
		staleAt := rapid.IntRange(-1, 6).Draw(rt, "stale at call")
		now, calls := slices.Clone(all), 0
		for i, id := range all {
			if i%3 != 0 {
				steady = append(steady, id)
			}
		}
		transport := handlerTransport{func(w http.ResponseWriter, r *http.Request) {
			calls++
			after := r.FormValue("after")
			if after != "" && calls == staleAt {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			// A page begins after its cursor, but repeats some items when others came in before it.
			from := 0
			for from < len(now) && now[from] <= after {
				from++
			}
			if after != "" {
				from = max(0, from-rapid.IntRange(0, 2).Draw(rt, "shift"))
			}
			page := now[from:min(len(now), from+size+2)]
			next := ""
			if from+len(page) < len(now) {
				next = "/base/items?after=" + page[len(page)-1]
			}
			reply(w, r, next, page...)
			if i := rapid.IntRange(0, 40).Draw(rt, "remove"); i < len(now) && !slices.Contains(steady, now[i]) {
				now = slices.Delete(slices.Clone(now), i, i+1)
			}
		}}
		c := inProcess(transport)
		got, err := apiclient.Collect(listing(c).All(t.Context()))
		if err != nil {
			rt.Fatal(err)
		}
		seen := map[string]bool{}
		for _, i := range got {
			if seen[i.ID] {
				rt.Fatalf("%s given twice", i.ID)
			}
			seen[i.ID] = true
		}
		for _, id := range steady {
			if !seen[id] {
				rt.Fatalf("%s never given", id)
			}
		}
	})
}

// TestListingHoldsOnePage reads three megabytes in ten thousand items, and has not kept them at the end.
func TestListingHoldsOnePage(t *testing.T) {
	const pages, size, pad = 50, 200, 300
	body := make([]item, size)
	c := inProcess(handlerTransport{func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.FormValue("after"))
		for i := range body {
			body[i].ID = fmt.Sprintf("%0*d", pad, page*size+i)
		}
		if page+1 < pages {
			w.Header().Set("Link", fmt.Sprintf("</base/items?after=%d>; rel=next", page+1))
		}
		_ = json.NewEncoder(w).Encode(body)
	}})
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	n, before := 0, heap()
	for _, err := range listing(c).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == pages*size {
			if after := heap(); after > before+pages*size*pad/2 {
				t.Errorf("the heap grew from %d to %d bytes", before, after)
			}
		}
	}
	if n != pages*size {
		t.Errorf("%d items, want %d", n, pages*size)
	}
}

func TestFailed(t *testing.T) {
	want := errors.New("no")
	got, err := apiclient.Collect(apiclient.Failed[item](want))
	if len(got) != 0 || !errors.Is(err, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestListingWithoutEnd: a cursor that grows for ever and brings nothing new is a fault of the provider that is told; one that
// brings something after many empty pages is not.
func TestListingWithoutEnd(t *testing.T) {
	for name, last := range map[string]int{"never": -1, "late": 900} {
		calls := 0
		c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			calls++
			n, _ := strconv.Atoi(r.URL.Query().Get("after"))
			switch {
			case n == last:
				reply(w, r, "", "b")
			case n%2 == 0:
				reply(w, r, fmt.Sprint("/items?after=", n+1), "a")
			default:
				reply(w, r, fmt.Sprint("/items?after=", n+1))
			}
		})
		got, err := apiclient.Collect(listing(c).All(t.Context()))
		if last < 0 && (apiclient.CauseOf(err) != apiclient.Transient || ids(got) != "a" || calls > 1100) || last > 0 && (err != nil || ids(got) != "a b") {
			t.Errorf("%s: %v, %v after %d calls", name, got, err, calls)
		}
	}
}
