package planner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"keyturn/internal/ledger"
)

// tally is what a brake remembers: the cases that it let pass within its window. It is a record of the ledger, changed
// by compare-and-swap only, so that it is exact over planners and restarts; a case stands in it once, so that a
// resend does not count again. Held cases do not stand in it: it bounds what acts.
//
// The record grows with the brake's max, and one is written per case that passes.
type tally struct {
	Brake  string `json:"brake"`
	Passed []pass `json:"passed"` // oldest first
}

// pass is one case that a brake let go.
type pass struct {
	Case string    `json:"case"`
	Time time.Time `json:"time"`
}

// brake counts the case at every one of the brakes, and says which one it is too much for; empty = it
// passes. All are looked at before the first is counted, so that what one holds does not use up another.
func (t *turn) brake(ctx context.Context, caseID string, brakes []Brake) (string, error) {
	type wheel struct {
		rec   ledger.Record
		tally tally
	}
	wheels := make([]wheel, len(brakes))
	for i, b := range brakes {
		rec, ta, err := t.loadTally(ctx, b)
		if err != nil {
			return "", err
		}
		if !ta.has(caseID) && len(ta.Passed) >= b.Max {
			return fmt.Sprintf("brake %s: %d have passed and no more than %d may", b.Name, len(ta.Passed), b.Max), nil
		}
		wheels[i] = wheel{rec, ta}
	}
	for _, w := range wheels {
		if w.tally.has(caseID) {
			continue
		}
		w.tally.Passed = append(w.tally.Passed, pass{Case: caseID, Time: t.now()})
		body, err := json.Marshal(w.tally)
		if err != nil {
			return "", fmt.Errorf("brake %s: %w", w.tally.Brake, err)
		}
		rec := ledger.Record{Subject: tallySubject(w.tally.Brake), State: ledger.Kept, Body: body}
		if _, err := t.append(ctx, w.rec, rec); err != nil {
			return "", err
		}
		// Dying here: counted and not planned. The message comes again and finds itself counted.
	}
	return "", nil
}

// loadTally reads what a brake let pass within the window that ends now.
func (t *turn) loadTally(ctx context.Context, b Brake) (ledger.Record, tally, error) {
	ta := tally{Brake: b.Name}
	rec, err := t.Ledger.Last(ctx, tallySubject(b.Name))
	if err != nil || rec.Seq == 0 {
		return rec, ta, err
	}
	if err := json.Unmarshal(rec.Body, &ta); err != nil {
		return rec, ta, fmt.Errorf("brake %s: %w", b.Name, err)
	}
	begin := t.now().Add(-b.Per)
	ta.Passed = slices.DeleteFunc(ta.Passed, func(p pass) bool { return !p.Time.After(begin) })
	return rec, ta, nil
}

// has reports whether the case was let go within the window.
func (ta tally) has(caseID string) bool {
	return slices.ContainsFunc(ta.Passed, func(p pass) bool { return p.Case == caseID })
}

// tallySubject is where a brake's tally stands. It has the form of a person's order, which is the ledger's place for
// what is kept and has no states; the brake's name is hashed into the form of a key, which no principal has.
func tallySubject(name string) string {
	sum := sha256.Sum256([]byte("brake " + name))
	return ledger.OrderSubject("brake-" + hex.EncodeToString(sum[:8]))
}
