package ledger

import (
	"slices"
	"time"
)

// Said is what the body of a plan record holds besides the plan: what else was decided. Who decides writes it, and who
// tells of it reads it.
type Said struct {
	// Confirmed are the cases of other sources that said the same, where that was asked for.
	Confirmed []string `json:"confirmed,omitempty"`
	Hold      *Hold    `json:"hold,omitempty"`    // of a plan that is or was held
	Begun     []Begun  `json:"begun,omitempty"`   // what older events of the same person had begun when this one overtook them
	Against   string   `json:"against,omitempty"` // of a conflict: the case whose id it came with
	Newer     string   `json:"newer,omitempty"`   // of a superseded or rescinded plan: the case that overtook it
	Anew      string   `json:"anew,omitempty"`    // the case whose remains it decides anew, after what had called them back was cancelled
	Denied    *Consent `json:"denied,omitempty"`  // who cancelled it, and why
	Joined    []string `json:"joined,omitempty"`  // identifiers, as kind:value, that became one person's by this event
	Claimed   []string `json:"claimed,omitempty"` // identifiers that it gives, and that were another person's
}

// Hold is what a held plan waits for, and what it got so far.
type Hold struct {
	Why     string    `json:"why"`
	Need    int       `json:"need"` // how many people must approve; 0 = no approval helps
	Given   []Consent `json:"given,omitempty"`
	Asked   []string  `json:"asked,omitempty"`   // who asked for it, as far as that is known: their own word does not count
	Brake   string    `json:"brake,omitempty"`   // the brake that it was too much for
	Unheard bool      `json:"unheard,omitempty"` // it waits for a second source's word, which ends it as well
	// Pauses are those that hold it, while they do: an approval is asked for when they are over.
	Pauses []string `json:"pauses,omitempty"`
	// Apart says that the event has no place among those of its person yet: it takes it when it goes on.
	Apart bool      `json:"apart,omitempty"`
	Doubt bool      `json:"doubt,omitempty"` // it asks for nothing, and it did before, or one whose place it took
	Until time.Time `json:"until,omitzero"`  // when it ends without anybody's word; zero = never
	Then  Lapse     `json:"then,omitempty"`  // what becomes of the plan then
}

// Has reports whether a word that meets the condition was given.
func (h *Hold) Has(match func(Consent) bool) bool { return slices.ContainsFunc(h.Given, match) }

// Spent lists whose approval does not count any more: who asked for it, and who has approved it.
func (h *Hold) Spent() []string {
	names := slices.Clone(h.Asked)
	for _, c := range h.Given {
		names = append(names, c.Actor)
	}
	return names
}

// Lapse is what becomes of a held plan that nobody decided upon.
type Lapse string

// What may become of it.
const (
	LapseDeny    Lapse = "deny"    // it is cancelled
	LapseProceed Lapse = "proceed" // it goes on as it was shown
	LapseAgain   Lapse = "again"   // it is judged again, by the playbooks and the guards of that moment
)

// Consent is one person's word.
type Consent struct {
	Command string    `json:"command"` // id of the command
	Actor   string    `json:"actor"`
	Reason  string    `json:"reason,omitempty"`
	Time    time.Time `json:"time"` // of the command
}

// Begun is an action of an older event that cannot be called back: it is under way or done, and never undone by itself.
type Begun struct {
	Case   string `json:"case"`
	Action string `json:"action"`
	Do     string `json:"do"`
	State  State  `json:"state"`             // where it stood when it was looked at
	Made   int    `json:"changes,omitempty"` // how many changes it had made
}
