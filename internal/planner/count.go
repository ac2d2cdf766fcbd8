package planner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
)

// Count is what a provider was last read to have. It stands in the ledger, so that every planner counts a share of the
// same number, and an auditor sees of which.
type Count struct {
	Connection string    `json:"connection"`
	What       string    `json:"what"`
	N          int       `json:"n"`
	Read       time.Time `json:"read"`
}

// CountStale is when a count is not known any more: a company does not change by much in a day, and a provider that
// cannot be read for so long needs a person.
const CountStale = 24 * time.Hour

// fresh reports whether the count may still be relied on.
func (c Count) fresh(now time.Time) bool { return !c.Read.IsZero() && now.Sub(c.Read) < CountStale }

// LoadCount reads the last count, and the record that holds it; the zero Count when it was never read.
func LoadCount(ctx context.Context, l *ledger.Ledger, of playbook.Count) (ledger.Record, Count, error) {
	var c Count
	rec, err := l.Last(ctx, countSubject(of))
	if err != nil || rec.Seq == 0 {
		return rec, c, err
	}
	if err := json.Unmarshal(rec.Body, &c); err != nil {
		return rec, c, fmt.Errorf("count of %s at %s: %w", of.What, of.Connection, err)
	}
	return rec, c, nil
}

// SaveCount writes a count behind prev. Another one that came first is as good.
func SaveCount(ctx context.Context, l *ledger.Ledger, prev ledger.Record, by string, c Count) error {
	body, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("count of %s at %s: %w", c.What, c.Connection, err)
	}
	of := playbook.Count{Connection: c.Connection, What: c.What}
	_, err = l.Append(ctx, prev, ledger.Record{
		Subject: countSubject(of), State: ledger.Kept, By: by, Body: body,
		Reason: fmt.Sprintf("%s has %d %s", c.Connection, c.N, of.Words()),
	})
	if errors.Is(err, ledger.ErrConflict) {
		return nil
	}
	return err
}

// countSubject is where a count stands, in the form of a person's order: names of connections and of counts are tokens.
func countSubject(of playbook.Count) string {
	return ledger.OrderSubject("count-" + of.Connection + "-" + of.What)
}
