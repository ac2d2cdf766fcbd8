package outcome_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/cloudevents/sdk-go/v2/event"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/outcome"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/stream/streamtest"
)

const sampleSecret = "whsec_YSBzZWNyZXQgb2YgdGhlIHNhbXBsZXMu"

// receiver is an HTTP endpoint that keeps what it takes.
type receiver struct {
	mu     sync.Mutex
	refuse int // how many it still refuses
	taken  map[string]event.Event
	posts  int
	fault  error
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posts++
	hook, err := standardwebhooks.NewWebhook(sampleSecret)
	if err == nil {
		err = hook.Verify(body, req.Header)
	}
	var e event.Event
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err == nil && e.ID() != req.Header.Get("webhook-id") {
		err = fmt.Errorf("event %s posted as %s", e.ID(), req.Header.Get("webhook-id"))
	}
	if err != nil {
		r.fault = err
	}
	if r.refuse > 0 {
		r.refuse--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.taken[e.ID()] = e
}

// wait waits until n events were taken, and gives them by type and subject.
func (r *receiver) wait(t *testing.T, n int) map[string]event.Event {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		r.mu.Lock()
		if r.fault != nil {
			t.Fatal(r.fault)
		}
		if len(r.taken) >= n {
			byType := map[string]event.Event{}
			for _, e := range r.taken {
				byType[e.Type()] = e
			}
			r.mu.Unlock()
			return byType
		}
		got := len(r.taken)
		r.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d events came", got, n)
		}
		<-ticker.C
	}
}

// a case of one action, as the ledger tells it.
func story(t *testing.T, book *ledger.Ledger, id string) {
	t.Helper()
	action := events.ActionID(id, "offboard", "devices")
	plan := events.Plan{
		Case: id, Class: events.Normal, Playbooks: []string{"offboard"},
		Event:   events.Event{ID: "1", Source: "https://hr.acme.example", Type: "dev.keyturn.user.terminated.v1", Subject: "user:ada@acme.example", Scope: "hr"},
		Actions: []events.Action{{ID: action, Case: id, Playbook: "offboard", Step: "devices", Do: "asa.revoke_clients", Connection: "asa-prod", Class: events.Normal}},
	}
	body, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	var last ledger.Record
	put := func(prev, rec ledger.Record) ledger.Record {
		rec.By = "w1"
		kept, err := book.Append(t.Context(), prev, rec)
		if err != nil {
			t.Fatal(err)
		}
		return kept
	}
	put(ledger.Record{}, ledger.Record{Subject: ledger.PlanSubject(id), State: ledger.Planned, Body: body})
	put(ledger.Record{}, ledger.Record{Subject: ledger.LifecycleSubject(id), State: ledger.Open})
	subject := ledger.ActionSubject(id, action)
	last = put(last, ledger.Record{Subject: subject, State: ledger.Started})
	last = put(last, ledger.Record{Subject: subject, State: ledger.Dead, Attempts: 1, Evidence: &ledger.Evidence{
		Applied: []ledger.Effect{{Call: "asa.revokeClient", Target: "c1"}},
		Failure: &ledger.Failure{Cause: "permanent", Status: 409, RequestID: "r1", Error: "the provider's own words", Suggestion: "look"},
	}})
	put(last, ledger.Record{Subject: subject, State: ledger.Redriven})
}

