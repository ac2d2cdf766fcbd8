package ingest

import (
	"errors"
	"fmt"

	"keyturn/internal/config"
)

// Configured gives the spec of a source as sources.yaml configures it.
func Configured(c config.Source) SourceSpec {
	return SourceSpec{
		Name: c.Name, Preset: c.Preset, DedupScope: c.DedupScope, UnsignedAttributes: c.UnsignedAttributes,
		Insecure: c.Insecure, Verify: c.Verify,
	}
}

// NewSources makes every configured source. The error holds the faults of all of them.
func NewSources(list config.Sources) ([]*Source, error) {
	var sources []*Source
	var faults []error
	for _, c := range list {
		s, err := NewSource(Configured(c))
		if err != nil {
			faults = append(faults, fmt.Errorf("source %s: %w", c.Name, err))
			continue
		}
		sources = append(sources, s)
	}
	return sources, errors.Join(faults...)
}
