package lane

import (
	"time"

	"keyturn/internal/events"
)

// State is how a lane stands at a moment, for a person and for metrics. It is what the holder itself knows: whoever
// takes the lane over begins anew.
type State struct {
	Epoch uint64    // of the lease
	Since time.Time // when this worker began to hold it

	Broken error     // why the breaker is open; nil = it is closed
	Fault  Fault     // of which kind that is; empty = it is closed
	Opened time.Time // since when; zero = it is closed
	Lacks  []Lack    // rights that the credential lacks; what needs one of them waits
	Halted string    // why an operator lets the lane begin nothing; empty = it may

	Ceiling  int // calls that may be in flight at present; two more of the urgent
	Most     int // what the ceiling creeps up to
	InFlight int // calls under way

	TokenHeld time.Time // until when no call goes because the token endpoint wants to be left alone; zero = calls go

	Buckets []Seen               // by name
	InHand  map[events.Class]int // actions taken from the broker and not yet settled
	AtGate  map[events.Class]int // of their calls, those that wait for budget or for a place

	Calls   int // that went out within the last minute
	Actions int // that were settled for good within the last minute
	Done    int // that were settled for good since Since
}

// State tells how the lane stands; false while another worker holds it, or nobody.
func (l *Lane) State() (State, bool) {
	t := l.tenure()
	if t == nil {
		return State{}, false
	}
	return t.state(time.Now()), true
}

func (t *Tenure) state(now time.Time) State {
	s := State{Epoch: t.Epoch, Since: t.since, Halted: t.halt.why(), InHand: map[events.Class]int{}}
	s.Fault, s.Opened, s.Broken = t.breaker.standing()
	s.Lacks = t.lacks.tell()
	t.gate.tell(&s, now)
	if t.lane.TokenHeld != nil {
		s.TokenHeld = t.lane.TokenHeld()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, class := range events.Classes() {
		s.InHand[class] = t.inHand[class]
	}
	s.Actions, s.Done = t.done.last(now), t.done.total
	return s
}

// tell fills in what the gate knows.
func (g *gate) tell(s *State, now time.Time) {
	s.Buckets, s.Ceiling = g.seen(now)
	g.mu.Lock()
	defer g.mu.Unlock()
	s.Most, s.InFlight, s.Calls = g.most, g.inFlight, g.calls.last(now)
	s.AtGate = map[events.Class]int{}
	for _, class := range events.Classes() {
		s.AtGate[class] = 0
	}
	for _, w := range g.waiting {
		s.AtGate[events.Classes()[w.pass.rank]]++
	}
}

// took counts an action into the hands of its class.
func (t *Tenure) took(class events.Class) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inHand[class]++
}

// settledAs counts it out of them, by what became of it.
func (t *Tenure) settledAs(class events.Class, out events.Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inHand[class]--
	if out.Verdict == events.Done {
		t.done.add(time.Now())
	}
}
