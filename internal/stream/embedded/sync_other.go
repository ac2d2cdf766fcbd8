//go:build !linux

package embedded

import (
	"errors"
	"os"
)

// sync is never called: groupable refuses.
func (s *store) sync() error { return errors.ErrUnsupported }

// reach knows no way but the path.
func reach(_ *os.File, dir string) string { return dir }

// groupable refuses: syncfs is a call of Linux.
func (s *store) groupable() error {
	return errors.New("only Linux can sync a whole file system and report its errors")
}

func (s *store) room() int64 { return fallbackRoom }

func evict(uintptr) error { return nil }
