package people

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"keyturn/internal/events"
)

// stored is an order record's body in which nothing is left out, as ledgers have it.
const stored = `{"names":[{"key":"k1","id":"employee_number:4217","since":"2026-03-02T12:00:00Z"},{"key":"k2","id":"email:maria@acme.example"}],` +
	`"joins":[{"case":"c1","event":"user.rehired","time":"2026-03-02T12:00:01Z","names":["employee_number:4217"],"from":["k2"],"both":true,` +
	`"claimed":["email:maria@acme.example"]}],` +
	`"entries":[{"case":"c1","hash":"h","accepted":"2026-03-02T12:00:01Z","event":{"id":"1","source":"/hr","type":"dev.keyturn.user.rehired.v1",` +
	`"subject":"user:4217","time":"2026-03-02T12:00:00Z"},"at":"2026-03-02T12:00:00Z","by":"k1","void":true}],` +
	`"was":["k2"],"apart":["k3"],"into":"k4","moved":"k5"}`

// The form in which the ledger keeps a person must not change by a byte: what stands there is read for ever.
func TestStoredForm(t *testing.T) {
	var o Order
	if err := json.Unmarshal([]byte(stored), &o); err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(o); err != nil || string(got) != stored {
		t.Errorf("%v: %s\nwant %s", err, got, stored)
	}
	if got, err := json.Marshal(Order{}); err != nil || string(got) != `{"entries":null}` {
		t.Errorf("%v: nobody is %s", err, got)
	}
}

// require is what hear needs of a test.
type require interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
}

// book has what is written under each key.
type book map[string]Person[int]

func (b book) load(key string) (Person[int], error) {
	if p, known := b[key]; known {
		return p, nil
	}
	return Person[int]{ID: key}, nil
}

// named are an event's names.
func named(minute int, ids ...string) (names []Name) {
	for _, id := range ids {
		_, key, _ := strings.Cut(id, ":")
		names = append(names, Name{key, id, time.Unix(int64(minute)*60, 0)})
	}
	return names
}

// hear takes in the names of an event, as those who use the package do, and gives the keys that were written.
func (b book) hear(t require, minute int, ids ...string) (wrote string) {
	t.Helper()
	write := func(list ...Person[int]) {
		for _, p := range list {
			p.Known, p.Rec = true, p.Rec+1
			b[p.ID], wrote = p, wrote+p.ID+" "
		}
	}
	c, err := Load[int](b.load).Gather(named(minute, ids...))
	before, _ := json.Marshal(c.Parts)
	who, met := c.Unite(Joint{Case: strings.Join(ids, " ")})
	if after, _ := json.Marshal(c.Parts); err != nil || string(after) != string(before) {
		t.Errorf("%v, or the parts became %s, were %s", err, after, before)
	}
	if met {
		write(who)
	}
	write(c.Others(who.ID)...)
	for _, l := range c.Claims {
		if l.Moves {
			given, err := c.Give(b.load, l, who.ID)
			if write(given...); err != nil {
				t.Error(err)
			}
		}
	}
	return wrote
}

// What is written comes in the order that dying between two writes allows, and names lead to whom they call.
func TestWhoIsWho(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []string
		wrote  string            // by the last of them
		called map[string]string // by key
	}{
		{"joined, under the smallest id", []string{"login:z email:m", "okta_id:a login:z"}, "a m ", map[string]string{"z": "a", "m": "a", "a": "a"}},
		{"nothing new", []string{"login:z email:m", "login:z email:m"}, "", map[string]string{"z": "m", "m": "m"}},
		{"a mailbox given anew", []string{"okta_id:a email:m", "okta_id:b email:m"}, "b a m ", map[string]string{"a": "a", "b": "b", "m": "b"}},
		{"taken back", []string{"okta_id:a email:m", "okta_id:b email:m", "okta_id:a email:m"}, "a b m ", map[string]string{"a": "a", "b": "b", "m": "a"}},
		{"its holder is kept under it", []string{"okta_id:x email:m", "okta_id:b email:m"}, "b m ", map[string]string{"x": "m", "b": "b", "m": "b"}},
		{"a common mailbox joins nobody", []string{"employee_number:1 email:m", "employee_number:2 okta_id:o email:m"}, "2 o 1 m ",
			map[string]string{"1": "1", "2": "2", "o": "2", "m": "2"}},
		{"a login that is the e-mail of one with another login", []string{"login:m.g email:m", "login:m"}, "", map[string]string{"m": "m", "m.g": "m"}},
		{"a login that is an account name", []string{"login:z.g asa_username:z", "login:z"}, "", map[string]string{"z": "z", "z.g": "z"}},
		{"a login that is a number", []string{"employee_number:4 login:m", "login:4"}, "", map[string]string{"4": "4", "m": "4"}},
		{"two names that are others'", []string{"login:a email:b", "login:c email:d", "login:b asa_username:d"}, "", map[string]string{"b": "a", "d": "c"}},
		{"a login that is another's number, with another address", []string{"employee_number:4 email:m", "login:4 email:z"}, "z 4 ",
			map[string]string{"4": "z", "m": "4", "z": "z"}},
		{"a login that is another's number, with the same address", []string{"employee_number:4 email:m", "login:4 email:m"}, "4 ",
			map[string]string{"4": "4", "m": "4"}},
		{"an address that is the login", []string{"employee_number:4 email:m", "login:m email:z"}, "4 z ",
			map[string]string{"4": "4", "m": "4", "z": "4"}},
		{"another's e-mail that is the login", []string{"okta_id:o email:m login:m", "login:a email:m", "okta_id:o email:m"}, "m a m ",
			map[string]string{"o": "m", "m": "m", "a": "a"}},
		{"one of them free", []string{"login:m.g email:m", "okta_id:o login:m"}, "o m ", map[string]string{"m": "o", "m.g": "m", "o": "o"}},
	} {
		b, wrote := book{}, ""
		for minute, e := range c.events {
			wrote = b.hear(t, minute, strings.Fields(e)...)
		}
		if wrote != c.wrote {
			t.Errorf("%s: wrote %s, want %s", c.name, wrote, c.wrote)
		}
		for key, want := range c.called {
			if p, err := Load[int](b.load).Find(key); err != nil || p.ID != want {
				t.Errorf("%s: %s calls %s (%v), want %s", c.name, key, p.ID, err, want)
			}
		}
	}
}

