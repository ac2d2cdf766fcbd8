package ingest

import (
	"crypto"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"keyturn/internal/config"
)

// fuzzed makes a delivery of what a fuzzer gives: lines of headers, a target, a body.
func fuzzed(headers, target string, body []byte) (Delivery, bool) {
	u, err := url.ParseRequestURI("/" + target)
	if err != nil {
		return Delivery{}, false
	}
	d := Delivery{Received: noon, Method: http.MethodPost, URL: u, Header: http.Header{}, Body: body, Remote: "192.0.2.1:1"}
	for line := range strings.SplitSeq(headers, "\n") {
		name, value, _ := strings.Cut(line, ":")
		d.Header.Add(name, value)
	}
	return d, true
}

// fuzzVerifier feeds anything to a verifier. Nobody but the sender can sign, so that what is believed must be what was
// signed: for a verifier without a usable key nothing is ever believed, and for the real one only the seed.
func fuzzVerifier(f *testing.F, spec SourceSpec, good Delivery) {
	v := verifier(f, spec)
	if _, err := v.Verify(good); err != nil {
		f.Fatalf("the seed: %v", err)
	}
	var lines []string
	for name, values := range good.Header {
		for _, value := range values {
			lines = append(lines, name+":"+value)
		}
	}
	f.Add(strings.Join(lines, "\n"), strings.TrimPrefix(good.URL.RequestURI(), "/"), []byte(good.Body))
	f.Add("", "", []byte(nil))
	f.Fuzz(func(t *testing.T, headers, target string, body []byte) {
		d, ok := fuzzed(headers, target, body)
		if !ok {
			return
		}
		glance := v.Glance(d)
		got, err := v.Verify(d)
		switch {
		case err == nil && glance != nil:
			t.Errorf("believed after a glance that refused: %v", glance)
		case err == nil && string(d.Body) != string(good.Body) && !got.Whole:
			t.Errorf("believed: %q", d.Body)
		case err != nil && (got.Body != nil || got.Claims != nil || got.Pending != nil):
			t.Errorf("refused, and yet %+v", got)
		}
	})
}

func FuzzStandardWebhooksV1a(f *testing.F) {
	spec := hrSpec()
	public, _ := ed25519Key(1)
	spec.Verify.StandardWebhooks.PublicKeys = []string{hex.EncodeToString(public)}
	fuzzVerifier(f, spec, attempt(f, spec, `{"a":1}`, noon))
}

func FuzzSignedParts(f *testing.F) {
	spec := hmacSpec(HMACSpec{
		Signature: SignatureSpec{Split: ",", Pair: "=", Versions: []string{"v1"}}, Timestamp: TimestampSpec{Field: "t"}, Encoding: "base64url",
		Signed: []string{"method", "\n", "url", "\n", "header:X-One", "\n", "field:n", "\n", "timestamp", "body"},
	})
	const body = `{"a":1}`
	h := http.Header{}
	h.Set("X-One", "one")
	stamp := stampOf("s", noon)
	h.Set("X-Signature", "t="+stamp+",n=7,v1="+spellings("base64url", oracle("sha256", sampleText, "POST\n/hooks/siem?a=1\none\n7\n"+stamp+body))[0])
	u := &url.URL{Path: "/hooks/siem", RawQuery: "a=1"}
	fuzzVerifier(f, spec, Delivery{Received: noon, Method: http.MethodPost, URL: u, Header: h, Body: []byte(body)})
}

func FuzzTokens(f *testing.F) {
	specs := tokenSpecs()
	var list []VerifySpec
	for _, name := range []string{"header", "bearer", "query", "segment", "basic"} {
		list = append(list, specs[name])
	}
	good := ask(f, "Bearer "+canaryOne, "/hooks/siem")
	fuzzVerifier(f, tokenSource(VerifySpec{AnyOf: list}), good)
}

