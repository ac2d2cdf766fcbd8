package e2e

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
	"keyturn/internal/stream"
	"keyturn/internal/stream/streamtest"
	"keyturn/internal/view"
)

var killSeed = flag.Uint64("kill.seed", 0, "repeat the order and the moments of death of an earlier run")

// plant is everything that runs: a NATS server, an intake and two workers, each a process of its own. The sandbox is
// in this process: it is the witness of what the others do.
type plant struct {
	sandbox *sandbox.Sandbox
	calls   *witness
	company company
	sink    string // where secrets of created clients go

	broker  broker
	nats    *proc
	ingest  *proc
	workers [2]*proc
	running []*proc // ours that are to run at this moment
	sender  *sender
}

// newPlant makes it, without anything running.
func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{sandbox: sandbox.New(sandbox.Options{Limits: sandbox.Unlimited()})}
	p.company = populate(p.sandbox)
	p.calls = &witness{next: p.sandbox}
	provider := httptest.NewServer(p.calls)
	t.Cleanup(provider.Close)
	p.broker, p.nats = newBroker(t, true)
	common := []string{"KEYTURN_NATS_URL=nats://" + p.broker.Client, "KEYTURN_NATS_MONITOR=http://" + p.broker.Monitor}

	sources, public := intakeConfig(t), streamtest.Address(t)
	p.ingest = p.process(t, "ingest", append(slices.Clone(common), "KEYTURN_CONFIG_DIR="+sources, "KEYTURN_LISTEN="+public, "KEYTURN_DRAIN=100ms"))
	p.sender = &sender{url: "http://" + public, specs: signers(t, sources), cases: map[string]map[string]bool{}}

	config, sink := workerConfig(t, provider.URL, p.sandbox.Credentials())
	p.sink = sink
	key := put(t, t.TempDir(), "deployment-key", "the sample key of one deployment")
	for i := range p.workers {
		p.workers[i] = p.process(t, fmt.Sprintf("worker-%d", i+1), append(slices.Clone(common), "KEYTURN_CONFIG_DIR="+config,
			"KEYTURN_DEPLOYMENT_KEY_FILE="+key, "KEYTURN_REPLICAS=1"))
	}
	p.running = []*proc{p.ingest, p.workers[0], p.workers[1]}
	return p
}

// process makes a process of one of our commands, whose name begins that of the process.
func (p *plant) process(t *testing.T, name string, settings []string) *proc {
	t.Helper()
	admin := streamtest.Address(t)
	binary, _, _ := strings.Cut(name, "-")
	made := newProc(t, name, func() *exec.Cmd { return command(t, binary, append(settings, "KEYTURN_ADMIN_LISTEN="+admin)) })
	made.admin = admin
	return made
}

// tend starts again what gave up.
func (p *plant) tend(t *testing.T) {
	t.Helper()
	for _, one := range p.running {
		one.tend(t)
	}
}

// settled waits until all processes say that they can do their job.
func (p *plant) settled(t *testing.T) {
	t.Helper()
	await(t, patience, "all to be ready", func() bool {
		p.tend(t)
		return !slices.ContainsFunc(p.running, func(one *proc) bool { return !one.ready() })
	})
}

// TestNothingLostNothingTwiceUnderSIGKILL runs the real commands, kills them at random moments, and asks the providers
// and the ledger what became of everything that was answered 202.
func TestNothingLostNothingTwiceUnderSIGKILL(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	}
	t.Logf("repeat with -kill.seed=%d", seed)
	rng := rand.New(rand.NewPCG(seed, seed))
	p := newPlant(t)
	before := p.sandbox.Snapshot()
	all := p.company.deliveries(t, rng)

	p.broker.start(t, p.nats)
	for _, one := range p.running {
		one.start(t)
	}
	p.settled(t)
	queue := make(chan delivery, len(all))
	sent := p.sender.run(t, queue, 4)
	rest := p.mayhem(t, rng, queue, all)
	p.settled(t)
	p.handOver(t)
	for _, d := range rest {
		queue <- d
	}
	close(queue)
	sent()
	p.judge(t, before, all)

	for _, one := range append(p.running, p.nats) {
		one.stop(t)
	}
}

