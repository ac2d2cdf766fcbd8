package replay

import (
	"slices"
	"time"

	"keyturn/internal/playbook"
)

// walk goes through a history by one of the rules, in the order of time.
type walk struct {
	cases   []Case
	rules   int // which of the rules
	wheels  *wheels
	spoke   map[string][]int // by event and whom it is about: the cases so far whose word counts
	waiting map[string][]int // and those that wait for another source's
}

// step decides one case. Those that waited for its word go on before it.
func (w *walk) step(i int) {
	c := &w.cases[i]
	j := c.judged[w.rules]
	if j.State == Faulty || j.State == Refused || j.State == Scheduled && len(j.Confirm)+len(j.Brakes) == 0 {
		return
	}
	key := w.hear(i)
	if missing := w.missing(i, key); missing != "" {
		c.Outcomes[w.rules] = j.over(missing)
		w.waiting[key] = append(w.waiting[key], i)
	} else {
		w.pass(i, c.At)
	}
}

// hear notes the word of a case, lets those go on that waited for it, and gives what it is about.
func (w *walk) hear(i int) string {
	c := &w.cases[i]
	key := c.Event + " " + w.wheels.people.of(c)
	w.spoke[key] = append(w.spoke[key], i)
	w.waiting[key] = slices.DeleteFunc(w.waiting[key], func(o int) bool {
		if w.missing(o, key) != "" {
			return false
		}
		w.pass(o, c.At)
		return true
	})
	return key
}

// pass asks the brakes for a case that nothing else holds back.
func (w *walk) pass(i int, at time.Time) {
	c := &w.cases[i]
	j := c.judged[w.rules]
	c.Outcomes[w.rules] = j.over(w.wheels.ask(c, j.named, at, j.Brakes))
}

// missing says whose word a case still needs; empty = nobody's.
func (w *walk) missing(i int, key string) string {
	c := w.cases[i]
	for _, rule := range c.judged[w.rules].Confirm {
		heard := slices.ContainsFunc(w.spoke[key], func(o int) bool {
			other := w.cases[o]
			return o != i && rule.Counts(c.Source, other.Source) && other.Accepted.Sub(c.Accepted).Abs() <= rule.Within &&
				!playbook.Contradict(c.ids, other.ids)
		})
		if !heard {
			return unheard(rule)
		}
	}
	return ""
}
