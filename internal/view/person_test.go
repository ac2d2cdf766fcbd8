package view_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/ledger"
	"keyturn/internal/view"
)

// knows writes what a person's order record says.
func (b *book) knows(key, body string) {
	b.Helper()
	b.write(1, ledger.Record{Subject: ledger.OrderSubject(key), State: ledger.Kept, Body: json.RawMessage(body)})
}

func TestPersonUnderEveryName(t *testing.T) {
	b := newBook(t)
	byMail := b.plan("user.terminated", "1", "user:maria@acme.example")
	b.planned(1, byMail, ledger.Planned, "")
	byNumber := b.plan("user.rehired", "2", "user:4217")
	b.planned(1, byNumber, ledger.Planned, "")
	mail, number := keyOf("user:maria@acme.example"), keyOf("user:4217")
	b.knows(number, `{"entries":[],"names":[{"key":"`+number+`","id":"employee_number:4217","since":"2026-03-02T12:00:00Z"},`+
		`{"key":"`+mail+`","id":"email:maria@acme.example"}],"joins":[{"case":"c","event":"user.rehired","time":"2026-03-02T12:00:01Z",`+
		`"names":["employee_number:4217","email:maria@acme.example"],"from":["`+mail+`"]}]}`)
	b.knows(mail, `{"entries":[],"into":"`+number+`"}`)
	b.knows("given", `{"entries":[],"moved":"`+mail+`"}`)
	want := view.Person{
		ID:    number,
		Names: []view.Name{{Key: number, ID: "employee_number:4217", Since: noon}, {Key: mail, ID: "email:maria@acme.example"}},
		Joins: []view.Joint{{Case: "c", Event: "user.rehired", Time: noon.Add(time.Second),
			Names: []string{"employee_number:4217", "email:maria@acme.example"}, From: []string{mail}}},
	}
	r := view.New(b)
	for _, key := range []string{mail, number, "given"} {
		got, err := r.Who(t.Context(), key)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", key, err, diff)
		}
		if rows, err := r.Person(t.Context(), key); err != nil || len(rows) != 2 || rows[0].ID != byNumber.Case || rows[1].ID != byMail.Case {
			t.Errorf("%s: %+v, %v", key, rows, err)
		}
	}
	if got := want.Known([]string{"stranger", mail}); len(got) != 1 || got[0] != mail {
		t.Errorf("known: %v", got)
	}
	b.knows("broken", `"x"`)
	if _, err := r.Person(t.Context(), "broken"); err == nil {
		t.Error("a record that cannot be read was taken for a person")
	}
}
