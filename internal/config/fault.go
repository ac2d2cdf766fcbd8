package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a file of the configuration.
type Position struct {
	File   string // as it was opened
	Line   int    // from 1; 0 when the file has no such place
	Column int    // from 1, in characters
	Path   string // where in the document: playbooks[0].actions[1].do; empty for the whole of it
}

// Fault is one thing that is wrong, and what to do about it. It never holds the value of a scalar.
type Fault struct {
	Position
	What string
}

// String is the one form of a fault: file:line:column: path: what, and what to do.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	if f.Path != "" {
		b.WriteString(": " + f.Path)
	}
	return b.String() + ": " + f.What
}

// Faults is the error of everything that reads configuration: all that is wrong, one line each, in the order of the
// files.
type Faults []Fault

// Error gives one line per fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// Err sorts the faults by place, drops repeats, and is nil when there is none.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	sorted := slices.Clone(f)
	slices.SortStableFunc(sorted, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.What, b.What))
	})
	return slices.Compact(sorted)
}

// Join makes one error of several: the Faults among them become one sorted list, whatever else there is stays as it
// is behind them.
func Join(errs ...error) error {
	var all Faults
	var rest []error
	for _, err := range errs {
		var faults Faults
		switch {
		case err == nil:
		case errors.As(err, &faults):
			all = append(all, faults...)
		default:
			rest = append(rest, err)
		}
	}
	if len(rest) == 0 {
		return all.Err()
	}
	return errors.Join(append([]error{all.Err()}, rest...)...)
}
