package ingest

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/secret"
)

// oracle signs without any code of the product.
func oracle(alg, key, message string) []byte {
	h := hmac.New(map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}[alg], []byte(key))
	h.Write([]byte(message))
	return h.Sum(nil)
}

// spellings are how a signature may be written.
func spellings(encoding string, sig []byte) []string {
	switch encoding {
	case "hex":
		return []string{hex.EncodeToString(sig), strings.ToUpper(hex.EncodeToString(sig))}
	case "base64":
		return []string{base64.StdEncoding.EncodeToString(sig), base64.RawStdEncoding.EncodeToString(sig)}
	}
	return []string{base64.URLEncoding.EncodeToString(sig), base64.RawURLEncoding.EncodeToString(sig)}
}

// headerForm is one way to write signature and timestamp.
type headerForm struct {
	name  string
	sig   SignatureSpec
	stamp TimestampSpec
	write func(sig, stamp string) string // of the signature header
}

func headerForms() []headerForm {
	plain := func(sig, _ string) string { return sig }
	return []headerForm{
		{"alone", SignatureSpec{}, TimestampSpec{}, plain},
		{"prefix", SignatureSpec{Prefix: "sha256="}, TimestampSpec{}, func(sig, _ string) string { return "sha256=" + sig }},
		{"list with commas", SignatureSpec{Split: ","}, TimestampSpec{}, func(sig, _ string) string { return "AAAA," + sig + ",BBBB" }},
		{"list with commas and spaces", SignatureSpec{Split: ","}, TimestampSpec{}, func(sig, _ string) string { return "AAAA, " + sig }},
		{"list with spaces", SignatureSpec{Split: " "}, TimestampSpec{}, func(sig, _ string) string { return "AAAA " + sig }},
		{"list of prefixed", SignatureSpec{Split: ",", Prefix: "v1="}, TimestampSpec{}, func(sig, _ string) string { return "v0=" + sig + ",v1=" + sig }},
		{"pairs", SignatureSpec{Split: ",", Pair: "=", Versions: []string{"v1", "v2"}}, TimestampSpec{Field: "t"}, func(sig, stamp string) string { return "t=" + stamp + ",v0=AAAA,v2=" + sig }},
		{"pairs with commas", SignatureSpec{Split: " ", Pair: ",", Versions: []string{"v1"}}, TimestampSpec{Header: "X-Time"}, func(sig, _ string) string { return "v0,AAAA v1," + sig }},
		{"timestamp in a header", SignatureSpec{}, TimestampSpec{Header: "X-Time"}, plain},
		{"milliseconds", SignatureSpec{}, TimestampSpec{Header: "X-Time", Unit: "ms"}, plain},
		{"a date", SignatureSpec{}, TimestampSpec{Header: "X-Time", Unit: "rfc3339"}, plain},
	}
}

func stampOf(unit string, t time.Time) string {
	switch unit {
	case "ms":
		return strconv.FormatInt(t.UnixMilli(), 10)
	case "rfc3339":
		return t.Format(time.RFC3339)
	}
	return strconv.FormatInt(t.Unix(), 10)
}

