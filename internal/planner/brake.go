package planner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
)

// tally is what a brake remembers: whom and what it let pass within its window. It is a record of the ledger, changed
// by compare-and-swap only, so that it is exact over planners and restarts. A person stands in it once, by whatever
// names events call them and however often an event is sent; what is about no person stands in it by its subject. Who
// is held does not stand in it: it bounds whom is acted upon.
//
// The record grows with the brake's max, and one is written per case that passes.
type tally struct {
	Brake  string `json:"brake"`
	Passed []pass `json:"passed"` // oldest first
}

// pass is one person, or one of what else events are about, that a brake let go.
type pass struct {
	Who   string    `json:"who,omitempty"`   // the person's key
	Names []string  `json:"names,omitempty"` // the keys of what the cases named: all that one gives, as one name
	Case  string    `json:"case"`            // the last of the cases
	Time  time.Time `json:"time"`            // when that one passed
}

// rider is the case that asks to pass.
type rider struct {
	called
	name   string // the key of all that it names
	caseID string
}

// is reports whether the pass was given to the case, or to whom it is about.
func (p pass) is(r rider) bool {
	mine := p.Who == r.Key || slices.Contains(r.Keys, p.Who) && !slices.Contains(r.Taken, p.Who)
	return p.Case == r.caseID || p.Who != "" && mine
}

// spellings is how many more names than persons may pass: that two names are one person's is what events say, and one
// who may send events must not make a whole company look like one person.
func spellings(most int) int {
	if most == 0 {
		return 0
	}
	return max(1, most/4)
}

// brake counts the case at every one of the brakes, and says which one it is too much for and why; empty = it passes.
// All are looked at before the first is counted, so that what one holds does not use up another.
func (t *turn) brake(ctx context.Context, d Decision, brakes []Brake) (name, why string, err error) {
	if len(brakes) == 0 {
		return "", "", nil
	}
	t.counting.Lock()
	defer t.counting.Unlock()
	r := rider{name: t.Keyer.Key(playbook.Named(d.Plan)), caseID: d.Case}
	if r.called, err = t.identity(ctx, d.Event); err != nil {
		return "", "", err
	}
	wheels := make([]wheel, len(brakes))
	for i, b := range brakes {
		most, known, err := t.most(ctx, b)
		if err != nil {
			return "", "", err
		}
		if !known {
			return b.Name, fmt.Sprintf("brake %s: it is not known how many %s %s has", title(b), spaced(b.Share.Of.What), b.Share.Of.Connection), nil
		}
		over := ""
		if wheels[i], over, err = t.turnstile(ctx, b, r, most); err != nil {
			return "", "", err
		}
		if over != "" {
			return b.Name, "brake " + title(b) + ": " + over, nil
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
func (t *turn) turnstile(ctx context.Context, b Brake, r rider, most int) (wheel, string, error) {
	subject := t.tallySubject(b)
	if w, known := t.tallies[subject]; known {
		if w = w.within(t.now().Add(-b.Per)); w.tally.over(r, most) == "" {
			return w, "", nil
		}
	}
	w, err := t.loadTally(ctx, b)
	if err != nil {
		return w, "", err
	}
	t.remember(w)
	return w, w.tally.over(r, most), nil
}

// maxTallies bounds how many tallies are remembered: what counts by a value may have one for each.
const maxTallies = 16

// remember keeps a tally for the next turn.
func (t *turn) remember(w wheel) {
	if t.tallies == nil || len(t.tallies) >= maxTallies {
		t.Planner.tallies = map[string]wheel{}
	}
	t.tallies[w.subject] = w
}

// wheel is a brake's tally and where it stands.
type wheel struct {
	subject string
	rec     ledger.Record
	tally   tally
}

// over says why the case is too much; empty = it may pass.
func (ta tally) over(r rider, most int) string {
	names, passed := 0, false
	for _, p := range ta.Passed {
		if p.Case == r.caseID || p.is(r) && slices.Contains(p.Names, r.name) {
			return ""
		}
		passed = passed || p.is(r)
		names += max(len(p.Names), 1)
	}
	switch {
	case !passed && len(ta.Passed) >= most:
		return fmt.Sprintf("%d have passed and no more than %d may", len(ta.Passed), most)
	case names >= most+spellings(most):
		return fmt.Sprintf("%d have passed under %d names, which is too many to be sure who is who", len(ta.Passed), names)
	}
	return ""
}

// count lets the case pass, in place of what passed for the same person before: the window of a person begins with the
// last case of theirs.
func (t *turn) count(ctx context.Context, w wheel, r rider) error {
	mine := pass{Who: r.Key, Names: []string{r.name}, Case: r.caseID, Time: t.now()}
	var others []pass
	for _, p := range w.tally.Passed {
		switch {
		case p.Case == r.caseID:
			return nil
		case !p.is(r):
			others = append(others, p)
			continue
		}
		for _, name := range p.Names {
			if !slices.Contains(mine.Names, name) {
				mine.Names = append(mine.Names, name)
			}
		}
	}
	w.tally.Passed = append(others, mine)
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

// within gives the wheel with whom it let pass after a moment.
func (w wheel) within(begin time.Time) wheel {
	passed := make([]pass, 0, len(w.tally.Passed)+1)
	for _, p := range w.tally.Passed {
		if p.Time.After(begin) {
			passed = append(passed, p)
		}
	}
	w.tally.Passed = passed
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

// title names a brake for a person.
func title(b Brake) string {
	if b.Key == "" {
		return b.Name
	}
	return b.Name + " (" + b.Key + ")"
}

// spaced makes words of a name.
func spaced(name string) string { return strings.ReplaceAll(name, "_", " ") }

// loadTally reads what a brake let pass within the window that ends now.
func (t *turn) loadTally(ctx context.Context, b Brake) (wheel, error) {
	w := wheel{subject: t.tallySubject(b), tally: tally{Brake: title(b)}}
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
