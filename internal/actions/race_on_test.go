//go:build race

package actions_test

// stride: the race detector makes a case ten times as dear, and sees no more in the thousandth than in the fiftieth.
const stride = 13
