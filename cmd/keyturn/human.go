package main

import (
	"fmt"
	"time"
)

// human writes a duration with the two units that matter.
func human(d time.Duration) string {
	if d < 0 {
		return "-" + human(-d)
	}
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d m %02d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 2*day:
		return fmt.Sprintf("%d h %02d m", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %02d h", d/day, d%day/time.Hour)
}

// millis writes a wait in milliseconds; a dash for one that has not ended.
func millis(ms *int64) string {
	if ms == nil {
		return "-"
	}
	return human(time.Duration(*ms) * time.Millisecond)
}

// The forms of a time: in the reader's zone, with its offset, because logs are compared across zones.
const (
	toMillisecond = "2006-01-02 15:04:05.000 -07:00"
	toSecond      = "2006-01-02 15:04:05 -07:00"
)

// at writes a time to the millisecond, moment to the second; a dash for none.
func (s *screen) at(t time.Time) string     { return s.format(t, toMillisecond) }
func (s *screen) moment(t time.Time) string { return s.format(t, toSecond) }

func (s *screen) format(t time.Time, layout string) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(s.zone).Format(layout)
}

// away says how far from now a time is: "in 3 m 00 s", "3 m 00 s ago".
func (s *screen) away(t time.Time) string {
	if d := t.Sub(s.now); d > 0 {
		return "in " + human(d)
	}
	return human(s.now.Sub(t)) + " ago"
}

// plural counts things: "1 action", "2 actions".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
