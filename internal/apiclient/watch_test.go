package apiclient_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"keyturn/internal/apiclient"
)

// TestWatchTellsEveryExchange: of a call that worked, one that failed, and one that nobody answered.
func TestWatchTellsEveryExchange(t *testing.T) {
	status := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "r1")
		w.WriteHeader(status)
	}))
	base, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := &apiclient.Client{
		Base: base, Transport: srv.Client().Transport, RequestID: []string{"X-Request-Id"},
		Classify: func(q apiclient.Request, r apiclient.Response, _ apiclient.Budget) *apiclient.Error {
			if r.OK() {
				return nil
			}
			return &apiclient.Error{Op: q.Op, Status: r.Status, Err: errors.New("no")}
		},
	}
	var seen []apiclient.Exchange
	ctx := apiclient.Watch(t.Context(), func(x apiclient.Exchange) { seen = append(seen, x) })
	_, _ = c.Do(ctx, apiclient.Request{Op: "a", Path: []string{"a"}})
	status = http.StatusForbidden
	_, _ = c.Do(ctx, apiclient.Request{Op: "b", Path: []string{"b"}})
	srv.Close()
	_, _ = c.Do(ctx, apiclient.Request{Op: "c", Path: []string{"c"}})
	_, _ = c.Do(t.Context(), apiclient.Request{Op: "d", Path: []string{"d"}})
	want := []apiclient.Exchange{{Op: "a", Status: 200, RequestID: "r1"}, {Op: "b", Status: 403, RequestID: "r1"}, {Op: "c"}}
	if !slices.Equal(seen, want) {
		t.Errorf("saw %+v, want %+v", seen, want)
	}
}
