package config

import "time"

// Guards are what stands between a plan and its actions.
type Guards struct {
	Protected []Text           // principals that are never acted upon
	Groups    []ProtectedGroup // who else is not, by expressions over the event
	Brakes    []Brake
	Approve   []Approval
}

// ProtectedGroup protects everybody and everything of whom an expression over the event is true.
type ProtectedGroup struct {
	When *Expr  // nil when the file's text is no expression, which is a fault
	On   []Text // the events that it is about; empty = every one whose type has the fields
	Why  string // for a person
	At   Position
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

func readGuards(d *document, at path) Guards {
	var g Guards
	readProtected(d, at.to("protected"), &g)
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

// readProtected reads who is never acted upon: texts, and groups.
func readProtected(d *document, at path, g *Guards) {
	for _, here := range d.items(at...) {
		if name, ok := d.value(here).(string); ok {
			g.Protected = append(g.Protected, Text{Value: name, At: d.position(here)})
			continue
		}
		var raw struct {
			When string   `json:"when"`
			On   []string `json:"on"`
			Why  string   `json:"why"`
		}
		d.decode(here, &raw)
		group := ProtectedGroup{On: d.texts(here.to("on"), raw.On), Why: raw.Why, At: d.position(here)}
		if raw.When != "" {
			group.When = d.condition(here.to("when"), raw.When)
		}
		g.Groups = append(g.Groups, group)
	}
}
