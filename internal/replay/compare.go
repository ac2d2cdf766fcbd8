package replay

import (
	"cmp"
	"slices"
	"time"
)

// Change is one action that is another on both sides.
type Change struct {
	Playbook   string `json:"playbook"`
	Step       string `json:"step"`
	Do         string `json:"do"`
	Connection string `json:"connection"`
	How        How    `json:"how"`
	What       string `json:"what,omitempty"` // of a changed one: what is other
}

// How says how an action differs.
type How string

// The ways.
const (
	Added   How = "added"
	Removed How = "removed"
	Changed How = "changed"
)

// Sign is how a listing shows it.
func (h How) Sign() string {
	switch h {
	case Added:
		return "+"
	case Removed:
		return "-"
	}
	return "~"
}

// Compare lists the actions that differ from then to now, in the order of the plans. Where one of them is faulty there
// is nothing to compare.
func Compare(then, now Outcome) []Change {
	if then.State == Faulty || now.State == Faulty {
		return nil
	}
	var list []Change
	find := func(steps []Step, s Step) (Step, bool) {
		i := slices.IndexFunc(steps, func(o Step) bool { return o.Playbook == s.Playbook && o.Name == s.Name })
		if i < 0 {
			return Step{}, false
		}
		return steps[i], true
	}
	for _, s := range then.Steps {
		if _, ok := find(now.Steps, s); !ok {
			list = append(list, s.change(Removed, ""))
		}
	}
	for _, s := range now.Steps {
		old, ok := find(then.Steps, s)
		switch {
		case !ok:
			list = append(list, s.change(Added, ""))
		case old != s:
			list = append(list, s.change(Changed, old.differs(s)))
		}
	}
	return list
}

func (s Step) change(how How, what string) Change {
	return Change{Playbook: s.Playbook, Step: s.Name, Do: s.Do, Connection: s.Connection, How: how, What: what}
}

// differs says what is other in the step that it became.
func (s Step) differs(now Step) string {
	switch {
	case s.Do != now.Do:
		return "was " + s.Do + " at " + s.Connection
	case s.Connection != now.Connection:
		return "was at " + s.Connection
	case s.with != now.with:
		return "other parameters"
	}
	return "another place in the order, or class"
}

// Report is what a comparison of two histories shows.
type Report struct {
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	Against string    `json:"against"`        // what is compared with: the "ledger", or the "active" playbooks
	Then    string    `json:"then,omitempty"` // the version of the active playbooks
	Now     string    `json:"now"`            // the version of the playbooks that were played

	Events     int            `json:"events"`               // that were read
	Resent     int            `json:"resent,omitempty"`     // of these, those that had come before
	Conflicts  int            `json:"conflicts,omitempty"`  // other content under the id of one that had come before
	Unreadable int            `json:"unreadable,omitempty"` // what is no event
	Apart      map[string]int `json:"apart,omitempty"`      // cases that no playbook decided upon, by their state in the ledger
	Cases      int            `json:"cases"`                // that were compared
	Different  int            `json:"different"`            // of these

	Rules    []RuleDiff    `json:"rules"`    // by playbook and kind
	Verdicts []VerdictDiff `json:"verdicts"` // by what becomes of the plan
	People   []PersonDiff  `json:"people"`   // by whom or what it is about
}

// RuleDiff says how many actions of one playbook and kind differ.
type RuleDiff struct {
	Playbook string `json:"playbook"`
	Do       string `json:"do"`
	Added    int    `json:"added"`
	Removed  int    `json:"removed"`
	Changed  int    `json:"changed"`
}

// VerdictDiff says how many plans end in another state.
type VerdictDiff struct {
	Then  State  `json:"then"`
	Now   State  `json:"now"`
	Cases int    `json:"cases"`
	Why   string `json:"why,omitempty"` // of the first of them
}

// PersonDiff is what differs for one person, device, client or app.
type PersonDiff struct {
	Principal string     `json:"principal"`
	Cases     []CaseDiff `json:"cases"`
}

