package events

import (
	"encoding/base32"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNormalize(t *testing.T) {
	for _, c := range []struct {
		kind     Kind
		in, want string
	}{
		{Email, " Maria@ACME.example\t", "maria@acme.example"},
		{Email, "ｍａｒｉａ＠acme.example", "maria@acme.example"}, // full width
		{Email, "Jose\u0301@acme.example", "jos\u00e9@acme.example"},
		{Email, "STRASSE@acme.example", "strasse@acme.example"},
		{Email, "Stra\u00dfe@acme.example", "strasse@acme.example"},
		{Login, "\u00a0ΜΑΡΊΑΣ", "μαρίασ"}, // final sigma folds like any other
		{Login, "μαρίας", "μαρίασ"},
		{Login, "\u13a0", "\uab70"},
		{Login, "\uab70", "\uab70"},
		{DeviceHost, "Maria-MBP.Acme.Example", "maria-mbp.acme.example"},
		{EmployeeNumber, "e0042", "e0042"},
		{EmployeeNumber, "００42", "0042"},
		{OktaID, " 00uAbC ", "00uAbC"},
		{ClientID, "0oAx", "0oAx"},
		{AppKey, "CRM", "CRM"},
		{Login, " \u3000\u2003", ""},
	} {
		if got := Normalize(c.kind, c.in); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.kind, c.in, got, c.want)
		}
	}
}

func TestNormalizeIsIdempotent(t *testing.T) {
	kinds := []Kind{OktaID, EmployeeNumber, Email, Login, ASAUsername, DeviceHost, ClientID, AppKey}
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom(kinds).Draw(t, "kind")
		once := Normalize(k, rapid.String().Draw(t, "value"))
		if twice := Normalize(k, once); twice != once {
			t.Fatalf("%q becomes %q", once, twice)
		}
	})
}

func TestPrincipals(t *testing.T) {
	for _, c := range []struct {
		event, data, subject, person string
		ids                          []string
	}{
		{"user.terminated", `{"user":{"asa_username":"Maria","login":"M@acme.example"}}`, "user:m@acme.example", "user:m@acme.example",
			[]string{"login:m@acme.example", "asa_username:maria"}},
		{"user.rehired", `{"user":{"email":"Maria@acme.example","employee_number":"0042","okta_id":"00uA"}}`, "user:00uA", "user:00uA",
			[]string{"okta_id:00uA", "employee_number:0042", "email:maria@acme.example"}},
		{"user.compromised", `{"user":{"email":"m@acme.example","login":"m@acme.example"}}`, "user:m@acme.example", "user:m@acme.example",
			[]string{"email:m@acme.example", "login:m@acme.example"}},
		{"device.lost", `{"device":{"hostname":"MBP"},"user":{"email":"m@acme.example"}}`, "device:mbp", "user:m@acme.example",
			[]string{"device:mbp", "email:m@acme.example"}},
		{"device.enrolled", `{"device":{"hostname":"MBP"},"client_id":"c1","user":{"asa_username":"m"}}`, "device:mbp", "user:m",
			[]string{"device:mbp", "asa_username:m"}},
		{"client.compromised", `{"client_id":"0oA"}`, "client:0oA", "client:0oA", []string{"client:0oA"}},
		{"token.compromised", `{"token_id":"t","client_id":"0oA","authorization_server":"a"}`, "client:0oA", "client:0oA", []string{"client:0oA"}},
		{"app.retired", `{"app":{"key":"CRM"}}`, "app:CRM", "app:CRM", []string{"app:CRM"}},
	} {
		e := sample(t, c.event, []byte(c.data))
		var ids []string
		for _, id := range Principals(e) {
			ids = append(ids, id.String())
		}
		if e.Subject != c.subject || Person(e) != c.person || !slices.Equal(ids, c.ids) {
			t.Errorf("%s: subject %s, person %s, ids %v", c.event, e.Subject, Person(e), ids)
		}
	}
	if e := (Event{Type: "x", Subject: "user:a"}); Principals(e) != nil || Person(e) != "user:a" {
		t.Error("an unreadable event names somebody")
	}
}

// A guard must find a protected person under any of the names that an event gives.
func TestEveryIdentifierIsAPrincipal(t *testing.T) {
	e := sample(t, "user.terminated", []byte(`{"user":{"email":"BreakGlass@acme.example","okta_id":"00uA"}}`))
	var all []string
	for _, id := range Principals(e) {
		all = append(all, id.Principal())
	}
	if !slices.Equal(all, []string{"user:00uA", "user:breakglass@acme.example"}) {
		t.Error(all)
	}
}

func TestExactMembersOnly(t *testing.T) {
	var u UserRef
	if err := json.Unmarshal([]byte(`{"EMAIL":"other@acme.example","login":"m","Login":"o"}`), &u); err != nil {
		t.Fatal(err)
	}
	if u.Email != "" || u.Login != "m" || len(u.Extra) != 2 {
		t.Errorf("%+v", u)
	}
}

func TestExtraNeverReplacesAMember(t *testing.T) {
	u := UserRef{Login: "m", Extra: Extra{"login": json.RawMessage(`"o"`), "team": json.RawMessage(`"x"`)}}
	text, err := json.Marshal(u)
	if err != nil || string(text) != `{"login":"m","team":"x"}` {
		t.Errorf("%s %v", text, err)
	}
}

func TestEffectiveAt(t *testing.T) {
	e := sample(t, "user.terminated", []byte(`{"user":{"login":"m"},"effective_at":"2026-12-01T17:00:00.25+01:00"}`))
	if got, want := EffectiveAtOf(e), time.Date(2026, 12, 1, 16, 0, 0, 250e6, time.UTC); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got := EffectiveAtOf(sample(t, "user.rehired", []byte(`{"user":{"login":"m"}}`))); !got.IsZero() {
		t.Errorf("%v", got)
	}
}

func TestKeyer(t *testing.T) {
	if _, err := NewKeyer(make([]byte, 15)); err == nil {
		t.Error("a short key is taken")
	}
	secret := []byte("sample deployment key, 32 bytes.")
	k, err := NewKeyer(secret)
	if err != nil {
		t.Fatal(err)
	}
	const want = "e6u66n7vsznc7gvhpnblfyezt4"
	got := k.Key("user:maria@acme.example")
	if got != want {
		t.Errorf("key %s, want %s", got, want)
	}
	if raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(got)); err != nil || len(raw) != 16 {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	secret[0] = 'x'
	if k.Key("user:maria@acme.example") != got {
		t.Error("the key changes with its caller's bytes")
	}
	if k.Key("user:maria@acme.example ") == got {
		t.Error("two principals, one key")
	}
	if text := fmt.Sprintf("%v %+v %#v", k, k, k); strings.Contains(text, "sample") || strings.Contains(text, "115 97 109") {
		t.Errorf("prints its key: %s", text)
	}
}
