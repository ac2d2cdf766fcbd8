package events

import (
	"slices"
	"strings"
	"testing"
)

func TestValidateNamesEveryFault(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct {
		event, data string
		want        []Violation
	}{
		"no user":        {"user.terminated", `{}`, []Violation{{"/user", "required"}}},
		"user no object": {"user.terminated", `{"user":"maria@acme.example"}`, []Violation{{"/user", "type: want object"}}},
		"nobody":         {"user.rehired", `{"user":{"Email":"maria@acme.example"}}`, []Violation{{"/user", "at least one of: okta_id, employee_number, email, login, asa_username"}}},
		"several at once": {"user.terminated", `{"user":{"email":"nobody here","login":7,"asa_username":"` + long + `"},"effective_at":"tomorrow","reason":""}`, []Violation{
			{"/effective_at", RuleDateTime}, {"/reason", "length: at least 1"}, {"/user/asa_username", "length: at most 128"},
			{"/user/email", "format: email"}, {"/user/login", "type: want string"},
		}},
		"a date without a zone":  {"user.terminated", `{"user":{"login":"m"},"effective_at":"2026-12-01T10:00:00"}`, []Violation{{"/effective_at", RuleDateTime}}},
		"a lower-case date":      {"user.terminated", `{"user":{"login":"m"},"effective_at":"2026-12-01t10:00:00z"}`, []Violation{{"/effective_at", RuleDateTime}}},
		"a date where none goes": {"user.compromised", `{"user":{"login":"m"},"effective_at":"2026-12-01T10:00:00Z"}`, []Violation{{"/effective_at", "not allowed in this event"}}},
		"blank":                  {"user.rehired", `{"user":{"login":"` + "\u3000" + `"}}`, []Violation{{"", "principal: every identifier is blank"}}},
		"control character":      {"device.lost", `{"user":{"login":"m"},"device":{"hostname":"a\u0007b"}}`, []Violation{{"/device/hostname", `pattern: ^[^\p{Cc}]*[^\s\p{Cc}][^\p{Cc}]*$`}}},
		"token":                  {"token.compromised", `{"token_id":"a/b"}`, []Violation{{"/authorization_server", "required"}, {"/client_id", "required"}, {"/token_id", "pattern: ^[A-Za-z0-9._~-]+$"}}},
		"state":                  {"device.enrolled", `{"device":{"hostname":"h"},"client_id":"c","user":{"login":"m"},"state":"REVOKED"}`, []Violation{{"/state", `one of: "ACTIVE"`}}},
		"roles neither way":      {"app.onboarded", `{"app":{"key":"k","name":"n","redirect_uris":["https://a.example/"]}}`, []Violation{{"/app", "exactly one of: role_ids, roles_waived"}}},
		"roles both ways":        {"app.onboarded", `{"app":{"key":"k","name":"n","redirect_uris":["https://a.example/"],"role_ids":["r"],"roles_waived":true}}`, []Violation{{"/app", "exactly one of the forms that the schema lists"}}},
		"roles waived halfway":   {"app.onboarded", `{"app":{"key":"k","name":"n","redirect_uris":["https://a.example/"],"roles_waived":false}}`, []Violation{{"/app/roles_waived", "must be: true"}}},
		"web over http": {"app.onboarded", `{"app":{"key":"k","name":"n","redirect_uris":["http://a.example/","https://a.example/","http://localhost:80/","http://localhost.evil.example/"],"role_ids":["r"]}}`, []Violation{
			{"/app/redirect_uris/0", `pattern: ^(https://|http://(localhost|127\.0\.0\.1|\[::1\])([:/?#]|$))`}, {"/app/redirect_uris/3", `pattern: ^(https://|http://(localhost|127\.0\.0\.1|\[::1\])([:/?#]|$))`},
		}},
		"native scheme":     {"app.onboarded", `{"app":{"key":"k","name":"n","client_type":"native","redirect_uris":["example.acme.app:/cb"],"role_ids":["r"]}}`, nil},
		"script scheme":     {"app.onboarded", `{"app":{"key":"k","name":"n","client_type":"native","redirect_uris":["javascript:alert(1)"],"role_ids":["r"]}}`, []Violation{{"/app/redirect_uris/0", `pattern: ^(https://|http://(localhost|127\.0\.0\.1|\[::1\])([:/?#]|$)|[A-Za-z][A-Za-z0-9+-]*(\.[A-Za-z0-9+-]+)+:)`}}},
		"nothing to update": {"app.updated", `{"app":{"key":"k"}}`, []Violation{{"/app", "members: at least 2"}}},
		"twice":             {"app.resources_changed", `{"app":{"key":"k","resources":["r","r"]}}`, []Violation{{"/app/resources", "items: each once"}}},
		"extra is no fault": {"app.retired", `{"app":{"key":"k","x":1},"y":[{}]}`, nil},
		"no JSON":           {"app.retired", `{`, []Violation{{"", "json: not JSON near byte 1"}}},
		"unknown event":     {"user.promoted", `{}`, []Violation{{"", "type: not in the catalogue"}}},
		"ambiguous":         {"user.rehired", `{"user":{"login":"m"},"USER":{"login":"o"}}`, []Violation{{"/USER", "json: member given twice (names differ in case only, or not at all)"}}},
		"a huge number":     {"app.resources_changed", `{"app":{"key":"k","resources":[1e999999999,1e999999998]}}`, []Violation{{"/app/resources/0", "json: number out of range"}}},
	} {
		if got := Validate(c.event, []byte(c.data)); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
	}
}

func TestViolationsQuoteNothing(t *testing.T) {
	const canary = "canary-4711"
	for _, data := range []string{
		`{"user":"` + canary + `"}`,
		`{"user":{"email":"` + canary + `","okta_id":"` + canary + ` x"},"effective_at":"` + canary + `","reason":["` + canary + `"]}`,
		`{"user":{"email":"` + canary + `@x@y"}}`,
		`{"user":{"login":"m"},"effective_at":"2026-12-01t10:00:00z` + canary + `"}`,
		`{"user":` + canary,
	} {
		for _, v := range Validate("user.terminated", []byte(data)) {
			if strings.Contains(v.Error(), canary) {
				t.Errorf("%s quotes", v)
			}
		}
		if _, err := Decode(Event{Type: "dev.keyturn.user.terminated.v1", Data: []byte(data)}); err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%v quotes", err)
		}
	}
}

// What Validate takes, Decode, SubjectOf and Marshal take.
func FuzzValidate(f *testing.F) {
	for i, row := range Catalogue() {
		for _, x := range examples(f, row.Name) {
			f.Add(i, []byte(x))
		}
	}
	rows := Catalogue()
	f.Fuzz(func(t *testing.T, i int, data []byte) {
		row := rows[uint(i)%uint(len(rows))]
		if len(Validate(row.Name, data)) > 0 {
			return
		}
		e := Event{ID: "1", Source: "/s", Type: row.Type(), Class: row.Class, Data: data}
		var err error
		if e.Subject, err = SubjectOf(e); err != nil {
			t.Fatal(err)
		}
		wire, err := Marshal(e)
		if err != nil {
			t.Fatalf("%q: %v", e.Subject, err)
		}
		back, err := Unmarshal(wire)
		if err != nil || back.Subject != e.Subject || back.ContentHash() != e.ContentHash() {
			t.Fatalf("%+v %v", back, err)
		}
		if ids := Principals(back); ids[0].Principal() != e.Subject || Person(back) == "" {
			t.Fatalf("%v", ids)
		}
	})
}