// TestEveryHMACForm signs in every algorithm, encoding and form, and wants nothing but exactly that to be believed.
func TestEveryHMACForm(t *testing.T) {
	const body, other = `{"a":"1"}`, "another-text-of-acme-example"
	for _, alg := range []string{"sha1", "sha256", "sha384", "sha512"} {
		for _, encoding := range []string{"hex", "base64", "base64url"} {
			for _, form := range headerForms() {
				form.sig.Header = "X-Signature"
				stamp := stampOf(form.stamp.Unit, noon)
				signed, message := []string(nil), body // the default
				if form.stamp.Sent() {
					signed, message = []string{"body", "timestamp"}, body+stamp
				}
				v := verifier(t, hmacSpec(HMACSpec{Algorithm: alg, Encoding: encoding, Signature: form.sig, Timestamp: form.stamp, Signed: signed,
					Secrets: []secret.Value{secret.New(other), secret.New(sampleText)}}))
				delivery := func(sig, stamp, body string, at time.Time) Delivery {
					h := http.Header{}
					h.Set("X-Signature", form.write(sig, stamp))
					if form.stamp.Header != "" {
						h.Set("X-Time", stamp)
					}
					return Delivery{Received: at, Method: "POST", Header: h, Body: []byte(body)}
				}
				name := fmt.Sprint(alg, " ", encoding, " ", form.name)
				good := oracle(alg, sampleText, message)
				for _, sig := range spellings(encoding, good) {
					if got, err := v.Verify(delivery(sig, stamp, body, noon)); err != nil || got.Key != 1 {
						t.Errorf("%s: %q: key %d, %v", name, sig, got.Key, err)
					}
				}
				sig := spellings(encoding, good)[0]
				for what, d := range map[string]Delivery{
					"trailing newline": delivery(sig, stamp, body+"\n", noon),
					"encoded anew":     delivery(sig, stamp, `{"a": "1"}`, noon),
					"no body":          delivery(sig, stamp, "", noon),
					"other order":      delivery(spellings(encoding, oracle(alg, sampleText, stamp+body))[0], stamp, body, noon),
					"another secret":   delivery(spellings(encoding, oracle(alg, sampleText+"x", message))[0], stamp, body, noon),
					"cut short":        delivery(sig[:len(sig)-4], stamp, body, noon),
					"too long":         delivery(sig+"AAAA", stamp, body, noon),
					"a byte more":      delivery(spellings(encoding, append(append([]byte{}, good...), 0))[0], stamp, body, noon),
					"padded twice":     delivery(sig+"==", stamp, body, noon),
					"nothing":          delivery("", stamp, body, noon),
				} {
					if _, err := v.Verify(d); err == nil && (what != "other order" || form.stamp.Sent()) {
						t.Errorf("%s: %s is believed", name, what)
					}
				}
				if !form.stamp.Sent() {
					continue
				}
				for _, age := range []time.Duration{-6 * time.Minute, 6 * time.Minute} {
					if _, err := v.Verify(delivery(sig, stamp, body, noon.Add(age))); !errors.Is(err, errStale) {
						t.Errorf("%s: at %s: %v", name, age, err)
					}
				}
				if _, err := v.Verify(delivery(sig, stampOf(form.stamp.Unit, noon.Add(time.Second)), body, noon)); !errors.Is(err, errBadSignature) {
					t.Errorf("%s: another time: %v", name, err)
				}
				for _, odd := range []string{"", "now", "-1", "1e9", "99999999999999999999", " " + stamp} {
					if _, err := v.Verify(delivery(sig, odd, body, noon)); err == nil {
						t.Errorf("%s: time %q is believed", name, odd)
					}
				}
			}
		}
	}
}

// TestSecretEncodings: the key may be written in text, base64 or hex.
func TestSecretEncodings(t *testing.T) {
	key := "0123456789abcdef\x00\xff"
	for encoding, text := range map[string]string{"text": key, "": key, "base64": base64.StdEncoding.EncodeToString([]byte(key)), "hex": hex.EncodeToString([]byte(key))} {
		v := verifier(t, hmacSpec(HMACSpec{SecretEncoding: encoding, Secrets: []secret.Value{secret.New(text)}}))
		h := http.Header{}
		h.Set("X-Signature", hex.EncodeToString(oracle("sha256", key, "b")))
		if _, err := v.Verify(Delivery{Header: h, Body: []byte("b")}); err != nil {
			t.Errorf("%q: %v", encoding, err)
		}
	}
}

// TestSignedParts covers the parts of a request besides its body.
func TestSignedParts(t *testing.T) {
	u, err := url.Parse("/hooks/siem?b=%2f&a=1")
	if err != nil {
		t.Fatal(err)
	}
	for want, signed := range map[string][]string{
		"POSTb":                    {"method", "body"},
		"POST /hooks/siem\nb":      {"method", " ", "path", "\n", "body"},
		"/hooks/siem?b=%2f&a=1\nb": {"url", "\n", "body"},
		"https://a.example\n/hooks/siem?b=%2f&a=1\nb": {"https://a.example\n", "url", "\n", "body"},
		"one\n\nb": {"header:X-One", "\n", "header:X-None", "\n", "body"},
		"7\nb":     {"field:n", "\n", "body"},
	} {
		spec := HMACSpec{Signed: signed, Signature: SignatureSpec{Header: "X-Signature", Split: ",", Pair: "=", Versions: []string{"s"}}}
		v := verifier(t, hmacSpec(spec))
		h := http.Header{}
		h.Set("X-One", "one")
		h.Set("X-Signature", "n=7,s="+hex.EncodeToString(oracle("sha256", sampleText, want)))
		d := Delivery{Method: "POST", URL: u, Header: h, Body: []byte("b")}
		if _, err := v.Verify(d); err != nil {
			t.Errorf("%q: %v", want, err)
		}
		h.Set("X-Signature", h.Get("X-Signature")+",n=8")
		if _, err := v.Verify(d); strings.HasPrefix(want, "7") && !errors.Is(err, errNoPart) {
			t.Errorf("a field twice: %v", err)
		}
	}
}

// TestSignCanBeVerified: what Sign does for a form, its verifier believes.
func TestSignCanBeVerified(t *testing.T) {
	for _, form := range headerForms() {
		form.sig.Header = "X-Signature"
		spec := hmacSpec(HMACSpec{Signature: form.sig, Timestamp: form.stamp, Encoding: "base64url"})
		if _, err := verifier(t, spec).Verify(attempt(t, spec, "body", noon)); err != nil {
			t.Errorf("%s: %v", form.name, err)
		}
	}
}

