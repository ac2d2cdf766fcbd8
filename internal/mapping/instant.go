package mapping

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// The words of a list of formats that stand for something else than a layout of Go.
const (
	formatRFC3339 = "rfc3339"
	formatUnix    = "unix"
	formatUnixMS  = "unix_ms"
	formatDate    = "date"
)

// instant is a point in time, or a day with a cut-off in a zone.
type instant struct {
	from    *program
	formats []string
	cutoff  string         // of a day
	zone    *time.Location // of a day, or of a layout without one; nil = by the expression
	zoneOf  *program
}

// time compiles a point in time. A day without more is its begin in UTC: good enough to order by.
func (k *compiler) time(c config.Time) *instant {
	p := k.program(c.From, "time")
	if p == nil {
		return nil
	}
	return &instant{from: p, formats: k.formats(c.Formats), cutoff: "00:00", zone: time.UTC}
}

// formats checks a list of formats; none is RFC 3339.
func (k *compiler) formats(list []config.Text) []string {
	if len(list) == 0 {
		return []string{formatRFC3339}
	}
	var words []string
	for _, t := range list {
		if !word(t.Value) && !layout(t.Value) {
			k.fault(t.At, "is no format: write rfc3339, unix, unix_ms, date, or how Go writes 2 January 2006, 15:04:05 in that format, with -0700 and no name of a zone")
		}
		words = append(words, t.Value)
	}
	return words
}

func word(s string) bool {
	return slices.Contains([]string{formatRFC3339, formatUnix, formatUnixMS, formatDate}, s)
}

// layout reports whether a layout of Go carries at least a day, and no name of a zone, which is no place on earth.
func layout(s string) bool {
	day := time.Date(2006, 11, 29, 0, 0, 0, 0, time.UTC)
	back, err := time.Parse(s, day.Format(s))
	return err == nil && !strings.Contains(s, "MST") && back.Year() == 2006 && back.YearDay() == day.YearDay()
}

// zoned reports whether every text of a format says its zone itself.
func zoned(format string) bool {
	if word(format) {
		return format != formatDate
	}
	return strings.Contains(format, "Z07") || strings.Contains(format, "-07")
}

// effective compiles a time of effect.
func (k *compiler) effective(c config.Effective) *instant {
	if c.From == nil {
		return nil
	}
	i := &instant{from: k.program(*c.From, "effective_at"), formats: k.formats(c.Formats), cutoff: c.Cutoff.Value}
	if i.from == nil {
		return nil
	}
	k.zone(i, c)
	days := slices.Contains(i.formats, formatDate)
	if i.cutoff != "" {
		if err := events.CheckCutoff(i.cutoff); err != nil {
			k.fault(c.Cutoff.At, "is no time of day: write 00:00 to 24:00, or end_of_day")
		}
	}
	switch {
	case days && i.cutoff == "":
		k.fault(c.At, "has days without a cutoff: say at which time of the day it takes effect, such as end_of_day")
	case !days && i.cutoff != "":
		k.fault(c.Cutoff.At, "has no effect: the formats have no date")
	}
	return i
}

func (k *compiler) zone(i *instant, c config.Effective) {
	local := slices.ContainsFunc(i.formats, func(f string) bool { return !zoned(f) })
	switch {
	case c.Zone == nil && local:
		k.fault(c.At, "has days or times without a zone: name the zone, such as Europe/Berlin")
	case c.Zone == nil:
	case !local:
		k.fault(c.Zone.At, "has no effect: every format says its zone itself")
	case c.Zone.Expr != nil:
		i.zoneOf = k.program(*c.Zone.Expr, "zone")
	default:
		name, _ := c.Zone.Literal.(string)
		zone, err := events.Zone(name)
		if err != nil {
			k.fault(c.Zone.At, "is no zone of the tz database: write a name such as Europe/Berlin")
		}
		i.zone = zone
	}
}

// instant gives a time as RFC 3339 in UTC; nothing and an empty text are no time.
func (s *scope) instant(i *instant) (string, error) {
	if i == nil {
		return "", nil
	}
	out, err := s.eval(i.from)
	if err != nil {
		return "", err
	}
	if t, ok := out.(types.Timestamp); ok {
		return t.UTC().Format(time.RFC3339Nano), nil
	}
	text, ok := textOf(out)
	if !ok {
		return "", i.from.Fault("is neither a text nor a whole number")
	}
	if text == "" {
		return "", nil
	}
	zone, err := s.zone(i)
	if err != nil {
		return "", err
	}
	for _, format := range i.formats {
		if t, ok := i.read(text, format, zone); ok {
			return t.UTC().Format(time.RFC3339Nano), nil
		}
	}
	return "", i.from.Fault("is in none of the formats: " + strings.Join(i.formats, ", "))
}

func (s *scope) zone(i *instant) (*time.Location, error) {
	if i.zoneOf == nil {
		return i.zone, nil
	}
	name, err := s.text(i.zoneOf)
	if err != nil {
		return nil, err
	}
	zone, err := events.Zone(name)
	if err != nil {
		return nil, i.zoneOf.Fault("is no zone of the tz database for this event")
	}
	return zone, nil
}

// read reads a text in one format. Of numbers, seconds have at most 11 digits and milliseconds at least 12: the one
// reaches the year 5138, and the other is no earlier than 1973.
func (i *instant) read(text, format string, zone *time.Location) (time.Time, bool) {
	switch format {
	case formatRFC3339:
		t, err := time.Parse(time.RFC3339Nano, text)
		return t, err == nil
	case formatDate:
		t, err := events.Instant(text, i.cutoff, zone)
		return t, err == nil
	case formatUnix, formatUnixMS:
		n, err := strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil || n < 0:
			return time.Time{}, false
		case format == formatUnix && len(text) <= 11:
			return time.Unix(n, 0), true
		case format == formatUnixMS && len(text) >= 12 && len(text) <= 14:
			return time.UnixMilli(n), true
		}
		return time.Time{}, false
	}
	if zone == nil {
		zone = time.UTC
	}
	t, err := time.ParseInLocation(format, text, zone)
	return t, err == nil
}
