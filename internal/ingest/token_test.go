package ingest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/secret"
)

const (
	canaryOne = "canary-token-one-of-acme"
	canaryTwo = "canary-token-two-of-acme"
)

func canaries() []secret.Value { return []secret.Value{secret.New(canaryOne), secret.New(canaryTwo)} }

// tokenSpecs are the kinds that are a secret text somewhere.
func tokenSpecs() map[string]VerifySpec {
	return map[string]VerifySpec{
		"header":  {HeaderToken: &config.HeaderToken{Header: "Authorization", Values: canaries()}},
		"bearer":  {HeaderToken: &config.HeaderToken{Header: "Authorization", Scheme: "Bearer", Values: canaries()}},
		"query":   {URLToken: &config.URLToken{Query: "token", Values: canaries()}},
		"segment": {URLToken: &config.URLToken{Segment: true, Values: canaries()}},
		"basic":   {Basic: &config.Basic{Users: []config.User{{Name: "siem", Password: secret.New(canaryOne)}, {Name: "siem", Password: secret.New(canaryTwo)}}}},
	}
}

func tokenSource(v VerifySpec) SourceSpec {
	return SourceSpec{Name: "siem", Preset: "cloudevents", Verify: v}
}

// ask makes a delivery with an Authorization header and a target.
func ask(t testing.TB, authorization, target string) Delivery {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	d := Delivery{Received: noon, Method: "POST", URL: u, Header: http.Header{}, Body: []byte("{}")}
	if authorization != "" {
		d.Header.Set("Authorization", authorization)
	}
	return d
}

func TestTokens(t *testing.T) {
	encode := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	const path = "/hooks/siem"
	for kind, cases := range map[string]map[string]struct {
		authorization, target string
		key                   int
		want                  error
	}{
		"header": {
			"first": {canaryOne, path, 0, nil}, "second": {canaryTwo, path, 1, nil}, "none": {"", path, 0, errNoToken},
			"longer": {canaryOne + "x", path, 0, errBadToken}, "shorter": {canaryOne[1:], path, 0, errBadToken},
			"upper": {strings.ToUpper(canaryOne), path, 0, errBadToken}, "in the query": {"", path + "?token=" + canaryOne, 0, errNoToken},
		},
		"bearer": {
			"first": {"Bearer " + canaryOne, path, 0, nil}, "lower": {"bearer " + canaryTwo, path, 1, nil}, "two spaces": {"Bearer  " + canaryOne, path, 0, nil},
			"alone": {canaryOne, path, 0, errNoToken}, "another word": {"Basic " + canaryOne, path, 0, errNoToken}, "word alone": {"Bearer", path, 0, errNoToken},
			"joined": {"Bearer" + canaryOne, path, 0, errNoToken},
		},
		"query": {
			"first": {"", path + "?a=1&token=" + canaryOne, 0, nil}, "escaped": {"", path + "?token=" + strings.ReplaceAll(canaryTwo, "-", "%2D"), 1, nil},
			"none": {"", path, 0, errNoToken}, "empty": {"", path + "?token=", 0, errNoToken}, "twice": {"", path + "?token=" + canaryOne + "&token=" + canaryOne, 0, errNoToken},
			"malformed": {"", path + "?%zz&token=" + canaryOne, 0, errNoToken}, "wrong": {"", path + "?token=x", 0, errBadToken}, "in the header": {canaryOne, path, 0, errNoToken},
		},
		"segment": {
			"first": {"", path + "/" + canaryOne, 0, nil}, "second": {"", path + "/" + canaryTwo + "/", 1, nil}, "none": {"", path, 0, errNoToken},
			"slash": {"", path + "/", 0, errNoToken}, "two": {"", path + "/x/" + canaryOne, 0, errNoToken}, "wrong": {"", path + "/x", 0, errBadToken},
		},
		"basic": {
			"first": {encode("siem:" + canaryOne), path, 0, nil}, "second": {encode("siem:" + canaryTwo), path, 1, nil}, "user": {encode("other:" + canaryOne), path, 0, errBadToken},
			"no colon": {encode("siem" + canaryOne), path, 0, errBadToken}, "no base64": {"Basic *", path, 0, errNoToken}, "none": {"", path, 0, errNoToken},
			"bearer": {"Bearer " + canaryOne, path, 0, errNoToken},
		},
	} {
		v := verifier(t, tokenSource(tokenSpecs()[kind]))
		for name, c := range cases {
			d := ask(t, c.authorization, c.target)
			got, err := v.Verify(d)
			if !errors.Is(err, c.want) || got.Key != c.key || err == nil && !got.covers("x-any") {
				t.Errorf("%s %s: %+v %v, want %v", kind, name, got, err, c.want)
			}
			if glance := v.Glance(d); !errors.Is(glance, c.want) {
				t.Errorf("%s %s: glance %v", kind, name, glance)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%s %s: the error holds the token: %v", kind, name, err)
			}
		}
		if d := ask(t, "", "/hooks/siem"); kind != "query" && kind != "segment" {
			d.Header["Authorization"] = []string{canaryOne, canaryOne}
			if _, err := v.Verify(d); !errors.Is(err, errNoToken) {
				t.Errorf("%s twice: %v", kind, err)
			}
		}
	}
}

