package ingest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"keyturn/internal/secret"
)

// attempt is a signed delivery that a test may spoil.
func attempt(t testing.TB, spec SourceSpec, body string, at time.Time) Delivery {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, "/hooks/"+spec.Name, nil)
	if err := Sign(spec, req, []byte(body), "msg-1", at); err != nil {
		t.Fatal(err)
	}
	return Delivery{Received: at, Method: req.Method, URL: req.URL, Header: req.Header, Body: []byte(body)}
}

func verifier(t testing.TB, spec SourceSpec) Verifier {
	t.Helper()
	s, err := NewSource(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s.verifier
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestStandardWebhooksRefusesNearMisses(t *testing.T) {
	const body = `{"a":1}`
	v := verifier(t, hrSpec())
	for name, c := range map[string]struct {
		spoil func(*Delivery)
		want  error
	}{
		"as sent":               {func(*Delivery) {}, nil},
		"trailing newline":      {func(d *Delivery) { d.Body = append(d.Body, '\n') }, errBadSignature},
		"encoded anew":          {func(d *Delivery) { d.Body = []byte(`{"a": 1}`) }, errBadSignature},
		"empty body":            {func(d *Delivery) { d.Body = nil }, errBadSignature},
		"another id":            {func(d *Delivery) { d.Header.Set("webhook-id", "msg-2") }, errBadSignature},
		"another time":          {func(d *Delivery) { d.Header.Set("webhook-timestamp", strconv.FormatInt(noon.Unix()+1, 10)) }, errBadSignature},
		"time with a sign":      {func(d *Delivery) { d.Header.Set("webhook-timestamp", "+"+d.Header.Get("webhook-timestamp")) }, errNoTimestamp},
		"time with a fraction":  {func(d *Delivery) { d.Header.Set("webhook-timestamp", d.Header.Get("webhook-timestamp")+".0") }, errNoTimestamp},
		"time with a zero":      {func(d *Delivery) { d.Header.Set("webhook-timestamp", "0"+d.Header.Get("webhook-timestamp")) }, errBadSignature},
		"a dot moved":           {func(d *Delivery) { d.Header.Set("webhook-id", "msg-1."+d.Header.Get("webhook-timestamp")) }, errNoID},
		"id twice":              {func(d *Delivery) { d.Header.Add("webhook-id", "msg-1") }, errNoID},
		"time twice":            {func(d *Delivery) { d.Header.Add("webhook-timestamp", d.Header.Get("webhook-timestamp")) }, errNoTimestamp},
		"signature twice":       {func(d *Delivery) { d.Header.Add("webhook-signature", d.Header.Get("webhook-signature")) }, errNoSignature},
		"no id":                 {func(d *Delivery) { d.Header.Del("webhook-id") }, errNoID},
		"no time":               {func(d *Delivery) { d.Header.Del("webhook-timestamp") }, errNoTimestamp},
		"no signature":          {func(d *Delivery) { d.Header.Del("webhook-signature") }, errNoSignature},
		"empty signature":       {func(d *Delivery) { d.Header.Set("webhook-signature", "v1,") }, errBadSignature},
		"no version":            {swap("v1,", ""), errBadSignature},
		"another version":       {swap("v1,", "v2,"), errBadSignature},
		"asymmetric version":    {swap("v1,", "v1a,"), errBadSignature},
		"version in upper case": {swap("v1,", "V1,"), errBadSignature},
		"no padding":            {swap("=", ""), errBadSignature},
		"comma between entries": {func(d *Delivery) { d.Header.Set("webhook-signature", "v1,AAAA,"+d.Header.Get("webhook-signature")) }, errBadSignature},
		"last of a list": {func(d *Delivery) {
			d.Header.Set("webhook-signature", "v1,AAAA v2,BBBB "+d.Header.Get("webhook-signature"))
		}, nil},
		"first of a list": {func(d *Delivery) { d.Header.Set("webhook-signature", d.Header.Get("webhook-signature")+" v1,AAAA") }, nil},
		"behind too many": {func(d *Delivery) {
			d.Header.Set("webhook-signature", strings.Repeat("v1,AAAA ", maxSignatures)+d.Header.Get("webhook-signature"))
		}, errBadSignature},
		"at the tolerance, old": {func(d *Delivery) { d.Received = noon.Add(5 * time.Minute) }, nil},
		"too old":               {func(d *Delivery) { d.Received = noon.Add(5*time.Minute + time.Second) }, errStale},
		"at the tolerance, new": {func(d *Delivery) { d.Received = noon.Add(-5 * time.Minute) }, nil},
		"too new":               {func(d *Delivery) { d.Received = noon.Add(-5*time.Minute - time.Second) }, errStale},
	} {
		d := attempt(t, hrSpec(), body, noon)
		c.spoil(&d)
		if _, err := v.Verify(d); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// swap changes the text of the signature header.
func swap(from, to string) func(*Delivery) {
	return func(d *Delivery) {
		d.Header.Set("webhook-signature", strings.Replace(d.Header.Get("webhook-signature"), from, to, 1))
	}
}

func TestRotation(t *testing.T) {
	old, next := hrSpec(), hrSpec()
	next.Verify.StandardWebhooks = &StandardWebhooksSpec{Secrets: []secret.Value{secret.New(sampleSecret2)}}
	both := hrSpec()
	both.Verify.StandardWebhooks = &StandardWebhooksSpec{Secrets: []secret.Value{secret.New(sampleSecret2), secret.New(sampleSecret)}}
	v := verifier(t, both)
	for key, spec := range []SourceSpec{next, old} {
		got, err := v.Verify(attempt(t, spec, "{}", noon))
		if err != nil || got.Key != key {
			t.Errorf("key %d: %+v %v", key, got, err)
		}
	}
	if _, err := verifier(t, next).Verify(attempt(t, old, "{}", noon)); !errors.Is(err, errBadSignature) {
		t.Errorf("a secret that is out: %v", err)
	}
}

// What we sign the reference library takes, and the other way round.
func TestStandardWebhooksWithTheReferenceLibrary(t *testing.T) {
	ref, err := standardwebhooks.NewWebhook(sampleSecret)
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, hrSpec())
	for _, body := range []string{"", "{}", `{"test": 2432232314}`, "\x00\xff\n", strings.Repeat("x", 1<<16)} {
		now := time.Now()
		ours := attempt(t, hrSpec(), body, now)
		if err := ref.Verify([]byte(body), ours.Header); err != nil {
			t.Errorf("%.20q: the library refuses ours: %v", body, err)
		}
		sig, err := ref.Sign("msg_2", now, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		theirs := ours
		theirs.Header = http.Header{}
		theirs.Header.Set("webhook-id", "msg_2")
		theirs.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
		theirs.Header.Set("webhook-signature", sig)
		if _, err := v.Verify(theirs); err != nil {
			t.Errorf("%.20q: we refuse the library's: %v", body, err)
		}
		theirs.Body = append([]byte("x"), theirs.Body...)
		_, mine := v.Verify(theirs)
		if yours := ref.Verify(theirs.Body, theirs.Header); (mine == nil) != (yours == nil) {
			t.Errorf("%.20q: we say %v, the library %v", body, mine, yours)
		}
	}
}

func hmacSpec(h HMACSpec) SourceSpec {
	if h.Secrets == nil {
		h.Secrets = []secret.Value{secret.New(sampleText)}
	}
	if h.Signature.Header == "" {
		h.Signature.Header = "X-Signature"
	}
	return SourceSpec{Name: "siem", Preset: "cloudevents", Verify: VerifySpec{HMAC: &h}}
}

// The signatures were made with openssl dgst over the same text and key.
func TestHMACVectors(t *testing.T) {
	const body = `{"alert":"sample"}`
	for name, c := range map[string]struct {
		spec HMACSpec
		sig  string
	}{
		"sha256 hex":       {HMACSpec{}, "9e01f9c2c08ef21d5f841b4fc1f83bd841f10d097921513fc3d08eda4ad2f67d"},
		"upper-case hex":   {HMACSpec{Algorithm: "sha256", Encoding: "hex"}, strings.ToUpper("9e01f9c2c08ef21d5f841b4fc1f83bd841f10d097921513fc3d08eda4ad2f67d")},
		"prefix":           {HMACSpec{Signature: SignatureSpec{Prefix: "sha256="}}, "sha256=9e01f9c2c08ef21d5f841b4fc1f83bd841f10d097921513fc3d08eda4ad2f67d"},
		"sha1":             {HMACSpec{Algorithm: "sha1"}, "f1d1804c72e8432a77443ac5fb4288e740ead6ff"},
		"sha384":           {HMACSpec{Algorithm: "sha384"}, "4383560a002027a5ef2ed2a9ac891c1e86dfaef4467469a8180d6649c2dc1dff2fd5a7abd49e2b027cb254902d637f8f"},
		"sha512 in base64": {HMACSpec{Algorithm: "sha512", Encoding: "base64"}, "792vTuuSr7hAdaNkZsquUrlYTo59mgoOp4qBucsF56Jdnwa6ZajgRB7le4fEW0KVYV7n64iRRbQM9itoI0WAOg=="},
		"second secret":    {HMACSpec{Secrets: []secret.Value{secret.New("another-text-of-acme-example"), secret.New(sampleText)}}, "9e01f9c2c08ef21d5f841b4fc1f83bd841f10d097921513fc3d08eda4ad2f67d"},
		"with a method":    {HMACSpec{Signed: []string{"method", "body"}}, "3346ba7e8304a6da08bfeca6dd10a1e77aea8b66b1e2336e52cd88e483468e58"},
		"with a timestamp": {HMACSpec{Timestamp: TimestampSpec{Header: "X-Time"}}, "fd88a274ad99850f1db4327269c65e4ed399926060f8e047a55a0e25d22bed1b"},
	} {
		h := http.Header{}
		h.Set("X-Signature", c.sig)
		h.Set("X-Time", "1795435200")
		d := Delivery{Received: time.Unix(1795435200, 0), Method: "POST", Header: h, Body: []byte(body)}
		if _, err := verifier(t, hmacSpec(c.spec)).Verify(d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHMACRefusesNearMisses(t *testing.T) {
	const body = `{"a":1}`
	spec := siemSpec()
	v := verifier(t, spec)
	for name, c := range map[string]struct {
		spoil func(*Delivery)
		want  error
	}{
		"as sent":          {func(*Delivery) {}, nil},
		"trailing newline": {func(d *Delivery) { d.Body = append(d.Body, '\n') }, errBadSignature},
		"no prefix":        {func(d *Delivery) { d.Header.Set("X-Signature", d.Header.Get("X-Signature")[7:]) }, errBadSignature},
		"prefix alone":     {func(d *Delivery) { d.Header.Set("X-Signature", "sha256=") }, errBadSignature},
		"no signature":     {func(d *Delivery) { d.Header.Del("X-Signature") }, errNoSignature},
		"signature twice":  {func(d *Delivery) { d.Header.Add("X-Signature", d.Header.Get("X-Signature")) }, errNoSignature},
		"no time":          {func(d *Delivery) { d.Header.Del("X-Timestamp") }, errNoTimestamp},
		"time twice":       {func(d *Delivery) { d.Header.Add("X-Timestamp", d.Header.Get("X-Timestamp")) }, errNoTimestamp},
		"time in words":    {func(d *Delivery) { d.Header.Set("X-Timestamp", "now") }, errNoTimestamp},
		"another time":     {func(d *Delivery) { d.Header.Set("X-Timestamp", "1") }, errBadSignature},
		"too old":          {func(d *Delivery) { d.Received = noon.Add(6 * time.Minute) }, errStale},
		"too new":          {func(d *Delivery) { d.Received = noon.Add(-6 * time.Minute) }, errStale},
	} {
		d := attempt(t, spec, body, noon)
		c.spoil(&d)
		if _, err := v.Verify(d); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	other := siemSpec()
	other.Verify.HMAC.Signed = []string{"body", ".", "timestamp"}
	if _, err := verifier(t, other).Verify(attempt(t, spec, body, noon)); !errors.Is(err, errBadSignature) {
		t.Errorf("parts in another order: %v", err)
	}
}

func TestSignedHeaders(t *testing.T) {
	spec := hmacSpec(HMACSpec{Signed: []string{"header:Ce-Type", "\n", "body"}})
	req := httptest.NewRequest(http.MethodPost, "/", nil)
	req.Header.Set("Ce-Type", "a")
	if err := Sign(spec, req, []byte("b"), "", noon); err != nil {
		t.Fatal(err)
	}
	v, d := verifier(t, spec), Delivery{Received: noon, Method: "POST", Header: req.Header, Body: []byte("b")}
	if got, err := v.Verify(d); err != nil || !got.covers("ce-type") || got.covers("ce-id") {
		t.Errorf("%+v %v", got, err)
	}
	d.Header.Set("Ce-Type", "c")
	if _, err := v.Verify(d); !errors.Is(err, errBadSignature) {
		t.Error(err)
	}
	d.Header["Ce-Type"] = []string{"a", "a"}
	if _, err := v.Verify(d); !errors.Is(err, errNoPart) {
		t.Error(err)
	}
}

func TestNewSourceGivesAllFaultsAtOnce(t *testing.T) {
	short := []secret.Value{secret.New("short-secret")}
	for name, c := range map[string]struct {
		spec SourceSpec
		want []string
	}{
		"nothing": {SourceSpec{}, []string{"name", "dedup_scope", "preset", "verify"}},
		"both verifiers": {SourceSpec{Name: "a", Preset: "cloudevents", Verify: VerifySpec{HMAC: &HMACSpec{}, StandardWebhooks: &StandardWebhooksSpec{}}},
			[]string{"verify"}},
		"standard webhooks": {SourceSpec{Name: "A", DedupScope: "x y", Preset: "okta", Verify: VerifySpec{StandardWebhooks: &StandardWebhooksSpec{
			Tolerance: -1, Secrets: []secret.Value{secret.New("whsec_*"), secret.New("whsec_c2hvcnQ=")}}}},
			[]string{"name", "dedup_scope", "preset", "verify.standard_webhooks.secrets[0]", "verify.standard_webhooks.secrets[1]", "verify.standard_webhooks.tolerance"}},
		"no secrets": {SourceSpec{Name: "a", Preset: "cloudevents", Verify: VerifySpec{StandardWebhooks: &StandardWebhooksSpec{}}},
			[]string{"verify.standard_webhooks.secrets"}},
		"hmac": {SourceSpec{Name: "a", Preset: "cloudevents", Verify: VerifySpec{HMAC: &HMACSpec{
			Algorithm: "md5", Encoding: "base85", Timestamp: TimestampSpec{Header: "T", Tolerance: -1}, Signed: []string{"header:x", "header:", "body", "body"}, Secrets: short}}},
			[]string{"verify.hmac.alg", "verify.hmac.encoding", "verify.hmac.signature.header", "verify.hmac.timestamp.tolerance", "verify.hmac.signed",
				"verify.hmac.signed", "verify.hmac.signed[0]", "verify.hmac.signed[1]", "verify.hmac.secrets[0]"}},
		"timestamp from nowhere": {SourceSpec{Name: "a", Preset: "cloudevents", Verify: VerifySpec{HMAC: &HMACSpec{Signature: SignatureSpec{Header: "S"}, Signed: []string{"timestamp", "body"}}}},
			[]string{"verify.hmac.signed", "verify.hmac.secrets"}},
	} {
		_, err := NewSource(c.spec)
		var faults SpecFaults
		if !errors.As(err, &faults) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, f := range faults {
			got = append(got, f.Path)
		}
		if strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("%s:\n got %v\nwant %v", name, got, c.want)
		}
		if strings.Contains(err.Error(), "short-secret") {
			t.Errorf("%s: quotes a secret: %v", name, err)
		}
	}
}

func TestSignRefusesABadSpec(t *testing.T) {
	req := httptest.NewRequest(http.MethodPost, "/", nil)
	if err := Sign(SourceSpec{Name: "a"}, req, nil, "id", noon); err == nil {
		t.Error("signed")
	}
}

func TestSignTakesAnyID(t *testing.T) {
	for _, id := range []string{"", "a.b", strings.Repeat("x", 999)} {
		req := httptest.NewRequest(http.MethodPost, "/", nil)
		if err := Sign(hrSpec(), req, []byte("{}"), id, noon); err != nil {
			t.Fatal(err)
		}
		d := Delivery{Received: noon, Method: "POST", Header: req.Header, Body: []byte("{}")}
		if _, err := verifier(t, hrSpec()).Verify(d); err != nil {
			t.Errorf("%.10q: %v", id, err)
		}
	}
}

func FuzzStandardWebhooks(f *testing.F) {
	good := attempt(f, hrSpec(), "{}", noon)
	f.Add("msg-1", good.Header.Get("webhook-timestamp"), good.Header.Get("webhook-signature"), []byte("{}"))
	f.Add("", "-1", "v1,", []byte{})
	f.Add("a.b", "999999999999", "v1a,x v1,y", []byte("."))
	v := verifier(f, hrSpec())
	ref, err := standardwebhooks.NewWebhook(sampleSecret)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id, stamp, sig string, body []byte) {
		h := http.Header{}
		h.Set("webhook-id", id)
		h.Set("webhook-timestamp", stamp)
		h.Set("webhook-signature", sig)
		if _, err := v.Verify(Delivery{Received: noon, Method: "POST", Header: h, Body: body}); err != nil {
			return
		}
		if err := ref.VerifyIgnoringTimestamp(body, h); err != nil {
			t.Fatalf("taken, though the reference library says %v", err)
		}
	})
}

func FuzzHMAC(f *testing.F) {
	good := attempt(f, siemSpec(), "{}", noon)
	f.Add(good.Header.Get("X-Timestamp"), good.Header.Get("X-Signature"), []byte("{}"))
	f.Add("", "sha256=", []byte{})
	v := verifier(f, siemSpec())
	f.Fuzz(func(t *testing.T, stamp, sig string, body []byte) {
		h := http.Header{}
		h.Set("X-Timestamp", stamp)
		h.Set("X-Signature", sig)
		if _, err := v.Verify(Delivery{Received: noon, Method: "POST", Header: h, Body: body}); err != nil {
			return
		}
		again := http.Header{}
		req := &http.Request{Method: "POST", Header: again}
		at, _ := seconds(stamp)
		if err := Sign(siemSpec(), req, body, "", at); err != nil || !strings.EqualFold(again.Get("X-Signature"), sig) {
			t.Fatalf("taken, though the signature is %s", again.Get("X-Signature"))
		}
	})
}
