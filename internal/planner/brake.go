package planner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
)

// tally is what a brake remembers: whom and what it let pass within its window (playbook.Tally). It is a record of the
// ledger, changed by compare-and-swap only, so that it is exact over planners and restarts.
//
// The record grows with the brake's max, and one is written per case that passes.
type tally struct {
	Brake  string          `json:"brake"`
	Passed []playbook.Pass `json:"passed"` // oldest first
}

// brake counts the case at every one of the brakes, and says which one it is too much for and why; empty = it passes.
// All are looked at before the first is counted, so that what one holds does not use up another.
func (t *turn) brake(ctx context.Context, d Decision, brakes []Brake) (name, why string, err error) {
	if len(brakes) == 0 {
		return "", "", nil
	}
	t.counting.Lock()
	defer t.counting.Unlock()
	who, err := t.identity(ctx, d.Event)
	if err != nil {
		return "", "", err
	}
	r := playbook.Rider{Who: who.Key, Keys: who.Counted, Name: t.Keyer.Key(playbook.Named(d.Plan)), Case: d.Case}
	wheels := make([]wheel, len(brakes))
	for i, b := range brakes {
		most, known, err := t.most(ctx, b)
		if err != nil {
			return "", "", err
		}
		if !known {
			return b.Name, b.Unknown(), nil
		}
		over := ""
		if wheels[i], over, err = t.turnstile(ctx, b, r, most); err != nil {
			return "", "", err
		}
		if over != "" {
			return b.Name, "brake " + b.Title() + ": " + over, nil
		}
	}
	for _, w := range wheels {
		if err := t.count(ctx, w, r); err != nil {
			return "", "", err
		}
		// Dying here: counted and not planned. The message comes again and finds itself counted.
	}
	return "", "", nil
}

// turnstile gives a brake's tally, and says why the case is too much for it; empty = it may pass. A tally that is known
// may be an old one: nobody is stopped by that, and nobody passes by it either, because the count is swapped.
func (t *turn) turnstile(ctx context.Context, b Brake, r playbook.Rider, most int) (wheel, string, error) {
	subject := t.tallySubject(b)
	if w, known := t.tallies[subject]; known {
		if w = w.within(t.now().Add(-b.Per)); w.window.Over(r, most) == "" {
			return w, "", nil
		}
	}
	w, err := t.loadTally(ctx, b)
	if err != nil {
		return w, "", err
	}
	t.remember(w)
	return w, w.window.Over(r, most), nil
}

// maxTallies bounds how many tallies are remembered: what counts by a value may have one for each.
const maxTallies = 16

// remember keeps a tally for the next turn.
func (t *turn) remember(w wheel) {
	if t.tallies == nil || len(t.tallies) >= maxTallies {
		t.Planner.tallies = map[string]wheel{}
	}
	w.window = nil
	t.tallies[w.subject] = w
}

// wheel is a brake's tally and where it stands.
type wheel struct {
	subject string
	rec     ledger.Record
	tally   tally
	window  *playbook.Tally // of the tally, at this moment; nil in what is remembered
}

// count lets the case pass (playbook.Tally.Count), and writes that down.
func (t *turn) count(ctx context.Context, w wheel, r playbook.Rider) error {
	if !w.window.Count(r, t.now()) {
		return nil
	}
	w.tally.Passed = w.window.Passed()
	body, err := json.Marshal(w.tally)
	if err != nil {
		return fmt.Errorf("brake %s: %w", w.tally.Brake, err)
	}
	// Dying after it: counted, and not yet decided; the event comes again, finds itself counted, and passes.
	if w.rec, err = t.append(ctx, w.rec, ledger.Record{Subject: w.subject, State: ledger.Kept, Body: body}); err != nil {
		delete(t.tallies, w.subject)
		return err
	}
	w.rec.Body = nil
	t.remember(w)
	return nil
}

// within gives the wheel with whom it let pass after a moment in its window.
func (w wheel) within(begin time.Time) wheel {
	w.window = playbook.NewTally(w.tally.Passed)
	w.window.Begin(begin)
	return w
}

// most is how many may pass a brake now; known is false when nobody can say.
func (t *turn) most(ctx context.Context, b Brake) (n int, known bool, err error) {
	if b.Share == nil {
		return b.Max, true, nil
	}
	_, c, err := LoadCount(ctx, t.Ledger, b.Share.Of)
	if err != nil || !c.fresh(t.now()) {
		return 0, false, err
	}
	return b.Share.Max(c.N), true, nil
}

// loadTally reads what a brake let pass within the window that ends now.
func (t *turn) loadTally(ctx context.Context, b Brake) (wheel, error) {
	w := wheel{subject: t.tallySubject(b), tally: tally{Brake: b.Title()}, window: &playbook.Tally{}}
	var err error
	if w.rec, err = t.Ledger.Last(ctx, w.subject); err != nil || w.rec.Seq == 0 {
		return w, err
	}
	if err := json.Unmarshal(w.rec.Body, &w.tally); err != nil {
		return w, fmt.Errorf("brake %s: %w", b.Name, err)
	}
	return w.within(t.now().Add(-b.Per)), nil
}

// tallySubject is where a brake's tally stands. It has the form of a person's order, which is the ledger's place for
// what is kept and has no states; the brake's name is hashed into the form of a key, which no principal has. What `by`
// gives may name a person, and is hidden as one.
func (t *turn) tallySubject(b Brake) string {
	if b.Key != "" {
		return ledger.OrderSubject("brake-" + t.Keyer.Key("brake "+b.Name+" "+b.Key))
	}
	sum := sha256.Sum256([]byte("brake " + b.Name))
	return ledger.OrderSubject("brake-" + hex.EncodeToString(sum[:8]))
}
