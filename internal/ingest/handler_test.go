package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
)

const structured = "application/cloudevents+json"

func TestAcceptsAndRepeats(t *testing.T) {
	f := open(t, Options{}, hrSpec(), siemSpec())
	for _, spec := range []SourceSpec{hrSpec(), siemSpec()} {
		first := f.post(spec, structured, terminated("e1", "Maria@acme.example"))
		again := f.post(spec, structured, terminated("e1", "Maria@acme.example"))
		if first.status != 202 || again.status != 202 {
			t.Fatalf("%s: %d %s, then %d", spec.Name, first.status, first.body, again.status)
		}
		if len(first.Cases) != 1 || !slices.Equal(first.Cases, again.Cases) {
			t.Errorf("%s: cases %v, then %v", spec.Name, first.Cases, again.Cases)
		}
	}
	e := f.store.stored()[0]
	if e.Subject != "user:maria@acme.example" || e.Class != events.Normal || e.Scope != "hr-relay" || e.Case() == f.store.stored()[2].Case() {
		t.Errorf("stored %+v", e)
	}
}

func TestDedupScopeJoinsSources(t *testing.T) {
	a, b := hrSpec(), siemSpec()
	a.DedupScope, b.DedupScope = "people", "people"
	f := open(t, Options{}, a, b)
	if one, two := f.post(a, structured, terminated("e1", "m@acme.example")), f.post(b, structured, terminated("e1", "m@acme.example")); !slices.Equal(one.Cases, two.Cases) {
		t.Errorf("cases %v and %v", one.Cases, two.Cases)
	}
}

func TestPathsAndMethods(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	body := terminated("e1", "m@acme.example")
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"POST", "/hooks/hr-relay", 202},
		{"POST", "/hooks/hr-relay/", 202},
		{"POST", "/hooks/hr-relay//", 404},
		{"POST", "//hooks/hr-relay", 404},
		{"POST", "/hooks//hr-relay", 404},
		{"POST", "/hooks/HR-relay", 404},
		{"POST", "/hooks/hr%2drelay", 404},
		{"POST", "/hooks/other", 404},
		{"POST", "/hooks/", 404},
		{"POST", "/", 404},
		{"GET", "/hooks/hr-relay", 405},
		{"PUT", "/hooks/hr-relay/", 405},
		{"OPTIONS", "/hooks/hr-relay", 405},
		{"GET", "/hooks/other", 404},
	} {
		req := f.request(hrSpec(), structured, body)
		req.Method = c.method
		target, err := req.URL.Parse(f.url)
		if err != nil {
			t.Fatal(err)
		}
		target.Opaque = "//" + target.Host + c.path
		req.URL = target
		got := f.do(req)
		if got.status != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got.status, c.want)
		}
		if allow := got.header.Get("Allow"); (got.status == 405) != (allow == "POST") {
			t.Errorf("%s %s: Allow %q", c.method, c.path, allow)
		}
		if got.header.Get("Location") != "" {
			t.Errorf("%s %s: redirects", c.method, c.path)
		}
	}
}

func TestRefusals(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	good := terminated("e1", "m@acme.example")
	pad := func(n int) string {
		return strings.Replace(good, `"data":{`, `"data":{"note":"`+strings.Repeat("x", n)+`",`, 1)
	}
	for name, c := range map[string]struct {
		contentType, body string
		headers           []string
		want              int
	}{
		"body over 1 MiB":              {structured, pad(MaxBody), nil, 413},
		"event over 900 KiB":           {structured, pad(MaxEvent), nil, 413},
		"event just under":             {structured, pad(MaxEvent - 1024), nil, 202},
		"no content type":              {"", good, nil, 415},
		"XML":                          {"application/xml", good, nil, 415},
		"plain JSON without ce-":       {"application/json", good, nil, 415},
		"cloudevents in another form":  {"application/cloudevents+avro", good, nil, 415},
		"batch in another form":        {"application/cloudevents-batch", good, nil, 415},
		"another charset":              {structured + "; charset=utf-16", good, nil, 415},
		"compressed":                   {structured, good, []string{"Content-Encoding", "gzip"}, 415},
		"parameters":                   {"Application/CloudEvents+JSON ; charset=UTF-8; x=y", good, nil, 202},
		"a malformed parameter":        {structured + "; charset", good, nil, 202},
		"not JSON":                     {structured, `{"id":`, nil, 400},
		"an array where one is wanted": {structured, "[" + good + "]", nil, 400},
		"two values":                   {structured, good + good, nil, 400},
		"not UTF-8":                    {structured, strings.Replace(good, "m@", "\xff@", 1), nil, 400},
		"unsigned binary attributes":   {"application/json", `{"user":{"email":"m@acme.example"}}`, []string{"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/hr", "Ce-Type", "dev.keyturn.user.terminated.v1"}, 400},
	} {
		before := len(f.store.stored())
		got := f.post(hrSpec(), c.contentType, c.body, c.headers...)
		if got.status != c.want {
			t.Errorf("%s: %d %.300s, want %d", name, got.status, got.body, c.want)
		}
		if stored := len(f.store.stored()) - before; (stored == 1) != (c.want == 202) {
			t.Errorf("%s: stored %d", name, stored)
		}
		if ct := got.header.Get("Content-Type"); got.status >= 400 && ct != "application/problem+json" {
			t.Errorf("%s: content type %q", name, ct)
		}
	}
}

