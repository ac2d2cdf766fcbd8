//go:build !linux

package slowsync

import "errors"

// Install needs Linux.
func Install() (*Delay, error) { return nil, errors.ErrUnsupported }
