package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/secret"
)

// verifyCases are faults of how a delivery proves itself.
func verifyCases() []faultCase {
	text := "sources:\n"
	for i, verify := range strings.Split(strings.TrimSpace(`
hmac: {secrets: ["${env:PLAIN}"], signature: {header: X, pair: "="}, header: Y, timestamp: {header: T, field: t, unit: s}}
hmac: {secrets: ["${env:SHORT}"], secret_encoding: base64, header: X, alg: md5, encoding: base85, signature: {split: ";", versions: [v1]}, timestamp: {unit: h}}
hmac: {secrets: ["${env:PLAIN}"], secret_encoding: hex, header: X, signature: {split: ",", pair: ",", versions: [v1]}, timestamp: {field: t}, signed: [body, "field:n", timestamp, url]}
hmac: {secrets: ["${env:PLAIN}"], header: X, signed: [body, "\n", "field:n"], timestamp: {tolerance: 5m}, tolerance: 6m}
hmac: {secrets: ["${env:PLAIN}"], header: X, signature: {pair: "=", versions: [v1]}, timestamp: {field: t}}
standard_webhooks: {}
standard_webhooks: {public_keys: [whpk_AAAA], header_prefix: svix}
ed25519: {signature: {header: X}, public_keys: [short]}
header_token: {header: "X Y", scheme: "Bearer ", values: ["${env:SHORT}"]}
header_token: {values: []}
basic: {users: [{name: "a:b", password: "${env:SHORT}"}, {name: a, password: plain}]}
basic: {}
url_token: {query: token, segment: true, values: ["${env:PLAIN}"]}
url_token: {values: ["${env:PLAIN}"]}
body_token: {values: ["${env:PLAIN}"]}
set_jws: {issuer: i, audience: [], jwks: "http://idp.acme.example/keys", algs: [HS256, RS256, RS256], exp: keep}
set_jws: {jwks: "https://u:p@idp.acme.example/keys"}
oidc_bearer: {issuer: i, audience: [a], jwks: "https://idp.acme.example/keys#x", claims: {azp: 7}}
mtls: {sans: ["dns:*", "cn:x", "siem.acme.example"]}
mtls: {}
ip: {cidrs: ["192.0.2.0/24"]}
none: {}
all_of: [{ip: {cidrs: ["192.0.2.7/24", "x"]}}, {ip: {cidrs: ["192.0.2.0/24"], trusted_proxies: ["::ffff:10.0.0.0/104"]}}]
all_of: [{none: {}}, {hmac: {header: X, secrets: ["${env:PLAIN}"]}}]
any_of: [{body_token: {at: item.a, values: ["${env:PLAIN}"]}}, {set_jws: {issuer: i, audience: [a], jwks: k}}, {ip: {cidrs: ["192.0.2.0/24"]}}]
all_of: [{body_token: {at: item.a, values: ["${env:PLAIN}"]}}, {body_token: {at: item.b, values: ["${env:PLAIN}"]}}]
all_of: [{hmac: {header: X, secrets: ["${env:PLAIN}"]}}]
all_of: [{hmac: {header: X, secrets: ["${env:PLAIN}"]}}, {}]
`), "\n") {
		text += fmt.Sprintf("  s%d: {preset: cloudevents, verify: {%s}}\n", i, verify)
	}
	token := "header_token: {header: X, values: [\"${env:PLAIN}\"]}"
	deep := token
	for range 4 {
		deep = "any_of: [{" + deep + "}, {" + token + "}]"
	}
	poll := "sources:\n  a: {preset: cloudevents, verify: {hmac: {header: X, secrets: [\"${env:PLAIN}\"]}}, insecure: true, poll: {url: \"http://idp.acme.example\", token: x, interval: 1ms, wait: 6m}}\n" +
		"  b: {preset: cloudevents, verify: {set_jws: {issuer: i, audience: [a], jwks: k}}, poll: {}}\n"
	return []faultCase{
		{name: "kinds of proof", sources: text},
		{name: "lists within lists", sources: "sources:\n  a: {preset: cloudevents, verify: {" + deep + "}}\n"},
		{name: "polling, and insecure without effect", sources: poll},
	}
}

