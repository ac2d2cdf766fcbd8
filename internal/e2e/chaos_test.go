//go:build !race

package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	chaosSeed = flag.Uint64("chaos.seed", 0, "repeat the people, the faults and their order of an earlier run")
	chaosFor  = flag.Duration("chaos.for", 0, "how long faults go on, of every sort; 0 = a few of them, once")
)

// chaos is one run: what stands, what goes wrong, and what became of it.
type chaos struct {
	t       *testing.T
	rng     *rand.Rand
	site    *site
	courier *courier
	judge   *judge
	stalls  stalls
	began   time.Time

	round  *round
	single bool // one fault at a time: what must be said and done about it is looked at
	calm   bool // brokers and the workers that live are as they should be: lanes move in time

	faults  map[string]int  // by sort
	said    int             // how often a process had to say what is wrong, and did
	follow  []time.Duration // from the death of a worker to another's first call in its lane
	longest time.Duration
}

// handover is how long after the death of its worker a lane stands still at most (cmd/worker).
const handover = 15 * time.Second

// TestChaos lets everything fail that may, and asks the providers and the ledger what became of what was accepted: nothing
// is lost, nothing happens twice, nobody else is touched, and every case ends.
func TestChaos(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	seed := *chaosSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	}
	t.Logf("repeat with -chaos.seed=%d -chaos.for=%s", seed, *chaosFor)
	c := newChaos(t, seed)
	if *chaosFor == 0 {
		c.short()
	} else {
		c.long(*chaosFor)
	}
	c.stop()
	t.Log(c.table())
}

// newChaos starts everything.
func newChaos(t *testing.T, seed uint64) *chaos {
	t.Helper()
	s := newSite(t, seed)
	c := &chaos{t: t, rng: rand.New(rand.NewPCG(seed, seed)), site: s, began: time.Now(), faults: map[string]int{}}
	t.Cleanup(c.stalls.watch())
	if _, err := built(); err != nil {
		t.Fatal(err)
	}
	c.log("the commands are built")
	for _, n := range s.nodes {
		n.start(t)
	}
	s.prepare(t)
	c.log("the cluster has its streams")
	for _, p := range s.parts() {
		p.start(t)
	}
	c.courier = newCourier(t, s, seed, 8)
	c.judge = &judge{site: s, courier: c.courier, effects: map[string]int{}}
	s.settled(t)
	c.log("everything is ready")
	return c
}

// log tells the time of the run with it.
func (c *chaos) log(format string, args ...any) {
	c.t.Helper()
	c.t.Logf("%6.1f s: %s", time.Since(c.began).Seconds(), fmt.Sprintf(format, args...))
}

// short is one round: a worker dies while other things go wrong, then something of the brokers, or of the links to them.
func (c *chaos) short() {
	c.round = newRound(c.t, c.site, c.rng, 1)
	c.storm(fault{name: death, begin: (*chaos).workerKilled}, c.pick(outside))
	c.alone(c.pick(slices.Concat(brokers, links)))
	c.finish()
}

// long runs rounds until the time is over. Every sort of fault comes before any comes again.
func (c *chaos) long(limit time.Duration) {
	building := make(chan struct{})
	go func() { // it takes a minute or two: everything is compiled anew
		defer close(building)
		if _, err := c.site.skewed(); err != nil {
			c.t.Error(err)
		}
	}()
	defer func() { <-building }()
	began := time.Now()
	var deck []fault
	for n := 1; time.Since(began) < limit && !c.t.Failed(); n++ {
		c.round = newRound(c.t, c.site, c.rng, n)
		right := func() {}
		if n > 1 {
			<-building
			right = c.skew()
		}
		for range 6 {
			if len(deck) < 3 {
				more := all()
				c.rng.Shuffle(len(more), func(i, j int) { more[i], more[j] = more[j], more[i] })
				deck = append(deck, more...)
			}
			if time.Since(began) > limit || c.t.Failed() {
				break
			}
			few := slices.ContainsFunc(deck[:3], func(f fault) bool { return f.kind == lonely })
			if c.rng.IntN(4) == 0 && !few {
				c.storm(deck[:3]...)
				deck = deck[3:]
				continue
			}
			c.alone(deck[0])
			deck = deck[1:]
		}
		right()
		c.finish()
		c.log("round %d is judged: %d records of the ledger, %d calls", n, c.judge.records, c.site.calls.count())
	}
}

// pick gives one of some faults.
func (c *chaos) pick(of []fault) fault { return of[c.rng.IntN(len(of))] }

// alone lets one thing go wrong, and looks at what is said of it and done about it.
func (c *chaos) alone(f fault) {
	c.single = true
	c.storm(f)
	c.single = false
}

// storm lets things go wrong at once, and waits until all is well again.
func (c *chaos) storm(list ...fault) {
	c.t.Helper()
	c.calm = !slices.ContainsFunc(list, func(f fault) bool { return f.name != death && f.kind != apart })
	var ends []func()
	for _, f := range list {
		c.courier.give(c.round.next(6))
		c.faults[f.name]++
		what, end := f.begin(c)
		c.log("%s: %s", f.name, what)
		ends = append(ends, end)
	}
	c.courier.give(c.round.next(4))
	hold := time.NewTimer(time.Duration(500+c.rng.IntN(2500)) * time.Millisecond)
	defer hold.Stop()
	<-hold.C
	for _, end := range ends {
		end()
	}
	c.site.settled(c.t)
}

// finish sends what is left of the round, and judges it.
func (c *chaos) finish() {
	c.t.Helper()
	c.courier.give(c.round.list)
	c.courier.give(c.round.waiting)
	c.courier.accepted(c.t)
	c.log("everything is accepted")
	c.judge.finds(c.t, c.round)
}

// stop stops all of our processes at once, each in good order.
func (c *chaos) stop() {
	c.t.Helper()
	var all sync.WaitGroup
	for _, p := range c.site.parts() {
		all.Go(func() { p.stop(c.t) })
	}
	all.Wait()
}

// table is the summary of a run.
func (c *chaos) table() string {
	var b strings.Builder
	row := func(what string, n any) { _, _ = fmt.Fprintf(&b, "  %-42s %v\n", what, n) }
	b.WriteString("\n")
	total := 0
	for _, name := range sorted(c.faults) {
		row(name, c.faults[name])
		total += c.faults[name]
	}
	row("faults in all", total)
	events, requests, answers := c.courier.figures()
	row("events accepted", events)
	row("deliveries sent, by answer (0 = none)", fmt.Sprintf("%d %v", requests, answers))
	row("calls to the providers", c.site.calls.count())
	row("effects", len(c.judge.effects))
	row("effects that happened twice", c.judge.double)
	row("accepted events lost", c.judge.lost)
	row("records of the ledger, chained", c.judge.records)
	row("times that a process said what is wrong", c.said)
	row("lanes that moved after a kill", len(c.follow))
	row("longest until another worker's first call", c.longest.Round(10*time.Millisecond))
	row("took", time.Since(c.began).Round(time.Second))
	return b.String()
}
