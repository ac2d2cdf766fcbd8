//go:build !linux

package process

// forgetProgram is for Linux, where what a start touched counts for as long as the process lives.
func forgetProgram() error { return nil }
