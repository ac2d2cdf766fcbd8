package replay

import (
	"time"

	"keyturn/internal/people"
)

// memory is who is who by what the events of a walk said so far, by the key of a name: what the planner has in the ledger.
// Nothing can fail in it.
type memory struct {
	persons map[string]person
	key     func(principal string) string
	keys    map[string]string // by principal
}

// newMemory knows nobody. key makes the keys; nil = what a principal is called is its key.
func newMemory(key func(principal string) string) memory {
	if key == nil {
		key = func(principal string) string { return principal }
	}
	return memory{persons: map[string]person{}, key: key, keys: map[string]string{}}
}

// person is one person in memory.
type person = people.Person[struct{}]

// load gives what is known under a principal.
func (m memory) load(key string) (person, error) {
	if p, known := m.persons[key]; known {
		return p, nil
	}
	return person{ID: key}, nil
}

// save keeps what is known of persons.
func (m memory) save(list ...person) {
	for _, p := range list {
		p.Known = true
		m.persons[p.ID] = p
	}
}

// people reads them.
func (m memory) people() people.Load[struct{}] { return m.load }

// keyOf gives the key of a principal.
func (m memory) keyOf(principal string) string {
	key, known := m.keys[principal]
	if !known {
		key = m.key(principal)
		m.keys[principal] = key
	}
	return key
}

// names are those that a case gives its person.
func (m memory) names(c *Case) []people.Name { return people.Names(c.ids, c.said, m.keyOf) }

// identity says whom a case is about, by all that is known now.
func (m memory) identity(c *Case) people.Called {
	p, _ := m.people().Whose(m.names(c), m.keyOf(c.Principal))
	return p.Called()
}

// learn takes in what a case says of who is who at a moment: it joins those who are one by its names, and gives a name
// anew that was another person's. places says that the case takes its place among the events of its person by it.
func (m memory) learn(c *Case, at time.Time, places bool) {
	names := m.names(c)
	if len(names) == 0 {
		return
	}
	crowd, _ := m.people().Gather(names)
	who, met := crowd.Unite(people.Joint{Case: c.ID, Event: c.Event, Time: at})
	if met || places {
		m.save(who)
	}
	m.save(crowd.Others(who.ID)...)
	for _, l := range crowd.Claims {
		if l.Moves {
			given, _ := crowd.Give(m.people(), l, who.ID)
			m.save(given...)
		}
	}
}
