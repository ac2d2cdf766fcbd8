package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// mappedSource is a source with a mapping; extra are further keys of it.
func mappedSource(extra string) string {
	return `sources:
  hr:
    preset: custom
    verify: {hmac: {header: X-Signature, secrets: ["${env:HR}"]}}
    map:
      split: body.people
      type: {of: item.kind, table: {left: user.terminated, moved: ignore}}
      id: [item.id]
      data: {user: {email: "${{ item.email }}"}}
` + extra
}

const onePerson = `{"people": [{"kind": "left", "id": "1", "email": "maria@acme.example"}]}`

// TestMappedPartly: the good items of a delivery are events, the others one fault, however often it is sent.
func TestMappedPartly(t *testing.T) {
	spec := configuredSource(t, mappedSource(""))
	f := open(t, Options{}, spec)
	body := `{"people": [{"kind": "left", "id": "1", "email": "maria@acme.example"}, {"kind": "left", "id": "2"},
		{"kind": "moved"}, {"kind": "promoted"}, {"kind": "left", "id": "3", "email": ""}]}`
	first, again := f.post(spec, "application/json", body), f.post(spec, "application/json", body)
	if first.status != http.StatusAccepted || len(first.Cases) != 1 || first.Fault == "" || first.body != again.body {
		t.Errorf("%d %s, then %s", first.status, first.body, again.body)
	}
	if stored := f.store.stored(); len(stored) != 2 || stored[0].Case() != stored[1].Case() || stored[0].Subject != "user:maria@acme.example" {
		t.Errorf("%+v", stored)
	}
	fault := f.store.faults[0]
	if fault.ID != f.store.faults[1].ID || !strings.Contains(fault.Error, "item 1: ") || !strings.Contains(fault.Error, "item 4: ") ||
		strings.Contains(fault.Error, "acme.example") {
		t.Errorf("%+v", fault)
	}
	for why, want := range map[string]float64{whyUnknown: 2, whySkipped: 2, whyFault: 4} {
		if got := f.counter(MetricUnmapped, "why", why); got != want {
			t.Errorf("%s: %v, want %v", why, got, want)
		}
	}
}

// TestOnFault: the source says what its sender is told; the delivery is kept in every case.
func TestOnFault(t *testing.T) {
	for policy, want := range map[string]int{"accept": http.StatusAccepted, "reject": http.StatusBadRequest, "retry": http.StatusServiceUnavailable} {
		spec := configuredSource(t, mappedSource("    on_fault: "+policy))
		f := open(t, Options{}, spec)
		if got := f.post(spec, "application/json", `{"people": [{"kind": "left"}]}`); got.status != want || len(f.store.faults) != 1 {
			t.Errorf("%s: %d, %d faults", policy, got.status, len(f.store.faults))
		}
	}
}

// TestMappedAnswers: what cannot be read is refused, what the source asks for is answered, and what could not be stored
// is asked for again.
func TestMappedAnswers(t *testing.T) {
	spec := configuredSource(t, mappedSource("    response: {status: 200, body: thanks, content_type: text/html}"))
	f := open(t, Options{}, spec)
	for body, want := range map[string]string{onePerson: "200 thanks", `{"people": []}`: "200 thanks", "{": "400", "": "400", `{"people": 1}`: "200 thanks"} {
		if got := f.post(spec, "application/json", body); !strings.HasPrefix(fmt.Sprint(got.status, " ", got.body), want) {
			t.Errorf("%s: %d %s, want %s", body, got.status, got.body, want)
		}
	}
	reject := configuredSource(t, strings.Replace(mappedSource(""), "table: {left", "unknown: reject, table: {left", 1))
	f = open(t, Options{}, reject)
	if got := f.post(reject, "application/json", `{"people": [{"kind": "left", "id": "1", "email": "m@acme.example"}, {"kind": "odd"}]}`); got.status != 400 || len(f.store.stored()) != 0 {
		t.Errorf("%d %s", got.status, got.body)
	}
	broken := &store{fail: func(int) error { return errors.New("away") }}
	f = open(t, Options{Publisher: broken}, reject)
	if got := f.post(reject, "application/json", onePerson); got.status != http.StatusServiceUnavailable || len(broken.faults) != 0 {
		t.Errorf("%d, %d faults", got.status, len(broken.faults))
	}
}

// faultless cannot keep faults.
type faultless struct{ store }

func (*faultless) PublishFault(context.Context, events.Fault) error { return errors.New("away") }

