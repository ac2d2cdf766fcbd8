//go:build interop

package ingest

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/secret"
)

// node asks the senders' own libraries (tools/interop), which `make interop` installs.
func node(t *testing.T, kind string, asked map[string]any) map[string]any {
	t.Helper()
	asked = maps.Clone(asked)
	asked["kind"] = kind
	in, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "sign.mjs")
	cmd.Dir = filepath.Join("..", "..", "tools", "interop")
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v: run `make interop`, which installs what it needs\n%s", err, &stderr)
	}
	var answer map[string]any
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func text(t *testing.T, answer map[string]any, name string) string {
	t.Helper()
	s, ok := answer[name].(string)
	if !ok {
		t.Fatalf("no %s in the answer", name)
	}
	return s
}

// awkward are bodies that a library may treat in its own way.
func awkward(id string) []string {
	return []string{terminated(id, "m@acme.example"), strings.Replace(terminated(id, "m@acme.example"), `"data":{`, `"data":{"note":"Zoë 😀 \u2028 \\ \"",`, 1)}
}

func TestInteropStandardWebhooks(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	for _, body := range awkward("e1") {
		now := time.Now()
		signature := text(t, node(t, "standardWebhooks", map[string]any{"secret": sampleSecret, "id": "msg_1", "seconds": now.Unix(), "body": body}), "signature")
		req := f.plain("hr-relay", body)
		req.Header = http.Header{"Content-Type": {structured}, "Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)}, "Webhook-Signature": {signature}}
		if got := f.do(req); got.status != 202 {
			t.Errorf("%d %s", got.status, got.body)
		}
		bad := f.plain("hr-relay", body+" ")
		bad.Header = req.Header
		if got := f.do(bad); got.status != 401 {
			t.Errorf("spoiled: %d", got.status)
		}
		ours := attempt(t, hrSpec(), body, now)
		headers := map[string]string{}
		for name := range ours.Header {
			headers[strings.ToLower(name)] = ours.Header.Get(name)
		}
		if answer := node(t, "standardWebhooksVerify", map[string]any{"secret": sampleSecret, "headers": headers, "body": body}); answer["believed"] != true {
			t.Error("ours is not believed")
		}
	}
}

func TestInteropGitHub(t *testing.T) {
	spec := hmacSpec(HMACSpec{Signature: SignatureSpec{Header: "X-Hub-Signature-256", Prefix: "sha256="}})
	f := open(t, Options{}, spec)
	for _, body := range awkward("e1") {
		asked := map[string]any{"secret": sampleText, "body": body}
		req := f.plain("siem", body)
		req.Header = http.Header{"Content-Type": {structured}, "X-Hub-Signature-256": {text(t, node(t, "github", asked), "signature")}}
		if got := f.do(req); got.status != 202 {
			t.Errorf("%d %s", got.status, got.body)
		}
		asked["signature"] = attempt(t, spec, body, noon).Header.Get("X-Hub-Signature-256")
		if answer := node(t, "githubVerify", asked); answer["believed"] != true {
			t.Error("ours is not believed")
		}
		asked["body"] = body + "\n"
		if answer := node(t, "githubVerify", asked); answer["believed"] != false {
			t.Error("a spoiled one is believed")
		}
	}
}

func TestInteropTokens(t *testing.T) {
	for _, alg := range []string{"RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"} {
		now := time.Now()
		claims := setClaims(map[string]any{"iat": now.Unix()})
		set := node(t, "token", map[string]any{"alg": alg, "typ": "secevent+jwt", "claims": claims})
		bearer := node(t, "token", map[string]any{"alg": alg, "typ": "at+jwt", "claims": map[string]any{
			"iss": sampleIssuer, "aud": sampleAudience, "exp": now.Add(time.Hour).Unix()}})
		specs := map[string]VerifySpec{
			"set":    {SetJWS: &config.SetJWS{Issuer: sampleIssuer, Audience: []string{sampleAudience}, JWKS: published(t, set["jwk"]), Algs: []string{alg}}},
			"bearer": {OIDCBearer: &config.OIDCBearer{Issuer: sampleIssuer, Audience: []string{sampleAudience}, JWKS: published(t, bearer["jwk"]), Algs: []string{alg}}},
		}
		d := Delivery{Received: now, Body: []byte(text(t, set, "token")), Header: http.Header{"Authorization": {"Bearer " + text(t, bearer, "token")}}}
		for name, v := range specs {
			if got, err := verifier(t, tokenSource(v)).Verify(d); err != nil || got.Issuer != sampleIssuer {
				t.Errorf("%s %s: %+v %v", alg, name, got, err)
			}
		}
		d.Body[len(d.Body)-10] ^= 1
		if _, err := verifier(t, tokenSource(specs["set"])).Verify(d); err == nil {
			t.Errorf("%s: a spoiled token is believed", alg)
		}
		swapped := tokenSource(specs["set"])
		swapped.Verify.SetJWS.JWKS = published(t, bearer["jwk"])
		d.Body = []byte(text(t, set, "token"))
		if _, err := verifier(t, swapped).Verify(d); err == nil {
			t.Errorf("%s: the key of another token fits", alg)
		}
	}
}

// published writes a key as an issuer publishes it.
func published(t *testing.T, jwk any) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"keys": []any{jwk}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestInteropStandardWebhooksVersions: the library's signature of one body is ours, byte by byte.
func TestInteropStandardWebhooksVersions(t *testing.T) {
	d := attempt(t, SourceSpec{Name: "a", Preset: "cloudevents", Verify: VerifySpec{StandardWebhooks: &StandardWebhooksSpec{Secrets: []secret.Value{secret.New(sampleSecret2)}}}}, "{}", noon)
	theirs := text(t, node(t, "standardWebhooks", map[string]any{"secret": sampleSecret2, "id": d.Header.Get("webhook-id"), "seconds": noon.Unix(), "body": "{}"}), "signature")
	if ours := d.Header.Get("webhook-signature"); ours != theirs {
		t.Errorf("ours %s, theirs %s", ours, theirs)
	}
}
