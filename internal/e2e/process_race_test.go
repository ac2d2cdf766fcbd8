//go:build race

package e2e

// buildFlags build our commands as this test was built: their races are found too, and nothing is compiled twice.
func buildFlags() []string { return []string{"-race"} }