// TestTokensOverHTTP: each kind works from end to end, and its token is in no log, error, answer or metric.
func TestTokensOverHTTP(t *testing.T) {
	for kind, v := range tokenSpecs() {
		spec := tokenSource(v)
		f := open(t, Options{}, spec)
		if got := f.post(spec, structured, terminated("e1", "m@acme.example")); got.status != 202 {
			t.Errorf("%s: %d %s", kind, got.status, got.body)
		}
		for i := range 2 {
			wrong := f.request(spec, structured, terminated("e1", "m@acme.example"))
			if a := wrong.Header.Get("Authorization"); a != "" {
				wrong.Header.Set("Authorization", a+"QUFB")
			}
			wrong.URL.RawQuery = strings.ReplaceAll(wrong.URL.RawQuery, "acme", "other")
			wrong.URL.Path = strings.ReplaceAll(wrong.URL.Path, "acme", "other")
			if i == 1 {
				wrong.URL.Path += "/more/" + canaryTwo
			}
			if got := f.do(wrong); got.status != 401 && got.status != 404 || strings.Contains(got.body, "canary") {
				t.Errorf("%s: %d %s", kind, got.status, got.body)
			}
		}
		families, err := f.reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if all := fmt.Sprint(f.logs, families); strings.Contains(all, "canary") {
			t.Errorf("%s: the token is in the log or the metrics", kind)
		}
	}
}

// TestChallenge: a client that gives its password only when it is asked, as Java's does, is asked.
func TestChallenge(t *testing.T) {
	spec := tokenSource(tokenSpecs()["basic"])
	f := open(t, Options{}, spec)
	if got := f.do(f.plain("siem", "{}")); got.status != 401 || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), `Basic realm="keyturn"`) {
		t.Errorf("%d %v", got.status, got.header)
	}
	g := open(t, Options{}, hrSpec())
	if got := g.do(g.plain("hr-relay", "{}")); got.header.Get("WWW-Authenticate") != "" {
		t.Errorf("a signature is asked for: %v", got.header)
	}
}

