package admin_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"keyturn/internal/admin"
)

// TestReady: what is wrong here keeps a process from being ready; what is wrong elsewhere is shown.
func TestReady(t *testing.T) {
	wrong := func(context.Context) error { return errors.New("the provider is away") }
	for _, c := range []struct {
		check  admin.Check
		status int
		line   string
	}{
		{admin.Check{Name: "lane", Run: wrong}, http.StatusServiceUnavailable, "fail lane: the provider is away"},
		{admin.Check{Name: "lane", Run: wrong, Elsewhere: true}, http.StatusOK, "warn lane: the provider is away"},
		{admin.Check{Name: "lane", Run: func(context.Context) error { return nil }, Elsewhere: true}, http.StatusOK, "ok   lane"},
	} {
		answer := httptest.NewRecorder()
		checks := func() []admin.Check { return []admin.Check{c.check} }
		admin.Handler(admin.NewRegistry(), checks).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/readyz?verbose", nil))
		if answer.Code != c.status || !strings.Contains(answer.Body.String(), c.line) {
			t.Errorf("%d %q, want %d %q", answer.Code, answer.Body, c.status, c.line)
		}
	}
}
