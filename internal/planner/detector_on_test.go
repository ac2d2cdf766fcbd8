//go:build race

package planner_test

// detector says that this run looks for data races, which a history in one goroutine has none of.
const detector = true