// TestAFaultThatIsNotStored is asked for again, although the events of the delivery are stored.
func TestAFaultThatIsNotStored(t *testing.T) {
	spec := configuredSource(t, mappedSource(""))
	keep := &faultless{}
	f := open(t, Options{Publisher: keep}, spec)
	got := f.post(spec, "application/json", `{"people": [{"kind": "left", "id": "1", "email": "m@acme.example"}, {"kind": "left"}]}`)
	if got.status != http.StatusServiceUnavailable || len(keep.stored()) != 1 {
		t.Errorf("%d, %d events", got.status, len(keep.stored()))
	}
}

// TestRemap: what was kept of a delivery maps by the mapping of now, to the events that the delivery would have given.
func TestRemap(t *testing.T) {
	dir := t.TempDir()
	broken := strings.Replace(mappedSource("      # redact\n"), "email: \"${{ item.email }}\"", "email: \"${{ item.mail }}\"", 1)
	spec := configuredSource(t, broken)
	f := open(t, Options{}, spec)
	if got := f.post(spec, "application/json", onePerson); got.status != http.StatusAccepted || len(f.store.faults) != 1 {
		t.Fatalf("%d, %d faults", got.status, len(f.store.faults))
	}
	fault := f.store.faults[0]
	remap := func(text string) ([]events.Event, error) {
		writeFile(t, dir, config.SourcesFile, text)
		list, rest, err := Remapper{Dir: dir}.Remap("hr", fault.Body, fault.Time)
		if rest != nil {
			t.Errorf("a rest of one item: %s", rest)
		}
		return list, err
	}
	for what, text := range map[string]string{
		"no such key: mail": broken, "no source hr with a mapping": strings.Replace(mappedSource(""), "  hr:", "  hr2:", 1),
	} {
		if _, err := remap(text); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %s", err, what)
		}
	}
	list, err := remap(mappedSource(""))
	if err != nil || len(list) != 1 || list[0].Subject != "user:maria@acme.example" || !list[0].Time.Equal(fault.Time) {
		t.Fatalf("%+v, %v", list, err)
	}
	mended := configuredSource(t, mappedSource(""))
	f = open(t, Options{}, mended)
	f.post(mended, "application/json", onePerson)
	if direct := f.store.stored()[0]; direct.Case() != list[0].Case() || direct.ContentHash() != list[0].ContentHash() {
		t.Errorf("%+v, directly %+v", list[0], direct)
	}
	for _, kept := range []string{"", "{", "[]"} {
		if _, _, err := (Remapper{Dir: dir}).Remap("hr", json.RawMessage(kept), fault.Time); err == nil {
			t.Errorf("%q was mapped", kept)
		}
	}
	if _, _, err := (Remapper{Dir: dir + "/none"}).Remap("hr", fault.Body, fault.Time); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("without sources.yaml: %v", err)
	}
}

// TestRemapOfAPart: what maps by the mended mapping is not kept back by what never will, and is not given again.
func TestRemapOfAPart(t *testing.T) {
	dir := t.TempDir()
	spec := configuredSource(t, strings.Replace(mappedSource(""), "item.email", "item.mail", 1))
	f := open(t, Options{}, spec)
	f.post(spec, "application/json", `{"people": [{"kind": "left", "id": "1", "email": "a@acme.example"}, {"kind": "left", "id": "2"}, {"kind": "left", "id": "3", "email": "c@acme.example"}]}`)
	fault := f.store.faults[0]
	writeFile(t, dir, config.SourcesFile, mappedSource(""))
	remap := func(kept json.RawMessage) ([]events.Event, json.RawMessage, string) {
		list, rest, err := Remapper{Dir: dir}.Remap("hr", kept, fault.Time)
		return list, rest, fmt.Sprint(err)
	}
	list, rest, why := remap(fault.Body)
	if len(list) != 2 || list[0].ID != "1" || list[1].ID != "3" || len(rest) == 0 || !strings.HasPrefix(why, "item 1: ") {
		t.Fatalf("%+v, %s, %s", list, rest, why)
	}
	if again, _, _ := remap(fault.Body); len(again) != 2 || again[0].Case() != list[0].Case() {
		t.Errorf("repeated: %+v", again)
	}
	if none, left, _ := remap(rest); len(none) != 0 || left != nil {
		t.Errorf("the rest, still broken: %+v, %s", none, left)
	}
	writeFile(t, dir, config.SourcesFile, strings.Replace(mappedSource(""), "${{ item.email }}", "${{ item.?email.orValue('nobody@acme.example') }}", 1))
	if mended, left, why := remap(rest); len(mended) != 1 || mended[0].ID != "2" || left != nil || why != "<nil>" {
		t.Errorf("the rest, mended: %+v, %s, %s", mended, left, why)
	}
}

