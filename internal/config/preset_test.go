package config

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// sampled reads a sources.yaml with sample secrets.
func sampled(text string) (Sources, error) {
	return ReadSources("c", Samples(func(name string) ([]byte, error) {
		if name != "c/sources.yaml" {
			return nil, os.ErrNotExist
		}
		return []byte(text), nil
	}))
}

// TestASourceOverItsPreset: what the source says counts, what it does not say is the preset's, and nothing takes away.
func TestASourceOverItsPreset(t *testing.T) {
	list, err := sampled(`sources:
  hr:
    preset: bamboohr
    verify: {hmac: {secrets: ["${env:S}"], timestamp: {tolerance: 1m}}}
    response: {body: ok}
    map:
      effective_at: {zone: Europe/Berlin, cutoff: "17:00"}
      keep: ~
      type: {table: {rehired: ignore, promoted: {event: user.rehired, class: "'urgent'"}}, unknown: dead}
      data: {reason: left}
`)
	if err != nil {
		t.Fatal(err)
	}
	s := list[0]
	if h := s.Verify.HMAC; h.Signature.Header != "X-BambooHR-Signature" || h.Timestamp.Header != "X-BambooHR-Timestamp" || h.Timestamp.Tolerance.Minutes() != 1 || len(h.Secrets) != 1 {
		t.Errorf("verify: %+v", h)
	}
	if s.Response.Status != 200 || s.Response.Body != "ok" || s.About == "" || len(s.Facts) == 0 || s.OnFault != "accept" {
		t.Errorf("%+v %q", s.Response, s.About)
	}
	m := s.Mapping
	if e := m.Fields.EffectiveAt; e.From.Source != "last_day" || e.Zone.Literal != "Europe/Berlin" || e.Cutoff.Value != "17:00" {
		t.Errorf("effective_at: %+v", e)
	}
	words := map[string]Row{}
	for _, r := range m.Rows {
		words[r.Word] = r
	}
	if len(m.Keep) != 0 || m.Unknown != "dead" || words["rehired"].Event.Value != Ignore || words["terminated"].Event.Value != "user.terminated" ||
		words["promoted"].Fields.Class == nil || len(words["promoted"].Fields.Data) != 2 || words["terminated"].Fields.Class != nil {
		t.Errorf("%+v", words)
	}
}

// TestFaultsOfPresets stand where they were written: in the preset, or in the source that says otherwise.
func TestFaultsOfPresets(t *testing.T) {
	for text, want := range map[string]string{
		"sources: {a: {preset: bambohr, verify: {hmac: {}}}}":                                                              `c/sources.yaml:1:23: sources.a.preset: no such preset: did you mean "bamboohr"?`,
		"sources: {a: {preset: bamboohr}}":                                                                                 "sources.a.verify.hmac.secrets: is missing",
		"sources: {a: {preset: custom, verify: {header_token: {header: X, values: [\"${env:S}\"]}}}}":                      "sources.a.preset: needs the key map",
		"sources: {a: {preset: cloudevents, map: {}, verify: {header_token: {header: X, values: [\"${env:S}\"]}}}}":        "sources.a.map: has no effect",
		"sources: {a: {preset: bamboohr, unsigned_attributes: true, verify: {hmac: {secrets: [\"${env:S}\"]}}}}":           "unsigned_attributes: has no effect here",
		"sources: {a: {preset: bamboohr, map: {splitt: body}, verify: {hmac: {secrets: [\"${env:S}\"]}}}}":                 `map.splitt: unknown key: did you mean "split"?`,
		"sources: {a: {preset: bamboohr, response: {status: 204, body: x}, verify: {hmac: {secrets: [\"${env:S}\"]}}}}":    "an answer with status 204 has no body",
		"sources: {a: {preset: bamboohr, response: {content_type: text/html}, verify: {hmac: {secrets: [\"${env:S}\"]}}}}": "there is no body",
		"sources: {a: {preset: bamboohr, map: {when: \"${{ true }}\"}, verify: {hmac: {secrets: [\"${env:S}\"]}}}}":        "write it without ${{ }}",
	} {
		_, err := sampled(text)
		if got := fmt.Sprint(err); !strings.Contains(got, want) {
			t.Errorf("%s\n  got  %s\n  want %s", text, got, want)
		}
	}
}

// TestProofsAreJoined: the same kind is merged, one of several is picked or joined, and another kind replaces.
func TestProofsAreJoined(t *testing.T) {
	for _, c := range []struct{ over, base, want string }{
		{`{hmac: {secrets: [a]}}`, `{hmac: {alg: sha1, signature: {header: X}}}`, `{hmac: {secrets: [a], alg: sha1, signature: {header: X}}}`},
		{`{basic: {users: [a]}}`, `{hmac: {alg: sha1}}`, `{basic: {users: [a]}}`},
		{`{basic: {users: [a]}}`, `{any_of: [{hmac: {alg: sha1}}, {basic: {realm: b}}]}`, `{basic: {users: [a], realm: b}}`},
		{`{hmac: {secrets: [a]}}`, `{all_of: [{ip: {cidrs: [c]}}, {hmac: {alg: sha1}}]}`, `{all_of: [{ip: {cidrs: [c]}}, {hmac: {secrets: [a], alg: sha1}}]}`},
		{`{any_of: [{basic: {users: [a]}}, {hmac: {secrets: [a]}}]}`, `{hmac: {alg: sha1}}`, `{any_of: [{basic: {users: [a]}}, {hmac: {secrets: [a], alg: sha1}}]}`},
		{`{all_of: [{basic: {users: [a]}}, {hmac: {secrets: [a]}}]}`, `{any_of: [{hmac: {alg: sha1}}, {basic: {realm: b}}]}`,
			`{all_of: [{basic: {users: [a], realm: b}}, {hmac: {secrets: [a], alg: sha1}}]}`},
		{`{}`, `{hmac: {alg: sha1}}`, `{}`},
	} {
		if got := flat(t, mergeProof(node(t, c.over), node(t, c.base))); got != flat(t, node(t, c.want)) {
			t.Errorf("%s over %s:\n  got  %s\n  want %s", c.over, c.base, got, c.want)
		}
	}
}

func node(t *testing.T, text string) *yaml.Node {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	return n.Content[0]
}

func flat(t *testing.T, n *yaml.Node) string {
	t.Helper()
	var v any
	if err := n.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(v)
}
