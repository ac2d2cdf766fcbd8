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
	body   any    // the delivery in the sender's own form; nil = a CloudEvent of id, kind and data
	want   string // where the case ends: a state of its plan or of the case itself
	after  string // id of the scene whose case must have reached its plan before this one is sent
}

// Sample data: plainly so, and never anybody's.
type object = map[string]any

func personOf(p sandbox.Person) object { return object{"email": p.Login} }

// Who of the staff has a part in the demo.
const (
	wildPeople = 6 // the first of the staff, whom a feed that has gone wrong says to have left
	wildBrake  = 5 // terminations an hour in the demo: the leaver and four of these pass
)

// reporter is the one of the staff who reports what they did not do.
func reporter(acme sandbox.Acme) sandbox.Person { return acme.Staff[len(acme.Staff)-1] }

// script is the demo's story, in the order in which it is told. What is posted says when it happened, so that a resend
// is the same.
func script(acme sandbox.Acme, now time.Time) []scene {
	tomorrow := now.UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	return []scene{
		{
			title: "termination", source: "hr-relay", id: "hr-1001", kind: "user.terminated",
			data: object{"user": personOf(acme.Leaver), "reason": "left the company"}, want: "closed_with_residual",
		},
		{title: "stolen laptop (Jamf)", source: "jamf", id: "jamf-7", body: jamfLost(acme.Traveller, now), want: "closed"},
		{
			title: "leaked OAuth client (Alertmanager)", source: "alerts", id: "alert-5f1c",
			body: leakAlert(acme.SharedClient, now), want: "closed_with_residual",
		},
		{
			title: "suspicious activity (Okta hook)", source: "okta-hooks", id: "okta-who1",
			body: oktaReport(reporter(acme), now), want: "closed_with_residual",
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
			title: "last day tomorrow (BambooHR)", source: "bamboohr", id: "bamboo-1",
			body: bambooChange(acme.NextDay, tomorrow, now), want: "cancelled",
		},
		{
			title: "… which is taken back", source: "bamboohr", id: "bamboo-2",
			body: bambooChange(acme.NextDay, "", now.Add(time.Second)), want: "closed", after: "bamboo-1",
		},
	}
}

// event is the delivery of a scene, as its sender writes it: the same bytes at every resend.
func (s scene) event(at time.Time) ([]byte, error) {
	if s.body != nil {
		return json.Marshal(s.body)
	}
	return json.Marshal(object{
		"specversion": "1.0", "id": s.id, "source": "https://" + s.source + ".acme.example",
		"type": "dev.keyturn." + s.kind + ".v1", "time": at.UTC().Format(time.RFC3339Nano),
		"datacontenttype": "application/json", "data": s.data,
	})
}

// contentType is what the scene's sender says that it posts.
func (s scene) contentType() string {
	if s.body != nil {
		return "application/json"
	}
	return "application/cloudevents+json"
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
