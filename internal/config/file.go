package config

import (
	"errors"
	"io"
	"os"
)

// ErrNoFile: what stands at a path is no file. A device has no end, and a pipe may keep its reader for ever.
var ErrNoFile = errors.New("is no regular file")

// ReadFile reads a file of a configuration, one of a secret too, to its end or one byte beyond what any may hold. A path
// that points at something else is an error, not an allocation or a wait: the process that reads it is at work.
func ReadFile(path string) ([]byte, error) {
	if err := regular(os.Stat(path)); err != nil { // before it is opened, which would wait at a pipe
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := regular(f.Stat()); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// regular reports what is no regular file.
func regular(info os.FileInfo, err error) error {
	if err == nil && !info.Mode().IsRegular() {
		return ErrNoFile
	}
	return err
}