// share is how many deliveries are sent between two deaths.
const share = 20

// mayhem kills one process after the other, each at a moment of its own, and starts it again, while deliveries are
// sent. It gives the deliveries that are left.
func (p *plant) mayhem(t *testing.T, rng *rand.Rand, queue chan<- delivery, list []delivery) (rest []delivery) {
	t.Helper()
	victims := append(slices.Repeat(append(p.running, p.nats), 2), p.ingest)
	rng.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	began := time.Now()
	for _, victim := range victims {
		for _, d := range list[:share] {
			queue <- d
		}
		list = list[share:]
		over := p.moment(rng, victim)
		p.tend(t)
		victim.kill()
		t.Logf("%6.2f s: %s is killed, %d calls so far", time.Since(began).Seconds(), victim.name, p.calls.count())
		over()
		victim.start(t)
	}
	return list
}

// moment waits for the moment at which the victim dies: for an intake in the middle of a delivery, for a worker in the
// middle of a call to a provider, before it has its effect or after, for the NATS server either. Where nothing happens for
// a while it comes all the same. A call that is under way stands still until over is called.
func (p *plant) moment(rng *rand.Rand, victim *proc) (over func()) {
	count, most, limit := &p.calls.counter, 400, time.Second
	switch victim {
	case p.ingest:
		count, most, limit = &p.sender.counter, share, 500*time.Millisecond
	case p.nats:
		if rng.IntN(2) == 0 {
			count, most = &p.sender.counter, share
		}
	case p.workers[0], p.workers[1]:
		// A lane whose worker died stands still for some ten seconds.
		limit = time.Duration(1+rng.IntN(9)) * time.Second
	}
	p.calls.late.Store(rng.IntN(2) == 0)
	reached, over := count.arm(1 + rng.IntN(most))
	select {
	case <-reached:
	case <-time.After(limit):
	}
	return over
}

// handOver stops the worker that holds a lane, and wants the other one to take all lanes.
func (p *plant) handOver(t *testing.T) {
	t.Helper()
	lanes := func(one *proc) int {
		_, text := get("http://" + one.admin + "/readyz?verbose")
		return strings.Count(text, "(held, epoch ")
	}
	var holder, heir *proc
	await(t, patience, "a worker to hold the lanes", func() bool {
		p.tend(t)
		holder, heir = p.workers[0], p.workers[1]
		if lanes(heir) > lanes(holder) {
			holder, heir = heir, holder
		}
		return lanes(holder)+lanes(heir) == 3
	})
	p.running = []*proc{p.ingest, heir}
	began := time.Now()
	holder.stop(t)
	stopped := time.Now()
	await(t, patience, heir.name+" to hold every lane", func() bool {
		p.tend(t)
		return lanes(heir) == 3
	})
	t.Logf("%s stopped within %s, and %s held every lane %s later", holder.name, stopped.Sub(began).Round(time.Millisecond),
		heir.name, time.Since(stopped).Round(time.Millisecond))
}