// TestOneBodyHasOneProof: what a body proves stands once in the whole of the lists, and is never one of several to choose
// from, however deep it lies.
func TestOneBodyHasOneProof(t *testing.T) {
	token := func() Verify {
		return Verify{BodyToken: &BodyToken{At: "item.a", Values: []secret.Value{secret.New("0123456789abcdef")}}}
	}
	network := Verify{IP: &IP{CIDRs: []string{"192.0.2.0/24"}}}
	header := Verify{HeaderToken: &HeaderToken{Header: "X", Values: []secret.Value{secret.New("0123456789abcdef")}}}
	below := func() Verify { return Verify{AllOf: []Verify{token(), network}} }
	const twice, chosen = "all_of: has body_token more than once", "any_of.1.all_of.0.body_token: cannot be one of several"
	for _, c := range []struct {
		verify Verify
		want   []string
	}{
		{below(), nil},
		{Verify{AllOf: []Verify{header, below()}}, nil},
		{Verify{AllOf: []Verify{token(), below()}}, []string{twice}},
		{Verify{AllOf: []Verify{below(), below()}}, []string{twice}},
		{Verify{AnyOf: []Verify{header, below()}}, []string{chosen}},
		{Verify{AllOf: []Verify{header, {AnyOf: []Verify{header, below()}}}}, []string{"all_of.1." + chosen}},
		{Verify{AllOf: []Verify{{AnyOf: []Verify{header, header}}, token()}}, nil},
	} {
		var got []string
		for _, f := range c.verify.Check(false) {
			got = append(got, strings.Join(f.Path, ".")+": "+f.What)
		}
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%+v: %q, want %q", c.verify, got, c.want)
		}
	}
}

func TestOver(t *testing.T) {
	plain := []secret.Value{secret.New("0123456789abcdef")}
	preset := HMAC{Algorithm: "sha512", Signature: Signature{Header: "X", Prefix: "p="}, Signed: []string{"body"}}
	joined := preset
	joined.Secrets, joined.Signature.Header = plain, "Y"
	source := Verify{HMAC: &HMAC{Secrets: plain, Signature: Signature{Header: "Y"}}}
	token := Verify{HeaderToken: &HeaderToken{Header: "Authorization"}}
	full := Verify{HeaderToken: &HeaderToken{Header: "Authorization", Values: plain}}
	network := Verify{IP: &IP{CIDRs: []string{"192.0.2.0/24"}}}
	values := Verify{HeaderToken: &HeaderToken{Values: plain}}
	for name, c := range map[string]struct{ over, base, want Verify }{
		"nothing over a kind":      {Verify{}, Verify{HMAC: &preset}, Verify{HMAC: &preset}},
		"a kind over nothing":      {source, Verify{}, source},
		"the same kind":            {source, Verify{HMAC: &preset}, Verify{HMAC: &joined}},
		"another kind":             {full, Verify{HMAC: &preset}, full},
		"one of any_of":            {values, Verify{AnyOf: []Verify{{HMAC: &preset}, token}}, full},
		"one of all_of":            {values, Verify{AllOf: []Verify{network, token}}, Verify{AllOf: []Verify{network, full}}},
		"none of any_of":           {full, Verify{AnyOf: []Verify{{HMAC: &preset}, network}}, full},
		"a list over a list":       {Verify{AnyOf: []Verify{values, source}}, Verify{AnyOf: []Verify{{HMAC: &preset}, token}}, Verify{AnyOf: []Verify{full, {HMAC: &joined}}}},
		"a list over a kind":       {Verify{AllOf: []Verify{values, network}}, token, Verify{AllOf: []Verify{full, network}}},
		"a kind with another list": {Verify{AllOf: []Verify{network, full}}, Verify{HMAC: &preset}, Verify{AllOf: []Verify{network, full}}},
	} {
		if diff := cmp.Diff(c.want, c.over.Over(c.base), reveal()); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
	if preset.Signature.Header != "X" || len(preset.Secrets) != 0 || len(token.HeaderToken.Values) != 0 {
		t.Error("the preset has changed")
	}
}

func TestCheckListener(t *testing.T) {
	certificate := Verify{MTLS: &MTLS{SANs: []string{"dns:siem.acme.example"}}}
	list := Sources{
		{Name: "a", Verify: certificate, At: Position{File: SourcesFile, Line: 1}},
		{Name: "b", Verify: Verify{AnyOf: []Verify{{None: &None{}}, {AllOf: []Verify{certificate}}}}, At: Position{File: SourcesFile, Line: 2}},
		{Name: "c", Verify: Verify{HMAC: &HMAC{}}, At: Position{File: SourcesFile, Line: 3}},
	}
	err := list.CheckListener(PublicTLS{Cert: "c", Key: "k"})
	if faults, ok := err.(Faults); !ok || len(faults) != 2 || faults[1].Line != 2 {
		t.Error(err)
	}
	if err := list.CheckListener(PublicTLS{Cert: "c", Key: "k", ClientCA: "a"}); err != nil {
		t.Error(err)
	}
}
