package events

import (
	"fmt"
	"time"
	_ "time/tzdata" // zones of the tz database, for machines and images that have none
)

// Zone finds a zone by its name in the tz database ("Europe/Berlin", "UTC"). The database is in the binary; a newer one
// of the machine wins. The name of no place is refused: "Local", or none at all, is another zone on another machine, and
// so is an abbreviation ("CST" is three zones).
func Zone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("zone %q: give a name of the tz database, for example Europe/Berlin", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("zone %q: not in the tz database; give one like Europe/Berlin: %w", name, err)
	}
	return zone, nil
}

// CheckCutoff reports a cut-off that Instant would refuse.
func CheckCutoff(cutoff string) error {
	_, err := cutoffOf(cutoff)
	return err
}

// cutoffOf reads a time of day as the time since midnight on the wall: "17:00", "17:00:30", and "24:00" for the end of
// the day (ISO 8601-1, 4.3.8).
func cutoffOf(text string) (time.Duration, error) {
	if text == "24:00" {
		return 24 * time.Hour, nil
	}
	for _, form := range []string{"15:04", "15:04:05"} {
		if at, err := time.Parse(form, text); err == nil && len(text) == len(form) {
			return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute +
				time.Duration(at.Second())*time.Second, nil
		}
	}
	return 0, fmt.Errorf("cut-off %q: give a time of day, 00:00 to 24:00, for example 17:00", text)
}

// Instant gives the instant, in UTC, at which clocks on the wall in a zone show the cut-off ("17:00", "24:00" = the end
// of the day) of a date ("2026-12-01"). It never acts early:
//
//   - a time that clocks show twice (they are set back) is the second one;
//   - a time that they never show (they are set forward, or the zone leaves out a whole day, as Samoa did on
//     2011-12-30) is the first instant after what is left out.
//
// The zone must be of a place (Zone): with an offset alone nobody knows which rule holds on that day.
func Instant(date, cutoff string, zone *time.Location) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return time.Time{}, fmt.Errorf("date %q: give a day as YYYY-MM-DD that the calendar has", date)
	}
	after, err := cutoffOf(cutoff)
	if err != nil {
		return time.Time{}, err
	}
	return onWall(day.Add(after), zone), nil
}

// farthest is farther than any zone is from UTC (26 hours lie between the two outermost that ever were), so that what a
// wall shows lies within it, on both sides.
const farthest = 27 * time.Hour

// onWall gives the last instant at which a wall in the zone shows what the wall in UTC shows at the time given, or the
// first one that shows more when none shows that. It walks the zone's periods of one offset around that time, because
// time.Date promises nothing about which of two instants it chooses.
func onWall(wall time.Time, zone *time.Location) time.Time {
	var found time.Time
	at := wall.Add(-farthest)
	for end := wall.Add(farthest); at.Before(end); {
		_, next := at.In(zone).ZoneBounds()
		_, offset := at.In(zone).Zone()
		shows := wall.Add(-time.Duration(offset) * time.Second)
		switch {
		case !shows.Before(at) && (next.IsZero() || shows.Before(next)):
			found = shows
		case shows.Before(at) && found.IsZero():
			return at.UTC() // this period begins behind it, and none before had come so far
		}
		if next.IsZero() {
			break
		}
		at = next
	}
	return found.UTC()
}
