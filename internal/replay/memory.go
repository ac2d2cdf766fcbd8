package replay

import (
	"time"

	"keyturn/internal/people"
)

// memory is who is who by what the events of a walk said so far, by the principal of a name: what the planner has in the
// ledger. Nothing can fail in it.
type memory map[string]person

// person is one person in memory.
type person = people.Person[struct{}]

// load gives what is known under a principal.
func (m memory) load(key string) (person, error) {
	if p, known := m[key]; known {
		return p, nil
	}
	return person{ID: key}, nil
}

// save keeps what is known of persons.
func (m memory) save(list ...person) {
	for _, p := range list {
		p.Known = true
		m[p.ID] = p
	}
}

// people reads them.
func (m memory) people() people.Load[struct{}] { return m.load }

// names are those that a case gives its person.
func (c *Case) names() []people.Name {
	return people.Names(c.ids, c.said, func(principal string) string { return principal })
}

// identity says whom a case is about, by all that is known now.
func (m memory) identity(c *Case) people.Called {
	p, _ := m.people().Whose(c.names(), c.Principal)
	return p.Called()
}

// learn takes in what a case says of who is who at a moment: it joins those who are one by its names, and gives a name
// anew that was another person's. places says that the case takes its place among the events of its person by it.
func (m memory) learn(c *Case, at time.Time, places bool) {
	names := c.names()
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
