package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"keyturn/internal/stream"
)

// point is a place where a case can be struck: the nth time since its last (re)start that it comes by. Its name says
// what is worked off and what is written or called, in words that are the same for every case of a flow.
type point struct {
	name string
	nth  int
}

func (p point) String() string { return fmt.Sprintf("%s #%d", p.name, p.nth) }

// mode is what happens at a point.
type mode string

const (
	dieBefore mode = "dies before" // nothing was written, or called
	dieAfter  mode = "dies after"  // it was, and nobody knows
	refused   mode = "is refused"  // nothing was written or called, and the caller is told of an error
	lost      mode = "loses"       // it was, and the caller is told of an error
)

// late reports whether the mode strikes behind the write or call.
func (m mode) late() bool { return m == dieAfter || m == lost }

// dies reports whether the worker is gone then.
func (m mode) dies() bool { return m == dieBefore || m == dieAfter }

// strike is what happens to a case, and where.
type strike struct {
	at   point
	mode mode
}

func (s strike) String() string { return fmt.Sprintf("%s %s", s.mode, s.at) }

// kind groups strikes.
func (s strike) kind() string { return string(s.mode) + " " + s.at.kind() }

// kind groups points: what is written or called, whoever it is for.
func (p point) kind() string {
	_, what, _ := strings.Cut(p.name, ": ")
	op, subject, _ := strings.Cut(what, " ")
	switch {
	case op == http.MethodGet:
		return "read"
	case op == http.MethodPost || op == http.MethodPut || op == http.MethodDelete:
		return "change"
	case op != string(stream.OpAppend):
		return op
	case strings.HasPrefix(subject, "person."):
		return op + " person"
	}
	switch last := subject[strings.LastIndexByte(subject, '.')+1:]; last {
	case "plan", "lifecycle":
		return op + " " + last
	}
	return op + " action"
}

// call reports whether the point is a call to a provider.
func (p point) call() bool { return p.kind() == "read" || p.kind() == "change" }

// death is the panic of a worker that dies.
type death struct{}

// rescue takes a death out of a handler; anything else is a bug and goes on.
func rescue(v any) {
	if _, ok := v.(death); !ok && v != http.ErrAbortHandler {
		panic(v)
	}
}

// errBroken is what a caller is told whose write or call failed, or whose answer was lost.
var errBroken = errors.New("struck: the connection broke")

// visit is one message of a case in hand, or one thing that its sender or an operator does, in one life of the worker.
type visit struct {
	trial *trial
	life  int
	where string // what is worked off
	seq   uint64 // of the message in its stream; 0 = none
}

// visitKey is the context's key of a visit.
type visitKey struct{}

// visitOf gives the visit that a write or call belongs to.
func visitOf(ctx context.Context) (visit, bool) {
	v, ok := ctx.Value(visitKey{}).(visit)
	return v, ok
}

// body is what a worker that died takes with it: everything of one case that was in memory.
type body struct {
	mu     sync.Mutex
	life   int
	end    context.CancelFunc // ends what is under way in this life
	living context.Context
	script []strike
	fired  int            // strikes that happened
	counts map[string]int // by point name, since the last strike
	trace  []stop         // since the last strike
}

// stop is a point that a case came by.
type stop struct {
	point
	through bool // it went on behind it: what was to be written was written
}

// last reports whether nothing of the same visit comes behind it. Elsewhere, dying behind a point leaves the same to
// find as dying before the next one.
func (p point) last() bool {
	switch k := p.kind(); {
	case k == string(stream.OpAck), k == string(stream.OpNak):
		return true
	default:
		return k == string(stream.OpBarrier) && (strings.HasPrefix(p.name, intake) || strings.HasPrefix(p.name, operator))
	}
}

// intake and operator begin the names of what is not done by a worker.
const (
	intake   = "intake"
	operator = "operator"
)

// newBody begins a first life.
func newBody(script []strike) *body {
	b := &body{script: script, counts: map[string]int{}}
	b.living, b.end = context.WithCancel(context.Background())
	return b
}

// enter gives the context of a visit in the present life, which ends with it.
func (b *body) enter(ctx context.Context, v visit) context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	v.life = b.life
	ctx, cancel := context.WithCancel(context.WithValue(ctx, visitKey{}, v))
	context.AfterFunc(b.living, cancel)
	return ctx
}

// hit is called before and after every write and call of a visit. One of an earlier life is dead already: it gets no
// further.
func (b *body) hit(v visit, what string, late bool) (struck *strike, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if v.life != b.life {
		panic(death{})
	}
	name := v.where + ": " + what
	if !late {
		b.counts[name]++
		b.trace = append(b.trace, stop{point{name, b.counts[name]}, false})
	}
	for i := len(b.trace) - 1; late && i >= 0; i-- {
		if b.trace[i].point == (point{name, b.counts[name]}) {
			b.trace[i].through = true
			break
		}
	}
	if b.fired == len(b.script) {
		return nil, nil
	}
	s := b.script[b.fired]
	if s.at != (point{name, b.counts[name]}) || s.mode.late() != late {
		return nil, nil
	}
	b.fired++
	b.counts, b.trace = map[string]int{}, nil
	if s.mode.dies() {
		b.life++
		b.end()
		b.living, b.end = context.WithCancel(context.Background())
		return &s, nil
	}
	return &s, errBroken
}

// close ends what is left of the last life.
func (b *body) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end()
}

// done reports whether every strike of the script happened.
func (b *body) done() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fired == len(b.script)
}

// times tells how often the case came by a place since its last strike.
func (b *body) times(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts[name]
}

// seen gives the points that the case came by since its last strike.
func (b *body) seen() []stop {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.trace)
}