// TestEd25519 signs as a sender with a private key does.
func TestEd25519(t *testing.T) {
	public, private := ed25519Key(1)
	other, _ := ed25519Key(2)
	spec := SourceSpec{Name: "a", Preset: "cloudevents", Verify: VerifySpec{Ed25519: &config.Ed25519{
		Signature: SignatureSpec{Header: "X-Signature"}, Timestamp: TimestampSpec{Header: "X-Time"},
		PublicKeys: []string{"whpk_" + base64.StdEncoding.EncodeToString(other), hex.EncodeToString(public)},
	}}}
	v := verifier(t, spec)
	stamp := stampOf("s", noon)
	sig := ed25519.Sign(private, []byte(stamp+".body"))
	delivery := func(sig []byte, stamp, body string) Delivery {
		h := http.Header{}
		h.Set("X-Signature", base64.StdEncoding.EncodeToString(sig))
		h.Set("X-Time", stamp)
		return Delivery{Received: noon, Header: h, Body: []byte(body)}
	}
	if got, err := v.Verify(delivery(sig, stamp, "body")); err != nil || got.Key != 1 {
		t.Errorf("%+v %v", got, err)
	}
	for name, d := range map[string]Delivery{
		"body": delivery(sig, stamp, "body\n"), "order": delivery(ed25519.Sign(private, []byte("body."+stamp)), stamp, "body"),
		"short": delivery(sig[:63], stamp, "body"), "long": delivery(append(append([]byte{}, sig...), 0), stamp, "body"),
	} {
		if _, err := v.Verify(d); !errors.Is(err, errBadSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	old := delivery(sig, stamp, "body")
	old.Received = noon.Add(time.Hour)
	if _, err := v.Verify(old); !errors.Is(err, errStale) {
		t.Error(err)
	}
	if err := Sign(spec, &http.Request{Header: http.Header{}, URL: &url.URL{}}, nil, "", noon); err == nil {
		t.Error("signed without a private key")
	}
}

// ed25519Key is a key of the tests: the same for the same seed.
func ed25519Key(seed byte) (ed25519.PublicKey, ed25519.PrivateKey) {
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+seed)), ed25519.SeedSize)))
	return private.Public().(ed25519.PublicKey), private
}

// TestStandardWebhooksV1a: the asymmetric version, alone and beside the symmetric one.
func TestStandardWebhooksV1a(t *testing.T) {
	public, private := ed25519Key(1)
	spec := hrSpec()
	spec.Verify.StandardWebhooks.PublicKeys = []string{"whpk_" + base64.StdEncoding.EncodeToString(public)}
	both := verifier(t, spec)
	alone := hrSpec()
	alone.Verify.StandardWebhooks = &StandardWebhooksSpec{PublicKeys: spec.Verify.StandardWebhooks.PublicKeys}
	only := verifier(t, alone)
	const body = `{"a":1}`
	d := attempt(t, hrSpec(), body, noon)
	symmetric := d.Header.Get("webhook-signature")
	sign := func(text string) string {
		return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte(text)))
	}
	head := "msg-1." + d.Header.Get("webhook-timestamp") + "."
	good := sign(head + body)
	for name, c := range map[string]struct {
		signature  string
		both, only error
		key        int
	}{
		"asymmetric":       {good, nil, nil, 1},
		"both":             {symmetric + " " + good, nil, nil, 0},
		"symmetric":        {symmetric, nil, errBadSignature, 0},
		"second of two":    {sign("x") + " " + good, nil, nil, 1},
		"wrong order":      {sign(body + head), errBadSignature, errBadSignature, 0},
		"trailing newline": {sign(head + body + "\n"), errBadSignature, errBadSignature, 0},
		"encoded anew":     {sign(head + `{"a": 1}`), errBadSignature, errBadSignature, 0},
		"as v1":            {"v1," + good[4:], errBadSignature, errBadSignature, 0},
		"no padding":       {strings.TrimRight(good, "="), errBadSignature, errBadSignature, 0},
		"url alphabet":     {"v1a," + base64.URLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 64))), errBadSignature, errBadSignature, 0},
		"fifth of five":    {strings.Repeat(sign("x")+" ", 4) + good, errBadSignature, errBadSignature, 0},
	} {
		d.Header.Set("webhook-signature", c.signature)
		if got, err := both.Verify(d); !errors.Is(err, c.both) || err == nil && got.Key != c.key {
			t.Errorf("%s: both: %+v %v", name, got, err)
		}
		if _, err := only.Verify(d); !errors.Is(err, c.only) {
			t.Errorf("%s: public key alone: %v", name, err)
		}
	}
	d.Header.Set("webhook-signature", good)
	d.Received = noon.Add(6 * time.Minute)
	if _, err := both.Verify(d); !errors.Is(err, errStale) {
		t.Errorf("old: %v", err)
	}
}