func TestEveryChangeIsToldOnceAndSigned(t *testing.T) {
	bus := streamtest.Bus(t, embedded.Options{})
	book := ledger.New(bus.Log(), time.Now)
	to := &receiver{refuse: 2, taken: map[string]event.Event{}}
	srv := httptest.NewServer(to)
	t.Cleanup(srv.Close)
	hook, err := outcome.NewHook(srv.URL, secret.New(sampleSecret), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range 2 { // two workers share the work
		relay := &outcome.Relay{Bus: bus, Ledger: book}
		running.Go(func() { _ = relay.Run(ctx) })
	}
	running.Go(func() { _ = hook.Run(ctx, bus) })
	t.Cleanup(func() { stop(); running.Wait() })
	exists(t, bus)
	story(t, book, "case1")
	got := to.wait(t, 5)

	for _, name := range []string{"plan.planned", "case.open", "action.started", "action.dead", "action.redriven"} {
		e, ok := got["dev.keyturn."+name+".v1"]
		if !ok {
			t.Fatalf("%s was not told", name)
		}
		if e.Subject() != "user:ada@acme.example" || e.Source() != outcome.Source || e.Extensions()["sequence"] == nil {
			t.Errorf("%s: %v", name, e)
		}
	}
	var d outcome.Data
	dead := got["dev.keyturn.action.dead.v1"]
	if err := dead.DataAs(&d); err != nil {
		t.Fatal(err)
	}
	if d.Do != "asa.revoke_clients" || d.Connection != "asa-prod" || d.Step != "devices" || d.Changes != 1 || d.Failure == nil || d.Failure.Status != 409 || d.Event != "user.terminated" {
		t.Errorf("%+v", d)
	}
	if strings.Contains(string(dead.Data()), "own words") {
		t.Error("an error's text is told")
	}
}

// exists waits until both consumers are there: they tell of what comes after them.
func exists(t *testing.T, bus *stream.Bus) {
	t.Helper()
	for _, c := range []stream.Consumer{stream.Records(), stream.Outcomes()} {
		p, err := bus.Pull(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
	}
}

func TestWhatIsToldAgainIsKnownByItsID(t *testing.T) {
	bus := streamtest.Bus(t, embedded.Options{})
	book := ledger.New(bus.Log(), time.Now)
	relay := &outcome.Relay{Bus: bus, Ledger: book}
	exists(t, bus)
	story(t, book, "case1")
	puller, err := bus.Pull(t.Context(), stream.Records())
	if err != nil {
		t.Fatal(err)
	}
	defer puller.Close()
	for range 5 {
		m, err := puller.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // each is worked off three times, as after a crash
			if out := relay.Handle(t.Context(), m); out.Verdict != events.Done || out.Err != nil {
				t.Fatal(out)
			}
		}
	}
	told, err := bus.Pull(t.Context(), stream.Outcomes())
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 5 {
		if _, err := told.Next(ctx); err != nil {
			t.Fatal(err)
		}
	}
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if m, err := told.Next(soon); err == nil {
		t.Errorf("told twice: %s", m.Data)
	}
}

// TestALateCaseIsToldOnce: the record that says so is told as that, and those that repeat it as what they say.
func TestALateCaseIsToldOnce(t *testing.T) {
	bus := streamtest.Bus(t, embedded.Options{})
	book := ledger.New(bus.Log(), time.Now)
	relay := &outcome.Relay{Bus: bus, Ledger: book}
	exists(t, bus)
	var last ledger.Record
	for _, said := range []struct{ attempt, body string }{
		{"a1", `{}`}, {"a2", `{"late":{"said":"a2","due":"2026-03-02T10:00:00Z"}}`},
		{"a3", `{"late":{"said":"a3","due":"2026-03-02T10:00:00Z","missed":true}}`},
		{"a4", `{"late":{"said":"a3","due":"2026-03-02T10:00:00Z","missed":true}}`},
	} {
		var err error
		last, err = book.Append(t.Context(), last, ledger.Record{Subject: ledger.LifecycleSubject("case1"), State: ledger.Open,
			Attempt: said.attempt, Body: json.RawMessage(said.body)})
		if err != nil {
			t.Fatal(err)
		}
	}
	puller, err := bus.Pull(t.Context(), stream.Records())
	if err != nil {
		t.Fatal(err)
	}
	defer puller.Close()
	told, err := bus.Pull(t.Context(), stream.Outcomes())
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close()
	for _, want := range []string{"open", "sla_near", "sla_missed", "open"} {
		m, err := puller.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if out := relay.Handle(t.Context(), m); out.Verdict != events.Done || out.Err != nil {
			t.Fatal(out)
		}
		var e event.Event
		o, err := told.Next(t.Context())
		if err == nil {
			err = json.Unmarshal(o.Data, &e)
		}
		if err != nil || e.Type() != "dev.keyturn.case."+want+".v1" || strings.Contains(string(e.Data()), "due_by") != strings.HasPrefix(want, "sla_") || o.Subject != "outcomes.case."+want {
			t.Errorf("%s: %s, %s, %v", want, o.Subject, e.Type(), err)
		}
	}
}

func TestOnlyWhatIsAskedFor(t *testing.T) {
	to := &receiver{taken: map[string]event.Event{}}
	srv := httptest.NewServer(to)
	t.Cleanup(srv.Close)
	hook, err := outcome.NewHook(srv.URL, secret.New(sampleSecret), []string{"case.*", "action.dead"})
	if err != nil {
		t.Fatal(err)
	}
	for subject, want := range map[string]bool{
		"outcomes.case.closed": true, "outcomes.action.dead": true, "outcomes.action.started": false, "outcomes.plan.held": false,
	} {
		before := to.posts
		m := &stream.Message{Subject: subject, Data: []byte(`{"specversion":"1.0","id":"` + subject + `","source":"urn:keyturn","type":"t"}`), Stored: time.Now()}
		if out := hook.Handle(t.Context(), m); out.Verdict != events.Done || out.Err != nil {
			t.Fatalf("%s: %+v", subject, out)
		}
		if posted := to.posts > before; posted != want {
			t.Errorf("%s: posted %v", subject, posted)
		}
	}
}

func TestAReceiverThatIsAwayIsTriedForDays(t *testing.T) {
	var elsewhere bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere = true }))
	t.Cleanup(other.Close)
	srv := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(srv.Close)
	hook, err := outcome.NewHook(srv.URL+"/t0ken", secret.New(sampleSecret), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := &stream.Message{Subject: "outcomes.case.closed", Data: []byte(`{"id":"1"}`), Deliveries: 1, Stored: time.Now().Add(-71 * time.Hour)}
	out := hook.Handle(t.Context(), m)
	if out.Verdict != events.Retry || out.Delay <= 0 || out.Delay > time.Minute+time.Second || elsewhere {
		t.Errorf("%+v, carried elsewhere %v", out, elsewhere)
	}
	m.Stored = time.Now().Add(-73 * time.Hour)
	if out = hook.Handle(t.Context(), m); out.Verdict != events.Retry {
		t.Errorf("what waited for days before it was posted once is lost by one answer: %+v", out)
	}
	m.Deliveries = 20
	if out = hook.Handle(t.Context(), m); out.Verdict != events.Done || out.Err == nil {
		t.Errorf("%+v", out)
	}
	srv.Close()
	if out = hook.Handle(t.Context(), m); out.Err == nil || strings.Contains(out.Err.Error(), "t0ken") {
		t.Errorf("%v", out.Err)
	}
}

