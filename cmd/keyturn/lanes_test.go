package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"keyturn/internal/reads"
)

// TestALaneIsDrawn however it stands.
func TestALaneIsDrawn(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	queue := []reads.Queue{{Class: "bulk", Waiting: 5000, InHand: 40, AtGate: 38, Later: 7, Visits: 4321, Oldest: now.Add(-3 * time.Minute)}}
	for _, c := range []struct {
		lane reads.Lane
		want []string
	}{
		{reads.Lane{Standing: reads.NotHeld, Queues: queue}, []string{"not held", "no worker holds it, 5047 actions to do"}},
		{reads.Lane{Standing: reads.NotHeld, Why: "w1 has its lease and does not answer for it"}, []string{"does not answer for it; another worker takes over"}},
		{reads.Lane{Standing: reads.Open, Why: "E0000011", Stopped: now.Add(-time.Hour)}, []string{"the breaker is open: E0000011", "since 2026-03-01 08:00:00"}},
		{reads.Lane{Standing: reads.Open, Fault: "refused", Why: "401"}, []string{"the breaker is open, the credential is refused: 401"}},
		{reads.Lane{Standing: reads.Open, Fault: "unreachable", Why: "no route"}, []string{"the breaker is open, the provider cannot be reached: no route"}},
		{reads.Lane{Standing: reads.Working, Lacks: []reads.Lack{{Right: "okta.users.manage", Since: now.Add(-time.Hour), Actions: 3, Why: "403 E0000006"}}},
			[]string{"working, breaker closed", "okta.users.manage since 2026-03-01 08:00:00", "for which 3 actions must wait", "403 E0000006"}},
		{reads.Lane{Standing: reads.Halted, Why: "by ada"}, []string{"paused: by ada"}},
		{reads.Lane{Standing: reads.Working, Worker: "w1", Epoch: 7, Queues: queue, Places: &reads.Places{AtOnce: 3, Most: 4, Flying: 2},
			Rate: &reads.Rate{Calls: 300, Actions: 1}, Forecast: &reads.Forecast{Actions: 5040, Seconds: 720, Bucket: "/api/v1/users"},
			Buckets: []reads.Window{{Bucket: "/api/v1/users", Limit: 600, Allowed: 300, Known: true, Left: 12, Resets: now.Add(30 * time.Second)},
				{Bucket: "/v1", Paused: now.Add(time.Minute)}, {Bucket: reads.TokenEndpoint, Paused: now.Add(2 * time.Minute)}}},
			[]string{"held by w1", "epoch 7", "2 in flight, 3 at a time, at most 4", "300 calls, 1 action done",
				"5040 actions done in 12 m 00 s at the budget of /api/v1/users", "5000     40       38       7      3 m 00 s  4321", "600       300", "12    in 30.0 s", "1 m 00 s more",
				"token endpoint  not told  -        -     -          0          2 m 00 s more"}},
		{reads.Lane{Standing: reads.Working, Forecast: &reads.Forecast{Actions: 2, Unknown: "nothing was done yet"}}, []string{"2 actions to do; nobody can say when: nothing was done yet"}},
		{reads.Lane{Standing: reads.Working, Queues: []reads.Queue{{Class: "bulk", Later: 31}}, Forecast: &reads.Forecast{Actions: 31, Seconds: 1}},
			[]string{"31 actions to do, each at a time of its own"}},
		{reads.Lane{Standing: reads.Working, Forecast: &reads.Forecast{Actions: 2, Seconds: 4}}, []string{"2 actions done in 4.0 s as fast as in the last minute"}},
	} {
		var out bytes.Buffer
		a := &app{out: &out, err: &out, now: func() time.Time { return now }, zone: time.UTC}
		c.lane.Connection = "okta-prod"
		if err := a.print([]reads.Lane{c.lane}, func(s *screen) { s.lane(c.lane) }); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out.String())
			}
		}
	}
}
