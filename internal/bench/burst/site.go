package burst

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/asa"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
)

// The connections, and how many calls each has in flight at most: what a connection has by default.
const (
	atOkta      = "okta"
	atASA       = "asa"
	concurrency = 4
	// inHand is how many actions of a class are in hand at a connection, most of them waiting for budget.
	inHand = 256
)

// site is a worker without a broker: lanes, runners and ledger are Keyturn's, what lies between them is memory.
type site struct {
	log    memory
	ledger *ledger.Ledger
	lines  map[string]*line
	ids    atomic.Int64
	buried atomic.Int64

	mu    sync.Mutex
	cases map[string]*pending
	open  sync.WaitGroup // cases
	lanes sync.WaitGroup
	stop  context.CancelFunc
}

// pending is a case that is not closed.
type pending struct {
	left  int // actions
	ended func()
}

// line is the lane of one connection with what waits for it.
type line struct {
	site    *site
	clients actions.Clients
	runner  *actions.Runner

	mu    sync.Mutex
	queue map[events.Class][]events.Action
	hands map[events.Class]int
}

// newSite lets lanes to these clients run.
func newSite(to map[string]actions.Clients) *site {
	s := &site{log: memory{last: map[string]map[string]record{}}, lines: map[string]*line{}, cases: map[string]*pending{}}
	s.ledger = ledger.New(&s.log, nil)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	for name, made := range to {
		l := &line{site: s, clients: made, queue: map[events.Class][]events.Action{}, hands: map[events.Class]int{}}
		s.lines[name] = l
		held := make(chan *actions.Runner, 1)
		of := &lane.Lane{Connection: name, Holder: "bench", Concurrency: concurrency, Bus: given{}, Probe: probe(made),
			Runner: func(t *lane.Tenure) *actions.Runner {
				r := s.runner(made, t)
				held <- r
				return r
			}}
		s.lanes.Go(func() { _ = of.Run(ctx) })
		l.runner = <-held
	}
	return s
}

// given is a bus that gives every lane to whoever asks, and never an action: the site hands them over itself.
type given struct{}

func (given) Hold(ctx context.Context, _, _ string, run func(context.Context, uint64) error) error {
	return run(ctx, 1)
}

