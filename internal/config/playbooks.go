package config

import (
	"slices"
	"strconv"
	"time"
)

// Playbooks are the rules and the guards of playbooks.yaml. Expressions are text here, with the place where they
// stand; package playbook compiles them.
type Playbooks struct {
	List    []Playbook
	Guards  Guards
	SLA     map[string]time.Duration // in which cases are to be verified, by class; absent = nothing is said
	Version string                   // Version of the file: which configuration planned a case
	Source  []byte                   // the file itself
}

// Playbook is a rule: event type and condition → steps.
type Playbook struct {
	Name      string
	On        []Text          // catalogue names of events: "user.terminated"
	Variables []Variable      // in the order of the file: each may use those before it
	When      *Expr           // nil: always
	Class     Text            // overrides the event's class; empty: does not
	DryRun    bool            // its actions are recorded and never sent
	Recheck   []time.Duration // how long after an action was verified it is looked at again, rising
	Regressed string          // "act", "alert", or empty for the default
	Steps     []Step
	At        Position
}

// Variable is a named expression of a playbook, which other expressions call variables.NAME.
type Variable struct {
	Name  string
	Value *Expr // nil when the file's text is no expression, which is a fault
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

type playbookDoc struct {
	Name   string   `json:"name"`
	On     []string `json:"on"`
	When   *string  `json:"when"`
	Class  string   `json:"class"`
	DryRun bool     `json:"dry_run"`

	Recheck   []string `json:"recheck"`
	Regressed string   `json:"regressed"`
}

type stepDoc struct {
	Step   string   `json:"step"`
	Do     string   `json:"do"`
	At     string   `json:"at"`
	Needs  []string `json:"needs"`
	OnDead string   `json:"on_dead"`
}

func readPlaybooks(d *document) Playbooks {
	p := Playbooks{Version: d.version, Source: d.source}
	seen := map[string]Position{}
	for _, at := range d.items("playbooks") {
		var raw playbookDoc
		d.decode(at, &raw)
		book := Playbook{
			Name: raw.Name, On: d.texts(at.to("on"), raw.On),
			Class: Text{Value: raw.Class, At: d.position(at.to("class"))}, DryRun: raw.DryRun, At: d.position(at),
			Variables: readVariables(d, at.to("variables")), Recheck: readRecheck(d, at.to("recheck"), raw.Recheck),
			Regressed: raw.Regressed,
		}
		d.once(seen, at.to("name"), raw.Name, "playbook")
		if raw.When != nil {
			book.When = d.condition(at.to("when"), *raw.When)
		}
		book.Steps = readSteps(d, at.to("actions"))
		p.List = append(p.List, book)
	}
	p.Guards = readGuards(d, path{"guards"})
	p.SLA = readSLA(d, path{"sla"})
	return p
}

// readSLA reads in which time cases of each class are to be verified.
func readSLA(d *document, at path) map[string]time.Duration {
	var sla map[string]time.Duration
	for _, class := range d.keys(at...) {
		here := at.to(class)
		text, _ := d.value(here).(string)
		within := d.duration(here, text, 0)
		switch {
		case within == 0: // no span of time, and said so
		case within < 5*time.Second || within > recheckMost:
			d.fault(here, "is out of bounds: use 5s to 366d")
		default:
			if sla == nil {
				sla = map[string]time.Duration{}
			}
			sla[class] = within
		}
	}
	return sla
}

// recheckMost bounds how long after its proof an action is looked at again.
const recheckMost = 366 * 24 * time.Hour

// readRecheck reads when actions are looked at again, in whatever order they are written.
func readRecheck(d *document, at path, list []string) []time.Duration {
	var spans []time.Duration
	for i, text := range list {
		here := at.to(strconv.Itoa(i))
		after := d.duration(here, text, 0)
		switch {
		case after == 0: // absent or no span of time, and said so
		case after < time.Minute || after > recheckMost:
			d.fault(here, "is out of bounds: use 1m to 366d")
		case slices.Contains(spans, after):
			d.fault(here, "is the same time again: remove it")
		default:
			spans = append(spans, after)
		}
	}
	slices.Sort(spans)
	return spans
}

// readVariables reads the mapping at a path, whose order is the order in which they are defined.
func readVariables(d *document, at path) []Variable {
	var list []Variable
	for _, name := range d.keys(at...) {
		here := at.to(name)
		v := Variable{Name: name, At: d.keyPosition(here)}
		if source, ok := d.value(here).(string); ok {
			v.Value = d.condition(here, source)
		}
		list = append(list, v)
	}
	return list
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
	var before, all []string
	for _, step := range steps {
		all = append(all, step.Name)
	}
	for _, step := range steps {
		for _, need := range step.Needs {
			switch {
			case need.Value == step.Name:
				d.faultAt(need.At, "a step cannot need itself: remove it")
			case count(before, need.Value) == 0 && count(all, need.Value) > 0:
				d.faultAt(need.At, "the step %s stands further down: a step can need those above it, so move it up", quote(need.Value))
			case count(before, need.Value) == 0:
				d.faultAt(need.At, "no step %s before this one%s", quote(need.Value), suggest(need.Value, before))
			}
		}
		if count(before, step.Name) == 0 {
			before = append(before, step.Name)
		}
	}
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
