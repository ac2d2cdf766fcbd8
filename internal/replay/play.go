package replay

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"keyturn/internal/events"
	"keyturn/internal/people"
	"keyturn/internal/playbook"
)

// Message is an event as it was stored.
type Message struct {
	Data   []byte    // its wire form; it must not be changed afterwards
	Stored time.Time // when it was accepted
}

// Case is an event of the history, and what each of the rules makes of it.
type Case struct {
	ID        string
	Hash      string // events.Event.ContentHash
	Event     string // its name in the catalogue
	Source    string // the configured source, or its dedup_scope
	Principal string
	Accepted  time.Time
	Effective time.Time // when it takes effect; zero = at once
	At        time.Time // when it is decided for good: when it was accepted, or takes effect
	Outcomes  []Outcome // in the order of the rules

	said    time.Time // its own time, or the latest that its acceptance allows
	ordered bool      // it has a place among the events of its person
	back    bool      // and takes terminations back
	ids     []events.Identifier
	judged  []Judged
	again   []time.Time // when it was sent again, of what may wait for a word: it is asked anew whether there is one
}

// History is what was played.
type History struct {
	Cases      []Case // in the order of time
	Events     int    // messages that were read
	Resent     int    // of these, events that had come before
	Conflicts  int    // and other content under the id of one that had come before
	Unreadable int    // and what is no event
}

// batch is how many messages are judged in one go.
const batch = 256

// Play judges every message of the history by all of the rules, on all cores. read hands the messages over, in the
// order in which they were stored. now is the time that no event has to wait for: what takes effect later is scheduled.
// Nothing is counted yet: see Count.
func Play(ctx context.Context, rules []Rules, now time.Time, read func(ctx context.Context, hand func(Message) error) error) (History, error) {
	cores := runtime.GOMAXPROCS(0)
	p := player{rules: rules, now: now, todo: make(chan work, cores)}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(p.todo)
		return p.read(ctx, read)
	})
	for range cores {
		g.Go(func() error { p.judge(); return nil })
	}
	if err := g.Wait(); err != nil {
		return History{}, err
	}
	return gather(p.done), nil
}

// player judges messages in batches.
type player struct {
	rules []Rules
	now   time.Time
	todo  chan work

	mu   sync.Mutex
	done [][]Case // by the number of the batch
}

// work is the batch of a number.
type work struct {
	n    int
	list []Message
}

// read parts what is handed over into batches.
func (p *player) read(ctx context.Context, read func(ctx context.Context, hand func(Message) error) error) error {
	send := func(w work) error {
		select {
		case p.todo <- w:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w := work{}
	err := read(ctx, func(m Message) error {
		if w.list = append(w.list, m); len(w.list) < batch {
			return nil
		}
		full := w
		w = work{n: w.n + 1}
		return send(full)
	})
	if err != nil {
		return err
	}
	return send(w)
}

// judge works off batches until there are no more.
func (p *player) judge() {
	for w := range p.todo {
		cases := make([]Case, len(w.list))
		for i, m := range w.list {
			cases[i] = play(p.rules, p.now, m)
		}
		p.mu.Lock()
		for len(p.done) <= w.n {
			p.done = append(p.done, nil)
		}
		p.done[w.n] = cases
		p.mu.Unlock()
	}
}

// play judges one message; a Case without an id is none.
func play(rules []Rules, now time.Time, m Message) Case {
	e, err := events.Unmarshal(m.Data)
	if err != nil {
		return Case{}
	}
	if e.Time.IsZero() {
		e.Time = m.Stored
	}
	c := Case{ID: e.Case(), Hash: e.ContentHash(), Event: e.Name(), Source: e.Scope, Principal: e.Subject, Accepted: m.Stored, At: m.Stored,
		Effective: e.EffectiveAt, said: people.TimeOf(e, m.Stored), ordered: people.Ordered(e), back: playbook.TakesBack(e),
		ids: events.PersonIdentifiers(e), judged: make([]Judged, len(rules))}
	if e.EffectiveAt.After(c.At) && !c.back { // which is asked when it comes, and only acts then
		c.At = e.EffectiveAt
	}
	for i, r := range rules {
		c.judged[i] = Judge(r, e, e.EffectiveAt.After(now))
		if len(c.judged[i].Brakes) > 0 {
			c.judged[i].named = playbook.Named(c.judged[i].Plan)
		}
		c.judged[i].Plan = events.Plan{} // a history of them would not fit into memory
	}
	return c
}

// gather puts the cases in the order of time, each once.
func gather(done [][]Case) History {
	var h History
	first := map[string]int{} // where in h.Cases
	for _, list := range done {
		for _, c := range list {
			h.Events++
			at, known := first[c.ID]
			switch {
			case c.ID == "":
				h.Unreadable++
			case known && h.Cases[at].Hash == c.Hash:
				h.Resent++
				if slices.ContainsFunc(c.judged, func(j Judged) bool { return len(j.Confirm) > 0 }) {
					h.Cases[at].again = append(h.Cases[at].again, c.Accepted)
				}
			case known:
				h.Conflicts++
			default:
				first[c.ID] = len(h.Cases)
				h.Cases = append(h.Cases, c)
			}
		}
	}
	slices.SortStableFunc(h.Cases, func(a, b Case) int { return cmp.Or(a.At.Compare(b.At), a.Accepted.Compare(b.Accepted)) })
	return h
}

// Count lets the guards of every one of the rules that look beyond one event go through the history, and fills in the
// outcomes: brakes, and the word of a second source. past is what the ledger says of a case, which decides what no rules
// do: that a newer event overtook it, that people ended it or let it go, that it was paused; nil = nothing of the kind. now
// is the moment until which everything that was due is decided. key is the deployment's (events.Keyer.Key): two whom an event
// joins go on under the smaller of their keys, which brakes count by; nil = nobody has it, and by some names that were given
// anew a brake may count one person more or less than the planner did.
func (h *History) Count(counts Counts, past func(c Case) Past, now time.Time, key func(principal string) string) {
	if len(h.Cases) == 0 {
		return
	}
	for i := range h.Cases {
		h.Cases[i].Outcomes = make([]Outcome, len(h.Cases[i].judged))
	}
	for r := range h.Cases[0].judged {
		w := walk{cases: h.Cases, rules: r, who: newMemory(key), wheels: newWheels(counts),
			at: make([]standing, len(h.Cases)), listed: map[string][]int{}}
		w.listens = slices.ContainsFunc(h.Cases, func(c Case) bool { return len(c.judged[r].Confirm) > 0 })
		w.run(past, now)
	}
}
