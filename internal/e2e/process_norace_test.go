//go:build !race

package e2e

// buildFlags build our commands as this test was built.
func buildFlags() []string { return nil }
