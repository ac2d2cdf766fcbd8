package burst

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/events"
)

// The common design retries after a second, doubled each time up to ten minutes, a fifth more or less.
const (
	naiveFirst = time.Second
	naiveLast  = 10 * time.Minute
)

// naive is the design that the field has in common, to compare with: one queue for all connections, as many workers as
// Keyturn has calls in flight, and every job that fails, for whatever reason, tried again from its beginning after a
// delay that doubles. It knows nothing of budgets, and its jobs share nothing. It makes the same calls through the same
// clients and kinds.
type naive struct {
	clients map[string]actions.Clients

	mu    sync.Mutex
	more  *sync.Cond
	queue []*job
	rng   *rand.Rand
	over  bool
	open  sync.WaitGroup // jobs that are not done
}

// job is one action, or what is left of it.
type job struct {
	events.Action
	tries int
	next  []*job // that wait for this one
	blind bool   // what nobody can read was done
	ended func()
}

func newNaive(to map[string]actions.Clients, seed uint64) *naive {
	n := &naive{clients: map[string]actions.Clients{}, rng: rand.New(rand.NewPCG(seed, 3))}
	n.more = sync.NewCond(&n.mu)
	for name, c := range to {
		c.Sweeps = nil
		n.clients[name] = c
	}
	return n
}

// run lets the workers work until all jobs are done.
func (n *naive) run(workers int) {
	var all sync.WaitGroup
	for range workers {
		all.Go(n.work)
	}
	n.open.Wait()
	n.mu.Lock()
	n.over = true
	n.mu.Unlock()
	n.more.Broadcast()
	all.Wait()
}

// add puts the jobs of a case into the queue: those that wait for another one go behind it.
func (n *naive) add(list []events.Action, ended func()) {
	left := len(list)
	var mu sync.Mutex
	last := func() {
		mu.Lock()
		defer mu.Unlock()
		if left--; left == 0 && ended != nil {
			ended()
		}
	}
	byID := map[string]*job{}
	for _, a := range list {
		j := &job{Action: a, ended: last}
		byID[a.ID] = j
		n.open.Add(1)
		if len(a.After) == 0 {
			n.push(j)
			continue
		}
		before := byID[a.After[0]]
		before.next = append(before.next, j)
	}
}

func (n *naive) push(j *job) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, j)
	n.more.Signal()
}

// pop takes the oldest job; false when all are done.
func (n *naive) pop() (*job, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.queue) == 0 {
		if n.over {
			return nil, false
		}
		n.more.Wait()
	}
	j := n.queue[0]
	n.queue = n.queue[1:]
	return j, true
}

func (n *naive) work() {
	for {
		j, ok := n.pop()
		if !ok {
			return
		}
		if n.try(j) != nil {
			time.AfterFunc(n.delay(j.tries), func() { n.push(j) })
			j.tries++
			continue
		}
		for _, next := range j.next {
			n.push(next)
		}
		j.ended()
		n.open.Done()
	}
}

// delay is how long a job waits that failed so often before.
func (n *naive) delay(tries int) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := min(naiveFirst<<min(tries, 20), naiveLast)
	return time.Duration(float64(d) * (0.8 + 0.4*n.rng.Float64()))
}

// try does a job from its beginning: looks, changes what is needed, and looks again.
func (n *naive) try(j *job) error {
	ctx := context.Background()
	kind, err := n.clients[j.Connection].Build(j.Action, nil)
	if err != nil {
		return err
	}
	for range 5 {
		seen, err := kind.Observe(ctx)
		if err != nil {
			return err
		}
		todo := slices.DeleteFunc(seen.Needed, func(c actions.Change) bool { return c.Blind && j.blind })
		if len(todo) == 0 {
			return nil
		}
		for _, c := range todo {
			if _, err := c.Apply(ctx); err != nil {
				return err
			}
			j.blind = j.blind || c.Blind
		}
	}
	return errors.New("it does not hold")
}
