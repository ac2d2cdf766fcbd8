package config

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"keyturn/internal/secret"
	"keyturn/schemas"
)

var update = flag.Bool("update", false, "write the golden files")

// memory is a Resolver over files and variables in memory.
func memory(files, env map[string]string) Resolver {
	return Resolver{
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		ReadFile: func(name string) ([]byte, error) {
			if s, ok := files[name]; ok {
				return []byte(s), nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
	}
}

func testEnv() map[string]string {
	return map[string]string{
		"GOOD": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "PLAIN": "0123456789abcdef", "SHORT": "c2hvcnQ=", "EMPTY": " ",
		"CANARY": canary,
	}
}

const goodSources = `
sources:
  hr-relay:
    preset: cloudevents
    verify: {standard_webhooks: {secrets: ["${env:GOOD}", "${file:next}"]}}
    dedup_scope: hr
    unsigned_attributes: true
  siem:
    preset: cloudevents
    verify:
      hmac: {header: X-Signature, prefix: "sha256=", timestamp_header: X-Time, tolerance: 90s, secrets: ["${env:PLAIN}"]}
  plain: {preset: cloudevents, verify: {hmac: {alg: sha512, encoding: base64, header: X-S, secrets: ["${env:PLAIN}"]}}}
`

const goodConnections = `
connections:
  okta-prod:
    provider: okta
    base_url: https://acme.okta.example/
    auth: {service_app: {client_id: 0oa1, key_id: k1, private_key: "${file:/run/okta.pem}", scopes: [okta.users.manage]}}
  okta-two: {provider: okta, base_url: "http://127.0.0.1:80", auth: {ssws: "${env:PLAIN}"}, concurrency: 9, budget: {share: 0.5, reserve: {bulk: 60}, buckets: {clients: {calls: [GET /api/v1/users/*/clients, /api/v1/users/*/clients/**]}, /api/v1: {limit: 90, window: 1m}}}}
  asa-prod: {provider: asa, base_url: https://asa.example, team: acme, auth: {service_user: {key_id: k, key_secret: "${env:PLAIN}"}}}
  mosaic-prod:
    provider: transmit
    base_url: https://mosaic.example/cis
    token_url: https://mosaic.example/oidc/token
    auth: {client_credentials: {client_id: c, client_secret: "${env:PLAIN}"}}
    secret_sink: {dir: created}
`

const goodPlaybooks = `
playbooks:
  - name: offboard
    on: [user.terminated]
    when: "!event.data.user.email.endsWith('@partner.example')"
    class: urgent
    recheck: [7d, 1h, 24h]
    regressed: act
    actions:
      - {step: suspend, do: okta.suspend_user, at: okta-prod, with: {user: "${{ event.data.user }}"}}
      - step: devices
        do: asa.revoke_clients
        at: asa-prod
        needs: [suspend]
        on_dead: stop
        with: {user: "${{event.data.user}}", hosts: [a, "${{ event.id }}"], deep: {n: 1, t: true, f: 1.5, z: null, day: 2026-01-02}}
sla: {urgent: 5m, normal: 1h}
guards:
  protected: ["user:breakglass@acme.example"]
  brake: [{on: [user.terminated], max: 25, per: 1h, then: hold}]
  approve: [{do: [okta.deactivate_user], approvers: 2}, {do: [okta.suspend_user]}]
`

func TestSources(t *testing.T) {
	files := map[string]string{"c/sources.yaml": goodSources, "c/next": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY4\n"}
	got, err := ReadSources("c", memory(files, testEnv()))
	if err != nil {
		t.Fatal(err)
	}
	want := Sources{
		{Name: "hr-relay", Preset: "cloudevents", DedupScope: "hr", UnsignedAttributes: true, Verify: Verify{StandardWebhooks: &StandardWebhooks{
			Secrets: []secret.Value{secret.New(testEnv()["GOOD"]), secret.New("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY4")}}}},
		{Name: "siem", Preset: "cloudevents", DedupScope: "siem", Verify: Verify{HMAC: &HMAC{
			Signature: Signature{Header: "X-Signature", Prefix: "sha256="}, Timestamp: Timestamp{Header: "X-Time", Tolerance: 90 * time.Second}, Secrets: []secret.Value{secret.New(testEnv()["PLAIN"])}}}},
		{Name: "plain", Preset: "cloudevents", DedupScope: "plain", Verify: Verify{HMAC: &HMAC{
			Algorithm: "sha512", Encoding: "base64", Signature: Signature{Header: "X-S"}, Secrets: []secret.Value{secret.New(testEnv()["PLAIN"])}}}},
	}
	said := cmpopts.IgnoreFields(Source{}, "At", "About", "Facts", "OnFault") // of the preset
	if diff := cmp.Diff(want, got, reveal(), said); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if _, ok := got.Find("siem"); !ok {
		t.Error("siem is not found")
	}
}

// reveal compares secrets by what they hold.
func reveal() cmp.Option {
	return cmp.Comparer(func(a, b secret.Value) bool { return a.Reveal() == b.Reveal() })
}

func TestConnections(t *testing.T) {
	files := map[string]string{"c/connections.yaml": goodConnections, "/run/okta.pem": "PEM\r\n"}
	r := reader{refs: memory(files, testEnv()).in("c")}
	got := r.connections("c")
	if err := r.err(); err != nil {
		t.Fatal(err)
	}
	plain := secret.New(testEnv()["PLAIN"])
	want := Connections{
		{Name: "okta-prod", Provider: "okta", BaseURL: "https://acme.okta.example", Concurrency: DefaultConcurrency, Auth: Auth{ServiceApp: &ServiceApp{
			ClientID: "0oa1", KeyID: "k1", PrivateKey: secret.New("PEM"), Scopes: []string{"okta.users.manage"}}}},
		{Name: "okta-two", Provider: "okta", BaseURL: "http://127.0.0.1:80", Concurrency: 9, Auth: Auth{SSWS: &SSWS{Token: plain}},
			Budget: Budget{Share: 0.5, Reserve: Reserve{Bulk: new(60)}, Buckets: []Bucket{
				{Name: "clients", Calls: []Call{{Method: "GET", Path: []string{"api", "v1", "users", "*", "clients"}}, {Path: []string{"api", "v1", "users", "*", "clients", "**"}}}},
				{Name: "/api/v1", Limit: 90, Window: time.Minute}}}},
		{Name: "asa-prod", Provider: "asa", BaseURL: "https://asa.example", Team: "acme", Concurrency: DefaultConcurrency, Auth: Auth{ServiceUser: &ServiceUser{KeyID: "k", KeySecret: plain}}},
		{Name: "mosaic-prod", Provider: "transmit", BaseURL: "https://mosaic.example/cis", TokenURL: "https://mosaic.example/oidc/token", Concurrency: DefaultConcurrency,
			Auth: Auth{ClientCredentials: &ClientCredentials{ClientID: "c", ClientSecret: plain}}, SecretSink: SecretSink{Dir: "c/created"}},
	}
	if diff := cmp.Diff(want, got, reveal()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestPlaybooks(t *testing.T) {
	files := map[string]string{"c/connections.yaml": goodConnections, "c/playbooks.yaml": goodPlaybooks, "/run/okta.pem": "PEM"}
	c, err := Read("c", memory(files, testEnv()))
	if err != nil {
		t.Fatal(err)
	}
	book := c.Playbooks.List[0]
	if book.Name != "offboard" || book.Class.Value != "urgent" || book.On[0].Value != "user.terminated" || len(book.Steps) != 2 {
		t.Errorf("got %+v", book)
	}
	if want := []time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}; !slices.Equal(book.Recheck, want) || book.Regressed != "act" {
		t.Errorf("looked at again after %v, then %s", book.Recheck, book.Regressed)
	}
	if want := map[string]time.Duration{"urgent": 5 * time.Minute, "normal": time.Hour}; !maps.Equal(c.Playbooks.SLA, want) {
		t.Errorf("clocks %v", c.Playbooks.SLA)
	}
	devices := book.Steps[1]
	if devices.OnDead != "stop" || devices.Needs[0].Value != "suspend" || devices.On.Value != "asa-prod" {
		t.Errorf("got %+v", devices)
	}
	if e := devices.With[0].Value.Expr; e == nil || e.Source != "event.data.user" {
		t.Errorf("user is %+v", e)
	}
	if hosts := devices.With[1].Value.List; len(hosts) != 2 || hosts[0].Literal != "a" || hosts[1].Expr.Source != "event.id" {
		t.Errorf("hosts are %+v", hosts)
	}
	var literals []any
	for _, p := range devices.With[2].Value.Map {
		literals = append(literals, p.Value.Literal)
	}
	if diff := cmp.Diff([]any{1, true, 1.5, nil, "2026-01-02"}, literals); diff != "" {
		t.Error(diff)
	}
	g := c.Playbooks.Guards
	if g.Protected[0].Value != "user:breakglass@acme.example" || g.Brakes[0].Per != time.Hour || g.Brakes[0].Max != 25 ||
		g.Approve[0].Approvers != 2 || g.Approve[1].Approvers != 1 {
		t.Errorf("got %+v", g)
	}
}

func TestPlaceOfAnExpression(t *testing.T) {
	files := map[string]string{"c/playbooks.yaml": `playbooks:
  - name: p
    on: [user.terminated]
    when: "a == \"b\" && X"
    actions:
      - {step: a, do: x.y, at: z, with: {k: "${{  X }}", s: 'it''s ${{'}}
      - step: b
        do: x.y
        at: z
        with:
          block: |
            ${{ a
              && X }}
          single: '${{ f(''b'') X }}'
          plain: ${{ X }}
          lines: ${{ a &&
            b && X }}
          folded: >-
            ${{
              é(b)

              .c() && X
            }}
          late: |

            ${{

              a && X }}
          quoted: "${{ a &&\t\"é\" \u0041\u0020\
            &&

            X }}"
          apostrophes: '${{ a == ''b''
            && X }}'
`}
	r := reader{refs: memory(files, nil).in("c")}
	d, ok := r.open("c/playbooks.yaml", "playbooks.json")
	if !ok {
		t.Fatal(r.err())
	}
	p := readPlaybooks(d)
	with := p.List[0].Steps[1].With
	for name, e := range map[string]*Expr{
		"when": p.List[0].When, "flow": p.List[0].Steps[0].With[0].Value.Expr,
		"block": with[0].Value.Expr, "single": with[1].Value.Expr, "plain": with[2].Value.Expr,
		"lines": with[3].Value.Expr, "folded": with[4].Value.Expr, "late": with[5].Value.Expr, "quoted": with[6].Value.Expr, "apostrophes": with[7].Value.Expr,
	} {
		before, _, _ := strings.Cut(e.Source, "X")
		line := 1 + strings.Count(before, "\n")
		column := utf8.RuneCountInString(before[strings.LastIndex(before, "\n")+1:])
		at := e.Place(line, column)
		if got := string([]rune(d.lines[at.Line-1])[at.Column-1 : at.Column]); got != "X" {
			t.Errorf("%s: %d:%d is %q", name, at.Line, at.Column, got)
		}
		if end := e.Place(line, column+1); end.Line != at.Line || end.Column != at.Column+1 {
			t.Errorf("%s: behind %d:%d is %d:%d", name, at.Line, at.Column, end.Line, end.Column)
		}
	}
}

func TestFaultsAreAnErrorOfTheirOwn(t *testing.T) {
	_, err := ReadSources("c", memory(nil, nil))
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 1 {
		t.Fatalf("got %v", err)
	}
	other := errors.New("other")
	joined := Join(nil, err, other)
	if !errors.As(joined, &faults) || !errors.Is(joined, other) {
		t.Errorf("got %v", joined)
	}
	if Join(nil, nil) != nil || Faults(nil).Err() != nil {
		t.Error("no fault is an error")
	}
}

// TestEveryKeyIsDescribed: the descriptions are what an editor shows and what the faults say.
func TestEveryKeyIsDescribed(t *testing.T) {
	for _, name := range []string{"sources.json", "verify.json", "preset.json", "connections.json", "playbooks.json", "playbooks_test.json"} {
		b, err := schemas.FS.ReadFile("config/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var schema map[string]any
		if err := json.Unmarshal(b, &schema); err != nil {
			t.Fatal(err)
		}
		defs, _ := schema["$defs"].(map[string]any)
		describeAll(t, name, schema, defs)
	}
}

func describeAll(t *testing.T, at string, schema, defs map[string]any) {
	t.Helper()
	if ref, ok := schema["$ref"].(string); ok && schema["description"] == nil {
		schema, _ = defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	if schema["description"] == nil {
		t.Errorf("%s is not described", at)
	}
	if schema["type"] == "object" && schema["additionalProperties"] == nil {
		t.Errorf("%s does not say whether it is open", at)
	}
	for _, key := range []string{"properties", "$defs"} {
		properties, _ := schema[key].(map[string]any)
		for name, property := range properties {
			describeAll(t, at+"/"+name, property.(map[string]any), defs)
		}
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if inner, ok := schema[key].(map[string]any); ok {
			describeAll(t, at+"/"+key, inner, defs)
		}
	}
}
