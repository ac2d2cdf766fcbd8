package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// plant puts a secret of its own into every place that harvest looks at, each in another form, and wants each found
// there and nothing else found anywhere: the control without which "found nothing" says nothing.
func (w *world) plant(t *testing.T) {
	t.Helper()
	planted := func(place string) string { return w.secret("planted in " + place) }
	basic := func(s string) string { return base64.StdEncoding.EncodeToString([]byte("keyturn:" + s)) }

	w.options.Log.Debug("sending", "authorization", "Basic "+basic(planted("the log")))
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "planted", ConstLabels: prometheus.Labels{"key": hex.EncodeToString([]byte(planted("metrics")))}})
	w.reg.MustRegister(c)
	w.broken.Store("GET /?token=" + url.QueryEscape(planted("readiness")) + " fails")
	w.answers = append(w.answers, planted("an answer"))

	nc, js := w.client(t)
	header := nats.Header{"X-Key": {planted("a header")}}
	if err := nc.PublishMsg(&nats.Msg{Subject: "schedule.at.planted", Header: header}); err != nil {
		t.Fatal(err)
	}
	lanes, err := js.KeyValue(t.Context(), "LANES")
	if err == nil {
		_, err = lanes.PutString(t.Context(), "planted", basic(planted("a bucket")))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := w.bus.Bury(t.Context(), events.DeadLetter{ID: "planted", Kind: events.DeadFault, Source: "hr", Error: planted("a dead letter")}); err != nil {
		t.Fatal(err)
	}
	note, err := json.Marshal(planted("the ledger"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ledger.Append(t.Context(), ledger.Record{}, ledger.Record{Subject: ledger.PersonSubject("planted", "x"), State: ledger.Kept, Body: note}); err != nil {
		t.Fatal(err)
	}
	until(t, "what was published to be stored", func() bool {
		s, err := js.Stream(t.Context(), "SCHEDULE")
		if err != nil {
			return false
		}
		_, err = s.GetLastMsgForSubject(t.Context(), "schedule.at.planted")
		return err == nil
	})
	w.findPlanted(t)
}

// findPlanted looks at every place again.
func (w *world) findPlanted(t *testing.T) {
	t.Helper()
	found := map[string][]string{}
	for place, text := range w.harvest(t) {
		for _, name := range w.marks.find([]byte(text)) {
			found[name] = append(found[name], place)
		}
	}
	want := map[string]string{
		"planted in the log": "log", "planted in metrics": "page /metrics", "planted in readiness": "page /readyz?verbose",
		"planted in an answer": "answers", "planted in a header": "messages of SCHEDULE", "planted in a bucket": "messages of KV_LANES",
		"planted in a dead letter": "dead letters", "planted in the ledger": "ledger",
	}
	for name, place := range want {
		if !slices.Contains(found[name], place) {
			t.Errorf("%s: not found there, but in %v", name, found[name])
		}
	}
	for name, places := range found {
		if want[name] == "" {
			t.Errorf("%s: %v", name, places)
		}
	}
}

// TestFormsOfASecretAreKnown is the control of the forms: each way of printing a secret that this project could take
// by mistake is found.
func TestFormsOfASecretAreKnown(t *testing.T) {
	type key struct {
		text  string
		bytes []byte
	}
	const s = `canary/"quoted" & <escaped>+`
	m := newMarks()
	m.add("it", s)
	texts := map[string]string{
		"as it is":  "the key is " + s,
		"JSON":      string(must(json.Marshal(map[string]string{"k": s}))),
		"query":     (&url.URL{Path: "/x", RawQuery: url.Values{"k": {s}}.Encode()}).String(),
		"path":      "/" + url.PathEscape(s),
		"hex":       "0x" + strings.ToUpper(hex.EncodeToString([]byte(s))),
		"fmt":       printed(key{text: s}),
		"bytes":     printed(key{bytes: []byte(s)}),
		"JSON data": string(must(json.Marshal([]byte("x" + s)))),
	}
	for _, before := range []string{"", "a", "ab", "abc"} {
		texts["base64 after "+before] = base64.StdEncoding.EncodeToString([]byte(before + s + "xyz"))
		texts["base64url after "+before] = base64.RawURLEncoding.EncodeToString([]byte(before + s))
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if len(m.find([]byte(texts[name]))) == 0 {
			t.Errorf("%s: not found in %s", name, texts[name])
		}
	}
	if found := m.find([]byte("nothing of the kind: canary/ canary/x")); len(found) > 0 {
		t.Errorf("found %v in nothing", found)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Where the parent of TestPanicShowsNoSecret tells its child that it is one, and where it is to leave its marks.
const canaryChild = "CANARY_CHILD_MARKS"

// TestPanicShowsNoSecret has a worker die of a bug while it holds a reply with a secret, and reads what it leaves on
// its standard error: every goroutine's stack.
func TestPanicShowsNoSecret(t *testing.T) {
	if os.Getenv(canaryChild) != "" {
		w := newWorld(t, t.TempDir(), func(w *world) roundTripper { return dying{w} })
		w.post(t, "hr", "leaver", "user.terminated", object{"user": personOf(w.acme.Leaver)})
		w.rests(t, w.post(t, "hr", "portal", "app.onboarded", appOf("portal")), ledger.Planned, ledger.Verified)
		return
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "marks.json")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPanicShowsNoSecret$", "-test.v")
	cmd.Env = append(os.Environ(), canaryChild+"="+file, "TMPDIR="+dir, "GOTRACEBACK=all")
	out, err := cmd.CombinedOutput()
	var secrets map[string]string
	data, rerr := os.ReadFile(file)
	if err == nil || rerr != nil || json.Unmarshal(data, &secrets) != nil {
		t.Fatalf("the child did not die as it should: %v, %v\n%s", err, rerr, out)
	}
	m := newMarks()
	for s, name := range secrets {
		m.add(name, s)
	}
	if !strings.Contains(string(out), "assignment to entry in nil map") || strings.Count(string(out), "\ngoroutine ") < 10 {
		t.Errorf("no panic with its goroutines:\n%s", out)
	}
	if names := m.known(); !slices.Contains(names, "client_secret in a reply") {
		t.Errorf("it died too early: it saw only %v", names)
	}
	if found := m.find(out); len(found) > 0 {
		t.Errorf("the output shows %v", found)
	}
}
