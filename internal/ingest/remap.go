package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// Remapper maps deliveries that could not be mapped when they came, by what sources.yaml says now. It knows no secret of
// a source: that the delivery was its sender's was proven when it came.
type Remapper struct {
	Dir string // with sources.yaml
}

// Remap gives the events of what a fault has kept, as they would have come out at the time of receipt, but for those that
// were stored then: by a mended mapping they may say something else, and would contradict themselves. It is all or none;
// no event is an answer too, when the mapping now says so. The error is for a person, and quotes nothing of the
// delivery.
func (r Remapper) Remap(source string, kept json.RawMessage, received time.Time) ([]events.Event, error) {
	if len(kept) == 0 {
		return nil, errors.New("nothing of the delivery was kept, for its size: have it sent again")
	}
	list, err := config.ReadSources(r.Dir, config.Samples(nil))
	if err != nil {
		return nil, fmt.Errorf("the worker cannot read the mapping: %w", err)
	}
	c, ok := list.Find(source)
	if !ok || c.Mapping == nil {
		return nil, fmt.Errorf("%s has no source %s with a mapping: add it, or drop the delivery", config.SourcesFile, source)
	}
	s := &Source{name: c.Name, scope: c.DedupScope}
	if err := s.compile(Configured(c)); err != nil {
		return nil, err
	}
	in, err := s.mapping.Restore(kept, received)
	if err != nil {
		return nil, err
	}
	m, err := s.events(in, Delivery{Received: received})
	switch {
	case err != nil:
		return nil, err
	case m.result.Refused:
		return nil, errUnknownWord
	case len(m.faults) > 0:
		return nil, errors.New(describe(m.faults))
	}
	return withoutStored(m.events, kept), nil
}

// withoutStored leaves out the events that were stored when the delivery came.
func withoutStored(list []events.Event, kept json.RawMessage) []events.Event {
	var then struct {
		Cases []string `json:"cases"`
	}
	if json.Unmarshal(kept, &then) != nil {
		return list
	}
	return slices.DeleteFunc(list, func(e events.Event) bool { return slices.Contains(then.Cases, e.Case()) })
}
