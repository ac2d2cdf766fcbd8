package events

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzAccept: a check accepts what the validator finds no fault in, and nothing else.
func FuzzAccept(f *testing.F) {
	for _, data := range []string{
		`{"user": {"email": "maria@acme.example"}}`, `{"user": {"email": " "}}`, `{"user": {"okta_id": "00u1", "x": [1, {"y": null}]}, "reason": "a\tb"}`,
		`{"user": {}, "effective_at": "2026-12-01T17:00:00+01:00"}`, `{"user": {"login": "a\u0085b"}}`, `{"user": {"login": "\u00a0"}}`, `{"user": "maria"}`,
		`{"device": {"serial": "C02", "hostname": "mbp"}, "user": {"asa_username": "maria"}, "reason": "a\u0007"}`, `{"effective_at": 1, "user": null}`,
		`{"client_id": "0oa1", "authorization_server": "default", "token_id": "oar1"}`, `{"client_id": "0oa 1"}`, `{"user": {"email": ""}, "reason": ""}`,
		`{"user": {"email": "m@acme.example"}, "effective_at": "2026-12-01"}`, `{"user": {"okta_id": "a\n"}}`, `[]`, `{"user": {"employee_number": 7}}`,
		`{"user": {"okta_id": "00u1"}, "n": 99e308}`,
	} {
		f.Add([]byte(data))
	}
	set, err := compiled()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := parse(data)
		members, errToo := object(data)
		if _, isObject := tree.(map[string]any); err != nil || !isObject {
			if errToo == nil {
				t.Fatalf("%q is read as an object, and cannot be read: %v", data, err)
			}
			return
		}
		if errToo != nil {
			t.Fatalf("%q: %v", data, errToo)
		}
		if diff := cmp.Diff(tree, native(members)); diff != "" {
			t.Fatalf("-tree +object:\n%s", diff)
		}
		for name, s := range set {
			if s.check == nil {
				continue
			}
			err := s.Validate(tree)
			if got := s.accepts(members); got != (err == nil) {
				t.Errorf("%s: %q: accepted %v, the validator says %v", name, data, got, err)
			}
		}
	})
}

// TestChecks: the events of people, lost devices, clients and tokens come by the thousand, and have a check.
func TestChecks(t *testing.T) {
	set, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"user.terminated", "user.termination_rescinded", "user.rehired", "user.compromised", "device.lost", "client.compromised", "token.compromised",
	} {
		if set[name].check == nil {
			t.Errorf("%s has none: its schema says more than a check can", name)
		}
	}
}

// FuzzInspect: with checks and without, data is found to say the same, with the same faults.
func FuzzInspect(f *testing.F) {
	for _, data := range []string{
		`{"user": {"email": "Maria@acme.example", "login": "m"}, "effective_at": "2026-12-01T17:00:00+01:00", "z": 1.50, "a": "<&>"}`,
		`{"user": {"email": "m@acme.example"}}`, `{"user": {"email": "\ud83d"}}`, `{"user": {"email": "a", "EMAIL": "b"}}`, `{"user": {"email": "a"}} x`,
		`{"effective_at": "0001-01-01T00:00:00Z", "user": {"email": "a"}}`, `{"client_id": "0oa1"}`, `{"user": {"email": " "}}`, "{\"user\": {\"email\": \"\xff\"}}",
		`{"user": {"okta_id": "00u1"}, "n": [99e308]}`,
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{"user.terminated", "user.rehired", "device.lost", "client.compromised"} {
			row, _ := Lookup(name)
			got, faults := Inspect(name, data)
			want, wantFaults := inspect(row, data)
			if len(wantFaults) > 0 {
				want = Inspected{}
			}
			if diff := cmp.Diff(want, got) + cmp.Diff(wantFaults, faults); diff != "" {
				t.Errorf("%s: %q: -slow +quick:\n%s", name, data, diff)
			}
			var plain map[string]any
			if err := json.Unmarshal(got.Data, &plain); len(faults) == 0 && err != nil {
				t.Errorf("%q is taken, and who plans cannot read it: %v", data, err)
			}
			if again, err := Canonical(got.Data); len(faults) == 0 && (err != nil || string(again) != string(got.Data)) {
				t.Errorf("%q: %s is not canonical, %v", data, got.Data, errors.Join(err))
			}
		}
	})
}
