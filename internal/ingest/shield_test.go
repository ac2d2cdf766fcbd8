package ingest

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/internal/shield"
)

// faulty makes the first publish of a face meet a fault of ours.
func faulty(f *face) {
	var published atomic.Int32
	f.store.before = func(context.Context) {
		if published.Add(1) == 1 {
			var none []int
			none[len(none)] = 1
		}
	}
}

// TestAPanicIsAnswered: a delivery that meets a fault of ours is told its sender, who repeats, and a person.
func TestAPanicIsAnswered(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	faulty(f)
	for _, want := range []int{http.StatusInternalServerError, http.StatusAccepted} {
		if got := f.post(hrSpec(), structured, terminated("e1", "maria@acme.example")); got.status != want {
			t.Errorf("answered %d, want %d", got.status, want)
		}
	}
	if logs := f.logs.String(); strings.Count(logs, "PANIC:") != 1 || !strings.Contains(logs, "shield_test.go") {
		t.Errorf("nobody is told: %s", logs)
	}
}

// TestAPanicOfOneTokenKeepsNoOther: of those that are fetched the one that meets a fault of ours is not acknowledged, and
// comes again; the others are.
func TestAPanicOfOneTokenKeepsNoOther(t *testing.T) {
	tr := newTransmitter(t, map[string]string{"a": goodSet(t, "a"), "b": goodSet(t, "b")})
	f := open(t, Options{Now: func() time.Time { return noon }}, pulled(t, tr.URL))
	faulty(f)
	stop := polling(t, f)
	until(t, "nothing is left", func() bool { return tr.left() == 0 })
	stop()
	if ids := f.store.stored(); len(ids) != 2 || len(tr.acked) < 2 || tr.acked[0] != "b" {
		t.Errorf("stored %v, acknowledged %v", ids, tr.acked)
	}
	if logs := f.logs.String(); !strings.Contains(logs, "PANIC") {
		t.Errorf("nobody is told: %s", logs)
	}
}

// TestAPanicOfAFetchOfKeysKeepsNobodyWaiting: it is the delivery's that fetched, and the next one fetches again.
func TestAPanicOfAFetchOfKeysKeepsNobodyWaiting(t *testing.T) {
	now := noon
	s := newKeySet("http://issuer.acme.example/keys")
	s.now = func() time.Time { return now }
	s.client = &http.Client{Transport: panicking{}}
	for range 2 {
		if met := shield.Run(func() { _, _ = s.find("k1") }); met == nil || s.pending != nil {
			t.Fatalf("met %v, pending %v", met, s.pending)
		}
		now = now.Add(fetchEvery)
	}
}

// panicking is a transport with a fault of ours behind it.
type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) {
	var none []*http.Response
	return none[len(none)], nil
}
