package lane

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestForecast(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	users := Seen{Bucket: "users", Known: true, Limit: 300, Allowed: 300, Left: 100, Reset: now.Add(30 * time.Second), Calls: 1000, Span: time.Minute}
	with := func(s Seen, change func(*Seen)) Seen { change(&s); return s }
	lane := State{Since: now.Add(-time.Hour), Done: 100, Actions: 30, Buckets: []Seen{users}}
	for _, c := range []struct {
		name    string
		actions int
		change  func(*State)
		want    Forecast
	}{
		{"nothing to do", 0, nil, Forecast{}},
		{"what is left in the window will do", 10, nil, Forecast{In: 20 * time.Second}}, // as fast as of late: 30 a minute
		{"one window more", 11, nil, Forecast{In: 30 * time.Second, By: "users"}},
		{"ten windows more", 310, nil, Forecast{In: 9*time.Minute + 30*time.Second, By: "users"}},
		{"half of each window", 310, func(s *State) { s.Buckets[0].Allowed = 150 }, Forecast{In: 19*time.Minute + 30*time.Second, By: "users"}},
		{"told to wait", 30, func(s *State) { s.Buckets[0].Pause = now.Add(5 * time.Minute) }, Forecast{In: 5 * time.Minute, By: "users"}},
		{"no window runs", 31, func(s *State) { s.Buckets[0].Known = false }, Forecast{In: time.Minute, By: "users"}},
		{"the bucket that is spent last", 310, func(s *State) {
			s.Buckets = append(s.Buckets, with(users, func(b *Seen) { b.Bucket, b.Calls = "others", 2000 }))
		}, Forecast{In: 20*time.Minute + 30*time.Second, By: "others"}},
		{"no limit told", 60, func(s *State) { s.Buckets[0].Limit = 0 }, Forecast{In: 2 * time.Minute}},
		{"held for a short time", 30, func(s *State) { s.Buckets[0].Limit, s.Since = 0, now.Add(-10*time.Second) }, Forecast{In: 10 * time.Second}},
		{"nothing of late", 1, func(s *State) { s.Actions = 0 }, Forecast{Why: "nothing was done within the last minute"}},
		{"nothing yet", 1, func(s *State) { s.Done = 0 }, Forecast{Why: "nothing was done yet by which to tell"}},
		{"refused", 1, func(s *State) { s.Broken = errors.New("401") }, Forecast{Why: "the breaker is open"}},
		{"no token", 1, func(s *State) { s.TokenHeld = now.Add(time.Second) }, Forecast{Why: "the token endpoint wants to be left alone"}},
		{"a token again", 10, func(s *State) { s.TokenHeld = now }, Forecast{In: 20 * time.Second}},
		{"halted", 1, func(s *State) { s.Halted = "by a person" }, Forecast{Why: "the lane is paused"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := lane
			s.Buckets = []Seen{users}
			if c.change != nil {
				c.change(&s)
			}
			if got := s.Forecast(c.actions, now); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestARateIsOfTheLastMinute(t *testing.T) {
	var r rate
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for range 90 {
		r.add(now)
		r.add(now)
		now = now.Add(time.Second)
	}
	for after, want := range map[time.Duration]int{0: 118, 30 * time.Second: 58, 59 * time.Second: 0, time.Hour: 0, -time.Hour: 0} {
		if got := r.last(now.Add(after)); got != want {
			t.Errorf("%d within the minute before %s after the last, want %d", got, after, want)
		}
	}
	if r.total != 180 {
		t.Errorf("%d in all, want 180", r.total)
	}
}

// TestForecastBeyondAllTime: what takes longer than a duration can tell is no time in the past.
func TestForecastBeyondAllTime(t *testing.T) {
	now := time.Unix(0, 0)
	s := State{Done: 1, Actions: 1, Since: now.Add(-time.Hour), Buckets: []Seen{{Bucket: "a", Limit: 1, Allowed: 1, Calls: 1, Span: time.Hour}}}
	if f := s.Forecast(math.MaxInt32, now); f.In <= 0 || f.By != "a" {
		t.Errorf("%+v", f)
	}
	s.Buckets = nil
	if f := s.Forecast(math.MaxInt, now); f.In <= 0 {
		t.Errorf("%+v", f)
	}
}
