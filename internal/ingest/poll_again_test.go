package ingest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestPollAtRest: an issuer that sends the same again whatever it is told, or says that there is more and sends nothing,
// is asked once in an interval, and not as fast as it answers.
func TestPollAtRest(t *testing.T) {
	for name, reply := range map[string]map[string]any{
		"the same again": {"sets": map[string]string{"a": goodSet(t, "a")}}, "more of nothing": {"sets": map[string]string{}, "moreAvailable": true},
	} {
		issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(reply) }))
		t.Cleanup(issuer.Close)
		spec := pulled(t, issuer.URL)
		spec.Poll.Interval = time.Hour // from the request on
		f := open(t, Options{}, spec)
		p := (*f.handle.sources.Load())[spec.Name].poller
		p.round(context.Background(), f.handle)
		if wait := p.round(context.Background(), f.handle); wait <= 0 || wait > p.Interval {
			t.Errorf("%s: asked again after %s, want up to %s", name, wait, p.Interval)
		}
	}
}