func FuzzAddress(f *testing.F) {
	spec := tokenSource(VerifySpec{AllOf: []VerifySpec{siemSpec().Verify, {IP: &config.IP{CIDRs: []string{"198.51.100.0/24"}, TrustedProxies: []string{"192.0.2.0/24"}}}}})
	good := attempt(f, siemSpec(), `{"a":1}`, noon)
	good.Header.Set("X-Forwarded-For", "203.0.113.9, 198.51.100.7")
	good.Remote = "192.0.2.1:1"
	fuzzVerifier(f, spec, good)
}

func FuzzSET(f *testing.F) {
	good := setDelivery(token(f, "ES256", "ES256", "secevent+jwt", signers()["p256"], setClaims(nil)))
	good.URL = &url.URL{Path: "/hooks/idp"}
	fuzzVerifier(f, setSpec(f), good)
}

func FuzzOIDCBearer(f *testing.F) {
	spec := SourceSpec{Name: "a", Preset: "cloudevents", Verify: VerifySpec{OIDCBearer: &config.OIDCBearer{
		Issuer: sampleIssuer, Audience: []string{sampleAudience}, JWKS: keyFile(f), Algs: []string{"ES256"}}}}
	claims := map[string]any{"iss": sampleIssuer, "aud": sampleAudience, "exp": noon.Add(time.Hour).Unix()}
	good := ask(f, "Bearer "+token(f, "ES256", "ES256", "JWT", signers()["p256"], claims), "/hooks/a")
	fuzzVerifier(f, spec, good)
}

func FuzzEd25519(f *testing.F) {
	public, private := ed25519Key(1)
	spec := SourceSpec{Name: "a", Preset: "cloudevents", Verify: VerifySpec{Ed25519: &config.Ed25519{
		Signature: SignatureSpec{Header: "X-Signature", Split: " "}, Timestamp: TimestampSpec{Header: "X-Time", Unit: "rfc3339"}, PublicKeys: []string{hex.EncodeToString(public)}}}}
	stamp := stampOf("rfc3339", noon)
	sig, err := private.Sign(nil, []byte(stamp+"."+`{"a":1}`), crypto.Hash(0))
	if err != nil {
		f.Fatal(err)
	}
	d := ask(f, "", "/hooks/a")
	d.Body = []byte(`{"a":1}`)
	d.Header.Set("X-Time", stamp)
	d.Header.Set("X-Signature", spellings("base64", sig)[0])
	fuzzVerifier(f, spec, d)
}

// FuzzSANs: a pattern without a star fits itself alone, and what a star stands for is within one part of a name.
func FuzzSANs(f *testing.F) {
	f.Add("dns:*.acme.example", "a")
	f.Add("uri:spiffe://acme.example/*/x*", "b/c")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !strings.Contains(pattern, "*") {
			if pattern = strings.ToLower(pattern); !fits(pattern, pattern) || fits(pattern, pattern+"x") {
				t.Errorf("%q", pattern)
			}
			return
		}
		name := strings.ReplaceAll(strings.ToLower(pattern), "*", text)
		if text != "" && !strings.ContainsAny(text, "./@") && strings.ToLower(text) == text && !fits(strings.ToLower(pattern), name) {
			t.Errorf("%q does not fit %q", pattern, name)
		}
		if before, after, _ := strings.Cut(pattern, "*"); !strings.Contains(after, "*") && fits(pattern, before+"x.y"+after) && !strings.HasPrefix(pattern, "dns:") {
			t.Errorf("%q fits over a dot", pattern)
		}
	})
}

// FuzzKeys: no document of an issuer may make the reader panic, and what it keeps can verify.
func FuzzKeys(f *testing.F) {
	f.Add([]byte(jwkSet(jwk(f, "a", "ES256", signers()["p256"]), jwk(f, "b", "", signers()["rsa"]))), "max-age=600")
	f.Fuzz(func(t *testing.T, b []byte, cacheControl string) {
		if d := freshness(cacheControl); d < freshAtLeast || d > freshAtMost {
			t.Errorf("fresh for %s", d)
		}
		keys, err := parseKeys(b)
		if (err == nil) != (len(keys) > 0) || len(keys) > maxKeys {
			t.Errorf("%d keys, %v", len(keys), err)
		}
		for _, k := range keys {
			if !k.IsPublic() {
				t.Error("keeps a private key")
			}
		}
	})
}