func TestUnauthorizedSaysNothing(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	req := f.request(hrSpec(), structured, `not even JSON`)
	req.Header.Set("webhook-signature", "v1,AAAA")
	got := f.do(req)
	if got.status != 401 || strings.TrimSpace(got.body) != `{"title":"Unauthorized","status":401}` {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestOneFaultRefusesTheBatch(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	batch := "[" + strings.Join([]string{
		terminated("e1", "m@acme.example"),
		strings.Replace(terminated("e2", "not an address"), `"source":"https://hr.acme.example/prod",`, "", 1),
		strings.Replace(terminated("e3", "o@acme.example"), "user.terminated", "user.promoted", 1),
		terminated("e1", "other@acme.example"),
		terminated("e1", "m@acme.example"),
	}, ",") + "]"
	got := f.post(hrSpec(), "application/cloudevents-batch+json; charset=utf-8", batch)
	want := []Problem{
		{0, "/0/id", "same source and id as event 3, with other content"},
		{1, "/1/source", "required"},
		{1, "/1/data/user/email", "format: email"},
		{2, "/2/type", "one of the catalogue: dev.keyturn.<name>.v1"},
		{3, "/3/id", "same source and id as event 0, with other content"},
		{4, "/4/id", "same source and id as event 3, with other content"},
	}
	if got.status != 400 || !slices.Equal(got.Errors, want) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if n := len(f.store.stored()); n != 0 {
		t.Errorf("stored %d", n)
	}
	if strings.Contains(got.body, "not an address") || strings.Contains(f.logs.String(), "acme.example") {
		t.Errorf("a value is quoted: %s %s", got.body, f.logs)
	}
}

func TestBatch(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	const batch = "application/cloudevents-batch+json"
	if got := f.post(hrSpec(), batch, "[]"); got.status != 202 || got.body != "{\"cases\":[]}\n" {
		t.Errorf("empty batch: %d %s", got.status, got.body)
	}
	two := "[" + terminated("e1", "m@acme.example") + "," + terminated("e1", "m@acme.example") + "," + terminated("e2", "o@acme.example") + "]"
	if got := f.post(hrSpec(), batch, two); got.status != 202 || len(got.Cases) != 2 {
		t.Errorf("the same event twice: %d %s", got.status, got.body)
	}
	for _, body := range []string{"null", "{}", `[1]`, `["x"]`, `[null]`, `[[]]`, ""} {
		if got := f.post(hrSpec(), batch, body); got.status != 400 {
			t.Errorf("%s: %d", body, got.status)
		}
	}
}

// later is a publisher's error that says when to come again.
type later time.Duration

func (l later) Error() string             { return "broker full" }
func (l later) RetryAfter() time.Duration { return time.Duration(l) }

func TestBrokerFaultMidwayIsCompletedByTheRepeat(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	batch := "[" + terminated("e1", "m@acme.example") + "," + terminated("e2", "o@acme.example") + "]"
	f.store.fail = func(n int) error {
		if n == 1 {
			return fmt.Errorf("publish: %w", later(42*time.Second+1))
		}
		return nil
	}
	got := f.post(hrSpec(), "application/cloudevents-batch+json", batch)
	if got.status != 503 || got.header.Get("Retry-After") != "43" || strings.Contains(got.body, "broker") {
		t.Errorf("%d %v %s", got.status, got.header, got.body)
	}
	f.store.fail = nil
	got = f.post(hrSpec(), "application/cloudevents-batch+json", batch)
	stored := f.store.stored()
	if got.status != 202 || len(got.Cases) != 2 || len(stored) != 3 {
		t.Fatalf("%d %s, stored %d", got.status, got.body, len(stored))
	}
	if stored[0].Case() != stored[1].Case() || stored[0].ContentHash() != stored[1].ContentHash() {
		t.Error("the repeat is another case")
	}
}

func TestPublisherFaults(t *testing.T) {
	f := open(t, Options{TooLarge: func(err error) bool { return err.Error() == "too large" }}, hrSpec())
	f.store.fail = func(int) error { return errors.New("away") }
	if got := f.post(hrSpec(), structured, terminated("e1", "m@acme.example")); got.status != 503 || got.header.Get("Retry-After") != "5" {
		t.Errorf("%d %v", got.status, got.header)
	}
	f.store.fail = func(int) error { return errors.New("too large") }
	if got := f.post(hrSpec(), structured, terminated("e1", "m@acme.example")); got.status != 413 {
		t.Errorf("%d", got.status)
	}
}

func TestPublishHasADeadlineAndOutlivesTheSender(t *testing.T) {
	f := open(t, Options{PublishTimeout: 20 * time.Millisecond}, hrSpec())
	f.store.before = func(ctx context.Context) { <-ctx.Done() }
	f.store.fail = func(int) error { return context.DeadlineExceeded }
	if got := f.post(hrSpec(), structured, terminated("e1", "m@acme.example")); got.status != 503 {
		t.Errorf("%d", got.status)
	}

	g := open(t, Options{}, hrSpec())
	entered, stored := make(chan struct{}), make(chan error, 1)
	ctx, hangUp := context.WithCancel(context.Background())
	g.store.before = func(ctx context.Context) {
		close(entered)
		hangUp()
		stored <- ctx.Err()
	}
	go func() {
		_, _ = http.DefaultClient.Do(g.request(hrSpec(), structured, terminated("e1", "m@acme.example")).WithContext(ctx))
	}()
	<-entered
	if err := <-stored; err != nil {
		t.Errorf("the publish ended with the sender: %v", err)
	}
}

func TestConcurrencyCap(t *testing.T) {
	f := open(t, Options{Concurrency: 1}, hrSpec())
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	f.store.before = func(context.Context) { entered <- struct{}{}; <-leave }
	done := make(chan reply)
	go func() { done <- f.post(hrSpec(), structured, terminated("e1", "m@acme.example")) }()
	<-entered
	if got := f.post(hrSpec(), structured, terminated("e2", "m@acme.example")); got.status != 503 || got.header.Get("Retry-After") != "1" {
		t.Errorf("%d %v", got.status, got.header)
	}
	close(leave)
	if got := <-done; got.status != 202 {
		t.Errorf("%d", got.status)
	}
}

func TestTooManyEvents(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	batch := "[" + strings.Repeat("{},", MaxEvents) + "{}]"
	got := f.post(hrSpec(), "application/cloudevents-batch+json", batch)
	if got.status != 413 || !strings.Contains(got.body, "5001 events in one delivery, at most 5000 are taken: send them in several") {
		t.Errorf("%d %.300s", got.status, got.body)
	}
	if got := f.post(hrSpec(), "application/cloudevents-batch+json", strings.TrimSuffix(batch, ",{}]")+"]"); got.status != 400 {
		t.Errorf("one fewer: %d", got.status)
	}
}

func TestHeadersGivenTwice(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	for name, value := range map[string]string{"Content-Type": structured, "Content-Encoding": "identity"} {
		req := f.request(hrSpec(), structured, terminated("e1", "m@acme.example"), "Content-Encoding", "identity")
		req.Header.Add(name, value)
		if got := f.do(req); got.status != 415 || !strings.Contains(got.body, name) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if n := len(f.store.stored()); n != 0 {
		t.Errorf("stored %d", n)
	}
}

// Two ids that differ in half a surrogate pair only would become one.
func TestHalfASurrogatePairIsNoText(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	good := terminated("e1", "m@acme.example")
	for name, c := range map[string]struct {
		old, new string
		want     int
		field    string
	}{
		"high":     {`"id":"e1"`, `"id":"e\ud800"`, 400, "/id"},
		"low":      {`"id":"e1"`, `"id":"\uDC00e"`, 400, "/id"},
		"reversed": {`"id":"e1"`, `"id":"\udc00\ud800"`, 400, "/id"},
		"source":   {`"source":"https://hr`, `"subject":"\ud800","source":"https://hr`, 400, "/subject"},
		"data":     {`"data":{`, `"data":{"note":"\udfff",`, 400, "/data"},
		"a name":   {`"data":{`, `"\udfff":1,"data":{`, 400, ""},
		"a pair":   {`"id":"e1"`, `"id":"\ud83d\ude00"`, 202, ""},
		"no such":  {`"id":"e1"`, `"id":"\\ud800"`, 202, ""},
	} {
		body := strings.Replace(good, c.old, c.new, 1)
		got := f.post(hrSpec(), structured, body)
		if got.status != c.want || got.status == 400 && (len(got.Errors) != 1 || got.Errors[0].Field != c.field) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

// oddPreset finds every delivery genuine and odd.
type oddPreset struct{}

func (oddPreset) Map(Delivery, Verified) ([]Draft, error) { return nil, &Unmapped{"no such event"} }

func TestUnmappedIsStoredAsAFault(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	(*f.handle.sources.Load())["hr-relay"].preset = oddPreset{}
	first, again := f.post(hrSpec(), structured, "{}"), f.post(hrSpec(), structured, "{}")
	if first.status != 202 || first.Fault == "" || first.Fault != again.Fault || len(first.Cases) != 0 {
		t.Errorf("%d %s, %s", first.status, first.body, again.body)
	}
	if len(f.store.faults) != 2 || f.store.faults[0].Source != "hr-relay" {
		t.Errorf("%+v", f.store.faults)
	}
}
