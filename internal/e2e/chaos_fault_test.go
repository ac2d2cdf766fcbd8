//go:build !race

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// fault is a sort of things that go wrong. begin lets one happen, says what, and gives what ends it.
type fault struct {
	name  string
	begin func(c *chaos) (what string, end func())
	kind  kind
}

// kind says beside what a fault may come.
type kind int

const (
	mixed  kind = iota
	apart       // from brokers and workers: lanes move as fast as ever
	lonely      // needs all else as it should be to come about
)

// outside are faults of neither brokers nor workers.
var outside = []fault{
	{"an intake is killed", func(c *chaos) (string, func()) { return c.killed(c.one(c.site.intakes[:])) }, apart},
	{"an intake is told to stop", func(c *chaos) (string, func()) { return c.stopped(c.one(c.site.intakes[:])) }, apart},
	{"the link of the senders fails", func(c *chaos) (string, func()) { return c.broken(c.one(c.site.intakes[:]).outer) }, apart},
	{"providers fail", (*chaos).misbehave, apart},
}

// brokers are faults of the NATS servers.
var brokers = []fault{
	{"a NATS server is killed", (*chaos).nodeKilled, mixed},
	{"a NATS server is told to stop", (*chaos).nodeStopped, mixed},
	{"a worker starts without a NATS server", (*chaos).nodeAway, mixed},
	{"all NATS servers are killed", (*chaos).nodesKilled, mixed},
	{"two NATS servers lose each other", (*chaos).parted, mixed},
	{"a NATS server loses the others", (*chaos).isolated, mixed},
	{"events are refused: full", (*chaos).eventsFull, lonely},
}

// links are faults of the links between our processes and others.
var links = []fault{
	{"a process loses its NATS server", (*chaos).serverLost, mixed},
	{"a process loses every NATS server", (*chaos).brokersLost, mixed},
	{"a process and every NATS server go silent", (*chaos).brokersSilent, mixed},
	{"the link to the providers fails", func(c *chaos) (string, func()) { return c.broken(c.holder().outer) }, mixed},
}

// rare are faults that take long.
var rare = []fault{
	{"a process's NATS server goes silent", (*chaos).serverSilent, mixed},
	{"a worker is told to stop", func(c *chaos) (string, func()) { return c.stopped(c.holder()) }, mixed},
	{"all intakes are killed", func(c *chaos) (string, func()) { return c.killed(c.site.intakes[:]...) }, mixed},
	{"all workers are killed", func(c *chaos) (string, func()) { return c.killed(c.site.workers[:]...) }, mixed},
	{"the store is full", (*chaos).storeFull, lonely},
}

// all gives every sort of fault. Workers die more often than all else.
func all() []fault {
	worker := fault{name: death, begin: (*chaos).workerKilled}
	return slices.Concat([]fault{worker, worker, worker}, outside, brokers, links, rare)
}

// death is the name of the fault that moves lanes.
const death = "a worker is killed"

// one picks a process.
func (c *chaos) one(of []*part) *part { return of[c.rng.IntN(len(of))] }

// holder is the worker that holds some lane.
func (c *chaos) holder() *part {
	held := c.site.holders() // once: a lane that is held now may be between two holders a moment later
	names := sorted(held)
	if len(names) == 0 {
		return c.one(c.site.workers[:])
	}
	return held[names[c.rng.IntN(len(names))]]
}

// expect waits until a process says that it is not ready, and why: while one thing is wrong, and nothing else.
func (c *chaos) expect(p *part, words ...string) {
	c.t.Helper()
	if !c.single {
		return
	}
	var text string
	await(c.t, patience, fmt.Sprintf("%s to say %q", p.name, words), func() bool {
		var status int
		status, text = p.says()
		return status == 503 && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	})
	c.said++
}

// killed ends processes as a crash does.
func (c *chaos) killed(list ...*part) (string, func()) {
	for _, p := range list {
		p.kill()
	}
	return names(list), func() {
		for _, p := range list {
			p.start(c.t)
		}
	}
}

// stopped ends a process as an operator does.
func (c *chaos) stopped(p *part) (string, func()) {
	if c.single {
		p.stop(c.t) // in good order, and in time
	} else {
		p.lastWords() // while its broker may be away
		p.kill()
	}
	return p.name, func() { p.start(c.t) }
}

