package burst

import (
	"time"

	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/sandbox"
)

// call is one call that the proof about a leaver needs.
type call struct {
	bucket string
	times  int
	what   string
}

// needed is the least that the proof about one leaver needs who is known by e-mail alone, by the default playbook: each
// step sees for itself that the person is there, changes, and reads what it changed. Whatever is not named here, the
// sweep of the authorization servers, the listing of the team's users, tokens, is read for many at once.
func needed() []call {
	const user, users, devices = sandbox.BucketOktaGetUser, sandbox.BucketOktaUsers, sandbox.BucketASA
	return []call{
		{users, 1, "suspend: find the user by e-mail"},
		{users, 1, "suspend: suspend"},
		{user, 1, "suspend: read the user, who is suspended"},
		{user, 1, "sessions: read the user, who is there"},
		{users, 1, "sessions: end them; nobody can read that"},
		{user, 1, "tokens: read the user, who is there"},
		{users, 1, "tokens: list the clients"},
		{users, 1, "tokens: list the tokens of one client, of which one is live"},
		{users, 1, "tokens: list the consents"},
		{users, 1, "tokens: end the sessions with all tokens"},
		{users, 1, "tokens: revoke all consents"},
		{users, 1, "tokens: list the clients, of which none is left"},
		{users, 1, "tokens: list the consents, of which none is left"},
		{devices, 1, "devices: read the user, who has the e-mail"},
		{devices, 1, "devices: list the devices"},
		{devices, devicesEach, "devices: revoke each"},
		{devices, 1, "devices: list the devices, of which none is live"},
		{devices, devicesEach, "devices: read each, which is gone"},
	}
}

// needs adds them up, by bucket and in all.
func needs() (by map[string]int, all int) {
	by = map[string]int{}
	for _, c := range needed() {
		by[c.bucket] += c.times
		all += c.times
	}
	return by, all
}

// bound is the least time that so many leavers take, and the bucket that says so: whole windows that must be spent
// before the one in which the last call is made. Of a window the class may spend all but what it leaves to those above
// it until the end.
func bound(leavers int) (least time.Duration, by string) {
	need, _ := needs()
	for bucket, limit := range sandbox.DefaultLimits() {
		windows := max(leavers*need[bucket]-1, 0) / lane.Budget{}.Most(events.Normal, limit.Requests)
		if took := time.Duration(windows) * limit.Window; took > least {
			least, by = took, bucket
		}
	}
	return least, by
}
