package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
	"keyturn/internal/view"
)

// errDemo: something that must hold does not; the lines above it say what.
var errDemo = errors.New("the demo failed: see the lines marked NO")

// draw writes one piece of the demo's output.
func (st *stage) draw(text func(s *screen)) error {
	var b bytes.Buffer
	text(st.screen(&b))
	_, err := st.out.Write(b.Bytes())
	return err
}

// open says what is about to be seen.
func (st *stage) open() error {
	return st.draw(func(s *screen) {
		fmt.Fprintf(s, "A temporary store (durability %s), the intake at %s, the sandbox of Okta, ASA and Mosaic at %s.\n",
			st.machine.bus.Durability(), st.machine.URL(), st.sandbox.URL)
		fmt.Fprintf(s, "The providers will throttle, fail, lie and hang up %d times.\n\n", len(trouble()))
	})
}

// watch shows each new moment of each case until ctx ends, and once more then.
func (st *stage) watch(ctx context.Context) error {
	seen := map[string]int{} // moments shown, by scene
	for {
		done := ctx.Err() != nil
		if err := st.news(context.WithoutCancel(ctx), seen); err != nil || done {
			return err
		}
		select {
		case <-time.After(2 * demoPoll):
		case <-ctx.Done():
		}
	}
}

// moment is a moment of a scene's case.
type moment struct {
	view.Moment
	scene     scene
	principal string
}

// news shows what the ledger tells that was not shown yet, in the order in which it happened.
func (st *stage) news(ctx context.Context, seen map[string]int) error {
	var fresh []moment
	for _, sc := range st.onStage() {
		id, sent := st.caseOf(sc)
		if !sent {
			continue
		}
		v, err := st.view.Case(ctx, id)
		if errors.Is(err, view.ErrNotFound) {
			continue // stored, and not planned yet
		}
		if err != nil {
			return err
		}
		for i, m := range v.Timeline {
			if i >= seen[sc.id] && (m.State != ledger.Started || m.Text != "" || i == 0) {
				fresh = append(fresh, moment{Moment: m, scene: sc, principal: v.Principal})
			}
		}
		seen[sc.id] = len(v.Timeline)
	}
	slices.SortStableFunc(fresh, func(a, b moment) int { return a.Time.Compare(b.Time) })
	return st.draw(func(s *screen) {
		for _, m := range fresh {
			state := s.paint(colourOf(m.State), fmt.Sprintf("%-10s", m.State))
			fmt.Fprintf(s, "%7.3f s  %-8s %-26s %-9s %s %s\n", m.Time.Sub(st.began).Seconds(), m.scene.id,
				cut(m.principal, 26), m.About, state, cut(clean(m.Text), 80))
		}
	})
}

// cut shortens a text for a column.
func cut(text string, n int) string {
	r := []rune(strings.ReplaceAll(text, "\n", " "))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}

// conclude shows the table and the judgement; its error is errDemo when something does not hold.
func (st *stage) conclude(ctx context.Context, before sandbox.State) error {
	verdicts := judge(st.acme, before, st.sandbox.Snapshot())
	say := func(ok bool, format string, args ...any) {
		verdicts = append(verdicts, verdict{what: fmt.Sprintf(format, args...), ok: ok})
	}
	var rows [][]any
	for _, sc := range st.scenes {
		v, err := st.view.Case(ctx, st.cases[sc.id])
		if err != nil {
			return err
		}
		rows = append(rows, st.row(sc, v))
		end := endOf(v)
		say(end == ledger.State(sc.want), "%s ended as %s", sc.title, end)
	}
	row, err := st.wildRow(ctx)
	if err != nil {
		return err
	}
	rows = append(rows, row)
	say(st.wild.held == wildPeople+1-wildBrake, "%d of %d in the feed gone wrong waited until a person approved them", st.wild.held, wildPeople)
	twice := repeated(st.sandbox.Journal())
	say(len(twice) == 0, "%d effects happened twice %s", len(twice), strings.Join(twice, ", "))
	say(st.resent == len(st.scenes), "%d of %d resends were answered with the same case", st.resent, len(st.scenes))
	say(st.wild.resent, "the feed, sent again, was answered with the same cases")
	say(st.forged == 401, "a bad signature was answered %d", st.forged)
	records, broken, err := st.ledger.Verify(ctx, ledger.Everything())
	if err != nil {
		return err
	}
	say(len(broken) == 0, "%d of %d ledger records break the chain", len(broken), records)
	if err := st.draw(func(s *screen) { s.conclusion(rows, verdicts) }); err != nil {
		return err
	}
	for _, v := range verdicts {
		if !v.ok {
			return errDemo
		}
	}
	return nil
}

// endOf is where a case ended: its plan's state when it never came to act, else its own.
func endOf(v view.CaseView) ledger.State {
	if v.Plan != ledger.Planned {
		return v.Plan
	}
	return v.State
}

// row is a scene in the final table.
func (st *stage) row(sc scene, v view.CaseView) []any {
	attempts := 0
	for _, a := range v.Actions {
		attempts += a.Tries
	}
	c := st.meter.count(v.ID)
	return []any{sc.title, millis(v.VerifiedMS), c.calls, c.throttled, attempts, string(endOf(v)), v.ID}
}

// conclusion draws the table and the judgement.
func (s *screen) conclusion(rows [][]any, verdicts []verdict) {
	fmt.Fprintln(s)
	s.table([]string{"EVENT", "ACCEPTED → VERIFIED", "CALLS", "429S", "ATTEMPTS", "ENDED AS", "CASE"}, rows)
	fmt.Fprintf(s, "\nWhat the providers themselves show:\n")
	for _, v := range verdicts {
		mark := s.paint(green, "yes")
		if !v.ok {
			mark = s.paint(red, "NO ")
		}
		fmt.Fprintf(s, "  %s  %s\n", mark, v.what)
	}
}

// meter counts the calls of each case, and those that were answered "wait".
type meter struct {
	mu    sync.Mutex
	cases map[string]*counted
}

type counted struct{ calls, throttled int }

func newMeter() *meter { return &meter{cases: map[string]*counted{}} }

// of stands between an action and its gate.
func (m *meter) of(a events.Action, g apiclient.Gate) apiclient.Gate {
	return counting{Gate: g, meter: m, caseID: a.Case}
}

// count is what a case cost so far.
func (m *meter) count(caseID string) counted {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.cases[caseID]; c != nil {
		return *c
	}
	return counted{}
}

// counting is a gate that counts.
type counting struct {
	apiclient.Gate
	meter  *meter
	caseID string
}

// Learn counts the call that ended, and passes what it said on.
func (c counting) Learn(bucket string, said apiclient.Budget) {
	c.meter.mu.Lock()
	n := c.meter.cases[c.caseID]
	if n == nil {
		n = &counted{}
		c.meter.cases[c.caseID] = n
	}
	n.calls++
	if said.Wait > 0 {
		n.throttled++
	}
	c.meter.mu.Unlock()
	c.Gate.Learn(bucket, said)
}