func names(list []*part) string {
	var said []string
	for _, p := range list {
		said = append(said, p.name)
	}
	return strings.Join(said, ", ")
}

// broken cuts a link, or lets it stall in one direction or in both: for less time than a call that must not be repeated
// is waited for, beyond which nobody could tell a late call from one that was lost.
func (c *chaos) broken(list ...*link) (string, func()) {
	how := c.rng.IntN(4)
	for _, l := range list {
		if how == 0 {
			l.cut()
			continue
		}
		l.stall([][]direction{{there}, {back}, {there, back}}[how-1]...)
	}
	said := []string{"is cut", "stalls there", "stalls back", "stalls both ways"}[how]
	return list[0].name + " " + said, func() {
		for _, l := range list {
			l.heal()
		}
	}
}

// workerKilled kills the worker of a lane that has work, and waits until another one does it, where nothing else is in the
// way of that.
func (c *chaos) workerKilled() (string, func()) {
	victim := c.holder()
	index := slices.Index(c.site.workers[:], victim)
	var held []string
	for lane, p := range c.site.holders() {
		if p == victim {
			held = append(held, lane)
		}
	}
	slices.Sort(held)
	work := c.round.work()
	still := c.stalls.sum()
	victim.kill()
	at := time.Now()
	c.courier.give(work)
	var took []string
	for _, lane := range held {
		if work == nil || !c.calm {
			break
		}
		var first called
		await(c.t, 2*patience, "another worker in the lane "+lane, func() bool {
			c.site.tend(c.t)
			var ok bool
			first, ok = c.site.calls.byOther(lane, at, index)
			return ok
		})
		d := first.at.Sub(at)
		took = append(took, fmt.Sprintf("%s %.1f s", lane, d.Seconds()))
		c.follow, c.longest = append(c.follow, d), max(c.longest, d)
		if lost := c.stalls.sum() - still; d > handover+lost {
			c.t.Errorf("%s stood still for %s after the death of %s, with work waiting; the machine stood still for %s", lane, d, victim.name, lost)
		}
	}
	return fmt.Sprintf("%s, followed in %v", victim.name, took), func() { victim.start(c.t) }
}

// serverLost cuts the link to the NATS server that a process is connected to: it finds another one.
func (c *chaos) serverLost() (string, func()) {
	p := c.one(c.site.parts())
	l := p.connected()
	l.cut()
	c.recovers(p, l)
	return l.name, l.heal
}

// serverSilent is the same, but nobody tells the process.
func (c *chaos) serverSilent() (string, func()) {
	p := c.one(c.site.parts())
	l := p.connected()
	l.stall(there, back)
	c.recovers(p, l)
	return l.name, l.heal
}

// connected is the link over which a process talks to its broker.
func (p *part) connected() *link {
	for _, l := range p.brokers {
		if l.busy() {
			return l
		}
	}
	return p.brokers[0]
}

// recovers waits until a process is ready again, by another link than the one that is lost.
func (c *chaos) recovers(p *part, lost *link) {
	c.t.Helper()
	if !c.single {
		return
	}
	await(c.t, patience, p.name+" to find another NATS server", func() bool {
		c.site.tend(c.t)
		return slices.ContainsFunc(p.brokers, func(l *link) bool { return l != lost && l.busy() }) && p.ready()
	})
}

// brokersLost cuts a process off from every NATS server.
func (c *chaos) brokersLost() (string, func()) {
	p := c.one(c.site.parts())
	for _, l := range p.brokers {
		l.cut()
	}
	c.expect(p, "fail broker: ")
	return p.name, p.heal
}

// brokersSilent lets all links to the NATS servers stand still, in one direction or in both.
func (c *chaos) brokersSilent() (string, func()) {
	p := c.one(c.site.parts())
	which := [][]direction{{there}, {back}, {there, back}}[c.rng.IntN(3)]
	for _, l := range p.brokers {
		l.stall(which...)
	}
	c.expect(p, "fail broker: ")
	return fmt.Sprintf("%s, in %d directions", p.name, len(which)), p.heal
}

// heal undoes whatever was done to the links to the NATS servers.
func (p *part) heal() {
	for _, l := range p.brokers {
		l.heal()
	}
}
