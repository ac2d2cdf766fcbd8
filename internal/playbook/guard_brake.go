package playbook

import (
	"math"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// Brake lets at most Max persons or things pass in any window of length Per; what is above is held. How it counts is
// Tally; who counts is the planner, and a replay.
type Brake struct {
	Name string // what counts together; it stays when Max changes: "user.terminated per 1h0m0s"
	Key  string // what `by` gives for the event: each value is counted for itself; empty without
	Max  int
	Per  time.Duration
	// Share says how much Max is where a provider's count does; nil = Max is the number.
	Share *Share
}

// Share is a part of what a provider has.
type Share struct {
	Percent float64
	Of      Count
}

// Count is a number that is read at a provider.
type Count struct{ Connection, What string }

// Words says for a person what is counted: active users.
func (c Count) Words() string { return strings.ReplaceAll(c.What, "_", " ") }

// Title names the brake for a person.
func (b Brake) Title() string {
	if b.Key == "" {
		return b.Name
	}
	return b.Name + " (" + b.Key + ")"
}

// Unknown says that the brake stops everything, because nobody knows of how many it is a share.
func (b Brake) Unknown() string {
	return "brake " + b.Title() + ": it is not known how many " + b.Share.Of.Words() + " " + b.Share.Of.Connection + " has"
}

// Max is how many a share of n is, rounded down, and never more than a tally can hold.
func (s Share) Max(n int) int { return share(s.Percent, n) }

// maxPassing is the most that a brake lets pass in its window, whatever it is a share of: each passing case writes a
// record of all that passed.
const maxPassing = 2000

func share(percent float64, n int) int {
	return int(min(math.Floor(percent*float64(n)/100+1e-9), maxPassing))
}

// eventBrake is a brake and what it counts.
type eventBrake struct {
	on, sources []string
	by          condition // without an expression everything counts together
	Brake
}

// brakes compiles how much may happen in a window of time.
func (c *compiler) brakes(compiled *guards, g config.Guards) {
	for _, b := range g.Brakes {
		brake, ok := c.brake(b)
		if !ok {
			continue
		}
		if slices.ContainsFunc(compiled.brakes, func(other eventBrake) bool { return other.Name == brake.Name }) {
			c.fault(b.At, "another brake counts the same events over the same time: keep the one with the smaller max, or give one of them another per")
			continue
		}
		compiled.brakes = append(compiled.brakes, brake)
	}
}

func (c *compiler) brake(b config.Brake) (eventBrake, bool) {
	compiled := eventBrake{on: texts(b.On), sources: texts(b.Sources), Brake: Brake{Max: b.Max, Per: b.Per}}
	slices.Sort(compiled.on)
	slices.Sort(compiled.sources)
	compiled.Name = strings.Join(compiled.on, ",")
	if len(compiled.sources) > 0 {
		compiled.Name += " of " + strings.Join(compiled.sources, ",")
	}
	if b.By != nil {
		compiled.Name += " by " + b.By.Source
	}
	compiled.Name += " per " + b.Per.String()
	known := len(c.faults)
	compiled.by = c.condition(b.By, b.On, (*environment).text)
	switch {
	case b.Percent > 0 && b.Count != nil:
		compiled.Share = &Share{Percent: b.Percent, Of: Count{b.Count.At.Value, b.Count.What}}
	case b.Percent > 0:
		compiled.Max = share(b.Percent, b.Of)
	}
	return compiled, len(c.faults) == known
}

// text compiles an expression that must be text.
func (e *environment) text(x config.Expr) (*program, config.Faults) {
	p, faults := e.compile(x)
	if p == nil {
		return nil, faults
	}
	if wrong := p.Want(cel.StringType, "not text: make it one with string(…)"); wrong != nil {
		return nil, wrong
	}
	return p, nil
}

// slow lists the brakes that count an event, in the order of the file.
func (g guards) slow(s *subject) ([]Brake, error) {
	var list []Brake
	for _, b := range g.brakes {
		if !slices.Contains(b.on, s.event.Name()) || !allows(b.sources, s.event.Scope) {
			continue
		}
		brake := b.Brake
		if b.by.expr {
			key, err := b.by.value(s)
			if err != nil {
				return nil, err
			}
			brake.Key = key
		}
		list = append(list, brake)
	}
	return list, nil
}

// value evaluates an expression that must be text.
func (x condition) value(s *subject) (string, error) {
	spellings, err := s.bind()
	if err != nil {
		return "", err
	}
	p := x.by[s.event.Name()]
	out, err := p.eval(spellings[0])
	if err != nil {
		return "", err
	}
	text, ok := out.(types.String)
	if !ok {
		return "", p.Fault("is no text for this event: make it one with string(…)")
	}
	return string(text), nil
}

// Named is everybody and everything that a plan names, as one name: whom its event concerns, and whom or what its actions
// act upon. A brake counts it: one who says that many are the same person by one of their names still names each of them
// by another, and an account is found by any.
func Named(p events.Plan) string {
	ids := append(events.PersonIdentifiers(p.Event), touched(p.Actions)...)
	names := make([]string, 0, len(ids)+1)
	for _, id := range ids {
		names = append(names, id.Principal())
	}
	if len(names) == 0 {
		names = append(names, p.Event.Subject)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}

// Counts lists what must be read at providers for the brakes to know their numbers, each once.
func (s *Set) Counts() []Count {
	var list []Count
	for _, b := range s.guards.brakes {
		if b.Share != nil && !slices.Contains(list, b.Share.Of) {
			list = append(list, b.Share.Of)
		}
	}
	return list
}
