package config

import (
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// faultCase is a set of files with something wrong in each.
type faultCase struct {
	name, sources, connections, playbooks string
}

func sourceCases() []faultCase {
	list := []faultCase{
		{name: "empty file", sources: " "},
		{name: "only a comment", sources: "# nothing"},
		{name: "syntax", sources: "sources:\n  a: {b: [c\n  d: e\n"},
		{name: "syntax with a quoted value", sources: "sources: *" + canary + "\n"},
		{name: "an alias without an anchor, further down", sources: "sources:\n  a:\n    preset: x\n    verify: {all_of: [*" + canary + "]}\n"},
		{name: "a line that stands too far left", sources: "sources:\n  a:\n    map:\n      - b: 1\n        c: 2\n       d: 3\n  e: 4\n"},
		{name: "a flow that does not end, behind one over several lines", sources: "sources:\n  a: {b: c,\n    d: e,\n    k: l,\n    m: n}\n  f: {g: [h}\n"},
		{name: "tab", sources: "sources:\n\ta: b\n"},
		{name: "two documents", sources: goodSources + "---\nsources: {}\n"},
		{name: "a list", sources: "- a\n"},
		{name: "unknown keys everywhere", sources: "sorces: {}\nsources:\n  a:\n    pre-set: x\n    preset: cloudevent\n    verify: {standard_webhook: {}, hmac: {header: X-A, secrets: [\"${env:PLAIN}\"], algo: sha256}}\n"},
		{name: "missing keys", sources: "sources:\n  a: {}\n  b: {preset: cloudevents, verify: {}}\n  c: {preset: cloudevents, verify: {hmac: {}}}\n"},
		{name: "wrong types", sources: "sources:\n  a: 7\n  b: {preset: true, verify: [1]}\n  c: {preset: cloudevents, verify: {hmac: {header: 1, secrets: " + canary + ", tolerance: 5}}}\n  d:\n"},
		{name: "names", sources: "sources:\n  Big Name: {preset: cloudevents, verify: {hmac: {header: X, secrets: [\"${env:PLAIN}\"]}}}\n  1: {preset: cloudevents, dedup_scope: \"a:b\", verify: {hmac: {header: X, secrets: [\"${env:PLAIN}\"]}}}\n"},
		{name: "two verifiers", sources: "sources:\n  a:\n    preset: cloudevents\n    verify:\n      hmac: {header: X, secrets: [\"${env:PLAIN}\"]}\n      standard_webhooks: {secrets: [\"${env:GOOD}\"]}\n"},
	}
	secrets := []string{canary, "${env:" + canary + "}", "${env:NOT_SET}", "${env:EMPTY}", "${file:missing}",
		"${file:/etc/empty}", "${env:SHORT}", "${env:CANARY}", "${{ env.X }}", "$" + canary}
	sw := "sources:\n  a:\n    preset: cloudevents\n    verify:\n      standard_webhooks:\n        tolerance: 5 minutes\n        secrets:\n"
	hm := "sources:\n  a:\n    preset: cloudevents\n    verify:\n      hmac:\n        header: X\n        secrets:\n"
	for i, s := range secrets {
		sw += fmt.Sprintf("          - %q\n", s)
		if i < 7 {
			hm += fmt.Sprintf("          - %q\n", s)
		}
	}
	return append(append(list, verifyCases()...),
		faultCase{name: "secrets of standard webhooks", sources: sw},
		faultCase{name: "secrets of an hmac", sources: hm},
		faultCase{name: "what is signed", sources: hmacs("signed: [timestamp, body]", "signed: [\".\"]", "timestamp_header: T, signed: [body]",
			"tolerance: 5m", "timestamp_header: T, tolerance: 0s", "timestamp_header: T, tolerance: 9999999999h", "signed: [body, body]",
			"signed: [\"header:\", body]", "signed: [method, \"\\n\", \"header:X-A\", \"\\n\", body, \"header:X-B\"]")},
		faultCase{name: "yaml traps", sources: "sources:\n  a: &a {preset: cloudevents, preset: b, verify: !mine {hmac: {header: X, secrets: [\"${env:PLAIN}\"]}}}\n  b: {<<: *a}\n  ? [x]\n  : y\n  c: !!binary aGFsbG8=\n  ~: {}\n"},
		faultCase{name: "an alias within itself", sources: "sources: &s\n  a: *s\n"},
		faultCase{name: "an alias bomb", sources: bomb()},
		faultCase{name: "numbers", sources: "sources:\n  a: .inf\n  b: .nan\n  c: 0x1F\n  d: 1e400\n"},
	)
}

func hmacs(extra ...string) string {
	s := "sources:\n"
	for i, e := range extra {
		s += fmt.Sprintf("  s%d: {preset: cloudevents, verify: {hmac: {header: X, secrets: [\"${env:PLAIN}\"], %s}}}\n", i, e)
	}
	return s
}

// bomb is a document of a few lines that is millions of values when its aliases are written out.
func bomb() string {
	s := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 8; i++ {
		s += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return s
}

func connectionCases() []faultCase {
	return []faultCase{
		{name: "providers", connections: `connections:
  a: {provider: okat, base_url: https://a.example, auth: {ssws: "${env:PLAIN}"}}
  b: {provider: okta, base_url: https://a.example, team: t, token_url: https://b.example, secret_sink: {dir: x}, auth: {service_user: {key_id: k, key_secret: "${env:PLAIN}"}}}
  c: {provider: asa, base_url: https://a.example, auth: {ssws: "${env:PLAIN}"}}
  d: {provider: transmit, base_url: https://a.example, auth: {client_credentials: {client_id: c, client_secret: "${env:NOT_SET}"}}}
  e: {provider: okta, base_url: https://a.example, auth: {}}
  f: {provider: okta, base_url: https://a.example, concurrency: 0, auth: {ssws: s, service_app: {scopes: []}}}
  budget-a: {provider: okta, base_url: https://a.example, budget: {share: 0, reserve: {normal: 60}}, auth: {ssws: "${env:PLAIN}"}}
  budget-b: {provider: okta, base_url: https://a.example, budget: {share: 1.5, reserve: {bulk: 96, urgent: 1}}, auth: {ssws: "${env:PLAIN}"}}
  budget-c: {provider: okta, base_url: https://a.example, budget: {}, auth: {ssws: "${env:PLAIN}"}}
  budget-d: {provider: okta, base_url: https://a.example, budget: {buckets: {}}, auth: {ssws: "${env:PLAIN}"}}
  budget-f:
    provider: okta
    base_url: https://a.example
    auth: {ssws: "${env:PLAIN}"}
    budget:
      buckets:
        a b: {calls: [GET /api/v1/users]}
        mine: {limit: 5, window: 1m}
        /api/v1: {}
        /api/v1/users: {calls: []}
        half: {calls: [GET /api/v1/users/*], limit: 7}
        other: {calls: [GET /api/v1/users/me, /api/v1/users/*/clients/**, PUT /api/v1/users/*, HEAD /x, users, /a//b, /**/x, 7], window: 1m}
        again: {calls: [DELETE /api/v1/users/*/clients/*/tokens, DELETE /api/v1/users/**], limit: 0, window: 1s}
        never: {calls: [DELETE /api/v1/users/*/sessions, GET /oauth2/v1/token], limit: 2000000, window: 2h, burst: 1}
  budget-g: {provider: asa, team: t, base_url: https://a.example, budget: {buckets: {/v1: {window: soon, limit: 1}, /api: {calls: [/v1/clients]}}}, auth: {service_user: {key_id: k, key_secret: "${env:PLAIN}"}}}
  budget-e: {provider: okta, base_url: https://a.example, budget: {share: half, reserve: {bulk: 2.5, normal: 0}}, auth: {ssws: "${env:PLAIN}"}}
  g: {provider: okta, base_url: https://a.example, concurrency: 65, auth: {service_app: {client_id: "", key_id: k, private_key: "${file:none}", scopes: [a.b, a.b, "A"]}}}
  h: {provider: transmit, base_url: https://a.example, token_url: https://a.example, secret_sink: {}, auth: {client_credentials: {client_id: 0123, client_secret: ` + canary + `}}}
`},
		{name: "addresses", connections: addresses("http://a.example", "https://user:"+canary+"@a.example", "https://a.example/?q="+canary,
			"a.example", "ftp://a.example", "https://", "https://a.example/#f", "${env:PLAIN}", "http://localhost:1", "http://[::1]:1", "https://a b", "mailto:a@b")},
	}
}

func addresses(urls ...string) string {
	s := "connections:\n"
	for i, u := range urls {
		s += fmt.Sprintf("  c%d: {provider: okta, base_url: %q, auth: {ssws: \"${env:PLAIN}\"}}\n", i, u)
	}
	return s
}

func playbookCases() []faultCase {
	return []faultCase{
		{name: "steps and connections", connections: goodConnections, playbooks: `playbooks:
  - name: a
    on: [user.terminated]
    actions:
      - {step: one, do: okta.suspend_user, at: okta-prd}
      - {step: one, do: okta.suspend_user, at: asa-prod}
      - {step: two, do: asa.revoke_clients, at: nowhere-near, needs: [two, tree, onee, three]}
      - {step: three, do: nobody.does_this, at: asa-prod, needs: [one, one]}
      - {step: "a:b", do: okta.suspend_user, at: okta-prod, on_dead: halt}
  - name: a
    on: []
    when: "${{ true }}"
    class: soon
    actions: []
  - {name: b, on: [x, x], do: y}
`},
		{name: "parameters", connections: goodConnections, playbooks: `playbooks:
  - name: a
    on: [user.terminated]
    actions:
      - step: one
        do: okta.suspend_user
        at: okta-prod
        with:
          a: "mail-${{ event.data.user.email }}"
          b: "${{ }}"
          c: "${env:PLAIN}"
          d: [{e: "x${{ y }}"}]
          f: "${{ unfinished"
`},
		{name: "looking again", connections: goodConnections, playbooks: `playbooks:
  - {name: a, on: [x], recheck: [24h, 1d, soon, 1s, 400d, -1h], regressed: perhaps, actions: [{step: s, do: okta.a, at: okta-prod}]}
  - {name: b, on: [x], recheck: [], actions: [{step: s, do: okta.a, at: okta-prod}]}
`},
		{name: "clocks", connections: goodConnections, playbooks: `playbooks: []
sla: {urgent: 1s, normal: soon, bulk: 7, fast: 5m}
`},
		{name: "guards", connections: goodConnections, playbooks: `playbooks: []
guards:
  protected: [breakglass@acme.example, "user:", "user:a", "user:a"]
  brakes: []
  brake:
    - {on: [user.terminated], max: -1, per: soon, then: hold}
    - {on: [], max: 1.5, per: 0s, then: drop, percent_of: 3}
    - {}
  approve:
    - {do: []}
    - {do: [a.b], approvers: 0}
    - {do: [a.b], approvers: 9}
`},
		{name: "counts", connections: goodConnections, playbooks: `playbooks: []
guards:
  brake:
    - {on: [user.terminated], max: 5%, per: 1h, then: hold, percent_of: {count: active_users, at: okta-prd}}
    - {on: [user.terminated], max: 5%, per: 2h, then: hold, percent_of: {count: active_users, at: mosaic-prod}}
    - {on: [user.terminated], max: 5%, per: 3h, then: hold, percent_of: {count: active_users, at: okta-prod}}
`},
		{name: "windows", connections: goodConnections, playbooks: `playbooks: []
guards:
  brake: [{on: [user.terminated], max: 5, per: 1ms, then: hold}, {on: [user.terminated], max: 5, per: 1m, then: hold}]
  approve: [{do: [a.b], expires: 1s, then: proceed}]
  confirm_by: [{on: [user.terminated], within: 59s}]
`},
		{name: "faults of two files", connections: "connections: {okta-prod: {}}\n", playbooks: "playbooks:\n  - {name: A, on: [x], actions: [{step: s, do: okta.a, at: okta-prod}, {step: t, do: okta.a, at: okta-prt}]}\n"},
		{name: "no playbooks file", connections: goodConnections},
		{name: "no connections file", playbooks: "playbooks: [{name: a}]\n"},
	}
}

func (c faultCase) err() error {
	files := map[string]string{"/run/okta.pem": "PEM", "/etc/empty": "\n"}
	for name, text := range map[string]string{SourcesFile: c.sources, ConnectionsFile: c.connections, PlaybooksFile: c.playbooks} {
		if text != "" {
			files["etc/"+name] = text
		}
	}
	if c.sources != "" {
		_, err := ReadSources("etc", memory(files, testEnv()))
		return err
	}
	if c.playbooks == "" && c.name != "no playbooks file" {
		r := reader{refs: memory(files, testEnv()).in("etc")}
		r.connections("etc")
		return r.err()
	}
	_, err := Read("etc", memory(files, testEnv()))
	return err
}

// TestFaults holds every message, with its place, against a golden file; golden fails when a secret stands in one.
func TestFaults(t *testing.T) {
	for file, cases := range map[string][]faultCase{
		"sources": sourceCases(), "connections": connectionCases(), "playbooks": playbookCases(),
	} {
		t.Run(file, func(t *testing.T) {
			var b strings.Builder
			for _, c := range cases {
				err := c.err()
				if err == nil {
					t.Errorf("%s: no fault", c.name)
					continue
				}
				fmt.Fprintf(&b, "== %s\n%v\n", c.name, err)
			}
			golden(t, "testdata/"+file+".golden", b.String())
		})
	}
}

// FuzzRead feeds anything to the readers: no text may make them panic or hang, and every fault has a place.
func FuzzRead(f *testing.F) {
	for _, cases := range [][]faultCase{sourceCases(), connectionCases(), playbookCases()} {
		for _, c := range cases {
			f.Add(c.sources + c.connections + c.playbooks)
		}
	}
	f.Add(goodSources)
	f.Add(goodConnections)
	f.Add(goodPlaybooks)
	f.Fuzz(func(t *testing.T, text string) {
		refs := memory(map[string]string{"c/sources.yaml": text, "c/connections.yaml": text, "c/playbooks.yaml": text}, testEnv())
		sources, err := ReadSources("c", refs)
		if err == nil && len(sources) == 0 {
			t.Error("no source, and no fault")
		}
		if err != nil && !strings.HasPrefix(err.Error(), "c/sources.yaml") {
			t.Errorf("a fault without a place: %v", err)
		}
		_, _ = Read("c", refs)
	})
}

// TestNoScalarIsRepeated puts a canary in the place of every value of the two files that hold references to secrets: a
// secret that was pasted into the wrong line must not reach a log.
func TestNoScalarIsRepeated(t *testing.T) {
	for _, text := range []string{goodSources, goodConnections} {
		for i := range scalars(t, parsed(t, text)) {
			doc := parsed(t, text)
			scalar := scalars(t, doc)[i]
			was := scalar.Value
			scalar.Value, scalar.Tag = canary, "!!str"
			b, err := yaml.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			refs := memory(map[string]string{"c/sources.yaml": string(b), "c/connections.yaml": string(b), "/run/okta.pem": "PEM"}, testEnv())
			_, serr := ReadSources("c", refs)
			_, cerr := Read("c", refs)
			if all := fmt.Sprint(serr, cerr); strings.Contains(all, canary) {
				t.Errorf("in the place of %q:\n%s", was, all)
			}
		}
	}
}

func parsed(t *testing.T, text string) *yaml.Node {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return &doc
}

// scalars lists the values of a document that are no keys.
func scalars(t *testing.T, node *yaml.Node) []*yaml.Node {
	t.Helper()
	var list []*yaml.Node
	for i, child := range node.Content {
		switch {
		case node.Kind == yaml.MappingNode && i%2 == 0:
		case child.Kind == yaml.ScalarNode:
			list = append(list, child)
		default:
			list = append(list, scalars(t, child)...)
		}
	}
	return list
}
