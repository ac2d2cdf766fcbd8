//go:build !race

package planner_test

const detector = false
