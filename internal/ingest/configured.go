package ingest

import (
	"errors"
	"fmt"
	"slices"

	"keyturn/internal/config"
)

// Configured gives the spec of a source as sources.yaml configures it.
func Configured(c config.Source) SourceSpec {
	return SourceSpec{
		Name: c.Name, Preset: c.Preset, DedupScope: c.DedupScope, UnsignedAttributes: c.UnsignedAttributes,
		Insecure: c.Insecure, Verify: c.Verify, Poll: c.Poll,
		At: c.At, Handshakes: c.Handshakes, Mapping: c.Mapping, Response: c.Response, OnFault: c.OnFault,
	}
}

// NewSources makes every configured source. The error holds the faults of all of them.
func NewSources(list config.Sources) ([]*Source, error) {
	var sources []*Source
	var errs []error
	for _, c := range list {
		s, err := NewSource(Configured(c))
		if err != nil {
			errs = append(errs, faultsOf(c, err))
			continue
		}
		sources = append(sources, s)
	}
	return sources, config.Join(errs...)
}

// faultsOf gives every fault of a source the place that is known of it.
func faultsOf(c config.Source, err error) error {
	var faults config.Faults
	errors.As(err, &faults)
	faults = slices.Clone(faults)
	if specs, ok := errors.AsType[SpecFaults](err); ok {
		for _, f := range specs {
			at := c.At
			at.Path += "." + f.Path
			faults = append(faults, config.Fault{Position: at, What: f.What})
		}
	}
	if len(faults) == 0 {
		return fmt.Errorf("source %s: %w", c.Name, err)
	}
	return faults
}

// CheckMappings compiles what of the sources is expressions: what can be checked of them without a secret. The error is
// config.Faults.
func CheckMappings(list config.Sources) error {
	var errs []error
	for _, c := range list {
		s := &Source{name: c.Name, scope: c.DedupScope}
		errs = append(errs, s.compile(Configured(c)))
	}
	return config.Join(errs...)
}
