package ingest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Bodies that cost much memory are worked on few at a time, and keep none of the others out.
func TestLargeBodiesAreFewAtATime(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	event := terminated("e1", "m@acme.example")
	answered := func(note string) int {
		body := strings.Replace(event, `"data":{`, `"data":{"note":"`+note+`",`, 1)
		req := f.request(hrSpec(), structured, body)
		ctx, hangUp := context.WithCancel(t.Context())
		hangUp() // nobody waits for a place
		w := httptest.NewRecorder()
		f.handle.ServeHTTP(w, req.WithContext(ctx))
		return w.Code
	}
	large := strings.Repeat("a note ", heavyBody/7)
	for range heavyPlaces - 1 {
		f.handle.heavy <- struct{}{}
	}
	for range 3 {
		if got := answered(large); got != http.StatusAccepted {
			t.Fatalf("with a place left: %d", got)
		}
	}
	f.handle.heavy <- struct{}{}
	if got := answered(large); got != http.StatusServiceUnavailable {
		t.Errorf("without a place: %d", got)
	}
	if got := answered("short"); got != http.StatusAccepted {
		t.Errorf("a small one beside them: %d", got)
	}
}
