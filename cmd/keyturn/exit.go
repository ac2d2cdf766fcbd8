package main

import (
	"context"
	"errors"

	"keyturn/internal/ledger"
	"keyturn/internal/stream"
	"keyturn/internal/view"
)

// The exit codes, a promise to scripts.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2 // the command line is wrong
	exitNotFound    = 3 // what was asked for is not there
	exitUnavailable = 4 // the broker or the intake cannot be reached, or has not answered yet
	exitDiffers     = 5 // what was compared is not the same
)

// coded is an error with its exit code.
type coded struct {
	code int
	err  error
}

func (c *coded) Error() string { return c.err.Error() }
func (c *coded) Unwrap() error { return c.err }

// usage marks a wrong command line.
func usage(err error) error { return &coded{exitUsage, err} }

// notFound marks something that is not there.
func notFound(err error) error { return &coded{exitNotFound, err} }

// unavailable marks a broker or an intake that cannot be reached.
func unavailable(err error) error { return &coded{exitUnavailable, err} }

// differs marks a comparison that shows a difference.
func differs(err error) error { return &coded{exitDiffers, err} }

// exitCode classifies the error of a command, once.
func exitCode(err error) int {
	var c *coded
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &c):
		return c.code
	case errors.Is(err, view.ErrNotID), errors.Is(err, view.ErrAmbiguous):
		return exitUsage
	case errors.Is(err, view.ErrNotFound), errors.Is(err, ledger.ErrNotFound), errors.Is(err, stream.ErrNotFound):
		return exitNotFound
	case errors.Is(err, stream.ErrUnavailable), errors.Is(err, stream.ErrBarrier), errors.Is(err, stream.ErrTopology),
		errors.Is(err, context.DeadlineExceeded):
		return exitUnavailable
	}
	return exitFailed
}
