package events

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestInstantIsNeverEarly(t *testing.T) {
	for _, c := range []struct{ what, date, cutoff, zone, want string }{
		{"winter", "2026-12-01", "17:00", "Europe/Berlin", "2026-12-01T16:00:00Z"},
		{"summer", "2026-07-01", "17:00", "Europe/Berlin", "2026-07-01T15:00:00Z"},
		{"UTC", "2026-07-01", "17:00:30", "UTC", "2026-07-01T17:00:30Z"},
		{"the begin of the day", "2026-12-01", "00:00", "Asia/Tokyo", "2026-11-30T15:00:00Z"},
		{"the end of the day", "2026-12-31", "24:00", "Asia/Tokyo", "2026-12-31T15:00:00Z"},
		{"half an hour off", "2026-12-01", "17:00", "Asia/Kolkata", "2026-12-01T11:30:00Z"},
		{"farthest east", "2026-12-01", "08:00", "Pacific/Kiritimati", "2026-11-30T18:00:00Z"},
		{"farthest west", "2026-12-01", "23:00", "Pacific/Pago_Pago", "2026-12-02T10:00:00Z"},
		{"gap in Berlin", "2026-03-29", "02:30", "Europe/Berlin", "2026-03-29T01:00:00Z"},
		{"before the gap", "2026-03-29", "01:59:59", "Europe/Berlin", "2026-03-29T00:59:59Z"},
		{"the gap's first time", "2026-03-29", "02:00", "Europe/Berlin", "2026-03-29T01:00:00Z"},
		{"after the gap", "2026-03-29", "03:00", "Europe/Berlin", "2026-03-29T01:00:00Z"},
		{"fold in Berlin", "2026-10-25", "02:30", "Europe/Berlin", "2026-10-25T01:30:00Z"},
		{"the fold's first time", "2026-10-25", "02:00", "Europe/Berlin", "2026-10-25T01:00:00Z"},
		{"after the fold", "2026-10-25", "03:00", "Europe/Berlin", "2026-10-25T02:00:00Z"},
		{"gap in New York", "2026-03-08", "02:30", "America/New_York", "2026-03-08T07:00:00Z"},
		{"fold in New York", "2026-11-01", "01:30", "America/New_York", "2026-11-01T06:30:00Z"},
		{"gap of half an hour", "2026-10-04", "02:15", "Australia/Lord_Howe", "2026-10-03T15:30:00Z"},
		{"fold of half an hour", "2026-04-05", "01:45", "Australia/Lord_Howe", "2026-04-04T15:15:00Z"},
		{"midnight is left out", "2026-09-06", "00:00", "America/Santiago", "2026-09-06T04:00:00Z"},
		{"24:00 is 00:00, which is left out", "2026-09-05", "24:00", "America/Santiago", "2026-09-06T04:00:00Z"},
		{"a fold over midnight", "2026-04-04", "23:30", "America/Santiago", "2026-04-05T03:30:00Z"},
		{"a day is left out", "2011-12-30", "17:00", "Pacific/Apia", "2011-12-30T10:00:00Z"},
		{"a day comes twice", "1867-10-18", "17:00", "America/Juneau", "1867-10-19T01:57:41Z"},
		{"the year after next", "2028-02-29", "17:00", "Europe/Berlin", "2028-02-29T16:00:00Z"},
		{"beyond the table of the zone", "2150-07-01", "17:00", "Europe/Berlin", "2150-07-01T15:00:00Z"},
	} {
		zone, err := Zone(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Instant(c.date, c.cutoff, zone)
		if err != nil || got.Format(time.RFC3339) != c.want {
			t.Errorf("%s: %s %s in %s: %s, want %s (%v)", c.what, c.date, c.cutoff, c.zone, got.Format(time.RFC3339), c.want, err)
		}
	}
}

// The wall never shows less than the cut-off at the instant, it never shows it again later, and where it shows more,
// it never showed the cut-off at all.
func TestInstantAgreesWithTheWall(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		zone, err := Zone(rapid.SampledFrom([]string{"Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe",
			"Africa/Casablanca", "Asia/Kathmandu", "Pacific/Apia", "Pacific/Chatham", "UTC"}).Draw(r, "zone"))
		if err != nil {
			r.Fatal(err)
		}
		wall := time.Date(2008, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 24*4*366*20).Draw(r, "quarters")) * 15 * time.Minute)
		got, err := Instant(wall.Format(time.DateOnly), wall.Format("15:04"), zone)
		if err != nil {
			r.Fatal(err)
		}
		shown := func(at time.Time) string { return at.In(zone).Format("2006-01-02T15:04") }
		want := wall.Format("2006-01-02T15:04")
		exact := shown(got) == want
		if shown(got) < want {
			r.Fatalf("%s is early: the wall shows %s", got, shown(got))
		}
		for at := got.Add(-48 * time.Hour); at.Before(got.Add(48 * time.Hour)); at = at.Add(15 * time.Minute) {
			switch same := shown(at) == want; {
			case same && !exact:
				r.Fatalf("%s shows %s, and the instant is %s", at, want, got)
			case same && at.After(got):
				r.Fatalf("%s shows %s again", at, want)
			}
		}
		if !exact && shown(got.Add(-time.Second)) >= want {
			r.Fatalf("%s is not the first behind the gap", got)
		}
	})
}

func TestInstantRefuses(t *testing.T) {
	for _, c := range []struct{ date, cutoff, want string }{
		{"2026-02-29", "17:00", "that the calendar has"},
		{"01.12.2026", "17:00", "YYYY-MM-DD"},
		{"2026-12-01T10:00:00Z", "17:00", "YYYY-MM-DD"},
		{"", "17:00", "YYYY-MM-DD"},
		{"2026-12-01", "", "00:00 to 24:00"},
		{"2026-12-01", "7:00", "00:00 to 24:00"},
		{"2026-12-01", "24:01", "00:00 to 24:00"},
		{"2026-12-01", "5 pm", "00:00 to 24:00"},
		{"2026-12-01", "17:00:00.5", "00:00 to 24:00"},
	} {
		if at, err := Instant(c.date, c.cutoff, time.UTC); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %q: %s, %v", c.date, c.cutoff, at, err)
		}
	}
	for _, name := range []string{"", "Local", "CST", "Europe/Atlantis", "../etc/passwd", "+01:00"} {
		if zone, err := Zone(name); err == nil {
			t.Errorf("zone %q: %s", name, zone)
		}
	}
	if err := CheckCutoff("17:00"); err != nil {
		t.Error(err)
	}
}
