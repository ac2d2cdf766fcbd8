package actions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// puts counts the changes of clients that were asked for.
func (o *org) puts() int {
	n := 0
	for _, e := range o.sb.Journal() {
		if e.Method == "PUT" {
			n++
		}
	}
	return n
}

func TestUpdateOnlyWhatDiffers(t *testing.T) {
	ttl := map[string]any{"access_token_ttl": 600, "refresh_token_ttl": 1200}
	for name, tc := range map[string]struct {
		fields map[string]any
		puts   int
		field  string
		want   string
	}{
		"as it is":        {map[string]any{"name": "Wiki", "client_type": "web", "response_types": []string{"id_token", "code"}}, 0, "name", `"Wiki"`},
		"an empty list":   {map[string]any{"supported_prompts": []string{}}, 0, "name", `"Wiki"`},
		"a whole object":  {map[string]any{"token_expiration": map[string]any{"access_token_ttl": 300}}, 1, "token_expiration", `{"access_token_ttl":300,"refresh_token_ttl":1200}`},
		"of what it has":  {map[string]any{"token_expiration": map[string]any{"access_token_ttl": 600}}, 0, "token_expiration", `{"access_token_ttl":600,"refresh_token_ttl":1200}`},
		"a new object":    {map[string]any{"ciba_authorization": map[string]any{"enabled": true}}, 1, "ciba_authorization", `{"enabled":true}`},
		"another list":    {map[string]any{"redirect_uris": []string{"https://b.example/"}}, 1, "redirect_uris", `["https://b.example/"]`},
		"other members":   {map[string]any{"cost_center": "4711", "owner": "x", "pkce": "allowPkceAlongsideClientCredentials"}, 1, "cost_center", ""},
		"roles beside it": {map[string]any{"role_ids": []string{"writer"}, "session_expiration": 60}, 2, "role_ids", `["writer"]`},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			o := newOrg(t, 0, sandbox.Options{})
			o.addWiki(map[string]any{"token_expiration": ttl, "role_ids": []string{"reader"}})
			o.run(change("transmit.update_client", tc.fields))
			want := ledger.Verified
			if tc.field == "role_ids" {
				want = ledger.Applied
			}
			rec := o.ends("s", want)
			if got := o.field(tc.field); got != tc.want || o.puts() != tc.puts {
				t.Errorf("%s is %s after %d changes, want %s after %d", tc.field, got, o.puts(), tc.want, tc.puts)
			}
			if want == ledger.Applied && !strings.Contains(fmt.Sprint(rec.Evidence.Seen), "cannot be read back") {
				t.Errorf("evidence %+v", rec.Evidence.Seen)
			}
			if name == "other members" && saw(rec, "members of the app that are no fields of a client") != "cost_center, owner" {
				t.Errorf("evidence %+v", rec.Evidence.Seen)
			}
		})
	}
}

func TestDescriptionKeepsTheMark(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	id := o.addWiki(nil)
	o.run(act("s", "transmit.update_client", map[string]any{"client_id": id, "app": map[string]any{"description": "all that we know"}}))
	o.ends("s", ledger.Verified)
	if got := o.sb.Snapshot().Mosaic.Named("Wiki")[0].Description; !strings.HasPrefix(got, "[idem:") || !strings.HasSuffix(got, "] all that we know") {
		t.Errorf("description %q", got)
	}
}

// TestUpdateRefuses: each of these is for a person, and nothing is changed.
func TestUpdateRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		with map[string]any
		says string
	}{
		"an unknown app":      {map[string]any{"app": map[string]any{"key": "other", "name": "n"}}, "app.onboarded first"},
		"an unknown client":   {map[string]any{"app": map[string]any{"name": "n"}, "client_id": "none"}, "check client_id"},
		"no such member":      {map[string]any{"app": map[string]any{"key": "REQ-1", "token_expiration": map[string]any{"acces_token_ttl": 5}}}, "token_expiration"},
		"half an object":      {map[string]any{"app": map[string]any{"key": "REQ-1", "device_authorization": map[string]any{"enabled": true}}}, "lacks a member"},
		"a scheme for a page": {map[string]any{"app": map[string]any{"key": "REQ-1", "redirect_uris": []string{"com.acme.wiki:/cb"}}}, "redirect_uris[0]"},
		"no field":            {map[string]any{"app": map[string]any{"key": "REQ-1", "owner": "x"}}, "names no field"},
		"no app":              {map[string]any{"app": map[string]any{"name": "n"}}, "neither app.key nor client_id"},
		"no redirect":         {map[string]any{"app": map[string]any{"key": "REQ-1", "redirect_uris": []string{}}}, "at least one"},
		"no role":             {map[string]any{"app": map[string]any{"key": "REQ-1", "role_ids": []string{}}}, "roles_waived"},
		"text for a number":   {map[string]any{"app": map[string]any{"key": "REQ-1", "session_expiration": "long"}}, "with.app"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			o := newOrg(t, 0, sandbox.Options{})
			o.addWiki(nil)
			o.run(act("s", "transmit.update_client", tc.with))
			rec := o.ends("s", ledger.Dead)
			if f := rec.Evidence.Failure; !strings.Contains(f.Error+" "+f.Suggestion, tc.says) || f.Suggestion == "" {
				t.Errorf("failure %+v", f)
			}
			if effects := o.once(); len(effects) != 0 {
				t.Errorf("effects %v", effects)
			}
		})
	}
}

