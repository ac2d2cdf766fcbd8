package actions_test

import (
	"slices"
	"testing"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// addWiki adds the client that transmit.ensure_client would have made for wiki, with further fields.
func (o *org) addWiki(fields map[string]any) (id string) {
	return o.sb.AddMosaicClient(sandbox.MosaicClientSpec{
		Name: "Wiki", Description: actions.MarkOf("sample", wiki().Key) + " the company's wiki", RedirectURIs: wiki().RedirectURIs, Fields: fields,
	}).ClientID
}

// field reads a field of the only client named Wiki.
func (o *org) field(name string) string {
	o.t.Helper()
	made := o.sb.Snapshot().Mosaic.Named("Wiki")
	if len(made) != 1 {
		o.t.Fatalf("%d clients named Wiki", len(made))
	}
	return string(made[0].Fields[name])
}

// application gives the id of the sandbox's Mosaic application.
func application(t *testing.T) string {
	t.Helper()
	listed, err := newOrg(t, 0, sandbox.Options{}).clients.Transmit.ListClients(t.Context())
	if err != nil || len(listed) == 0 {
		t.Fatalf("%d clients, %v", len(listed), err)
	}
	return listed[0].AppID
}

// change makes an action about the app with these fields.
func change(do string, fields map[string]any) events.Action {
	app := map[string]any{"key": wiki().Key}
	for k, v := range fields {
		app[k] = v
	}
	return act("s", do, map[string]any{"app": app})
}

func appScenarios(t *testing.T) []scenario {
	app := application(t)
	lied := func(o *org) bool {
		return len(o.sb.Faults()) > 0 && o.sb.Faults()[0].Fault.Kind == sandbox.KindNoEffect
	}
	return []scenario{
		{"app update", func(sandbox.Acme) events.Action {
			return change("transmit.update_client", map[string]any{
				"redirect_uris": []string{"https://wiki.acme.example/cb", "https://wiki2.acme.example/cb"}, "pkce": "enforcePkceInsteadOfClientCredentials",
			})
		}, ledger.Verified, func(t *testing.T, o *org, _ sandbox.State) {
			if got := o.field("redirect_uris") + o.field("pkce"); got != `["https://wiki.acme.example/cb","https://wiki2.acme.example/cb"]"enforcePkceInsteadOfClientCredentials"` {
				t.Errorf("the client has %s", got)
			}
		}},
		{"app roles", func(sandbox.Acme) events.Action {
			return change("transmit.update_client", map[string]any{"role_ids": []string{"writer"}, "is_third_party": false})
		}, ledger.Applied, func(t *testing.T, o *org, _ sandbox.State) {
			if got := o.field("role_ids") + o.field("is_third_party"); got != `["writer"]false` && !lied(o) { // nobody can tell
				t.Errorf("the client has %s", got)
			}
		}},
		{"app resources", func(sandbox.Acme) events.Action {
			return change("transmit.set_resources", map[string]any{"resources": []string{"b", "a"}})
		}, ledger.Verified, func(t *testing.T, o *org, _ sandbox.State) {
			if got := o.field("resources"); got != `["a","b"]` {
				t.Errorf("the client has %s", got)
			}
		}},
		{"app delete", func(sandbox.Acme) events.Action { return change("transmit.delete_client", nil) }, ledger.Verified,
			func(t *testing.T, o *org, before sandbox.State) {
				if n := len(before.Mosaic.Clients) - len(o.sb.Snapshot().Mosaic.Clients); n != 1 || len(o.sb.Snapshot().Mosaic.Named("Wiki")) != 0 {
					t.Errorf("%d clients went", n)
				}
			}},
		{"app delete all", func(sandbox.Acme) events.Action {
			return act("s", "transmit.delete_all_clients", map[string]string{"app_id": app})
		}, ledger.Applied, func(t *testing.T, o *org, _ sandbox.State) {
			if n := len(o.sb.Snapshot().Mosaic.Clients); n != 0 {
				t.Errorf("%d clients are left", n)
			}
		}},
	}
}

// onlyRevoked checks that these refresh tokens are gone and every other one is there.
func (o *org) onlyRevoked(before sandbox.State, ids ...string) {
	o.t.Helper()
	now := o.sb.Snapshot().Okta.Tokens
	for _, was := range before.Okta.Tokens {
		left := slices.ContainsFunc(now, func(x sandbox.RefreshToken) bool { return x.ID == was.ID })
		if left == slices.Contains(ids, was.ID) {
			o.t.Errorf("token %s of %s at %s is there: %v", was.ID, was.UserID, was.ServerID, left)
		}
	}
}

// updateOf makes a change of the description.
func updateOf(description string) transmit.Update {
	return transmit.Update{Common: transmit.Common{Description: description}}
}