// TestAReceiverThatAsksForTimeGetsIt, a minute at most: a higher number, or a date, must not park an outcome.
func TestAReceiverThatAsksForTimeGetsIt(t *testing.T) {
	var status int
	var after string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", after)
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	hook, err := outcome.NewHook(srv.URL, secret.New(sampleSecret), nil)
	if err != nil {
		t.Fatal(err)
	}
	const unasked = 3 * time.Second // of a first try
	for _, c := range []struct {
		status      int
		after       string
		least, most time.Duration
	}{
		{429, "7", 7 * time.Second, 7 * time.Second}, {503, "30", 30 * time.Second, 30 * time.Second}, {429, "86400", time.Minute, time.Minute},
		{429, "0", 1, unasked}, {429, "-9", 1, unasked}, {503, "99999999999999999999", 1, unasked}, {503, "Tue, 24 Nov 2026 00:00:00 GMT", 1, unasked},
		{503, "", 1, unasked}, {500, "30", 1, unasked},
	} {
		status, after = c.status, c.after
		m := &stream.Message{Subject: "outcomes.case.closed", Data: []byte(`{"id":"1"}`), Deliveries: 1, Stored: time.Now()}
		if out := hook.Handle(t.Context(), m); out.Verdict != events.Retry || out.Delay < c.least || out.Delay > c.most {
			t.Errorf("%d, Retry-After %q: %+v", c.status, c.after, out)
		}
	}
}

// TestWhatAReceiverSaysIsNotRepeated: it may hold a session or a token, and stands in the log and in front of whoever reads it.
func TestWhatAReceiverSaysIsNotRepeated(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 302 Found\r\nLocation: http://a b/?t0ken\r\nContent-Length: 0\r\n\r\n": "answered 302, which is not followed: set KEYTURN_OUTCOME_URL",
		"t0ken t0ken\r\n\r\n":                              "no whole answer: ",
		"HTTP/1.1 200 OK\r\n t0ken\r\n\r\n":                "no whole answer: malformed header",
		"HTTP/1.1 200 OK\r\nt0ken":                         "no whole answer: ",
		"HTTP/1.1 410 Gone\r\nContent-Length: 9\r\n\r\nt0": "answered 410",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return // seen: there is no answer
			}
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}))
		hook, err := outcome.NewHook(srv.URL, secret.New(sampleSecret), nil)
		if err != nil {
			t.Fatal(err)
		}
		out := hook.Handle(t.Context(), &stream.Message{Subject: "outcomes.case.closed", Data: []byte(`{"id":"1"}`), Deliveries: 1, Stored: time.Now()})
		if out.Verdict != events.Retry || out.Err == nil || !strings.Contains(out.Err.Error(), want) || strings.Contains(out.Err.Error(), "t0ken") {
			t.Errorf("%q: %+v", answer, out)
		}
		srv.Close()
	}
}

