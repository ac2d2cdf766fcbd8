package ingest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// holder is an issuer that holds a request until there is a token, where the request lets it (RFC 8936, section 2.4).
type holder struct {
	*httptest.Server
	asked  chan pollRequest // every request, as it comes
	tokens chan map[string]string
	ended  chan struct{} // a request was given up
}

func newHolder(t *testing.T) *holder {
	h := &holder{asked: make(chan pollRequest, 64), tokens: make(chan map[string]string), ended: make(chan struct{}, 64)}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *holder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req pollRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.asked <- req
	sets := map[string]string{}
	if !req.Immediately {
		select {
		case sets = <-h.tokens:
		case <-r.Context().Done():
			h.ended <- struct{}{}
			return
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"sets": sets})
}

// next is what comes next, within a time that is far longer than it takes.
func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// TestPollHeld: a token that comes while the issuer holds a request is taken at once, acknowledged by the next request,
// and the end of the process ends that one.
func TestPollHeld(t *testing.T) {
	issuer := newHolder(t)
	spec := pulled(t, issuer.URL)
	spec.Poll.Interval, spec.Poll.Wait = time.Hour, time.Hour
	f := open(t, Options{}, spec)
	stop := polling(t, f)
	if req := next(t, issuer.asked); req.Immediately || req.MaxEvents != pollEvents {
		t.Errorf("asks %+v", req)
	}
	issuer.tokens <- map[string]string{"a": goodSet(t, "a")}
	if req := next(t, issuer.asked); len(req.Ack) != 1 || req.Ack[0] != "a" || req.Immediately {
		t.Errorf("asks %+v, want the acknowledgement of a", req)
	}
	stop()
	next(t, issuer.ended)
}

// TestPollHeldTooLong: a request that is held as long as it may be is given up and is no failure; whether the issuer is
// there is asked at once, and then it may hold one again. What it was to be told is told again.
func TestPollHeldTooLong(t *testing.T) {
	issuer := newHolder(t)
	spec := pulled(t, issuer.URL)
	spec.Poll.Interval, spec.Poll.Wait = time.Hour, 30*time.Millisecond
	f := open(t, Options{}, spec)
	p := (*f.handle.sources.Load())[spec.Name].poller
	p.acks = []string{"x"}
	for round, held := range []bool{true, false, true} {
		if wait := p.round(context.Background(), f.handle); wait != 0 || p.failed != 0 || p.held != held {
			t.Errorf("round %d: waits %s after %d failures, held %v", round, wait, p.failed, p.held)
		}
		if told := len(p.acks) == 0; told != (round > 0) {
			t.Errorf("round %d: is to be told %v", round, p.acks)
		}
	}
	// A request that was given up may not even have come.
	req := next(t, issuer.asked)
	for !req.Immediately {
		req = next(t, issuer.asked)
	}
	if len(req.Ack) != 1 {
		t.Errorf("asks %+v", req)
	}
}
