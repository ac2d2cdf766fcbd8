package stream

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestAClockIsOffWhenTheBrokerWasAskedBeforeOrAfterItsTime(t *testing.T) {
	asked := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	now := asked.Add(2 * time.Second)
	for _, c := range []struct {
		name   string
		broker time.Time
		want   time.Duration
	}{
		{"meanwhile", asked.Add(time.Second), 0},
		{"a slow answer", asked.Add(-29 * time.Second), 0},
		{"ahead", asked.Add(-5 * time.Minute), 5 * time.Minute},
		{"behind", now.Add(5 * time.Minute), -5 * time.Minute},
		{"not told", time.Time{}, 0},
	} {
		b := Bus{opts: Options{Clock: func() time.Time { return now }}, log: slog.New(slog.DiscardHandler)}
		b.saw(c.broker, asked, now)
		if got := b.ClockOff(); got != c.want {
			t.Errorf("%s: off by %s, want %s", c.name, got, c.want)
		}
		if got, come := b.Now().Sub(now), b.Come().Sub(now); got != -c.want || come != min(-c.want, 0) {
			t.Errorf("%s: now %s, come %s from our own", c.name, got, come)
		}
	}
}

// TestTheLogSaysOnceThatTheClocksDiffer: nobody asks /readyz?verbose before something is late.
func TestTheLogSaysOnceThatTheClocksDiffer(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	var log bytes.Buffer
	b := Bus{log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	for _, c := range []struct {
		ahead time.Duration
		says  string
	}{
		{29 * time.Second, ""},
		{-5 * time.Minute, "behind the broker's: set one of the two right\" by=5m0s"},
		{-6 * time.Minute, ""},
		{5 * time.Minute, "ahead of the broker's: set one of the two right\" by=5m0s"},
		{time.Hour, ""},
		{time.Second, "agree again"},
		{0, ""},
	} {
		log.Reset()
		b.saw(now.Add(-c.ahead), now, now)
		if got := log.String(); c.says == "" && got != "" || !strings.Contains(got, c.says) {
			t.Errorf("%s ahead: log %q, want %q", c.ahead, got, c.says)
		}
	}
}
