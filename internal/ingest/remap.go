package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/mapping"
)

// Remapper maps deliveries that could not be mapped when they came, by what sources.yaml says now. It knows no secret of
// a source: that the delivery was its sender's was proven when it came.
type Remapper struct {
	Dir string // with sources.yaml
}

// Remap gives the events of what a fault has kept, as they would have come out at the time of receipt, but for those that
// were stored then: by a mended mapping they may say something else, and would contradict themselves. No event is an
// answer too, when the mapping now says so. The error is for a person, and quotes nothing of the delivery; rest is what
// is to be kept on then, for the items that still cannot be mapped, beside the events of the others. Without a rest
// nothing has changed.
func (r Remapper) Remap(source string, kept json.RawMessage, received time.Time) (list []events.Event, rest json.RawMessage, err error) {
	if len(kept) == 0 {
		return nil, nil, errors.New("nothing of the delivery was kept, for its size: have it sent again")
	}
	s, err := r.source(source)
	if err != nil {
		return nil, nil, err
	}
	in, err := s.mapping.Restore(kept, received)
	if err != nil {
		return nil, nil, err
	}
	m, err := s.events(in, Delivery{Received: received})
	switch {
	case err != nil:
		return nil, nil, err
	case m.result.Refused:
		return nil, nil, errUnknownWord
	}
	then := storedCases(kept)
	list = slices.DeleteFunc(m.events, func(e events.Event) bool { return slices.Contains(then, e.Case()) })
	if len(m.faults) == 0 {
		return list, nil, nil
	}
	err = errors.New(describe(m.faults))
	for _, e := range list {
		then = append(then, e.Case())
	}
	rest, jerr := json.Marshal(mapping.Keep(in, m.faults, then))
	if jerr != nil || len(list) == 0 || len(rest) > MaxEvent-keptHead {
		return nil, nil, err // what cannot be kept on stays as it is, and its events with it
	}
	return list, rest, err
}

// source is a source of the sources.yaml of now, with nothing but its mapping.
func (r Remapper) source(name string) (*Source, error) {
	list, err := config.ReadSources(r.Dir, config.Samples(nil))
	if err != nil {
		return nil, fmt.Errorf("the worker cannot read the mapping: %w", err)
	}
	c, ok := list.Find(name)
	if !ok || c.Mapping == nil {
		return nil, fmt.Errorf("%s has no source %s with a mapping: add it, or drop the delivery", config.SourcesFile, name)
	}
	s := &Source{name: c.Name, scope: c.DedupScope}
	return s, s.compile(Configured(c))
}

// storedCases are those of the events that a delivery gave before.
func storedCases(kept json.RawMessage) []string {
	var then struct {
		Cases []string `json:"cases"`
	}
	if json.Unmarshal(kept, &then) != nil {
		return nil
	}
	return then.Cases
}