func TestUpdateOfAnotherProtocol(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	id := o.sb.AddMosaicClient(sandbox.MosaicClientSpec{Name: "Wiki", Fields: map[string]any{"sp_entity_id": "e"}}).ClientID
	o.run(act("s", "transmit.update_client", map[string]any{
		"client_id": id, "app": map[string]any{"key": "REQ-1", "authentication_protocol": "oidc", "name": "n"},
	}))
	o.ends("s", ledger.Dead)
}

// TestUpdateThatResetsTheRest: the vendor does not say that what is absent keeps its value.
func TestUpdateThatResetsTheRest(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	id := o.addWiki(nil)
	o.fault(sandbox.Fault{
		Method: "GET", Path: "/mosaic/cis/v1/clients/*", Skip: 1, Kind: sandbox.KindStatus, Status: 200, Times: -1,
		Body: `{"client_id":"` + id + `","name":"Wiki","pkce":"allowPkceAlongsideClientCredentials"}`,
	})
	o.run(change("transmit.update_client", map[string]any{"pkce": "allowPkceAlongsideClientCredentials"}))
	if rec := o.ends("s", ledger.Dead); !strings.Contains(rec.Evidence.Failure.Error, "was not named") {
		t.Errorf("failure %+v", rec.Evidence.Failure)
	}
}

// TestUpdateIsFixed: the client that was found first is the one, whatever becomes of the mark; and once it is deleted
// no other takes its place.
func TestUpdateIsFixed(t *testing.T) {
	for _, gone := range []bool{false, true} {
		o := newOrg(t, 0, sandbox.Options{})
		older := o.addWiki(nil)
		o.now = o.now.Add(time.Hour)
		younger := o.addWiki(nil)
		o.fault(sandbox.Fault{Method: "PUT", Kind: sandbox.KindStatus, Status: 502})
		o.begin(change("transmit.update_client", map[string]any{"name": "New"}))
		o.deliver(o.queue[0])
		rec := o.last("s")
		if rec.Evidence.Pins["client"] != older || !strings.Contains(saw(rec, "client "+younger), "younger") {
			t.Fatalf("%+v", rec.Evidence)
		}
		want := ledger.Verified
		if gone {
			want = ledger.Dead
			if _, err := o.clients.Transmit.DeleteClient(t.Context(), older); err != nil {
				t.Fatal(err)
			}
		}
		o.work()
		rec = o.ends("s", want)
		if gone && !strings.Contains(rec.Evidence.Failure.Error, "deleted meanwhile") {
			t.Errorf("failure %+v", rec.Evidence.Failure)
		}
		if got := len(o.sb.Snapshot().Mosaic.Named("New")); (got == 1) == gone {
			t.Errorf("%d clients have the new name", got)
		}
	}
}

func TestResources(t *testing.T) {
	for name, tc := range map[string]struct {
		want any
		end  ledger.State
		puts int
		left string
	}{
		"the same in another order": {[]string{"b", "a", "b"}, ledger.Verified, 0, `["a","b"]`},
		"none":                      {[]string{}, ledger.Verified, 1, `[]`},
		"not named":                 {nil, ledger.Dead, 0, `["a","b"]`},
		"an empty id":               {[]string{" "}, ledger.Dead, 0, `["a","b"]`},
	} {
		o := newOrg(t, 0, sandbox.Options{})
		o.addWiki(map[string]any{"resources": []string{"a", "b"}})
		o.run(change("transmit.set_resources", map[string]any{"resources": tc.want}))
		o.ends("s", tc.end)
		if got := o.field("resources"); got != tc.left || o.puts() != tc.puts {
			t.Errorf("%s: %s after %d changes", name, got, o.puts())
		}
	}
}
