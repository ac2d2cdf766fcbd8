package main

import (
	"encoding/json"
	"time"

	"keyturn/internal/sandbox"
)

// scene is one thing that happens in the demo: a delivery, and what must become of it.
type scene struct {
	title  string // for the table
	source string // which source sends it
	id     string // of the event, and the same at its resend
	kind   string // catalogue name
	data   any    // the event's data
	want   string // where the case ends: a state of its plan or of the case itself
	after  string // id of the scene whose case must have reached its plan before this one is sent
}

// Sample data: plainly so, and never anybody's.
type object = map[string]any

func personOf(p sandbox.Person) object { return object{"email": p.Login} }

// script is the demo's story, in the order in which it is told.
func script(acme sandbox.Acme, now time.Time) []scene {
	tomorrow := now.Add(24 * time.Hour).UTC().Format(time.RFC3339)
	return []scene{
		{
			title: "termination", source: "hr-relay", id: "hr-1001", kind: "user.terminated",
			data: object{"user": personOf(acme.Leaver), "reason": "left the company"}, want: "closed_with_residual",
		},
		{
			title: "stolen laptop", source: "siem", id: "siem-77", kind: "device.lost",
			data: object{"device": object{"hostname": acme.Traveller.Hostnames[0]}, "user": personOf(acme.Traveller)}, want: "closed",
		},
		{
			title: "compromised OAuth client", source: "siem", id: "siem-78", kind: "client.compromised",
			data: object{"client_id": acme.SharedClient}, want: "closed_with_residual",
		},
		{
			title: "app onboarding", source: "onboarding", id: "onb-42", kind: "app.onboarded",
			data: object{"app": object{
				"key": "expense-portal", "name": "Expense portal", "client_type": "web",
				"redirect_uris": []string{"https://expenses.acme.example/callback"}, "role_ids": []string{"role-expense-reader"},
			}}, want: "closed",
		},
		{
			title: "termination of a protected person", source: "hr-relay", id: "hr-1000", kind: "user.terminated",
			data: object{"user": personOf(acme.BreakGlass)}, want: "refused",
		},
		{
			title: "termination for tomorrow", source: "hr-relay", id: "hr-1003", kind: "user.terminated",
			data: object{"user": personOf(acme.NextDay), "effective_at": tomorrow}, want: "cancelled",
		},
		{
			title: "… which is rescinded", source: "hr-relay", id: "hr-1004", kind: "user.termination_rescinded",
			data: object{"user": personOf(acme.NextDay)}, want: "closed", after: "hr-1003",
		},
	}
}

// event is the CloudEvent of a scene, as its sender writes it: the same bytes at every resend.
func (s scene) event(at time.Time) ([]byte, error) {
	return json.Marshal(object{
		"specversion": "1.0", "id": s.id, "source": "https://" + s.source + ".acme.example",
		"type": "dev.keyturn." + s.kind + ".v1", "time": at.UTC().Format(time.RFC3339Nano),
		"datacontenttype": "application/json", "data": s.data,
	})
}

// trouble is what the providers do to the demo: they throttle, fail, lie and hang up.
func trouble() []sandbox.Fault {
	return []sandbox.Fault{
		{Method: "POST", Path: "/okta/api/v1/users/{userId}/lifecycle/suspend", Kind: sandbox.KindStatus, Status: 429, RetryIn: time.Second},
		{Method: "DELETE", Path: "/okta/api/v1/users/{userId}/clients/{clientId}/tokens", Skip: 1, Kind: sandbox.KindStatus, Status: 500},
		{Method: "DELETE", Path: "/okta/api/v1/users/{userId}/clients/{clientId}/tokens", Skip: 2, Kind: sandbox.KindNoEffect},
		{Method: "DELETE", Path: "/asa/v1/teams/{team}/clients/{id}", Kind: sandbox.KindEffectThenTimeout},
		{Method: "GET", Path: "/asa/v1/teams/{team}/clients", Skip: 1, Kind: sandbox.KindStatus, Status: 503},
		{Method: "POST", Path: "/mosaic/cis/v1/clients", Kind: sandbox.KindEffectThenTimeout},
	}
}
