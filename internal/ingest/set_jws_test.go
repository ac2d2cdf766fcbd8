package ingest

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"keyturn/internal/config"
)

const (
	sampleIssuer   = "https://idp.acme.example"
	sampleAudience = "https://keyturn.acme.example"
	revoked        = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
)

// token signs claims as an issuer does; typ "" leaves the header out.
func token(t testing.TB, alg, id, typ string, key crypto.Signer, claims any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	if typ != "" {
		options = options.WithType(jose.ContentType(typ))
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: jose.JSONWebKey{Key: key, KeyID: id}}, options)
	if err != nil {
		t.Fatal(err)
	}
	b, ok := claims.([]byte)
	if !ok {
		if b, err = json.Marshal(claims); err != nil {
			t.Fatal(err)
		}
	}
	jws, err := s.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// setClaims are those of a good token; changes replace, and nil takes away.
func setClaims(changes map[string]any) map[string]any {
	claims := map[string]any{
		"iss": sampleIssuer, "aud": sampleAudience, "jti": "set-1", "iat": noon.Unix(), "txn": "t-1",
		"sub_id": map[string]any{"format": "email", "email": "maria@acme.example"},
		"events": map[string]any{revoked: map[string]any{"event_timestamp": noon.Unix()}},
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// keyFile is an issuer's keys: one per algorithm, whose name is its id.
func keyFile(t testing.TB) string {
	t.Helper()
	var keys []string
	for alg, name := range signerOf() {
		keys = append(keys, jwk(t, alg, alg, signers()[name]))
	}
	keys = append(keys, jwk(t, "unnamed", "", signers()["rsa"]))
	name := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(name, []byte(jwkSet(keys...)), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// signerOf names the key of each algorithm.
func signerOf() map[string]string {
	return map[string]string{
		"RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "PS256": "rsa", "PS384": "rsa", "PS512": "rsa",
		"ES256": "p256", "ES384": "p384", "ES512": "p521", "EdDSA": "ed25519",
	}
}

func setSpec(t testing.TB) SourceSpec {
	t.Helper()
	s := config.SetJWS{Issuer: sampleIssuer, Audience: []string{"https://other.acme.example", sampleAudience}, JWKS: keyFile(t)}
	for alg := range signerOf() {
		s.Algs = append(s.Algs, alg)
	}
	return SourceSpec{Name: "idp", Preset: "cloudevents", Verify: VerifySpec{SetJWS: &s}}
}

func setDelivery(body string) Delivery {
	return Delivery{Received: noon, Method: "POST", Body: []byte(body)}
}

func TestSETsOfEveryAlgorithm(t *testing.T) {
	v := verifier(t, setSpec(t))
	for alg, name := range signerOf() {
		good := token(t, alg, alg, "secevent+jwt", signers()[name], setClaims(nil))
		got, err := v.Verify(setDelivery(good))
		if err != nil || got.Issuer != sampleIssuer || len(got.Claims) == 0 || string(got.Body) != string(got.Claims) || !got.Settled() {
			t.Errorf("%s: %+v %v", alg, got, err)
		}
		head, rest, _ := strings.Cut(good, ".")
		claims, sig, _ := strings.Cut(rest, ".")
		other := setClaims(map[string]any{"jti": "set-2"})
		b, err := json.Marshal(other)
		if err != nil {
			t.Fatal(err)
		}
		for what, spoiled := range map[string]string{
			"other claims":     head + "." + base64.RawURLEncoding.EncodeToString(b) + "." + sig,
			"trailing newline": good + "\n",
			"no signature":     head + "." + claims + ".",
			"two parts":        head + "." + claims,
			"four parts":       good + "." + sig,
			"other signature":  head + "." + claims + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
			"another key":      token(t, "RS256", "RS256", "secevent+jwt", signers()["other"], setClaims(nil)),
			"no such key":      token(t, "RS256", "RS257", "secevent+jwt", signers()["rsa"], setClaims(nil)),
			"key of another":   token(t, alg, map[bool]string{true: "ES256", false: "EdDSA"}[alg != "ES256"], "secevent+jwt", signers()[name], setClaims(nil)),
		} {
			if _, err := v.Verify(setDelivery(spoiled)); err == nil && (what != "key of another" || alg == "EdDSA") {
				t.Errorf("%s: %s is believed", alg, what)
			}
		}
	}
	noID := token(t, "RS256", "", "secevent+jwt", signers()["rsa"], setClaims(nil))
	if _, err := v.Verify(setDelivery(noID)); err != nil {
		t.Errorf("a token that names no key: %v", err)
	}
}

// TestSETClaims holds the rules of RFC 8417 and SSF 1.0, and the codes of RFC 8935, section 2.4.
func TestSETClaims(t *testing.T) {
	spec := setSpec(t)
	s, err := NewSource(spec)
	if err != nil {
		t.Fatal(err)
	}
	unknown := map[string]any{"https://acme.example/events/new": map[string]any{}, revoked: map[string]any{}}
	for name, c := range map[string]struct {
		typ    string
		claims any
		code   string // "" = believed
	}{
		"as sent":              {"secevent+jwt", setClaims(nil), ""},
		"long type":            {"application/secevent+jwt", setClaims(nil), ""},
		"type in upper case":   {"SecEvent+JWT", setClaims(nil), ""},
		"no type":              {"", setClaims(nil), "invalid_request"},
		"an access token":      {"at+jwt", setClaims(nil), "invalid_request"},
		"another issuer":       {"secevent+jwt", setClaims(map[string]any{"iss": sampleIssuer + "/"}), "invalid_issuer"},
		"no issuer":            {"secevent+jwt", setClaims(map[string]any{"iss": nil}), "invalid_issuer"},
		"another audience":     {"secevent+jwt", setClaims(map[string]any{"aud": "https://keyturn.acme.example/"}), "invalid_audience"},
		"no audience":          {"secevent+jwt", setClaims(map[string]any{"aud": nil}), "invalid_audience"},
		"empty audience":       {"secevent+jwt", setClaims(map[string]any{"aud": []string{}}), "invalid_audience"},
		"several audiences":    {"secevent+jwt", setClaims(map[string]any{"aud": []string{"x", sampleAudience}}), ""},
		"audience of no kind":  {"secevent+jwt", setClaims(map[string]any{"aud": 7}), "invalid_request"},
		"no id":                {"secevent+jwt", setClaims(map[string]any{"jti": nil}), "invalid_request"},
		"no time":              {"secevent+jwt", setClaims(map[string]any{"iat": nil}), "invalid_request"},
		"time as text":         {"secevent+jwt", setClaims(map[string]any{"iat": "now"}), "invalid_request"},
		"in milliseconds":      {"secevent+jwt", setClaims(map[string]any{"iat": noon.UnixMilli()}), "invalid_request"},
		"of the future":        {"secevent+jwt", setClaims(map[string]any{"iat": noon.Add(time.Hour).Unix()}), "invalid_request"},
		"a clock ahead":        {"secevent+jwt", setClaims(map[string]any{"iat": noon.Add(time.Minute).Unix()}), ""},
		"a year late":          {"secevent+jwt", setClaims(map[string]any{"iat": noon.Add(-365 * 24 * time.Hour).Unix()}), ""},
		"with an expiry":       {"secevent+jwt", setClaims(map[string]any{"exp": noon.Add(time.Hour).Unix()}), "invalid_request"},
		"with a subject":       {"secevent+jwt", setClaims(map[string]any{"sub": "x"}), "invalid_request"},
		"no events":            {"secevent+jwt", setClaims(map[string]any{"events": nil}), "invalid_request"},
		"empty events":         {"secevent+jwt", setClaims(map[string]any{"events": map[string]any{}}), "invalid_request"},
		"events as a list":     {"secevent+jwt", setClaims(map[string]any{"events": []any{revoked}}), "invalid_request"},
		"several events":       {"secevent+jwt", setClaims(map[string]any{"events": unknown}), ""},
		"unknown claims":       {"secevent+jwt", setClaims(map[string]any{"x": map[string]any{"y": 1}}), ""},
		"a claim twice":        {"secevent+jwt", []byte(`{"iss":"x","iss":"` + sampleIssuer + `","aud":"` + sampleAudience + `","jti":"1","iat":1,"events":{"a":{}}}`), "invalid_request"},
		"claims in upper case": {"secevent+jwt", []byte(`{"ISS":"` + sampleIssuer + `","aud":"` + sampleAudience + `","jti":"1","iat":1,"events":{"a":{}}}`), "invalid_issuer"},
		"no claims":            {"secevent+jwt", []byte(`[]`), "invalid_request"},
		"no JSON":              {"secevent+jwt", []byte(`<x/>`), "invalid_request"},
	} {
		_, err := s.verifier.Verify(setDelivery(token(t, "ES256", "ES256", c.typ, signers()["p256"], c.claims)))
		var code string
		if err != nil {
			a := s.refusal(err)
			code = a.body.(*SETError).Code
			if a.status != 400 || a.header["Content-Language"] != "en" {
				t.Errorf("%s: answer %+v", name, a)
			}
		}
		if code != c.code {
			t.Errorf("%s: %q (%v), want %q", name, code, err, c.code)
		}
	}
	lenient := setSpec(t)
	lenient.Verify.SetJWS.Typ, lenient.Verify.SetJWS.Exp = "none", "ignore"
	v := verifier(t, lenient)
	old := setClaims(map[string]any{"exp": noon.Add(-time.Hour).Unix(), "sub": "x"})
	for _, typ := range []string{"", "JWT", "secevent+jwt"} {
		if _, err := v.Verify(setDelivery(token(t, "ES256", "ES256", typ, signers()["p256"], old))); err != nil {
			t.Errorf("an older sender with type %q: %v", typ, err)
		}
	}
}

// TestTokensThatMustBeRefused has the forms of the samples of RFC 8935 (figure 1: HMAC, and a header that ends in a line
// feed) and RFC 8936 (figure 6: not signed at all), and what attackers try.
func TestTokensThatMustBeRefused(t *testing.T) {
	v := verifier(t, setSpec(t))
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	b, err := json.Marshal(setClaims(nil))
	if err != nil {
		t.Fatal(err)
	}
	claims := part(string(b))
	mac := base64.RawURLEncoding.EncodeToString(oracle("sha256", sampleText, "x"))
	embedded := func() string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: signers()["p256"]}, (&jose.SignerOptions{EmbedJWK: true}).WithType("secevent+jwt"))
		if err != nil {
			t.Fatal(err)
		}
		jws, err := s.Sign(b)
		if err != nil {
			t.Fatal(err)
		}
		return jws.FullSerialize()
	}
	for name, text := range map[string]string{
		"HMAC, header with a line feed": part("{\"typ\":\"secevent+jwt\",\"alg\":\"HS256\"}\n") + "." + claims + "." + mac,
		"HMAC":                          part(`{"typ":"secevent+jwt","alg":"HS256","kid":"RS256"}`) + "." + claims + "." + mac,
		"not signed":                    part(`{"typ":"secevent+jwt","alg":"none"}`) + "." + claims + ".",
		"not signed, in upper case":     part(`{"typ":"secevent+jwt","alg":"NONE"}`) + "." + claims + "." + mac,
		"no algorithm":                  part(`{"typ":"secevent+jwt"}`) + "." + claims + "." + mac,
		"critical header":               part(`{"alg":"ES256","kid":"ES256","crit":["x"],"x":1}`) + "." + claims + "." + mac,
		"serialised in full":            embedded(),
		"encrypted":                     "a.b.c.d.e",
		"nothing":                       "",
		"JSON":                          string(b),
		"dots":                          "..",
		"padded":                        part(`{"alg":"ES256"}`) + "=." + claims + "." + mac,
	} {
		if _, err := v.Verify(setDelivery(text)); !errors.Is(err, errMalformed) && !errors.Is(err, errBadSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	only := setSpec(t)
	only.Verify.SetJWS.Algs = nil // RS256
	if _, err := verifier(t, only).Verify(setDelivery(token(t, "ES256", "ES256", "secevent+jwt", signers()["p256"], setClaims(nil)))); !errors.Is(err, errMalformed) {
		t.Errorf("an algorithm that is not listed: %v", err)
	}
}

func TestSSFVerification(t *testing.T) {
	for text, want := range map[string]bool{
		`{"events":{"https://schemas.openid.net/secevent/ssf/event-type/verification":{"state":"s"}}}`:                      true,
		`{"events":{"https://schemas.openid.net/secevent/risc/event-type/verification":{"state":"s"}}}`:                     true,
		`{"events":{"https://schemas.openid.net/secevent/ssf/event-type/verification":{"state":"s"},"` + revoked + `":{}}}`: false,
		`{"events":{"` + revoked + `":{}}}`: false, `{}`: false, `x`: false,
	} {
		if state, ok := ssfVerification([]byte(text)); ok != want || ok && state != "s" {
			t.Errorf("%s: %q %v", text, state, ok)
		}
	}
}

// TestSSFState: a verification event that answers another request than the operator's is refused as SSF wants it; one that
// answers none is the transmitter's own.
func TestSSFState(t *testing.T) {
	for _, c := range []struct {
		asked, state string
		status       int
	}{{"", "any", http.StatusAccepted}, {"mine", "mine", http.StatusAccepted}, {"mine", "", http.StatusAccepted}, {"mine", "other", http.StatusBadRequest}} {
		spec := pulled(t, "https://idp.example/poll")
		spec.Handshakes[0].SSFState = c.asked
		f := open(t, Options{}, spec)
		event := map[string]any{}
		if c.state != "" {
			event["state"] = c.state
		}
		d := setDelivery(token(t, "ES256", "ES256", "secevent+jwt", signers()["p256"], setClaims(map[string]any{"events": map[string]any{ssfVerificationEvent: event}})))
		req := httptest.NewRequest(http.MethodPost, pathPrefix+spec.Name, bytes.NewReader(d.Body))
		req.Header = d.Header
		w := httptest.NewRecorder()
		f.handle.ServeHTTP(w, req)
		if refused := strings.Contains(w.Body.String(), `"err":"invalid_state"`); w.Code != c.status || refused != (c.status == http.StatusBadRequest) {
			t.Errorf("asked %q, got %q: %d %s", c.asked, c.state, w.Code, w.Body)
		}
	}
}

func TestOIDCBearer(t *testing.T) {
	spec := SourceSpec{Name: "a", Preset: "cloudevents", Verify: VerifySpec{OIDCBearer: &config.OIDCBearer{
		Issuer: sampleIssuer, Audience: []string{sampleAudience}, JWKS: keyFile(t), Algs: []string{"ES256"}, Claims: map[string]string{"azp": "siem"},
	}}}
	v := verifier(t, spec)
	base := func(changes map[string]any) map[string]any {
		claims := map[string]any{"iss": sampleIssuer, "aud": []string{sampleAudience}, "exp": noon.Add(time.Hour).Unix(), "azp": "siem", "sub": "s"}
		maps.Copy(claims, changes)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		return claims
	}
	for name, c := range map[string]struct {
		typ    string
		claims map[string]any
		word   string
		want   error
	}{
		"as sent":          {"JWT", base(nil), "Bearer ", nil},
		"word in any case": {"at+jwt", base(nil), "bearer ", nil},
		"no word":          {"JWT", base(nil), "", errNoToken},
		"another word":     {"JWT", base(nil), "Basic ", errNoToken},
		"a SET":            {"secevent+jwt", base(nil), "Bearer ", errMalformed},
		"expired":          {"JWT", base(map[string]any{"exp": noon.Add(-time.Hour).Unix()}), "Bearer ", errTime},
		"never expires":    {"JWT", base(map[string]any{"exp": nil}), "Bearer ", errTime},
		"not yet":          {"JWT", base(map[string]any{"nbf": noon.Add(time.Hour).Unix()}), "Bearer ", errTime},
		"of the future":    {"JWT", base(map[string]any{"iat": noon.Add(time.Hour).Unix()}), "Bearer ", errTime},
		"another client":   {"JWT", base(map[string]any{"azp": "other"}), "Bearer ", errClaims},
		"no client":        {"JWT", base(map[string]any{"azp": nil}), "Bearer ", errClaims},
		"client as list":   {"JWT", base(map[string]any{"azp": []string{"siem"}}), "Bearer ", errClaims},
		"another issuer":   {"JWT", base(map[string]any{"iss": "x"}), "Bearer ", errIssuer},
		"for another":      {"JWT", base(map[string]any{"aud": "x"}), "Bearer ", errAudience},
	} {
		d := setDelivery("{}")
		d.Header = map[string][]string{"Authorization": {c.word + token(t, "ES256", "ES256", c.typ, signers()["p256"], c.claims)}}
		got, err := v.Verify(d)
		if !errors.Is(err, c.want) || err == nil && (got.Issuer != sampleIssuer || got.Body != nil || !got.covers("x-any")) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		if glance := v.Glance(d); (glance == nil) == errors.Is(c.want, errNoToken) {
			t.Errorf("%s: glance %v", name, glance)
		}
	}
}

// TestSETAnswers: a transmitter that pushes is answered as RFC 8935, sections 2.2 to 2.4, say.
func TestSETAnswers(t *testing.T) {
	f := open(t, Options{Now: func() time.Time { return noon }}, setSpec(t))
	post := func(body string) reply {
		t.Helper()
		req := f.plain("idp", body)
		req.Header.Set("Content-Type", "application/secevent+jwt")
		return f.do(req)
	}
	for code, body := range map[string]string{
		"invalid_key":           token(t, "RS256", "none", "secevent+jwt", signers()["rsa"], setClaims(nil)),
		"authentication_failed": token(t, "RS256", "RS256", "secevent+jwt", signers()["other"], setClaims(nil)),
		"invalid_issuer":        token(t, "RS256", "RS256", "secevent+jwt", signers()["rsa"], setClaims(map[string]any{"iss": "x"})),
		"invalid_audience":      token(t, "RS256", "RS256", "secevent+jwt", signers()["rsa"], setClaims(map[string]any{"aud": "x"})),
		"invalid_request":       "no token",
	} {
		got := post(body)
		var said SETError
		if err := json.Unmarshal([]byte(got.body), &said); err != nil {
			t.Fatal(err)
		}
		if got.status != 400 || got.header.Get("Content-Language") != "en" || got.header.Get("Content-Type") != "application/json" || said.Code != code || said.Description == "" {
			t.Errorf("%s: %d %v %s", code, got.status, got.header, got.body)
		}
		if strings.Contains(fmt.Sprint(got.body, f.logs), "acme.example") {
			t.Errorf("%s: says too much: %s", code, got.body)
		}
	}
	away := setSpec(t)
	away.Verify.SetJWS.JWKS = filepath.Join(t.TempDir(), "nothing")
	g := open(t, Options{Now: func() time.Time { return noon }}, away)
	req := g.plain("idp", token(t, "RS256", "RS256", "secevent+jwt", signers()["rsa"], setClaims(nil)))
	if got := g.do(req.WithContext(context.Background())); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("no keys: %d %v", got.status, got.header)
	}
}