// judge compares what was answered with what the ledger tells and the providers show.
func (p *plant) judge(t *testing.T, before sandbox.State, all []delivery) {
	t.Helper()
	bus, err := stream.Connect(t.Context(), stream.Options{URL: "nats://" + p.broker.Client, Monitor: []string{"http://" + p.broker.Monitor}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bus.Close(context.Background()) }()
	book := ledger.New(bus.Log(), nil)
	rows := p.rested(t, view.New(book))

	distinct := map[string]bool{}
	for _, d := range all {
		if distinct[d.event] = true; len(p.sender.cases[d.event]) != 1 {
			t.Errorf("%s was answered with %d cases", d.event, len(p.sender.cases[d.event]))
		}
		for id := range p.sender.cases[d.event] {
			row, ok := rows[id]
			closed := row.State == ledger.Closed || row.State == ledger.ClosedWithResidual
			if !ok || !closed || row.Plan != ledger.Planned || row.Tally.Total != d.actions || row.Tally.Done != d.actions {
				t.Errorf("%s: case %s is %s, plan %s, %+v; %s", d.event, id, row.State, row.Plan, row.Tally, row.Reason)
			}
		}
	}
	if len(rows) != len(distinct) {
		t.Errorf("%d cases for %d events", len(rows), len(distinct))
	}
	if diff := cmp.Diff(lines(p.company.after(before)), lines(p.sandbox.Snapshot())); diff != "" {
		t.Errorf("the providers show (- wanted, + is)\n%s", diff)
	}
	p.judgeEffects(t)
	n, broken, err := book.Verify(t.Context(), ledger.Everything())
	if err != nil || len(broken) > 0 {
		t.Errorf("of %d records of the ledger these do not hold: %+v; %v", n, broken, err)
	}
	t.Logf("%d deliveries of %d events, %d records, %d calls", len(all), len(rows), n, p.calls.count())
}

// rested waits until every case that was answered rests, and gives the cases.
func (p *plant) rested(t *testing.T, reader *view.Reader) map[string]view.CaseRow {
	t.Helper()
	var rows map[string]view.CaseRow
	look := time.NewTicker(250 * time.Millisecond)
	defer look.Stop()
	deadline := time.Now().Add(patience + companyAtMost)
	for {
		list, err := reader.Cases(t.Context(), view.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		rows = map[string]view.CaseRow{}
		resting := 0
		for _, row := range list {
			rows[row.ID] = row
			if row.Resting() {
				resting++
			}
		}
		if resting == len(p.sender.cases) || time.Now().After(deadline) {
			return rows // those that do not rest are named by the judge
		}
		p.tend(t)
		<-look.C
	}
}

// judgeEffects wants each effect once, and the secret of every created client where it belongs.
func (p *plant) judgeEffects(t *testing.T) {
	t.Helper()
	count := map[string]int{}
	for _, effect := range p.sandbox.Journal().Effects() {
		if count[effect]++; count[effect] == 2 {
			t.Errorf("twice: %s", effect)
		}
	}
	for _, m := range p.sandbox.Snapshot().Mosaic.Clients {
		kept, err := filepath.Glob(filepath.Join(p.sink, m.ID+"*"))
		if slices.Contains(p.company.apps, m.Name) && (err != nil || len(kept) != 1) {
			t.Errorf("secret of %s: kept %d times, %v", m.Name, len(kept), err)
		}
	}
}

// counter counts what happens, and tells when so many more things have.
type counter struct {
	mu      sync.Mutex
	n, left int // left until the moment; below 1 = none is waited for
	reached chan struct{}
	passed  chan struct{}
}

// arm gives what is closed when n more things happen, and what ends the wait. One moment is waited for at a time.
func (c *counter) arm(n int) (reached <-chan struct{}, over func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.reached, c.passed = n, make(chan struct{}), make(chan struct{})
	return c.reached, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.left = 0
		close(c.passed)
	}
}

// tick counts one thing. For the one that was waited for it gives what is closed when the moment is over, else nil.
func (c *counter) tick() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	if c.left--; c.left != 0 {
		return nil
	}
	close(c.reached)
	return c.passed
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// witness sees every call to a provider. The one that is waited for stands still while the moment lasts, or until its
// caller is dead.
type witness struct {
	counter
	next http.Handler
	late atomic.Bool // it stands still after its effect, not before
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	moment := w.tick()
	if late := w.late.Load(); moment != nil && late {
		defer stand(r, moment)
	} else if moment != nil {
		stand(r, moment)
	}
	w.next.ServeHTTP(rw, r)
}

func stand(r *http.Request, moment <-chan struct{}) {
	select {
	case <-moment:
	case <-r.Context().Done():
	}
}
