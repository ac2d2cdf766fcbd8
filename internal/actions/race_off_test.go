//go:build !race

package actions_test

// stride: every pair of faults is tried.
const stride = 1
