package main

import (
	"time"

	"keyturn/internal/sandbox"
)

// The bodies of senders that know nothing of Keyturn, each in its own form (internal/ingest/presets has what they mean).

// bambooChange is what BambooHR posts when the last day of a person changes; an empty day takes it back.
func bambooChange(p sandbox.Person, lastDay string, at time.Time) object {
	value := func(s string) object { return object{"value": s} }
	return object{"employees": []object{{
		"id": p.EmployeeNumber, "action": "Updated", "timestamp": at.UTC().Format(time.RFC3339), "changedFields": []string{"terminationDate"},
		"fields": object{
			"status": value("Active"), "terminationDate": value(lastDay), "workEmail": value(p.Login), "employeeNumber": value(p.EmployeeNumber),
		},
	}}}
}

// jamfLost is what Jamf Pro posts when a computer joins the smart group of lost devices.
func jamfLost(p sandbox.Person, at time.Time) object {
	return object{
		"webhook": object{"id": 7, "name": "keyturn", "webhookEvent": "SmartGroupComputerMembershipChange", "eventTimestamp": at.UnixMilli()},
		"event": object{
			"name": "keyturn:device.lost", "jssid": 33, "smartGroup": true, "computer": true, "groupRemovedDevices": []object{},
			"groupAddedDevices": []object{{"id": "41", "name": p.Hostnames[0], "Email Address": p.Login}},
		},
	}
}

// leakAlert is what Alertmanager posts while an alert about a leaked OAuth client fires.
func leakAlert(client string, at time.Time) object {
	return object{
		"version": "4", "groupKey": "{}:{alertname=\"ClientSecretLeaked\"}", "status": "firing", "receiver": "keyturn",
		"alerts": []object{{
			"status": "firing", "fingerprint": "5f1c09be2a774d10", "startsAt": at.UTC().Format(time.RFC3339Nano), "annotations": object{},
			"labels": object{"alertname": "ClientSecretLeaked", "keyturn_event": "client.compromised", "client_id": client, "reason": "secret seen on a paste site"},
		}},
	}
}

// oktaReport is what Okta's event hook posts when a person reports what they did not do.
func oktaReport(p sandbox.Person, at time.Time) object {
	return object{"eventType": "com.okta.event_hook", "source": "https://acme.okta.com/api/v1/eventHooks/who1", "data": object{"events": []object{{
		"uuid": "okta-" + p.EmployeeNumber, "published": at.UTC().Format(time.RFC3339Nano),
		"eventType": "user.account.report_suspicious_activity_by_enduser", "displayMessage": "User report suspicious activity",
		"outcome": object{"result": "SUCCESS"},
		"target":  []object{{"id": p.OktaID, "type": "User", "alternateId": p.Login}},
	}}}}
}

// wildFeed is what a personnel system posts whose export has gone wrong: all of these people have left, it says.
func wildFeed(people []sandbox.Person, at time.Time) object {
	var lines []object
	for _, p := range people {
		lines = append(lines, object{
			"id": "wild-" + p.EmployeeNumber, "type": "termination", "time": at.UTC().Format(time.RFC3339),
			"employee": object{"employee_number": p.EmployeeNumber, "email": p.Login},
		})
	}
	return object{"events": lines}
}
