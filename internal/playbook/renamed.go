package playbook

import (
	"cmp"
	"maps"
	"slices"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// Change is a step that older plans have under a name and that the playbooks have not, or not as the same thing. The
// ids of actions are made of these names: a step of another name is another action, whatever it does.
type Change struct {
	Playbook string          // as the older plan calls it
	Step     string          // as the older plan calls it
	Was      string          // what it did: "okta.suspend_user at okta-prod"
	Is       string          // what a step of the same name does now, which is something else; empty when there is none
	Now      string          // what it is probably called now, "playbook/step"; empty when nothing looks like it
	Case     string          // of the older plan
	At       config.Position // of the playbook in the file, or of its whole where there is none of that name
}

// Last is what older plans know of each playbook: its part in the newest plan in which it took part, also when it was
// only tried out. The zero value must be made.
type Last map[string]Part

// Part is what a playbook has done of a plan.
type Part struct {
	Event   string // the catalogue's name of the plan's event
	Actions []events.Action
}

// Take remembers a plan, which is newer than those before it.
func (l Last) Take(p events.Plan) {
	list := slices.Clone(p.Actions)
	for _, run := range p.DryRuns {
		list = append(list, run.Actions...)
	}
	of := map[string]Part{}
	for _, a := range list {
		of[a.Playbook] = Part{Event: p.Event.Name(), Actions: append(of[a.Playbook].Actions, a)}
	}
	maps.Copy(l, of)
}

// Changed compares the playbooks of a file with what older plans know of them. It is for whoever checks a file that
// shall be put in force.
func Changed(p config.Playbooks, file string, last Last) []Change {
	var list []Change
	for _, name := range slices.Sorted(maps.Keys(last)) {
		list = append(list, compare(p, file, name, last)...)
	}
	return list
}

// compare finds the changes of one playbook.
func compare(p config.Playbooks, file, name string, last Last) []Change {
	was := last[name]
	book, at := find(p, name), config.Position{File: file}
	there := book != nil
	if there {
		at = book.At
	} else {
		book = successor(p, was, last)
	}
	var list []Change
	for _, a := range was.Actions {
		c := Change{Playbook: name, Step: a.Step, Was: a.Do + " at " + a.Connection, Case: a.Case, At: at}
		step := stepOf(book, a.Step)
		switch {
		case there && step != nil && step.Do.Value == a.Do && step.On.Value == a.Connection:
			continue
		case there && step != nil:
			c.Is = step.Do.Value + " at " + step.On.Value
		case step != nil && step.Do.Value == a.Do:
			c.Now = book.Name + "/" + step.Name
		default:
			c.Now = cmp.Or(likely(book, a, was.Actions), moved(p, a, was.Event, last))
		}
		list = append(list, c)
	}
	return list
}

func find(p config.Playbooks, name string) *config.Playbook {
	for i := range p.List {
		if p.List[i].Name == name {
			return &p.List[i]
		}
	}
	return nil
}

func stepOf(b *config.Playbook, name string) *config.Step {
	if b == nil {
		return nil
	}
	for i := range b.Steps {
		if b.Steps[i].Name == name {
			return &b.Steps[i]
		}
	}
	return nil
}

// successor is the playbook that a missing one may be called now: among those for the same event that no older plan
// knows, the one that does most of the same.
func successor(p config.Playbooks, was Part, known Last) *config.Playbook {
	var best *config.Playbook
	most := 0
	for i := range p.List {
		if _, old := known[p.List[i].Name]; old || !slices.Contains(texts(p.List[i].On), was.Event) {
			continue
		}
		same := 0
		for _, a := range was.Actions {
			if slices.ContainsFunc(p.List[i].Steps, func(s config.Step) bool { return likeness(s, a) >= sameThing }) {
				same++
			}
		}
		if same > most {
			best, most = &p.List[i], same
		}
	}
	return best
}

// How much a step looks like an action of an older plan.
const (
	sameKind  = 1
	sameThing = 2 // the same kind at the same connection
)

func likeness(s config.Step, a events.Action) int {
	switch {
	case s.Do.Value == a.Do && s.On.Value == a.Connection:
		return sameThing
	case s.Do.Value == a.Do:
		return sameKind
	}
	return 0
}

// moved names the step of another playbook for the same event that an action's step is probably now: one that does the
// same thing and that no older plan has there.
func moved(p config.Playbooks, a events.Action, event string, known Last) string {
	var now string
	for _, b := range p.List {
		if b.Name == a.Playbook || !slices.Contains(texts(b.On), event) {
			continue
		}
		for _, s := range b.Steps {
			old := slices.ContainsFunc(known[b.Name].Actions, func(w events.Action) bool { return w.Step == s.Name })
			if old || likeness(s, a) < sameThing {
				continue
			}
			if s.Name == a.Step {
				return b.Name + "/" + s.Name
			}
			now = cmp.Or(now, b.Name+"/"+s.Name)
		}
	}
	return now
}

// likely names the step that an action's step is probably called now: one that the older plan does not have.
func likely(b *config.Playbook, a events.Action, was []events.Action) string {
	if b == nil {
		return ""
	}
	var fresh []config.Step
	for _, s := range b.Steps {
		old := slices.ContainsFunc(was, func(w events.Action) bool { return w.Step == s.Name })
		if !old && likeness(s, a) > 0 {
			fresh = append(fresh, s)
		}
	}
	if len(fresh) == 0 {
		return ""
	}
	best := slices.MaxFunc(fresh, func(x, y config.Step) int { return cmp.Compare(likeness(x, a), likeness(y, a)) })
	return b.Name + "/" + best.Name
}