func (given) Pull(ctx context.Context, _ stream.Consumer) (*stream.Puller, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (given) Handle(context.Context, *stream.Message, stream.Handler) {}

// runner makes the runner of a tenure, as a worker does.
func (s *site) runner(made actions.Clients, t *lane.Tenure) *actions.Runner {
	return &actions.Runner{
		Ledger: s.ledger, Queue: s, Morgue: s, Worker: "bench", Epoch: t.Epoch, Denied: t.Denied, Away: t.Away,
		NewID: func() string { return fmt.Sprint("a", s.ids.Add(1)) },
		Build: func(a events.Action, pins map[string]string) (actions.Kind, error) {
			return gated(made, t.Gate(a)).Build(a, pins)
		},
	}
}

// gated gives the clients as the calls of one action make them.
func gated(c actions.Clients, g apiclient.Gate) actions.Clients {
	if i, ok := g.(interface {
		Idle() (gone <-chan struct{}, over func())
	}); ok {
		c.Idle = i.Idle
	}
	if c.Okta != nil {
		c.Okta = c.Okta.WithGate(g)
	}
	if c.ASA != nil {
		c.ASA = c.ASA.WithGate(g)
	}
	return c
}

func probe(c actions.Clients) func(context.Context) error {
	if c.Okta != nil {
		return c.Okta.Probe
	}
	return c.ASA.Probe
}

// close ends the lanes when no case is open any more.
func (s *site) close() {
	s.open.Wait()
	s.stop()
	s.lanes.Wait()
}

// accept plans a case and sends what may go at once. ended is called when all its actions came to their end.
func (s *site) accept(ctx context.Context, caseID string, list []events.Action, ended func()) error {
	for i := range list {
		list[i].Case = caseID
	}
	body, err := json.Marshal(events.Plan{Case: caseID, Actions: list})
	if err != nil {
		return err
	}
	_, err = s.ledger.Append(ctx, ledger.Record{}, ledger.Record{Subject: ledger.PlanSubject(caseID), State: ledger.Planned, By: "bench", Body: body})
	if err != nil {
		return err
	}
	s.open.Add(1)
	s.mu.Lock()
	s.cases[caseID] = &pending{left: len(list), ended: ended}
	s.mu.Unlock()
	for _, a := range list {
		if len(a.After) == 0 {
			if err := s.PublishAction(ctx, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// PublishAction implements actions.Queue.
func (s *site) PublishAction(_ context.Context, a events.Action) error {
	l := s.lines[a.Connection]
	if l == nil {
		return errors.New("no such connection")
	}
	l.mu.Lock()
	l.queue[a.Class] = append(l.queue[a.Class], a)
	l.mu.Unlock()
	l.pump(a.Class)
	return nil
}

// PublishLater implements actions.Queue: looks at residuals come after the measurement.
func (*site) PublishLater(context.Context, events.Action, time.Time) error { return nil }

// Barrier implements actions.Queue.
func (*site) Barrier(context.Context) error { return nil }

// Bury implements actions.Morgue.
func (s *site) Bury(context.Context, events.DeadLetter) error { s.buried.Add(1); return nil }

// Unbury implements actions.Morgue.
func (*site) Unbury(context.Context, string) error { return nil }

// pump takes actions of a class in hand while there is a hand for them.
func (l *line) pump(class events.Class) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.hands[class] < inHand && len(l.queue[class]) > 0 {
		a := l.queue[class][0]
		l.queue[class] = l.queue[class][1:]
		l.hands[class]++
		go l.work(a)
	}
}

// work runs one action as far as it goes now.
func (l *line) work(a events.Action) {
	out := l.runner.Run(context.Background(), a)
	if out.Verdict == events.Retry {
		time.AfterFunc(out.Delay, func() { _ = l.site.PublishAction(context.Background(), a) })
	}
	l.mu.Lock()
	l.hands[a.Class]--
	l.mu.Unlock()
	l.pump(a.Class)
	if out.Verdict == events.Done {
		l.site.settled(a)
	}
}

// settled counts an action that came to its end, and closes its case behind the last one.
func (s *site) settled(a events.Action) {
	s.mu.Lock()
	p := s.cases[a.Case]
	p.left--
	last := p.left == 0
	if last {
		delete(s.cases, a.Case)
	}
	s.mu.Unlock()
	if last {
		s.log.forget(a.Case)
		if p.ended != nil {
			p.ended()
		}
		s.open.Done()
	}
}

// connect makes the clients of both providers over their wires.
func connect(sb *sandbox.Sandbox, toOkta, toASA http.RoundTripper) (map[string]actions.Clients, error) {
	cred := sb.Credentials()
	o, err := okta.New(okta.Options{BaseURL: sandbox.OktaURL(sandbox.InProcessURL), SSWS: secret.New(cred.OktaAPIToken),
		Wiring: apiclient.Wiring{Transport: toOkta}})
	if err != nil {
		return nil, err
	}
	a, err := asa.New(asa.Options{
		BaseURL: sandbox.ASAURL(sandbox.InProcessURL), Team: "acme", Wiring: apiclient.Wiring{Transport: toASA},
		ServiceUser: asa.ServiceUser{KeyID: cred.ASAAdmin.KeyID, KeySecret: secret.New(cred.ASAAdmin.KeySecret)},
	})
	if err != nil {
		return nil, err
	}
	// Who made the token is asked once, behind a lock: a clock that goes on when everybody waits would stand at it.
	if _, err := o.Owner(context.Background()); err != nil {
		return nil, err
	}
	return map[string]actions.Clients{
		atOkta: {Connection: atOkta, Okta: o, Sweeps: &actions.Sweeps{}},
		atASA:  {Connection: atASA, ASA: a, Sweeps: &actions.Sweeps{}},
	}, nil
}
