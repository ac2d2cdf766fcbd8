package events

import "slices"

// names are the names of one object. Most objects have few members, and then looking through them beats hashing.
type names struct {
	few  [fewNames]string
	n    int
	many map[string]bool
}

const fewNames = 16

// add takes a name and reports whether it is new.
func (n *names) add(name string) bool {
	switch {
	case n.many != nil:
		if n.many[name] {
			return false
		}
		n.many[name] = true
		return true
	case slices.Contains(n.few[:n.n], name):
		return false
	case n.n < fewNames:
		n.few[n.n] = name
		n.n++
		return true
	}
	n.many = make(map[string]bool, 2*fewNames)
	for _, few := range n.few {
		n.many[few] = true
	}
	n.many[name] = true
	return true
}
