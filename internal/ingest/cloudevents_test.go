package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/client"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"keyturn/internal/events"
	"keyturn/internal/secret"
)

// signing is a transport that signs what an HTTP client sends, as a relay in front of it would.
type signing struct {
	t    testing.TB
	spec SourceSpec
}

func (s signing) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(body))
	if err := Sign(s.spec, req, body, "msg-1", time.Now()); err != nil {
		s.t.Error(err)
	}
	return http.DefaultTransport.RoundTrip(req)
}

// foreign is an event as the CloudEvents SDK makes it.
func foreign(t testing.TB, id string) event.Event {
	t.Helper()
	e := event.New()
	e.SetID(id)
	e.SetSource("https://hr.acme.example/prod")
	e.SetType("dev.keyturn.user.terminated.v1")
	e.SetTime(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	e.SetExtension("class", "urgent")
	e.SetExtension("effectiveat", "2026-12-01T17:00:00+01:00")
	if err := e.SetData(event.ApplicationJSON, map[string]any{"user": map[string]string{"email": "maria@acme.example"}, "ticket": "HR-1"}); err != nil {
		t.Fatal(err)
	}
	return e
}

// binarySpec signs the attributes of binary mode, one line each.
func binarySpec() SourceSpec {
	parts := []string{}
	for _, name := range []string{"specversion", "id", "source", "type", "subject", "time", "class", "effectiveat"} {
		parts = append(parts, "header:ce-"+name, "\n")
	}
	return SourceSpec{Name: "binary", Preset: "cloudevents", Verify: VerifySpec{
		HMAC: &HMACSpec{Signature: SignatureSpec{Header: "X-Signature"}, Signed: append(parts, "body"), Secrets: []secret.Value{secret.New(sampleText)}},
	}}
}

func TestCloudEventsSDK(t *testing.T) {
	loose := hrSpec()
	loose.Name, loose.UnsignedAttributes = "loose", true
	f := open(t, Options{}, hrSpec(), loose, binarySpec())
	for _, c := range []struct {
		spec SourceSpec
		mode client.Option
	}{
		{hrSpec(), client.WithForceStructured()},
		{loose, client.WithForceStructured()},
		{loose, client.WithForceBinary()},
		{binarySpec(), client.WithForceBinary()},
	} {
		before := len(f.store.stored())
		p, err := cehttp.New(cehttp.WithTarget(f.url+"/hooks/"+c.spec.Name), cehttp.WithRoundTripper(signing{t, c.spec}))
		if err != nil {
			t.Fatal(err)
		}
		sender, err := client.New(p, c.mode)
		if err != nil {
			t.Fatal(err)
		}
		var res *cehttp.Result
		if err := sender.Send(context.Background(), foreign(t, "evt-"+c.spec.Name)); !errors.As(err, &res) || res.StatusCode != 202 {
			t.Errorf("%s: %v", c.spec.Name, err)
			continue
		}
		stored := f.store.stored()[before:]
		if len(stored) != 1 || stored[0].Class != events.Urgent || stored[0].Subject != "user:maria@acme.example" ||
			!stored[0].EffectiveAt.Equal(time.Date(2026, 12, 1, 16, 0, 0, 0, time.UTC)) ||
			string(stored[0].Data) != `{"ticket":"HR-1","user":{"email":"maria@acme.example"}}` {
			t.Errorf("%s: %+v", c.spec.Name, stored)
		}
	}
}

func TestCloudEventsSDKBatch(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	req, err := cehttp.NewHTTPRequestFromEvents(context.Background(), f.url+"/hooks/hr-relay", []event.Event{foreign(t, "1"), foreign(t, "2")})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := signing{t, hrSpec()}.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 202 || len(f.store.stored()) != 2 {
		t.Errorf("%d, stored %d", resp.StatusCode, len(f.store.stored()))
	}
}

// binary maps one event of binary mode, as a source that accepts unsigned attributes does.
func binary(headers map[string][]string) (events.Event, error) {
	h := http.Header{
		"Content-Type": {"application/json"}, "Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Source": {"/hr"}, "Ce-Type": {"dev.keyturn.user.rehired.v1"},
	}
	for name, v := range headers {
		if v == nil {
			delete(h, name)
			continue
		}
		h[name] = v
	}
	d := Delivery{Received: noon, Method: "POST", Header: h, Body: []byte(`{"user":{"email":"maria@acme.example"}}`)}
	drafts, err := cloudEvents{unsignedAttributes: true}.Map(d, Verified{})
	if err != nil {
		return events.Event{}, err
	}
	list, err := complete(drafts, &Source{scope: "s"}, d)
	if err != nil {
		return events.Event{}, err
	}
	return list[0], nil
}

func TestBinaryHeaders(t *testing.T) {
	for name, c := range map[string]struct {
		headers map[string][]string
		id      string
		rule    string
	}{
		"plain":                 {nil, "1", ""},
		"percent-encoded":       {map[string][]string{"Ce-Id": {"Euro%20%E2%82%AC%20%F0%9F%98%80"}}, "Euro € 😀", ""},
		"over-encoded":          {map[string][]string{"Ce-Id": {"%41%62"}}, "Ab", ""},
		"decoded once only":     {map[string][]string{"Ce-Id": {"%2541"}}, "%41", ""},
		"plus is a plus":        {map[string][]string{"Ce-Id": {"a+b"}}, "a+b", ""},
		"quoted":                {map[string][]string{"Ce-Id": {`"a \"b\" \\"`}}, `a "b" \`, ""},
		"overlong UTF-8":        {map[string][]string{"Ce-Id": {"%C0%A0"}}, "", "encoding: want percent-encoded UTF-8"},
		"half an escape":        {map[string][]string{"Ce-Id": {"%4"}}, "", "encoding: want percent-encoded UTF-8"},
		"given twice":           {map[string][]string{"Ce-Id": {"1", "1"}}, "", "given twice"},
		"missing":               {map[string][]string{"Ce-Id": nil}, "", "required"},
		"control character":     {map[string][]string{"Ce-Id": {"a%0Ab"}}, "", "no control characters, and no space at either end"},
		"long":                  {map[string][]string{"Ce-Id": {strings.Repeat("a", 257)}}, "", "length: at most 256"},
		"datacontenttype":       {map[string][]string{"Ce-Datacontenttype": {"application/json"}}, "", "not in binary mode: the content type says it"},
		"version":               {map[string][]string{"Ce-Specversion": {"0.3"}}, "", `must be: "1.0"`},
		"source not normal":     {map[string][]string{"Ce-Source": {"HTTP://x"}}, "", "format: uri-reference, in normal form"},
		"unknown attributes":    {map[string][]string{"Ce-Severitytext": {"x"}, "Ce-Scope": {"other"}, "Ce-": {"x"}}, "1", ""},
		"content type with +":   {map[string][]string{"Content-Type": {"application/vnd.acme+json; charset=utf-8"}}, "1", ""},
		"data no JSON":          {map[string][]string{"Content-Type": {"text/plain"}}, "", "the data of an event must be JSON"},
		"no version, no event":  {map[string][]string{"Ce-Specversion": nil}, "", "want a CloudEvent"},
		"a time without a zone": {map[string][]string{"Ce-Time": {"2026-11-20T10:00:00"}}, "", "format: date-time"},
		"a time far ahead":      {map[string][]string{"Ce-Time": {"2026-11-22T10:00:00Z"}}, "", "more than 24 hours ahead"},
	} {
		e, err := binary(c.headers)
		if e.ID != c.id || (err == nil) != (c.rule == "") || err != nil && !strings.Contains(err.Error(), c.rule) {
			t.Errorf("%s: id %q, %v", name, e.ID, err)
		}
		if err == nil && e.Scope != "s" {
			t.Errorf("%s: scope %q", name, e.Scope)
		}
	}
}

func TestAttributes(t *testing.T) {
	const user = `{"user":{"email":"Maria@acme.example","okta_id":"00uA"}}`
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	base := `"specversion":"1.0","id":"1","source":"/hr","type":"dev.keyturn.user.terminated.v1"`
	for name, c := range map[string]struct {
		body  string
		check func(events.Event) bool
		rule  string
	}{
		"time of receipt":           {`{` + base + `,"data":` + user + `}`, func(e events.Event) bool { return e.Time.Equal(noon) && e.EffectiveAt.IsZero() }, ""},
		"null counts as absent":     {`{` + base + `,"time":null,"subject":null,"datacontenttype":null,"data":` + user + `}`, func(e events.Event) bool { return e.Time.Equal(noon) }, ""},
		"empty attribute":           {`{` + base + `,"subject":"","data":` + user + `}`, nil, "length: at least 1"},
		"attribute of another type": {`{` + base + `,"time":5,"data":` + user + `}`, nil, "type: want string"},
		"data as base64":            {`{` + base + `,"data_base64":"eyJ1c2VyIjp7ImxvZ2luIjoibSJ9fQ=="}`, func(e events.Event) bool { return string(e.Data) == `{"user":{"login":"m"}}` }, ""},
		"base64 broken":             {`{` + base + `,"data_base64":"eyJ"}`, nil, "format: base64"},
		"base64 of no JSON":         {`{` + base + `,"data_base64":"AAAA"}`, nil, "json: not JSON near byte 0"},
		"data twice":                {`{` + base + `,"data_base64":"e30=","data":` + user + `}`, nil, "not together with data"},
		"no data":                   {`{` + base + `}`, nil, "required"},
		"data null":                 {`{` + base + `,"data":null}`, nil, "type: want object"},
		"data in another format":    {`{` + base + `,"datacontenttype":"text/xml","data":"<a/>"}`, nil, "must be JSON"},
		"data in a JSON format":     {`{` + base + `,"datacontenttype":"application/vnd.x+json; v=1","data":` + user + `}`, func(events.Event) bool { return true }, ""},
		"member twice":              {`{` + base + `,"id":"2","data":` + user + `}`, nil, "json: member given twice"},
		"subject agrees":            {`{` + base + `,"subject":"user:00uA","data":` + user + `}`, func(e events.Event) bool { return e.Subject == "user:00uA" }, ""},
		"subject by another name":   {`{` + base + `,"subject":"MARIA@acme.example","data":` + user + `}`, func(e events.Event) bool { return e.Subject == "user:00uA" }, ""},
		"subject contradicts":       {`{` + base + `,"subject":"user:otto@acme.example","data":` + user + `}`, nil, "contradicts /data"},
		"class raised":              {`{` + base + `,"class":"urgent","data":` + user + `}`, func(e events.Event) bool { return e.Class == events.Urgent }, ""},
		"class as it is":            {`{` + base + `,"class":"normal","data":` + user + `}`, func(e events.Event) bool { return e.Class == events.Normal }, ""},
		"class lowered":             {`{` + base + `,"class":"bulk","data":` + user + `}`, nil, "may be raised, not lowered: at least normal"},
		"class unknown":             {`{` + base + `,"class":"fast","data":` + user + `}`, nil, "one of: urgent, normal, bulk"},
		"effective by extension":    {`{` + base + `,"effectiveat":"2026-12-01T00:00:00Z","data":` + user + `}`, func(e events.Event) bool { return e.EffectiveAt.Day() == 1 }, ""},
		"effective twice, agreed":   {`{` + base + `,"effectiveat":"2026-12-01T00:00:00Z","data":{"user":{"login":"m"},"effective_at":"2026-12-01T01:00:00+01:00"}}`, func(e events.Event) bool { return e.EffectiveAt.Day() == 1 }, ""},
		"effective twice, at odds":  {`{` + base + `,"effectiveat":"2026-12-01T00:00:00Z","data":{"user":{"login":"m"},"effective_at":"2026-12-02T00:00:00Z"}}`, nil, "contradicts /data/effective_at"},
		"time at the last edge":     {`{` + base + `,"time":"9999-12-31T23:59:59-12:00","data":` + user + `}`, nil, "/time: year: at most 2200, in UTC"},
		"time at the first edge":    {`{` + base + `,"time":"0000-01-01T00:00:00+23:59","data":` + user + `}`, nil, "/time: year: at least 1970, in UTC"},
		"time in 1969 by its zone":  {`{` + base + `,"time":"1970-01-01T00:00:00+01:00","data":` + user + `}`, nil, "/time: year: at least 1970, in UTC"},
		"time as a zero":            {`{` + base + `,"time":"0001-01-01T00:00:00Z","data":` + user + `}`, nil, "/time: year: at least 1970, in UTC"},
		"time at the beginning":     {`{` + base + `,"time":"1970-01-01T00:00:00Z","data":` + user + `}`, func(e events.Event) bool { return e.Time.Unix() == 0 }, ""},
		"effective at the end":      {`{` + base + `,"effectiveat":"2200-12-31T23:59:59.999999999Z","data":` + user + `}`, func(e events.Event) bool { return e.EffectiveAt.Year() == 2200 }, ""},
		"effective after the end":   {`{` + base + `,"effectiveat":"2200-12-31T23:59:59-01:00","data":` + user + `}`, nil, "/effectiveat: year: at most 2200, in UTC: use an earlier date, or leave the event out until it is known"},
		"effective as a zero":       {`{` + base + `,"effectiveat":"0001-01-01T00:00:00Z","data":` + user + `}`, nil, "/effectiveat: year: at least 1970, in UTC"},
		"data effective never":      {`{` + base + `,"data":{"user":{"login":"m"},"effective_at":"9999-12-31T00:00:00Z"}}`, nil, "/data/effective_at: year: at most 2200, in UTC: use an earlier date"},
		"data effective at an edge": {`{` + base + `,"data":{"user":{"login":"m"},"effective_at":"9999-12-31T23:59:59-12:00"}}`, nil, "/data/effective_at: year: at most 2200"},
		"data effective as a zero":  {`{` + base + `,"data":{"user":{"login":"m"},"effective_at":"0001-01-01T00:00:00Z"}}`, nil, "/data/effective_at: year: at least 1970, in UTC"},
		"effective, malformed":      {`{` + base + `,"effectiveat":"tomorrow","data":` + user + `}`, nil, "format: date-time"},
		"effective, not for this":   {strings.Replace(`{`+base+`,"effectiveat":"2026-12-01T00:00:00Z","data":`+user+`}`, "terminated", "rehired", 1), nil, "not allowed in this event"},
		"trace of the event":        {`{` + base + `,"traceparent":"` + trace + `","data":` + user + `}`, func(e events.Event) bool { return e.TraceParent == trace }, ""},
		"trace of the request":      {`{` + base + `,"traceparent":"x","data":` + user + `}`, func(e events.Event) bool { return strings.HasPrefix(e.TraceParent, "00-1") }, ""},
	} {
		d := Delivery{Received: noon, Method: "POST", Body: []byte(c.body), Header: http.Header{
			"Content-Type": {structured}, "Traceparent": {"00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}}
		drafts, err := cloudEvents{}.Map(d, Verified{})
		if err != nil {
			t.Fatal(err)
		}
		list, err := complete(drafts, &Source{scope: "s"}, d)
		if c.rule != "" {
			faults, _ := errors.AsType[Invalid](err)
			if len(faults) == 0 || !strings.Contains(faults[0].Field+": "+faults[0].Rule, c.rule) {
				t.Errorf("%s: %+v, want %s", name, faults, c.rule)
			}
			continue
		}
		if err != nil || !c.check(list[0]) {
			t.Errorf("%s: %+v %v", name, list, err)
		}
	}
}

// A repeat that is spelled anew is the same case with the same content, a changed one is not.
func TestRepeatsSpelledAnew(t *testing.T) {
	take := func(body string) events.Event {
		d := Delivery{Received: time.Now(), Method: "POST", Body: []byte(body), Header: http.Header{"Content-Type": {structured}}}
		drafts, _ := cloudEvents{}.Map(d, Verified{})
		list, err := complete(drafts, &Source{scope: "s"}, d)
		if err != nil {
			t.Fatal(err)
		}
		return list[0]
	}
	one := take(`{"specversion":"1.0","id":"1","source":"/hr","type":"dev.keyturn.user.rehired.v1","data":{"user":{"email":"m@acme.example","login":"m"}}}`)
	two := take(`{"data":{"user":{"login":"m","email":"m\u0040acme.example"}}, "type":"dev.keyturn.user.rehired.v1", "source":"/hr","id":"1","specversion":"1.0"}`)
	other := take(`{"specversion":"1.0","id":"1","source":"/hr","type":"dev.keyturn.user.rehired.v1","data":{"user":{"email":"o@acme.example","login":"m"}}}`)
	if one.Case() != two.Case() || one.ContentHash() != two.ContentHash() {
		t.Error("spelling changes the event")
	}
	if one.Case() != other.Case() || one.ContentHash() == other.ContentHash() {
		t.Error("another content is not seen")
	}
}

func FuzzMap(f *testing.F) {
	f.Add(structured, []byte(terminated("1", "m@acme.example")), "1", "")
	f.Add("application/cloudevents-batch+json", []byte("["+terminated("1", "m@acme.example")+"]"), "", "")
	f.Add("application/json", []byte(`{"user":{"login":"m"}}`), "%E2%82%AC", "user:m")
	f.Fuzz(func(t *testing.T, contentType string, body []byte, id, subject string) {
		d := Delivery{Received: noon, Method: "POST", URL: httptest.NewRequest("POST", "/", nil).URL, Body: body, Header: http.Header{
			"Content-Type": {contentType}, "Ce-Specversion": {"1.0"}, "Ce-Id": {id}, "Ce-Source": {"/hr"},
			"Ce-Type": {"dev.keyturn.user.terminated.v1"}, "Ce-Subject": {subject}}}
		drafts, err := cloudEvents{unsignedAttributes: true}.Map(d, Verified{})
		if err != nil {
			return
		}
		list, err := complete(drafts, &Source{scope: "s"}, d)
		if err != nil {
			return
		}
		for _, e := range list {
			wire, err := events.Marshal(e)
			if err != nil {
				t.Fatalf("taken, but cannot be stored: %v", err)
			}
			back, err := events.Unmarshal(wire)
			if err != nil || back.Case() != e.Case() || back.ContentHash() != e.ContentHash() || back.Subject != e.Subject {
				t.Fatalf("%+v\n%+v\n%v", e, back, err)
			}
		}
	})
}
