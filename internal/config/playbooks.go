package config

import (
	"time"
)

// Playbooks are the rules and the guards of playbooks.yaml. Expressions are text here, with the place where they
// stand; package playbook compiles them.
type Playbooks struct {
	List   []Playbook
	Guards Guards
}

// Playbook is a rule: event type and condition → steps.
type Playbook struct {
	Name  string
	On    []Text // catalogue names of events: "user.terminated"
	When  *Expr  // nil: always
	Class Text   // overrides the event's class; empty: does not
	Steps []Step
	At    Position
}

// Step is one action of a playbook.
type Step struct {
	Name   string
	Do     Text    // the kind: "okta.suspend_user"
	On     Text    // the connection; the file calls it `at`
	With   []Param // the kind's parameters, in the order of the file
	Needs  []Text  // steps of this playbook that must be terminal before
	OnDead string  // "continue", "stop", or empty for the default
	At     Position
}

// Text is a word of the file and where it stands.
type Text struct {
	Value string
	At    Position
}

// Param is one parameter of a step.
type Param struct {
	Name  string
	Value Value
	At    Position // of the name
}

// Value is a parameter's value: a tree in which every whole ${{ … }} is an expression and all else is literal.
// Exactly one of Expr, List and Map is set, or none for a literal.
type Value struct {
	Literal any // string, bool, int, float64 or nil
	Expr    *Expr
	List    []Value
	Map     []Param
	At      Position
}

// Guards are what stands between a plan and its actions.
type Guards struct {
	Protected []Text // principals that are never acted upon
	Brakes    []Brake
	Approve   []Approval
}

// Brake holds events above a number per window of time.
type Brake struct {
	On   []Text        // catalogue names of events that count together
	Max  int           // how many may pass in a window
	Per  time.Duration // the window
	Then string        // "hold"
	At   Position
}

// Approval holds plans with an action of these kinds until enough people approve.
type Approval struct {
	Do        []Text
	Approvers int
	At        Position
}

type playbookDoc struct {
	Name  string   `json:"name"`
	On    []string `json:"on"`
	When  *string  `json:"when"`
	Class string   `json:"class"`
}

type stepDoc struct {
	Step   string   `json:"step"`
	Do     string   `json:"do"`
	At     string   `json:"at"`
	Needs  []string `json:"needs"`
	OnDead string   `json:"on_dead"`
}

func readPlaybooks(d *document) Playbooks {
	var p Playbooks
	seen := map[string]Position{}
	for _, at := range d.items("playbooks") {
		var raw playbookDoc
		d.decode(at, &raw)
		book := Playbook{
			Name: raw.Name, On: d.texts(at.to("on"), raw.On),
			Class: Text{Value: raw.Class, At: d.position(at.to("class"))}, At: d.position(at),
		}
		d.once(seen, at.to("name"), raw.Name, "playbook")
		if raw.When != nil {
			book.When = d.condition(at.to("when"), *raw.When)
		}
		book.Steps = readSteps(d, at.to("actions"))
		p.List = append(p.List, book)
	}
	p.Guards = readGuards(d, path{"guards"})
	return p
}

func readSteps(d *document, at path) []Step {
	var steps []Step
	seen := map[string]Position{}
	for _, here := range d.items(at...) {
		var raw stepDoc
		d.decode(here, &raw)
		d.once(seen, here.to("step"), raw.Step, "step")
		steps = append(steps, Step{
			Name: raw.Step, Needs: d.texts(here.to("needs"), raw.Needs), OnDead: raw.OnDead,
			Do:   Text{Value: raw.Do, At: d.position(here.to("do"))},
			On:   Text{Value: raw.At, At: d.position(here.to("at"))},
			With: d.params(here.to("with")), At: d.position(here),
		})
	}
	checkNeeds(d, steps)
	return steps
}

// checkNeeds allows a step to need only steps before it, which makes a circle impossible and the file readable from
// top to bottom.
func checkNeeds(d *document, steps []Step) {
	var before []string
	for _, step := range steps {
		for _, need := range step.Needs {
			switch {
			case need.Value == step.Name:
				d.faultAt(need.At, "a step cannot need itself: remove it")
			case count(before, need.Value) == 0:
				d.faultAt(need.At, "no step %s before this one%s", quote(need.Value), suggest(need.Value, before))
			}
		}
		if count(before, step.Name) == 0 {
			before = append(before, step.Name)
		}
	}
}

func readGuards(d *document, at path) Guards {
	var raw struct {
		Protected []string `json:"protected"`
	}
	d.decode(at, &raw)
	g := Guards{Protected: d.texts(at.to("protected"), raw.Protected)}
	for _, here := range d.items(at.to("brake")...) {
		var b struct {
			On   []string `json:"on"`
			Max  int      `json:"max"`
			Per  string   `json:"per"`
			Then string   `json:"then"`
		}
		d.decode(here, &b)
		g.Brakes = append(g.Brakes, Brake{On: d.texts(here.to("on"), b.On), Max: b.Max, Then: b.Then,
			Per: d.duration(here.to("per"), b.Per, 0), At: d.position(here)})
	}
	for _, here := range d.items(at.to("approve")...) {
		var a struct {
			Do        []string `json:"do"`
			Approvers int      `json:"approvers"`
		}
		d.decode(here, &a)
		if a.Approvers == 0 {
			a.Approvers = 1
		}
		g.Approve = append(g.Approve, Approval{Do: d.texts(here.to("do"), a.Do), Approvers: a.Approvers, At: d.position(here)})
	}
	return g
}

// checkConnections reports steps whose connection does not exist or belongs to another provider than the kind does.
func checkConnections(d *document, p Playbooks, c Connections) {
	names := make([]string, len(c))
	for i, connection := range c {
		names[i] = connection.Name
	}
	for _, book := range p.List {
		for _, step := range book.Steps {
			if step.On.Value == "" || step.Do.Value == "" {
				continue // the schema has said so
			}
			connection, ok := c.Find(step.On.Value)
			if !ok {
				d.faultAt(step.On.At, "no connection %s in %s%s", quote(step.On.Value), ConnectionsFile, suggest(step.On.Value, names))
				continue
			}
			checkKindProvider(d, step, connection)
		}
	}
}

func checkKindProvider(d *document, step Step, c Connection) {
	provider := providerOf(step.Do.Value)
	if provider == c.Provider || count(Providers(), provider) == 0 || count(Providers(), c.Provider) == 0 {
		return
	}
	d.faultAt(step.On.At, "connection %s is of provider %s, and kind %s needs one of provider %s", quote(c.Name), c.Provider,
		quote(step.Do.Value), provider)
}