// TestAStopIsNoFaultOfTheReceiver: a post that the stop ends comes again at once, and nobody is told that a receiver fails.
func TestAStopIsNoFaultOfTheReceiver(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		stop()
		<-req.Context().Done()
	}))
	t.Cleanup(srv.Close)
	hook, err := outcome.NewHook(srv.URL, secret.New(sampleSecret), nil)
	if err != nil {
		t.Fatal(err)
	}
	out := hook.Handle(ctx, &stream.Message{Subject: "outcomes.case.closed", Data: []byte(`{"id":"1"}`), Deliveries: 9, Stored: time.Now().Add(-100 * time.Hour)})
	if out != (events.Outcome{Verdict: events.Retry}) {
		t.Errorf("%+v", out)
	}
}

// TestAReceiverThatFailsIsToldOfNowAndThen: it is tried hundreds of times a minute, and the log must stay readable.
func TestAReceiverThatFailsIsToldOfNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook, err := outcome.NewHook("http://127.0.0.1:1", secret.New(sampleSecret), nil)
		if err != nil {
			t.Fatal(err)
		}
		said := 0
		for range 100 {
			m := &stream.Message{Subject: "outcomes.case.closed", Data: []byte(`{"id":"1"}`), Deliveries: 1, Stored: time.Now()}
			out := hook.Handle(t.Context(), m)
			if out.Verdict != events.Retry {
				t.Fatalf("%+v", out)
			}
			if out.Err != nil {
				said++
			}
			if said == 2 && out.Err != nil && !strings.Contains(out.Err.Error(), "and 19 more") {
				t.Error(out.Err)
			}
			time.Sleep(500 * time.Millisecond)
		}
		if said != 5 {
			t.Errorf("%d lines in 50 s", said)
		}
	})
}

// TestASecretIsChangedWithoutAGap: while there are two, a receiver that has either takes what it is told.
func TestASecretIsChangedWithoutAGap(t *testing.T) {
	const other = "whsec_dGhlIG5ldyBzZWNyZXQgb2YgdGhlIHNhbXBsZXMu"
	to := &receiver{taken: map[string]event.Event{}} // it has sampleSecret
	srv := httptest.NewServer(to)
	t.Cleanup(srv.Close)
	m := &stream.Message{Subject: "outcomes.case.closed", Stored: time.Now(),
		Data: []byte(`{"specversion":"1.0","id":"1","source":"urn:keyturn","type":"t"}`)}
	for secrets, taken := range map[string]bool{other + " " + sampleSecret: true, sampleSecret + "\n" + other: true, other: false} {
		to.fault = nil
		hook, err := outcome.NewHook(srv.URL, secret.New(secrets), nil)
		if err != nil {
			t.Fatal(err)
		}
		if out := hook.Handle(t.Context(), m); out.Err != nil || (to.fault == nil) != taken {
			t.Errorf("%q: %v, %v", secrets, out.Err, to.fault)
		}
	}
}

func TestAHookThatCannotWorkIsRefused(t *testing.T) {
	for _, c := range []struct {
		secret string
		only   []string
	}{{"whsec_c2hvcnQ=", nil}, {"not base64 at all!", nil}, {sampleSecret + " whsec_c2hvcnQ=", nil}, {sampleSecret, []string{"case"}}, {sampleSecret, []string{"[.x"}},
		{sampleSecret, []string{"case.*", "action.ded"}}, {sampleSecret, []string{"case.verified"}}, {sampleSecret, []string{"cases.*"}},
	} {
		if _, err := outcome.NewHook("http://127.0.0.1:1", secret.New(c.secret), c.only); err == nil || strings.Contains(err.Error(), c.secret) {
			t.Errorf("%q %v: %v", c.secret, c.only, err)
		}
	}
	// What docs/OPERATIONS.md advises for a chat, and each way to say "all".
	for _, only := range []string{"action.dead", "action.contested", "action.regressed", "case.needs_person", "case.sla_near", "case.sla_missed", "plan.held",
		"*.*", "case.*", "*.cancelled"} {
		if _, err := outcome.NewHook("http://127.0.0.1:1", secret.New(sampleSecret), []string{only}); err != nil {
			t.Error(err)
		}
	}
}
