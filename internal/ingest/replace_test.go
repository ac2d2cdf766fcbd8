package ingest

import (
	"context"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
)

// made makes the sources of some specs.
func made(t *testing.T, specs ...SourceSpec) []*Source {
	t.Helper()
	var list []*Source
	for _, spec := range specs {
		s, err := NewSource(spec)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// TestReplaceSources: the new sources are served at once, those that are gone are not, and a list that cannot be served
// changes nothing.
func TestReplaceSources(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	if err := f.handle.Replace(made(t, siemSpec())); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		spec SourceSpec
		want int
	}{{siemSpec(), 202}, {hrSpec(), 404}} {
		if got := f.post(c.spec, structured, terminated("e1", "m@acme.example")); got.status != c.want {
			t.Errorf("%s: %d, want %d", c.spec.Name, got.status, c.want)
		}
	}
	if err := f.handle.Replace(made(t, hrSpec(), hrSpec())); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a source given twice: %v", err)
	}
	if got := f.post(siemSpec(), structured, terminated("e2", "m@acme.example")); got.status != 202 {
		t.Errorf("after a refused list: %d", got.status)
	}
	if err := f.handle.Replace(made(t, hrSpec(), siemSpec())); err != nil {
		t.Fatal(err)
	}
	if got := f.post(hrSpec(), structured, terminated("e3", "m@acme.example")); got.status != 202 {
		t.Errorf("a source that came back: %d", got.status)
	}
}

// slowStore stores when it is told to.
type slowStore struct {
	store
	began, goOn chan struct{}
}

func (s *slowStore) PublishEvents(ctx context.Context, list []events.Event) error {
	close(s.began)
	<-s.goOn
	return s.store.PublishEvents(ctx, list)
}

// TestReplaceFinishesWhatIsUnderWay: a delivery of a source that is taken away meanwhile is answered as it began.
func TestReplaceFinishesWhatIsUnderWay(t *testing.T) {
	slow := &slowStore{began: make(chan struct{}), goOn: make(chan struct{})}
	f := open(t, Options{Publisher: slow, PublishTimeout: time.Minute}, hrSpec())
	answered := make(chan int, 1)
	go func() { answered <- f.post(hrSpec(), structured, terminated("e1", "m@acme.example")).status }()
	<-slow.began
	if err := f.handle.Replace(nil); err != nil {
		t.Fatal(err)
	}
	close(slow.goOn)
	if got := <-answered; got != 202 {
		t.Errorf("answered %d", got)
	}
}
