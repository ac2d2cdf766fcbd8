package config

import "time"

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