// A name that is another person's leads there also when that one turned out to be the person who is kept under it.
func TestFindEnds(t *testing.T) {
	b := book{"k": {ID: "k", Order: Order{Moved: "x", Was: []string{"x"}}}, "x": {ID: "x", Order: Order{Into: "k"}}}
	if p, err := Load[int](b.load).Find("k"); err != nil || p.ID != "k" || !slices.Equal(p.IDs(), []string{"k", "x"}) {
		t.Errorf("%v (%v)", p, err)
	}
}

// Whatever names events give, of all kinds and alike by their text, everybody is found who was called, two Okta ids are never
// one person's, and guards count for the event that was heard last the person in whose order it stands.
func TestAnyNames(t *testing.T) {
	kinds := []string{"okta_id", "employee_number", "email", "login", "asa_username"}
	rapid.Check(t, func(t *rapid.T) {
		b, texts := book{}, []string{"a", "b", "c", "d"}
		for minute := range rapid.IntRange(1, 8).Draw(t, "events") {
			var ids []string
			for _, kind := range kinds {
				if text := rapid.SampledFrom(append(texts, "", "", "")).Draw(t, kind); text != "" {
					ids = append(ids, kind+":"+text)
				}
			}
			if len(ids) == 0 {
				continue
			}
			c, _ := Load[int](b.load).Gather(named(minute, ids...))
			who, _ := c.Unite(Joint{})
			b.hear(t, minute, ids...)
			for _, text := range texts {
				if p, err := Load[int](b.load).Find(text); err != nil || p.Into != "" {
					t.Errorf("%s leads to %+v (%v)", text, p, err)
				}
			}
			if p, _ := Load[int](b.load).Whose(named(minute, ids...), ids[0][strings.Index(ids[0], ":")+1:]); p.ID != who.ID {
				t.Errorf("guards count %s, the order is of %s", p.ID, who.ID)
			}
			for _, p := range b {
				okta := slices.DeleteFunc(slices.Clone(p.Names), func(n Name) bool { return !n.is("okta_id") })
				if len(okta) > 1 {
					t.Errorf("%s has the Okta ids %v", p.ID, okta)
				}
			}
		}
	})
}

// Two events are about one person by what they share, and about two by what they call otherwise: both ways alike.
func TestUnlike(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"employee_number:4 email:m", "employee_number:4 email:m", ""},
		{"employee_number:4 email:m", "employee_number:4 email:z", "email"},
		{"employee_number:4 email:m", "employee_number:5 email:z", "employee_number email"},
		{"employee_number:4 email:m", "login:m email:z", ""},
		{"employee_number:4 email:m", "login:z", ""},
		{"okta_id:o login:m", "okta_id:o login:z", ""},
		{"okta_id:o login:m", "okta_id:x login:m", "okta_id"},
	} {
		for _, got := range [][]string{Unlike(idents(c.a), idents(c.b)), Unlike(idents(c.b), idents(c.a))} {
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s and %s: %q, want %q", c.a, c.b, got, c.want)
			}
		}
	}
}

// idents reads identifiers of one-letter values: email:m login:z.
func idents(text string) (list []events.Identifier) {
	for _, id := range strings.Fields(text) {
		kind, value, _ := strings.Cut(id, ":")
		list = append(list, events.Identifier{Kind: events.Kind(kind), Value: value})
	}
	return list
}

func TestUnnamed(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"employee_number:4 email:m", "email:m", ""},
		{"employee_number:4 email:m", "okta_id:o login:m", ""},
		{"email:m", "employee_number:4 email:m login:z", ""},
		{"login:z email:m", "email:m", "login"},
		{"okta_id:o login:z email:m", "employee_number:4", "okta_id login email"},
	} {
		if got := Unnamed(idents(c.a), idents(c.b)); strings.Join(got, " ") != c.want {
			t.Errorf("of %s, %s leaves out %q, want %q", c.a, c.b, got, c.want)
		}
	}
}
