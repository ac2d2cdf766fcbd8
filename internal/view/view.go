// Package view answers the questions that people ask of the ledger: what became of this event, which cases are open,
// what was done to this person. The command line and the console show the same answers.
//
// It reads records and computes; it keeps nothing, writes nothing and asks nobody else. Every form has a JSON shape
// that is stable: fields are added, never renamed or given another meaning. Times are RFC 3339 in UTC, absent when the
// thing has not happened; durations are whole milliseconds in fields that end in _ms; states are the ledger's words.
//
// Whom a name calls is decided by internal/people, as for the planner. What differs here is what a person is read for:
// nothing is written back, a record without a body is somebody of whom nothing is known, and of a person's record the
// views show the names and what joined them, not what keeps events in order.
package view

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"keyturn/internal/ledger"
)

// Ledger is what the views are computed from. *ledger.Ledger implements it.
type Ledger interface {
	// Range hands the records that match filter, written at or after since, to fn, oldest first.
	Range(ctx context.Context, filter string, since time.Time, fn func(ledger.Record) error) error
	// Last reads the newest record of a subject from the leader; the zero Record when it has none.
	Last(ctx context.Context, subject string) (ledger.Record, error)
	// Verify checks the chains of the subjects that match filter.
	Verify(ctx context.Context, filter string) (int, []ledger.Broken, error)
}

// Reader answers from one ledger.
type Reader struct{ ledger Ledger }

// New makes a reader of l.
func New(l Ledger) *Reader { return &Reader{ledger: l} }

// Errors that callers branch on.
var (
	// ErrNotFound: the ledger holds nothing of that name. An event that was accepted a moment ago has no record until
	// it is planned.
	ErrNotFound = errors.New("no such case in the ledger")
	// ErrAmbiguous: more than one case id begins so.
	ErrAmbiguous = errors.New("more than one case begins so")
	// ErrNotID: the text cannot be a case id or the beginning of one.
	ErrNotID = errors.New("not a case id: 26 characters a-z and 2-7, or the first 6 or more of them; keyturn person NAME finds the cases of a person")
)

// The length of a case id (base32 of 16 bytes), and how much of it a person has to type.
const (
	idLength  = 26
	minPrefix = 6
)

// CasePrefix gives the beginning of a case id as ids are written; of an action's id its case. It returns ErrNotID for what
// cannot be one.
func CasePrefix(text string) (string, error) {
	prefix := strings.ToLower(strings.TrimSpace(text))
	if id, _, action := strings.Cut(prefix, ":"); action && len(id) == idLength {
		prefix = id
	}
	if len(prefix) < minPrefix || len(prefix) > idLength || strings.Trim(prefix, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return "", fmt.Errorf("case %q: %w", text, ErrNotID)
	}
	return prefix, nil
}

// Resolve gives the full id of the case that prefix names: a whole id as it is, without looking whether it exists, or
// the only one that begins with prefix. It returns ErrNotID, ErrNotFound or ErrAmbiguous.
func (r *Reader) Resolve(ctx context.Context, prefix string) (string, error) {
	prefix, err := CasePrefix(prefix)
	if err != nil {
		return "", err
	}
	if len(prefix) == idLength {
		return prefix, nil
	}
	found := map[string]bool{}
	err = r.ledger.Range(ctx, ledger.PlanSubject("*"), time.Time{}, func(rec ledger.Record) error {
		if id := ledger.CaseOf(rec.Subject); strings.HasPrefix(id, prefix) {
			found[id] = true
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("case %s: %w", prefix, err)
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("case %s: %w", prefix, ErrNotFound)
	case 1:
		for id := range found {
			return id, nil
		}
	}
	return "", fmt.Errorf("case %s: %w: %s", prefix, ErrAmbiguous, strings.Join(sortedKeys(found), ", "))
}
