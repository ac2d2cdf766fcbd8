package playtest

import (
	"cmp"
	"strings"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// What an event of a test is when it does not say. Its time is fixed, so that a test is the same on every day.
const (
	defaultID     = "test"
	defaultSource = "https://test.example"
	defaultScope  = "test"
)

// eventOf makes the event as the intake would.
func eventOf(t config.TestEvent) (events.Event, config.Faults) {
	name := events.Event{Type: t.Type.Value}.Name()
	row, ok := events.Lookup(cmp.Or(name, t.Type.Value))
	if !ok {
		var names []string
		for _, r := range events.Catalogue() {
			names = append(names, r.Name)
		}
		return events.Event{}, config.Faults{{Position: t.Type.At, What: "no such event" + config.Suggest(t.Type.Value, names)}}
	}
	said, wrong := events.Inspect(row.Name, t.Data)
	if len(wrong) > 0 {
		var faults config.Faults
		for _, v := range wrong {
			faults = append(faults, config.Fault{Position: t.DataAt, What: "is no data of " + row.Name + ": " + strings.TrimPrefix(v.Error(), "/")})
		}
		return events.Event{}, faults
	}
	e := events.Event{
		ID: cmp.Or(t.ID, defaultID), Source: cmp.Or(t.Source, defaultSource), Scope: cmp.Or(t.Scope, defaultScope),
		Type: row.Type(), Subject: said.Names[0].Principal(), Time: t.Time, Class: cmp.Or(events.Class(t.Class), row.Class),
		EffectiveAt: said.EffectiveAt, Data: said.Data,
	}
	if e.Time.IsZero() {
		e.Time = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	}
	return e, nil
}
