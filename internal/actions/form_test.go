package actions_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient/asa"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/events"
)

// with is a mapping with one member otherwise.
func with(mapping any, name string, value any) map[string]any {
	m := maps.Clone(mapping.(map[string]any))
	m[name] = value
	return m
}

// TestParametersAreAsDescribed: a kind takes every form and word that it describes, and refuses all others: playbooks
// are checked by the description.
func TestParametersAreAsDescribed(t *testing.T) {
	base := map[string]any{
		"user": map[string]any{"email": "maria@acme.example"}, "client_id": "c-1", "token_id": "t-1", "authorization_server": "aus1",
		"app": map[string]any{"key": "wiki", "name": "Wiki", "redirect_uris": []string{"https://wiki.acme.example/cb"}, "roles_waived": true, "resources": []string{}},
	}
	clients := actions.Clients{Okta: &okta.Client{}, ASA: &asa.Client{}, Transmit: &transmit.Client{}, Sink: actions.DirSink{}}
	build := func(k actions.KindInfo, name string, value any) string {
		with := map[string]any{}
		for _, p := range k.Parameters {
			oneOfTwo := k.Provider == "transmit" && p.Name == "app" || k.Name == "asa.approve_client" && p.Name == "client_id" && name != "hostname"
			if v, ok := base[p.Name]; ok && (p.Required || oneOfTwo) {
				with[p.Name] = v
			}
		}
		if name == "no_match" {
			with["hostname"] = "h" // what is said of a host name needs one
		}
		maps.Copy(with, map[string]any{name: value})
		b, err := json.Marshal(with)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := clients.Build(events.Action{Do: k.Name, With: b}, nil); err != nil && strings.Contains(err.Error(), "with."+name) {
			return err.Error()
		}
		return ""
	}
	for _, k := range actions.Kinds() {
		for _, p := range k.Parameters {
			wrong := []any{1.5, []string{"x"}}
			var right []any
			switch p.Form {
			case actions.Flag:
				wrong, right = append(wrong, "true", map[string]any{}), []any{true, false}
			case actions.Object:
				wrong, right = append(wrong, "x", true), []any{base[p.Name]}
				for _, f := range p.Fields {
					if f.Form != actions.Any {
						wrong = append(wrong, with(base[p.Name], f.Name, 1.5))
					}
				}
				if len(p.Fields) == 0 {
					t.Errorf("%s does not say what %s may have", k.Name, p.Name)
				}
			default:
				wrong = append(wrong, true, map[string]any{})
				right = []any{"x"}
			}
			if len(p.Words) > 0 {
				wrong, right = append(wrong, "nonsense"), nil
				for _, w := range p.Words {
					right = append(right, w)
				}
			}
			for _, v := range wrong {
				if build(k, p.Name, v) == "" {
					t.Errorf("%s takes %v as %s", k.Name, v, p.Name)
				}
			}
			for _, v := range right {
				if got := build(k, p.Name, v); got != "" {
					t.Errorf("%s does not take %v as %s: %s", k.Name, v, p.Name, got)
				}
			}
		}
	}
}

// TestAConnectionOfAnotherProviderSaysWhatToWrite: a plan names its connection for good, and only connections.yaml can
// give that name its provider back.
func TestAConnectionOfAnotherProviderSaysWhatToWrite(t *testing.T) {
	_, err := actions.Clients{Connection: "prod", ASA: &asa.Client{}}.Build(events.Action{Do: "okta.suspend_user"}, nil)
	if got := actions.Suggestion(err); !strings.Contains(got, "in connections.yaml write provider: okta") || !strings.Contains(got, "under prod again") {
		t.Errorf("%v: %s", err, got)
	}
}