// CaseDiff is what differs in one case.
type CaseDiff struct {
	Case     string    `json:"case"`
	Event    string    `json:"event"`
	Accepted time.Time `json:"accepted"`
	Then     State     `json:"then"`
	Now      State     `json:"now"`
	Why      string    `json:"why,omitempty"` // why it is what it is now
	Changes  []Change  `json:"changes,omitempty"`
}

// Past is what the ledger says of a case. A case without an Outcome was decided by no playbook.
type Past struct {
	State   string // of the plan
	Outcome *Outcome

	open   bool // the rules may decide again
	paused bool // an operator stopped it before they could
	doubt  bool // it asked for nothing, and took the place of one that did; or people let it go, and it was overtaken by that and brought back
	off    bool // it was taken back, ended, or is paused: if it goes on, the rules decide anew
	let    bool // people, or the end of its hold, let it go on
	given  bool // people, or the end of its hold, let it go on, and a newer event took its place at that

	moments []moment // what became of it that no rules say, oldest first
}

// Compare fills in the report: then gives the outcome that a case is compared with, and which of Case.Outcomes is now
// compared. A case of which it gives a reason instead is set apart.
func (r *Report) Compare(h History, now int, then func(c Case) (o Outcome, apart string)) {
	r.Events, r.Resent, r.Conflicts, r.Unreadable = h.Events, h.Resent, h.Conflicts, h.Unreadable
	r.Apart = map[string]int{}
	rules, verdicts, people := map[[2]string]*RuleDiff{}, map[[2]State]*VerdictDiff{}, map[string]*PersonDiff{}
	for _, c := range h.Cases {
		if c.Accepted.Before(r.Since) {
			continue // it was played for the brakes alone
		}
		old, apart := then(c)
		if apart != "" {
			r.Apart[apart]++
			continue
		}
		r.Cases++
		o := c.Outcomes[now]
		changes := Compare(old, o)
		if len(changes) == 0 && old.State == o.State {
			continue
		}
		r.Different++
		countRules(rules, changes)
		if old.State != o.State {
			countVerdict(verdicts, old, o)
		}
		p := people[c.Principal]
		if p == nil {
			p = &PersonDiff{Principal: c.Principal}
			people[c.Principal] = p
		}
		p.Cases = append(p.Cases, CaseDiff{Case: c.ID, Event: c.Event, Accepted: c.Accepted.UTC(), Then: old.State, Now: o.State,
			Why: cmp.Or(o.Why, old.Why), Changes: changes})
	}
	r.Rules = sorted(rules, func(a, b RuleDiff) int { return cmp.Or(cmp.Compare(a.Playbook, b.Playbook), cmp.Compare(a.Do, b.Do)) })
	r.Verdicts = sorted(verdicts, func(a, b VerdictDiff) int {
		return cmp.Or(cmp.Compare(b.Cases, a.Cases), cmp.Compare(a.Then, b.Then), cmp.Compare(a.Now, b.Now))
	})
	r.People = sorted(people, func(a, b PersonDiff) int { return cmp.Compare(a.Principal, b.Principal) })
}

func countRules(rules map[[2]string]*RuleDiff, changes []Change) {
	for _, ch := range changes {
		key := [2]string{ch.Playbook, ch.Do}
		if rules[key] == nil {
			rules[key] = &RuleDiff{Playbook: ch.Playbook, Do: ch.Do}
		}
		switch ch.How {
		case Added:
			rules[key].Added++
		case Removed:
			rules[key].Removed++
		default:
			rules[key].Changed++
		}
	}
}

func countVerdict(verdicts map[[2]State]*VerdictDiff, then, now Outcome) {
	key := [2]State{then.State, now.State}
	if verdicts[key] == nil {
		verdicts[key] = &VerdictDiff{Then: then.State, Now: now.State, Why: cmp.Or(now.Why, then.Why)}
	}
	verdicts[key].Cases++
}

// sorted gives the values of a map in an order of their own.
func sorted[K comparable, V any](m map[K]*V, less func(a, b V) int) []V {
	list := make([]V, 0, len(m))
	for _, v := range m {
		list = append(list, *v)
	}
	slices.SortFunc(list, less)
	return list
}