func TestBodyToken(t *testing.T) {
	v := verifier(t, tokenSource(VerifySpec{BodyToken: &config.BodyToken{At: "item.clientState", Values: canaries()}}))
	got, err := v.Verify(ask(t, "", "/hooks/siem"))
	if err != nil || got.Settled() || got.Pending.At != "item.clientState" {
		t.Fatalf("%+v %v", got, err)
	}
	for name, c := range map[string]struct {
		texts []string
		want  error
	}{
		"all": {[]string{canaryOne, canaryOne}, nil}, "both": {[]string{canaryOne, canaryTwo}, nil}, "nothing": {nil, errNoToken},
		"one wrong": {[]string{canaryOne, "x"}, errBadToken}, "last wrong": {[]string{"x", canaryOne}, errBadToken}, "empty": {[]string{""}, errBadToken},
	} {
		if err := got.Pending.Match(c.texts); !errors.Is(err, c.want) || got.Settled() != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A preset that cannot look into the items never believes such a delivery.
	f := open(t, Options{}, tokenSource(VerifySpec{BodyToken: &config.BodyToken{At: "item.clientState", Values: canaries()}}))
	req := f.plain("siem", terminated("e1", "m@acme.example"))
	req.Header.Set("Content-Type", structured)
	if got := f.do(req); got.status != 401 || len(f.store.stored()) != 0 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestAddresses(t *testing.T) {
	token := VerifySpec{HeaderToken: &config.HeaderToken{Header: "Authorization", Values: canaries()}}
	direct := verifier(t, tokenSource(VerifySpec{AllOf: []VerifySpec{token, {IP: &config.IP{CIDRs: []string{"192.0.2.0/24", "2001:db8::/32"}}}}}))
	behind := verifier(t, tokenSource(VerifySpec{AllOf: []VerifySpec{token, {IP: &config.IP{
		CIDRs: []string{"192.0.2.0/24"}, TrustedProxies: []string{"10.0.0.0/8", "127.0.0.1/32"}}}}}))
	for name, c := range map[string]struct {
		v         Verifier
		remote    string
		forwarded []string
		ok        bool
	}{
		"direct":                 {direct, "192.0.2.7:1", nil, true},
		"direct, version 6":      {direct, "[2001:db8::1]:1", nil, true},
		"with a zone":            {direct, "[2001:db8::1%eth0]:1", nil, true},
		"4 within 6":             {direct, "[::ffff:192.0.2.7]:1", nil, true},
		"elsewhere":              {direct, "198.51.100.1:1", nil, false},
		"claims another":         {direct, "198.51.100.1:1", []string{"192.0.2.7"}, false},
		"no address":             {direct, "", nil, false},
		"a name":                 {direct, "host.example:1", nil, false},
		"behind a proxy":         {behind, "10.1.2.3:1", []string{"192.0.2.7"}, true},
		"behind two":             {behind, "127.0.0.1:1", []string{"192.0.2.7, 10.9.9.9"}, true},
		"in two headers":         {behind, "127.0.0.1:1", []string{"192.0.2.7", "10.9.9.9"}, true},
		"claimed to the left":    {behind, "10.1.2.3:1", []string{"192.0.2.7, 198.51.100.1"}, false},
		"proxies alone":          {behind, "10.1.2.3:1", []string{"10.1.1.1"}, false},
		"proxy that says none":   {behind, "10.1.2.3:1", nil, false},
		"not behind the proxy":   {behind, "192.0.2.7:1", []string{"198.51.100.1"}, true},
		"malformed":              {behind, "10.1.2.3:1", []string{"192.0.2.7, x"}, false},
		"more than is looked at": {behind, "10.1.2.3:1", []string{"192.0.2.7" + strings.Repeat(",10.0.0.1", maxForwarded)}, false},
	} {
		d := ask(t, canaryOne, "/hooks/siem")
		d.Remote = c.remote
		for _, f := range c.forwarded {
			d.Header.Add("X-Forwarded-For", f)
		}
		if _, err := c.v.Verify(d); (err == nil) != c.ok || !c.ok && !errors.Is(err, errAddress) {
			t.Errorf("%s: %v", name, err)
		}
		d.Header.Set("Authorization", "x")
		if _, err := c.v.Verify(d); err == nil {
			t.Errorf("%s: the address alone is believed", name)
		}
	}
}

func TestLists(t *testing.T) {
	hook := siemSpec().Verify
	bearer := tokenSpecs()["bearer"]
	both := verifier(t, tokenSource(VerifySpec{AllOf: []VerifySpec{bearer, hook}}))
	either := tokenSource(VerifySpec{AnyOf: []VerifySpec{bearer, hook}})
	one := verifier(t, either)
	for name, c := range map[string]struct {
		token, signature bool
		both, one        bool
		key              int
	}{
		"both": {true, true, true, true, 0}, "token": {true, false, false, true, 0}, "signature": {false, true, false, true, 2}, "nothing": {false, false, false, false, 0},
	} {
		d := attempt(t, siemSpec(), "{}", noon)
		if c.token {
			d.Header.Set("Authorization", "Bearer "+canaryOne)
		}
		if !c.signature {
			d.Header.Set("X-Signature", "sha256=00")
		}
		if got, err := both.Verify(d); (err == nil) != c.both || err == nil && !got.covers("x-timestamp") {
			t.Errorf("%s: all_of: %+v %v", name, got, err)
		}
		got, err := one.Verify(d)
		if (err == nil) != c.one || got.Key != c.key {
			t.Errorf("%s: any_of: %+v %v", name, got, err)
		}
		if err != nil && (!errors.Is(err, errNoToken) || !errors.Is(err, errBadSignature) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v", name, err)
		}
		d.Header.Del("X-Signature")
		if err := one.Glance(d); (err == nil) != c.token {
			t.Errorf("%s: glance %v", name, err)
		}
		if err := both.Glance(d); err == nil {
			t.Errorf("%s: glance at both: %v", name, err)
		}
	}
	s, err := NewSource(either)
	if err != nil {
		t.Fatal(err)
	}
	if s.keys != 3 {
		t.Errorf("%d keys", s.keys)
	}
	for _, v := range []VerifySpec{either.Verify, {AllOf: []VerifySpec{hook, tokenSpecs()["query"]}}} {
		req := httptest.NewRequest(http.MethodPost, "/hooks/siem", nil)
		if err := Sign(tokenSource(v), req, []byte("{}"), "1", noon); err != nil {
			t.Fatal(err)
		}
		d := Delivery{Received: noon, Method: req.Method, URL: req.URL, Header: req.Header, Body: []byte("{}")}
		if _, err := verifier(t, tokenSource(v)).Verify(d); err != nil {
			t.Errorf("signed: %v", err)
		}
	}
}

// TestInsecure: believing everybody must be said twice, and is shown.
func TestInsecure(t *testing.T) {
	spec := tokenSource(VerifySpec{None: &config.None{}})
	if _, err := NewSource(spec); err == nil || !strings.Contains(err.Error(), "insecure: true") {
		t.Error(err)
	}
	with := hrSpec()
	with.Insecure = true
	if _, err := NewSource(with); err == nil {
		t.Error("insecure without effect")
	}
	spec.Insecure = true
	f := open(t, Options{}, spec, hrSpec())
	if got := f.post(spec, structured, terminated("e1", "m@acme.example")); got.status != 202 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if notes := f.handle.Notes(); !strings.Contains(notes, "2 configured") || !strings.HasSuffix(notes, "sender: siem") {
		t.Error(notes)
	}
	if !strings.Contains(f.logs.String(), `"level":"WARN","msg":"source is insecure`) {
		t.Error(f.logs)
	}
}

// TestExplain: the steps are those of Verify, and none holds a secret or the body.
func TestExplain(t *testing.T) {
	spec := siemSpec()
	s, err := NewSource(spec)
	if err != nil {
		t.Fatal(err)
	}
	d := attempt(t, spec, `{"canary":1}`, noon)
	steps, v, err := s.Explain(d)
	if err != nil || v.Key != 0 || len(steps) != 3 {
		t.Fatalf("%v %+v %v", steps, v, err)
	}
	text := fmt.Sprint(steps)
	if !strings.Contains(text, `timestamp "1795176000" + "." + body (12 bytes)`) || !strings.Contains(text, "secret 0 made the signature") || strings.Contains(text, "canary") || strings.Contains(text, sampleText) {
		t.Error(text)
	}
	d.Received = noon.Add(10 * 60 * 1e9)
	steps, _, err = s.Explain(d)
	if last := steps[len(steps)-1]; err == nil || last.OK || last.Detail != errStale.Error() {
		t.Errorf("%v %v", steps, err)
	}
	d.Header.Del("X-Signature")
	if steps, _, err = s.Explain(d); err == nil || len(steps) != 1 || steps[0].OK {
		t.Errorf("%v %v", steps, err)
	}
	if d.trace != nil {
		t.Error("the caller's delivery is traced")
	}
}