// TestItemsThatContradict: in whatever order they come, of two items with one id and other content neither is believed,
// and the others are.
func TestItemsThatContradict(t *testing.T) {
	const first, repeat, other, good = `{"kind": "left", "id": "1", "email": "a@acme.example"}`, `{"id": "1", "kind": "left", "email": "a@acme.example"}`,
		`{"kind": "left", "id": "1", "email": "b@acme.example"}`, `{"kind": "left", "id": "2", "email": "c@acme.example"}`
	for _, items := range [][]string{{first, other, good}, {other, good, first}, {first, repeat, other, good}, {other, first, repeat, good}, {first, good, other, repeat}} {
		spec := configuredSource(t, mappedSource(""))
		f := open(t, Options{}, spec)
		f.post(spec, "application/json", `{"people": [`+strings.Join(items, ", ")+`]}`)
		if got := f.store.stored(); len(got) != 1 || got[0].ID != "2" {
			t.Errorf("%v: %+v", items, got)
		}
		if n := f.counter(MetricUnmapped, "why", whyFault); len(f.store.faults) != 1 || int(n) != len(items)-1 {
			t.Errorf("%v: %v items of %d faults", items, n, len(f.store.faults))
		}
	}
}

// TestFaultsOfOneBody: two deliveries with one body that say another thing beside it are two faults, and each is one
// however often it is sent.
func TestFaultsOfOneBody(t *testing.T) {
	spec := configuredSource(t, `sources:
  hr:
    preset: custom
    verify: {header_token: {header: X-Token, values: ["${env:HR}"]}}
    map:
      type: {of: 'header["x-kind"]', unknown: dead, table: {left: user.terminated}}
      when: query.?kind.orValue('') != 'off'
      id: [body.id]
      data: {user: {email: x}}
`)
	f := open(t, Options{}, spec)
	for _, kind := range []string{"a", "b", "a"} {
		for _, query := range []string{"", "?kind=c"} {
			req := httptest.NewRequest(http.MethodPost, "/hooks/hr"+query, strings.NewReader(`{"id": "1"}`))
			req.Header.Set("X-Token", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY4")
			req.Header.Set("X-Kind", kind)
			req.Header.Set("X-Request-Id", fmt.Sprint(len(f.store.faults)))
			rec := httptest.NewRecorder()
			f.handle.ServeHTTP(rec, req)
			if rec.Code != http.StatusAccepted {
				t.Fatal(rec.Code, rec.Body)
			}
		}
	}
	ids := map[string]int{}
	for _, fault := range f.store.faults {
		ids[fault.ID]++
	}
	if len(f.store.faults) != 6 || len(ids) != 4 {
		t.Errorf("%d faults are %d: %v", len(f.store.faults), len(ids), ids)
	}
}

// TestATooLargeFault is kept without its body.
func TestATooLargeFault(t *testing.T) {
	spec := configuredSource(t, mappedSource(""))
	f := open(t, Options{MaxEvent: 64 << 10}, spec)
	body := `{"people": [{"kind": "left", "id": "` + strings.Repeat("x", 60<<10) + `"}]}`
	if got := f.post(spec, "application/json", body); got.status != http.StatusAccepted || f.store.faults[0].Body != nil ||
		!strings.Contains(f.store.faults[0].Error, "too large to be kept") {
		t.Errorf("%d %+v", got.status, f.store.faults)
	}
}

// TestProofsCover: what each proof covers is what a mapping may take from outside the body.
func TestProofsCover(t *testing.T) {
	for verify, want := range map[string]string{
		`{hmac: {header: X-S, secrets: ["${env:S}"]}}`:                                                                  "false [] false",
		`{hmac: {header: X-S, timestamp_header: X-T, secrets: ["${env:S}"]}}`:                                           "false [x-t] false",
		`{hmac: {header: X-S, signed: ["url", "\n", "header:X-E", "\n", body], secrets: ["${env:S}"]}}`:                 "false [x-e] true",
		`{standard_webhooks: {secrets: ["${env:S}"]}}`:                                                                  "false [webhook-id webhook-timestamp] false",
		`{header_token: {header: X-S, values: ["${env:S}"]}}`:                                                           "true [] false",
		`{any_of: [{header_token: {header: X-S, values: ["${env:S}"]}}, {hmac: {header: X-S, secrets: ["${env:S}"]}}]}`: "false [] false",
		`{all_of: [{header_token: {header: X-S, values: ["${env:S}"]}}, {hmac: {header: X-Y, secrets: ["${env:S}"]}}]}`: "true [] false",
	} {
		spec := configuredSource(t, "sources: {a: {preset: cloudevents, verify: "+verify+"}}")
		c := coverage(spec.Verify)
		if got := fmt.Sprint(c.All, c.Headers, c.Query); got != want {
			t.Errorf("%s: %s, want %s", verify, got, want)
		}
	}
}

// counter adds up a figure over all its series with a label.
func (f *face) counter(name, label, value string) (sum float64) {
	f.t.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label && l.GetValue() == value {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
